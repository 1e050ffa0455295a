//! What a training is computed on.

use anyhow::anyhow;
use sensorium_model::backend;

/// What a training is computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Device {
    /// CPU cores.
    Cpu,
    /// The GPU that the program was built for.
    Gpu,
}

impl Device {
    /// The device that was asked for, or the best that the program was built for.
    ///
    /// # Errors
    ///
    /// One that it was not built for, or that this machine has not.
    pub fn or_best(wanted: Option<Self>) -> anyhow::Result<Self> {
        let has_gpu = cfg!(any(feature = "wgpu", feature = "cuda"));
        let device = wanted.unwrap_or(if has_gpu { Self::Gpu } else { Self::Cpu });
        match device {
            Self::Cpu if !cfg!(feature = "flex") => return Err(device.absent()),
            Self::Cpu => {}
            Self::Gpu if !has_gpu => return Err(device.absent()),
            Self::Gpu => backend::probe()?,
        }
        Ok(device)
    }

    /// What the backend is called.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Cpu => backend::CPU,
            Self::Gpu => backend::NAME,
        }
    }

    /// That the program was not built for it.
    pub fn absent(self) -> anyhow::Error {
        match self {
            Self::Cpu => anyhow!("this program was built without a CPU backend: the feature flex"),
            Self::Gpu => anyhow!(
                "this program was built without a GPU backend: build it with --features wgpu or cuda"
            ),
        }
    }
}

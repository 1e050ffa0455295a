//! What a training is computed on.

use anyhow::{anyhow, ensure};
use sensorium_model::backend;
use sensorium_model::precision::Products;

/// What a training is computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Device {
    /// CPU cores.
    Cpu,
    /// The GPU that the program was built for.
    Gpu,
}

/// What products with weights are computed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Precision {
    /// Numbers of 32 bits.
    #[default]
    F32,
    /// bfloat16: the range of 32 bits, and 8 of them significant.
    Bf16,
    /// IEEE's 16 bits, 11 of them significant; gradients are scaled before each product.
    F16,
}

impl From<Precision> for Products {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::F16 => Self::F16,
        }
    }
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

    /// What the backend is called, and what products are computed of if it is not 32 bits.
    pub fn backend(self, products: Products) -> String {
        let name = match self {
            Self::Cpu => backend::CPU,
            Self::Gpu => backend::NAME,
        };
        match products {
            Products::F32 => name.to_owned(),
            _ => format!("{name}, products in {products}"),
        }
    }

    /// Refuses numbers that it has no products of.
    ///
    /// # Errors
    ///
    /// That it has none.
    pub fn check(self, products: Products) -> anyhow::Result<()> {
        match self {
            Self::Cpu => ensure!(
                products == Products::F32,
                "--precision {products} is for GPUs, and this trains on CPU cores"
            ),
            Self::Gpu => ensure!(
                backend::computes(products),
                "--precision {products}: this GPU has no products of such numbers by {}",
                backend::NAME
            ),
        }
        Ok(())
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

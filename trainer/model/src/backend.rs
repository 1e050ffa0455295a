//! The backend to compute on: the fastest of those compiled in.

use burn::backend::Autodiff;
use burn::prelude::*;
use burn::tensor::backend::{AutodiffBackend, DTypeUsage};
use thiserror::Error;

use crate::ops::FusedBackend;
use crate::precision::Products;

/// The backend of GPUs.
#[cfg(feature = "cuda")]
pub type Gpu = burn::backend::Cuda;

/// The backend of GPUs.
#[cfg(all(feature = "wgpu", not(feature = "cuda")))]
pub type Gpu = burn::backend::Wgpu;

/// The backend of CPU cores.
#[cfg(feature = "flex")]
pub type Cpu = burn::backend::Flex;

/// A backend for evaluation.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub type Inference = Gpu;

/// A backend for evaluation.
#[cfg(all(feature = "flex", not(any(feature = "wgpu", feature = "cuda"))))]
pub type Inference = Cpu;

/// A backend for training: [`Inference`] that records gradients.
pub type Training = Autodiff<Inference>;

/// A backend that trains encoders: one that records gradients, of one that runs them.
pub trait Differentiable: FusedBackend + AutodiffBackend<InnerBackend: FusedBackend> {}

impl<B: FusedBackend + AutodiffBackend<InnerBackend: FusedBackend>> Differentiable for B {}

/// What the backend of CPU cores is called, for logs and provenance.
pub const CPU: &str = "flex";

/// What [`Inference`] is called, for logs and provenance.
pub const NAME: &str = if cfg!(feature = "cuda") {
    "cuda"
} else if cfg!(feature = "wgpu") {
    "wgpu"
} else {
    CPU
};

/// This machine has no device for the backend that was compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no device for {NAME}: no driver, or none that it takes")]
pub struct NoDevice;

/// Whether the backend's default device computes, found out by adding two numbers on it.
///
/// The libraries beneath panic where there is no driver, so this says more on stderr than it returns;
/// it is best called once, before anything else.
///
/// # Errors
///
/// If it does not.
pub fn probe() -> Result<(), NoDevice> {
    let two = std::panic::catch_unwind(|| {
        let one = Tensor::<Inference, 1>::from_data([1.0f32], &Default::default());
        one.add_scalar(1.0).into_scalar().elem::<f32>()
    });
    match two {
        Ok(2.0) => Ok(()),
        _ => Err(NoDevice),
    }
}

/// Whether the backend's default device, which was [probed](probe), has products of such numbers.
#[must_use]
pub fn computes(products: Products) -> bool {
    let usage = Inference::dtype_usage(&Default::default(), products.dtype());
    let stored = usage.contains(DTypeUsage::Storage);
    stored && (usage.contains(DTypeUsage::Arithmetic) || usage.contains(DTypeUsage::Accelerated))
}

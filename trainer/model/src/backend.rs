//! The backend to compute on: the fastest of those compiled in.

use burn::backend::Autodiff;
use burn::prelude::*;
use thiserror::Error;

/// A backend for evaluation.
#[cfg(feature = "cuda")]
pub type Inference = burn::backend::Cuda;

/// A backend for evaluation.
#[cfg(all(feature = "wgpu", not(feature = "cuda")))]
pub type Inference = burn::backend::Wgpu;

/// A backend for evaluation.
#[cfg(all(feature = "flex", not(any(feature = "wgpu", feature = "cuda"))))]
pub type Inference = burn::backend::Flex;

/// A backend for training: [`Inference`] that records gradients.
pub type Training = Autodiff<Inference>;

/// What [`Inference`] is called, for logs and provenance.
pub const NAME: &str = if cfg!(feature = "cuda") {
    "cuda"
} else if cfg!(feature = "wgpu") {
    "wgpu"
} else {
    "flex"
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

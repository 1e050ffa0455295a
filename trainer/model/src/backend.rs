//! The backend to compute on: the fastest of those compiled in.

use burn::backend::Autodiff;

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

//! Fused kernels of training, each with the reference it has to equal.
//!
//! | kernel | what is never in memory | CPU | GPU |
//! |---|---|---|---|
//! | [`attention`] | tokens x tokens | yes | yes |
//! | [`nce`] | rows x columns of similarities | yes | yes |
//! | [`norm`] | means and deviations | yes | yes |
//! | [`gelu`] | the error function | yes | yes |
//! | [`linear`], [`perceptron`] | rows repeated for the bias; what is active between | yes | matrix products of the backend |
//! | [`conv`] | the patches of more than one input | yes | convolutions of the backend |
//! | [`batch`] | what is centred and scaled | yes | tensor operations of the backend |
//! | [`dropout`] | the numbers that are drawn | yes | random numbers of the backend |
//!
//! The functions at the top of each module run on CPU cores, with the widest vectors there are, and
//! on as many threads as `rayon` has; their results are the same on any number of threads. `reference`
//! has the definition in 64 bits, checked by finite differences. `gpu`, behind the features `wgpu` and
//! `cuda`, has kernels that cubecl compiles for a GPU. One suite of checks runs on all of them.
//!
//! This package is the only one that names cubecl. It may use `unsafe` for matrix products in
//! registers, for those of the `gemm` package, and to start kernels; each place says why it is sound.
#![allow(
    unsafe_code,
    reason = "kernels: products in registers, and launches on a GPU"
)]

pub mod attention;
pub mod batch;
pub mod conv;
pub mod dropout;
pub mod gelu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
mod lanes;
pub mod linear;
pub mod nce;
pub mod norm;
pub mod perceptron;
mod tile;

#[cfg(test)]
mod check;

//! Encoders, their loss and their checkpoints, on any burn backend.
//!
//! ```text
//! input of a sense ─▶ Encoder ─▶ embedding [B, E], L2-normalised ─┐
//! embeddings of its anchors [C, E], frozen ───────────────────────┴▶ info_nce ─▶ loss
//! ```
//!
//! The structure is ImageBind's (Girdhar et al. 2023) at dimensions of one's choice. Weights leave
//! and enter as a [`Weights`](weights::Weights) under ImageBind's names, so a checkpoint of either
//! can be read by the other, and an exporter needs no training library.
//!
//! # Features
//!
//! `flex` (default) trains on CPU cores, `wgpu` and `cuda` on a GPU. [`backend::Training`] is the
//! best that was compiled in. `x86-v4` adds kernels with vectors of 512 bits, for CPUs that have them;
//! others run as before. What takes the time is in [`ops`].

#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
pub mod backend;
pub mod block;
pub mod cache;
pub mod checkpoint;
pub mod conv;
pub mod encoder;
pub mod gradient;
pub mod loss;
pub mod ops;
pub mod optimizer;
pub mod portable;
pub mod precision;
pub mod sense;
pub mod state;
pub mod tower;
pub mod weights;
pub mod word;

pub use encoder::{Encoder, EncoderConfig, Input, InputConfig};
pub use sense::Sense;
pub use tower::{Tower, TowerConfig};

//! Data sets, augmentation and batches.
//!
//! ```text
//! folder ─▶ WindowSet ─▶ PersonSplit ─▶ Sampler ─▶ Augmenter ─▶ front end ─▶ batch [n, 6, samples]
//! ```
//!
//! The front end is `sensorium-core`'s, the same code that the runtime and the firmware call, so an
//! encoder is never trained on other numbers than it will be given.

pub mod augment;
pub mod sampler;
pub mod split;
pub mod window;

pub use augment::{Augmentation, Augmenter};
pub use sampler::Sampler;
pub use split::PersonSplit;
pub use window::{Source, WindowSet};

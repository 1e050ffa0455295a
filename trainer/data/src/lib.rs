//! Data sets, augmentation and batches.
//!
//! ```text
//! pairs, shards, arrays, idx ─▶ DataSet ─▶ split ─▶ sampler ─▶ Raw ─▶ augment ─▶ front end ─▶ batch
//!                                                   pairing            (parallel)
//! ```
//!
//! A [`DataSet`] knows its entries at once and decodes a sense of one when it is asked for. What is
//! broken is an error of that sample alone, which a [`Tally`] counts and names.
//!
//! The front end is `sensorium-core`'s, the same code that the runtime and the firmware call, so an
//! encoder is never trained on other numbers than it will be given.

pub mod augment;
pub mod batch;
pub mod cache;
pub mod config;
pub mod epoch;
pub mod form;
pub mod idx;
mod key;
pub mod pairing;
pub mod raw;
pub mod sampler;
pub mod set;
pub mod setting;
pub mod shards;
#[cfg(test)]
mod small;
pub mod split;
pub mod table;
pub mod tally;
pub mod window;

pub use augment::{Augmentations, Augmenters, ImuAugmentation, ImuAugmenter};
pub use batch::{BatchError, batch};
pub use config::{Kind, SetConfig, SetError};
pub use epoch::{Draw, Epoch};
pub use pairing::Pairing;
pub use raw::{Raw, Sample};
pub use sampler::Sampler;
pub use sensorium_pack::Modality;
pub use set::{ContentKey, DataSet, Entry, SampleError, SenseSet};
pub use setting::SettingError;
pub use split::{PersonSplit, Split, SplitConfig};
pub use tally::{Broken, Tally};
pub use window::{Source, WindowSet};

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
//! | `kind` | what it reads |
//! |---|---|
//! | `pairs` | a folder with a CSV file that lists files of any sense, or files of the same names |
//! | `shards` | WebDataset tar files, each sample read where it lies |
//! | `arrays` | `.npy` and `.npz` arrays whose rows a CSV file gives to samples |
//! | `idx` | pictures and labels as MNIST comes |
//!
//! A step of a training draws its batch on all threads; what it draws, its seed and its number alone
//! decide:
//!
//! ```
//! use sensorium_data::{Augmentations, Modality, Raw, Sampler, SetConfig, Tally, batch};
//!
//! # let dir = tempfile::tempdir()?;
//! # std::fs::write(dir.path().join("pairs.csv"), "text,label\na dog barks,dog\n")?;
//! let config: SetConfig = toml::from_str("name = 'words'\nkind = 'pairs'")?;
//! let set = config.open(dir.path())?;
//! let tally = Tally::new(set.entries().len());
//! let sampler = Sampler::new(vec![0], &[0], 0.5);
//! let augmenters = Augmentations::default().check()?;
//! for step in 0..3 {
//!     let samples = batch(64, 7, step, &tally, |_place, random| {
//!         let entry = sampler.draw(random);
//!         Ok(match set.load(entry, Modality::Text)? {
//!             Raw::Sound { samples, rate_hz } => augmenters.audio.apply(&samples, rate_hz, random),
//!             other => vec![other.size_bytes() as f32],
//!         })
//!     })?;
//!     assert_eq!(samples.len(), 64);
//! }
//! eprintln!("{}", tally.broken());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The front end is `sensorium-core`'s, the same code that the runtime and the firmware call, so an
//! encoder is never trained on other numbers than it will be given.

pub mod augment;
pub mod batch;
pub mod cache;
pub mod config;
pub mod epoch;
pub mod extract;
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

pub use augment::{Augmentations, Augmenters, ImuAugmentation, ImuAugmenter};
pub use batch::{BatchError, batch};
pub use config::{Kind, SetConfig, SetError};
pub use epoch::{Draw, Epoch};
pub use extract::{ExtractError, Extractor};
pub use pairing::Pairing;
pub use raw::{Raw, Sample};
pub use sampler::Sampler;
pub use sensorium_pack::Modality;
pub use set::{ContentKey, DataSet, Entry, SampleError, SenseSet};
pub use setting::SettingError;
pub use split::{Split, SplitConfig};
pub use tally::{Broken, Tally};

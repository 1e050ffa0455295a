//! The model bundle: one file that holds all that a device needs to name events.
//!
//! A pack is an uncompressed zip, so any tool opens it:
//!
//! | member | what it is |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: spaces, encoders, provenance, and the SHA-256 of every other member |
//! | encoders | ONNX files |
//! | prompts | the phrases whose text embeddings are included, and these as `.npy` rows |
//! | classes | `classes.toml` with the default classes |
//! | golden | an input of each encoder and the output that it must give, as `.npy` |
//!
//! [`Pack::open`] checks size and hash of every member before anyone may parse it. Version 1 of
//! the format is only ever extended by optional keys; unknown keys are refused, since a key that
//! changes numbers must not be ignored.

mod manifest;
pub mod npy;
mod read;
mod stream;
mod write;

pub use manifest::{
    Activation, DataSet, Encoder, FORMAT, Golden, Layer, MANIFEST, Manifest, Member, Modality,
    ModalityError, Provenance, Resemblance, Scoring, Space, Tower, VERSION,
};
pub use read::{Pack, PackError};
pub use stream::PackFile;
pub use write::{PackWriter, write_whole};

pub use sensorium_core::feature::{FrontEnd, Pooling, Splitter, WordsSpec};

use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

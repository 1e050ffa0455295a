//! Where a training is, so that it goes on after a break as if there had been none.
//!
//! The file is written whole or not at all, and checked before anything is made of it:
//! SHA-256 of the rest, then three parts, each behind its length: [`Progress`] as JSON, the encoder,
//! the optimiser.

use anyhow::{Context, ensure};
use burn::prelude::Device;
use sensorium_model::backend::Differentiable;
use sensorium_model::optimizer::AdamW;
use sensorium_model::{Tower, state};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::run::RunDir;

/// Name of the file in the training's folder.
pub const FILE: &str = "state.bin";

const DIGEST_LEN: usize = 32;

/// How far a training came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Whole epochs.
    pub epoch: usize,
    /// Steps of the epoch that was begun.
    pub step: usize,
    /// Sum of the losses of these steps.
    #[serde(with = "exact")]
    pub losses: f64,
    /// Sum of the lengths of their gradients.
    #[serde(with = "exact")]
    pub norms: f64,
    /// A line of JSON an epoch.
    pub metrics: Vec<String>,
}

/// Numbers by their bits: a parser of decimals may be off in the last one.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(to)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

/// All that a training's next step depends on, besides its recipe and data.
pub struct State<B: Differentiable> {
    /// How far it came.
    pub progress: Progress,
    /// The encoder.
    pub encoder: Tower<B>,
    /// The optimiser.
    pub optimizer: AdamW<B, Tower<B>>,
}

impl<B: Differentiable> State<B> {
    /// Keeps the state, in the place of the one kept before.
    pub fn save(&self, run: &RunDir) -> anyhow::Result<()> {
        let parts = [
            serde_json::to_vec(&self.progress)?,
            state::save(self.encoder.clone()),
            self.optimizer.to_bytes(),
        ];
        let mut body = Vec::new();
        for part in parts {
            body.extend((part.len() as u64).to_le_bytes());
            body.extend(part);
        }
        let mut file = Sha256::digest(&body).to_vec();
        file.extend(body);
        run.write(FILE, &file)
    }

    /// This state as it was kept in a training's folder; itself if none was.
    pub fn resume(self, run: &RunDir, device: &Device<B>) -> anyhow::Result<Self> {
        let path = run.path(FILE);
        let file = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            file => file.with_context(|| format!("reading {path:?}"))?,
        };
        let parts = parts(&file).with_context(|| format!("reading {path:?}"))?;
        let [progress, encoder, optimizer] = parts;
        let encoder = state::load(self.encoder, encoder.to_vec(), device);
        let spared = encoder.undecayed();
        Ok(Self {
            progress: serde_json::from_slice(progress)
                .with_context(|| format!("reading {path:?}"))?,
            encoder,
            optimizer: self.optimizer.load(optimizer.to_vec(), spared, device),
        })
    }
}

fn parts(file: &[u8]) -> anyhow::Result<[&[u8]; 3]> {
    let (digest, mut body) = file
        .split_at_checked(DIGEST_LEN)
        .context("it is cut off; remove it to train anew")?;
    ensure!(
        Sha256::digest(body).as_slice() == digest,
        "it was altered or cut off; remove it to train anew"
    );
    let mut parts = [&[] as &[u8]; 3];
    for part in &mut parts {
        let (len, rest) = body.split_first_chunk().context("a part is missing")?;
        let len = usize::try_from(u64::from_le_bytes(*len))?;
        (*part, body) = rest.split_at_checked(len).context("a part is cut off")?;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_here_is_refused() {
        let mut body = Vec::new();
        for part in [b"{}".as_slice(), b"", b"abc"] {
            body.extend((part.len() as u64).to_le_bytes());
            body.extend(part);
        }
        let mut file = Sha256::digest(&body).to_vec();
        file.extend(&body);
        assert_eq!(parts(&file).unwrap(), [b"{}".as_slice(), b"", b"abc"]);
        for len in 0..file.len() {
            assert!(parts(&file[..len]).is_err(), "{len} of {}", file.len());
        }
        for byte in 0..file.len() {
            let mut altered = file.clone();
            altered[byte] ^= 1;
            assert!(parts(&altered).is_err(), "byte {byte}");
        }
    }
}

//! Frozen spaces that pictures and words lie in together.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, ensure};
use sensorium_core::bank::normalize;
use sensorium_core::feature::Image;
use sensorium_data::{Modality, Raw};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::model::Output;

/// A frozen image-text space.
pub trait AnchorSpace {
    /// Its name in packs.
    fn name(&self) -> &str;

    /// Numbers in an embedding.
    fn dim(&self) -> usize;

    /// SHA-256, in hexadecimal, of all that decides its numbers: files by content, and parameters.
    fn id(&self) -> String;

    /// One embedding a picture, L2-normalised.
    ///
    /// # Errors
    ///
    /// A tower that fails, or gives what is no embedding.
    fn embed_images(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>>;

    /// The sense whose recordings it embeds.
    fn sense(&self) -> Modality {
        Modality::Image
    }

    /// One embedding a recording of that sense, L2-normalised.
    ///
    /// # Errors
    ///
    /// A tower that fails, or gives what is no embedding; a recording of another sense.
    fn embed(&self, recordings: Vec<Raw>) -> anyhow::Result<Vec<Vec<f32>>> {
        self.embed_images(&pictures(recordings)?)
    }

    /// One embedding for each of what another sense's front end made, taken for pictures; L2-normalised.
    ///
    /// # Errors
    ///
    /// A space that only takes pictures, or numbers that are none of its own inputs.
    fn embed_inputs(&self, _inputs: &[Vec<f32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        anyhow::bail!(
            "{:?} embeds pictures only, expected a space of kind conse",
            self.name()
        )
    }

    /// The net that it embeds pictures with, as one ONNX file whose only output is an output of that
    /// net and, after it, the embedding.
    ///
    /// # Errors
    ///
    /// A space that has no such net, or not that one.
    fn beside(&self, net: &Path, _output: Option<&Output>) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!(
            "{:?} is made of no net {net:?}, expected a space of kind conse",
            self.name()
        )
    }

    /// One embedding a text, L2-normalised.
    ///
    /// # Errors
    ///
    /// A tower that fails, or gives what is no embedding.
    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>>;
}

/// Recordings, all of which are pictures.
pub fn pictures(recordings: Vec<Raw>) -> anyhow::Result<Vec<Image<3>>> {
    let picture = |raw| match raw {
        Raw::Image(image) => Ok(image),
        other => anyhow::bail!("it is {}, expected a picture in colours", other.kind()),
    };
    recordings.into_iter().map(picture).collect()
}

/// The identity of a space under construction: named parts, each with its length, so that no two
/// spaces come to the same bytes.
#[derive(Debug, Clone)]
pub struct Identity(Sha256);

impl Identity {
    /// Of a kind of space.
    pub fn new(kind: &str) -> Self {
        Self(Sha256::new()).bytes("kind", kind.as_bytes())
    }

    /// With bytes.
    pub fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        let len = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
        let hash = self.0.chain_update(len(name.as_bytes())).chain_update(name);
        Self(hash.chain_update(len(bytes)).chain_update(bytes))
    }

    /// With the content of a file.
    pub fn file(self, name: &str, path: &Path) -> anyhow::Result<Self> {
        Ok(self.bytes(name, &file_digest(path)?))
    }

    /// With parameters.
    pub fn parameters(self, name: &str, parameters: &impl Serialize) -> anyhow::Result<Self> {
        Ok(self.bytes(name, &serde_json::to_vec(parameters)?))
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Bytes of a file that are read at once.
const BLOCK: usize = 1 << 20;

/// SHA-256 of a file's content, which may be larger than memory.
pub fn file_digest(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut read = || -> std::io::Result<()> {
        let mut file = BufReader::with_capacity(BLOCK, File::open(path)?);
        loop {
            let block = file.fill_buf()?;
            if block.is_empty() {
                return Ok(());
            }
            hash.update(block);
            let len = block.len();
            file.consume(len);
        }
    };
    read().with_context(|| format!("reading {path:?}"))?;
    Ok(hash.finalize().into())
}

/// SHA-256 of a folder with a text model, as [`TextTower`](sensorium_engine::text::TextTower)
/// reads it.
pub fn text_model_digest(dir: &Path) -> anyhow::Result<String> {
    let identity = Identity::new("text model").file("model", &dir.join("model.onnx"))?;
    Ok(identity
        .file("tokenizer", &dir.join("tokenizer.json"))?
        .finish())
}

/// A vector at length 1.
pub fn unit(mut vector: Vec<f32>) -> anyhow::Result<Vec<f32>> {
    ensure!(
        vector.iter().all(|value| value.is_finite()) && vector.iter().any(|value| *value != 0.0),
        "it gave no direction: {} numbers, not all finite or all 0",
        vector.len()
    );
    normalize(&mut vector);
    Ok(vector)
}

/// A vector less the centre of its space, at length 1.
pub fn centred(vector: &[f32], centre: &[f32]) -> anyhow::Result<Vec<f32>> {
    unit(vector.iter().zip(centre).map(|(v, c)| v - c).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_tell_parts_apart() {
        let id = |parts: &[(&str, &str)]| {
            let identity = parts
                .iter()
                .fold(Identity::new("test"), |id, (name, part)| {
                    id.bytes(name, part.as_bytes())
                });
            identity.finish()
        };
        assert_eq!(id(&[("a", "bc")]), id(&[("a", "bc")]));
        assert_eq!(id(&[]).len(), 64);
        let all = [
            id(&[]),
            id(&[("a", "bc")]),
            id(&[("ab", "c")]),
            id(&[("a", "b"), ("c", "")]),
            id(&[("c", ""), ("a", "b")]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn what_has_no_direction_is_no_embedding() {
        assert_eq!(unit(vec![3.0, 4.0]).unwrap(), [0.6, 0.8]);
        assert_eq!(centred(&[3.0, 4.0], &[3.0, 0.0]).unwrap(), [0.0, 1.0]);
        assert!(unit(vec![0.0; 3]).is_err());
        assert!(unit(vec![1.0, f32::NAN]).is_err());
        assert!(unit(vec![1.0, f32::INFINITY]).is_err());
    }
}

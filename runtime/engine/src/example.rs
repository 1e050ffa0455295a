//! Classes by example: files in which something happens, and classes as small files of their own.
//!
//! ```text
//! gate1.wav ┐
//! gate2.wav ├─ encoder ─▶ mean ─▶ class vector ─▶ gate.json (a few kB) ─▶ examples = ["gate.json"]
//! gate3.wav ┘
//! ```
//!
//! An example is embedded as any window is; the class vector is the mean, of length 1. A class file
//! holds for every pack whose space has the same fingerprint, and for every sense of that space.

use std::path::{Path, PathBuf};

use sensorium_core::bank::normalize;
use sensorium_kernels::dot_f32;
use sensorium_pack::{Modality, Pack};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::embed::{EmbedError, Encoders, Recorded};
use crate::encode::EncodeError;
use crate::space::Space;

/// What a class file says it is.
const FORMAT: &str = "sensorium-class";

/// The version of that format.
const VERSION: u32 = 1;

/// How far from 1 the length of a class vector may be.
const NORM_TOLERANCE: f32 = 1e-3;

/// Why there is no class vector of examples.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// The file cannot be read.
    #[error("{path:?}: the file cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no class file.
    #[error("{path:?} is not a class file")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// It is a class file of another version, or something else.
    #[error("{path:?} says {format:?} version {version}, expected {FORMAT:?} version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        format: String,
        /// The version that it names.
        version: u32,
    },
    /// It was made for another space.
    #[error(
        "{path:?} is a class of the space {found:?} ({found_fingerprint}), expected {expected:?} \
         ({expected_fingerprint}): enrol it again with this pack"
    )]
    OtherSpace {
        /// The file.
        path: PathBuf,
        /// Name of the space that it was made for.
        found: String,
        /// Its fingerprint.
        found_fingerprint: String,
        /// Name of the space here.
        expected: String,
        /// Its fingerprint.
        expected_fingerprint: String,
    },
    /// The numbers are no class vector.
    #[error("{path:?} holds {len} numbers of length {norm}, expected {dim} of length 1")]
    Vector {
        /// The file.
        path: PathBuf,
        /// How many there are.
        len: usize,
        /// Their Euclidean length.
        norm: f32,
        /// How many there should be.
        dim: usize,
    },
    /// The sense of the example is embedded elsewhere.
    #[error("{path:?}: encoder {encoder:?} embeds into the space {found:?}, not {expected:?}")]
    Encoder {
        /// The file.
        path: PathBuf,
        /// The encoder.
        encoder: String,
        /// Its space.
        found: String,
        /// The space of the classes.
        expected: String,
    },
    /// There is no pack to embed a recording with.
    #[error("{path:?} is no class file, and there is no pack to embed it with")]
    NoPack {
        /// The file.
        path: PathBuf,
    },
    /// Examples that have nothing in common.
    #[error("the examples cancel out: their mean embedding is 0")]
    Nothing,
    /// The pack's encoder cannot be used.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A file has no embedding.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// A class as a file of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFile {
    format: String,
    version: u32,
    /// What it was called where it was made.
    pub name: String,
    /// Senses that it is for; all, if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// Name of the space that the vector lies in.
    pub space: String,
    /// Its [`Space::fingerprint`].
    pub fingerprint: String,
    /// How many examples it is the mean of; 0 if it was made of words.
    #[serde(default)]
    pub examples: usize,
    /// The class, of length 1.
    pub vector: Vec<f32>,
}

impl ClassFile {
    /// A class of this space.
    #[must_use]
    pub fn new(name: &str, modalities: Vec<Modality>, space: &Space, vector: Vec<f32>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            name: name.to_owned(),
            modalities,
            space: space.name().to_owned(),
            fingerprint: space.fingerprint(),
            examples: 0,
            vector,
        }
    }

    /// Name and [`Space::fingerprint`] of the space that a class file is for.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no class file.
    pub fn made_for(path: &Path) -> Result<(String, String), ExampleError> {
        let file = Self::read(path)?;
        Ok((file.space, file.fingerprint))
    }

    /// Reads a class file, which must be of this space.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no class file, or is of another space.
    pub fn open(path: &Path, space: &Space) -> Result<Self, ExampleError> {
        let file = Self::read(path)?;
        let path = || path.to_owned();
        let expected_fingerprint = space.fingerprint();
        if file.fingerprint != expected_fingerprint {
            return Err(ExampleError::OtherSpace {
                path: path(),
                found: file.space,
                found_fingerprint: file.fingerprint,
                expected: space.name().to_owned(),
                expected_fingerprint,
            });
        }
        let norm = dot_f32(&file.vector, &file.vector).sqrt();
        if file.vector.len() != space.dim() || (norm - 1.0).abs() > NORM_TOLERANCE || norm.is_nan()
        {
            return Err(ExampleError::Vector {
                path: path(),
                len: file.vector.len(),
                norm,
                dim: space.dim(),
            });
        }
        Ok(file)
    }

    fn read(path: &Path) -> Result<Self, ExampleError> {
        let path = || path.to_owned();
        let text = std::fs::read_to_string(path()).map_err(|source| ExampleError::Read {
            path: path(),
            source,
        })?;
        /// Only what says whether the rest can be understood.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let other = |source| ExampleError::Format {
            path: path(),
            source,
        };
        let Head { format, version } = serde_json::from_str(&text).map_err(other)?;
        if format != FORMAT || version != VERSION {
            return Err(ExampleError::Version {
                path: path(),
                format,
                version,
            });
        }
        serde_json::from_str(&text).map_err(other)
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// None for vectors of finite numbers; the writer's own are passed on.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|json| json + "\n")
    }
}

/// Whether an example of this name is a class file: they end in `.json`, and recordings do not.
#[must_use]
pub fn is_class_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

/// The embeddings of an example: of a recording of this sense, or the vector of a class file
/// (`.json`).
///
/// # Errors
///
/// A file that is neither, or an encoder that embeds into another space.
pub fn embed_example(
    path: &Path,
    modality: Modality,
    space: &Space,
    pack: Option<&Pack>,
) -> Result<Vec<Vec<f32>>, ExampleError> {
    if is_class_file(path) {
        return Ok(vec![ClassFile::open(path, space)?.vector]);
    }
    let Some(pack) = pack else {
        return Err(ExampleError::NoPack {
            path: path.to_owned(),
        });
    };
    embed_recording(
        path,
        &Encoders::load(pack, modality)?,
        space,
        Recorded::default(),
    )
}

/// The embeddings of a recording in this space.
///
/// # Errors
///
/// A file without an embedding, or an encoder that embeds into another space.
pub fn embed_recording(
    path: &Path,
    encoders: &Encoders,
    space: &Space,
    recorded: Recorded,
) -> Result<Vec<Vec<f32>>, ExampleError> {
    let Some(place) = encoders.for_file_in(path, space.name())? else {
        let first = &encoders.all()[0];
        return Err(ExampleError::Encoder {
            path: path.to_owned(),
            encoder: first.name().to_owned(),
            found: first.space().to_owned(),
            expected: space.name().to_owned(),
        });
    };
    Ok(encoders.all()[place].embed_file(path, recorded)?.rows)
}

/// The class vector of examples: their mean, of length 1.
///
/// # Errors
///
/// [`ExampleError::Nothing`] if there is none, or nothing is left of them.
pub fn mean_vector<'a>(
    embeddings: impl IntoIterator<Item = &'a [f32]>,
) -> Result<Vec<f32>, ExampleError> {
    /// Shortest sum that has a direction: embeddings have length 1.
    const SHORTEST: f32 = 1e-3;
    let mut sum: Vec<f32> = Vec::new();
    for embedding in embeddings {
        sum.resize(embedding.len(), 0.0);
        for (sum, value) in sum.iter_mut().zip(embedding) {
            *sum += value;
        }
    }
    if dot_f32(&sum, &sum).sqrt() < SHORTEST {
        return Err(ExampleError::Nothing);
    }
    normalize(&mut sum);
    Ok(sum)
}

/// How alike each embedding is to the mean of the others: an example that is not what the others are
/// stands out. Of one alone, 1.
#[must_use]
pub fn likeness(embeddings: &[Vec<f32>]) -> Vec<f32> {
    let like_others = |(at, one): (usize, &Vec<f32>)| {
        let others = embeddings
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at);
        let mean = mean_vector(others.map(|(_, embedding)| embedding.as_slice()));
        mean.map_or(0.0, |mean| dot_f32(one, &mean))
    };
    match embeddings {
        [_] => vec![1.0],
        _ => embeddings.iter().enumerate().map(like_others).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_length_one_and_the_odd_one_stands_out() {
        let rows = vec![vec![1.0, 0.0], vec![0.8, 0.6], vec![0.0, -1.0]];
        let mean = mean_vector(rows[..2].iter().map(Vec::as_slice)).unwrap();
        assert!((dot_f32(&mean, &mean) - 1.0).abs() < 1e-6 && mean[0] > mean[1]);
        let likeness = likeness(&rows);
        assert!(likeness[2] < 0.0 && likeness[0] > 0.5, "{likeness:?}");
        assert_eq!(super::likeness(&rows[..1]), [1.0]);
        let opposite = [[1.0, 0.0], [-1.0, 0.0]];
        let error = mean_vector(opposite.iter().map(<[f32; 2]>::as_slice)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the examples cancel out: their mean embedding is 0"
        );
        assert!(mean_vector([]).is_err());
    }
}

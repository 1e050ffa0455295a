//! An embedding space of a pack, and how words get into it.

use std::collections::BTreeMap;
use std::path::Path;

use sensorium_core::bank::class_vector;
use sensorium_kernels::dot_f32;
use sensorium_pack::{Pack, PackError, sha256_hex};
use thiserror::Error;

use crate::text::{TextError, TextTower};
use sensorium_pack::npy::{Array, NpyError};

/// A text model is the pack's own if it embeds one of the pack's prompts at least this alike.
/// Different builds of one model differ by rounding; another model is near 0.
const SAME_MODEL_COSINE: f32 = 0.99;

/// Why words have no embedding.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The pack lacks what its manifest refers to.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no such space.
    #[error("the pack has no space {name:?}")]
    NoSpace {
        /// Its name.
        name: String,
    },
    /// An array of the space cannot be read.
    #[error("member {path:?} of the pack")]
    Array {
        /// The member.
        path: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// An array of the space has another shape than the space.
    #[error("member {path:?} of the pack has shape {actual:?}, expected {expected:?}")]
    Shape {
        /// The member.
        path: String,
        /// Its shape.
        actual: Vec<usize>,
        /// What fits.
        expected: Vec<usize>,
    },
    /// The list of prompts is not understood.
    #[error("member {path:?} of the pack is not a list of phrases")]
    Prompts {
        /// The member.
        path: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The pack does not know these words and there is no text model to ask.
    #[error(
        "the pack does not know the words {prompt:?}; give the text model that they shall be \
         embedded with (--text-model DIR, {text_model}), or use a compiled class file"
    )]
    Unknown {
        /// The words.
        prompt: String,
        /// The model that fits.
        text_model: String,
    },
    /// The text model cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The text model is not the one that the space is made of.
    #[error(
        "the text model is not {expected}: it embeds {prompt:?} with a cosine of {cosine:.3} to \
         the pack's own"
    )]
    OtherModel {
        /// The model that fits.
        expected: String,
        /// A phrase of the pack.
        prompt: String,
        /// How alike the two embeddings are; 0 if they differ in length.
        cosine: f32,
    },
}

/// A space: what it is made of, the words it knows, and perhaps a text model for others.
#[derive(Debug)]
pub struct Space {
    name: String,
    dim: usize,
    text_model: String,
    centre: Vec<f32>,
    prompts: BTreeMap<String, Vec<f32>>,
    tower: Option<TextTower>,
}

impl Space {
    /// Reads a space of a pack.
    ///
    /// # Errors
    ///
    /// The pack has no such space, or its members do not fit together.
    pub fn load(pack: &Pack, name: &str) -> Result<Self, SpaceError> {
        let no_space = || SpaceError::NoSpace {
            name: name.to_owned(),
        };
        let entry = pack.manifest().space(name).ok_or_else(no_space)?;
        let array = |path: &str, expected: Vec<usize>| -> Result<Array, SpaceError> {
            let array = Array::from_bytes(pack.member(path)?);
            let array = array.map_err(|source| SpaceError::Array {
                path: path.to_owned(),
                source,
            })?;
            if array.shape == expected {
                return Ok(array);
            }
            Err(SpaceError::Shape {
                path: path.to_owned(),
                actual: array.shape,
                expected,
            })
        };
        let centre = array(&entry.centre, vec![entry.dim])?.values;
        let phrases: Vec<String> =
            serde_json::from_slice(pack.member(&entry.prompts)?).map_err(|source| {
                SpaceError::Prompts {
                    path: entry.prompts.clone(),
                    source,
                }
            })?;
        let rows = array(&entry.prompt_rows, vec![phrases.len(), entry.dim])?;
        let prompts = phrases.into_iter().zip(rows.rows().map(<[f32]>::to_vec));
        Ok(Self {
            name: entry.name.clone(),
            dim: entry.dim,
            text_model: entry.text_model.clone(),
            centre,
            prompts: prompts.collect(),
            tower: None,
        })
    }

    /// The same space, able to embed any words.
    ///
    /// # Errors
    ///
    /// A folder that holds no text model, or not the one that the space is made of.
    pub fn with_text_model(mut self, dir: &Path) -> Result<Self, SpaceError> {
        let tower = TextTower::open(dir)?;
        if let Some((prompt, expected)) = self.prompts.first_key_value() {
            let row = &tower.embed(&[prompt])?[0];
            let cosine = if row.len() == expected.len() {
                dot_f32(row, expected)
            } else {
                0.0
            };
            if cosine < SAME_MODEL_COSINE || cosine.is_nan() {
                return Err(SpaceError::OtherModel {
                    expected: self.text_model,
                    prompt: prompt.clone(),
                    cosine,
                });
            }
        }
        self.tower = Some(tower);
        Ok(self)
    }

    /// Its name in the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What tells this space from others: embeddings of spaces with one fingerprint may meet.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let bytes: Vec<u8> = self.centre.iter().flat_map(|v| v.to_le_bytes()).collect();
        let text = format!("{}\n{}", self.text_model, sha256_hex(&bytes));
        sha256_hex(text.as_bytes())[..16].to_owned()
    }

    /// The phrases that need no text model.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    /// The vector of a class that these prompts describe.
    ///
    /// # Errors
    ///
    /// Words that the pack does not know, without a text model, or one that fails.
    pub fn class_vector(&self, prompts: &[String]) -> Result<Vec<f32>, SpaceError> {
        let rows = prompts
            .iter()
            .map(|prompt| self.prompt_row(prompt))
            .collect::<Result<Vec<_>, _>>()?;
        let mut vector = vec![0.0; self.dim];
        class_vector(rows.iter().map(Vec::as_slice), &self.centre, &mut vector);
        Ok(vector)
    }

    fn prompt_row(&self, prompt: &str) -> Result<Vec<f32>, SpaceError> {
        if let Some(row) = self.prompts.get(prompt) {
            return Ok(row.clone());
        }
        let Some(tower) = &self.tower else {
            return Err(SpaceError::Unknown {
                prompt: prompt.to_owned(),
                text_model: self.text_model.clone(),
            });
        };
        Ok(tower.embed(&[prompt])?.remove(0))
    }
}

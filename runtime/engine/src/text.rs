//! Words to vectors: a frozen sentence encoder, and the space that class names live in.
//!
//! ```text
//! prompt ─WordPiece─▶ ids ─encoder─▶ [tokens, D] ─mean─▶ [D] ─L2─▶ prompt embedding
//! prompt embeddings of one class ─mean─▶ − centre ─L2─▶ class embedding
//! ```
//!
//! A folder holds the tower as two files: `model.onnx` (inputs `input_ids`, `attention_mask` and,
//! if it likes, `token_type_ids`, all i64 `[batch, tokens]`; output `[batch, tokens, D]`) and
//! `tokenizer.json`. MiniLM-L6 is what the project trains against.
//!
//! The tokenizer file may ask for padding to a fixed length. It is switched off here: prompts run
//! one by one, so no embedding ever averages over padding.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokenizers::Tokenizer;
use tract_onnx::prelude::*;

/// Longest prompt in tokens, the first and last special ones included.
const MAX_TOKENS: usize = 128;

/// Why a text tower could not be opened or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file of the folder cannot be read.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokenizer's file is not one.
    #[error("{path:?} is not a tokenizer")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What its parser said.
        source: tokenizers::Error,
    },
    /// The model's file is not a model that can be run.
    #[error("{path:?} is not a usable text model")]
    Model {
        /// The file.
        path: PathBuf,
        /// What the inference library said.
        source: TractError,
    },
    /// The model asks for an input that is not one of a sentence encoder.
    #[error(
        "the text model has an input {name:?}, expected input_ids, attention_mask or token_type_ids"
    )]
    Input {
        /// The input's name.
        name: String,
    },
    /// The model's output is not one vector a token.
    #[error("the text model's output has shape {shape:?}, expected [1, {tokens}, D]")]
    Output {
        /// The output's shape.
        shape: Vec<usize>,
        /// Tokens that went in.
        tokens: usize,
    },
    /// A prompt holds no word.
    #[error("prompt {index} is empty")]
    EmptyPrompt {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// A prompt cannot be split into tokens.
    #[error("splitting {prompt:?} into tokens")]
    Tokens {
        /// The prompt.
        prompt: String,
        /// What the tokenizer said.
        source: tokenizers::Error,
    },
    /// The model failed on a prompt.
    #[error("running the text model on {prompt:?}")]
    Run {
        /// The prompt.
        prompt: String,
        /// What the inference library said.
        source: TractError,
    },
}

/// What a model input is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Types,
}

/// What stands for words of which the tokenizer knows no piece.
const UNKNOWN: &str = "[UNK]";

/// What pieces begin with that continue a word.
const CONTINUES: &str = "##";

/// How a prompt comes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    /// Pieces of words.
    pub pieces: usize,
    /// Of these, such as continue a word.
    pub continued: usize,
    /// Of these, such as stand for what is not known at all.
    pub unknown: usize,
    /// Letters and digits of the prompt.
    pub characters: usize,
}

/// A frozen sentence encoder.
///
/// # Examples
///
/// ```no_run
/// use sensorium_engine::text::TextTower;
/// let tower = TextTower::open("text-model".as_ref())?;
/// let rows = tower.embed(&["a person walking", "a person sitting"])?;
/// assert_eq!(rows[0].len(), tower.dim());
/// # Ok::<(), sensorium_engine::text::TextError>(())
/// ```
pub struct TextTower {
    tokenizer: Tokenizer,
    model: Arc<TypedRunnableModel>,
    inputs: Vec<Input>,
    dim: usize,
}

impl std::fmt::Debug for TextTower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTower")
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

impl TextTower {
    /// Loads `model.onnx` and `tokenizer.json` of a folder, and runs them once.
    ///
    /// # Errors
    ///
    /// A file that is missing or not what its name says, or a model of another form.
    pub fn open(dir: &Path) -> Result<Self, TextError> {
        let read = |name: &str| {
            let path = dir.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok((path, bytes)),
                Err(source) => Err(TextError::Read { path, source }),
            }
        };
        let (tokenizer, model) = (read("tokenizer.json")?, read("model.onnx")?);
        Self::of((&model.0, &model.1), (&tokenizer.0, &tokenizer.1))
    }

    /// As [`open`](Self::open), of files in memory, each with the name that errors call it by.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn of(model: (&Path, &[u8]), tokenizer: (&Path, &[u8])) -> Result<Self, TextError> {
        let tokenizer = read_tokenizer(tokenizer.0, tokenizer.1)?;
        let (model, inputs) = read_model(model.0, model.1)?;
        let mut tower = Self {
            tokenizer,
            model,
            inputs,
            dim: 0,
        };
        tower.dim = tower.embed_one("a word")?.len();
        Ok(tower)
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How a prompt comes apart: the pieces that it is made of, and the characters in its words.
    ///
    /// # Errors
    ///
    /// A prompt that cannot be split.
    pub fn pieces(&self, prompt: &str) -> Result<Pieces, TextError> {
        let encoding = self.tokenizer.encode(prompt, false);
        let encoding = encoding.map_err(|source| TextError::Tokens {
            prompt: prompt.to_owned(),
            source,
        })?;
        let unknown = self.tokenizer.token_to_id(UNKNOWN);
        let is_unknown = |id: &&u32| Some(**id) == unknown;
        Ok(Pieces {
            pieces: encoding.len(),
            continued: { encoding.get_tokens().iter() }
                .filter(|token| token.starts_with(CONTINUES))
                .count(),
            unknown: encoding.get_ids().iter().filter(is_unknown).count(),
            characters: prompt.chars().filter(|c| c.is_alphanumeric()).count(),
        })
    }

    /// One embedding a prompt, in the order given: the mean of its token vectors, L2-normalised.
    /// Not centred: see [`class_vector`](sensorium_core::bank::class_vector).
    ///
    /// # Errors
    ///
    /// A prompt that is empty, or a model that fails on one.
    pub fn embed(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>, TextError> {
        prompts
            .iter()
            .enumerate()
            .map(|(index, prompt)| {
                if prompt.trim().is_empty() {
                    return Err(TextError::EmptyPrompt { index });
                }
                self.embed_one(prompt)
            })
            .collect()
    }

    fn embed_one(&self, prompt: &str) -> Result<Vec<f32>, TextError> {
        let encoding = self
            .tokenizer
            .encode(prompt, true)
            .map_err(|source| TextError::Tokens {
                prompt: prompt.to_owned(),
                source,
            })?;
        let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        let (output, shape) = self.run(&ids).map_err(|source| TextError::Run {
            prompt: prompt.to_owned(),
            source,
        })?;
        let dim = match shape[..] {
            [1, tokens, dim] if tokens == ids.len() && dim > 0 => dim,
            _ => {
                return Err(TextError::Output {
                    shape,
                    tokens: ids.len(),
                });
            }
        };
        let mut mean = mean_row(output.chunks_exact(dim), dim);
        sensorium_core::bank::normalize(&mut mean);
        Ok(mean)
    }

    /// The model's output for one prompt, and its shape.
    fn run(&self, ids: &[i64]) -> TractResult<(Vec<f32>, Vec<usize>)> {
        let row = |values: &[i64]| Tensor::from_shape(&[1, values.len()], values);
        let mut inputs = TVec::new();
        for input in &self.inputs {
            let tensor = match input {
                Input::Ids => row(ids)?,
                Input::Mask => row(&vec![1; ids.len()])?,
                Input::Types => row(&vec![0; ids.len()])?,
            };
            inputs.push(tensor.into());
        }
        let outputs = self.model.run(inputs)?;
        let output = outputs[0].cast_to::<f32>()?;
        let values = output
            .to_plain_array_view::<f32>()?
            .iter()
            .copied()
            .collect();
        Ok((values, output.shape().to_vec()))
    }
}

fn mean_row<'a>(rows: impl Iterator<Item = &'a [f32]>, dim: usize) -> Vec<f32> {
    let (mut sums, mut count) = (vec![0.0f64; dim], 0.0f64);
    for row in rows {
        assert_eq!(row.len(), dim, "embeddings differ in length");
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
        count += 1.0;
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

fn read_tokenizer(path: &Path, bytes: &[u8]) -> Result<Tokenizer, TextError> {
    let parsed = Tokenizer::from_bytes(bytes).and_then(|mut tokenizer| {
        tokenizer.with_padding(None);
        let truncation = tokenizers::TruncationParams {
            max_length: MAX_TOKENS,
            ..tokenizers::TruncationParams::default()
        };
        tokenizer.with_truncation(Some(truncation))?;
        Ok(tokenizer)
    });
    parsed.map_err(|source| TextError::Tokenizer {
        path: path.to_owned(),
        source,
    })
}

fn read_model(
    path: &Path,
    mut bytes: &[u8],
) -> Result<(Arc<TypedRunnableModel>, Vec<Input>), TextError> {
    let mut parse = || -> TractResult<_> {
        let model = tract_onnx::onnx().model_for_read(&mut bytes)?;
        let names: Vec<String> = model
            .input_outlets()?
            .iter()
            .map(|o| model.node(o.node).name.clone())
            .collect();
        // Shapes stay symbolic: fixing them makes the analysis of MiniLM's mask fail.
        Ok((model.into_optimized()?.into_runnable()?, names))
    };
    let (model, names) = match parse() {
        Ok(parsed) => parsed,
        Err(source) => {
            let path = path.to_owned();
            return Err(TextError::Model { path, source });
        }
    };
    let inputs = names
        .into_iter()
        .map(|name| match name.as_str() {
            "input_ids" => Ok(Input::Ids),
            "attention_mask" => Ok(Input::Mask),
            "token_type_ids" => Ok(Input::Types),
            _ => Err(TextError::Input { name }),
        })
        .collect::<Result<_, _>>()?;
    Ok((model, inputs))
}

#[cfg(test)]
mod tests;

//! Words to vectors: a frozen text encoder, and the space that class names live in.
//!
//! ```text
//! prompt ─tokenizer─▶ ids ─encoder─▶ [tokens, D] ─pooling─▶ [D] ─projection─▶ ─L2─▶ prompt embedding
//! prompt embeddings of one class ─mean─▶ − centre ─L2─▶ class embedding
//! ```
//!
//! A folder holds the tower as two files: `model.onnx` (inputs `input_ids`, `attention_mask` and,
//! if it likes, `token_type_ids`, all `[batch, tokens]`; output `[batch, tokens, D]`) and
//! `tokenizer.json`. MiniLM-L6 is what the project trains against. Towers of packs may say more of
//! themselves ([`WordsSpec`]): those of CLIP and its kin have a length that all texts are filled up to,
//! and give one vector.
//!
//! What the tokenizer file says of padding and length does not count: prompts run one by one, so no
//! embedding ever averages over padding.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sensorium_core::text::ClipTokenizer;
use sensorium_pack::{Pooling, Splitter, WordsSpec};
use thiserror::Error;
use tokenizers::{Encoding, Tokenizer};
use tract_onnx::prelude::TractError;

mod model;
mod projection;
mod taught;

pub use projection::{Dense, ProjectionError};
pub use taught::Taught;

use model::TextModel;

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
    /// There is no tokenizer, and none that the runtime has is asked for.
    #[error("the text tower has no tokenizer, expected a file, or splitter \"clip\"")]
    NoTokenizer,
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
        "the text model has an input {name:?}, expected input_ids, attention_mask, token_type_ids \
         or position_ids"
    )]
    Input {
        /// The input's name.
        name: String,
    },
    /// The model's output is not one vector a token, or, of a model that pools by itself, not one
    /// vector.
    #[error("the text model's output has shape {shape:?}, expected {expected}")]
    Output {
        /// The output's shape.
        shape: Vec<usize>,
        /// What fits.
        expected: String,
    },
    /// The layers after the model do not fit it, or each other.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
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

/// Texts that run together at most.
const TOGETHER: usize = 32;

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

/// A frozen text encoder.
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
    tokenizer: Tokens,
    model: TextModel,
    words: WordsSpec,
    projection: Vec<Dense>,
    dim: usize,
}

/// Weights of a text model that lie in other files, by their locations.
pub(crate) type Beside = BTreeMap<String, Vec<u8>>;

/// What cuts texts into tokens.
enum Tokens {
    File(Box<Tokenizer>),
    Clip(Box<ClipTokenizer>),
}

impl std::fmt::Debug for TextTower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTower")
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

/// A text as tokens, perhaps with those that stand around it.
fn cut(tokenizer: &Tokenizer, text: &str, with_special: bool) -> Result<Encoding, TextError> {
    let encoding = tokenizer.encode(text, with_special);
    encoding.map_err(|source| TextError::Tokens {
        prompt: text.to_owned(),
        source,
    })
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
        Self::with_words(model, Some(tokenizer), WordsSpec::default(), Vec::new())
    }

    /// As [`of`](Self::of), of a tower that takes words otherwise, and perhaps has layers after it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_words(
        model: (&Path, &[u8]),
        tokenizer: Option<(&Path, &[u8])>,
        words: WordsSpec,
        projection: Vec<Dense>,
    ) -> Result<Self, TextError> {
        Self::with_weights(model, &Beside::new(), tokenizer, words, projection)
    }

    /// As [`with_words`](Self::with_words), of a model whose weights may lie elsewhere.
    pub(crate) fn with_weights(
        model: (&Path, &[u8]),
        beside: &Beside,
        tokenizer: Option<(&Path, &[u8])>,
        words: WordsSpec,
        projection: Vec<Dense>,
    ) -> Result<Self, TextError> {
        let tokenizer = match (words.splitter, tokenizer) {
            (Splitter::Clip, _) => Tokens::Clip(Box::default()),
            (Splitter::File, Some((path, bytes))) => {
                Tokens::File(Box::new(read_tokenizer(path, bytes, words.tokens)?))
            }
            (Splitter::File, None) => return Err(TextError::NoTokenizer),
        };
        // Of texts that are all of one length, which makes it faster.
        let tokens = words.pad.map(|_| words.tokens);
        let mut tower = Self {
            tokenizer,
            model: TextModel::read(model.0, model.1, beside, tokens)?,
            words,
            projection,
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
        let characters = prompt.chars().filter(|c| c.is_alphanumeric()).count();
        let Tokens::File(tokenizer) = &self.tokenizer else {
            // Any text is made of bytes, which are all known; start and end are none of its pieces.
            return Ok(Pieces {
                pieces: self.ids(prompt)?.len().saturating_sub(2),
                continued: 0,
                unknown: 0,
                characters,
            });
        };
        let encoding = cut(tokenizer, prompt, false)?;
        let unknown = tokenizer.token_to_id(UNKNOWN);
        let is_unknown = |id: &&u32| Some(**id) == unknown;
        Ok(Pieces {
            pieces: encoding.len(),
            continued: { encoding.get_tokens().iter() }
                .filter(|token| token.starts_with(CONTINUES))
                .count(),
            unknown: encoding.get_ids().iter().filter(is_unknown).count(),
            characters,
        })
    }

    /// The words of a prompt as a tokenizer of word pieces has them, in lower case if it makes them so: what
    /// it would cut off is missing. None where it cuts texts into bytes.
    ///
    /// # Errors
    ///
    /// A prompt that cannot be split.
    pub fn split(&self, prompt: &str) -> Result<Vec<String>, TextError> {
        let Tokens::File(tokenizer) = &self.tokenizer else {
            return Ok(Vec::new());
        };
        let encoding = cut(tokenizer, prompt, false)?;
        let mut words = Vec::<String>::new();
        for piece in encoding.get_tokens() {
            match (piece.strip_prefix(CONTINUES), words.last_mut()) {
                (Some(rest), Some(word)) => word.push_str(rest),
                _ => words.push(piece.clone()),
            }
        }
        Ok(words)
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

    /// As [`embed`](Self::embed), faster where there are many prompts: those of equally many tokens run
    /// together, if the model takes several. Numbers may differ in their last digits by what runs beside.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed).
    pub fn embed_many(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>, TextError> {
        if self.words.pad.is_some() || !self.model.takes_several() {
            return self.embed(prompts);
        }
        let mut alike = BTreeMap::<usize, Vec<(usize, Vec<i64>)>>::new();
        for (index, prompt) in prompts.iter().enumerate() {
            if prompt.trim().is_empty() {
                return Err(TextError::EmptyPrompt { index });
            }
            let ids = self.ids(prompt)?;
            alike.entry(ids.len()).or_default().push((index, ids));
        }
        let mut rows = vec![Vec::new(); prompts.len()];
        for (tokens, texts) in alike {
            for texts in texts.chunks(TOGETHER) {
                let places = texts.iter().map(|(index, _)| *index);
                let ids: Vec<i64> = texts.iter().flat_map(|(_, ids)| ids).copied().collect();
                let embedded = self.embed_ids(&ids, tokens, tokens, prompts[texts[0].0])?;
                for (index, row) in places.zip(embedded) {
                    rows[index] = row;
                }
            }
        }
        Ok(rows)
    }

    /// The embedding of one prompt, which may be empty if the tokenizer puts something around it; else
    /// as [`embed`](Self::embed).
    ///
    /// # Errors
    ///
    /// A prompt without any token, or a model that fails on it.
    pub fn embed_one(&self, prompt: &str) -> Result<Vec<f32>, TextError> {
        let mut ids = self.ids(prompt)?;
        let end = ids.len();
        if let Some(pad) = self.words.pad {
            ids.resize(self.words.tokens.max(end), i64::from(pad));
        }
        let mut rows = self.embed_ids(&ids, ids.len(), end, prompt)?;
        rows.pop().ok_or(TextError::EmptyPrompt { index: 0 })
    }

    /// Embeddings of texts of so many tokens each, of which `prompt` is the first.
    fn embed_ids(
        &self,
        ids: &[i64],
        tokens: usize,
        end: usize,
        prompt: &str,
    ) -> Result<Vec<Vec<f32>>, TextError> {
        let run = self.model.run(ids, tokens, end);
        let (output, mut shape) = run.map_err(|source| TextError::Run {
            prompt: prompt.to_owned(),
            source,
        })?;
        let texts = ids.len().checked_div(tokens).unwrap_or(1);
        // Of one text `pooled` looks at the whole shape.
        if texts > 1 {
            if shape.first() != Some(&texts) {
                let expected = format!("[{texts}, ...], of as many texts");
                return Err(TextError::Output { shape, expected });
            }
            shape[0] = 1;
        }
        let one = |output: &[f32]| {
            let pooled = self.pooled(output, shape.clone(), tokens, end)?;
            let mut layers = self.projection.iter();
            let mut embedding = layers.try_fold(pooled, |vector, layer| layer.apply(&vector))?;
            sensorium_core::bank::normalize(&mut embedding);
            Ok(embedding)
        };
        // By number, not in chunks: an empty output has none, and is to be told of.
        let len = output.len() / texts.max(1);
        (0..texts)
            .map(|text| one(&output[text * len..(text + 1) * len]))
            .collect()
    }

    /// The numbers of a prompt's tokens, without padding.
    ///
    /// # Errors
    ///
    /// A prompt without any token.
    pub fn ids(&self, prompt: &str) -> Result<Vec<i64>, TextError> {
        let said = self.words.said(prompt);
        let tokenizer = match &self.tokenizer {
            Tokens::File(tokenizer) => tokenizer,
            Tokens::Clip(tokenizer) => {
                let ids = tokenizer.ids(&said);
                // What follows the end is filled up with zeros, and the end is none.
                let end = ids
                    .iter()
                    .rposition(|id| *id != 0)
                    .map_or(0, |last| last + 1);
                return Ok(ids[..end].iter().map(|id| i64::from(*id)).collect());
            }
        };
        let encoding = cut(tokenizer, &said, true)?;
        if encoding.is_empty() {
            return Err(TextError::EmptyPrompt { index: 0 });
        }
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }

    fn pooled(
        &self,
        output: &[f32],
        shape: Vec<usize>,
        tokens: usize,
        end: usize,
    ) -> Result<Vec<f32>, TextError> {
        let pooling = self.words.pooling;
        let (dim, expected) = match (pooling, &shape[..]) {
            (Pooling::None, &[1, dim]) if dim > 0 => return Ok(output.to_vec()),
            (Pooling::None, _) => (0, "[1, D]".to_owned()),
            (_, &[1, rows, dim]) if rows == tokens => (dim, String::new()),
            _ => (0, format!("[1, {tokens}, D]")),
        };
        if dim == 0 {
            return Err(TextError::Output { shape, expected });
        }
        Ok(pooling.apply(output, dim, end))
    }
}

fn read_tokenizer(path: &Path, bytes: &[u8], tokens: usize) -> Result<Tokenizer, TextError> {
    let parsed = Tokenizer::from_bytes(bytes).and_then(|mut tokenizer| {
        tokenizer.with_padding(None);
        let truncation = tokenizers::TruncationParams {
            max_length: tokens,
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

#[cfg(test)]
mod tests;

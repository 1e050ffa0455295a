//! Texts as text towers number them.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use sensorium_core::text::{CONTEXT, ClipTokenizer, END_OF_TEXT};
use serde::{Deserialize, Serialize};
use tokenizers::{Tokenizer, TruncationParams};

use super::space::Identity;

/// How a text becomes numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenizerSpec {
    /// A `tokenizer.json`.
    File {
        /// The file. What it says of padding and length does not count.
        file: PathBuf,
        /// Longest text in tokens, special ones included; what is more is cut off.
        tokens: usize,
        /// The token that shorter texts are filled up with; without it they are not.
        pad: Option<String>,
    },
    /// CLIP's byte pairs, filled up with 0 to 77.
    Clip,
}

/// A text in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// All numbers, padding included.
    pub ids: Vec<i64>,
    /// Where padding begins.
    pub end: usize,
}

/// Numbers texts.
pub enum TextTokenizer {
    /// By a file.
    File {
        /// What was in the file.
        tokenizer: Box<Tokenizer>,
        /// Number of tokens, and the one to fill up with.
        filled: Option<(usize, u32)>,
    },
    /// By CLIP's byte pairs.
    Clip(Box<ClipTokenizer>),
}

impl TokenizerSpec {
    /// Reads what it needs.
    ///
    /// # Errors
    ///
    /// A file that is missing or no tokenizer, or a token that it does not know.
    pub fn open(&self, base: &Path) -> anyhow::Result<TextTokenizer> {
        let Self::File { file, tokens, pad } = self else {
            return Ok(TextTokenizer::Clip(Box::default()));
        };
        let path = base.join(file);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {path:?}"))?;
        let parse = || -> Result<_, tokenizers::Error> {
            let mut tokenizer = Tokenizer::from_bytes(bytes)?;
            tokenizer.with_padding(None);
            tokenizer.with_truncation(None)?;
            Ok(tokenizer)
        };
        let mut tokenizer = parse()
            .map_err(|error| anyhow!(error).context(format!("{path:?} is not a tokenizer")))?;
        // A text needs room for more than what the tokenizer puts around every one.
        let room = tokenizer
            .encode("", true)
            .map_err(|error| anyhow!(error))?
            .len();
        ensure!(
            *tokens > room,
            "tokenizer.tokens is {tokens}, expected more than {room}, its special tokens"
        );
        let truncation = TruncationParams {
            max_length: *tokens,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|error| anyhow!(error))?;
        let filled = match pad {
            None => None,
            Some(pad) => {
                let id = tokenizer.token_to_id(pad);
                let id =
                    id.with_context(|| format!("{path:?} knows no token {pad:?} to pad with"))?;
                Some((*tokens, id))
            }
        };
        Ok(TextTokenizer::File {
            tokenizer: Box::new(tokenizer),
            filled,
        })
    }

    /// With what decides the numbers.
    pub fn identify(&self, identity: Identity, base: &Path) -> anyhow::Result<Identity> {
        match self {
            Self::Clip => Ok(identity.bytes("tokenizer", b"clip")),
            Self::File { file, tokens, pad } => identity
                .file("tokenizer", &base.join(file))?
                .parameters("tokens", &(tokens, pad)),
        }
    }
}

impl TextTokenizer {
    /// Numbers of every text, if it is always the same.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::File { filled, .. } => filled.map(|(len, _)| len),
            Self::Clip(_) => Some(CONTEXT),
        }
    }

    /// A text in numbers.
    ///
    /// # Errors
    ///
    /// A text that the tokenizer fails on, or of which nothing is left.
    pub fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        let (tokenizer, filled) = match self {
            Self::Clip(tokenizer) => {
                let ids = tokenizer.ids(text);
                let end = ids.iter().position(|id| *id == END_OF_TEXT);
                return Ok(Tokens {
                    end: end.map_or(ids.len(), |end| end + 1),
                    ids: ids.into_iter().map(i64::from).collect(),
                });
            }
            Self::File { tokenizer, filled } => (tokenizer, filled),
        };
        let encoding = tokenizer
            .encode(text, true)
            .map_err(|error| anyhow!(error).context(format!("splitting {text:?} into tokens")))?;
        let mut ids: Vec<i64> = encoding.get_ids().iter().map(|id| i64::from(*id)).collect();
        let end = ids.len();
        ensure!(end > 0, "no token is left of {text:?}");
        if let Some((len, pad)) = *filled {
            ids.resize(len, i64::from(pad));
        }
        Ok(Tokens { ids, end })
    }
}

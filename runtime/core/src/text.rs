//! Text as CLIP's encoders read it: cleaned, cut into words, and numbered by byte pairs.
//!
//! ```text
//! text ─repair─▶ ─entities─▶ lower case, single spaces ─words─▶ byte pairs ─▶ start, numbers, end, 0 ...
//! ```
//!
//! Encoders learned from text that had been through `ftfy` and Python's `html.unescape`, so what
//! these do to quotes, ligatures, entities and wrongly decoded bytes is done here too.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use instant_clip_tokenizer::Tokenizer;
use regex::Regex;

mod entity;
mod mojibake;
mod repair;

pub use entity::unescape;
pub use repair::repair;

/// Numbers of a text, with start and end.
pub const CONTEXT: usize = 77;

/// The number that begins a text.
pub const START_OF_TEXT: u16 = 49_406;

/// The number that ends a text.
pub const END_OF_TEXT: u16 = 49_407;

/// CLIP's byte pairs (Sennrich et al. 2016; Radford et al. 2021).
pub struct ClipTokenizer {
    pairs: Tokenizer,
    words: Regex,
}

/// How the end and the start are written in a text.
const MARKS: [(&str, u16); 2] = [
    ("<|startoftext|>", START_OF_TEXT),
    ("<|endoftext|>", END_OF_TEXT),
];

impl ClipTokenizer {
    /// A tokenizer; making one takes a few milliseconds.
    ///
    /// # Panics
    ///
    /// Never: the expression is a constant.
    #[must_use]
    pub fn new() -> Self {
        let words = Regex::new(
            r"(?x) <\|startoftext\|> | <\|endoftext\|>
                 | (?i: 's | 't | 're | 've | 'm | 'll | 'd )
                 | \p{L}+ | \p{N} | [^\s\p{L}\p{N}]+",
        );
        #[expect(clippy::expect_used, reason = "a constant that a test compiles")]
        let words = words.expect("a constant expression");
        Self {
            pairs: Tokenizer::new(),
            words,
        }
    }

    /// The numbers of a text: start, byte pairs, end, and zeros up to [`CONTEXT`]. What is too much
    /// is cut off before the end.
    #[must_use]
    pub fn ids(&self, text: &str) -> [u16; CONTEXT] {
        let text = clean(text);
        let mut ids = [0; CONTEXT];
        ids[0] = START_OF_TEXT;
        let mut len = 1;
        let (mut word_ids, mut tokens) = (Vec::new(), Vec::new());
        for word in self.words.find_iter(&text) {
            word_ids.clear();
            tokens.clear();
            match MARKS.iter().find(|(mark, _)| *mark == word.as_str()) {
                Some((_, id)) => word_ids.push(*id),
                None => {
                    self.pairs.encode(word.as_str(), &mut tokens);
                    word_ids.extend(tokens.iter().map(|token| token.to_u16()));
                }
            }
            for &id in word_ids.iter().take(CONTEXT - 1 - len) {
                ids[len] = id;
                len += 1;
            }
        }
        ids[len] = END_OF_TEXT;
        ids
    }
}

impl Default for ClipTokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ClipTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipTokenizer").finish_non_exhaustive()
    }
}

/// A text without what its writer did not mean: repaired, entities resolved, in lower case, with
/// single spaces.
#[must_use]
pub fn clean(text: &str) -> String {
    // Twice, since entities are often escaped themselves.
    let text = unescape(&unescape(&repair(text)));
    let mut clean = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    clean.to_lowercase()
}

#[cfg(test)]
mod tests;

//! Words, as encoders of texts take them, and the one vector of what they give.
//!
//! ```text
//! words ─▶ prefix ─▶ lower case ─tokenizer─▶ numbers ─cut, padded─▶ encoder ─▶ [tokens, D] ─pooling─▶ [D]
//! ```

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::front_end::{FrontEndError, in_range};

/// Longest text of an encoder, in tokens.
const MAX_TOKENS: usize = 1 << 16;

/// The parameters of an encoder of texts. By default those of sentence encoders: 128 tokens, no
/// padding, the mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordsSpec {
    /// Longest text in tokens, special ones included; what is more is cut off.
    pub tokens: usize,
    /// The number that shorter texts are filled up with; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<u32>,
    /// What cuts texts into tokens.
    #[serde(default, skip_serializing_if = "Splitter::is_file")]
    pub splitter: Splitter,
    /// What stands before every text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Whether texts are brought to lower case before the tokenizer sees them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lowercase: bool,
    /// What is made of the encoder's output.
    #[serde(default)]
    pub pooling: Pooling,
}

/// What cuts texts into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Splitter {
    /// A tokenizer's file.
    #[default]
    File,
    /// CLIP's byte pairs with the cleaning before them, as `text::ClipTokenizer` has both.
    Clip,
}

impl Splitter {
    fn is_file(&self) -> bool {
        *self == Self::File
    }
}

/// What is made of an output `[tokens, D]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Nothing: it is one vector, `[D]`.
    #[default]
    None,
    /// The mean over the tokens that are no padding.
    Mean,
    /// Their sum over the square root of their number.
    MeanSqrtLen,
    /// Their mean, the first counting once, the second twice, and so on.
    WeightedMean,
    /// The largest of each of their numbers.
    Max,
    /// The first token.
    First,
    /// The last token that is no padding, which is where texts end.
    EndOfText,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for WordsSpec {
    fn default() -> Self {
        Self {
            tokens: 128,
            pad: None,
            splitter: Splitter::File,
            prefix: String::new(),
            lowercase: false,
            pooling: Pooling::Mean,
        }
    }
}

impl WordsSpec {
    /// Whether the parameters make sense.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), FrontEndError> {
        in_range("tokens", self.tokens, 1, MAX_TOKENS, "1 to 65536")
    }

    /// The text that the tokenizer is given.
    #[must_use]
    pub fn said(&self, words: &str) -> String {
        let said = [self.prefix.as_str(), words].concat();
        if self.lowercase {
            said.to_lowercase()
        } else {
            said
        }
    }
}

impl Pooling {
    /// One vector of the first `end` rows of `dim` numbers each, what follows being padding. Sums are
    /// made in 64 bits.
    ///
    /// # Panics
    ///
    /// If there is no row, or fewer than `end`.
    #[must_use]
    pub fn apply(self, rows: &[f32], dim: usize, end: usize) -> Vec<f32> {
        assert!(
            dim > 0 && end > 0 && rows.len() >= dim * end,
            "Pooling: {end} rows of {dim}, of {} numbers",
            rows.len()
        );
        let row = |at: usize| rows[at * dim..][..dim].to_vec();
        let weighted = |weight: fn(usize) -> f64, divisor: f64| {
            let mut sums = vec![0.0f64; dim];
            for (at, row) in rows.chunks_exact(dim).take(end).enumerate() {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight(at) * f64::from(*value);
                }
            }
            sums.into_iter().map(|sum| (sum / divisor) as f32).collect()
        };
        let count = end as f64;
        match self {
            Self::None => rows.to_vec(),
            Self::First => row(0),
            Self::EndOfText => row(end - 1),
            Self::Mean => weighted(|_| 1.0, count),
            Self::MeanSqrtLen => weighted(|_| 1.0, libm::sqrt(count)),
            Self::WeightedMean => weighted(|at| (at + 1) as f64, count * (count + 1.0) / 2.0),
            Self::Max => {
                let others = rows.chunks_exact(dim).take(end).skip(1);
                others.fold(row(0), |mut largest, row| {
                    for (largest, value) in largest.iter_mut().zip(row) {
                        *largest = largest.max(*value);
                    }
                    largest
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn pooling_leaves_padding_out() {
        // Three tokens of two numbers, and one of padding.
        let rows = [1.0, -4.0, 3.0, 0.0, 2.0, 7.0, 1e6, 1e6];
        let pooled = |pooling: Pooling| pooling.apply(&rows, 2, 3);
        assert_eq!(pooled(Pooling::Mean), [2.0, 1.0]);
        let root = 3f64.sqrt();
        let expected = [6.0 / root, 3.0 / root].map(|v| v as f32);
        assert_eq!(pooled(Pooling::MeanSqrtLen), expected);
        // 1 + 2 * 3 + 3 * 2 and -4 + 3 * 7, of six.
        assert_eq!(pooled(Pooling::WeightedMean), [13.0 / 6.0, 17.0 / 6.0]);
        assert_eq!(pooled(Pooling::Max), [3.0, 7.0]);
        assert_eq!(pooled(Pooling::First), [1.0, -4.0]);
        assert_eq!(pooled(Pooling::EndOfText), [2.0, 7.0]);
        assert_eq!(Pooling::None.apply(&rows[..2], 2, 1), [1.0, -4.0]);
    }

    #[test]
    fn words_are_said_as_the_parameters_ask() {
        let spec: WordsSpec =
            serde_json::from_str(r#"{"tokens": 8, "prefix": "query: ", "lowercase": true}"#)
                .unwrap();
        assert_eq!(spec.said("A Dog"), "query: a dog");
        assert_eq!(WordsSpec::default().said("A Dog"), "A Dog");
        let none = WordsSpec {
            tokens: 0,
            ..WordsSpec::default()
        };
        let error = none.check().unwrap_err().to_string();
        assert_eq!(error, "tokens is 0, expected 1 to 65536");
        assert!(serde_json::from_str::<WordsSpec>(r#"{"tokens": 8, "padding": 1}"#).is_err());
    }
}

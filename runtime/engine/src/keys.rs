//! TOML files whose unknown keys are errors, with a suggestion.

use serde::de::DeserializeOwned;
use thiserror::Error;

/// A suggestion must be at least this alike (Jaro-Winkler).
const ALIKE: f64 = 0.75;

/// Why a TOML file is not understood.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("line {line}: {message}")]
pub struct TomlError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a TOML file into a type that denies unknown fields.
///
/// # Errors
///
/// The first thing in the file that does not fit.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let first_line = error.message().lines().next().unwrap_or_default();
        TomlError {
            line: before.matches('\n').count() + 1,
            message: with_suggestion(first_line),
        }
    })
}

/// Adds what was probably meant to serde's message on an unknown key or word:
/// "unknown field `prompt`, expected one of `name`, `prompts`".
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(found)) = (message.starts_with("unknown "), quoted.next()) else {
        return message.to_owned();
    };
    let alike = quoted.map(|known| (strsim::jaro_winkler(found, known), known));
    match alike.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, known)) if likeness >= ALIKE => {
            format!("{message}; did you mean `{known}`?")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        #[expect(dead_code, reason = "only its name matters")]
        latitude_deg: f32,
        #[serde(default)]
        #[expect(dead_code, reason = "only its name matters")]
        height_m: f32,
    }

    #[test]
    fn an_unknown_key_comes_with_a_suggestion() {
        let error = from_toml::<Point>("latitude_deg = 1.0\nhight_m = 2.0\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: unknown field `hight_m`, expected `latitude_deg` or `height_m`; did you mean \
             `height_m`?"
        );
        let error = from_toml::<Point>("zzz = 1\n").unwrap_err();
        assert!(!error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn other_errors_have_their_line() {
        let error = from_toml::<Point>("\n\nlatitude_deg = 'north'\n").unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(from_toml::<Point>("height_m = 1").unwrap_err().line, 1);
        assert!(from_toml::<Point>("=").is_err());
    }
}

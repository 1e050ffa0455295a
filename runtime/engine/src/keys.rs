//! TOML files whose unknown keys are errors, with a suggestion.

use serde::de::DeserializeOwned;
use thiserror::Error;

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
            message: in_our_words(first_line),
        }
    })
}

/// `, did you mean "x"?` if one of the known words is close; else nothing.
pub fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    /// Similarity (Jaro-Winkler) from which a word is worth suggesting.
    const CLOSE: f64 = 0.75;
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(similarity, _)| *similarity >= CLOSE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, known)| {
            format!(", did you mean {known:?}?")
        })
}

/// Says an unknown key or word with what was probably meant. The parser gives what it expected as
/// words only: "unknown field `prompt`, expected one of `name`, `prompts`".
pub(crate) fn in_our_words(message: &str) -> String {
    let kind = match message {
        _ if message.starts_with("unknown field") => "key",
        _ if message.starts_with("unknown variant") => "value",
        _ => return message.to_owned(),
    };
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    match hint(found, known.iter().copied()) {
        hint if hint.is_empty() => {
            format!(
                "unknown {kind} {found:?}, expected one of {}",
                known.join(", ")
            )
        }
        hint => format!("unknown {kind} {found:?}{hint}"),
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
            "line 2: unknown key \"hight_m\", did you mean \"height_m\"?"
        );
        let error = from_toml::<Point>("zzz = 1\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1: unknown key \"zzz\", expected one of latitude_deg, height_m"
        );
    }

    #[test]
    fn other_errors_have_their_line() {
        let error = from_toml::<Point>("\n\nlatitude_deg = 'north'\n").unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(from_toml::<Point>("height_m = 1").unwrap_err().line, 1);
        assert!(from_toml::<Point>("=").is_err());
    }
}

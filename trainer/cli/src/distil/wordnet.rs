//! WordNet's files: `data.POS` and `index.POS` of a folder, as `man 5 wndb` describes them.
//!
//! ```text
//! data.noun   02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 023 @ … | a member of …; "the dog barked"
//!             offset  file type words(hex) (word lex_id)…  pointers            | gloss
//! index.noun  dog n 7 5 @ ~ #m #p %p 7 1 02084071 …
//!             lemma type synsets p_cnt pointers… senses senses-met-in-texts offsets…
//! ```
//! Lines that begin with two spaces are the licence. Of pointers and verb frames nothing is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Kinds of words, as the files are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Things.
    Noun,
    /// What is done.
    Verb,
    /// How things are.
    Adjective,
    /// How things are done.
    Adverb,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Noun, Self::Verb, Self::Adjective, Self::Adverb];

    /// As templates have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noun => "noun",
            Self::Verb => "verb",
            Self::Adjective => "adjective",
            Self::Adverb => "adverb",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Noun => "noun",
            Self::Verb => "verb",
            Self::Adjective => "adj",
            Self::Adverb => "adv",
        }
    }
}

/// Why a folder is not WordNet's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WordNetError {
    /// A file cannot be read, or is not text.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not of the form that it should have.
    #[error("{path:?}, line {line}: {found:?}, expected {expected}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its beginning.
        found: String,
        /// What a line holds.
        expected: &'static str,
    },
}

/// A meaning: the words for it, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synset {
    /// Words, the usual one first, with spaces and without the marks of adjectives.
    pub words: Vec<String>,
    /// What it means.
    pub definition: String,
    /// How it is used.
    pub examples: Vec<String>,
}

/// A word and whether WordNet's makers met it in running text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lemma {
    /// The word, spelt as in its first synset.
    pub word: String,
    /// Whether one of its meanings was met.
    pub is_common: bool,
}

/// All of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Meanings, in the file's order.
    pub synsets: Vec<Synset>,
    /// Words, in alphabetical order.
    pub lemmas: Vec<Lemma>,
}

/// Reads both files of a kind.
///
/// # Errors
///
/// A file that cannot be read, or a line that is none of the format.
pub fn read(dir: &Path, kind: Kind) -> Result<Words, WordNetError> {
    let synsets = lines(
        dir,
        "data",
        kind,
        "\"offset file type words…| gloss\"",
        synset,
    )?;
    let index = lines(
        dir,
        "index",
        kind,
        "\"lemma type synsets pointers… senses met offsets…\"",
        entry,
    )?;
    // The index has small letters only; the synsets know how a name is spelt.
    let mut spelt = BTreeMap::new();
    for word in synsets.iter().flat_map(|synset| &synset.words) {
        spelt.entry(word.to_lowercase()).or_insert(word);
    }
    let lemmas = index.into_iter().map(|(lemma, is_common)| Lemma {
        word: spelt.get(&lemma).map_or(lemma, |word| (*word).clone()),
        is_common,
    });
    let lemmas = lemmas.collect();
    Ok(Words { synsets, lemmas })
}

fn lines<T>(
    dir: &Path,
    stem: &str,
    kind: Kind,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, WordNetError> {
    let path = dir.join(format!("{stem}.{}", kind.extension()));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(WordNetError::Read { path, source }),
    };
    let content = text.lines().enumerate();
    let content = content.filter(|(_, line)| !line.starts_with("  ") && !line.is_empty());
    let parsed = content.map(|(number, line)| {
        parse(line).ok_or_else(|| WordNetError::Line {
            path: path.clone(),
            line: number + 1,
            found: line.chars().take(60).collect(),
            expected,
        })
    });
    parsed.collect()
}

/// A line of a data file.
fn synset(line: &str) -> Option<Synset> {
    let (head, gloss) = line.split_once(" | ")?;
    let mut fields = head.split(' ');
    let offset = fields.next()?;
    let is_offset = offset.len() == 8 && offset.bytes().all(|byte| byte.is_ascii_digit());
    let (_file, of_type) = (fields.next()?, fields.next()?);
    if !is_offset || !matches!(of_type, "n" | "v" | "a" | "s" | "r") {
        return None;
    }
    let count = usize::from_str_radix(fields.next()?, 16).ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(plain(fields.next()?));
        let _lex_id = u8::from_str_radix(fields.next()?, 16).ok()?;
    }
    if words.is_empty() {
        return None;
    }
    let (definition, examples) = split_gloss(gloss.trim());
    Some(Synset {
        words,
        definition,
        examples,
    })
}

/// A line of an index file: the lemma, and whether a meaning of it was met.
fn entry(line: &str) -> Option<(String, bool)> {
    let mut fields = line.split_whitespace();
    let lemma = plain(fields.next()?);
    let _type = fields.next()?;
    let synsets: usize = fields.next()?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let mut rest = fields.skip(pointers);
    let _senses: usize = rest.next()?.parse().ok()?;
    let met: usize = rest.next()?.parse().ok()?;
    (rest.count() == synsets && synsets > 0).then_some((lemma, met > 0))
}

/// A word as it is written: `galore(ip)` is galore, `ice_cream` ice cream.
fn plain(word: &str) -> String {
    let word = match word.rsplit_once('(') {
        Some((word, "a)" | "p)" | "ip)")) => word,
        _ => word,
    };
    word.replace('_', " ")
}

/// A gloss is a definition, perhaps of several parts, then examples in quotation marks.
fn split_gloss(gloss: &str) -> (String, Vec<String>) {
    let (definition, rest) = match gloss.find('"') {
        None => (gloss, ""),
        Some(at) => gloss.split_at(at),
    };
    let definition = definition.trim_end_matches([' ', ';', ':', ',', '-']);
    let examples = rest.split('"').skip(1).step_by(2).map(str::trim);
    let examples = examples.filter(|example| !example.is_empty());
    (definition.to_owned(), examples.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "  1 This is the licence.\n\
        02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 ~ 01322604 n 0000 | a member of the genus Canis; occurs in many breeds; \"the dog barked all night\"  \n\
        08860123 15 n 01 Paris 0 001 @i 08691669 n 0000 | the capital of France  \n";
    const INDEX: &str = "  1 This is the licence.\n\
        canis_familiaris n 1 1 @ 1 0 02084071  \n\
        dog n 1 2 @ ~ 1 1 02084071  \n\
        domestic_dog n 1 2 @ ~ 1 0 02084071  \n\
        paris n 1 1 @i 1 1 08860123  \n";

    fn folder(data: &str, index: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.noun"), data).unwrap();
        std::fs::write(dir.path().join("index.noun"), index).unwrap();
        dir
    }

    #[test]
    fn lines_are_read_as_the_manual_says() {
        let dir = folder(DATA, INDEX);
        let words = read(dir.path(), Kind::Noun).unwrap();
        let dog = Synset {
            words: ["dog", "domestic dog", "Canis familiaris"]
                .map(str::to_owned)
                .to_vec(),
            definition: "a member of the genus Canis; occurs in many breeds".to_owned(),
            examples: vec!["the dog barked all night".to_owned()],
        };
        assert_eq!(words.synsets[0], dog);
        assert_eq!(words.synsets[1].definition, "the capital of France");
        let lemmas = words.lemmas.iter().map(|l| (l.word.as_str(), l.is_common));
        let expected = [
            ("Canis familiaris", false),
            ("dog", true),
            ("domestic dog", false),
            ("Paris", true),
        ];
        assert!(lemmas.eq(expected), "{:?}", words.lemmas);
    }

    #[test]
    fn adjectives_have_marks_that_are_not_part_of_them() {
        let line = "00014358 00 s 02 galore(ip) 0 a(b) a 001 & 00013887 a 0000 | in abundance; \
                    \"whiskey galore\"; \"stars galore\"  ";
        let galore = synset(line).unwrap();
        assert_eq!(galore.words, ["galore", "a(b)"]);
        assert_eq!(galore.examples, ["whiskey galore", "stars galore"]);
        // Two fields of a verb's frames stand before the gloss; they are no words.
        let line =
            "00001740 29 v 01 breathe 0 001 * 00005041 v 0000 02 + 02 00 + 08 00 | draw air  ";
        assert_eq!(synset(line).unwrap().words, ["breathe"]);
    }

    #[test]
    fn lines_of_another_form_are_named() {
        let cut = DATA.replace(" | ", " ");
        let error = read(folder(&cut, INDEX).path(), Kind::Noun).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("data.noun\", line 2: \"02084071 05 n 03 dog"),
            "{text}"
        );
        assert!(
            text.ends_with("expected \"offset file type words…| gloss\""),
            "{text}"
        );
        for line in [
            "02084071 05 n 03 dog 0 cat | too few words",
            "2084071 05 n 01 dog 0 000 | a short offset",
            "02084071 05 x 01 dog 0 000 | no type",
            "02084071 05 n 00 000 | no words",
        ] {
            assert_eq!(synset(line), None, "{line}");
        }
        for line in ["dog n 1 2 @ ~ 1 1", "dog n 1", "dog n one 0 1 1 02084071"] {
            assert_eq!(entry(line), None, "{line}");
        }
        let missing = read(Path::new("/nonexistent"), Kind::Verb).unwrap_err();
        assert_eq!(missing.to_string(), "reading \"/nonexistent/data.verb\"");
    }
}

//! Phrases with places for words.
//!
//! A place is a word's kind in braces: `{noun}`, `{verb}`, `{adjective}`, `{adverb}`, or `{line}` for
//! a line of a list. `{a noun}` sets the article before it, `{verb ing}` makes "running" of "run",
//! `{a verb ing}` does both.

use thiserror::Error;

use super::wordnet::Kind;

/// What a place is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A word of a kind.
    Word(Kind),
    /// A line of a list.
    Line,
}

impl Slot {
    const ALL: [Self; 5] = [
        Self::Word(Kind::Noun),
        Self::Word(Kind::Verb),
        Self::Word(Kind::Adjective),
        Self::Word(Kind::Adverb),
        Self::Line,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Word(kind) => kind.name(),
            Self::Line => "line",
        }
    }
}

/// How the word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Article,
    Ing,
    ArticleIng,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Slot, Form),
}

/// Why a phrase is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{template:?}: {found:?}, expected {{noun}}, {{a noun}}, {{verb}}, {{verb ing}}, {{adjective}}, \
     {{adverb}} or {{line}}"
)]
pub struct TemplateError {
    /// The phrase.
    template: String,
    /// What stands in it.
    found: String,
}

/// A phrase with places for words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// A place for something that does not exist, or braces that do not match.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |found: &str| TemplateError {
            template: text.to_owned(),
            found: found.to_owned(),
        };
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').ok_or_else(|| error("{"))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(parse_place(place).ok_or_else(|| error(&format!("{{{place}}}")))?);
            rest = after;
        }
        if rest.contains('}') {
            return Err(error("}"));
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Its places, in their order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(slot, _) => Some(*slot),
            Part::Text(_) => None,
        })
    }

    /// The phrase with a word in each place, as `word` gives them in order.
    pub fn fill<'a>(&self, mut word: impl FnMut(Slot) -> &'a str) -> String {
        let mut phrase = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => phrase.push_str(text),
                Part::Place(slot, form) => {
                    let word = word(*slot);
                    match form {
                        Form::Bare => phrase.push_str(word),
                        Form::Article => phrase.push_str(&with_article(word)),
                        Form::Ing => phrase.push_str(&ing(word)),
                        Form::ArticleIng => phrase.push_str(&with_article(&ing(word))),
                    }
                }
            }
        }
        phrase
    }
}

fn parse_place(place: &str) -> Option<Part> {
    let (bare, has_article) = match place.strip_prefix("a ") {
        Some(bare) => (bare, true),
        None => (place, false),
    };
    let (name, form) = match (bare.strip_suffix(" ing"), has_article) {
        (Some(name), true) => (name, Form::ArticleIng),
        (Some(name), false) => (name, Form::Ing),
        (None, true) => (bare, Form::Article),
        (None, false) => (bare, Form::Bare),
    };
    let slot = Slot::ALL.into_iter().find(|slot| slot.name() == name)?;
    Some(Part::Place(slot, form))
}

fn is_vowel(letter: char) -> bool {
    matches!(letter.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u')
}

/// By the first letter, as most people who type would have it.
fn with_article(word: &str) -> String {
    let article = if word.starts_with(is_vowel) {
        "an"
    } else {
        "a"
    };
    format!("{article} {word}")
}

/// The present participle of the first word: "running away" of "run away". English has exceptions;
/// those met here, such as "visitting", are rare, and only texts to learn from.
fn ing(verb: &str) -> String {
    let (first, rest) = verb
        .find(' ')
        .map_or((verb, ""), |space| verb.split_at(space));
    let stem = if let Some(stem) = first.strip_suffix("ie") {
        format!("{stem}y")
    } else if first.ends_with('e')
        && !["ee", "oe", "ye"].iter().any(|end| first.ends_with(end))
        && first.len() > 2
    {
        first[..first.len() - 1].to_owned()
    } else if doubles(first) {
        format!("{first}{}", &first[first.len() - 1..])
    } else {
        first.to_owned()
    };
    format!("{stem}ing{rest}")
}

/// One vowel, with one consonant after it, at the end of one syllable: run, but not rain or visit.
fn doubles(verb: &str) -> bool {
    let letters: Vec<char> = verb.chars().collect();
    let [start @ .., vowel, last] = letters.as_slice() else {
        return false;
    };
    matches!(last, 'b' | 'd' | 'g' | 'm' | 'n' | 'p' | 't')
        && is_vowel(*vowel)
        && !start.is_empty()
        && !start.iter().any(|letter| is_vowel(*letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_order() {
        let template = Template::parse("a person {verb ing} {a noun} {adverb}").unwrap();
        let mut words = ["chop", "onion", "slowly"].into_iter();
        let phrase = template.fill(|_| words.next().unwrap());
        assert_eq!(phrase, "a person chopping an onion slowly");
        let both = Template::parse("the sound of {a verb ing} {noun}").unwrap();
        let mut words = ["idle", "engine"].into_iter();
        let phrase = both.fill(|_| words.next().unwrap());
        assert_eq!(phrase, "the sound of an idling engine");
        let kinds = [Kind::Verb, Kind::Noun, Kind::Adverb].map(Slot::Word);
        assert!(template.slots().eq(kinds));
        let plain = Template::parse("nothing to fill").unwrap();
        assert_eq!(plain.fill(|_| "x"), "nothing to fill");
    }

    #[test]
    fn verbs_take_their_ending() {
        for (verb, expected) in [
            ("run", "running"),
            ("run away", "running away"),
            ("make", "making"),
            ("see", "seeing"),
            ("lie", "lying"),
            ("rain", "raining"),
            ("visit", "visiting"),
            ("be", "being"),
            ("dye", "dyeing"),
        ] {
            assert_eq!(ing(verb), expected);
        }
    }

    #[test]
    fn what_no_word_fits_is_refused() {
        let error = Template::parse("a {thing} here").unwrap_err().to_string();
        assert!(
            error.starts_with("\"a {thing} here\": \"{thing}\", expected {noun}"),
            "{error}"
        );
        for text in ["{noun", "noun}", "{noun}}", "{}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}

//! The recipe of a small text tower, in one TOML file.

use std::path::{Path, PathBuf};

use sensorium_engine::keys::from_toml;
use sensorium_model::word::WordConfig;
use serde::Deserialize;

use super::template::{Slot, Template};
use super::wordnet::Kind;
use crate::recipe::{RecipeError, Training};

/// A recipe, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the tower.
    pub name: String,
    /// Who teaches.
    pub teacher: Teacher,
    /// Its dimensions, less the vocabulary, which the texts decide, and the output, the teacher's.
    pub tower: Dimensions,
    /// What the texts are made of.
    #[serde(rename = "corpus")]
    pub corpora: Vec<Corpus>,
    /// One of so many texts is held out.
    pub hold_out_one_in: u64,
    /// One of so many head words is held out, with all texts made of it.
    pub hold_out_words_one_in: u64,
    /// How it is trained.
    pub training: Training,
    /// How much it counts to be nearer to the teacher's embedding of a text than to those of the
    /// other texts of the batch.
    #[serde(default)]
    pub contrast: f64,
}

/// The sentence encoder that is imitated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// Its name, as packs have it.
    pub model: String,
    /// Its terms.
    pub licence: String,
}

/// What a recipe says of a tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// Most tokens in the table: those that the texts have most often.
    pub vocabulary: usize,
    /// Numbers a token has in the table.
    pub table: usize,
    /// Width of the blocks.
    pub dim: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Blocks; without any, a text is the mean of its tokens.
    pub blocks: usize,
    /// Longest text in tokens.
    pub tokens: usize,
}

impl Dimensions {
    /// With what the recipe does not say.
    pub fn config(self, vocabulary: usize, output: usize) -> WordConfig {
        WordConfig {
            vocabulary,
            table: self.table,
            dim: self.dim,
            heads: self.heads,
            blocks: self.blocks,
            tokens: self.tokens,
            output,
        }
    }
}

/// Texts of one source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Corpus {
    /// Its name and where it is from.
    pub name: String,
    /// Its terms.
    pub licence: String,
    /// A folder with WordNet's files, or a file with a phrase a line, within the folder of all data,
    /// or beside the recipe if it begins with a dot.
    pub from: PathBuf,
    /// What is made of it. What is no key of this either is refused.
    #[serde(flatten)]
    pub texts: Texts,
}

/// What is made of a source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Texts {
    /// Lines, each in all of the templates.
    Lines {
        /// Phrases with `{line}`.
        templates: Vec<String>,
    },
    /// WordNet's words and what is said of them.
    WordNet {
        /// Phrases with one place for a word; a word is put into some of those of its kind.
        templates: Vec<String>,
        /// Texts of a word that was met in running text.
        common: f64,
        /// Texts of any other word; below 1, the share of words that has one.
        rare: f64,
        /// Share of the definitions.
        definitions: f64,
        /// Share of the examples.
        examples: f64,
        /// Words of the longest definition or example.
        longest: usize,
        /// Phrases with places for several words.
        mixtures: Vec<String>,
        /// Texts made of these, each with common words.
        mixed: usize,
    },
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    ///
    /// A file that is no recipe of a text tower.
    pub fn open(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// As [`open`](Self::open), of a file's content.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let recipe: Self = from_toml(text).map_err(|error| RecipeError::Toml {
            path: path.to_owned(),
            error,
        })?;
        match recipe.fault() {
            None => Ok(recipe),
            Some(what) => Err(RecipeError::Value {
                path: path.to_owned(),
                what,
            }),
        }
    }

    fn fault(&self) -> Option<String> {
        if let Err(error) = self.tower.config(1, 1).check() {
            return Some(format!("tower.{error}"));
        }
        if let Some(what) = self.training.fault() {
            return Some(what);
        }
        if !(0.0..f64::INFINITY).contains(&self.contrast) {
            let found = self.contrast;
            return Some(format!("contrast is {found}, expected a number from 0 on"));
        }
        let shares = [
            ("hold_out_one_in", self.hold_out_one_in),
            ("hold_out_words_one_in", self.hold_out_words_one_in),
        ];
        if let Some((name, found)) = shares.into_iter().find(|(_, many)| *many < 2) {
            return Some(format!("{name} is {found}, expected at least 2"));
        }
        if self.corpora.is_empty() {
            return Some("it has no [[corpus]]".into());
        }
        self.corpora.iter().find_map(Corpus::fault)
    }
}

impl Corpus {
    fn fault(&self) -> Option<String> {
        let what = match &self.texts {
            Texts::Lines { templates } => {
                templates_fault("templates", templates, |slots| *slots == [Slot::Line])
            }
            Texts::WordNet {
                templates,
                common,
                rare,
                definitions,
                examples,
                mixtures,
                mixed,
                ..
            } => {
                let is_word = |slot: &Slot| matches!(slot, Slot::Word(_));
                let counts = [("common", common), ("rare", rare)];
                let counts = counts.map(|(key, value)| (key, value, 0.0..=100.0));
                let shares = [("definitions", definitions), ("examples", examples)];
                let shares = shares.map(|(key, value)| (key, value, 0.0..=1.0));
                let mut numbers = counts.into_iter().chain(shares);
                let number_fault =
                    |(key, value, range): (_, &f64, std::ops::RangeInclusive<f64>)| {
                        let (least, most) = (range.start(), range.end());
                        (!range.contains(value))
                            .then(|| format!("{key} is {value}, expected {least} to {most}"))
                    };
                let one = |slots: &[Slot]| slots.len() == 1 && slots.iter().all(is_word);
                let any = |slots: &[Slot]| !slots.is_empty() && slots.iter().all(is_word);
                numbers
                    .find_map(number_fault)
                    .or_else(|| templates_fault("templates", templates, one))
                    .or_else(|| templates_fault("mixtures", mixtures, any))
                    .or_else(|| {
                        let is_missing = *mixed > 0 && mixtures.is_empty();
                        is_missing.then(|| "mixed texts need mixtures".to_owned())
                    })
                    .or_else(|| {
                        let has = |kind| {
                            let mut parsed =
                                templates.iter().filter_map(|t| Template::parse(t).ok());
                            parsed.any(|t| t.slots().any(|slot| slot == Slot::Word(kind)))
                        };
                        let without = Kind::ALL.into_iter().find(|kind| !has(*kind))?;
                        Some(format!("no template has {{{}}}", without.name()))
                    })
            }
        };
        what.map(|what| format!("corpus {:?}: {what}", self.name))
    }
}

/// What is wrong with templates, whose places have to be as `fits` wants them.
fn templates_fault(
    key: &str,
    templates: &[String],
    fits: impl Fn(&[Slot]) -> bool,
) -> Option<String> {
    templates
        .iter()
        .find_map(|text| match Template::parse(text) {
            Err(error) => Some(format!("{key}: {error}")),
            Ok(template) => {
                let slots: Vec<Slot> = template.slots().collect();
                (!fits(&slots))
                    .then(|| format!("{key}: {text:?} has not the places that it should"))
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
        name = "words"
        hold_out_one_in = 40
        hold_out_words_one_in = 200
        [teacher]
        model = "all-MiniLM-L6-v2"
        licence = "Apache-2.0"
        [tower]
        vocabulary = 100
        table = 8
        dim = 16
        heads = 2
        blocks = 1
        tokens = 12
        [training]
        epochs = 1
        batch = 8
        learning_rate = 1e-3
        warmup = 0.1
        beta_1 = 0.9
        beta_2 = 0.98
        weight_decay = 0.01
        clip_norm = 1.0
        [[corpus]]
        name = "names"
        licence = "ours"
        kind = "lines"
        from = "./names.txt"
        templates = ["{line}", "a photo of {a line}"]
    "#;

    fn message(from: &str, to: &str) -> String {
        let text = RECIPE.replace(from, to);
        assert_ne!(text, RECIPE, "{from} is there");
        let error = Recipe::parse(&text, Path::new("words.toml")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_recipe_is_read_and_mistakes_are_named() {
        Recipe::parse(RECIPE, Path::new("words.toml")).unwrap();
        let error = message("heads = 2", "heads = 3");
        assert_eq!(
            error,
            "\"words.toml\": tower.heads is 3, expected a divisor of dim, 16"
        );
        let error = message("[teacher]", "contrats = 1\n[teacher]");
        assert!(
            error.ends_with("unknown key \"contrats\", did you mean \"contrast\"?"),
            "{error}"
        );
        let error = message("hold_out_one_in = 40", "hold_out_one_in = 1");
        assert!(
            error.ends_with("hold_out_one_in is 1, expected at least 2"),
            "{error}"
        );
        let error = message("{a line}", "{a noun}");
        assert!(
            error.contains("corpus \"names\": templates: \"a photo of {a noun}\""),
            "{error}"
        );
        let error = message("{a line}", "{a nuon}");
        assert!(error.contains("\"{a nuon}\", expected {noun}"), "{error}");
        let error = message("kind = \"lines\"", "kind = \"lines\"\ntemplate = 1");
        assert!(error.contains("unknown key \"template\""), "{error}");
        let error = message("batch = 8", "batch = 0");
        assert!(error.contains("training.batch is 0"), "{error}");
    }
}

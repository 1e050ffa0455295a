//! The texts that a small tower learns from, and those that it is measured on.
//!
//! Some texts are held out, and all texts of some words: a tower is measured on prompts that it never
//! saw and, apart, on words that it never saw. A hash of the text, or of the word at its head, decides,
//! whatever the seed, so that a new source does not move old ones. What classes are called, the names
//! that are chosen among, is held out as it stands; templates may show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use sensorium_data::batch::random_of;
use sha2::{Digest, Sha256};

use super::recipe::{Corpus, Recipe, Texts};
use super::template::{Slot, Template};
use super::wordnet::{self, Kind, Words};
use crate::anchor::list;

/// Of the random numbers of a source, these decide the texts of single words, those of meanings, and
/// mixtures.
const SINGLE: u64 = 0;
const MEANING: u64 = 1;
const MIXED: u64 = 2;

/// Of all random numbers, these put the texts into their order.
const ORDER: u64 = u64::MAX;

/// Of words, so many times as large a share is held out as they stand as of other texts.
const NAMES: u64 = 2;

/// Texts, each once, in an order that a seed decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrases {
    /// To learn from.
    pub training: Vec<String>,
    /// To measure with: never learned from, unlike most of their words.
    pub held_out: Vec<String>,
    /// Texts at whose head is a word that no text to learn from has there.
    pub unseen_words: Vec<String>,
    /// Of the texts held out, words alone: what classes are called.
    pub names: Vec<String>,
}

/// Texts of one source on their way.
struct Gather {
    texts_one_in: u64,
    words_one_in: u64,
    known: BTreeSet<String>,
    unseen_words: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Phrases {
    /// Makes the texts of a recipe. `data` is the folder of all data.
    ///
    /// # Errors
    ///
    /// A source that cannot be read, or too few texts.
    pub fn make(
        recipe: &Recipe,
        path: &Path,
        data: Option<&Path>,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut gather = Gather {
            texts_one_in: recipe.hold_out_one_in,
            words_one_in: recipe.hold_out_words_one_in,
            known: BTreeSet::new(),
            unseen_words: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        for (index, corpus) in recipe.corpora.iter().enumerate() {
            let from = source(corpus, path, data)?;
            let random = |part| random_of(seed, index as u64, part);
            gather
                .source(corpus, &from, random)
                .with_context(|| format!("corpus {:?}", corpus.name))?;
        }
        let Gather {
            mut known,
            unseen_words,
            names,
            ..
        } = gather;
        // A text of a word that is held out may be one of another word too.
        known.retain(|text| !unseen_words.contains(text));
        let is_held_out =
            |text: &String| names.contains(text) || is_one_in(recipe.hold_out_one_in, "text", text);
        let (held_out, training) = known.into_iter().partition(is_held_out);
        let ordered = |texts: BTreeSet<String>, part| {
            let mut texts: Vec<String> = texts.into_iter().collect();
            texts.shuffle(&mut random_of(seed, ORDER, part));
            texts
        };
        let texts = Self {
            training: ordered(training, 0),
            held_out: ordered(held_out, 1),
            names: ordered(names, 2),
            unseen_words: ordered(unseen_words, 3),
        };
        ensure!(
            ![
                &texts.training,
                &texts.held_out,
                &texts.unseen_words,
                &texts.names
            ]
            .iter()
            .any(|texts| texts.is_empty()),
            "the corpora give {} texts to learn from, {} held out, {} of them names, and {} of words \
             held out, expected some of each",
            texts.training.len(),
            texts.held_out.len(),
            texts.names.len(),
            texts.unseen_words.len()
        );
        Ok(texts)
    }
}

/// Where a source lies.
fn source(corpus: &Corpus, recipe: &Path, data: Option<&Path>) -> anyhow::Result<PathBuf> {
    if corpus.from.starts_with(".") {
        return Ok(recipe.with_file_name("").join(&corpus.from));
    }
    let data = data.with_context(|| {
        let (name, from) = (&corpus.name, &corpus.from);
        format!("corpus {name:?} lies in the folder of all data as {from:?}; say where that is with --data")
    })?;
    Ok(data.join(&corpus.from))
}

/// Whether a word or text is one of so many, chosen for some use.
fn is_one_in(many: u64, of: &str, text: &str) -> bool {
    let digest = Sha256::digest(format!("{of} {}", text.to_lowercase()));
    let first = digest.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first).is_multiple_of(many)
}

/// A whole number of times that is `times` on average.
fn whole(times: f64, random: &mut ChaCha8Rng) -> usize {
    times as usize + usize::from(random.random_bool(times.fract()))
}

impl Gather {
    fn source(
        &mut self,
        corpus: &Corpus,
        from: &Path,
        random: impl Fn(u64) -> ChaCha8Rng,
    ) -> anyhow::Result<()> {
        match &corpus.texts {
            Texts::Lines { templates } => {
                let templates = parse(templates)?;
                for line in list::lines(from)? {
                    self.name(&line);
                    for template in &templates {
                        self.add(template.fill(|_| &line), &line);
                    }
                }
            }
            Texts::WordNet {
                templates,
                common,
                rare,
                definitions,
                examples,
                longest,
                mixtures,
                mixed,
            } => {
                let templates = parse(templates)?;
                let mut dictionary = BTreeMap::new();
                for kind in Kind::ALL {
                    dictionary.insert(kind, wordnet::read(from, kind)?);
                }
                let mut dice = random(SINGLE);
                for (kind, words) in &dictionary {
                    self.single(*kind, words, &templates, [*common, *rare], &mut dice);
                }
                let mut dice = random(MEANING);
                for words in dictionary.values() {
                    self.meanings(words, [*definitions, *examples], *longest, &mut dice);
                }
                self.mixtures(&dictionary, &parse(mixtures)?, *mixed, &mut random(MIXED))?;
            }
        }
        Ok(())
    }

    fn is_unseen(&self, word: &str) -> bool {
        is_one_in(self.words_one_in, "word", word)
    }

    /// Adds a text of a word.
    fn add(&mut self, text: String, word: &str) {
        match self.is_unseen(word) {
            true => self.unseen_words.insert(text),
            false => self.known.insert(text),
        };
    }

    /// Some words are names, which nothing is learned from as they stand.
    fn name(&mut self, word: &str) {
        if is_one_in(self.texts_one_in.div_ceil(NAMES), "name", word) && !self.is_unseen(word) {
            self.names.insert(word.to_owned());
            self.known.insert(word.to_owned());
        }
    }

    /// Words of a kind, each in some templates.
    fn single(
        &mut self,
        kind: Kind,
        words: &Words,
        templates: &[Template],
        [common, rare]: [f64; 2],
        random: &mut ChaCha8Rng,
    ) {
        let slot = Slot::Word(kind);
        let fitting = templates.iter().filter(|t| t.slots().any(|s| s == slot));
        let fitting: Vec<&Template> = fitting.collect();
        for lemma in words.lemmas.iter().filter(|lemma| is_typed(&lemma.word)) {
            if lemma.is_common {
                self.name(&lemma.word);
            }
            let times = whole(if lemma.is_common { common } else { rare }, random);
            for template in fitting.choose_multiple(random, times) {
                self.add(template.fill(|_| &lemma.word), &lemma.word);
            }
        }
    }

    /// What is said of words.
    fn meanings(
        &mut self,
        words: &Words,
        [definitions, examples]: [f64; 2],
        longest: usize,
        random: &mut ChaCha8Rng,
    ) {
        for synset in &words.synsets {
            // Later parts of a definition add detail that nobody types.
            let first = synset.definition.split(';').next().unwrap_or_default();
            let texts = [(definitions, first)].into_iter();
            let texts = texts.chain(synset.examples.iter().map(|e| (examples, e.as_str())));
            for (share, text) in texts {
                let length = text.split_whitespace().count();
                if random.random_bool(share) && (2..=longest).contains(&length) {
                    self.add(text.trim().to_owned(), &synset.words[0]);
                }
            }
        }
    }

    /// Phrases of several words, all of them known, or none.
    fn mixtures(
        &mut self,
        dictionary: &BTreeMap<Kind, Words>,
        templates: &[Template],
        count: usize,
        random: &mut ChaCha8Rng,
    ) -> anyhow::Result<()> {
        let words_of = |unseen: bool| -> BTreeMap<Kind, Vec<&str>> {
            dictionary
                .iter()
                .map(|(kind, words)| {
                    let wanted = words.lemmas.iter().filter(|lemma| {
                        let is_plain = lemma.word.chars().all(|c| c.is_ascii_lowercase());
                        lemma.is_common && is_plain && self.is_unseen(&lemma.word) == unseen
                    });
                    (*kind, wanted.map(|lemma| lemma.word.as_str()).collect())
                })
                .collect()
        };
        let [known, unseen] = [words_of(false), words_of(true)];
        let share = count / self.words_one_in as usize;
        for (words, count, is_unseen) in [(known, count, false), (unseen, share, true)] {
            for _ in 0..count {
                let template = templates.choose(random).context("there is no mixture")?;
                let drawn: Option<Vec<&str>> = template
                    .slots()
                    .map(|slot| match slot {
                        Slot::Word(kind) => words[&kind].choose(random).copied(),
                        Slot::Line => None,
                    })
                    .collect();
                let drawn = drawn.context("a kind has no common words to mix")?;
                let mut drawn = drawn.into_iter();
                let text = template.fill(|_| drawn.next().unwrap_or_default());
                match is_unseen {
                    true => self.unseen_words.insert(text),
                    false => self.known.insert(text),
                };
            }
        }
        Ok(())
    }
}

fn parse(templates: &[String]) -> anyhow::Result<Vec<Template>> {
    Ok(templates
        .iter()
        .map(|text| Template::parse(text))
        .collect::<Result<_, _>>()?)
}

/// Whether it is letters, as people type, and no formula or number.
fn is_typed(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '.'))
}

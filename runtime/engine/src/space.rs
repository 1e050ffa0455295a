//! An embedding space of a pack, and how words get into it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sensorium_core::bank::class_vector;
use sensorium_core::feature::FrontEndError;
use sensorium_kernels::dot_f32;
use sensorium_pack::{Pack, PackError, Tower, WordsSpec, sha256_hex};
use thiserror::Error;

use crate::encode::weights;
use crate::resemblance::Resemblance;
use crate::text::{Beside, Dense, Pieces, Taught, TextError, TextTower};
use sensorium_pack::npy::{Array, NpyError};

/// A text model is the pack's own if it embeds one of the pack's prompts at least this alike.
/// Different builds of one model differ by rounding; another model is near 0.
const SAME_MODEL_COSINE: f32 = 0.99;

/// Pieces that continue a word, a letter, above which words count as spelt. Of 3 000 phrases of words
/// from WordNet that a tower of 14 000 tokens had not learned from, 0.2 % lie above; typed nonsense
/// ("qzxvwk", "asdfghjkl") at 0.5 to 0.7.
const SPELT: f32 = 0.4;

/// Cosine to the nearest phrase of the pack below which a phrase is far from all that it knows. By
/// MiniLM and the 177 phrases of the built-in pack, 0.2 % of the same phrases lie below, and 1 % of
/// those about a person; each of the pack's own phrases is at 0.17 or more from the nearest other.
const FAR: f32 = 0.15;

/// Largest difference of a phrase's embedding that is the same.
const TOWER_MAX_ABS: f32 = 1e-4;

/// Phrases of a pack that its text tower is tested with.
const TESTED: usize = 8;

/// Why words have no embedding.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The pack lacks what its manifest refers to.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no such space.
    #[error("the pack has no space {name:?}")]
    NoSpace {
        /// Its name.
        name: String,
    },
    /// An array of the space cannot be read.
    #[error("member {path:?} of the pack")]
    Array {
        /// The member.
        path: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// An array of the space has another shape than the space.
    #[error("member {path:?} of the pack has shape {actual:?}, expected {expected:?}")]
    Shape {
        /// The member.
        path: String,
        /// Its shape.
        actual: Vec<usize>,
        /// What fits.
        expected: Vec<usize>,
    },
    /// A text tower's list of the words that it was taught is empty.
    #[error("member {path:?} of the pack is empty, expected a filter of words")]
    Taught {
        /// The member.
        path: String,
    },
    /// The names that words shall resemble do not fit the space.
    #[error(
        "member {path:?} of the pack has shape {actual:?}, expected a name for each of the {dim} \
         dimensions but the last, and cosines to them are divided by {temperature}, expected more than 0"
    )]
    Resemblance {
        /// The member.
        path: String,
        /// Its shape.
        actual: Vec<usize>,
        /// Dimensions of the space.
        dim: usize,
        /// What cosines are divided by.
        temperature: f32,
    },
    /// The list of prompts is not understood.
    #[error("member {path:?} of the pack is not a list of phrases")]
    Prompts {
        /// The member.
        path: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The pack does not know these words and there is no text model to ask.
    #[error(
        "the pack does not know the words {prompt:?}; give the text model that they shall be \
         embedded with (--text-model DIR, {text_model}), or use a compiled class file"
    )]
    Unknown {
        /// The words.
        prompt: String,
        /// The model that fits.
        text_model: String,
    },
    /// The pack's own text tower has no piece of these words.
    #[error(
        "{prompt:?} is in a script or language that the pack's text tower does not know; it knows \
         English"
    )]
    Script {
        /// The words.
        prompt: String,
    },
    /// The text model cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The pack's text tower gives other numbers here than where the pack was made.
    #[error(
        "the text tower of space {space:?} failed its self-test: {prompt:?} differs by {actual:.2e}, \
         expected at most {TOWER_MAX_ABS:.0e}"
    )]
    SelfTest {
        /// The space.
        space: String,
        /// A phrase of the pack.
        prompt: String,
        /// The largest difference.
        actual: f32,
    },
    /// What the pack says of its text tower makes no sense.
    #[error("the pack's text tower: {0}")]
    Words(#[from] FrontEndError),
    /// The text model gives vectors of another length than words of the space have.
    #[error(
        "the text model gives {actual} numbers, and words of the space {space:?} ({text_model}) have {dim}"
    )]
    Length {
        /// The space.
        space: String,
        /// The model that fits.
        text_model: String,
        /// Numbers of its words.
        dim: usize,
        /// Numbers that the text model gives.
        actual: usize,
    },
    /// The text model is not the one that the space is made of.
    #[error(
        "the text model is not {expected}: it embeds {prompt:?} with a cosine of {cosine:.3} to \
         the pack's own"
    )]
    OtherModel {
        /// The model that fits.
        expected: String,
        /// A phrase of the pack.
        prompt: String,
        /// How alike the two embeddings are; 0 if they differ in length.
        cosine: f32,
    },
}

/// A space: what it is made of, the words it knows, and perhaps a text model for others.
#[derive(Debug)]
pub struct Space {
    name: String,
    dim: usize,
    text_model: String,
    centre: Vec<f32>,
    resemblance: Option<Resemblance>,
    prompts: BTreeMap<String, Vec<f32>>,
    tower: Option<TextTower>,
    own: Option<OwnTower>,
}

/// The pack's own text tower, prepared when it is first needed: most class files do without.
#[derive(Debug)]
struct OwnTower {
    model: (PathBuf, Vec<u8>),
    beside: Beside,
    tokenizer: Option<(PathBuf, Vec<u8>)>,
    words: WordsSpec,
    projection: Vec<Dense>,
    /// Whether it stands in for the text model, and so may not know what that knows.
    stands_in: bool,
    /// The words that it was taught, if it says so.
    taught: Option<Taught>,
    opened: OnceLock<TextTower>,
}

impl OwnTower {
    fn load(pack: &Pack, tower: &Tower) -> Result<Self, SpaceError> {
        let member = |path: &String| -> Result<(PathBuf, Vec<u8>), SpaceError> {
            Ok((PathBuf::from(path), pack.member(path)?.to_vec()))
        };
        let array = |path: &String| -> Result<Array, SpaceError> {
            Array::from_bytes(pack.member(path)?).map_err(|source| SpaceError::Array {
                path: path.clone(),
                source,
            })
        };
        let layers = tower.projection.iter().map(|layer| {
            let bias = layer.bias.as_ref().map(array).transpose()?;
            let dense = Dense::new(array(&layer.weight)?, bias, layer.activation);
            Ok(dense.map_err(TextError::from)?)
        });
        let words = tower.words.clone().unwrap_or_default();
        words.check()?;
        let model = member(&tower.model)?;
        let taught = match &tower.taught {
            Some(path) => {
                let taught = Taught::from_bytes(pack.member(path)?.to_vec());
                Some(taught.ok_or_else(|| SpaceError::Taught { path: path.clone() })?)
            }
            None => None,
        };
        // Of what is no model, it is told when it is first needed.
        let elsewhere = weights::locations(&model.1).unwrap_or_default();
        let beside = elsewhere.into_iter().map(|location| {
            let content = pack.member(&weights::member(&tower.model, &location))?;
            Ok((location, content.to_vec()))
        });
        Ok(Self {
            beside: beside.collect::<Result<_, SpaceError>>()?,
            model,
            tokenizer: tower.tokenizer.as_ref().map(member).transpose()?,
            words,
            projection: layers.collect::<Result<_, SpaceError>>()?,
            stands_in: tower.report.is_some(),
            taught,
            opened: OnceLock::new(),
        })
    }

    fn open(&self) -> Result<&TextTower, TextError> {
        if let Some(tower) = self.opened.get() {
            return Ok(tower);
        }
        let (model, tokenizer) = (&self.model, self.tokenizer.as_ref());
        let tower = TextTower::with_weights(
            (&model.0, &model.1),
            &self.beside,
            tokenizer.map(|(path, bytes)| (path.as_path(), bytes.as_slice())),
            self.words.clone(),
            self.projection.clone(),
        )?;
        Ok(self.opened.get_or_init(|| tower))
    }
}

/// Why a phrase may not mean here what it means elsewhere.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// Its words had to be spelt from small pieces.
    Spelt {
        /// Pieces of its words.
        pieces: usize,
        /// Letters and digits.
        characters: usize,
    },
    /// Words of it that the tower was never taught.
    Untaught {
        /// The words, in lower case.
        words: Vec<String>,
    },
    /// No phrase that the pack was made with is near.
    Far {
        /// The nearest.
        nearest: String,
        /// Its cosine, both centred.
        cosine: f32,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spelt { pieces, characters } => write!(
                f,
                "its words are not in the text tower's vocabulary: {characters} letters came apart \
                 into {pieces} pieces"
            ),
            Self::Untaught { words } => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                write!(
                    f,
                    "the text tower was never taught {}, and goes by the parts: other words may be surer",
                    words.join(", ")
                )
            }
            Self::Far { nearest, cosine } => write!(
                f,
                "it is far from all that the pack was made with; the nearest is {nearest:?} \
                 (cosine {cosine:.2})"
            ),
        }
    }
}

impl Space {
    /// Reads a space of a pack.
    ///
    /// # Errors
    ///
    /// The pack has no such space, or its members do not fit together.
    pub fn load(pack: &Pack, name: &str) -> Result<Self, SpaceError> {
        let no_space = || SpaceError::NoSpace {
            name: name.to_owned(),
        };
        let entry = pack.manifest().space(name).ok_or_else(no_space)?;
        let any = |path: &str| -> Result<Array, SpaceError> {
            let array = Array::from_bytes(pack.member(path)?);
            array.map_err(|source| SpaceError::Array {
                path: path.to_owned(),
                source,
            })
        };
        let array = |path: &str, expected: Vec<usize>| -> Result<Array, SpaceError> {
            let array = any(path)?;
            if array.shape == expected {
                return Ok(array);
            }
            Err(SpaceError::Shape {
                path: path.to_owned(),
                actual: array.shape,
                expected,
            })
        };
        let resemblance = entry.resemblance.as_ref().map(|of| {
            let names = any(&of.names)?;
            let actual = names.shape.clone();
            let resemblance = Resemblance::new(names, of.temperature);
            let fits = |resemblance: &Resemblance| resemblance.dim() == entry.dim;
            resemblance.filter(fits).ok_or(SpaceError::Resemblance {
                path: of.names.clone(),
                actual,
                dim: entry.dim,
                temperature: of.temperature,
            })
        });
        let resemblance = resemblance.transpose()?;
        let word_dim = resemblance
            .as_ref()
            .map_or(entry.dim, Resemblance::word_dim);
        let centre = array(&entry.centre, vec![word_dim])?.values;
        let phrases: Vec<String> =
            serde_json::from_slice(pack.member(&entry.prompts)?).map_err(|source| {
                SpaceError::Prompts {
                    path: entry.prompts.clone(),
                    source,
                }
            })?;
        let rows = array(&entry.prompt_rows, vec![phrases.len(), word_dim])?;
        let prompts = phrases.into_iter().zip(rows.rows().map(<[f32]>::to_vec));
        let own = entry.tower.as_ref();
        let own = own.map(|tower| OwnTower::load(pack, tower)).transpose()?;
        Ok(Self {
            name: entry.name.clone(),
            dim: entry.dim,
            text_model: entry.text_model.clone(),
            centre,
            resemblance,
            prompts: prompts.collect(),
            tower: None,
            own,
        })
    }

    /// The same space, able to embed any words.
    ///
    /// # Errors
    ///
    /// A folder that holds no text model, or not the one that the space is made of.
    pub fn with_text_model(mut self, dir: &Path) -> Result<Self, SpaceError> {
        let tower = TextTower::open(dir)?;
        if let Some((prompt, expected)) = self.prompts.first_key_value() {
            let row = &tower.embed(&[prompt])?[0];
            let cosine = match row.len() == expected.len() {
                true => dot_f32(row, expected),
                false => 0.0,
            };
            if cosine < SAME_MODEL_COSINE || cosine.is_nan() {
                return Err(SpaceError::OtherModel {
                    expected: self.text_model,
                    prompt: prompt.clone(),
                    cosine,
                });
            }
        }
        if tower.dim() != self.centre.len() {
            return Err(SpaceError::Length {
                dim: self.centre.len(),
                actual: tower.dim(),
                space: self.name,
                text_model: self.text_model,
            });
        }
        self.tower = Some(tower);
        Ok(self)
    }

    /// Whether any words have a place in it, by a text model or as phrases of the pack. Where none has,
    /// things are named by examples.
    #[must_use]
    pub fn knows_words(&self) -> bool {
        self.tower.is_some() || self.own.is_some() || !self.prompts.is_empty()
    }

    /// Its name in the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What tells this space from others: embeddings of spaces with one fingerprint may meet.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let bytes: Vec<u8> = self.centre.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut text = format!("{}\n{}", self.text_model, sha256_hex(&bytes));
        if let Some(resemblance) = &self.resemblance {
            text.push_str(&resemblance.fingerprint());
        }
        sha256_hex(text.as_bytes())[..16].to_owned()
    }

    /// The phrases that need no text model.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    /// The vector of a class that these prompts describe.
    ///
    /// # Errors
    ///
    /// Words that the pack does not know, without a text model, or one that fails.
    pub fn class_vector(&self, prompts: &[String]) -> Result<Vec<f32>, SpaceError> {
        let words = self.word_vector(prompts)?;
        Ok(match &self.resemblance {
            None => words,
            Some(resemblance) => resemblance.vector(&words),
        })
    }

    /// What prompts mean by the text model, centred.
    fn word_vector(&self, prompts: &[String]) -> Result<Vec<f32>, SpaceError> {
        let rows = prompts
            .iter()
            .map(|prompt| self.prompt_row(prompt))
            .collect::<Result<Vec<_>, _>>()?;
        let mut vector = vec![0.0; self.centre.len()];
        class_vector(rows.iter().map(Vec::as_slice), &self.centre, &mut vector);
        Ok(vector)
    }

    fn prompt_row(&self, prompt: &str) -> Result<Vec<f32>, SpaceError> {
        if let Some(row) = self.prompts.get(prompt) {
            return Ok(row.clone());
        }
        if let Some(tower) = &self.tower {
            return Ok(tower.embed(&[prompt])?.remove(0));
        }
        let Some(own) = &self.own else {
            return Err(SpaceError::Unknown {
                prompt: prompt.to_owned(),
                text_model: self.text_model.clone(),
            });
        };
        let tower = own.open()?;
        if own.stands_in {
            let pieces = tower.pieces(prompt)?;
            if pieces.pieces > 0 && pieces.unknown * 2 > pieces.pieces {
                let prompt = prompt.to_owned();
                return Err(SpaceError::Script { prompt });
            }
        }
        let row = match own.stands_in {
            true => tower.embed(&[prompt])?.remove(0),
            // What the text model makes of nothing is for it to say.
            false => tower.embed_one(prompt)?,
        };
        if row.len() == self.centre.len() {
            return Ok(row);
        }
        Err(SpaceError::Shape {
            path: own.model.0.to_string_lossy().into_owned(),
            actual: vec![row.len()],
            expected: vec![self.centre.len()],
        })
    }

    /// Whether a text tower that is the space's text model itself still gives what the pack holds of
    /// its phrases; how many of them were tried, which is none where there is no such tower.
    ///
    /// # Errors
    ///
    /// A tower that cannot be run, or gives something else.
    pub fn test_tower(&self) -> Result<usize, SpaceError> {
        let Some(own) = self.own.as_ref().filter(|own| !own.stands_in) else {
            return Ok(0);
        };
        let tower = own.open()?;
        let phrases = self.prompts.iter().take(TESTED);
        for (prompt, expected) in phrases.clone() {
            let row = tower.embed_one(prompt)?;
            let differences = row.iter().zip(expected).map(|(a, b)| (a - b).abs());
            // A NaN must not pass.
            let worse = |worst: f32, d: f32| if d <= worst { worst } else { d };
            let actual = match row.len() == expected.len() {
                true => differences.fold(0.0, worse),
                false => f32::INFINITY,
            };
            if actual > TOWER_MAX_ABS || actual.is_nan() {
                return Err(SpaceError::SelfTest {
                    space: self.name.clone(),
                    prompt: prompt.clone(),
                    actual,
                });
            }
        }
        Ok(phrases.len())
    }

    /// Why a phrase may not mean here what it means elsewhere, if anything. Phrases that the pack
    /// holds are in no doubt, nor are those that the text model itself embeds.
    ///
    /// # Errors
    ///
    /// Those of [`class_vector`](Self::class_vector).
    pub fn doubt(&self, prompt: &str) -> Result<Option<Doubt>, SpaceError> {
        let (None, Some(own)) = (&self.tower, &self.own) else {
            return Ok(None);
        };
        if !own.stands_in {
            return Ok(None);
        }
        if self.prompts.contains_key(prompt) {
            return Ok(None);
        }
        let vector = self.word_vector(&[prompt.to_owned()])?;
        if let Some(taught) = &own.taught {
            let mut words = Vec::new();
            for word in own.open()?.split(prompt)? {
                if !taught.knows(&word) && !words.contains(&word) {
                    words.push(word);
                }
            }
            if !words.is_empty() {
                return Ok(Some(Doubt::Untaught { words }));
            }
        }
        let Pieces {
            pieces,
            continued,
            characters,
            ..
        } = own.open()?.pieces(prompt)?;
        if continued as f32 > SPELT * characters as f32 {
            return Ok(Some(Doubt::Spelt { pieces, characters }));
        }
        let mut known = vec![0.0; self.centre.len()];
        let nearest = self.prompts.iter().map(|(phrase, row)| {
            class_vector([row.as_slice()], &self.centre, &mut known);
            (phrase, dot_f32(&known, &vector))
        });
        let nearest = nearest.max_by(|a, b| a.1.total_cmp(&b.1));
        Ok(nearest
            .filter(|(_, cosine)| *cosine < FAR)
            .map(|(phrase, cosine)| Doubt::Far {
                nearest: phrase.clone(),
                cosine,
            }))
    }
}

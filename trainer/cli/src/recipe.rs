//! The recipe: all that decides how an encoder is trained, in one TOML file.

use std::path::{Path, PathBuf};

use sensorium_core::feature::FrontEnd;
use sensorium_data::{Augmentations, Modality, SetConfig, SplitConfig};
use sensorium_engine::classes::Classes;
use sensorium_engine::keys::from_toml;
use sensorium_model::conv::Conse;
use sensorium_model::{Sense, TowerConfig};
use serde::{Deserialize, Serialize};

use crate::trunk::TrunkConfig;

mod base;
mod check;

pub use base::read;
pub use check::RecipeError;

/// A recipe, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the encoder and of its pack.
    pub name: String,
    /// What it is trained on.
    pub data: Vec<SetConfig>,
    /// Where the picture of a sample is, if not beside it.
    #[serde(default)]
    pub pairing: Option<Pairing>,
    /// Who it is measured on.
    pub split: SplitConfig,
    /// What it is given.
    pub front_end: FrontEnd,
    /// A frozen net between the front end and the encoder, which is given its features then.
    #[serde(default)]
    pub trunk: Option<TrunkConfig>,
    /// Its dimensions.
    pub encoder: TowerConfig,
    /// The words of its space.
    pub text: Text,
    /// What it is bound to.
    pub binding: Binding,
    /// How it is trained.
    pub training: Training,
    /// What is done to samples in training.
    #[serde(default)]
    pub augmentation: Augmentations,
    /// How its cosines become scores.
    pub scoring: Scoring,
    /// What it tells apart.
    #[serde(rename = "class")]
    pub classes: Vec<Class>,
    /// What is none of the classes.
    #[serde(default)]
    pub background: Background,
    /// Names of the classes that a training was told to leave out; no key of the file.
    #[serde(skip)]
    pub unseen_classes: Vec<String>,
    /// Classes that are measured on their own as well.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
}

/// Where the pictures are that samples are bound to: in a set of their own, each sample with any
/// picture of its label, another one each time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// Name of the set with the pictures. Its `split` says which of them training must not see;
    /// samples are measured against those.
    pub pictures: String,
}

/// The words of the space.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Name of the text model.
    pub model: String,
    /// Name of the space in the pack.
    pub space: String,
    /// File with a phrase a line, beside the recipe; their mean embedding is the centre.
    pub phrases: PathBuf,
}

/// What an encoder is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "to", rename_all = "lowercase", deny_unknown_fields)]
pub enum Binding {
    /// The words of a sample's class, against those of all others.
    Words {
        /// Divides cosines; the smaller, the more the nearest wrong class matters.
        temperature: f64,
        /// Share of the target spread over all classes.
        #[serde(default)]
        label_smoothing: f64,
        /// How much it counts, beside telling classes apart, that a sample lies far from its own
        /// words: times one less the cosine. Without it, samples of different classes may lie close
        /// together, which hurts what is bound to them later.
        #[serde(default)]
        pull: f64,
        /// What is added to the embeddings of the trained encoder.
        #[serde(default)]
        conse: Option<ConseConfig>,
    },
    /// The frozen embedding of a sample's picture, or of what another sense recorded with it, against
    /// those of the rest of the batch. Neither words nor labels take part.
    #[serde(alias = "sense")]
    Images {
        /// The sense that is bound to; another than pictures takes an earlier training of it.
        #[serde(default = "image")]
        sense: Modality,
        /// What is asked of a pair.
        #[serde(default)]
        loss: PairLossKind,
        /// Divides cosines; an encoder that has a scale of its own does without.
        #[serde(default)]
        temperature: Option<f64>,
        /// Pictures whose embeddings are at least this alike count as one: none of them is another's
        /// negative. 1 does so for copies only.
        #[serde(default = "one")]
        same_above: f32,
        /// Parts of each picture that are embedded, drawn as `augmentation.view` says, the first of
        /// them the whole: a sample that was recorded with it is then bound by the same part of
        /// both. 1 embeds pictures as they are.
        #[serde(default = "once")]
        views: usize,
    },
    /// What a frozen encoder of the same sense makes of mixtures of the samples: a smaller encoder
    /// learns from a larger one. Neither words nor labels of samples take part.
    Teacher {
        /// Mixtures that are made, once; an epoch goes through as many.
        mixtures: usize,
        /// Sounds in a mixture, at most; each number is as likely.
        parts: usize,
        /// Least and most that each sound after the first is softer, in decibels.
        softer_db: [f32; 2],
        /// Divides cosines to the words of the teacher's pack: both encoders shall score them alike.
        temperature: f64,
        /// How much it counts beside that that an embedding lies far from the teacher's: times one
        /// less the cosine.
        #[serde(default)]
        pull: f64,
    },
}

/// How finished embeddings lean towards the words of training: [`Conse`] without what is known from the
/// classes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConseConfig {
    /// Divides cosines before the softmax over words.
    pub temperature: f64,
    /// Times the words' mean; the encoder's own embedding has length 1.
    pub weight: f64,
}

/// A loss of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairLossKind {
    /// InfoNCE both ways.
    #[default]
    Symmetric,
    /// InfoNCE, each picture looks for its own sample.
    FromImage,
    /// InfoNCE, each sample looks for its own picture.
    ToImage,
    /// The sigmoid loss of SigLIP.
    Sigmoid,
}

fn image() -> Modality {
    Modality::Image
}

fn yes() -> bool {
    true
}

fn one() -> f32 {
    1.0
}

fn once() -> usize {
    1
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Times that as many samples are drawn as there are.
    pub epochs: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Samples that are held in memory with all that leads to their embeddings; the whole batch by
    /// default. Gradients are those of the whole batch all the same.
    #[serde(default)]
    pub chunk: Option<usize>,
    /// At its highest.
    pub learning_rate: f64,
    /// Share of all steps in which the rate rises.
    pub warmup: f64,
    /// AdamW's decay of the mean gradient.
    pub beta_1: f32,
    /// AdamW's decay of the mean squared gradient.
    pub beta_2: f32,
    /// AdamW's.
    pub weight_decay: f32,
    /// Longest gradient.
    pub clip_norm: f64,
    /// 0 draws every sample alike, 1 every class alike.
    #[serde(default)]
    pub class_balance: f64,
}

/// The pack's scoring.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// Cosines are divided by it before the softmax.
    pub temperature: f32,
    /// Score at which an event begins.
    pub enter: f32,
    /// Score below which it is over.
    pub exit: f32,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// As events name it.
    pub name: String,
    /// Phrases that say it; their mean embedding is the class.
    pub prompts: Vec<String>,
    /// What the data set calls it. A label may be of several classes where samples are not bound to
    /// words: a picture of a street at night may show a car as well.
    pub labels: Vec<String>,
    /// Whether it is among the classes that a pack has without being asked.
    #[serde(default = "yes", skip_serializing)]
    pub default: bool,
}

/// Phrases that stand for everything else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// The phrases.
    pub prompts: Vec<String>,
}

/// Some of the classes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// As reports name it.
    pub name: String,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Only samples of people, speakers or sequences whose names begin so; of all by default.
    #[serde(default)]
    pub of: String,
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    ///
    /// A file that is no recipe.
    pub fn open(path: &Path) -> Result<Self, RecipeError> {
        let text = read(path)?;
        Self::parse(&text, path)
    }

    /// As [`open`](Self::open), of a file's content.
    ///
    /// # Errors
    ///
    /// Text that is no recipe.
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

    /// The sense of the encoder, as data sets and packs call it.
    #[must_use]
    pub fn modality(&self) -> Modality {
        match self.encoder.sense() {
            Sense::Vision => Modality::Image,
            Sense::Text => Modality::Text,
            Sense::Audio => Modality::Audio,
            Sense::Depth => Modality::Depth,
            Sense::Thermal => Modality::Thermal,
            Sense::Imu => Modality::Imu,
        }
    }

    /// How finished embeddings lean towards so many words, if they do.
    #[must_use]
    pub fn conse(&self, words: usize) -> Option<Conse> {
        let Binding::Words { conse, .. } = self.binding else {
            return None;
        };
        let ConseConfig {
            temperature,
            weight,
        } = conse?;
        Some(Conse {
            words,
            temperature,
            weight,
        })
    }

    /// The class that has a label, by its place; the first, if several are true of it.
    #[must_use]
    pub fn class_of(&self, label: &str) -> Option<usize> {
        self.classes_of(label).next()
    }

    /// All classes that are true of a label, by their places.
    pub fn classes_of(&self, label: &str) -> impl Iterator<Item = usize> {
        let classes = self.classes.iter().enumerate();
        classes.filter_map(move |(place, class)| {
            let has = class.labels.iter().any(|known| known == label);
            has.then_some(place)
        })
    }

    /// The place of a class of this name.
    #[must_use]
    pub fn class_named(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// Whether training may use a class, by its place.
    #[must_use]
    pub fn is_seen(&self, class: usize) -> bool {
        !self.unseen_classes.contains(&self.classes[class].name)
    }

    /// Keeps only the classes of a class file, in its words.
    ///
    /// # Errors
    ///
    /// A class that the recipe does not have, or too few.
    pub fn reword(&mut self, classes: &Classes, path: &Path) -> Result<(), RecipeError> {
        let wrong = |what| RecipeError::Value {
            path: path.to_owned(),
            what,
        };
        let reworded = classes.classes.iter().map(|class| {
            let known = self.class_named(&class.name);
            let place = known.ok_or_else(|| wrong(self.no_such_class(&class.name)))?;
            let mut prompts = class.prompts.clone();
            if prompts.is_empty() {
                prompts.push(class.name.clone());
            }
            Ok(Class {
                prompts,
                ..self.classes[place].clone()
            })
        });
        self.classes = reworded.collect::<Result<_, _>>()?;
        let names: Vec<&String> = self.classes.iter().map(|class| &class.name).collect();
        for group in &mut self.groups {
            group.classes.retain(|name| names.contains(&name));
        }
        self.groups.retain(|group| !group.classes.is_empty());
        self.class_fault().map_or(Ok(()), |what| Err(wrong(what)))
    }

    /// Leaves classes out of training: neither their windows nor their words take part.
    ///
    /// # Errors
    ///
    /// A class that the recipe does not have, or too few left.
    pub fn leave_out(&mut self, names: &[String], path: &Path) -> Result<(), RecipeError> {
        let unknown = names.iter().find(|name| self.class_named(name).is_none());
        let left = self.classes.iter().filter(|c| !names.contains(&c.name));
        let what = match unknown {
            Some(name) => self.no_such_class(name),
            None if left.count() < 2 => "fewer than 2 classes are left to train on".to_owned(),
            None => {
                self.unseen_classes = names.to_vec();
                return Ok(());
            }
        };
        Err(RecipeError::Value {
            path: path.to_owned(),
            what,
        })
    }
}

#[cfg(test)]
mod tests;

//! The recipe: all that decides how an encoder is trained, in one TOML file.

use std::path::{Path, PathBuf};

use sensorium_core::feature::ImuFrontEnd;
use sensorium_data::ImuAugmentation;
use sensorium_engine::keys::from_toml;
use sensorium_model::{EncoderConfig, InputConfig};
use serde::{Deserialize, Serialize};

mod check;

pub use check::RecipeError;

/// A recipe, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the encoder and of its pack.
    pub name: String,
    /// What it is trained on.
    pub data: Data,
    /// Who it is measured on.
    pub split: Split,
    /// What it is given.
    pub front_end: FrontEnd,
    /// Its dimensions.
    pub encoder: EncoderConfig,
    /// What it is bound to.
    pub text: Text,
    /// How it is trained.
    pub training: Training,
    /// What is done to windows in training.
    #[serde(default)]
    pub augmentation: ImuAugmentation,
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

/// A set of windows in a folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Its name and where it is described.
    pub name: String,
    /// Its terms.
    pub licence: String,
    /// Array `[windows, samples, 6]`.
    pub windows: PathBuf,
    /// CSV file with a row a window.
    pub index: PathBuf,
    /// Sample rate, in hertz.
    pub rate_hz: f32,
    /// Units of the channels.
    pub units: String,
}

/// What training must not see.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// People.
    pub held_out_people: Vec<u32>,
}

/// The encoder's rate and units.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontEnd {
    /// Sample rate, in hertz.
    pub rate_hz: f32,
    /// Units of the channels.
    pub units: String,
}

/// The frozen text tower.
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

/// The optimiser and the loss.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Times that as many windows are drawn as there are.
    pub epochs: usize,
    /// Windows in a step.
    pub batch: usize,
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
    /// InfoNCE's.
    pub temperature: f64,
    /// Share of the target spread over all classes.
    pub label_smoothing: f64,
    /// 0 draws every window alike, 1 every class alike.
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
    /// What the data set calls it.
    pub labels: Vec<String>,
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
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    ///
    /// A file that is no recipe.
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

    /// The encoder's front end.
    #[must_use]
    pub fn front_end(&self) -> Option<ImuFrontEnd> {
        Some(ImuFrontEnd {
            rate_hz: self.front_end.rate_hz,
            samples: self.samples()?,
            units: self.front_end.units.parse().ok()?,
        })
    }

    /// Samples of a window; none if the encoder is not of inertial data.
    #[must_use]
    pub fn samples(&self) -> Option<usize> {
        match self.encoder.input {
            InputConfig::Imu { samples, .. } => Some(samples),
            _ => None,
        }
    }

    /// The class that has a label, by its place.
    #[must_use]
    pub fn class_of(&self, label: &str) -> Option<usize> {
        let has = |class: &Class| class.labels.iter().any(|known| known == label);
        self.classes.iter().position(has)
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

//! What makes a recipe one, and what is said of one that is not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sensorium_data::{Modality, SetConfig};
use sensorium_engine::keys::{TomlError, hint};
use sensorium_model::{Sense, TowerConfig};
use thiserror::Error;

use super::{Binding, ConseConfig, Recipe, Training};

/// Sounds of a mixture: more are noise.
const MOST_PARTS: usize = 8;

/// Why a recipe cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML of the right form.
    #[error("{path:?}, {error}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why the parser gave up.
        error: TomlError,
    },
    /// A value is out of range or does not fit another.
    #[error("{path:?}: {what}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong with which value.
        what: String,
    },
}

impl Recipe {
    /// What is out of range or does not fit, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let faults = [
            Self::encoder_fault,
            Self::data_fault,
            Self::binding_fault,
            Self::number_fault,
            Self::class_fault,
        ];
        faults.into_iter().find_map(|fault| fault(self))
    }

    fn encoder_fault(&self) -> Option<String> {
        if self.encoder.sense() == Sense::Text {
            return Some("encoder.input.sense is text, expected one that is bound to words".into());
        }
        if matches!(&self.encoder, TowerConfig::Conv(config) if config.conse.is_some()) {
            return Some("encoder.conse has no place here, expected binding.conse".into());
        }
        if let Err(error) = self.encoder.check() {
            return Some(format!("encoder.{error}"));
        }
        let processor = match self.front_end.build() {
            Ok(processor) => processor,
            Err(error) => return Some(format!("front_end.{error}")),
        };
        let (given, taken) = (processor.output_shape(), self.encoder.input_shape());
        if self.trunk.is_some() {
            return (!matches!(taken[..], [_, 1])).then(|| {
                format!("encoder.input is {taken:?}, expected [features, 1], what a trunk gives")
            });
        }
        (given != taken).then(|| {
            format!("the front end gives {given:?}, expected {taken:?}, what the encoder takes")
        })
    }

    fn data_fault(&self) -> Option<String> {
        if self.data.is_empty() {
            return Some("it has no [[data]]".into());
        }
        let mut names = BTreeSet::new();
        if let Some(set) = self
            .data
            .iter()
            .find(|set| !names.insert(set.name.as_str()))
        {
            return Some(format!("data set {:?} is there twice", set.name));
        }
        if let Err(error) = self.augmentation.check() {
            return Some(format!("augmentation.{error}"));
        }
        let pictures = self
            .pairing
            .as_ref()
            .map(|pairing| pairing.pictures.as_str());
        if let Some(pictures) = pictures.filter(|pictures| !names.contains(pictures)) {
            let hint = hint(pictures, names.into_iter());
            return Some(format!(
                "pairing.pictures: there is no data set {pictures:?}{hint}"
            ));
        }
        let split_fault = |set: &SetConfig| {
            let (name, is_pictures) = (&set.name, pictures == Some(set.name.as_str()));
            match set.split.is_some() {
                true if !is_pictures => Some(format!(
                    "data set {name:?} has a split, which only a set of pictures has; samples are \
                     divided by [split]"
                )),
                false if is_pictures => Some(format!(
                    "data set {name:?} has no split, expected one: samples are measured against \
                     the pictures that it holds out"
                )),
                _ => None,
            }
        };
        self.data.iter().find_map(split_fault)
    }

    fn binding_fault(&self) -> Option<String> {
        let temperature = match self.binding {
            Binding::Words {
                temperature,
                label_smoothing,
                pull,
                conse,
            } => {
                if !(0.0..f64::INFINITY).contains(&pull) {
                    return Some(format!(
                        "binding.pull is {pull}, expected a number from 0 on"
                    ));
                }
                if let Some(ConseConfig {
                    temperature,
                    weight,
                }) = conse
                {
                    if !matches!(self.encoder, TowerConfig::Conv(_)) {
                        return Some("binding.conse is for encoders of the form conv".into());
                    }
                    if let Some(what) = not_positive(&[
                        ("binding.conse.temperature", temperature),
                        ("binding.conse.weight", weight),
                    ]) {
                        return Some(what);
                    }
                }
                if self.pairing.is_some() {
                    return Some("pairing is for binding to images, not to words".into());
                }
                if !(0.0..1.0).contains(&label_smoothing) {
                    return Some(format!(
                        "binding.label_smoothing is {label_smoothing}, expected at least 0 and \
                         below 1"
                    ));
                }
                Some(temperature)
            }
            Binding::Images {
                sense,
                temperature,
                same_above,
                views,
                ..
            } => {
                if sense == self.modality() || sense == Modality::Text {
                    return Some(format!(
                        "binding.sense is {sense}, expected one that is recorded beside {}",
                        self.modality()
                    ));
                }
                if sense != Modality::Image && (views > 1 || self.pairing.is_some()) {
                    return Some(format!(
                        "binding.views and pairing are for pictures, not for {sense}"
                    ));
                }
                if views == 0 {
                    return Some("binding.views is 0, expected at least 1".into());
                }
                if views > 1 && self.pairing.is_some() {
                    return Some(
                        "binding.views is for pictures beside the samples, not for those of a \
                         pairing"
                            .into(),
                    );
                }
                if !(same_above > 0.0 && same_above <= 1.0) {
                    return Some(format!(
                        "binding.same_above is {same_above}, expected more than 0, at most 1"
                    ));
                }
                let scaled = self.encoder.scale().is_some();
                if temperature.is_some() == scaled {
                    return Some(
                        "either binding.temperature or encoder.scale has to be there, not both"
                            .into(),
                    );
                }
                temperature
            }
            Binding::Teacher {
                mixtures,
                parts,
                softer_db: [least, most],
                temperature,
                pull,
            } => {
                if self.modality() != Modality::Audio {
                    return Some(format!(
                        "binding to a teacher mixes sounds, and the encoder is of {}",
                        self.modality()
                    ));
                }
                if self.pairing.is_some() {
                    return Some("pairing is for binding to images, not to a teacher".into());
                }
                if mixtures < self.training.batch {
                    return Some(format!(
                        "binding.mixtures is {mixtures}, expected at least training.batch, {}",
                        self.training.batch
                    ));
                }
                if !(1..=MOST_PARTS).contains(&parts) {
                    return Some(format!(
                        "binding.parts is {parts}, expected 1 to {MOST_PARTS}"
                    ));
                }
                if !(least.is_finite() && most.is_finite() && least <= most) {
                    return Some(format!(
                        "binding.softer_db is [{least}, {most}], expected the least and the most"
                    ));
                }
                if !(0.0..f64::INFINITY).contains(&pull) {
                    return Some(format!(
                        "binding.pull is {pull}, expected a number from 0 on"
                    ));
                }
                Some(temperature)
            }
        };
        let wrong = |value: &f64| !(*value > 0.0 && value.is_finite());
        let value = temperature.filter(wrong)?;
        Some(format!(
            "binding.temperature is {value}, expected a number above 0"
        ))
    }

    fn number_fault(&self) -> Option<String> {
        if let Some(what) = self.training.fault() {
            return Some(what);
        }
        let scoring = self.scoring;
        if let Some(what) = not_positive(&[("scoring.temperature", f64::from(scoring.temperature))])
        {
            return Some(what);
        }
        if let Some(what) = no_share(&[
            ("scoring.enter", f64::from(scoring.enter)),
            ("scoring.exit", f64::from(scoring.exit)),
        ]) {
            return Some(what);
        }
        (scoring.exit > scoring.enter).then(|| {
            format!(
                "scoring.exit is {}, expected at most scoring.enter, {}",
                scoring.exit, scoring.enter
            )
        })
    }

    pub(super) fn class_fault(&self) -> Option<String> {
        if self.classes.len() < 2 {
            return Some(format!(
                "it has {} classes, expected at least 2",
                self.classes.len()
            ));
        }
        let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::new());
        for class in &self.classes {
            if !names.insert(&class.name) {
                return Some(format!("class {:?} is there twice", class.name));
            }
            if class.prompts.is_empty() || class.prompts.iter().any(|p| p.trim().is_empty()) {
                return Some(format!("class {:?} has no or an empty prompt", class.name));
            }
            let twice = class.labels.iter().find(|label| !labels.insert(*label));
            let to_words = matches!(self.binding, Binding::Words { .. });
            if let Some(label) = twice.filter(|_| to_words) {
                return Some(format!("label {label:?} belongs to two classes"));
            }
        }
        let mut groups = self.groups.iter().flat_map(|group| &group.classes);
        let unknown = groups.find(|name| !names.contains(name))?;
        Some(self.no_such_class(unknown))
    }

    pub(super) fn no_such_class(&self, name: &str) -> String {
        let names = self.classes.iter().map(|class| class.name.as_str());
        format!("there is no class {name:?}{}", hint(name, names))
    }
}

impl Training {
    /// What is out of range, if anything.
    pub fn fault(&self) -> Option<String> {
        let Self {
            epochs,
            batch,
            chunk,
            learning_rate,
            warmup,
            beta_1,
            beta_2,
            weight_decay,
            clip_norm,
            class_balance,
        } = *self;
        for (name, value) in [("epochs", epochs), ("batch", batch)] {
            if value == 0 {
                return Some(format!("training.{name} is 0, expected at least 1"));
            }
        }
        if let Some(chunk) = chunk.filter(|chunk| !(1..=batch).contains(chunk)) {
            return Some(format!(
                "training.chunk is {chunk}, expected 1 to training.batch, {batch}"
            ));
        }
        not_positive(&[
            ("training.learning_rate", learning_rate),
            ("training.clip_norm", clip_norm),
        ])
        .or_else(|| {
            no_share(&[
                ("training.warmup", warmup),
                ("training.beta_1", f64::from(beta_1)),
                ("training.beta_2", f64::from(beta_2)),
                ("training.weight_decay", f64::from(weight_decay)),
                ("training.class_balance", class_balance),
            ])
        })
    }
}

fn not_positive(values: &[(&str, f64)]) -> Option<String> {
    let wrong = |(_, value): &&(&str, f64)| !(*value > 0.0 && value.is_finite());
    let (name, value) = values.iter().find(wrong)?;
    Some(format!("{name} is {value}, expected a number above 0"))
}

fn no_share(values: &[(&str, f64)]) -> Option<String> {
    let wrong = |(_, value): &&(&str, f64)| !(0.0..=1.0).contains(value);
    let (name, value) = values.iter().find(wrong)?;
    Some(format!("{name} is {value}, expected 0 to 1"))
}

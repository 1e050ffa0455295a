//! What makes a recipe one, and what is said of one that is not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sensorium_core::feature::ImuUnits;
use sensorium_data::ImuAugmenter;
use sensorium_engine::keys::{TomlError, hint};
use thiserror::Error;

use super::{Recipe, Training};

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
        if self.samples().is_none() {
            let sense = self.encoder.sense();
            return Some(format!("encoder.input.sense is {sense}, expected imu"));
        }
        if let Err(error) = self.encoder.check() {
            return Some(format!("encoder.{error}"));
        }
        if let Err(error) = ImuAugmenter::new(self.augmentation) {
            return Some(format!("augmentation.{error}"));
        }
        let units = [
            ("data.units", &self.data.units),
            ("front_end.units", &self.front_end.units),
        ];
        for (name, units) in units {
            if let Err(error) = units.parse::<ImuUnits>() {
                return Some(format!("{name} is {units:?}, {error}"));
            }
        }
        self.number_fault().or_else(|| self.class_fault())
    }

    fn number_fault(&self) -> Option<String> {
        let Training {
            epochs,
            batch,
            learning_rate,
            warmup,
            beta_1,
            beta_2,
            weight_decay,
            clip_norm,
            temperature,
            label_smoothing,
            class_balance,
        } = self.training;
        for (name, value) in [("epochs", epochs), ("batch", batch)] {
            if value == 0 {
                return Some(format!("training.{name} is 0, expected at least 1"));
            }
        }
        let scoring = self.scoring;
        let positive = [
            ("training.learning_rate", learning_rate),
            ("training.clip_norm", clip_norm),
            ("training.temperature", temperature),
            ("scoring.temperature", f64::from(scoring.temperature)),
            ("data.rate_hz", f64::from(self.data.rate_hz)),
            ("front_end.rate_hz", f64::from(self.front_end.rate_hz)),
        ];
        for (name, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Some(format!("{name} is {value}, expected a number above 0"));
            }
        }
        let shares = [
            ("training.warmup", warmup),
            ("training.beta_1", f64::from(beta_1)),
            ("training.beta_2", f64::from(beta_2)),
            ("training.weight_decay", f64::from(weight_decay)),
            ("training.label_smoothing", label_smoothing),
            ("training.class_balance", class_balance),
            ("scoring.enter", f64::from(scoring.enter)),
            ("scoring.exit", f64::from(scoring.exit)),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Some(format!("{name} is {value}, expected 0 to 1"));
            }
        }
        (scoring.exit > scoring.enter).then(|| {
            format!(
                "scoring.exit is {}, expected at most scoring.enter, {}",
                scoring.exit, scoring.enter
            )
        })
    }

    fn class_fault(&self) -> Option<String> {
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
            if let Some(label) = class.labels.iter().find(|label| !labels.insert(*label)) {
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

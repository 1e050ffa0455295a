//! What `calibrate` writes and `run` and `replay` read: thresholds, and what they hold for.
//!
//! ```toml
//! [[sense]]
//! modality = "imu"
//! pack = "imu-hapt@1f0c…"       # thresholds hold for this pack, these classes and this policy only
//! bank = "5dcf0f6e1d2a"
//! hop_s = 0.64
//! median_windows = 3
//!
//! [[sense.class]]
//! name = "walking"
//! enter = 0.91
//! exit = 0.64
//! min_duration_s = 1.0
//! false_alarms_per_hour = 0.5   # the budget
//! promised = true               # kept with a confidence of 95 %
//! alarms = 2                    # of the background, at this threshold
//! hours = 20.5
//! ```

use std::fmt;
use std::path::Path;

use sensorium_core::event::EventPolicy;
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use super::Threshold;
use crate::bank::Bank;
use crate::keys::{TomlError, from_toml};

/// What the file says to whoever opens it.
const HEAD: &str =
    "# Written by `sensorium calibrate`, for `run` and `replay --calibration FILE`.\n\n";

/// Why a calibration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// It is not TOML of the right form.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// It holds no sense.
    #[error("it holds no [[sense]]")]
    Empty,
    /// A sense or a class comes twice.
    #[error("{what} comes twice")]
    Twice {
        /// Which.
        what: String,
    },
    /// A score that is none, or a lower threshold above the upper one.
    #[error(
        "class {class:?}: enter is {enter} and exit is {exit}, expected 0 <= exit <= enter <= 1"
    )]
    Range {
        /// The class.
        class: String,
        /// Where events begin.
        enter: f32,
        /// Where they end.
        exit: f32,
    },
}

/// The thresholds of every sense that was calibrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Each sense once.
    #[serde(rename = "sense", default)]
    pub senses: Vec<SenseCalibration>,
}

/// The thresholds of one sense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenseCalibration {
    /// The sense.
    pub modality: Modality,
    /// The pack that scored the background.
    pub pack: String,
    /// The [`Bank::id`] of the classes that it was scored with.
    pub bank: String,
    /// Spacing of the windows, in seconds.
    #[serde(serialize_with = "write_shortest")]
    pub hop_s: f32,
    /// Windows that the median is taken over.
    pub median_windows: usize,
    /// The classes that a threshold was found for.
    #[serde(rename = "class", default)]
    pub classes: Vec<ClassThreshold>,
}

/// The threshold of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassThreshold {
    /// The class.
    pub name: String,
    /// Score at which an event begins.
    #[serde(serialize_with = "write_shortest")]
    pub enter: f32,
    /// Score below which it is over.
    #[serde(serialize_with = "write_shortest")]
    pub exit: f32,
    /// Shortest event, in seconds.
    #[serde(serialize_with = "write_shortest")]
    pub min_duration_s: f32,
    /// The budget.
    pub false_alarms_per_hour: f64,
    /// Whether the budget is kept with a confidence of 95 %.
    pub promised: bool,
    /// Alarms of the background.
    pub alarms: u64,
    /// Hours of background.
    pub hours: f64,
}

/// A number with the digits that tell it from its neighbours in 32 bits, not in 64.
#[must_use]
pub fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn write_shortest<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(shortest(*value))
}

impl ClassThreshold {
    /// The threshold of a class under this policy.
    #[must_use]
    pub fn new(name: &str, threshold: &Threshold, policy: EventPolicy) -> Self {
        Self {
            name: name.to_owned(),
            enter: threshold.enter,
            exit: threshold.exit,
            min_duration_s: seconds(policy.min_duration_us),
            false_alarms_per_hour: threshold.budget_per_hour,
            promised: threshold.is_promised(),
            alarms: threshold.alarms,
            hours: threshold.hours,
        }
    }
}

fn seconds(micros: u64) -> f32 {
    (micros as f64 / 1e6) as f32
}

/// Why a calibration promises nothing of what is run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stale {
    /// Another pack scores.
    Pack,
    /// Other classes, words or temperatures share the scores.
    Classes,
    /// Windows, median or shortest event are others.
    Policy,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pack => "it was made with another pack",
            Self::Classes => "the classes have changed since",
            Self::Policy => "the hop, median_windows or min_duration_s have changed since",
        })
    }
}

impl SenseCalibration {
    /// Why it promises nothing, if so, where `pack` scores windows of this hop against `bank` under
    /// `policy`.
    #[must_use]
    pub fn stale(&self, pack: &str, bank: &Bank, hop_s: f32, policy: EventPolicy) -> Option<Stale> {
        if self.pack != pack {
            return Some(Stale::Pack);
        }
        if self.bank != bank.id() {
            return Some(Stale::Classes);
        }
        let same_duration = |threshold: &ClassThreshold| {
            let named = |class: &crate::classes::Class| class.name == threshold.name;
            let class = bank.classes().iter().position(named);
            class.is_none_or(|class| {
                seconds(bank.policy(class, policy).min_duration_us) == threshold.min_duration_s
            })
        };
        let same = self.hop_s == hop_s
            && self.median_windows == policy.median_windows
            && self.classes.iter().all(same_duration);
        (!same).then_some(Stale::Policy)
    }
}

impl Calibration {
    /// Reads and checks a calibration.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, CalibrationError> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str) -> Result<Self, CalibrationError> {
        let calibration: Self = from_toml(text)?;
        calibration.check()?;
        Ok(calibration)
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// None: every field has a form in TOML; the writer's own are passed on.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        Ok(HEAD.to_owned() + &toml::to_string(self)?)
    }

    /// The thresholds of a sense, if it was calibrated.
    #[must_use]
    pub fn sense(&self, modality: Modality) -> Option<&SenseCalibration> {
        self.senses.iter().find(|sense| sense.modality == modality)
    }

    fn check(&self) -> Result<(), CalibrationError> {
        if self.senses.is_empty() {
            return Err(CalibrationError::Empty);
        }
        for (index, sense) in self.senses.iter().enumerate() {
            let twice = |what: String| Err(CalibrationError::Twice { what });
            let same_sense = |other: &SenseCalibration| other.modality == sense.modality;
            if self.senses[..index].iter().any(same_sense) {
                return twice(format!("sense {}", sense.modality));
            }
            for (index, class) in sense.classes.iter().enumerate() {
                let ClassThreshold { enter, exit, .. } = *class;
                if sense.classes[..index]
                    .iter()
                    .any(|other| other.name == class.name)
                {
                    return twice(format!("class {:?} of {}", class.name, sense.modality));
                }
                if !(0.0 <= exit && exit <= enter && enter <= 1.0) {
                    return Err(CalibrationError::Range {
                        class: class.name.clone(),
                        enter,
                        exit,
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let threshold = Threshold {
            enter: 0.91,
            exit: 0.637,
            budget_per_hour: 0.5,
            alarms: 2,
            hours: 20.5,
        };
        Calibration {
            senses: vec![SenseCalibration {
                modality: Modality::Imu,
                pack: "p@1".to_owned(),
                bank: "b".to_owned(),
                hop_s: 0.64,
                median_windows: 3,
                classes: vec![ClassThreshold::new(
                    "walking",
                    &threshold,
                    EventPolicy::default(),
                )],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_short() {
        let text = calibration().to_toml().unwrap();
        assert!(
            text.contains("enter = 0.91\n") && text.contains("hop_s = 0.64\n"),
            "{text}"
        );
        assert!(
            text.contains("[[sense.class]]\nname = \"walking\"\n"),
            "{text}"
        );
        assert_eq!(Calibration::parse(&text).unwrap(), calibration());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| Calibration::parse(text).unwrap_err().to_string();
        let text = calibration().to_toml().unwrap();
        assert_eq!(error(""), "it holds no [[sense]]");
        assert_eq!(
            error(&text.replace("exit = 0.637", "exit = 0.95")),
            "class \"walking\": enter is 0.91 and exit is 0.95, expected 0 <= exit <= enter <= 1"
        );
        assert_eq!(
            error(&text.replace("enter = 0.91", "entre = 0.91")),
            "line 12: unknown key \"entre\", did you mean \"enter\"?"
        );
        let body = text.strip_prefix(HEAD).unwrap();
        assert_eq!(error(&format!("{body}\n{body}")), "sense imu comes twice");
        let class = &body[body.find("[[sense.class]]").unwrap()..];
        assert_eq!(
            error(&format!("{text}\n{class}")),
            "class \"walking\" of imu comes twice"
        );
    }
}

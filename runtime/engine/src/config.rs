//! The configuration of `sensorium run`.
//!
//! ```toml
//! pack = "sense.pack"          # default: the built-in one
//! classes = "classes.toml"     # default: the pack's
//! calibration = "calibration.toml" # thresholds that `calibrate` found
//! text_model = "text-model"    # for words that the pack does not know
//! clock = "host"               # or "sample": times from sample numbers, as a replay has them
//!
//! [[stream]]
//! name = "wrist"
//! source = { kind = "serial", port = "/dev/ttyACM0", baud = 921600 }
//! hop_s = 0.64
//!
//! [[stream]]
//! name = "recorded"
//! source = { kind = "csv", path = "walk.csv", rate_hz = 50.0, units = "g,rad/s", speed = 1.0 }
//!
//! [events]
//! median_windows = 3
//! enter = 0.5                  # default: what the pack was calibrated to
//! exit = 0.35
//! min_duration_s = 1.0
//! cool_down_s = 0.0
//! update_every_s = 5.0
//! max_gap_s = 2.0
//! merge_within_s = 1.0         # what several streams tell of is one event; 0: never
//! ```

use std::path::{Path, PathBuf};

use sensorium_core::event::{EventPolicy, MAX_MEDIAN};
use sensorium_core::feature::ImuUnits;
use sensorium_pack::{Modality, Scoring};
use serde::Deserialize;
use thiserror::Error;

use crate::keys::{TomlError, from_toml};
use crate::stream::ClockMode;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// It is not TOML of the right form.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// There is nothing to listen to.
    #[error("it holds no [[stream]]")]
    NoStream,
    /// Two streams have one name.
    #[error("stream {name:?} comes twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A stream is of a sense that cannot be had yet.
    #[error("stream {name:?}: modality is {found}, expected imu")]
    Modality {
        /// The stream.
        name: String,
        /// Its sense.
        found: Modality,
    },
    /// A number out of its range.
    #[error("{key} is {found}, expected {expected}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Units that are none.
    #[error("stream {name:?}: units is {found:?}, expected such as \"g,rad/s\"")]
    Units {
        /// The stream.
        name: String,
        /// What the file says.
        found: String,
    },
}

/// The default spacing of windows, in seconds: a quarter of the built-in pack's window.
pub const DEFAULT_HOP_S: f32 = 0.64;

/// A configuration file. Paths are relative to where the program was started.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The pack; the built-in one by default.
    pub pack: Option<PathBuf>,
    /// The class file; the pack's by default.
    pub classes: Option<PathBuf>,
    /// What `calibrate` wrote; the pack's thresholds by default.
    pub calibration: Option<PathBuf>,
    /// Folder with the text model of the pack's space.
    pub text_model: Option<PathBuf>,
    /// What the times of events mean.
    #[serde(default)]
    pub clock: ClockMode,
    /// What to listen to.
    #[serde(rename = "stream", default)]
    pub streams: Vec<StreamConfig>,
    /// When a score makes an event.
    #[serde(default)]
    pub events: EventsConfig,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in events.
    pub name: String,
    /// The sense.
    #[serde(default = "imu")]
    pub modality: Modality,
    /// Where samples come from.
    pub source: SourceConfig,
    /// From the start of one window to the start of the next, in seconds.
    #[serde(default = "default_hop_s")]
    pub hop_s: f32,
}

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum SourceConfig {
    /// A node on a serial port.
    Serial {
        /// Path of the tty.
        port: PathBuf,
        /// Its speed, in bits per second; a USB port or pty has none.
        #[serde(default = "default_baud")]
        baud: u32,
    },
    /// A recording.
    Csv {
        /// The file.
        path: PathBuf,
        /// How often the sensor sampled, if the file has no times.
        rate_hz: Option<f32>,
        /// Units of columns that name none.
        units: Option<String>,
        /// So many times as fast as it was; as fast as it can by default.
        speed: Option<f64>,
    },
}

/// When a score makes an event; see [`EventPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Windows that the median is taken over.
    pub median_windows: Option<usize>,
    /// Score at which an event begins.
    pub enter: Option<f32>,
    /// Score below which it is over.
    pub exit: Option<f32>,
    /// Shorter events are not told.
    pub min_duration_s: Option<f32>,
    /// Time after an event in which the same class does not begin again.
    pub cool_down_s: Option<f32>,
    /// While an event lasts, it is told again this often.
    pub update_every_s: Option<f32>,
    /// A longer stretch without a scored window ends what was going on.
    pub max_gap_s: Option<f32>,
    /// Events of one class from several streams are one if they are no further apart; 0: never.
    pub merge_within_s: Option<f32>,
}

fn imu() -> Modality {
    Modality::Imu
}

fn default_hop_s() -> f32 {
    DEFAULT_HOP_S
}

fn default_baud() -> u32 {
    921_600
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = from_toml(text)?;
        if config.streams.is_empty() {
            return Err(ConfigError::NoStream);
        }
        for (index, stream) in config.streams.iter().enumerate() {
            let name = || stream.name.clone();
            if config.streams[..index]
                .iter()
                .any(|other| other.name == stream.name)
            {
                return Err(ConfigError::Twice { name: name() });
            }
            if stream.modality != Modality::Imu {
                let found = stream.modality;
                return Err(ConfigError::Modality {
                    name: name(),
                    found,
                });
            }
            check_hop_s(stream.hop_s)?;
            if let SourceConfig::Csv { rate_hz, speed, .. } = &stream.source {
                check_rate_hz(*rate_hz)?;
                check_speed(*speed)?;
            }
            stream.source.units(&stream.name)?;
        }
        config.events.check()?;
        Ok(config)
    }
}

impl SourceConfig {
    /// Units of columns that name none.
    ///
    /// # Errors
    ///
    /// Units that are none; errors call the stream `name`.
    pub fn units(&self, name: &str) -> Result<Option<ImuUnits>, ConfigError> {
        let Self::Csv {
            units: Some(units), ..
        } = self
        else {
            return Ok(None);
        };
        let parsed = units.parse().map_err(|_none| ConfigError::Units {
            name: name.to_owned(),
            found: units.clone(),
        })?;
        Ok(Some(parsed))
    }
}

impl EventsConfig {
    /// The policy, with the pack's thresholds where the file has none.
    #[must_use]
    pub fn policy(&self, scoring: Scoring) -> EventPolicy {
        let micros = |seconds: f32| (f64::from(seconds) * 1e6) as u64;
        let mut policy = EventPolicy::default();
        policy.enter = self.enter.unwrap_or(scoring.enter);
        policy.exit = self.exit.unwrap_or(scoring.exit.min(policy.enter));
        if let Some(windows) = self.median_windows {
            policy.median_windows = windows;
        }
        let durations = [
            (self.min_duration_s, &mut policy.min_duration_us),
            (self.cool_down_s, &mut policy.cool_down_us),
            (self.update_every_s, &mut policy.update_every_us),
            (self.max_gap_s, &mut policy.max_gap_us),
        ];
        for (seconds, duration_us) in durations {
            if let Some(seconds) = seconds {
                *duration_us = micros(seconds);
            }
        }
        policy
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(windows) = self
            .median_windows
            .filter(|n| !(1..=MAX_MEDIAN).contains(n))
        {
            return Err(out_of_range("median_windows", windows as f64, "1 to 15"));
        }
        for (key, value) in [("enter", self.enter), ("exit", self.exit)] {
            value.map_or(Ok(()), |score| check_score(key, score))?;
        }
        let durations = [
            ("min_duration_s", self.min_duration_s),
            ("cool_down_s", self.cool_down_s),
            ("update_every_s", self.update_every_s),
            ("max_gap_s", self.max_gap_s),
            ("merge_within_s", self.merge_within_s),
        ];
        for (key, value) in durations {
            if let Some(seconds) = value.filter(|seconds| !(0.0..=86_400.0).contains(seconds)) {
                return Err(out_of_range(key, seconds.into(), "0 to 86400"));
            }
        }
        Ok(())
    }
}

/// Checks the spacing of windows.
///
/// # Errors
///
/// A hop outside 0.02 s to 60 s.
pub fn check_hop_s(hop_s: f32) -> Result<(), ConfigError> {
    if (0.02..=60.0).contains(&hop_s) {
        return Ok(());
    }
    Err(out_of_range("hop_s", hop_s.into(), "0.02 to 60"))
}

/// Checks a score.
///
/// # Errors
///
/// A score outside 0 to 1; errors call it `key`.
pub fn check_score(key: &'static str, score: f32) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(out_of_range(key, score.into(), "0 to 1"))
}

/// Checks a sample rate, if there is one.
///
/// # Errors
///
/// A rate outside 25 to 400 Hz.
pub fn check_rate_hz(rate_hz: Option<f32>) -> Result<(), ConfigError> {
    match rate_hz.filter(|rate_hz| !(25.0..=400.0).contains(rate_hz)) {
        Some(rate_hz) => Err(out_of_range("rate_hz", rate_hz.into(), "25 to 400")),
        None => Ok(()),
    }
}

/// Checks a speed of replay, if there is one.
///
/// # Errors
///
/// A speed that is not between 0.001 and 1 000 000.
pub fn check_speed(speed: Option<f64>) -> Result<(), ConfigError> {
    match speed.filter(|speed| !(1e-3..=1e6).contains(speed)) {
        Some(speed) => Err(out_of_range("speed", speed, "0.001 to 1000000")),
        None => Ok(()),
    }
}

fn out_of_range(key: &'static str, found: f64, expected: &'static str) -> ConfigError {
    ConfigError::Range {
        key,
        found,
        expected,
    }
}

#[cfg(test)]
mod tests;

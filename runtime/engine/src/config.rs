//! The configuration of `sensorium run`.
//!
//! ```toml
//! pack = "sense.pack"          # default: the built-in one
//! classes = "classes.toml"     # default: the pack's
//! calibration = "calibration.toml" # thresholds that `calibrate` found
//! text_model = "text-model"    # for words that the pack does not know
//! http = "127.0.0.1:7420"      # streams, events, metrics and classes; default: none
//! cores = 1.5                  # processor time for recognising; default: all cores
//! clock = "host"               # or "sample": times from sample numbers, as a replay has them
//!
//! [[stream]]
//! name = "wrist"
//! source = { kind = "serial", port = "/dev/ttyACM0", baud = 921600 }
//! hop_s = 0.64                 # default: a quarter of the encoder's window
//! frame_id = "wrist_link"      # where the sensor is mounted; default: the stream's name
//! priority = 2.0               # its hop is lengthened half as much as others' where cores are short
//! retry_s = 600.0              # how long a device that went away is waited for; default: for ever
//!
//! [[stream]]
//! name = "recorded"
//! source = { kind = "csv", path = "walk.csv", rate_hz = 50.0, units = "g,rad/s", speed = 1.0 }
//!
//! [[stream]]
//! name = "mic"
//! source = { kind = "pcm", path = "-", rate_hz = 16000, format = "s16le", channels = 1 }
//!
//! [[stream]]
//! name = "hall"
//! source = { kind = "alsa", device = "hw:CARD=1,DEV=0", rate_hz = 16000 }
//!
//! [[stream]]
//! name = "kitchen"
//! source = { kind = "sound", path = "kitchen.flac" }
//! pack = "tagger.pack"         # where this sense's encoder is in another pack
//!
//! [[stream]]
//! name = "ceiling"
//! modality = "thermal"
//! source = { kind = "raw-frames", path = "/run/thermal", rate_hz = 9.0, width = 32, height = 24, pixel = "u16" }
//!
//! [[stream]]
//! name = "oven"
//! source = { kind = "i2c", bus = "/dev/i2c-1", sensor = "mlx90640", rate_hz = 4.0, emissivity = 0.95 }
//!
//! [[stream]]
//! name = "yard"
//! modality = "thermal"
//! source = { kind = "v4l2", device = "/dev/video0", scale = 0.01, offset = -273.15 }
//!
//! [[stream]]
//! name = "door"
//! modality = "depth"
//! source = { kind = "frames", path = "door/", rate_hz = 15.0 }
//! window_s = 2.0               # only where the encoder takes clips of any length
//!
//! [[stream]]
//! name = "yesterday"
//! modality = "audio"
//! source = { kind = "mcap", path = "yesterday.mcap", stream = "mic" }
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

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sensorium_core::event::{EventPolicy, MAX_MEDIAN};
use sensorium_media::sound::PcmError;
use sensorium_pack::{Modality, Scoring};
use serde::Deserialize;
use thiserror::Error;

use crate::keys::TomlError;
use crate::recording::SENSES;
use crate::source::retry::Retry;
use crate::stream::ClockMode;

mod device;
mod layers;
mod range;
mod source;

pub use device::{AlsaConfig, I2cConfig, V4l2Config};
pub use layers::files_beside;
use range::out_of_range;
pub use range::{
    MOST_CORES, check_cores, check_frame_hz, check_hop_s, check_rate_hz, check_retry_s,
    check_score, check_speed,
};
pub use source::SourceConfig;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// A file is not right.
    #[error("configuration {path:?}")]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// A variable of the environment is not right.
    #[error("{name} in the environment: {message}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A stream is altered that no file describes.
    #[error("stream {name:?} has no source")]
    NoSource {
        /// Its name.
        name: String,
    },
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
    /// The source of a stream gives samples of other senses.
    #[error(
        "stream {name:?}: modality is {found}, expected {expected} of a source of kind {kind:?}"
    )]
    Modality {
        /// The stream.
        name: String,
        /// Its sense.
        found: Modality,
        /// What the source can be.
        expected: &'static str,
        /// The source.
        kind: &'static str,
    },
    /// The source of a stream may give samples of several senses, and nobody says of which.
    #[error("stream {name:?}: a source of kind {kind:?} needs modality = {choices}")]
    NoModality {
        /// The stream.
        name: String,
        /// What it may be.
        choices: &'static str,
        /// The source.
        kind: &'static str,
    },
    /// Raw samples of a kind that is not read.
    #[error("stream {name:?}: format")]
    Format {
        /// The stream.
        name: String,
        /// What is wrong with it.
        source: PcmError,
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

/// A configuration. Paths are relative to where the program was started. `S` is what says where samples
/// come from, of one that need not say it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config<S = SourceConfig> {
    /// The pack; the built-in one by default.
    pub pack: Option<PathBuf>,
    /// The class file; the pack's by default.
    pub classes: Option<PathBuf>,
    /// What `calibrate` wrote; the pack's thresholds by default.
    pub calibration: Option<PathBuf>,
    /// Folder with the text model of the pack's space.
    pub text_model: Option<PathBuf>,
    /// What the times of events mean; the host's time by default.
    pub clock: Option<ClockMode>,
    /// Address of this machine at which classes are told and taken; none by default.
    pub http: Option<SocketAddr>,
    /// Cores that recognising may keep busy; all by default.
    pub cores: Option<f64>,
    /// What to listen to.
    #[serde(rename = "stream", default = "Vec::new")]
    pub streams: Vec<StreamConfig<S>>,
    /// When a score makes an event.
    #[serde(default)]
    pub events: EventsConfig,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig<S = SourceConfig> {
    /// Its name in events.
    pub name: String,
    /// The sense, where the source does not say.
    pub modality: Option<Modality>,
    /// Where samples come from.
    pub source: S,
    /// From the start of one window to the start of the next, in seconds.
    pub hop_s: Option<f32>,
    /// Length of a window in seconds, for encoders of clips of any length.
    pub window_s: Option<f32>,
    /// Where the sensor is mounted, in a robot's words; the stream's name by default.
    pub frame_id: Option<String>,
    /// How much longer others' hops become before its own, where cores are short; 1 by default.
    pub priority: Option<f64>,
    /// How long a device that went away is waited for, in seconds; for ever by default.
    pub retry_s: Option<f64>,
    /// The pack with the encoder of this sense, where it is not that of the others.
    pub pack: Option<PathBuf>,
    /// The space that it is recognised in, where the pack has encoders of the sense in several; all of
    /// them by default.
    #[serde(default)]
    pub space: Option<String>,
}

impl StreamConfig {
    /// A stream from a source, all else as it comes.
    #[must_use]
    pub fn new(name: String, modality: Option<Modality>, source: SourceConfig) -> Self {
        Self {
            name,
            modality,
            source,
            hop_s: None,
            window_s: None,
            frame_id: None,
            priority: None,
            retry_s: None,
            pack: None,
            space: None,
        }
    }

    /// How long a device that went away is waited for.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry_s
            .map_or(Retry::Ever, |s| Retry::For(Duration::from_secs_f64(s)))
    }

    /// The sense.
    ///
    /// # Errors
    ///
    /// One that its source cannot give, or none where it may give several.
    pub fn modality(&self) -> Result<Modality, ConfigError> {
        let kind = self.source.kind();
        const CAMERAS: [&str; 2] = ["thermal or depth", "\"thermal\" or \"depth\""];
        const ALL: [&str; 2] = [
            "imu, audio, thermal or depth",
            "\"imu\", \"audio\", \"thermal\" or \"depth\"",
        ];
        let (known, [expected, choices]): (&[Modality], _) = match self.source {
            SourceConfig::Serial { .. } | SourceConfig::Csv { .. } => {
                (&[Modality::Imu], ["imu"; 2])
            }
            SourceConfig::Sound { .. } | SourceConfig::Pcm { .. } | SourceConfig::Alsa(_) => {
                (&[Modality::Audio], ["audio"; 2])
            }
            SourceConfig::Frames { .. }
            | SourceConfig::RawFrames { .. }
            | SourceConfig::V4l2(_) => (&[Modality::Thermal, Modality::Depth], CAMERAS),
            SourceConfig::I2c(_) => (&[Modality::Thermal], ["thermal"; 2]),
            SourceConfig::Mcap { .. } => (&SENSES, ALL),
        };
        match (self.modality, known) {
            (None, [only]) => Ok(*only),
            (None, _) => Err(ConfigError::NoModality {
                name: self.name.clone(),
                choices,
                kind,
            }),
            (Some(modality), known) if known.contains(&modality) => Ok(modality),
            (Some(found), _) => Err(ConfigError::Modality {
                name: self.name.clone(),
                found,
                expected,
                kind,
            }),
        }
    }
}

impl<S> StreamConfig<S> {
    /// The same stream from another source.
    fn with_source<T>(self, source: T) -> StreamConfig<T> {
        StreamConfig {
            name: self.name,
            modality: self.modality,
            source,
            hop_s: self.hop_s,
            window_s: self.window_s,
            frame_id: self.frame_id,
            priority: self.priority,
            retry_s: self.retry_s,
            pack: self.pack,
            space: self.space,
        }
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        self.hop_s.map_or(Ok(()), check_hop_s)?;
        if let Some(window_s) = self.window_s.filter(|s| !(0.1..=60.0).contains(s)) {
            return Err(out_of_range("window_s", window_s.into(), "0.1 to 60"));
        }
        check_retry_s(self.retry_s)?;
        if let Some(priority) = self.priority.filter(|p| !(0.01..=100.0).contains(p)) {
            return Err(out_of_range("priority", priority, "0.01 to 100"));
        }
        Ok(())
    }
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

impl<S> Config<S> {
    /// Streams, all else as it comes.
    #[must_use]
    pub fn new(streams: Vec<StreamConfig<S>>) -> Self {
        Self {
            pack: None,
            classes: None,
            calibration: None,
            text_model: None,
            clock: None,
            http: None,
            cores: None,
            streams,
            events: EventsConfig::default(),
        }
    }

    /// All else, with these streams.
    fn with_streams<T>(self, streams: Vec<StreamConfig<T>>) -> Config<T> {
        Config {
            pack: self.pack,
            classes: self.classes,
            calibration: self.calibration,
            text_model: self.text_model,
            clock: self.clock,
            http: self.http,
            cores: self.cores,
            streams,
            events: self.events,
        }
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        self.events.check()?;
        check_cores(self.cores)
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

#[cfg(test)]
mod tests;

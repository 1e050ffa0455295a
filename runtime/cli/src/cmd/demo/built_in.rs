//! The recordings that every build carries, and what somebody typed to be told of them.

use std::path::Path;

use anyhow::Context;
use sensorium_engine::source::Source;
use sensorium_engine::source::csv::Recording as CsvRecording;
use sensorium_engine::source::replay::Replay;
use sensorium_media::{Sound, clip};
use sensorium_pack::Modality;

use crate::truth::Timeline;

/// A recording, its classes and what happens in it.
#[derive(Debug)]
pub struct BuiltIn {
    /// Of what sense.
    pub modality: Modality,
    /// What it is.
    pub title: &'static str,
    /// Samples a second, in millihertz, where the file does not say.
    rate_mhz: u32,
    /// Length of a window, where the encoder leaves it open.
    pub window_s: Option<f32>,
    /// The class file; without it, the pack's classes.
    pub classes: Option<&'static str>,
    file: &'static str,
    bytes: &'static [u8],
    /// `start_s,end_s,label`, where the recording itself has none.
    labels: Option<&'static str>,
}

/// All of them.
pub const ALL: [BuiltIn; 4] = [
    BuiltIn {
        modality: Modality::Imu,
        title: "a phone at the waist of person 30 (UCI HAPT)",
        rate_mhz: 50_000,
        window_s: None,
        classes: None,
        file: "user30.csv",
        bytes: include_bytes!("../../../demo/user30.csv"),
        labels: None,
    },
    BuiltIn {
        modality: Modality::Audio,
        title: "four sounds that were not trained on (ESC-10, CC0)",
        rate_mhz: 32_000_000,
        window_s: None,
        classes: Some(include_str!("../../../demo/sounds.toml")),
        file: "sounds.ogg",
        bytes: include_bytes!("../../../demo/sounds.ogg"),
        labels: Some(include_str!("../../../demo/sounds.csv")),
    },
    BuiltIn {
        modality: Modality::Thermal,
        title: "a room from its ceiling (simulated)",
        rate_mhz: 9_000,
        window_s: None,
        classes: Some(include_str!("../../../demo/thermal.toml")),
        file: "thermal.npy",
        bytes: include_bytes!("../../../demo/thermal.npy"),
        labels: Some(include_str!("../../../demo/thermal.csv")),
    },
    BuiltIn {
        modality: Modality::Depth,
        title: "a person before a depth camera (simulated)",
        rate_mhz: 9_500,
        window_s: Some(3.0),
        classes: Some(include_str!("../../../demo/depth.toml")),
        file: "depth.npz",
        bytes: include_bytes!("../../../demo/depth.npz"),
        labels: Some(include_str!("../../../demo/depth.csv")),
    },
];

/// A recording, ready to be played.
pub struct Opened {
    /// Plays it.
    pub source: Box<dyn Source>,
    /// What happens in it.
    pub timeline: Option<Timeline>,
    /// How long it is.
    pub seconds: f64,
}

impl Opened {
    /// Of inertial samples.
    pub fn of(recording: CsvRecording, rate_mhz: u32, speed: Option<f64>) -> Self {
        Self {
            timeline: Timeline::of(&recording, rate_mhz),
            seconds: recording.samples.len() as f64 * 1000.0 / f64::from(rate_mhz),
            source: Box::new(Replay::new(recording, rate_mhz, speed)),
        }
    }
}

impl BuiltIn {
    /// Decodes it, to be played so many times as fast as it was.
    pub fn open(&self, speed: Option<f64>) -> anyhow::Result<Opened> {
        let opened = || -> anyhow::Result<Opened> {
            if self.modality == Modality::Imu {
                let recording = CsvRecording::read(self.bytes, Path::new(self.file), None)?;
                return Ok(Opened::of(recording, self.rate_mhz, speed));
            }
            let bytes = self.bytes.to_vec();
            let (replay, len) = if self.modality == Modality::Audio {
                let sound = Sound::from_bytes(bytes)?;
                (Replay::of_sound(&sound, speed), sound.frames())
            } else {
                let frames = clip::from_bytes(bytes)?;
                let len = frames.shape[0];
                (Replay::of_frames(frames, self.rate_mhz, speed), len)
            };
            Ok(Opened {
                source: Box::new(replay),
                timeline: self
                    .labels
                    .map(|text| Timeline::of_stretches(text, Path::new(self.file)))
                    .transpose()?,
                seconds: len as f64 * 1000.0 / f64::from(self.rate_mhz),
            })
        };
        opened().with_context(|| format!("the built-in recording {:?}", self.file))
    }
}

//! Four sensors of something that changes every twenty seconds, for as long as one likes.

use std::sync::Arc;

use sensorium_core::ImuSample;
use sensorium_core::window::WindowShape;
use sensorium_engine::bank::{Bank, CompiledClasses, Place};
use sensorium_engine::classes::Class;
use sensorium_engine::config::EventsConfig;
use sensorium_engine::pipeline::Line;
use sensorium_engine::sense::Sense;
use sensorium_engine::slot::Slot;
use sensorium_engine::source::{Block, Feed, Frame, Samples, Signal, Source, SourceError};
use sensorium_engine::space::Space;
use sensorium_engine::stream::{ClockMode, Settings, Stream};
use sensorium_media::Numbers;
use sensorium_pack::{Modality, Pack};
use sensorium_testkit::{Tiny, tiny_pack};
use sensorium_wire::sample_time_us;

/// From one window to the next, in seconds.
const HOP_S: f32 = 0.5;

/// How long nothing changes.
const SCENE_S: u64 = 20;

const IMU: &str = r#"{"kind": "imu", "rate_hz": 50, "samples": 50, "units": "g,rad/s"}"#;
const AUDIO: &str = r#"{"kind": "log-mel", "rate_hz": 16000, "clip_s": 0.5, "padding": "repeat",
    "fft": 512, "window": 400, "window_kind": "hann", "hop": 160, "mels": 8, "f_min_hz": 20,
    "f_max_hz": 8000, "mel_scale": "htk", "log": "ln", "log_floor": 1e-10, "frames": 48,
    "offset": 24, "scale": 24}"#;
const THERMAL: &str = r#"{"kind": "frames", "of": "thermal", "frames": 1, "height": 4, "width": 4,
    "clip_s": 0.5, "range": [0, 255], "scale": 255}"#;
const DEPTH: &str = r#"{"kind": "depth", "measure": "metric", "clip_m": [0.2, 10.0], "side": 4}"#;

/// Two classes that one sense alone tells of, and one that two senses must agree on.
const CLASSES: &str = "[[class]]\nname = 'calm'\n[[class]]\nname = 'busy'\n\
    all = ['imu', 'thermal']\nwithin_s = 2\n";

/// The senses, and their rates in millihertz.
pub const SENSES: [(Modality, u32); 4] = [
    (Modality::Imu, 50_000),
    (Modality::Audio, 16_000_000),
    (Modality::Thermal, 9_000),
    (Modality::Depth, 15_000),
];

/// A pack of tiny encoders of all four, which have the same words.
pub fn pack() -> Pack {
    let front_ends = [IMU, AUDIO, THERMAL, DEPTH];
    let tiny = SENSES.iter().zip(front_ends);
    let tiny = tiny.map(|((modality, _), front_end)| Tiny {
        modality: *modality,
        front_end,
        words: &["calm", "busy"],
    });
    Pack::from_bytes(&tiny_pack(&tiny.collect::<Vec<_>>())).unwrap()
}

/// A sensor that gives so many seconds of samples, as fast as they are taken.
#[derive(Debug)]
struct Sensor {
    modality: Modality,
    rate_mhz: u32,
    seconds: u64,
    noise: u64,
}

impl Sensor {
    /// Noise from 0 to 1 (Steele et al. 2014, SplitMix64).
    fn noise(&mut self) -> f32 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }

    fn samples(&mut self, index: u64, count: u64) -> Samples {
        let t_s = |index| sample_time_us(index, self.rate_mhz) / 1_000_000;
        let is_busy = t_s(index) / SCENE_S % 2 == 1;
        let (much, little) = (
            if is_busy { 0.1 } else { 1.0 },
            if is_busy { 1.0 } else { 0.1 },
        );
        match self.modality {
            Modality::Imu => {
                let mut sample = |_| {
                    let mut value = |scale: f32| scale * (0.9 + 0.1 * self.noise());
                    ImuSample {
                        accel_mps2: [0; 3].map(|_| value(9.8 * much)),
                        gyro_radps: [0; 3].map(|_| value(2.0 * little)),
                    }
                };
                Samples::Imu((0..count).map(&mut sample).collect())
            }
            Modality::Audio => {
                let hz = if is_busy { 5000.0 } else { 200.0 };
                let sample = |index: u64| {
                    let phase = (index % 16_000) as f32 / 16_000.0 * hz * std::f32::consts::TAU;
                    phase.sin() * 0.3 + 1e-5 * self.noise()
                };
                Samples::Sound((index..index + count).map(sample).collect())
            }
            modality => {
                let (width, height) = (32, 24);
                let scale = if modality == Modality::Depth {
                    5000.0
                } else {
                    200.0
                };
                let pixels = (0..width * height).map(|at| {
                    let half = if at < width * height / 2 {
                        much
                    } else {
                        little
                    };
                    (scale * half * (0.9 + 0.1 * self.noise())) as u16
                });
                Samples::Frames(vec![Frame {
                    height,
                    width,
                    pixels: Numbers::U16(pixels.collect()),
                }])
            }
        }
    }
}

impl Source for Sensor {
    fn is_recording(&self) -> bool {
        true
    }

    fn run(mut self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let end = samples_of(self.rate_mhz, self.seconds);
        let block_len = match self.modality {
            Modality::Imu => 16,
            Modality::Audio => 512,
            _ => 1,
        };
        for index in (0..end).step_by(block_len) {
            let count = (end - index).min(block_len as u64);
            let block = Block {
                index,
                t_us: sample_time_us(index, self.rate_mhz),
                rate_mhz: self.rate_mhz,
                offsets_us: None,
                samples: self.samples(index, count),
                t_host_ns: None,
            };
            if !feed.push(Signal::Block(block)) {
                break;
            }
        }
        Ok(())
    }
}

/// How many samples so many seconds have.
pub fn samples_of(rate_mhz: u32, seconds: u64) -> u64 {
    seconds * u64::from(rate_mhz) / 1000
}

/// A stream of one sense.
#[allow(dead_code, reason = "each test uses some of it")]
pub struct Four {
    pub modality: Modality,
    pub line: Line,
    pub shape: WindowShape,
    pub slot: Arc<Slot>,
    pub space: Space,
    pub classes: Vec<Class>,
}

impl Four {
    /// How many windows so many samples have.
    pub fn windows_of(shape: WindowShape, samples: u64) -> u64 {
        match samples.checked_sub(shape.len as u64) {
            Some(more) => more / shape.hop as u64 + 1,
            None => 0,
        }
    }
}

/// All four, with classes of the tiny pack or those of another pack.
pub fn streams(pack: &Pack, seconds: u64, is_tiny: bool) -> Vec<Four> {
    let stream = |(at, (modality, rate_mhz)): (usize, &(Modality, u32))| {
        let (modality, rate_mhz) = (*modality, *rate_mhz);
        let sense = Sense::load(pack, modality).unwrap();
        let space = Space::load(pack, sense.encoder().space()).unwrap();
        let own = pack.member(&pack.manifest().classes).unwrap();
        let text = match is_tiny {
            true => CLASSES,
            false => std::str::from_utf8(own).unwrap(),
        };
        let place = Place {
            pack: Some(pack),
            modality: Some(modality),
            ..Place::default()
        };
        let compiled = CompiledClasses::parse_in(text, &space, place).unwrap();
        let bank = Bank::new(&compiled, modality).unwrap();
        let classes = bank.classes().to_vec();
        let slot = Slot::new(bank);
        let settings = Settings {
            name: modality.to_string(),
            hop_s: HOP_S,
            policy: EventsConfig::default().policy(sense.encoder().scoring()),
            clock: ClockMode::Sample,
        };
        let shape = sense.shape(rate_mhz, HOP_S).unwrap();
        let sensor = Sensor {
            modality,
            rate_mhz,
            seconds,
            noise: at as u64,
        };
        Four {
            modality,
            line: Line {
                source: Box::new(sensor),
                clock: settings.clock,
                stream: Stream::new(settings, sense, Arc::clone(&slot), pack.id()),
                others: Vec::new(),
            },
            shape,
            slot,
            space,
            classes,
        }
    };
    SENSES.iter().enumerate().map(stream).collect()
}

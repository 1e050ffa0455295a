//! A window of a stream is given the scores that a file of the same samples is given, of every sense.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::path::Path;
use std::sync::Arc;

use sensorium_core::ImuSample;
use sensorium_core::event::EventPolicy;
use sensorium_engine::bank::{Bank, CompiledClasses};
use sensorium_engine::embed::Recorded;
use sensorium_engine::sense::Sense;
use sensorium_engine::slot::Slot;
use sensorium_engine::source::{Block, Frame, Samples, Signal};
use sensorium_engine::space::Space;
use sensorium_engine::stream::{ClockMode, Output, Scored, Settings, Stream, Totals};
use sensorium_media::Numbers;
use sensorium_pack::npy::Array;
use sensorium_pack::{Modality, Pack};
use sensorium_testkit::{Tiny, tiny_pack};

const IMU: &str = r#"{"kind": "imu", "rate_hz": 50, "samples": 50, "units": "g,rad/s"}"#;
const AUDIO: &str = r#"{"kind": "log-mel", "rate_hz": 16000, "clip_s": 0.5, "padding": "repeat",
    "fft": 512, "window": 400, "window_kind": "hann", "hop": 160, "mels": 8, "f_min_hz": 20,
    "f_max_hz": 8000, "mel_scale": "htk", "log": "ln", "log_floor": 1e-10, "frames": 48,
    "offset": 24, "scale": 24}"#;
const THERMAL: &str = r#"{"kind": "thermal", "range": [0, 255], "side": 4}"#;
const CLIP: &str = r#"{"kind": "frames", "of": "depth", "frames": 2, "height": 2, "width": 2,
    "clip_s": 0.5, "range": [0.2, 10.0]}"#;

/// A small generator, so that samples differ and are the same everywhere (Steele et al. 2014,
/// SplitMix64).
fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

struct Rig {
    stream: Stream,
    sense: Sense,
    bank: Arc<Bank>,
    slot: Arc<Slot>,
}

fn rig(modality: Modality, front_end: &'static str, words: &'static [&'static str]) -> Rig {
    let tiny = Tiny {
        modality,
        front_end,
        words,
    };
    let pack = Pack::from_bytes(&tiny_pack(&[tiny])).unwrap();
    let sense = Sense::load(&pack, modality).unwrap();
    let space = Space::load(&pack, sense.encoder().space()).unwrap();
    let classes = pack.member(&pack.manifest().classes).unwrap();
    let classes = CompiledClasses::parse(std::str::from_utf8(classes).unwrap(), &space).unwrap();
    let slot = Slot::new(Bank::new(&classes, modality).unwrap());
    let settings = Settings {
        name: "a".to_owned(),
        hop_s: 0.25,
        policy: EventPolicy::default(),
        clock: ClockMode::Sample,
    };
    Rig {
        bank: slot.get(),
        stream: Stream::new(settings, sense.clone(), slot.clone(), pack.id()),
        sense,
        slot,
    }
}

impl Rig {
    /// The windows of samples that come in blocks.
    fn windows(&mut self, rate_mhz: u32, blocks: Vec<Samples>) -> (Vec<Scored>, Totals) {
        let (mut windows, mut index) = (Vec::new(), 0);
        for samples in blocks {
            let count = samples.len() as u64;
            let block = Block {
                index,
                t_us: time_us(index, rate_mhz),
                rate_mhz,
                offsets_us: None,
                samples,
                t_host_ns: None,
            };
            index += count;
            let mut say = |output| {
                if let Output::Window(scored) = output {
                    windows.push(scored);
                }
            };
            self.stream.take(Signal::Block(block), &mut say).unwrap();
        }
        (windows, self.stream.totals())
    }

    /// The scores of a file.
    fn scores(&self, path: &Path, rate_hz: Option<f32>) -> Vec<f32> {
        let encoder = self.sense.encoder();
        let recorded = Recorded {
            rate_hz,
            units: Some("m/s2,rad/s".parse().unwrap()),
        };
        let rows = encoder.embed_file(path, recorded).unwrap().rows;
        self.bank.scores(&rows[0], encoder.scoring().temperature)
    }
}

fn time_us(index: u64, rate_mhz: u32) -> u64 {
    index * 1_000_000_000 / u64::from(rate_mhz)
}

fn file(suffix: &str, content: &[u8]) -> tempfile::TempPath {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(&file, content).unwrap();
    file.into_temp_path()
}

fn array(shape: &[usize], values: Vec<f32>) -> tempfile::TempPath {
    let shape = shape.to_vec();
    file(".npy", &Array { shape, values }.to_bytes().unwrap())
}

#[test]
fn inertial_windows() {
    let mut rig = rig(Modality::Imu, IMU, &["ax", "ay", "az", "gx", "gy", "gz"]);
    let mut state = 1;
    let samples: Vec<ImuSample> = (0..250)
        .map(|_| ImuSample {
            accel_mps2: [0; 3].map(|_| 20.0 * random(&mut state)),
            gyro_radps: [0; 3].map(|_| random(&mut state)),
        })
        .collect();
    let blocks = samples.chunks(17).map(|chunk| Samples::Imu(chunk.to_vec()));
    let (windows, _) = rig.windows(100_000, blocks.collect());
    // One second is a window, and 0.25 s a hop.
    assert_eq!(windows.len(), 7);
    for (at, window) in windows.iter().enumerate() {
        let samples = &samples[25 * at..][..100];
        let values = samples
            .iter()
            .flat_map(|s| [s.accel_mps2, s.gyro_radps].concat());
        let file = array(&[100, 6], values.collect());
        assert_eq!(window.scores, rig.scores(&file, Some(100.0)), "window {at}");
        assert_eq!(window.t_start_us, 250_000 * at as u64);
    }
}

#[test]
fn sound_at_the_microphone_s_rate() {
    let mut rig = rig(Modality::Audio, AUDIO, &["low", "high"]);
    let mut state = 2;
    let samples: Vec<i16> = (0..44_100)
        .map(|n| {
            let swelling = n as f32 / 44_100.0;
            ((random(&mut state) - 0.5) * 20_000.0 * swelling) as i16
        })
        .collect();
    let amplitudes = samples.iter().map(|s| f32::from(*s) / 32768.0);
    let amplitudes: Vec<f32> = amplitudes.collect();
    let blocks = amplitudes.chunks(1000).map(|c| Samples::Sound(c.to_vec()));
    let (windows, totals) = rig.windows(44_100_000, blocks.collect());
    assert_eq!((windows.len(), totals.ledger.received), (3, 44_100));
    for (at, window) in windows.iter().enumerate() {
        let part = &samples[11_025 * at..][..22_050];
        let data: Vec<u8> = part.iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wav.extend(44_100u32.to_le_bytes());
        wav.extend(88_200u32.to_le_bytes());
        wav.extend(b"\x02\0\x10\0data");
        wav.extend((data.len() as u32).to_le_bytes());
        wav.extend(&data);
        let file = file(".wav", &wav);
        assert_eq!(window.scores, rig.scores(&file, None), "window {at}");
    }
}

/// Frames of bytes, and what of them is a file.
fn frames(count: usize, pixels: usize, state: &mut u64) -> Vec<Vec<u16>> {
    let mut frame = || {
        (0..pixels)
            .map(|_| (random(state) * 250.0) as u16 + 1)
            .collect()
    };
    (0..count).map(|_| frame()).collect()
}

fn as_samples(frames: &[Vec<u16>], (height, width): (usize, usize)) -> Vec<Samples> {
    let one = |pixels: &Vec<u16>| {
        Samples::Frames(vec![Frame {
            height,
            width,
            pixels: Numbers::U16(pixels.iter().map(|v| v * 30).collect()),
        }])
    };
    frames.iter().map(one).collect()
}

#[test]
fn stills_are_the_middle_of_each_hop() {
    let mut rig = rig(Modality::Thermal, THERMAL, &["top", "bottom"]);
    let frames = frames(20, 36, &mut 3);
    let blocks = frames.iter().map(|pixels| {
        Samples::Frames(vec![Frame {
            height: 6,
            width: 6,
            pixels: Numbers::U8(pixels.iter().map(|v| *v as u8).collect()),
        }])
    });
    // 12 frames a second: three in a hop.
    let (windows, _) = rig.windows(12_000, blocks.collect());
    assert_eq!(windows.len(), 6);
    for (at, window) in windows.iter().enumerate() {
        let pixels = frames[3 * at + 1].iter().map(|v| f32::from(*v)).collect();
        assert_eq!(
            window.scores,
            rig.scores(&array(&[6, 6], pixels), None),
            "window {at}"
        );
    }
}

#[test]
fn clips_of_frames() {
    let mut rig = rig(Modality::Depth, CLIP, &["before", "after"]);
    let frames = frames(16, 4, &mut 4);
    let (windows, _) = rig.windows(8_000, as_samples(&frames, (2, 2)));
    // Four frames are a clip, two a hop.
    assert_eq!(windows.len(), 7);
    for (at, window) in windows.iter().enumerate() {
        let clip = frames[2 * at..][..4].concat();
        let header = "{'descr': '<u2', 'fortran_order': False, 'shape': (4, 2, 2), }";
        let mut npy = b"\x93NUMPY\x01\0\x76\0".to_vec();
        npy.extend(format!("{header:<117}\n").as_bytes());
        npy.extend(clip.iter().flat_map(|v| (v * 30).to_le_bytes()));
        assert_eq!(
            window.scores,
            rig.scores(&file(".npy", &npy), Some(8.0)),
            "window {at}"
        );
    }
}

#[test]
fn what_holds_no_measurement_is_not_scored_and_ends_nothing() {
    let mut rig = rig(Modality::Depth, CLIP, &["before", "after"]);
    let mut frames = frames(16, 4, &mut 5);
    // Too short for a sensor to be called blind: two of four frames in each half second.
    for frame in &mut frames[6..10] {
        frame.fill(0);
    }
    let (windows, totals) = rig.windows(8_000, as_samples(&frames, (2, 2)));
    assert_eq!((windows.len(), totals.blank, totals.scored()), (6, 1, 6));
    // Samples of another sense are no samples.
    let (_, totals) = rig.windows(8_000, vec![Samples::Sound(vec![0.0; 3])]);
    assert_eq!(totals.ledger.dropped, 3);
}

#[test]
fn a_thousand_changes_of_the_classes_lose_no_window() {
    let mut rig = rig(Modality::Audio, AUDIO, &["low", "high"]);
    let tiny = Tiny {
        modality: Modality::Audio,
        front_end: AUDIO,
        words: &["low", "high"],
    };
    let pack = Pack::from_bytes(&tiny_pack(&[tiny])).unwrap();
    let space = Space::load(&pack, rig.sense.encoder().space()).unwrap();
    let bank = |text: &str| {
        let classes = CompiledClasses::parse(text, &space).unwrap();
        Bank::new(&classes, Modality::Audio).unwrap()
    };
    let texts = [
        "[[class]]\nname = 'low'",
        "[[class]]\nname = 'low'\n[[class]]\nname = 'high'",
        "[[class]]\nname = 'hum'\nprompts = ['low']\n[[class]]\nname = 'low'\n\
         [[class]]\nname = 'hiss'\nprompts = ['high']",
    ];
    let (mut state, mut changes, mut windows) = (6, 0, 0);
    let mut going_on = Vec::new();
    // Blocks of 10 ms, half a minute of them.
    for block in 0..3000u64 {
        if random(&mut state) < 0.4 {
            changes += 1;
            rig.slot.set(bank(texts[changes % texts.len()]));
        }
        let sample = |n: u64| (n as f32 * 0.1).sin() * 0.2 + 0.01 * random(&mut state);
        let index = block * 160;
        let signal = Signal::Block(Block {
            index,
            t_us: time_us(index, 16_000_000),
            rate_mhz: 16_000_000,
            offsets_us: None,
            samples: Samples::Sound((index..index + 160).map(sample).collect()),
            t_host_ns: None,
        });
        let now = rig.slot.get();
        let mut say = |output| match output {
            // The very next window has a score for each class that is there now.
            Output::Window(scored) => {
                windows += 1;
                assert_eq!(scored.scores.len(), now.classes().len());
            }
            Output::Event(event) if event.is_end() => going_on.retain(|id| *id != event.id),
            Output::Event(event) => {
                assert_eq!(event.bank, now.id());
                assert!(now.classes().iter().any(|class| class.name == event.class));
                going_on.push(event.id);
            }
            other => panic!("{other:?}"),
        };
        rig.stream.take(signal, &mut say).unwrap();
    }
    assert!(changes > 1000, "{changes}");
    // Half a second is a window, a quarter a hop.
    assert_eq!(windows, 119);
    assert_eq!(rig.stream.totals().scored(), 119);
    let mut last = Vec::new();
    rig.stream.finish(&mut |output| last.push(output));
    going_on.dedup();
    assert_eq!(last.len(), going_on.len());
}

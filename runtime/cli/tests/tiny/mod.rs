//! A pack with an encoder of each sense that files are given for, and small files.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod four;

use std::path::{Path, PathBuf};

use sensorium_pack::Modality;
use sensorium_testkit::{Tiny, tiny_pack};

/// Half a second of sound: how much there is of low and of high pitch.
pub const AUDIO: &str = r#"{"kind": "log-mel", "rate_hz": 16000, "clip_s": 0.5, "padding": "repeat",
    "fft": 512, "window": 400, "window_kind": "hann", "hop": 160, "mels": 8, "f_min_hz": 20,
    "f_max_hz": 8000, "mel_scale": "htk", "log": "ln", "log_floor": 1e-10, "frames": 48,
    "offset": 24, "scale": 24}"#;

/// The colours of a picture.
pub const IMAGE: &str = r#"{"kind": "image", "resize": {"shorter_side": 8}, "crop": [8, 8],
    "interpolation": "bicubic", "mean": [0, 0, 0], "std": [1, 1, 1]}"#;

/// Where a thermal picture of bytes is warm.
pub const THERMAL: &str = r#"{"kind": "thermal", "range": [0, 255], "side": 4}"#;

/// When a clip of one second is far away.
pub const DEPTH: &str = r#"{"kind": "frames", "of": "depth", "frames": 2, "height": 2, "width": 2,
    "clip_s": 1.0, "range": [0.2, 10.0]}"#;

/// A folder with `tiny.pack`.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let tiny = |modality, front_end, words| Tiny {
            modality,
            front_end,
            words,
        };
        let pack = tiny_pack(&[
            tiny(Modality::Audio, AUDIO, &["low", "high"]),
            tiny(Modality::Image, IMAGE, &["red", "green", "blue"]),
            tiny(Modality::Thermal, THERMAL, &["top", "bottom"]),
            tiny(Modality::Depth, DEPTH, &["before", "after"]),
        ]);
        folder.file("tiny.pack", pack);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn name(&self, name: &str) -> String {
        text(&self.path(name))
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.name(name)
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A tone in each of some parts of a sound, a quarter of a second each.
pub fn tones(rate_hz: u32, hz: &[f32]) -> Vec<i16> {
    let part = rate_hz as usize / 4;
    let sample = |n: usize| {
        // Of whole hertz, so that a phase of many turns is as exact as one of none.
        let turns = (f64::from(hz[n / part]) * n as f64) % f64::from(rate_hz) / f64::from(rate_hz);
        ((std::f64::consts::TAU * turns).sin() * 8000.0) as i16
    };
    (0..part * hz.len()).map(sample).collect()
}

/// A WAV file of one channel.
pub fn wav(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let len = 2 * samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + len).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend(rate_hz.wrapping_mul(2).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(len.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

/// A PNG of 8-bit colours.
pub fn png(width: u32, pixels: &[[u8; 3]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let height = pixels.len() as u32 / width;
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels.as_flattened()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A PGM of bytes.
pub fn pgm(width: usize, pixels: &[u8]) -> Vec<u8> {
    let head = format!("P5\n{width} {}\n255\n", pixels.len() / width);
    [head.as_bytes(), pixels].concat()
}

/// A PGM of 16 bits.
pub fn pgm16(width: usize, pixels: &[u16]) -> Vec<u8> {
    let head = format!("P5\n{width} {}\n65535\n", pixels.len() / width);
    let pixels: Vec<u8> = pixels.iter().flat_map(|v| v.to_be_bytes()).collect();
    [head.as_bytes(), &pixels].concat()
}

/// An array of 16-bit numbers `.npy`.
pub fn npy16(shape: &str, values: &[u16]) -> Vec<u8> {
    let header = format!("{{'descr': '<u2', 'fortran_order': False, 'shape': ({shape}), }}");
    let len = (header.len() + 1 + 10).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((len as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = len - 1).as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// Frames of 2 x 2 pixels, each of one distance.
pub fn distances(millimetres: &[u16]) -> Vec<u16> {
    millimetres.iter().flat_map(|mm| [*mm; 4]).collect()
}

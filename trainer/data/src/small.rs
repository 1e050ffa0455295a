//! Small files that the tests of all readers make.

use std::io::{Cursor, Write};
use std::path::Path;

use crate::{DataSet, SetConfig};

/// 16-bit WAV of one channel.
pub(crate) fn wav(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((2 * rate_hz).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// PNG of colours, all pixels the same.
pub(crate) fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixels = colour.repeat((width * height) as usize);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// PGM of 16 bits.
pub(crate) fn pgm(width: usize, values: &[u16]) -> Vec<u8> {
    let head = format!("P5\n{width} {}\n65535\n", values.len() / width);
    let values = values.iter().flat_map(|value| value.to_be_bytes());
    head.into_bytes().into_iter().chain(values).collect()
}

/// `.npy` of numbers of a kind, as `<i2`, with their bytes.
pub(crate) fn npy(kind: &str, shape: &[usize], bytes: Vec<u8>) -> Vec<u8> {
    let axes: String = shape.iter().map(|len| format!("{len}, ")).collect();
    let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({axes}), }}\n");
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((head.len() as u16).to_le_bytes());
    file.extend(head.into_bytes());
    file.extend(bytes);
    file
}

pub(crate) fn npy_f32(shape: &[usize], values: &[f32]) -> Vec<u8> {
    npy(
        "<f4",
        shape,
        values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    )
}

/// `.npz` with these arrays.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// IDX of bytes.
pub(crate) fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|len| len.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Tar of these members.
pub(crate) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

/// Opens a set of a folder; the error with all that it is from.
pub(crate) fn open(dir: &Path, config: &str) -> Result<Box<dyn DataSet>, String> {
    let config = format!("name = 'set'\n{config}");
    let config: SetConfig = toml::from_str(&config).map_err(|error| error.message().to_owned())?;
    config.open(dir).map_err(|error| chain(&error))
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

/// Does what a run does with a set: whatever bytes it is of, it must not panic.
pub(crate) fn read_all(set: &dyn DataSet) {
    for (entry, facts) in set.entries().iter().enumerate() {
        for sense in facts.senses.iter() {
            if let Ok(raw) = set.load(entry, sense) {
                assert!(raw.is_of(sense));
            }
            let _ = (set.content_key(entry, sense), set.following(entry));
        }
    }
}

/// The bytes with one to four bits of them flipped, the same ones for a seed.
pub(crate) fn flipped(bytes: &[u8], seed: u64) -> Vec<u8> {
    use rand::Rng;
    let mut random = crate::batch::random_of(seed, 0, 0);
    let mut flipped = bytes.to_vec();
    for _ in 0..random.random_range(1..=4) {
        let bit = random.random_range(0..8 * bytes.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    flipped
}

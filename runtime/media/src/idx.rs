//! IDX files, as MNIST comes: an array with a head of a few bytes, everything big-endian. They may
//! be packed by gzip.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sensorium_pack::npy::{NumberArray, Numbers};
use thiserror::Error;

use crate::file::{self, MAX_FILE_BYTES, OpenError};

/// Why bytes are no IDX array.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdxError {
    /// They do not begin as IDX does.
    #[error("it is not an IDX file")]
    Format,
    /// They are packed, and cut or damaged.
    #[error("it cannot be unpacked")]
    Unpack(#[source] std::io::Error),
    /// They are too many when unpacked.
    #[error("it has more than {MAX_FILE_BYTES} bytes when unpacked")]
    TooLarge,
    /// A kind of number that there is not.
    #[error("it holds numbers of kind {actual:#04x}, expected 0x08, 0x09 or 0x0b to 0x0e")]
    Kind {
        /// The kind's number.
        actual: u8,
    },
    /// There are fewer or more numbers than the head says.
    #[error("it has {actual} bytes of data, expected {expected} for its shape")]
    Size {
        /// Bytes after the head.
        actual: usize,
        /// Bytes that the shape asks for.
        expected: usize,
    },
}

/// Reads an IDX file, packed or not. Numbers of 8 bits with a sign become 16 bits.
///
/// # Errors
///
/// A file that cannot be read or is no whole IDX array.
pub fn open(path: &Path) -> Result<NumberArray, OpenError<IdxError>> {
    file::open(path, |bytes| from_bytes(&bytes))
}

/// As [`open`], from memory.
///
/// # Errors
///
/// Bytes that are no whole IDX array.
pub fn from_bytes(bytes: &[u8]) -> Result<NumberArray, IdxError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return parse(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut unpacked)
        .map_err(IdxError::Unpack)?;
    if unpacked.len() as u64 > MAX_FILE_BYTES {
        return Err(IdxError::TooLarge);
    }
    parse(&unpacked)
}

fn parse(bytes: &[u8]) -> Result<NumberArray, IdxError> {
    let Some(&[0, 0, kind, axes]) = bytes.first_chunk() else {
        return Err(IdxError::Format);
    };
    let width = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        actual => return Err(IdxError::Kind { actual }),
    };
    let (head, data) = bytes
        .split_at_checked(4 + 4 * usize::from(axes))
        .filter(|_| axes > 0)
        .ok_or(IdxError::Format)?;
    let lengths = head[4..].as_chunks().0.iter();
    let shape: Vec<usize> = lengths
        .map(|&len| u32::from_be_bytes(len) as usize)
        .collect();
    let size = |size: usize, &len: &usize| size.saturating_mul(len);
    let expected = shape.iter().fold(width, size);
    if data.len() != expected {
        return Err(IdxError::Size {
            actual: data.len(),
            expected,
        });
    }
    macro_rules! read {
        ($kind:ident, $number:ty) => {{
            let chunks = data.as_chunks().0;
            Numbers::$kind(
                chunks
                    .iter()
                    .map(|&b| <$number>::from_be_bytes(b))
                    .collect(),
            )
        }};
    }
    let numbers = match kind {
        0x08 => Numbers::U8(data.to_vec()),
        0x09 => Numbers::I16(data.iter().map(|&byte| i16::from(byte as i8)).collect()),
        0x0b => read!(I16, i16),
        0x0c => read!(I32, i32),
        0x0d => read!(F32, f32),
        _ => read!(F64, f64),
    };
    Ok(NumberArray { shape, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Two pictures of 2 x 3 pixels.
    fn pictures() -> Vec<u8> {
        let head = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
        [&head[..], &(0..12).collect::<Vec<u8>>()].concat()
    }

    #[test]
    fn packed_and_plain_files_are_read() {
        let array = from_bytes(&pictures()).unwrap();
        assert_eq!(array.shape, [2, 2, 3]);
        assert_eq!(array.numbers, Numbers::U8((0..12).collect()));
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        packer.write_all(&pictures()).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(from_bytes(&packed).unwrap(), array);
        for len in 0..packed.len() {
            assert!(from_bytes(&packed[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn every_kind_is_read() {
        let cases = [
            (9, vec![255], Numbers::I16(vec![-1])),
            (11, vec![255, 254], Numbers::I16(vec![-2])),
            (12, vec![0, 0, 1, 0], Numbers::I32(vec![256])),
            (13, 1.5f32.to_be_bytes().to_vec(), Numbers::F32(vec![1.5])),
            (14, 0.1f64.to_be_bytes().to_vec(), Numbers::F64(vec![0.1])),
        ];
        for (kind, data, numbers) in cases {
            let bytes = [&[0, 0, kind, 1, 0, 0, 0, 1][..], &data].concat();
            assert_eq!(from_bytes(&bytes).unwrap().numbers, numbers, "{kind}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let message = |bytes: &[u8]| from_bytes(bytes).unwrap_err().to_string();
        let whole = pictures();
        for len in 0..whole.len() {
            assert!(from_bytes(&whole[..len]).is_err(), "{len}");
        }
        assert_eq!(
            message(&whole[..20]),
            "it has 4 bytes of data, expected 12 for its shape"
        );
        assert_eq!(
            message(&[0, 0, 10, 1, 0, 0, 0, 0]),
            "it holds numbers of kind 0x0a, expected 0x08, 0x09 or 0x0b to 0x0e"
        );
        assert_eq!(message(b"P5 2 2"), "it is not an IDX file");
        // Lengths whose product is past all memory.
        let huge = [&[0, 0, 14, 4][..], &[255; 16]].concat();
        assert!(matches!(from_bytes(&huge), Err(IdxError::Size { .. })));
    }
}

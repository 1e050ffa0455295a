//! The content of arrays, hashed.

use std::ops::Range;

use sensorium_media::Numbers;

use crate::set::ContentKey;

/// The key of some numbers of a shape: their kind, the shape and their bytes, little-endian.
pub(crate) fn of_numbers(numbers: &Numbers, range: Range<usize>, shape: &[usize]) -> ContentKey {
    macro_rules! bytes {
        ($values:expr) => {
            $values[range]
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
    }
    let bytes: Vec<u8> = match numbers {
        Numbers::U8(values) => values[range].to_vec(),
        Numbers::U16(values) => bytes!(values),
        Numbers::I16(values) => bytes!(values),
        Numbers::I32(values) => bytes!(values),
        Numbers::I64(values) => bytes!(values),
        Numbers::F32(values) => bytes!(values),
        Numbers::F64(values) => bytes!(values),
        other => bytes!(other.to_f32(0..other.len())),
    };
    let shape: Vec<u8> = shape
        .iter()
        .flat_map(|&len| (len as u64).to_le_bytes())
        .collect();
    ContentKey::of_parts([numbers.kind().as_bytes(), &shape, &bytes])
}

//! The header of a safetensors file.
//!
//! ```text
//! length of the header, u64 ─ header, JSON padded with blanks ─ numbers without gaps
//! ```
//! <https://huggingface.co/docs/safetensors>

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use safetensors::tensor::TensorInfo;
use serde::Deserialize;
use serde_json::json;

use super::values::Place;
use super::{CheckpointError, Entry, Index};

/// Most bytes of a header, as in the format's own library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Bytes of the number before the header; also what its end is aligned to.
const WORD_BYTES: usize = 8;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// Reads the index of a file of `file_len` bytes, of which the first word was read.
pub(super) fn index<R: Read + Seek>(
    reader: &mut R,
    header_len: u64,
    file_len: u64,
) -> Result<Index, CheckpointError> {
    if header_len > MAX_HEADER_BYTES {
        return Err(CheckpointError::HeaderLength {
            actual: header_len,
            limit: MAX_HEADER_BYTES,
        });
    }
    let data_start = WORD_BYTES as u64 + header_len;
    check_len(file_len, data_start, |actual, expected| actual >= expected)?;
    let mut bytes = vec![0; header_len as usize];
    reader.seek(SeekFrom::Start(WORD_BYTES as u64))?;
    reader.read_exact(&mut bytes)?;
    let header: Header = serde_json::from_slice(&bytes).map_err(CheckpointError::Header)?;

    let mut by_place: Vec<_> = header.tensors.iter().collect();
    by_place.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in by_place {
        let (from, to) = info.data_offsets;
        // Overlaps and gaps could hide what another reader would not see.
        if from != end || byte_len(info).is_none_or(|len| from.checked_add(len) != Some(to)) {
            return Err(CheckpointError::Bounds {
                name: name.clone(),
                shape: info.shape.clone(),
            });
        }
        end = to;
    }
    let expected = data_start.saturating_add(end as u64);
    check_len(file_len, expected, |actual, expected| actual == expected)?;

    let entry = |info: TensorInfo| Entry {
        dtype: info.dtype,
        shape: info.shape,
        place: Place::dense(data_start + info.data_offsets.0 as u64),
    };
    let tensors = header.tensors.into_iter();
    Ok(Index {
        entries: tensors.map(|(name, info)| (name, entry(info))).collect(),
        metadata: header.metadata,
    })
}

fn check_len(
    actual: u64,
    expected: u64,
    fits: fn(u64, u64) -> bool,
) -> Result<(), CheckpointError> {
    let error = CheckpointError::Length { actual, expected };
    fits(actual, expected).then_some(()).ok_or(error)
}

fn byte_len(info: &TensorInfo) -> Option<usize> {
    let axes = info.shape.iter();
    let bits = axes
        .copied()
        .try_fold(info.dtype.bitsize(), usize::checked_mul)?;
    (bits % 8 == 0).then_some(bits / 8)
}

/// The bytes of a file up to its numbers: F32 tensors in this order, and words about them.
pub(crate) fn header<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut fields = Vec::new();
    if !metadata.is_empty() {
        fields.push(field("__metadata__", json!(metadata)));
    }
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        fields.push(field(name, info));
    }
    let mut json = format!("{{{}}}", fields.join(","));
    // Blanks up to a whole word, so that the numbers are aligned.
    let padding = json.len().next_multiple_of(WORD_BYTES) - json.len();
    json.extend(std::iter::repeat_n(' ', padding));
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

fn field(name: &str, value: serde_json::Value) -> String {
    format!("{}:{value}", json!(name))
}

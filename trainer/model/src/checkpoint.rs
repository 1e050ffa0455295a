//! Checkpoints on disk, read and written one tensor at a time.
//!
//! ```text
//! .safetensors ─ JSON header ───────────────┐
//!                                           ├▶ name ▶ (type, shape, place) ──seek──▶ values
//! .pth ─ zip directory, pickle (not run) ───┘
//! ```
//! [`Checkpoint::open`] reads the index alone, so a file of many gigabytes opens at once; a tensor's
//! numbers are read when asked for, and no more than 64 KiB are held beside them.
//!
//! # Formats
//!
//! What a file is shows in its content, not in its name.
//!
//! * safetensors, any version.
//! * What `torch.save` writes since torch 1.6: a zip file, little-endian, its members stored. The
//!   dictionary of tensors is the outermost one, or lies one level down under `state_dict` or
//!   `model`. Of the outermost dictionary whatever is no tensor (an epoch, an optimizer's state) is
//!   skipped; one that is nested may hold nothing else. The zip's checksums are not looked at.
//!
//! A pickle is a program. It is never executed: a small machine that knows dictionaries, tuples,
//! numbers and tensors reads it, and whatever else the pickle names is refused.

mod error;
mod pickle;
mod safetensors;
#[cfg(test)]
mod tests;
mod torch;
mod values;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use ::safetensors::tensor::Dtype;
use half::{bf16, f16};

pub use error::{CheckpointError, PickleFault};
pub use write::CheckpointWriter;

pub(crate) use safetensors::header;

use crate::weights::{WeightSource, WeightsError};
use values::Place;

/// First bytes of a zip file with at least one member.
const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// First bytes of what `torch.save` wrote before 1.6: a pickle (protocol 2) of a 10-byte number.
const LEGACY_MAGIC: [u8; 4] = [0x80, 2, 0x8a, 10];

/// What a file says of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    place: Place,
}

impl Entry {
    /// Type of its numbers in the file.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Length of each axis; none for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

/// What a file holds, without the numbers.
#[derive(Debug, Default)]
struct Index {
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// An open checkpoint: the index in memory, the numbers still in the file.
///
/// The file should not change while it is open.
#[derive(Debug)]
pub struct Checkpoint<R = File> {
    reader: Mutex<R>,
    index: Index,
}

impl Checkpoint {
    /// Opens a checkpoint and reads its index.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no checkpoint, was cut, or asks for more than tensors.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::open(path).map_err(|source| CheckpointError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::from_reader(file)
    }
}

impl<R: Read + Seek> Checkpoint<R> {
    /// Reads the index of a checkpoint that need not be a file.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Checkpoint::open).
    pub fn from_reader(mut reader: R) -> Result<Self, CheckpointError> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        let mut first = Vec::with_capacity(9);
        reader.by_ref().take(9).read_to_end(&mut first)?;
        let index = if first.starts_with(&ZIP_MAGIC) {
            torch::index(&mut reader, len)?
        } else if first.starts_with(&LEGACY_MAGIC) {
            return Err(CheckpointError::Legacy);
        } else if let &[a, b, c, d, e, f, g, h, b'{'] = first.as_slice() {
            let header_len = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            safetensors::index(&mut reader, header_len, len)?
        } else {
            return Err(CheckpointError::Unknown);
        };
        Ok(Self {
            reader: Mutex::new(reader),
            index,
        })
    }

    /// All tensors in the order of their names.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        let entries = self.index.entries.iter();
        entries.map(|(name, entry)| (name.as_str(), entry))
    }

    /// What the file says of the tensor of this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.entries.get(name)
    }

    /// Words kept with the tensors, by key; a torch file has none.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.index.metadata
    }

    /// The numbers of a tensor of floats (F32, F64), row-major.
    ///
    /// # Errors
    ///
    /// A tensor that is missing, of another type, or cannot be read.
    pub fn doubles(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let entry = self.find(name)?;
        let read = match entry.dtype {
            Dtype::F64 => self.read(entry, f64::from_le_bytes),
            Dtype::F32 => self.read(entry, |b| f64::from(f32::from_le_bytes(b))),
            _ => return Err(wrong_type(name, entry, "F32 or F64")),
        };
        read.map_err(|source| unreadable(name, source))
    }

    /// The numbers of a tensor of integers (I64, I32, I16, I8, U8, BOOL), row-major; true is 1.
    ///
    /// # Errors
    ///
    /// A tensor that is missing, of another type, or cannot be read.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, WeightsError> {
        let entry = self.find(name)?;
        let read = match entry.dtype {
            Dtype::I64 => self.read(entry, i64::from_le_bytes),
            Dtype::I32 => self.read(entry, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::I16 => self.read(entry, |b| i64::from(i16::from_le_bytes(b))),
            Dtype::I8 => self.read(entry, |b| i64::from(i8::from_le_bytes(b))),
            Dtype::U8 => self.read(entry, |[b]| i64::from(b)),
            Dtype::BOOL => self.read(entry, |[b]| i64::from(b != 0)),
            _ => return Err(wrong_type(name, entry, "integers")),
        };
        read.map_err(|source| unreadable(name, source))
    }

    fn find(&self, name: &str) -> Result<&Entry, WeightsError> {
        self.entry(name).ok_or_else(|| WeightsError::Missing {
            name: name.to_owned(),
        })
    }

    fn read<T: Copy + Default, const N: usize>(
        &self,
        entry: &Entry,
        convert: impl Fn([u8; N]) -> T,
    ) -> io::Result<Vec<T>> {
        values::read(&mut *self.reader(), &entry.shape, &entry.place, convert)
    }

    fn reader(&self) -> MutexGuard<'_, R> {
        // Every read begins with a seek, so one that panicked half-way left nothing behind.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Floats of any width (F32, F64, F16, BF16) as the nearest `f32`.
impl<R: Read + Seek> WeightSource for Checkpoint<R> {
    fn names(&self) -> Vec<&str> {
        self.entries().map(|(name, _)| name).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entry(name).map(Entry::shape)
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let entry = self.find(name)?;
        let read = match entry.dtype {
            Dtype::F32 => self.read(entry, f32::from_le_bytes),
            Dtype::F64 => self.read(entry, |b| f64::from_le_bytes(b) as f32),
            Dtype::F16 => self.read(entry, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => self.read(entry, |b| bf16::from_le_bytes(b).to_f32()),
            _ => return Err(wrong_type(name, entry, "floats")),
        };
        read.map_err(|source| unreadable(name, source))
    }
}

fn wrong_type(name: &str, entry: &Entry, expected: &'static str) -> WeightsError {
    let name = name.to_owned();
    let actual = entry.dtype;
    WeightsError::Checkpoint(CheckpointError::Type {
        name,
        actual,
        expected,
    })
}

fn unreadable(name: &str, source: io::Error) -> WeightsError {
    let name = name.to_owned();
    WeightsError::Checkpoint(CheckpointError::Tensor { name, source })
}

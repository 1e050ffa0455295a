//! Files, read whole.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes; 1.5 hours of 48 kHz stereo in 16 bits.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError<E: Error + 'static> {
    /// It cannot be read.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is larger than files are read.
    #[error("{path:?} has more than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be decoded.
    #[error("{path:?}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: E,
    },
}

/// Reads a file and decodes it.
pub(crate) fn open<T, E: Error>(
    path: &Path,
    decode: impl FnOnce(Vec<u8>) -> Result<T, E>,
) -> Result<T, OpenError<E>> {
    let bytes = read(path)?;
    decode(bytes).map_err(|source| OpenError::Decode {
        path: path.to_owned(),
        source,
    })
}

/// The bytes of a file of at most [`MAX_FILE_BYTES`], to be decoded by `from_bytes` of a module.
///
/// # Errors
///
/// A file that cannot be read or is too large.
pub fn read<E: Error>(path: &Path) -> Result<Vec<u8>, OpenError<E>> {
    let bytes = read_at_most(path).map_err(|source| OpenError::Read {
        path: path.to_owned(),
        source,
    })?;
    bytes.ok_or_else(|| OpenError::TooLarge {
        path: path.to_owned(),
    })
}

/// The bytes of a file; none if they are too many.
fn read_at_most(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_FILE_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // A pipe has no size, and a file may grow.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_FILE_BYTES).then_some(bytes))
}

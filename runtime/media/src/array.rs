//! Arrays from files: `.npy`, `.npz`.

use std::io::{Cursor, Read};
use std::path::Path;

use sensorium_pack::npy::{NpyError, NumberArray};
use thiserror::Error;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::file::{self, MAX_FILE_BYTES, OpenError};

/// Why bytes hold no array.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// They are of no format that is read.
    #[error("it is not a .npy or .npz file")]
    Format,
    /// The array is none that can be used.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The archive is cut or damaged.
    #[error("the .npz archive cannot be read")]
    Archive(#[source] ZipError),
    /// A member of the archive is damaged.
    #[error("{name:?} in the .npz cannot be unpacked")]
    Unpack {
        /// The member's name.
        name: String,
        /// What the archive said.
        source: std::io::Error,
    },
    /// A member of the archive is too large.
    #[error("{name:?} in the .npz has more than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// The member's name.
        name: String,
    },
    /// A member of the archive is no array that can be used.
    #[error("{name:?} in the .npz")]
    Member {
        /// The member's name.
        name: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The archive has no such array, or several and none was asked for.
    #[error("the .npz holds {actual:?}, expected {expected}")]
    Name {
        /// Names of its arrays.
        actual: Vec<String>,
        /// What was asked for.
        expected: String,
    },
}

/// Reads the array of a `.npy` file, or one of a `.npz` file: the one of this name, or the only one.
///
/// A name is not looked at for `.npy`.
///
/// # Errors
///
/// A file that cannot be read, is no array, or has none of this name.
pub fn open(path: &Path, name: Option<&str>) -> Result<NumberArray, OpenError<ArrayError>> {
    file::open(path, |bytes| from_bytes(bytes, name))
}

/// As [`open`], from memory.
///
/// # Errors
///
/// Bytes that are no array, or have none of this name.
pub fn from_bytes(bytes: Vec<u8>, name: Option<&str>) -> Result<NumberArray, ArrayError> {
    if !is_array(&bytes) {
        return Err(ArrayError::Format);
    }
    if bytes.starts_with(b"PK") {
        return member(bytes, name);
    }
    Ok(NumberArray::from_bytes(&bytes)?)
}

/// Whether bytes begin as a `.npy` or `.npz` file does.
#[must_use]
pub fn is_array(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06"];
    starts.iter().any(|start| bytes.starts_with(start))
}

fn member(bytes: Vec<u8>, name: Option<&str>) -> Result<NumberArray, ArrayError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(ArrayError::Archive)?;
    let name = choose(&archive, name)?;
    let file = archive.by_name(&format!("{name}.npy"));
    let mut unpacked = Vec::new();
    let size = file
        .map_err(ArrayError::Archive)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut unpacked);
    match size {
        Ok(size) if size as u64 > MAX_FILE_BYTES => return Err(ArrayError::TooLarge { name }),
        Ok(_) => {}
        Err(source) => return Err(ArrayError::Unpack { name, source }),
    }
    NumberArray::from_bytes(&unpacked).map_err(|source| ArrayError::Member { name, source })
}

/// The name of the array that is meant, without `.npy`.
fn choose(archive: &ZipArchive<Cursor<Vec<u8>>>, name: Option<&str>) -> Result<String, ArrayError> {
    let mut names = Vec::new();
    for member in archive.file_names() {
        let member = member.map_err(ArrayError::Archive)?;
        names.extend(member.strip_suffix(".npy").map(str::to_owned));
    }
    names.sort_unstable();
    let chosen = match name {
        Some(name) => names.iter().position(|member| member == name),
        None => (names.len() == 1).then_some(0),
    };
    match chosen {
        Some(chosen) => Ok(names.swap_remove(chosen)),
        None => Err(ArrayError::Name {
            actual: names,
            expected: name.map_or("one array".to_owned(), |name| format!("{name:?}")),
        }),
    }
}

#[cfg(test)]
mod tests;

//! Arrays of 32-bit floats as NumPy keeps them.

use std::io;
use std::path::{Path, PathBuf};

use npyz::{NpyFile, Order, WriterBuilder};
use thiserror::Error;

/// Why a file is not an array that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file cannot be read.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no array of 32-bit floats.
    #[error("{path:?} is not an array of 32-bit floats")]
    Format {
        /// The file.
        path: PathBuf,
        /// What its parser said.
        source: io::Error,
    },
    /// The array lies column by column.
    #[error("{path:?} is in Fortran order, expected C order")]
    Order {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter or longer than its header says.
    #[error("{path:?} has {actual} bytes of data, expected {expected} for its shape")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes after the header.
        actual: u64,
        /// Bytes that the shape asks for.
        expected: u64,
    },
}

/// Reads the shape and the numbers of a file.
///
/// # Errors
///
/// A file that cannot be read or is no such array.
pub fn read(path: &Path) -> Result<(Vec<usize>, Vec<f32>), NpyError> {
    let path = || path.to_owned();
    let bytes = std::fs::read(path()).map_err(|source| NpyError::Read {
        path: path(),
        source,
    })?;
    let format = |source| NpyError::Format {
        path: path(),
        source,
    };
    let mut data = bytes.as_slice();
    let header = npyz::NpyHeader::from_reader(&mut data).map_err(format)?;
    if header.order() != Order::C {
        return Err(NpyError::Order { path: path() });
    }
    // Checked before reading: nobody allocates what a header merely claims.
    let shape = header.shape().to_vec();
    let expected = shape.iter().fold(4, |size: u64, &n| size.saturating_mul(n));
    let file = NpyFile::with_header(header, data);
    let actual = data.len() as u64;
    if actual != expected {
        // A wrong type makes the size wrong, too, and is the better thing to say.
        file.data::<f32>()
            .map_err(|error| format(io::Error::other(error)))?;
        return Err(NpyError::Size {
            path: path(),
            actual,
            expected,
        });
    }
    let values = file.into_vec::<f32>().map_err(format)?;
    Ok((shape.into_iter().map(|n| n as usize).collect(), values))
}

/// An array as a file holds it. Equal arrays give equal bytes.
///
/// # Errors
///
/// As many values as the shape does not ask for.
pub fn to_bytes(shape: &[usize], values: &[f32]) -> io::Result<Vec<u8>> {
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn an_array_reads_back_as_written() {
        let values = [0.0, -1.5, f32::MIN_POSITIVE, 3.0, 4.0, f32::MAX];
        let (_dir, path) = file(&to_bytes(&[2, 3], &values).unwrap());
        assert_eq!(read(&path).unwrap(), (vec![2, 3], values.to_vec()));
    }

    #[test]
    fn an_array_cut_or_lengthened_is_refused() {
        let bytes = to_bytes(&[2], &[1.0, 2.0]).unwrap();
        for len in 0..bytes.len() {
            let (_dir, path) = file(&bytes[..len]);
            assert!(read(&path).is_err(), "{len}");
        }
        let (_dir, path) = file(&[&bytes[..], &[0]].concat());
        let error = read(&path).unwrap_err().to_string();
        assert!(error.ends_with("has 9 bytes of data, expected 8 for its shape"));
        assert!(to_bytes(&[3], &[1.0]).is_err());
    }
}

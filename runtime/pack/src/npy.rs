//! Arrays as NumPy keeps them (`.npy`, format versions 1 to 3). Those in Fortran's order are read
//! too, and turned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use npyz::{NpyHeader, Order, WriterBuilder};
use thiserror::Error;

mod numbers;

pub use numbers::{NumberArray, Numbers};

use numbers::Kind;

/// Why a file is not an array that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// The bytes are no array.
    #[error("it is not a NumPy array")]
    Format(#[source] std::io::Error),
    /// The array holds other numbers than those that are read.
    #[error("it holds {actual}, expected {expected}")]
    Type {
        /// What it holds, as NumPy describes it.
        actual: String,
        /// What could be read.
        expected: &'static str,
    },
    /// The file is shorter or longer than its header says.
    #[error("it has {actual} bytes of data, expected {expected} for its shape")]
    Size {
        /// Bytes after the header.
        actual: u64,
        /// Bytes that the shape asks for.
        expected: u64,
    },
}

/// An array of 32-bit floats, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The numbers; as many as the product of `shape`.
    pub values: Vec<f32>,
}

impl Array {
    /// Reads a file. Numbers of 64 bits are rounded to 32.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no such array.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        Self::from_bytes(&std::fs::read(path).map_err(NpyError::Read)?)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// Bytes that are no such array.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NpyError> {
        let floats = [Kind::F32, Kind::F64];
        let array = parse(bytes, &floats, "little-endian float32 or float64")?;
        Ok(array.into_f32())
    }

    /// The array as a file holds it.
    ///
    /// # Errors
    ///
    /// None for values that fit the shape; the writer's own are passed on.
    pub fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        to_bytes(&self.shape, &self.values)
    }

    /// The rows of an array of two axes.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let width = row_len(&self.shape);
        self.values.chunks_exact(width.max(1))
    }
}

/// Numbers of a shape as a file holds them. Equal arrays give equal bytes.
///
/// # Errors
///
/// As many values as the shape does not ask for.
pub fn to_bytes<T: npyz::AutoSerialize + Copy>(
    shape: &[usize],
    values: &[T],
) -> std::io::Result<Vec<u8>> {
    let shape: Vec<u64> = shape.iter().map(|&len| len as u64).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

/// Numbers in one row; an array without rows may claim axes of any length.
fn row_len(shape: &[usize]) -> usize {
    let axes = shape.iter().skip(1);
    axes.fold(1, |size: usize, &len| size.saturating_mul(len))
}

/// The library multiplies what the header claims, which overflows (a panic where that is checked).
fn read_header(data: &mut &[u8]) -> std::io::Result<NpyHeader> {
    let read = catch_unwind(AssertUnwindSafe(|| NpyHeader::from_reader(data)));
    read.unwrap_or_else(|_overflow| Err(std::io::ErrorKind::InvalidData.into()))
}

/// An array of one of these kinds of numbers, which `expected` puts into words.
fn parse(bytes: &[u8], kinds: &[Kind], expected: &'static str) -> Result<NumberArray, NpyError> {
    let mut data = bytes;
    let header = read_header(&mut data).map_err(NpyError::Format)?;
    let kind = Kind::of(&header.dtype()).filter(|kind| kinds.contains(kind));
    let kind = kind.ok_or_else(|| NpyError::Type {
        actual: header.dtype().descr(),
        expected,
    })?;
    // The size is checked first: nobody allocates what a header merely claims.
    let wide = kind.width() as u64;
    let size = |size: u64, &len: &u64| size.saturating_mul(len);
    let expected = header.shape().iter().fold(wide, size);
    let actual = data.len() as u64;
    if actual != expected {
        return Err(NpyError::Size { actual, expected });
    }
    let shape = header.shape().iter().map(|&len| len as usize).collect();
    let array = NumberArray {
        shape,
        numbers: kind.read(data),
    };
    Ok(match header.order() {
        Order::C => array,
        Order::Fortran => array.turned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> Array {
        Array {
            shape: vec![2, 3],
            values: vec![0.0, -1.5, f32::MIN_POSITIVE, 3.0, 4.0, f32::MAX],
        }
    }

    #[test]
    fn an_array_reads_back_as_written() {
        let bytes = array().to_bytes().unwrap();
        let read = Array::from_bytes(&bytes).unwrap();
        assert_eq!(read, array());
        assert_eq!(read.rows().nth(1), Some(&[3.0, 4.0, f32::MAX][..]));
    }

    #[test]
    fn an_array_cut_or_lengthened_is_refused() {
        let bytes = array().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Array::from_bytes(&bytes[..len]).is_err(), "{len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = Array::from_bytes(&longer).unwrap_err().to_string();
        assert_eq!(error, "it has 25 bytes of data, expected 24 for its shape");
    }

    fn with_header(dict: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dict.len() as u16).to_le_bytes());
        bytes.extend(dict.as_bytes());
        bytes
    }

    #[test]
    fn a_header_cannot_claim_memory() {
        let dict =
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4000000000, 9), }\n";
        assert!(Array::from_bytes(&with_header(dict)).is_err());
        let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 9), }\n";
        let error = Array::from_bytes(&with_header(dict)).unwrap_err();
        assert!(matches!(error, NpyError::Size { actual: 0, .. }), "{error}");
    }

    #[test]
    fn other_kinds_are_named() {
        let ints = "{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }\n";
        let error = Array::from_bytes(&with_header(ints)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it holds '<i8', expected little-endian float32 or float64"
        );
        assert!(matches!(
            Array::from_bytes(b"not an array"),
            Err(NpyError::Format(_))
        ));
    }

    #[test]
    fn columns_become_rows() {
        let columns = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let mut bytes = with_header(columns);
        for value in [0.0f32, 3.0, 1.0, 4.0, 2.0, 5.0] {
            bytes.extend(value.to_le_bytes());
        }
        let read = Array::from_bytes(&bytes).unwrap();
        assert_eq!(read.shape, [2, 3]);
        assert_eq!(read.values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}

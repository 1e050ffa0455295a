//! Arrays of the kinds of numbers that sensors give.

use std::ops::Range;
use std::path::Path;

use npyz::{DType, Endianness, TypeChar};

use super::{Array, NpyError, parse, row_len, to_bytes};

/// What [`NumberArray`] reads, in words.
const EXPECTED: &str = "uint8, or little-endian uint16, int16, int32, int64, float32 or float64";

/// Numbers of one kind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Numbers {
    U8(Vec<u8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Does the same to the numbers of any kind.
macro_rules! each_kind {
    ($numbers:expr, $values:ident => $do:expr) => {
        match $numbers {
            Numbers::U8($values) => $do,
            Numbers::U16($values) => $do,
            Numbers::I16($values) => $do,
            Numbers::I32($values) => $do,
            Numbers::I64($values) => $do,
            Numbers::F32($values) => $do,
            Numbers::F64($values) => $do,
        }
    };
}

/// As [`each_kind`], into numbers of the same kind.
macro_rules! map_kind {
    ($numbers:expr, $values:ident => $do:expr) => {
        match $numbers {
            Numbers::U8($values) => Numbers::U8($do),
            Numbers::U16($values) => Numbers::U16($do),
            Numbers::I16($values) => Numbers::I16($do),
            Numbers::I32($values) => Numbers::I32($do),
            Numbers::I64($values) => Numbers::I64($do),
            Numbers::F32($values) => Numbers::F32($do),
            Numbers::F64($values) => Numbers::F64($do),
        }
    };
}

impl Numbers {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        each_kind!(self, values => values.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their kind, as NumPy names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "uint8",
            Self::U16(_) => "uint16",
            Self::I16(_) => "int16",
            Self::I32(_) => "int32",
            Self::I64(_) => "int64",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
        }
    }

    /// Some of them as 32-bit floats: exact for 8 and 16 bits, the nearest one for others.
    ///
    /// # Panics
    ///
    /// If there are not that many.
    #[must_use]
    #[expect(clippy::unnecessary_cast, reason = "of one of the seven kinds")]
    pub fn to_f32(&self, range: Range<usize>) -> Vec<f32> {
        each_kind!(self, values => values[range].iter().map(|&value| value as f32).collect())
    }

    fn slice(&self, range: Range<usize>) -> Self {
        map_kind!(self, values => values[range].to_vec())
    }

    /// Appends others of the same kind; says whether they were.
    #[must_use]
    pub fn append(&mut self, others: Self) -> bool {
        match (self, others) {
            (Self::U8(all), Self::U8(others)) => all.extend(others),
            (Self::U16(all), Self::U16(others)) => all.extend(others),
            (Self::I16(all), Self::I16(others)) => all.extend(others),
            (Self::I32(all), Self::I32(others)) => all.extend(others),
            (Self::I64(all), Self::I64(others)) => all.extend(others),
            (Self::F32(all), Self::F32(others)) => all.extend(others),
            (Self::F64(all), Self::F64(others)) => all.extend(others),
            _ => return false,
        }
        true
    }
}

/// An array of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberArray {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The numbers; as many as the product of `shape`.
    pub numbers: Numbers,
}

impl NumberArray {
    /// Reads a `.npy` file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no array of such numbers.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        Self::from_bytes(&std::fs::read(path).map_err(NpyError::Read)?)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// Bytes that are no such array.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NpyError> {
        parse(bytes, &Kind::ALL, EXPECTED)
    }

    /// The array as a `.npy` file holds it. Equal arrays give equal bytes.
    ///
    /// # Errors
    ///
    /// Another number of numbers than the shape asks for.
    pub fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        each_kind!(&self.numbers, values => to_bytes(&self.shape, values))
    }

    /// Numbers in one row, the product of all axes but the first.
    #[must_use]
    pub fn row_len(&self) -> usize {
        row_len(&self.shape)
    }

    /// Some rows, as an array of as many axes; none if there are not that many.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> Option<Self> {
        let &all = self.shape.first()?;
        if rows.start > rows.end || rows.end > all {
            return None;
        }
        let len = self.row_len();
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        Some(Self {
            shape,
            numbers: self.numbers.slice(rows.start * len..rows.end * len),
        })
    }

    /// The array in 32-bit floats, as [`Numbers::to_f32`] makes them.
    #[must_use]
    pub fn into_f32(self) -> Array {
        let values = match self.numbers {
            Numbers::F32(values) => values,
            numbers => numbers.to_f32(0..numbers.len()),
        };
        Array {
            shape: self.shape,
            values,
        }
    }

    /// The array, if its numbers are in Fortran's order: the first axis runs fastest.
    pub(super) fn turned(self) -> Self {
        let numbers = map_kind!(self.numbers, values => to_rows(&values, &self.shape));
        Self { numbers, ..self }
    }
}

fn to_rows<T: Copy>(columns: &[T], shape: &[usize]) -> Vec<T> {
    if columns.is_empty() {
        return Vec::new();
    }
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |next, &len| {
            let stride = *next;
            *next *= len;
            Some(stride)
        })
        .collect();
    let mut place = vec![0; shape.len()];
    let mut at = 0;
    let mut rows = Vec::with_capacity(columns.len());
    for _ in columns {
        rows.push(columns[at]);
        for axis in (0..shape.len()).rev() {
            place[axis] += 1;
            at += strides[axis];
            if place[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            place[axis] = 0;
        }
    }
    rows
}

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    U16,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::U8,
        Self::U16,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F32,
        Self::F64,
    ];

    /// The kind that a header tells of.
    pub(super) fn of(dtype: &DType) -> Option<Self> {
        let DType::Plain(plain) = dtype else {
            return None;
        };
        let kind = match (plain.type_char(), plain.size_field()) {
            (TypeChar::Uint, 1) => Self::U8,
            (TypeChar::Uint, 2) => Self::U16,
            (TypeChar::Int, 2) => Self::I16,
            (TypeChar::Int, 4) => Self::I32,
            (TypeChar::Int, 8) => Self::I64,
            (TypeChar::Float, 4) => Self::F32,
            (TypeChar::Float, 8) => Self::F64,
            _ => return None,
        };
        (kind.width() == 1 || plain.endianness() == Endianness::Little).then_some(kind)
    }

    /// Bytes of one number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// The numbers that little-endian bytes hold.
    pub(super) fn read(self, bytes: &[u8]) -> Numbers {
        macro_rules! read {
            ($kind:ident, $number:ty) => {{
                let chunks = bytes.as_chunks().0;
                Numbers::$kind(
                    chunks
                        .iter()
                        .map(|&b| <$number>::from_le_bytes(b))
                        .collect(),
                )
            }};
        }
        match self {
            Self::U8 => Numbers::U8(bytes.to_vec()),
            Self::U16 => read!(U16, u16),
            Self::I16 => read!(I16, i16),
            Self::I32 => read!(I32, i32),
            Self::I64 => read!(I64, i64),
            Self::F32 => read!(F32, f32),
            Self::F64 => read!(F64, f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dict.len() as u16).to_le_bytes());
        bytes.extend(dict.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn every_kind_is_read() {
        let cases = [
            ("|u1", 1, Numbers::U8(vec![1, 255])),
            ("<u2", 2, Numbers::U16(vec![1, 65535])),
            ("<i2", 2, Numbers::I16(vec![1, -1])),
            ("<i4", 4, Numbers::I32(vec![1, -1])),
            ("<i8", 8, Numbers::I64(vec![1, -1])),
        ];
        for (descr, width, numbers) in cases {
            let mut data = vec![255; 2 * width];
            data[..width].fill(0);
            data[0] = 1;
            let array = NumberArray::from_bytes(&file(descr, "(2,)", &data)).unwrap();
            assert_eq!(array.numbers, numbers, "{descr}");
        }
        let data = [1.5f64.to_le_bytes(), 0.1f64.to_le_bytes()].concat();
        let array = NumberArray::from_bytes(&file("<f8", "(2, 1)", &data)).unwrap();
        assert_eq!(array.numbers, Numbers::F64(vec![1.5, 0.1]));
        assert_eq!(array.into_f32().values, [1.5, 0.1f32]);
    }

    #[test]
    fn other_kinds_are_named() {
        for descr in [">u2", "<u4", "|b1", "<c8"] {
            let error = NumberArray::from_bytes(&file(descr, "(0,)", &[])).unwrap_err();
            let expected = format!("it holds '{descr}', expected {EXPECTED}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn rows_keep_the_other_axes() {
        let array = NumberArray {
            shape: vec![3, 2],
            numbers: Numbers::U8(vec![0, 1, 2, 3, 4, 5]),
        };
        let rows = array.rows(1..3).unwrap();
        assert_eq!((&rows.shape[..], rows.row_len()), (&[2, 2][..], 2));
        assert_eq!(rows.numbers, Numbers::U8(vec![2, 3, 4, 5]));
        assert_eq!(array.rows(3..3).unwrap().shape, [0, 2]);
        assert!(array.rows(2..4).is_none());
        let wide = format!("(0, {0}, {0})", u64::from(u32::MAX));
        let wide = NumberArray::from_bytes(&file("|u1", &wide, &[])).unwrap();
        assert!(wide.rows(0..0).unwrap().numbers.is_empty());
        assert_eq!(array.numbers.to_f32(4..6), [4.0, 5.0]);
    }

    #[test]
    fn three_axes_turn_round() {
        let columns: Vec<u8> = vec![0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21];
        // (2, 3, 2): value = 12 i + 4 j + k
        assert_eq!(
            to_rows(&columns, &[2, 3, 2]),
            [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21]
        );
        assert!(to_rows::<u8>(&[], &[2, 0, 2]).is_empty());
        assert_eq!(to_rows(&[7], &[]), [7]);
    }
}

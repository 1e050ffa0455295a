//! A tensor's numbers, from the bytes of a file.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes held beside the values while a tensor is read.
const CHUNK_BYTES: usize = 64 << 10;

/// Where a tensor's numbers lie. Whoever makes one has checked that all of it is in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Byte of the file at which the first number begins.
    pub(super) start: u64,
    /// Numbers from one to the next along each axis; none if they lie row-major without gaps.
    pub(super) strides: Option<Vec<usize>>,
}

impl Place {
    /// Row-major numbers that begin at a byte of the file.
    pub(super) fn dense(start: u64) -> Self {
        Self {
            start,
            strides: None,
        }
    }

    /// Numbers with strides; those that mean row-major order are dropped.
    pub(super) fn strided(start: u64, shape: &[usize], strides: &[usize]) -> Self {
        let mut dense = 1;
        let mut is_dense = true;
        for (&len, &stride) in shape.iter().zip(strides).rev() {
            is_dense &= len == 1 || stride == dense;
            dense *= len;
        }
        Self {
            start,
            strides: (!is_dense && dense > 0).then(|| strides.to_vec()),
        }
    }
}

/// Reads a tensor; `convert` makes a value of the `N` bytes of a number.
pub(super) fn read<R: Read + Seek, T: Copy + Default, const N: usize>(
    reader: &mut R,
    shape: &[usize],
    place: &Place,
    convert: impl Fn([u8; N]) -> T,
) -> io::Result<Vec<T>> {
    match &place.strides {
        None => read_dense(reader, shape.iter().product(), place.start, convert),
        Some(strides) => read_strided(reader, shape, strides, place.start, convert),
    }
}

fn read_dense<R: Read + Seek, T, const N: usize>(
    reader: &mut R,
    count: usize,
    start: u64,
    convert: impl Fn([u8; N]) -> T,
) -> io::Result<Vec<T>> {
    reader.seek(SeekFrom::Start(start))?;
    let mut values = Vec::with_capacity(count);
    let per_chunk = (CHUNK_BYTES / N).min(count);
    let mut chunk = vec![0; per_chunk * N];
    while values.len() < count {
        let now = per_chunk.min(count - values.len());
        let bytes = &mut chunk[..now * N];
        reader.read_exact(bytes)?;
        let numbers = bytes.as_chunks::<N>().0;
        values.extend(numbers.iter().map(|&number| convert(number)));
    }
    Ok(values)
}

/// Walks the numbers in the order in which they lie in the file, whatever the order of the axes, so
/// that a transposed matrix is read once and forwards.
fn read_strided<R: Read + Seek, T: Copy + Default, const N: usize>(
    reader: &mut R,
    shape: &[usize],
    strides: &[usize],
    start: u64,
    convert: impl Fn([u8; N]) -> T,
) -> io::Result<Vec<T>> {
    let mut axes = Vec::with_capacity(shape.len());
    let mut row_major = 1;
    for (&len, &stride) in shape.iter().zip(strides).rev() {
        axes.push(Axis {
            len,
            stride,
            row_major,
            at: 0,
        });
        row_major *= len;
    }
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride));
    let last: usize = axes.iter().map(|axis| (axis.len - 1) * axis.stride).sum();

    let mut values = vec![T::default(); row_major];
    let mut window = Window {
        reader,
        chunk: Vec::new(),
        start,
        end: start + (last as u64 + 1) * N as u64,
    };
    let (mut from, mut to) = (0, 0);
    loop {
        values[to] = convert(window.number(start + from as u64 * N as u64)?);
        let mut moved = false;
        for axis in axes.iter_mut().rev() {
            if axis.at + 1 < axis.len {
                axis.at += 1;
                from += axis.stride;
                to += axis.row_major;
                moved = true;
                break;
            }
            from -= axis.at * axis.stride;
            to -= axis.at * axis.row_major;
            axis.at = 0;
        }
        if !moved {
            return Ok(values);
        }
    }
}

struct Axis {
    len: usize,
    /// Numbers from one to the next in the file.
    stride: usize,
    /// Numbers from one to the next in the values.
    row_major: usize,
    at: usize,
}

/// The part of a file that was read last.
struct Window<'a, R> {
    reader: &'a mut R,
    chunk: Vec<u8>,
    /// Byte of the file at which the chunk begins.
    start: u64,
    /// Byte of the file behind the last one needed.
    end: u64,
}

impl<R: Read + Seek> Window<'_, R> {
    fn number<const N: usize>(&mut self, at: u64) -> io::Result<[u8; N]> {
        if at < self.start || at + N as u64 > self.start + self.chunk.len() as u64 {
            let len = (self.end - at).min(CHUNK_BYTES as u64);
            self.chunk.resize(len as usize, 0);
            self.start = at;
            self.reader.seek(SeekFrom::Start(at))?;
            self.reader.read_exact(&mut self.chunk)?;
        }
        let begin = (at - self.start) as usize;
        let mut number = [0; N];
        number.copy_from_slice(&self.chunk[begin..begin + N]);
        Ok(number)
    }
}

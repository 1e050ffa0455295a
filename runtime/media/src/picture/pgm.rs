//! PGM, binary (`P5`), of 8 or 16 bits.

use thiserror::Error;

use super::{PictureError, Raster, Samples, pixels};

/// Why bytes are no PGM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PgmError {
    /// The head does not give a width, a height and a largest value.
    #[error("byte {at} of the PGM begins no number from 1 to 65535")]
    Head {
        /// Bytes from the start of the file.
        at: usize,
    },
    /// There are fewer pixels than the head says.
    #[error("the PGM has {actual} bytes of pixels, expected {expected}")]
    Cut {
        /// Bytes after the head.
        actual: usize,
        /// Bytes that the head tells of.
        expected: usize,
    },
    /// A pixel is larger than the head says that any is.
    #[error("pixel {pixel} of the PGM is {actual}, expected at most {max}")]
    Value {
        /// The pixel, from 0, row by row.
        pixel: usize,
        /// Its value.
        actual: u16,
        /// The largest value.
        max: u16,
    },
}

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, PictureError> {
    let mut at = 2;
    let width = usize::from(number(bytes, &mut at)?);
    let height = usize::from(number(bytes, &mut at)?);
    let max = number(bytes, &mut at)?;
    // One blank ends the head; the next byte is a pixel whatever it is.
    at += 1;
    let wide = if max > 255 { 2 } else { 1 };
    let expected = pixels(width, height)? * wide;
    let body = bytes.get(at..).unwrap_or_default();
    let Some(body) = body.get(..expected) else {
        let actual = body.len();
        return Err(PgmError::Cut { actual, expected }.into());
    };
    let samples = if wide == 2 {
        let words = body.as_chunks().0.iter();
        let words: Vec<_> = words.map(|&word| u16::from_be_bytes(word)).collect();
        check(words.iter().copied(), max)?;
        Samples::Words(words)
    } else {
        check(body.iter().copied().map(u16::from), max)?;
        Samples::Bytes(body.to_vec())
    };
    Ok(Raster {
        width,
        height,
        channels: 1,
        max,
        samples,
    })
}

/// The next number of the head; blanks and comments come before it, a blank after it.
fn number(bytes: &[u8], at: &mut usize) -> Result<u16, PgmError> {
    let start = *at;
    loop {
        match bytes.get(*at) {
            Some(b'#') => {
                let rest = bytes[*at..].iter();
                *at += rest.take_while(|&&byte| byte != b'\n').count();
            }
            Some(byte) if byte.is_ascii_whitespace() => *at += 1,
            _ => break,
        }
    }
    let first = *at;
    let error = PgmError::Head { at: first };
    let mut value = 0u16;
    while let Some(digit @ b'0'..=b'9') = bytes.get(*at) {
        let digit = u16::from(digit - b'0');
        let longer = value.checked_mul(10).and_then(|v| v.checked_add(digit));
        value = longer.ok_or(error)?;
        *at += 1;
    }
    let ended = bytes.get(*at).is_some_and(u8::is_ascii_whitespace);
    if first == start || value == 0 || !ended {
        return Err(error);
    }
    Ok(value)
}

fn check(values: impl Iterator<Item = u16>, max: u16) -> Result<(), PgmError> {
    match values.enumerate().find(|&(_, value)| value > max) {
        Some((pixel, actual)) => Err(PgmError::Value { pixel, actual, max }),
        None => Ok(()),
    }
}

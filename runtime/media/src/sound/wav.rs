//! WAV: integers of 8, 16, 24 and 32 bits, floats of 32 and 64.

use thiserror::Error;

use super::{MAX_SAMPLES, Sound, SoundError};

/// Numbers of the kinds of samples, as the head gives them.
pub(super) const INTEGERS: u16 = 1;
pub(super) const FLOATS: u16 = 3;
/// The kind comes later in the head.
const EXTENSIBLE: u16 = 0xfffe;

/// The length of data that a program which writes to a pipe does not know.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Why the head of a WAV file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file breaks off before its samples.
    #[error("the WAV breaks off at byte {at}, before its samples")]
    Cut {
        /// Bytes in the file.
        at: usize,
    },
    /// It is of a relative of WAV, such as AVI.
    #[error("the RIFF file is no WAV")]
    Form,
    /// The samples come before anything says what they are.
    #[error("the WAV has no \"fmt \" chunk before its samples")]
    NoFormat,
    /// Samples of a kind that is not read.
    #[error(
        "the WAV holds samples of kind {kind} and {bits} bits, expected integers (1) of 8, 16, 24 or 32 bits or floats (3) of 32 or 64"
    )]
    Kind {
        /// The kind's number.
        kind: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// The bytes of a frame are not those of its samples.
    #[error("the WAV has frames of {actual} bytes, expected {expected} for its channels")]
    Align {
        /// Bytes of a frame.
        actual: u16,
        /// Bytes of its samples.
        expected: usize,
    },
}

/// What the head says of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) kind: u16,
    pub(super) channels: u16,
    pub(super) rate_hz: u32,
    pub(super) bits: u16,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Sound, SoundError> {
    let cut = WavError::Cut { at: bytes.len() };
    if bytes.get(8..12).ok_or(cut)? != b"WAVE" {
        return Err(WavError::Form.into());
    }
    let mut format = None;
    let mut rest = &bytes[12..];
    loop {
        let (head, body) = rest.split_first_chunk::<8>().ok_or(cut)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if head.starts_with(b"data") {
            return samples(&format.ok_or(WavError::NoFormat)?, body, size);
        }
        let chunk = body.get(..size as usize).ok_or(cut)?;
        if head.starts_with(b"fmt ") {
            format = Some(read_format(chunk).ok_or(cut)??);
        }
        // Chunks begin at even bytes.
        rest = body.get(size as usize + size as usize % 2..).ok_or(cut)?;
    }
}

/// The format, or what is wrong with it; none if there are too few bytes.
fn read_format(chunk: &[u8]) -> Option<Result<Format, SoundError>> {
    let word = |at: usize| Some(u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?));
    let format = Format {
        kind: match word(0)? {
            EXTENSIBLE => word(24)?,
            kind => kind,
        },
        channels: word(2)?,
        rate_hz: u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?),
        bits: word(14)?,
    };
    Some(check(&format, word(12)?).map(|()| format))
}

fn check(format: &Format, align: u16) -> Result<(), SoundError> {
    let Format { kind, bits, .. } = *format;
    if !matches!(
        (kind, bits),
        (INTEGERS, 8 | 16 | 24 | 32) | (FLOATS, 32 | 64)
    ) {
        return Err(WavError::Kind { kind, bits }.into());
    }
    let empty = |what| SoundError::Empty { what };
    if format.channels == 0 {
        return Err(empty("channel"));
    }
    if format.rate_hz == 0 {
        return Err(empty("sample rate"));
    }
    let expected = usize::from(format.channels) * usize::from(bits / 8);
    if usize::from(align) != expected {
        let actual = align;
        return Err(WavError::Align { actual, expected }.into());
    }
    Ok(())
}

pub(super) fn samples(format: &Format, body: &[u8], size: u32) -> Result<Sound, SoundError> {
    let channels = usize::from(format.channels);
    let frame = channels * usize::from(format.bits / 8);
    let data = if size == UNKNOWN {
        body
    } else {
        body.get(..size as usize).ok_or(SoundError::Cut {
            actual: (body.len() / frame) as u64,
            expected: u64::from(size) / frame as u64,
        })?
    };
    let frames = data.len() / frame;
    if frames.saturating_mul(channels) > MAX_SAMPLES {
        return Err(SoundError::Size);
    }
    let data = &data[..frames * frame];
    let read = |channel| match (format.kind, format.bits) {
        (INTEGERS, 8) => each(data, channels, channel, |[a]| {
            (f32::from(a) - 128.0) / 128.0
        }),
        (INTEGERS, 16) => each(data, channels, channel, |sample| {
            f32::from(i16::from_le_bytes(sample)) / 32768.0
        }),
        (INTEGERS, 24) => each(data, channels, channel, |[a, b, c]| {
            // In the upper bytes of 32 bits, so that the sign is in its place.
            from_i32([0, a, b, c])
        }),
        (INTEGERS, _) => each(data, channels, channel, from_i32),
        (_, 32) => each(data, channels, channel, f32::from_le_bytes),
        (_, _) => each(data, channels, channel, |sample| {
            f64::from_le_bytes(sample) as f32
        }),
    };
    Ok(Sound {
        rate_hz: format.rate_hz,
        channels: (0..channels).map(read).collect(),
    })
}

fn from_i32(sample: [u8; 4]) -> f32 {
    (f64::from(i32::from_le_bytes(sample)) / 2_147_483_648.0) as f32
}

/// The samples of one channel.
fn each<const WIDTH: usize>(
    data: &[u8],
    channels: usize,
    channel: usize,
    amplitude: impl Fn([u8; WIDTH]) -> f32,
) -> Vec<f32> {
    let (samples, _) = data.as_chunks();
    let mine = samples.iter().skip(channel).step_by(channels);
    mine.map(|&sample| amplitude(sample)).collect()
}

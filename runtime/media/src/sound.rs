//! Sound files: WAV (integers of 8, 16, 24 and 32 bits, floats of 32 and 64), FLAC and Ogg Vorbis.

mod ogg;
mod pcm;
mod wav;

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::{formats, get_codecs};
use thiserror::Error;

pub use ogg::PageError;
pub use pcm::{Pcm, PcmError};
pub use wav::WavError;

use crate::file::{self, OpenError};

/// Most samples of all channels together; 46 minutes of 48 kHz stereo, 1 GiB.
pub const MAX_SAMPLES: usize = 1 << 28;

/// Why bytes are no sound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SoundError {
    /// They are of no format that is read.
    #[error("it is not a WAV, FLAC or Ogg file")]
    Format,
    /// Their head is damaged, or of a kind that is not decoded.
    #[error("its head cannot be read")]
    Head(#[source] Symphonia),
    /// They break off, or are damaged.
    #[error("it cannot be decoded after frame {frame}")]
    Frame {
        /// Frames decoded before.
        frame: usize,
        /// What is wrong.
        source: Symphonia,
    },
    /// The head of a WAV file cannot be used.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// A page of an Ogg file is damaged or missing.
    #[error(transparent)]
    Page(#[from] PageError),
    /// They break off.
    #[error("it ends after {actual} frames, expected {expected}")]
    Cut {
        /// Frames decoded.
        actual: u64,
        /// Frames that the head tells of.
        expected: u64,
    },
    /// The samples are not those that were encoded.
    #[error("its samples do not have the MD5 sum that its head tells of")]
    Sum,
    /// A length or a count is past what can be.
    #[error("its head holds numbers that cannot be")]
    Overflow,
    /// There is no rate, channel or sample.
    #[error("it has no {what}")]
    Empty {
        /// What there is none of.
        what: &'static str,
    },
    /// The number of channels changes.
    #[error("it has {actual} channels after frame {frame}, expected {expected}")]
    Channels {
        /// Frames decoded before.
        frame: usize,
        /// Channels of the next.
        actual: usize,
        /// Channels until then.
        expected: usize,
    },
    /// A sample is no number.
    #[error("frame {frame} holds a value that is not finite")]
    NotFinite {
        /// The frame, from 0.
        frame: usize,
    },
    /// There are too many samples.
    #[error("it has more than {MAX_SAMPLES} samples")]
    Size,
}

/// Sound in memory.
///
/// # Units
///
/// Amplitudes, full scale of integers being -1 to 1. Files of floats, and Vorbis, may go beyond.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Frames a second.
    pub rate_hz: u32,
    /// The samples of each channel; at least one channel, all of the same length, not 0.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// Reads a file of at most [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
    ///
    /// # Errors
    ///
    /// A file that cannot be read or decoded whole.
    pub fn open(path: &Path) -> Result<Self, OpenError<SoundError>> {
        file::open(path, Self::from_bytes)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// Bytes that cannot be decoded whole: cut and damaged ones are refused, as far as their format
    /// has lengths and check sums.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SoundError> {
        let sound = match bytes.get(..4) {
            Some(b"RIFF") => wav::decode(&bytes)?,
            Some(b"fLaC") => caught(|| {
                let read = formats::FlacReader::try_new(stream(bytes), FormatOptions::default());
                decode(&mut read.map_err(SoundError::Head)?)
            })?,
            Some(b"OggS") => {
                ogg::check(&bytes)?;
                caught(|| {
                    let read = formats::OggReader::try_new(stream(bytes), FormatOptions::default());
                    decode(&mut read.map_err(SoundError::Head)?)
                })?
            }
            _ => return Err(SoundError::Format),
        };
        sound.check()
    }

    fn check(self) -> Result<Self, SoundError> {
        if self.channels.first().is_none_or(Vec::is_empty) {
            return Err(SoundError::Empty { what: "sample" });
        }
        let not_finite = |channel: &Vec<f32>| channel.iter().position(|value| !value.is_finite());
        match self.channels.iter().find_map(not_finite) {
            Some(frame) => Err(SoundError::NotFinite { frame }),
            None => Ok(self),
        }
    }

    /// Number of frames: samples of each channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.channels[0].len()
    }

    /// The mean of all channels.
    #[must_use]
    pub fn mono(&self) -> Vec<f32> {
        let [first, others @ ..] = &self.channels[..] else {
            return Vec::new();
        };
        let mut mean = first.clone();
        if others.is_empty() {
            return mean;
        }
        let share = 1.0 / self.channels.len() as f32;
        for (frame, sum) in mean.iter_mut().enumerate() {
            let others: f32 = others.iter().map(|channel| channel[frame]).sum();
            *sum = (*sum + others) * share;
        }
        mean
    }
}

/// The library counts with what a head claims, which overflows (a panic where that is checked).
fn caught(decode: impl FnOnce() -> Result<Sound, SoundError>) -> Result<Sound, SoundError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(SoundError::Overflow))
}

fn stream(bytes: Vec<u8>) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default())
}

/// What symphonia makes of a file. It goes on past damage, so sums and lengths are checked after it.
fn decode(read: &mut dyn FormatReader) -> Result<Sound, SoundError> {
    let track = read.tracks().first().cloned();
    let track = track.ok_or(SoundError::Empty { what: "track" })?;
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(SoundError::Empty { what: "track" });
    };
    let rate_hz = parameters.sample_rate.filter(|&rate_hz| rate_hz > 0);
    let rate_hz = rate_hz.ok_or(SoundError::Empty {
        what: "sample rate",
    })?;
    let options = AudioDecoderOptions::default().verify(true);
    let mut decoder = get_codecs()
        .make_audio_decoder(parameters, &options)
        .map_err(SoundError::Head)?;
    let channels = decode_all(read, &mut *decoder, track.num_frames)?;
    let actual = channels.first().map_or(0, Vec::len) as u64;
    if let Some(expected) = track.num_frames.filter(|&expected| actual < expected) {
        return Err(SoundError::Cut { actual, expected });
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(SoundError::Sum);
    }
    Ok(Sound { rate_hz, channels })
}

/// The samples of each channel until the end.
fn decode_all(
    read: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    expected: Option<u64>,
) -> Result<Vec<Vec<f32>>, SoundError> {
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let mut block: Vec<Vec<f32>> = Vec::new();
    loop {
        let frame = channels.first().map_or(0, Vec::len);
        let broken = |source| match (source, expected) {
            (Symphonia::IoError(error), Some(expected))
                if error.kind() == ErrorKind::UnexpectedEof =>
            {
                SoundError::Cut {
                    actual: frame as u64,
                    expected,
                }
            }
            (source, _) => SoundError::Frame { frame, source },
        };
        let Some(packet) = read.next_packet().map_err(broken)? else {
            return Ok(channels);
        };
        let decoded = decoder.decode(&packet).map_err(broken)?;
        if decoded.frames() == 0 {
            continue;
        }
        decoded.copy_to_vecs_planar(&mut block);
        if channels.is_empty() {
            channels.resize(block.len(), Vec::new());
        }
        if channels.len() != block.len() {
            return Err(SoundError::Channels {
                frame,
                actual: block.len(),
                expected: channels.len(),
            });
        }
        if (frame + decoded.frames()).saturating_mul(channels.len()) > MAX_SAMPLES {
            return Err(SoundError::Size);
        }
        for (channel, block) in channels.iter_mut().zip(&block) {
            channel.extend_from_slice(block);
        }
    }
}

#[cfg(test)]
mod tests;

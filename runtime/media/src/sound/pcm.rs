//! Raw samples: sound as microphones give it, without a head that says what it is.

use thiserror::Error;

use super::wav::{FLOATS, Format, INTEGERS, UNKNOWN, samples};
use super::{Sound, SoundError};

/// Names of the kinds of samples, all little-endian, with what a WAV file would call them.
const KINDS: [(&str, u16, u16); 5] = [
    ("u8", INTEGERS, 8),
    ("s16le", INTEGERS, 16),
    ("s24le", INTEGERS, 24),
    ("s32le", INTEGERS, 32),
    ("f32le", FLOATS, 32),
];

/// Why raw samples cannot be read so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PcmError {
    /// A kind of samples that is not read.
    #[error("{found:?} is no kind of samples, expected u8, s16le, s24le, s32le or f32le")]
    Kind {
        /// What it was called.
        found: String,
    },
    /// There is no channel, or more than microphones have.
    #[error("{found} channels, expected 1 to 64")]
    Channels {
        /// How many.
        found: u16,
    },
}

/// What raw samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pcm(Format);

impl Pcm {
    /// Samples of a kind, such as `s16le`, or `S16_LE` as ALSA says it; channels interleaved.
    ///
    /// # Errors
    ///
    /// A kind that is none of those that are read, or no channel.
    pub fn new(kind: &str, channels: u16, rate_hz: u32) -> Result<Self, PcmError> {
        let plain = kind.to_lowercase().replace("_le", "le");
        let plain = plain.replace("float", "f32");
        let known = KINDS.iter().find(|(name, ..)| *name == plain);
        let &(_, kind, bits) = known.ok_or_else(|| PcmError::Kind {
            found: kind.to_owned(),
        })?;
        if !(1..=64).contains(&channels) {
            return Err(PcmError::Channels { found: channels });
        }
        Ok(Self(Format {
            kind,
            channels,
            rate_hz,
            bits,
        }))
    }

    /// Frames a second.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.0.rate_hz
    }

    /// Bytes of one frame: a sample of each channel.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.0.channels) * usize::from(self.0.bits / 8)
    }

    /// The sound of all whole frames. Floats that are no numbers stay what they are.
    ///
    /// # Errors
    ///
    /// More samples than are held at once.
    pub fn decode(&self, bytes: &[u8]) -> Result<Sound, SoundError> {
        samples(&self.0, bytes, UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_samples_are_those_of_a_wav_without_its_head() {
        let pcm = Pcm::new("S16_LE", 2, 16_000).unwrap();
        assert_eq!((pcm.frame_bytes(), pcm.rate_hz()), (4, 16_000));
        // The last half frame is not there yet.
        let sound = pcm.decode(&[0, 64, 0, 192, 0, 0, 0, 32, 9, 9]).unwrap();
        assert_eq!(sound.channels, [[0.5, 0.0], [-0.5, 0.25]]);
        assert_eq!(sound.mono(), [0.0, 0.125]);
        let float = Pcm::new("FLOAT_LE", 1, 16_000).unwrap();
        let nan = float.decode(&f32::NAN.to_le_bytes()).unwrap();
        assert!(nan.channels[0][0].is_nan());
    }

    #[test]
    fn other_kinds_are_refused() {
        let error = |kind, channels| Pcm::new(kind, channels, 1).unwrap_err().to_string();
        assert_eq!(
            error("mp3", 1),
            "\"mp3\" is no kind of samples, expected u8, s16le, s24le, s32le or f32le"
        );
        assert_eq!(error("u8", 0), "0 channels, expected 1 to 64");
    }
}

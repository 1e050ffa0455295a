//! Microphones, by ALSA: where the feature `alsa` is on.
//!
//! It is off by default, as a fresh machine has no libasound2-dev to build with. Then this says so, and
//! what does the same: `arecord`, and a pipe.

use thiserror::Error;

use super::retry::Retry;
use super::{Source, SourceError};

#[cfg(feature = "alsa")]
mod alsa;

/// Samples a second that a microphone is asked for where nobody says.
pub const RATE_HZ: u32 = 16_000;

/// Why a microphone cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MicrophoneError {
    /// This program was built without.
    #[error(
        "microphone {device:?}: this program was built without the feature `alsa` (`cargo build \
         --features alsa`, with libasound2-dev); pipe it instead: arecord -q -D {device} -t raw -f S16_LE \
         -r 16000 | sensorium run --audio - --rate-hz 16000"
    )]
    NotBuilt {
        /// What ALSA calls it.
        device: String,
    },
    /// There is none of this name.
    #[error("there is no microphone {device:?}, expected one of {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        device: String,
        /// What there is.
        known: Vec<String>,
    },
    /// It has no samples of a kind that is read, or not at this rate.
    #[error("microphone {device:?} does not give {rate_hz} samples a second, expected {known}")]
    Rate {
        /// What ALSA calls it.
        device: String,
        /// What was asked for.
        rate_hz: u32,
        /// What it gives.
        known: String,
    },
    /// It cannot be opened.
    #[error("cannot open the microphone {device:?}")]
    Open {
        /// What ALSA calls it.
        device: String,
        /// What ALSA said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It gives nothing any more.
    #[error("the microphone {device:?} is gone")]
    Gone {
        /// What ALSA calls it.
        device: String,
        /// What ALSA said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A microphone, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microphone {
    /// What ALSA calls it, such as `default` or `hw:CARD=1,DEV=0`.
    pub device: String,
    /// Samples a second; 16 000 where nobody says and it can.
    pub rate_hz: Option<u32>,
}

impl Microphone {
    /// Opens it, waited for when it goes away; with its rate in hertz.
    ///
    /// # Errors
    ///
    /// There is none, it may not be used, or the program was built without.
    pub fn open(self, retry: Retry) -> Result<(Box<dyn Source>, u32), SourceError> {
        #[cfg(feature = "alsa")]
        return alsa::open(self, retry);
        #[cfg(not(feature = "alsa"))]
        {
            let _unused = retry;
            let device = self.device;
            Err(MicrophoneError::NotBuilt { device }.into())
        }
    }
}

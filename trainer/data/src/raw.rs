//! One decoded thing of one sense.

use sensorium_core::feature::{IMU_CHANNELS, Image, ImuUnits};
use sensorium_media::NumberArray;
use sensorium_media::Numbers;
use sensorium_pack::Modality;

/// What an IMU measured at one time: acceleration x, y, z, then angular rate x, y, z.
pub type Sample = [f32; IMU_CHANNELS];

/// One decoded thing of one sense, as the front ends of `sensorium-core` take it.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Acceleration and angular rate.
    Imu {
        /// At least one sample, in `units`, all finite.
        samples: Vec<Sample>,
        /// Samples a second.
        rate_hz: f32,
        /// Units of the channels.
        units: ImuUnits,
    },
    /// Sound of one channel.
    Sound {
        /// Amplitudes, full scale being -1 to 1; at least one.
        samples: Vec<f32>,
        /// Samples a second.
        rate_hz: u32,
    },
    /// A picture in colours.
    Image(Image<3>),
    /// Pictures of one channel.
    Frames {
        /// `[frames, height, width]`, none of them 0. Depth is in millimetres as `uint16`, where 0
        /// and 65535 say that nothing was measured. Heat is in degrees Celsius as `float32` if the
        /// set's settings give a scale; else it is what the files hold, whole numbers being counts.
        frames: NumberArray,
        /// Frames a second; none for a still, or where nothing says so.
        rate_hz: Option<f32>,
    },
    /// Words, without white space around them.
    Text(String),
}

impl Raw {
    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Imu { .. } => "samples of an IMU",
            Self::Sound { .. } => "sound",
            Self::Image(_) => "a picture in colours",
            Self::Frames { .. } => "frames of one channel",
            Self::Text(_) => "text",
        }
    }

    /// Whether a sense is kept so.
    #[must_use]
    pub fn is_of(&self, sense: Modality) -> bool {
        match self {
            Self::Imu { .. } => sense == Modality::Imu,
            Self::Sound { .. } => sense == Modality::Audio,
            Self::Image(_) => sense == Modality::Image,
            Self::Frames { .. } => matches!(sense, Modality::Thermal | Modality::Depth),
            Self::Text(_) => sense == Modality::Text,
        }
    }

    /// How long it lasts, in seconds; none for what has no duration, or none that is known.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::Imu {
                samples, rate_hz, ..
            } => Some(samples.len() as f64 / f64::from(*rate_hz)),
            Self::Sound { samples, rate_hz } => Some(samples.len() as f64 / f64::from(*rate_hz)),
            Self::Frames { frames, rate_hz } => {
                let count = frames.shape.first().copied().filter(|&count| count > 1)?;
                Some(count as f64 / f64::from((*rate_hz)?))
            }
            Self::Image(_) | Self::Text(_) => None,
        }
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let content = match self {
            Self::Imu { samples, .. } => size_of_val(&samples[..]),
            Self::Sound { samples, .. } => size_of_val(&samples[..]),
            Self::Image(image) => size_of_val(image.pixels()),
            Self::Frames { frames, .. } => frames.numbers.len() * number_bytes(&frames.numbers),
            Self::Text(text) => text.len(),
        };
        size_of::<Self>() + content
    }
}

/// Bytes of one number; 8 for a kind that is not known here.
fn number_bytes(numbers: &Numbers) -> usize {
    match numbers {
        Numbers::U8(_) => 1,
        Numbers::U16(_) | Numbers::I16(_) => 2,
        Numbers::I32(_) | Numbers::F32(_) => 4,
        _ => 8,
    }
}

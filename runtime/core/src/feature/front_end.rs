//! Front ends as data: what a pack's manifest says of how an encoder's input is made.
//!
//! ```text
//! manifest ─parse─▶ FrontEnd ─build─▶ Processor ─ extract(sound, picture, clip, …) ─▶ features
//! ```
//!
//! A front end is a kind and its parameters. Keys and kinds that are not known are refused, since
//! what is ignored would change numbers unseen. [`FrontEnd::build`] refuses parameters that make no
//! sense, so that a [`Processor`] always has a shape and never fails but by its input.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::frames::{FramesFrontEnd, FramesSpec};
use super::imu::{IMU_CHANNELS, ImuFrontEnd};
use super::order::ImuOrder;
use super::photo::{ImageFrontEnd, ImageSpec};
use super::plane::{DepthFrontEnd, DepthSpec, ThermalFrontEnd, ThermalSpec};
use super::sound::{LogMelSpec, SoundFrontEnd, WaveSpec};

/// Largest number of values of an encoder's input: 64 million, 256 MB.
const MAX_OUTPUT_LEN: usize = 1 << 26;

/// How an encoder's input is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FrontEnd {
    /// A window of six inertial channels, `[6, samples]`. A short input is continued with its last
    /// sample.
    Imu {
        /// Sample rate, in hertz.
        rate_hz: f32,
        /// Samples in a window.
        samples: usize,
        /// Units of the channels, such as `g,rad/s`.
        units: String,
        /// Order of the channels; acceleration x, y, z, angular rate x, y, z by default.
        #[serde(default, skip_serializing_if = "ImuOrder::is_default")]
        order: ImuOrder,
    },
    /// A log-mel spectrogram of a clip of sound.
    LogMel(LogMelSpec),
    /// The samples of a clip of sound.
    Wave(WaveSpec),
    /// A picture in colours.
    Image(ImageSpec),
    /// A thermal picture.
    Thermal(ThermalSpec),
    /// A depth picture.
    Depth(DepthSpec),
    /// A clip of thermal or depth pictures.
    Frames(FramesSpec),
}

/// Why a front end cannot be made of its parameters.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum FrontEndError {
    /// A parameter is out of range.
    #[error("{name} is {value}, expected {expected}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it has to be.
        expected: &'static str,
    },
    /// A parameter is a word that means nothing.
    #[error("{name} is {value:?}, expected {expected}")]
    Word {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// Parameters contradict each other, or one is missing.
    #[error("{0}")]
    Together(&'static str),
}

/// A front end that was found to make sense.
#[derive(Debug, Clone)]
pub enum Processor {
    /// Of inertial windows, and the order of their channels.
    Imu(ImuFrontEnd, ImuOrder),
    /// Of sound.
    Sound(SoundFrontEnd),
    /// Of pictures.
    Image(ImageFrontEnd),
    /// Of thermal pictures.
    Thermal(ThermalFrontEnd),
    /// Of depth pictures.
    Depth(DepthFrontEnd),
    /// Of clips of thermal or depth pictures.
    Frames(FramesFrontEnd),
}

impl FrontEnd {
    /// The code that these parameters ask for.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn build(&self) -> Result<Processor, FrontEndError> {
        let processor = match self {
            Self::Imu {
                rate_hz,
                samples,
                units,
                order,
            } => Processor::Imu(imu(*rate_hz, *samples, units)?, *order),
            Self::LogMel(spec) => Processor::Sound(SoundFrontEnd::new(spec)?),
            Self::Wave(spec) => Processor::Sound(SoundFrontEnd::of_samples(spec)?),
            Self::Image(spec) => Processor::Image(ImageFrontEnd::new(spec)?),
            Self::Thermal(spec) => Processor::Thermal(ThermalFrontEnd::new(spec)?),
            Self::Depth(spec) => Processor::Depth(DepthFrontEnd::new(spec)?),
            Self::Frames(spec) => Processor::Frames(FramesFrontEnd::new(spec)?),
        };
        Ok(processor)
    }

    /// The kind, as manifests have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Imu { .. } => "imu",
            Self::LogMel(_) => "log-mel",
            Self::Wave(_) => "wave",
            Self::Image(_) => "image",
            Self::Thermal(_) => "thermal",
            Self::Depth(_) => "depth",
            Self::Frames(_) => "frames",
        }
    }
}

impl Processor {
    /// The kind of front end that it is, as manifests have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Imu(..) => "imu",
            Self::Sound(front_end) if front_end.log_mel().is_none() => "wave",
            Self::Sound(_) => "log-mel",
            Self::Image(_) => "image",
            Self::Thermal(_) => "thermal",
            Self::Depth(_) => "depth",
            Self::Frames(_) => "frames",
        }
    }

    /// Shape of the features of one input, without the axis that counts inputs.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        match self {
            Self::Imu(front_end, _) => vec![IMU_CHANNELS, front_end.samples],
            Self::Sound(front_end) => front_end.output_shape(),
            Self::Image(front_end) => front_end.output_shape(),
            Self::Thermal(front_end) => front_end.output_shape(),
            Self::Depth(front_end) => front_end.output_shape(),
            Self::Frames(front_end) => front_end.output_shape(),
        }
    }

    /// Numbers of the features of one input.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output_shape().iter().product()
    }
}

/// Longest window of inertial samples.
const MAX_IMU_SAMPLES: usize = 4096;

fn imu(rate_hz: f32, samples: usize, units: &str) -> Result<ImuFrontEnd, FrontEndError> {
    if !(25.0..=400.0).contains(&rate_hz) {
        return Err(FrontEndError::Range {
            name: "rate_hz",
            value: f64::from(rate_hz),
            expected: "25 to 400",
        });
    }
    in_range("samples", samples, 1, MAX_IMU_SAMPLES, "1 to 4096")?;
    let units = units.parse().map_err(|_unknown| FrontEndError::Word {
        name: "units",
        value: units.to_string(),
        expected: "such as g,rad/s",
    })?;
    Ok(ImuFrontEnd {
        rate_hz,
        samples,
        units,
    })
}

/// Whether a count lies in a range.
pub(super) fn in_range(
    name: &'static str,
    value: usize,
    least: usize,
    most: usize,
    expected: &'static str,
) -> Result<(), FrontEndError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(FrontEndError::Range {
        name,
        value: value as f64,
        expected,
    })
}

/// Whether a number is finite and greater than 0.
pub(super) fn positive(name: &'static str, value: f64) -> Result<(), FrontEndError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(FrontEndError::Range {
        name,
        value,
        expected: "a positive number",
    })
}

/// Whether a number is one.
pub(super) fn finite(name: &'static str, value: f64) -> Result<(), FrontEndError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(FrontEndError::Range {
        name,
        value,
        expected: "a finite number",
    })
}

/// Whether a range begins before it ends.
pub(super) fn ascending(name: &'static str, range: [f64; 2]) -> Result<(), FrontEndError> {
    if range[0] < range[1] && range.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    Err(FrontEndError::Range {
        name,
        value: range[0],
        expected: "less than the end of the range",
    })
}

/// Whether an input of this shape can be held; lengths have been checked to be below 2^20.
pub(super) fn holdable(shape: &[usize]) -> Result<(), FrontEndError> {
    let len = shape
        .iter()
        .fold(1usize, |len, axis| len.saturating_mul(*axis));
    in_range(
        "the input's length",
        len,
        1,
        MAX_OUTPUT_LEN,
        "1 to 67108864 numbers",
    )
}

mod describe;
#[cfg(test)]
mod tests;

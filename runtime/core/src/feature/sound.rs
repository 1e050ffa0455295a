//! From a recording of sound to what an encoder takes of its clips.
//!
//! ```text
//! recording ─resample─▶ the encoder's rate ─clips─┬─▶ log-mel spectrogram, normalised   LogMel
//!                                                 └─▶ the samples themselves            WaveSpec
//! ```
//!
//! What happens to a clip is in [`LogMelSpec`] and [`WaveSpec`]. Spectra are computed in 64 bits.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

use super::clip::{first_sample, windows};
use super::front_end::FrontEndError;
use super::rate::resample;

mod log_mel;
mod spec;
mod spectrum;
mod wave;

pub use log_mel::LogMel;
pub use spec::{Extent, Log, LogMelSpec, Longer, Padding, SoundAxes};
pub use spectrum::{Spectrum, WindowKind};
pub use wave::{Standardise, WaveAxes, WaveSpec};

/// Clips of [`Longer::ThreeClips`].
const THREE: u64 = 3;

/// Longest sound, in samples at the encoder's rate: 1.5 hours at 48 kHz, a gigabyte.
const MAX_SAMPLES: u64 = 1 << 28;

/// What turns sound into the numbers an encoder takes.
#[derive(Debug, Clone)]
pub struct SoundFrontEnd {
    form: Form,
}

/// What a clip becomes.
#[derive(Debug, Clone)]
enum Form {
    LogMel(Box<LogMel>),
    Wave(WaveSpec),
}

/// Why a recording gives no features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SoundError {
    /// Too little for one frame.
    #[error("the sound is {samples} samples long at {rate_hz} Hz, expected at least {expected}")]
    Short {
        /// Samples of the shortest clip.
        samples: usize,
        /// The encoder's rate.
        rate_hz: u32,
        /// Samples that give a frame.
        expected: usize,
    },
    /// There is no channel, or they are of different lengths.
    #[error("the channels of the sound differ in length, or there is none")]
    Channels,
    /// A sample is not a number.
    #[error("sample {index} of the sound is not a number")]
    NotFinite {
        /// Its place.
        index: usize,
    },
    /// More than fits into memory at the encoder's rate.
    #[error("the sound is {seconds} s long, more than is heard at once; cut it into parts")]
    Long {
        /// Its length.
        seconds: u64,
    },
    /// A rate that no microphone has.
    #[error("the sound has {rate_hz} samples a second, expected 1000 to 768000")]
    Rate {
        /// The rate.
        rate_hz: u32,
    },
}

impl SoundFrontEnd {
    /// A front end that gives spectrograms of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &LogMelSpec) -> Result<Self, FrontEndError> {
        let form = Form::LogMel(Box::new(LogMel::new(spec)?));
        Ok(Self { form })
    }

    /// A front end that gives the samples themselves.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn of_samples(spec: &WaveSpec) -> Result<Self, FrontEndError> {
        spec.check()?;
        let form = Form::Wave(spec.clone());
        Ok(Self { form })
    }

    /// The reference's, [`LogMelSpec::reference`].
    #[must_use]
    pub fn reference() -> Self {
        let form = Form::LogMel(Box::new(LogMel::reference()));
        Self { form }
    }

    /// What makes its spectrograms, if that is what it gives.
    #[must_use]
    pub fn log_mel(&self) -> Option<&LogMel> {
        match &self.form {
            Form::LogMel(log_mel) => Some(log_mel),
            Form::Wave(_) => None,
        }
    }

    /// Samples a second that the encoder hears.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.spec().rate_hz,
            Form::Wave(spec) => spec.rate_hz,
        }
    }

    /// What follows a sound that is shorter than a clip.
    #[must_use]
    pub fn padding(&self) -> Padding {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.spec().padding,
            Form::Wave(spec) => spec.padding,
        }
    }

    fn longer(&self) -> Longer {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.spec().longer,
            Form::Wave(spec) => spec.longer,
        }
    }

    /// Shape of what a clip becomes.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.spec().output_shape(),
            Form::Wave(spec) => spec.output_shape(),
        }
    }

    /// Numbers of what a clip becomes.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// Samples of a clip, at the encoder's rate.
    #[must_use]
    pub fn clip_samples(&self) -> usize {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.spec().clip_samples(),
            Form::Wave(spec) => spec.clip_samples(),
        }
    }

    /// Whether a recording becomes channels of one input, however long it is.
    fn in_thirds(&self) -> bool {
        self.log_mel().is_some_and(|log_mel| log_mel.spec().thirds)
    }

    /// Where the clips begin that a recording of so many samples, at the encoder's rate, is embedded
    /// by.
    #[must_use]
    pub fn starts(&self, samples: usize) -> Vec<usize> {
        let clip = self.clip_samples();
        match self.longer() {
            Longer::ThreeClips if samples > clip => (0..THREE)
                .map(|index| {
                    first_sample(samples as u64, self.rate_hz(), clip as u64, index, THREE)
                })
                .map(|first| first as usize)
                .collect(),
            Longer::Windows if !self.in_thirds() => windows(samples, clip).collect(),
            _ => vec![0],
        }
    }

    /// What a recording at the encoder's rate is embedded by, each made when it is asked for; an error is
    /// one of [`clip`](Self::clip).
    pub fn views<'a>(
        &'a self,
        samples: &'a [f32],
    ) -> impl Iterator<Item = Result<Vec<f32>, SoundError>> + 'a {
        let starts = self.starts(samples.len());
        // Of several clips each changes what the next one finds.
        let of_three = self.longer() == Longer::ThreeClips && starts.len() > 1;
        let together = self.log_mel().filter(|_| of_three);
        let together = together.map(|log_mel| log_mel.clips(&[samples], starts.len()));
        starts.into_iter().enumerate().map(move |(index, start)| {
            if let Some(together) = &together {
                let len = self.output_len();
                return together
                    .clone()
                    .map(|all| all[index * len..][..len].to_vec());
            }
            let mut out = vec![0.0; self.output_len()];
            self.clip(&samples[start..], &mut out)?;
            Ok(out)
        })
    }

    /// A recording at the encoder's rate.
    ///
    /// # Errors
    ///
    /// A rate that no microphone has, or more than 268 million samples at the encoder's.
    pub fn resample(&self, samples: &[f32], rate_hz: u32) -> Result<Vec<f32>, SoundError> {
        if !spec::RATES_HZ.contains(&rate_hz) {
            return Err(SoundError::Rate { rate_hz });
        }
        let seconds = samples.len() as u64 / u64::from(rate_hz);
        if seconds * u64::from(self.rate_hz()) > MAX_SAMPLES {
            return Err(SoundError::Long { seconds });
        }
        Ok(resample(samples, rate_hz, self.rate_hz()))
    }

    /// What one clip becomes.
    ///
    /// # Shapes
    ///
    /// `samples` at the encoder's rate, amplitudes from -1 to 1, of which no more are used than a
    /// clip has, unless they become three channels; `out` as [`output_shape`](Self::output_shape) says.
    ///
    /// # Errors
    ///
    /// A clip that gives no frame, or with what is no number.
    ///
    /// # Panics
    ///
    /// If `out` has another length.
    pub fn clip(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        match &self.form {
            Form::LogMel(log_mel) => log_mel.clip(samples, out),
            Form::Wave(spec) => spec.clip(samples, out),
        }
    }
}

/// A sound brought to the length of a clip, if it is shorter and the padding does so.
fn padded(samples: &[f32], padding: Padding, len: usize) -> Cow<'_, [f32]> {
    if matches!(padding, Padding::None | Padding::Frames) || samples.len() >= len {
        return samples.into();
    }
    let whole = len / samples.len() * samples.len();
    let sounding = match padding {
        Padding::None | Padding::Frames | Padding::Zero => samples.len(),
        Padding::Repeat => len,
        Padding::RepeatPad => whole,
    };
    let mut longer: Vec<f32> = samples.iter().copied().cycle().take(sounding).collect();
    longer.resize(len, 0.0);
    longer.into()
}

/// The first sample that is no number, as an error.
fn ensure_finite(samples: &[f32]) -> Result<(), SoundError> {
    match samples.iter().position(|sample| !sample.is_finite()) {
        Some(index) => Err(SoundError::NotFinite { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

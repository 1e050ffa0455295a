//! Sound as it is, for encoders that begin with filters of their own.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::spec::{Longer, MAX_CLIP, Padding, RATES_HZ};
use super::{SoundError, ensure_finite, padded};
use crate::feature::front_end::{FrontEndError, holdable, in_range, positive};

/// Added to the variance before its root is taken (`Wav2Vec2FeatureExtractor`).
const EPSILON: f64 = 1e-7;

/// The parameters of a front end that gives samples.
///
/// ```text
/// clip ─ standardised, if the heard is ─ padding ─ standardised, if the whole is ─ gain ─▶ samples
/// ```
///
/// Nets of the kind of wav 2 vec 2.0 (Baevski et al. 2020) take standardised samples, those whose makers
/// read 16-bit files may want a gain of 32768.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveSpec {
    /// Samples a second; sound at other rates is converted.
    pub rate_hz: u32,
    /// Length of a clip, in seconds; rounded to samples.
    pub clip_s: f64,
    /// What follows a sound that is shorter than a clip: silence, or the sound again.
    #[serde(default = "zero")]
    pub padding: Padding,
    /// What becomes of a recording that is longer than a clip, when it is embedded as a whole.
    #[serde(default, skip_serializing_if = "is_windows")]
    pub longer: Longer,
    /// What is brought to a mean of 0 and a deviation of 1, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standardise: Option<Standardise>,
    /// What samples from -1 to 1 are multiplied by.
    #[serde(default = "one")]
    pub gain: f64,
    /// Axes of the result.
    #[serde(default)]
    pub axes: WaveAxes,
}

/// Whose mean and deviation samples are standardised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// The sound's, before it is padded.
    Sound,
    /// The clip's, with its padding.
    Clip,
}

/// Axes of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaveAxes {
    /// `[samples]`.
    #[default]
    Sample,
    /// `[1, samples]`.
    ChannelSample,
}

fn zero() -> Padding {
    Padding::Zero
}

fn one() -> f64 {
    1.0
}

fn is_windows(longer: &Longer) -> bool {
    *longer == Longer::Windows
}

impl WaveSpec {
    /// Samples of a clip.
    #[must_use]
    pub fn clip_samples(&self) -> usize {
        libm::round(self.clip_s * f64::from(self.rate_hz)) as usize
    }

    /// Shape of the result.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        match self.axes {
            WaveAxes::Sample => vec![self.clip_samples()],
            WaveAxes::ChannelSample => vec![1, self.clip_samples()],
        }
    }

    /// Whether the parameters make sense.
    pub(super) fn check(&self) -> Result<(), FrontEndError> {
        let (least, most) = (*RATES_HZ.start() as usize, *RATES_HZ.end() as usize);
        in_range(
            "rate_hz",
            self.rate_hz as usize,
            least,
            most,
            "1000 to 768000",
        )?;
        positive("clip_s", self.clip_s)?;
        in_range(
            "clip_s in samples",
            self.clip_samples(),
            2,
            MAX_CLIP,
            "2 to 28800000",
        )?;
        positive("gain", self.gain)?;
        if matches!(self.padding, Padding::None | Padding::Frames) {
            return Err(FrontEndError::Together(
                "padding of samples is expected to be zero, repeat or repeat-pad",
            ));
        }
        if self.longer == Longer::ThreeClips {
            return Err(FrontEndError::Together(
                "longer is expected to be windows or cut where samples are taken as they are",
            ));
        }
        holdable(&self.output_shape())
    }

    /// What one clip becomes; see [`SoundFrontEnd::clip`](super::SoundFrontEnd::clip).
    pub(super) fn clip(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        let len = self.clip_samples();
        assert_eq!(out.len(), len, "WaveSpec: output");
        let heard = &samples[..samples.len().min(len)];
        ensure_finite(heard)?;
        if heard.is_empty() {
            return Err(SoundError::Short {
                samples: 0,
                rate_hz: self.rate_hz,
                expected: 1,
            });
        }
        // What is standardised before it is padded goes on with zeros, which are its mean.
        let mut heard = heard.to_vec();
        if self.standardise == Some(Standardise::Sound) {
            standardise(&mut heard);
        }
        out.copy_from_slice(&padded(&heard, self.padding, len));
        if self.standardise == Some(Standardise::Clip) {
            standardise(out);
        }
        if self.gain != 1.0 {
            out.iter_mut()
                .for_each(|sample| *sample = (f64::from(*sample) * self.gain) as f32);
        }
        Ok(())
    }
}

/// Brings samples to a mean of 0 and a deviation of 1.
fn standardise(samples: &mut [f32]) {
    let count = samples.len() as f64;
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample)).sum();
    let mean = sum / count;
    let squares = samples.iter().map(|sample| f64::from(*sample) - mean);
    let variance = squares.map(|off| off * off).sum::<f64>() / count;
    let deviation = libm::sqrt(variance + EPSILON);
    for sample in samples {
        *sample = ((f64::from(*sample) - mean) / deviation) as f32;
    }
}

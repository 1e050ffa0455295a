//! Windows of an IMU: when they begin, how the sensor is worn, how exact it is.

use rand::Rng;
use sensorium_core::feature::IMU_CHANNELS;
use serde::{Deserialize, Serialize};

use super::{around, normal};
use crate::raw::Sample;
use crate::setting::{self, SettingError};

/// How strongly a window of an IMU is changed; 0 everywhere leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImuAugmentation {
    /// Whether a window is moved on into the one that follows it in the same recording.
    pub time_shift: bool,
    /// Largest shift of a window that none follows, in samples; its ends are continued.
    pub jitter_samples: usize,
    /// Largest relative change of pace, below 1, of a window that none follows.
    pub speed: f32,
    /// Standard deviation of each component of the rotation vector, in radians: a sensor that is
    /// worn a little askew.
    pub rotation_rad: f32,
    /// Largest relative change of all channels, below 1.
    pub gain: f32,
    /// Standard deviation of the noise added to each channel, in the set's units.
    pub noise: f32,
}

/// An [`ImuAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImuAugmenter {
    config: ImuAugmentation,
}

impl ImuAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: ImuAugmentation) -> Result<Self, SettingError> {
        setting::strength("rotation_rad", config.rotation_rad)?;
        setting::strength("noise", config.noise)?;
        setting::below_one("gain", config.gain)?;
        setting::below_one("speed", config.speed)?;
        Ok(Self { config })
    }

    /// How many times as fast a recording is taken to be.
    pub fn pace(&self, rng: &mut impl Rng) -> f32 {
        1.0 + around(self.config.speed, rng)
    }

    /// A changed copy of a window, which `next` follows in the same recording, if anything does.
    ///
    /// # Panics
    ///
    /// If the next window is shorter.
    pub fn apply(
        &self,
        samples: &[Sample],
        next: Option<&[Sample]>,
        rng: &mut impl Rng,
    ) -> Vec<Sample> {
        let ImuAugmentation {
            rotation_rad,
            gain,
            noise,
            ..
        } = self.config;
        let mut samples = self.shifted(samples, next, rng);
        let rotation = rotation(std::array::from_fn(|_| rotation_rad * normal(rng)));
        let gain = 1.0 + gain * rng.random_range(-1.0f32..=1.0);
        for sample in &mut samples {
            *sample = rotated(&rotation, *sample).map(|v| gain * v + noise * normal(rng));
        }
        samples
    }

    fn shifted(
        &self,
        samples: &[Sample],
        next: Option<&[Sample]>,
        rng: &mut impl Rng,
    ) -> Vec<Sample> {
        let len = samples.len();
        if len == 0 {
            return Vec::new();
        }
        if let (true, Some(next)) = (self.config.time_shift, next) {
            let shift = rng.random_range(0..len);
            return [&samples[shift..], &next[..shift]].concat();
        }
        let most = self.config.jitter_samples.min(len);
        let shift = rng.random_range(0..=2 * most);
        (0..len)
            .map(|i| samples[(i + shift).saturating_sub(most).min(len - 1)])
            .collect()
    }
}

/// What a sensor measures that is turned about `vector` by its length, in radians.
#[must_use]
pub fn turned(samples: &[Sample], vector: [f32; 3]) -> Vec<Sample> {
    let rotation = rotation(vector);
    let samples = samples.iter();
    samples.map(|&sample| rotated(&rotation, sample)).collect()
}

/// The matrix of a rotation about `vector` by its length, in radians (Rodrigues).
fn rotation(vector: [f32; 3]) -> [[f32; 3]; 3] {
    let v = vector.map(f64::from);
    let angle = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if angle < 1e-12 {
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    }
    let [x, y, z] = v.map(|c| c / angle);
    let (sin, cos) = angle.sin_cos();
    let rest = 1.0 - cos;
    [
        [
            cos + x * x * rest,
            x * y * rest - z * sin,
            x * z * rest + y * sin,
        ],
        [
            y * x * rest + z * sin,
            cos + y * y * rest,
            y * z * rest - x * sin,
        ],
        [
            z * x * rest - y * sin,
            z * y * rest + x * sin,
            cos + z * z * rest,
        ],
    ]
    .map(|row| row.map(|value| value as f32))
}

/// Acceleration and angular rate turn together: they share the sensor's axes.
fn rotated(matrix: &[[f32; 3]; 3], sample: Sample) -> Sample {
    std::array::from_fn(|channel: usize| {
        let first = channel - channel % 3;
        (0..3)
            .map(|axis| matrix[channel % 3][axis] * sample[first + axis])
            .sum()
    })
}

const _: () = assert!(IMU_CHANNELS == 6, "two vectors of three axes");

#[cfg(test)]
mod tests;

//! What training does to a window so that the encoder does not learn the window by heart.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use sensorium_core::feature::IMU_CHANNELS;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::WindowSet;
use crate::window::Sample;

/// How strongly a window is changed; 0 everywhere leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Whether a window is moved on into the one that follows it in the same recording.
    pub time_shift: bool,
    /// Largest shift of a window that none follows, in samples; its ends are continued.
    pub jitter_samples: usize,
    /// Standard deviation of each component of the rotation vector, in radians: a sensor that is
    /// worn a little askew.
    pub rotation_rad: f32,
    /// Largest relative change of all channels, below 1.
    pub gain: f32,
    /// Standard deviation of the noise added to each channel, in the set's units.
    pub noise: f32,
}

/// Why an augmentation cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum AugmentationError {
    /// A strength is negative or not finite.
    #[error("{name} is {value}, expected a number from 0 on")]
    Strength {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f32,
    },
    /// A gain that could turn a signal round.
    #[error("gain is {value}, expected at least 0 and below 1")]
    Gain {
        /// Its value.
        value: f32,
    },
}

/// An [`Augmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmenter {
    config: Augmentation,
}

impl Augmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: Augmentation) -> Result<Self, AugmentationError> {
        for (name, value) in [
            ("rotation_rad", config.rotation_rad),
            ("noise", config.noise),
        ] {
            if !(0.0..f32::INFINITY).contains(&value) {
                return Err(AugmentationError::Strength { name, value });
            }
        }
        if !(0.0..1.0).contains(&config.gain) {
            return Err(AugmentationError::Gain { value: config.gain });
        }
        Ok(Self { config })
    }

    /// A changed copy of a window.
    ///
    /// # Panics
    ///
    /// If the set has no such window.
    pub fn draw(&self, set: &WindowSet, window: usize, rng: &mut impl Rng) -> Vec<Sample> {
        let Augmentation {
            rotation_rad,
            gain,
            noise,
            ..
        } = self.config;
        let mut samples = self.shifted(set, window, rng);
        let rotation = rotation(std::array::from_fn(|_| rotation_rad * normal(rng)));
        let gain = 1.0 + gain * rng.random_range(-1.0f32..=1.0);
        for sample in &mut samples {
            *sample = rotated(&rotation, *sample).map(|v| gain * v + noise * normal(rng));
        }
        samples
    }

    fn shifted(&self, set: &WindowSet, window: usize, rng: &mut impl Rng) -> Vec<Sample> {
        let (samples, len) = (set.samples(window), set.window_len());
        if let (true, Some(next)) = (self.config.time_shift, set.next(window)) {
            let shift = rng.random_range(0..len);
            return [&samples[shift..], &set.samples(next)[..shift]].concat();
        }
        let most = self.config.jitter_samples;
        let shift = rng.random_range(0..=2 * most);
        (0..len)
            .map(|i| samples[(i + shift).saturating_sub(most).min(len - 1)])
            .collect()
    }
}

fn normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
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

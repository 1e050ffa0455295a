//! The IMU front end: units, rate and length of an encoder's window.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use super::Resampler;
use crate::ImuSample;

/// Channels of an IMU window: acceleration x, y, z, then angular rate x, y, z.
pub const IMU_CHANNELS: usize = 6;

/// Lowest and highest input rates that the front end converts, in hertz.
const INPUT_RATE_HZ: core::ops::RangeInclusive<f32> = 25.0..=400.0;

/// Standard gravity (CGPM 1901).
const STANDARD_GRAVITY_MPS2: f32 = 9.806_65;

/// Unit of an acceleration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccelUnit {
    /// Standard gravity.
    G,
    /// Metres per second squared.
    Mps2,
}

/// Unit of an angular rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GyroUnit {
    /// Radians per second.
    Radps,
    /// Degrees per second.
    Degps,
}

/// Units of six IMU channels, written `g,rad/s` or `m/s2,deg/s`.
///
/// # Examples
///
/// ```
/// use sensorium_core::feature::ImuUnits;
/// let units: ImuUnits = "g,rad/s".parse()?;
/// assert_eq!(units.to_si([1.0, 0.0, 0.0, 0.0, 0.0, 0.5]).accel_mps2[0], 9.80665);
/// # Ok::<(), sensorium_core::feature::UnitsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImuUnits {
    /// Of the first three channels.
    pub accel: AccelUnit,
    /// Of the last three channels.
    pub gyro: GyroUnit,
}

impl ImuUnits {
    /// What a wire packet carries: m/s² and rad/s.
    pub const SI: Self = Self {
        accel: AccelUnit::Mps2,
        gyro: GyroUnit::Radps,
    };

    /// A sample from six channels in these units.
    #[must_use]
    pub fn to_si(self, channels: [f32; IMU_CHANNELS]) -> ImuSample {
        let [ax, ay, az, gx, gy, gz] = channels;
        ImuSample {
            accel_mps2: [ax, ay, az].map(|a| match self.accel {
                AccelUnit::G => a * STANDARD_GRAVITY_MPS2,
                AccelUnit::Mps2 => a,
            }),
            gyro_radps: [gx, gy, gz].map(|w| match self.gyro {
                GyroUnit::Radps => w,
                GyroUnit::Degps => w.to_radians(),
            }),
        }
    }

    /// The six channels of a sample in these units.
    #[must_use]
    pub fn from_si(self, sample: ImuSample) -> [f32; IMU_CHANNELS] {
        let [ax, ay, az] = sample.accel_mps2.map(|a| match self.accel {
            AccelUnit::G => a / STANDARD_GRAVITY_MPS2,
            AccelUnit::Mps2 => a,
        });
        let [gx, gy, gz] = sample.gyro_radps.map(|w| match self.gyro {
            GyroUnit::Radps => w,
            GyroUnit::Degps => w.to_degrees(),
        });
        [ax, ay, az, gx, gy, gz]
    }
}

impl fmt::Display for ImuUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.accel {
            AccelUnit::G => "g,",
            AccelUnit::Mps2 => "m/s2,",
        })?;
        f.write_str(match self.gyro {
            GyroUnit::Radps => "rad/s",
            GyroUnit::Degps => "deg/s",
        })
    }
}

/// The text names no units that the front end knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected g or m/s2, a comma, then rad/s or deg/s")]
pub struct UnitsError;

impl FromStr for ImuUnits {
    type Err = UnitsError;

    fn from_str(text: &str) -> Result<Self, UnitsError> {
        let (accel, gyro) = text.split_once(',').ok_or(UnitsError)?;
        Ok(Self {
            accel: match accel.trim() {
                "g" => AccelUnit::G,
                "m/s2" => AccelUnit::Mps2,
                _ => return Err(UnitsError),
            },
            gyro: match gyro.trim() {
                "rad/s" => GyroUnit::Radps,
                "deg/s" => GyroUnit::Degps,
                _ => return Err(UnitsError),
            },
        })
    }
}

/// Why a window cannot be turned into features.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// The input's rate is outside what the filter is made for.
    #[error("the rate is {rate_hz} Hz, expected 25 to 400 Hz")]
    Rate {
        /// The rate that was given.
        rate_hz: f32,
    },
    /// The window holds no sample.
    #[error("the window is empty")]
    Empty,
    /// The window is longer than the encoder's.
    #[error("the window has {actual} samples, expected at most {expected}")]
    TooLong {
        /// Samples given.
        actual: usize,
        /// Samples that the encoder's window has at this rate.
        expected: usize,
    },
    /// The room for the features has another size than the features.
    #[error("the output holds {actual} numbers, expected {expected}")]
    Output {
        /// Numbers that fit.
        actual: usize,
        /// Numbers that the front end writes.
        expected: usize,
    },
}

/// What an IMU encoder was trained on.
///
/// # Shapes
///
/// Features are `[6, samples]`, channels first, in the order of [`IMU_CHANNELS`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImuFrontEnd {
    /// The encoder's sample rate, in hertz.
    pub rate_hz: f32,
    /// Samples in the encoder's window.
    pub samples: usize,
    /// Units of the encoder's input.
    pub units: ImuUnits,
}

impl ImuFrontEnd {
    /// Length of the window, in seconds.
    #[must_use]
    pub fn window_s(&self) -> f32 {
        self.samples as f32 / self.rate_hz
    }

    /// Numbers that [`extract`](Self::extract) writes.
    #[must_use]
    pub fn output_len(&self) -> usize {
        IMU_CHANNELS * self.samples
    }

    /// Samples that the window has at another rate.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Rate`] outside 25 to 400 Hz.
    pub fn input_len(&self, rate_hz: f32) -> Result<usize, FeatureError> {
        if !INPUT_RATE_HZ.contains(&rate_hz) {
            return Err(FeatureError::Rate { rate_hz });
        }
        Ok(libm::roundf(self.samples as f32 * rate_hz / self.rate_hz) as usize)
    }

    /// Writes the features of one window sampled at `rate_hz`. A window that is too short is
    /// continued with its last sample.
    ///
    /// # Errors
    ///
    /// A rate outside 25 to 400 Hz, an empty or too long window, or an `out` of another size than
    /// [`output_len`](Self::output_len).
    pub fn extract(
        &self,
        window: &[ImuSample],
        rate_hz: f32,
        out: &mut [f32],
    ) -> Result<(), FeatureError> {
        let longest = self.input_len(rate_hz)?;
        if window.is_empty() {
            return Err(FeatureError::Empty);
        }
        if window.len() > longest {
            return Err(FeatureError::TooLong {
                actual: window.len(),
                expected: longest,
            });
        }
        if out.len() != self.output_len() {
            return Err(FeatureError::Output {
                actual: out.len(),
                expected: self.output_len(),
            });
        }
        let resampler = Resampler::new(rate_hz, self.rate_hz);
        for index in 0..self.samples {
            let channels = resampler.at(index, window.len(), |n| self.units.from_si(window[n]));
            for (channel, value) in channels.into_iter().enumerate() {
                out[channel * self.samples + index] = value;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    const G: ImuUnits = ImuUnits {
        accel: AccelUnit::G,
        gyro: GyroUnit::Radps,
    };
    const FRONT_END: ImuFrontEnd = ImuFrontEnd {
        rate_hz: 50.0,
        samples: 128,
        units: G,
    };

    fn still(len: usize) -> Vec<ImuSample> {
        vec![G.to_si([0.0, 0.0, 1.0, 0.0, 0.25, 0.0]); len]
    }

    #[test]
    fn units_read_back_as_written() {
        for text in ["g,rad/s", "m/s2,rad/s", "g,deg/s", "m/s2,deg/s"] {
            assert_eq!(text.parse::<ImuUnits>().unwrap().to_string(), text);
        }
        for text in ["", "g", "rad/s,g", "G,rad/s", "g,rad/s,x"] {
            assert_eq!(text.parse::<ImuUnits>(), Err(UnitsError), "{text}");
        }
    }

    #[test]
    fn any_rate_gives_the_same_still_window() {
        for rate_hz in [25.0, 26.0, 50.0, 52.0, 104.0, 200.0, 400.0] {
            let mut out = vec![f32::NAN; FRONT_END.output_len()];
            let window = still(FRONT_END.input_len(rate_hz).unwrap());
            FRONT_END.extract(&window, rate_hz, &mut out).unwrap();
            for (channel, expected) in [0.0, 0.0, 1.0, 0.0, 0.25, 0.0].into_iter().enumerate() {
                for value in &out[channel * 128..][..128] {
                    assert!(
                        (value - expected).abs() < 1e-6,
                        "{rate_hz} Hz, channel {channel}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_short_window_is_continued_with_its_last_sample() {
        let mut window = still(10);
        window.push(G.to_si([9.0; 6]));
        let mut out = vec![0.0; FRONT_END.output_len()];
        FRONT_END.extract(&window, 50.0, &mut out).unwrap();
        assert!((out[9]).abs() < 1e-6);
        assert!(out[10..128].iter().all(|v| (v - 9.0).abs() < 1e-5));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = vec![0.0; FRONT_END.output_len()];
        let mut error = |window: &[ImuSample], rate_hz, len: usize| {
            FRONT_END
                .extract(window, rate_hz, &mut out[..len])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(&still(1), 24.0, 768),
            "the rate is 24 Hz, expected 25 to 400 Hz"
        );
        assert_eq!(
            error(&still(1), f32::NAN, 768),
            "the rate is NaN Hz, expected 25 to 400 Hz"
        );
        assert_eq!(error(&[], 50.0, 768), "the window is empty");
        assert_eq!(
            error(&still(129), 50.0, 768),
            "the window has 129 samples, expected at most 128"
        );
        assert_eq!(
            error(&still(1), 50.0, 700),
            "the output holds 700 numbers, expected 768"
        );
    }
}

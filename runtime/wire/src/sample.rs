use serde::{Deserialize, Serialize};

/// One inertial sample in SI units, axes as the sensor has them.
///
/// A sensor at rest reads about 9.81 m/s² on the axis that points up. A value that a sensor could
/// not measure is not invented: it travels as NaN, and [`is_finite`](Self::is_finite) finds it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImuSample {
    /// Acceleration along x, y and z, gravity included, in m/s².
    pub accel_mps2: [f32; 3],
    /// Angular rate about x, y and z, in rad/s.
    pub gyro_radps: [f32; 3],
}

impl ImuSample {
    /// Whether all six values are finite.
    pub fn is_finite(&self) -> bool {
        let mut values = self.accel_mps2.iter().chain(&self.gyro_radps);
        values.all(|value| value.is_finite())
    }
}

/// The time of sample number `index`, in microseconds after sample 0, of a sensor that samples
/// evenly `rate_mhz` times in 1000 seconds: `floor(index * 10^9 / rate_mhz)`.
///
/// Everything that has to place evenly spaced samples in time uses this one rule, so a recording
/// played through a node and the same recording read from its file get the same times. At a rate
/// of 0 only sample 0 ever comes. Saturates at the end of time, 584 000 years on.
pub fn sample_time_us(index: u64, rate_mhz: u32) -> u64 {
    match (index, rate_mhz) {
        (0, _) => 0,
        (_, 0) => u64::MAX,
        _ => {
            let time = u128::from(index) * 1_000_000_000 / u128::from(rate_mhz);
            u64::try_from(time).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_floored_and_total() {
        assert_eq!(sample_time_us(0, 0), 0);
        assert_eq!(sample_time_us(1, 0), u64::MAX);
        assert_eq!(sample_time_us(3, 50_000), 60_000);
        assert_eq!(sample_time_us(1, 30_000), 33_333);
        assert_eq!(sample_time_us(2, 30_000), 66_666);
        assert_eq!(sample_time_us(3, 30_000), 100_000);
        assert_eq!(sample_time_us(u64::MAX, 1), u64::MAX);
        assert_eq!(
            sample_time_us(u64::MAX, u32::MAX),
            4_294_967_297_000_000_000
        );
    }

    #[test]
    fn one_value_is_enough_to_be_not_finite() {
        let mut sample = ImuSample::default();
        assert!(sample.is_finite());
        sample.gyro_radps[2] = f32::NEG_INFINITY;
        assert!(!sample.is_finite());
        sample.gyro_radps[2] = 0.0;
        sample.accel_mps2[0] = f32::NAN;
        assert!(!sample.is_finite());
    }
}

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

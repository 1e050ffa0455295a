//! Devices that a configuration names, beside those of [`SourceConfig`](super::SourceConfig) itself.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use super::range::out_of_range;
use crate::source::i2c::{Array, Kind};

/// A thermal array on an I2C bus.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct I2cConfig {
    /// Path of the bus, such as `/dev/i2c-1`.
    pub bus: PathBuf,
    /// The sensor.
    pub sensor: Kind,
    /// Its address; as it is delivered by default.
    pub address: Option<u8>,
    /// Frames a second: of an AMG8833 10 or 1, of an MLX90640 4 or another power of two.
    pub rate_hz: Option<f32>,
    /// Emissivity of what an MLX90640 looks at; 0.95 by default.
    pub emissivity: Option<f32>,
}

impl I2cConfig {
    /// The sensor as it shall be used.
    ///
    /// # Errors
    ///
    /// What is out of its range.
    pub fn array(&self) -> Result<Array, ConfigError> {
        let Self {
            bus,
            sensor,
            address,
            rate_hz,
            emissivity,
        } = self;
        if let Some(address) = address.filter(|address| !(0x08..=0x77).contains(address)) {
            return Err(out_of_range("address", address.into(), "8 to 119 (0x77)"));
        }
        if let Some(emissivity) = *emissivity {
            if *sensor != Kind::Mlx90640 {
                let expected = "none: it is taken into account of an mlx90640 only";
                return Err(out_of_range("emissivity", emissivity.into(), expected));
            }
            if !(0.05..=1.0).contains(&emissivity) {
                return Err(out_of_range("emissivity", emissivity.into(), "0.05 to 1"));
            }
        }
        let rate_mhz = rate_hz.map(|hz| (f64::from(hz) * 1e3).round() as u32);
        Array::new(bus, *sensor, *address, rate_mhz, *emissivity).ok_or_else(|| {
            let found = f64::from(rate_hz.unwrap_or_default());
            out_of_range("rate_hz", found, sensor.rates())
        })
    }
}

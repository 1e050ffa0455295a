//! Devices that a configuration names, beside those of [`SourceConfig`](super::SourceConfig) itself.

use std::path::PathBuf;

use sensorium_pack::Modality;
use serde::Deserialize;

use super::ConfigError;
use super::range::{check_frame_hz, check_sound_hz, out_of_range};
use crate::source::i2c::{Array, Kind};
use crate::source::microphone::Microphone;
use crate::source::v4l2::{Counts, Video};

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

/// A thermal or depth camera of Linux.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V4l2Config {
    /// Path of its node, such as `/dev/video0`.
    pub device: PathBuf,
    /// Pixels in a row; as it is set by default.
    pub width: Option<u32>,
    /// Rows; as it is set by default.
    pub height: Option<u32>,
    /// Frames a second; as it is set by default.
    pub rate_hz: Option<f32>,
    /// What a count is: 0.01 degrees Celsius, or 0.001 metres, by default.
    pub scale: Option<f64>,
    /// What a count of 0 is, in degrees Celsius; -273.15 by default.
    pub offset: Option<f64>,
}

impl V4l2Config {
    /// A camera as it is set.
    #[must_use]
    pub fn new(device: PathBuf) -> Self {
        Self {
            device,
            width: None,
            height: None,
            rate_hz: None,
            scale: None,
            offset: None,
        }
    }

    /// The camera as it shall be used for a sense.
    ///
    /// # Errors
    ///
    /// What is out of its range, or not of this sense.
    pub fn video(&self, modality: Modality) -> Result<Video, ConfigError> {
        if let Some(scale) = self.scale.filter(|scale| !(1e-6..=1e3).contains(scale)) {
            return Err(out_of_range("scale", scale, "0.000001 to 1000"));
        }
        if let Some(offset) = self.offset {
            if modality != Modality::Thermal {
                let expected = "none: no distance is where nothing is counted";
                return Err(out_of_range("offset", offset, expected));
            }
            if !(-1e4..=1e4).contains(&offset) {
                return Err(out_of_range("offset", offset, "-10000 to 10000"));
            }
        }
        self.rate_hz.map_or(Ok(()), check_frame_hz)?;
        let size = match (self.width, self.height) {
            (Some(width), Some(height)) => Some((width, height)),
            (None, None) => None,
            (Some(one), None) => return Err(out_of_range("width", one.into(), "height, too")),
            (None, Some(one)) => return Err(out_of_range("height", one.into(), "width, too")),
        };
        let counts = match modality {
            Modality::Depth => Counts::metres(self.scale),
            _ => Counts::celsius(self.scale, self.offset),
        };
        Ok(Video {
            device: self.device.clone(),
            counts,
            size,
            rate_hz: self.rate_hz.map(f64::from),
        })
    }
}

/// A microphone, by ALSA.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsaConfig {
    /// What ALSA calls it, such as `hw:CARD=1,DEV=0`; ALSA's default by default.
    #[serde(default = "default_device")]
    pub device: String,
    /// Samples a second; 16 000, where it can, by default.
    pub rate_hz: Option<u32>,
}

fn default_device() -> String {
    "default".to_owned()
}

impl AlsaConfig {
    /// The microphone as it shall be used.
    ///
    /// # Errors
    ///
    /// A rate that is out of its range.
    pub fn microphone(&self) -> Result<Microphone, ConfigError> {
        self.rate_hz.map_or(Ok(()), check_sound_hz)?;
        Ok(Microphone {
            device: self.device.clone(),
            rate_hz: self.rate_hz,
        })
    }
}

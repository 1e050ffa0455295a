//! Where a stream's samples come from, as a configuration says it.

use std::path::{Path, PathBuf};

use sensorium_core::feature::ImuUnits;
use sensorium_media::Pcm;
use serde::Deserialize;

use super::range::{check_frame_hz, check_rate_hz, check_sound_hz, check_speed, out_of_range};
use super::{AlsaConfig, ConfigError, I2cConfig, V4l2Config};
use crate::source::pipe::Pixel;

/// Most pixels of a raw frame: 4096 x 4096.
const MAX_PIXELS: usize = 1 << 24;

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// A node on a serial port.
    Serial {
        /// Path of the tty.
        port: PathBuf,
        /// Its speed, in bits per second; a USB port or pty has none.
        #[serde(default = "default_baud")]
        baud: u32,
    },
    /// A recording of inertial samples.
    Csv {
        /// The file.
        path: PathBuf,
        /// How often the sensor sampled, if the file has no times.
        rate_hz: Option<f32>,
        /// Units of columns that name none.
        units: Option<String>,
        /// So many times as fast as it was; as fast as it can by default.
        speed: Option<f64>,
    },
    /// A recording of sound: WAV, FLAC, Ogg Vorbis.
    Sound {
        /// The file.
        path: PathBuf,
        /// As of `Csv`.
        speed: Option<f64>,
    },
    /// Raw sound on stdin, in a FIFO or a file.
    Pcm {
        /// Its path; `-` is stdin.
        path: PathBuf,
        /// Samples a second.
        rate_hz: u32,
        /// What a sample is, such as `s16le` or `S16_LE`.
        #[serde(default = "default_format")]
        format: String,
        /// Channels, interleaved; their mean is heard.
        #[serde(default = "default_channels")]
        channels: u16,
    },
    /// A recording of frames: a folder of pictures, or an array.
    Frames {
        /// The folder or file.
        path: PathBuf,
        /// Frames a second.
        rate_hz: f32,
        /// As of `Csv`.
        speed: Option<f64>,
    },
    /// Raw frames on stdin, in a FIFO or a file.
    RawFrames {
        /// Its path; `-` is stdin.
        path: PathBuf,
        /// Frames a second.
        rate_hz: f32,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// What a pixel is.
        #[serde(default)]
        pixel: Pixel,
    },
    /// A stream of a recording that `record` wrote.
    Mcap {
        /// The file.
        path: PathBuf,
        /// The stream's name there; not needed if there is one only.
        stream: Option<String>,
        /// As of `Csv`.
        speed: Option<f64>,
    },
    /// A microphone, by ALSA.
    Alsa(AlsaConfig),
    /// A thermal array on an I2C bus.
    I2c(I2cConfig),
    /// A thermal or depth camera of Linux.
    V4l2(V4l2Config),
}

fn default_format() -> String {
    "s16le".to_owned()
}

fn default_channels() -> u16 {
    1
}

fn default_baud() -> u32 {
    921_600
}

impl SourceConfig {
    /// As the file says it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Serial { .. } => "serial",
            Self::Csv { .. } => "csv",
            Self::Sound { .. } => "sound",
            Self::Pcm { .. } => "pcm",
            Self::Frames { .. } => "frames",
            Self::RawFrames { .. } => "raw-frames",
            Self::Mcap { .. } => "mcap",
            Self::Alsa(_) => "alsa",
            Self::I2c(_) => "i2c",
            Self::V4l2(_) => "v4l2",
        }
    }

    /// Where samples come from; of a microphone what it is called.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Alsa(AlsaConfig { device, .. }) => Path::new(device),
            Self::Serial { port: path, .. }
            | Self::Csv { path, .. }
            | Self::Sound { path, .. }
            | Self::Pcm { path, .. }
            | Self::Frames { path, .. }
            | Self::RawFrames { path, .. }
            | Self::Mcap { path, .. } => path,
            Self::I2c(I2cConfig { bus: path, .. })
            | Self::V4l2(V4l2Config { device: path, .. }) => path,
        }
    }

    /// Whether it is a device, and no recording could be in its place.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(
            self,
            Self::Serial { .. } | Self::Alsa(_) | Self::I2c(_) | Self::V4l2(_)
        )
    }

    /// Checks its numbers; errors call the stream `name`.
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        match self {
            Self::Serial { .. } => {}
            Self::Csv { rate_hz, speed, .. } => {
                check_rate_hz(*rate_hz)?;
                check_speed(*speed)?;
            }
            Self::Sound { speed, .. } | Self::Mcap { speed, .. } => check_speed(*speed)?,
            Self::Pcm { .. } => {
                self.pcm(name)?;
            }
            Self::Frames { rate_hz, speed, .. } => {
                check_frame_hz(*rate_hz)?;
                check_speed(*speed)?;
            }
            Self::RawFrames {
                rate_hz,
                width,
                height,
                ..
            } => {
                check_frame_hz(*rate_hz)?;
                let pixels = width.saturating_mul(*height);
                if !(1..=MAX_PIXELS).contains(&pixels) {
                    let found = pixels as f64;
                    return Err(out_of_range(
                        "width x height",
                        found,
                        "1 to 16777216 pixels",
                    ));
                }
            }
            Self::Alsa(config) => {
                config.microphone()?;
            }
            Self::I2c(config) => {
                config.array()?;
            }
            // Its counts are those of a sense, with which they are checked.
            Self::V4l2(_) => {}
        }
        self.units(name)?;
        Ok(())
    }

    /// What raw sound is; none of other sources.
    ///
    /// # Errors
    ///
    /// A format that is not read; errors call the stream `name`.
    pub fn pcm(&self, name: &str) -> Result<Option<Pcm>, ConfigError> {
        let Self::Pcm {
            rate_hz,
            format,
            channels,
            ..
        } = self
        else {
            return Ok(None);
        };
        check_sound_hz(*rate_hz)?;
        let pcm = Pcm::new(format, *channels, *rate_hz);
        let pcm = pcm.map_err(|source| ConfigError::Format {
            name: name.to_owned(),
            source,
        })?;
        Ok(Some(pcm))
    }

    /// Units of columns that name none.
    ///
    /// # Errors
    ///
    /// Units that are none; errors call the stream `name`.
    pub fn units(&self, name: &str) -> Result<Option<ImuUnits>, ConfigError> {
        let Self::Csv {
            units: Some(units), ..
        } = self
        else {
            return Ok(None);
        };
        let parsed = units.parse().map_err(|_none| ConfigError::Units {
            name: name.to_owned(),
            found: units.clone(),
        })?;
        Ok(Some(parsed))
    }
}

//! Thermal arrays on an I2C bus of Linux, by the drivers that firmware has.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sensorium_drivers::BusError;
use sensorium_drivers::amg8833::{self, Amg8833, FrameRate};
use sensorium_drivers::mlx90640::{self, Mlx90640, Reading, Refresh};
use sensorium_media::Numbers;
use serde::Deserialize;
use thiserror::Error;

use super::camera::{Camera, Opener, Shot, monotonic_ns};
use super::{Frame, SourceError};

mod wire;

pub use wire::{Fault, Wire};

/// So many sub-pages that were overwritten while they were read, and no frame: the bus is too slow.
const MOST_TORN: u32 = 16;

/// Looks for a sub-page, of two in a frame, while one is measured: eight each.
const LOOKS: u32 = 16;

/// Longest wait before looking whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// A kind of thermal array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Panasonic Grid-EYE: 8 x 8, 0 to 80 °C.
    Amg8833,
    /// Melexis: 32 x 24, -40 to 300 °C.
    Mlx90640,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Amg8833, Self::Mlx90640];

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As configurations name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amg8833 => "amg8833",
            Self::Mlx90640 => "mlx90640",
        }
    }

    /// Pixels in a row, and rows.
    fn size(self) -> (usize, usize) {
        match self {
            Self::Amg8833 => (amg8833::WIDTH, amg8833::HEIGHT),
            Self::Mlx90640 => (mlx90640::WIDTH, mlx90640::HEIGHT),
        }
    }

    /// Frames a second that it can take, in hertz.
    #[must_use]
    pub fn rates(self) -> &'static str {
        match self {
            Self::Amg8833 => "1 or 10",
            Self::Mlx90640 => "0.25, 0.5, 1, 2, 4, 8, 16 or 32",
        }
    }

    fn frame(self, celsius: Vec<f32>) -> Frame {
        let (width, height) = self.size();
        Frame {
            height,
            width,
            pixels: Numbers::F32(celsius),
        }
    }

    fn address(self) -> u8 {
        match self {
            Self::Amg8833 => amg8833::ADDRESS,
            Self::Mlx90640 => mlx90640::ADDRESS,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a thermal array cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum I2cError {
    /// The bus cannot be opened.
    #[error("cannot open the I2C bus {bus:?}")]
    Open {
        /// Its path.
        bus: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there, and is something else.
    #[error("{bus:?} is no I2C bus")]
    NoBus {
        /// Its path.
        bus: PathBuf,
    },
    /// The sensor is not there, not what it is held to be, or gone.
    #[error("{kind} on {bus:?}")]
    Sensor {
        /// The bus.
        bus: PathBuf,
        /// The sensor.
        kind: Kind,
        /// What is wrong.
        source: SensorError,
    },
    /// The sensor overwrites its frames before they are read.
    #[error(
        "{kind} on {bus:?}: {torn} times it measured anew before the bus had carried what it measured, \
         expected a faster bus, or a lower rate_hz"
    )]
    TooFast {
        /// The bus.
        bus: PathBuf,
        /// The sensor.
        kind: Kind,
        /// How often.
        torn: u32,
    },
}

/// What is wrong with a sensor.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SensorError {
    /// An AMG8833 does not begin.
    #[error(transparent)]
    Amg8833(amg8833::OpenError<Fault>),
    /// An MLX90640 does not begin.
    #[error(transparent)]
    Mlx90640(mlx90640::OpenError<Fault>),
    /// An AMG8833 cannot be read.
    #[error(transparent)]
    ReadAmg8833(BusError<Fault>),
    /// An MLX90640 cannot be read.
    #[error(transparent)]
    ReadMlx90640(mlx90640::ReadError<Fault>),
}

/// A thermal array, and how it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    bus: PathBuf,
    address: u8,
    model: Model,
}

/// What an array is set to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Amg8833(FrameRate),
    Mlx90640(Refresh, f32),
}

impl Array {
    /// An array on a bus: at the address and rate it is delivered with, where nobody says; before
    /// surfaces of an emissivity more than 0 and at most 1, as far as it asks. None if it has no such
    /// rate, in millihertz.
    #[must_use]
    pub fn new(
        bus: &Path,
        kind: Kind,
        address: Option<u8>,
        rate_mhz: Option<u32>,
        emissivity: Option<f32>,
    ) -> Option<Self> {
        let model = match kind {
            Kind::Amg8833 => Model::Amg8833(match rate_mhz {
                None => FrameRate::default(),
                Some(rate_mhz) => [FrameRate::One, FrameRate::Ten]
                    .into_iter()
                    .find(|rate| rate.mhz() == rate_mhz)?,
            }),
            Kind::Mlx90640 => Model::Mlx90640(
                match rate_mhz {
                    None => Refresh::default(),
                    Some(rate_mhz) => Refresh::of_frames_mhz(rate_mhz)?,
                },
                emissivity.unwrap_or(mlx90640::EMISSIVITY),
            ),
        };
        Some(Self {
            bus: bus.to_owned(),
            address: address.unwrap_or(kind.address()),
            model,
        })
    }

    fn kind(&self) -> Kind {
        match self.model {
            Model::Amg8833(_) => Kind::Amg8833,
            Model::Mlx90640(..) => Kind::Mlx90640,
        }
    }

    /// Frames a second, in millihertz.
    #[must_use]
    pub fn rate_mhz(&self) -> u32 {
        match self.model {
            Model::Amg8833(rate) => rate.mhz(),
            Model::Mlx90640(refresh, _) => refresh.frames_mhz(),
        }
    }

    /// In what it measures.
    #[must_use]
    pub fn unit(&self) -> String {
        match self.model {
            Model::Amg8833(_) => "degrees Celsius in steps of 0.25".to_owned(),
            Model::Mlx90640(_, emissivity) => {
                format!("degrees Celsius of surfaces of emissivity {emissivity}")
            }
        }
    }

    /// Has the array measure, on a bus that is open.
    ///
    /// # Errors
    ///
    /// It is not there, or another.
    pub fn begin(&self, wire: Wire) -> Result<ThermalArray, I2cError> {
        let sensor = match self.model {
            Model::Amg8833(rate) => {
                Amg8833::open(wire, self.address, rate, &mut linux_embedded_hal::Delay)
                    .map(|sensor| Sensor::Amg8833 {
                        sensor,
                        celsius: Box::new([f32::NAN; amg8833::PIXELS]),
                        due: None,
                    })
                    .map_err(SensorError::Amg8833)
            }
            Model::Mlx90640(refresh, emissivity) => Mlx90640::open(wire, self.address, refresh)
                .map(|sensor| Sensor::Mlx90640 {
                    sensor: Box::new(sensor.with_emissivity(emissivity)),
                    celsius: Box::new([f32::NAN; mlx90640::PIXELS]),
                    torn: Some(0),
                })
                .map_err(SensorError::Mlx90640),
        };
        Ok(ThermalArray {
            sensor: sensor.map_err(|source| self.error(source))?,
            array: self.clone(),
        })
    }

    fn error(&self, source: SensorError) -> I2cError {
        I2cError::Sensor {
            bus: self.bus.clone(),
            kind: self.kind(),
            source,
        }
    }
}

impl Opener for Array {
    fn open(&self) -> Result<Box<dyn Camera>, SourceError> {
        Ok(Box::new(self.begin(Wire::open(&self.bus)?)?))
    }
}

/// A thermal array that measures.
#[derive(Debug)]
pub struct ThermalArray {
    array: Array,
    sensor: Sensor,
}

#[derive(Debug)]
enum Sensor {
    Amg8833 {
        sensor: Amg8833<Wire>,
        celsius: Box<[f32; amg8833::PIXELS]>,
        /// When the next frame is there.
        due: Option<Instant>,
    },
    Mlx90640 {
        sensor: Box<Mlx90640<Wire>>,
        celsius: Box<[f32; mlx90640::PIXELS]>,
        /// Sub-pages that were overwritten before the first frame.
        torn: Option<u32>,
    },
}

impl Camera for ThermalArray {
    fn next(&mut self) -> Result<Option<Shot>, SourceError> {
        let period = Duration::from_secs_f64(1e3 / f64::from(self.array.rate_mhz()));
        let celsius: &[f32] = match &mut self.sensor {
            Sensor::Amg8833 {
                sensor,
                celsius,
                due,
            } => {
                let now = Instant::now();
                let at = *due.get_or_insert(now);
                if let Some(left) = at
                    .checked_duration_since(now)
                    .filter(|left| !left.is_zero())
                {
                    std::thread::sleep(left.min(NAP));
                    return Ok(None);
                }
                // The sensor keeps its own time: who is late does not hurry.
                *due = Some((at + period).max(now));
                let read = sensor.read(celsius).map_err(SensorError::ReadAmg8833);
                read.map_err(|source| self.array.error(source))?;
                &celsius[..]
            }
            Sensor::Mlx90640 {
                sensor,
                celsius,
                torn,
            } => {
                let read = sensor.read(celsius).map_err(SensorError::ReadMlx90640);
                match read.map_err(|source| self.array.error(source))? {
                    Reading::Frame => *torn = None,
                    Reading::Half => return Ok(None),
                    Reading::Torn => {
                        if let Some(torn) = torn {
                            *torn += 1;
                        }
                        return match *torn {
                            Some(torn) if torn >= MOST_TORN => Err(I2cError::TooFast {
                                bus: self.array.bus.clone(),
                                kind: self.array.kind(),
                                torn,
                            }
                            .into()),
                            _ => Ok(None),
                        };
                    }
                    Reading::Nothing => {
                        std::thread::sleep((period / LOOKS).min(NAP));
                        return Ok(None);
                    }
                }
                &celsius[..]
            }
        };
        Ok(Some(Shot {
            frame: self.array.kind().frame(celsius.to_vec()),
            taken_ns: monotonic_ns(),
            number: None,
        }))
    }

    fn rate_mhz(&self) -> u32 {
        self.array.rate_mhz()
    }

    fn blank(&self) -> Frame {
        let kind = self.array.kind();
        let (width, height) = kind.size();
        kind.frame(vec![0.0; width * height])
    }
}

#[cfg(test)]
mod tests;

//! Drivers of thermal arrays: the same code on a microcontroller and on Linux, generic over
//! [`embedded_hal::i2c::I2c`].
//!
//! | module | sensor | pixels | frames a second | range |
//! |---|---|---|---|---|
//! | [`amg8833`] | Panasonic AMG8833, Grid-EYE | 8 x 8 | 10 or 1 | 0 to 80 °C |
//! | [`mlx90640`] | Melexis MLX90640 | 32 x 24 | 0.25 to 32 | -40 to 300 °C |
//!
//! A driver owns its bus, allocates nothing, and never waits for a measurement: a read says whether
//! there was one. Opening waits, as long as the sensor takes to begin.
//!
//! # Units
//!
//! Temperatures in degrees Celsius, in the order of the sensor's registers, row by row. What is up in
//! them depends on how the sensor is mounted.
//!
//! # Examples
//!
//! ```
//! use embedded_hal::{delay::DelayNs, i2c::I2c};
//! use sensorium_drivers::amg8833::{self, Amg8833, FrameRate, OpenError};
//!
//! fn warmest<B: I2c>(bus: B, delay: &mut impl DelayNs) -> Result<f32, OpenError<B::Error>> {
//!     let mut sensor = Amg8833::open(bus, amg8833::ADDRESS, FrameRate::Ten, delay)?;
//!     let mut celsius = [0.0; amg8833::PIXELS];
//!     sensor.read(&mut celsius)?;
//!     Ok(celsius.iter().copied().fold(f32::NEG_INFINITY, f32::max))
//! }
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

pub mod amg8833;
mod bus;
pub mod mlx90640;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;

pub use bus::BusError;

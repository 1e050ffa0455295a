//! Panasonic AMG8833, Grid-EYE: 8 x 8 thermopiles that see 0 to 80 °C, ten times a second.
//!
//! Registers, their numbers and the waits are those of the data sheet (AMG88xx, "Infrared array sensor
//! Grid-EYE"). The sensor has no register with its name and none that says that a frame is new: read it
//! as often as it measures.

use core::fmt::Debug;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use thiserror::Error;

use crate::bus::{BusError, Device};

/// Pixels in a row.
pub const WIDTH: usize = 8;

/// Rows.
pub const HEIGHT: usize = 8;

/// Pixels of a frame.
pub const PIXELS: usize = WIDTH * HEIGHT;

/// Where the sensor is on the bus with its pin AD_SELECT high, as on most boards.
pub const ADDRESS: u8 = 0x69;

/// The same with AD_SELECT low.
pub const OTHER_ADDRESS: u8 = 0x68;

/// Degrees Celsius of one count of a pixel.
pub const CELSIUS_PER_COUNT: f32 = 0.25;

/// Degrees Celsius of one count of the thermistor.
const CELSIUS_PER_THERMISTOR_COUNT: f32 = 0.0625;

/// Where the sensor may be operated, with 20 K to spare: what a thermistor says beyond is none.
const PLAUSIBLE_CELSIUS: core::ops::RangeInclusive<f32> = -20.0..=100.0;

/// Registers.
mod register {
    pub(super) const POWER: u8 = 0x00;
    pub(super) const RESET: u8 = 0x01;
    pub(super) const FRAME_RATE: u8 = 0x02;
    pub(super) const INTERRUPT: u8 = 0x03;
    pub(super) const THERMISTOR: u8 = 0x0e;
    pub(super) const PIXELS: u8 = 0x80;
}

/// Power: measure.
const NORMAL: u8 = 0x00;

/// Reset: of flags and settings.
const INITIAL: u8 = 0x3f;

/// From sleep to normal, and from a reset to the second frame, in milliseconds.
const WAKE_MS: u32 = 50;
const SETTLE_MS: u32 = 200;

/// How often the sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameRate {
    /// Once a second, each the mean of ten: less noise.
    One,
    /// Ten times a second.
    #[default]
    Ten,
}

impl FrameRate {
    /// In millihertz.
    #[must_use]
    pub fn mhz(self) -> u32 {
        match self {
            Self::One => 1_000,
            Self::Ten => 10_000,
        }
    }

    fn setting(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Ten => 0,
        }
    }
}

/// Why the sensor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError<E: Debug> {
    /// It cannot be talked to.
    #[error(transparent)]
    Bus(BusError<E>),
    /// What answers does not keep what an AMG8833 keeps.
    #[error("register {register:#04x} is {found:#04x}, expected {expected:#04x} of an AMG8833")]
    Foreign {
        /// The register.
        register: u8,
        /// What was written to it, or has to be there.
        expected: u8,
        /// What it holds.
        found: u8,
    },
    /// What answers says to be as warm as no sensor may be.
    #[error("the thermistor says {celsius} °C, expected -20 to 100 °C of an AMG8833")]
    Implausible {
        /// What it says.
        celsius: f32,
    },
}

impl<E: Debug> From<BusError<E>> for OpenError<E> {
    fn from(error: BusError<E>) -> Self {
        Self::Bus(error)
    }
}

/// An AMG8833.
#[derive(Debug)]
pub struct Amg8833<B> {
    device: Device<B>,
}

impl<B: I2c> Amg8833<B> {
    /// Resets the sensor at `address` and waits for its second frame, a quarter of a second.
    ///
    /// # Errors
    ///
    /// Nothing answers, or what answers is another device.
    pub fn open(
        bus: B,
        address: u8,
        rate: FrameRate,
        delay: &mut impl DelayNs,
    ) -> Result<Self, OpenError<B::Error>> {
        let mut sensor = Self {
            device: Device { bus, address },
        };
        sensor.device.write(&[register::POWER, NORMAL])?;
        delay.delay_ms(WAKE_MS);
        sensor.device.write(&[register::RESET, INITIAL])?;
        delay.delay_ms(SETTLE_MS);
        for (register, expected) in [
            (register::INTERRUPT, 0),
            (register::FRAME_RATE, rate.setting()),
        ] {
            sensor.device.write(&[register, expected])?;
            sensor.expect(register, expected)?;
        }
        sensor.expect(register::POWER, NORMAL)?;
        let celsius = sensor.thermistor_celsius()?;
        if !PLAUSIBLE_CELSIUS.contains(&celsius) {
            return Err(OpenError::Implausible { celsius });
        }
        Ok(sensor)
    }

    fn expect(&mut self, register: u8, expected: u8) -> Result<(), OpenError<B::Error>> {
        let mut found = [0];
        self.device.read(&[register], &mut found)?;
        let [found] = found;
        if found == expected {
            return Ok(());
        }
        Err(OpenError::Foreign {
            register,
            expected,
            found,
        })
    }

    /// The newest frame, in degrees Celsius.
    ///
    /// # Errors
    ///
    /// The bus fails; the frame is then as it was.
    pub fn read(&mut self, celsius: &mut [f32; PIXELS]) -> Result<(), BusError<B::Error>> {
        let mut bytes = [0; 2 * PIXELS];
        self.device.read(&[register::PIXELS], &mut bytes)?;
        let (counts, _) = bytes.as_chunks();
        for (pixel, count) in celsius.iter_mut().zip(counts) {
            *pixel = f32::from(count_of(u16::from_le_bytes(*count))) * CELSIUS_PER_COUNT;
        }
        Ok(())
    }

    /// How warm the sensor itself is, in degrees Celsius.
    ///
    /// # Errors
    ///
    /// The bus fails.
    pub fn thermistor_celsius(&mut self) -> Result<f32, BusError<B::Error>> {
        let mut bytes = [0; 2];
        self.device.read(&[register::THERMISTOR], &mut bytes)?;
        let word = u16::from_le_bytes(bytes);
        // Not as pixels are: a sign, and eleven bits of magnitude.
        let magnitude = f32::from(word & 0x7ff) * CELSIUS_PER_THERMISTOR_COUNT;
        Ok(if word & 0x800 == 0 {
            magnitude
        } else {
            -magnitude
        })
    }

    /// Gives the bus back.
    pub fn release(self) -> B {
        self.device.bus
    }
}

/// A pixel of 12 bits in two's complement; the four above them mean nothing.
fn count_of(word: u16) -> i16 {
    (word << 4).cast_signed() >> 4
}

#[cfg(test)]
mod tests;

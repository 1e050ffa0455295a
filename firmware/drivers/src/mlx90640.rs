//! Melexis MLX90640: 32 x 24 thermopiles that see -40 to 300 °C, up to 32 times a second.
//!
//! The sensor measures a frame in two halves, the sub-pages: the black and the white squares of a chess
//! board, one after the other. Each pixel has its own offset and sensitivity, which are in the
//! sensor's EEPROM, as is how these change with its temperature and supply. All of it is computed here,
//! as the data sheet (MLX90640, 3901090640, section 11) says:
//!
//! ```text
//! EEPROM ─▶ Calibration ────────┐
//! RAM: supply, own temperature, ▼
//!      gain, compensation ─▶ Conditions ─▶ pixel: counts ─▶ offset, gain ─▶ sensitivity ─▶ °C
//! ```
//!
//! A driver takes 2 KB, and 64 bytes of stack for each read: whatever the bus, no transfer is longer.

use core::fmt::Debug;

use embedded_hal::i2c::I2c;
use thiserror::Error;

use crate::bus::{BusError, Device};

mod calibration;
mod temperature;

pub use calibration::{Calibration, CalibrationError, EEPROM_WORDS};
use temperature::{Auxiliary, Conditions};

/// Pixels in a row.
pub const WIDTH: usize = 32;

/// Rows.
pub const HEIGHT: usize = 24;

/// Pixels of a frame.
pub const PIXELS: usize = WIDTH * HEIGHT;

/// Where the sensor is on the bus, as it is delivered.
pub const ADDRESS: u8 = 0x33;

/// Emissivity of skin, cloth, wood and walls, within a few hundredths.
pub const EMISSIVITY: f32 = 0.95;

/// Where things are in the sensor's memory of words.
mod place {
    pub(super) const RAM: u16 = 0x0400;
    pub(super) const AUXILIARY: u16 = 0x0700;
    pub(super) const EEPROM: u16 = 0x2400;
    pub(super) const STATUS: u16 = 0x8000;
    pub(super) const CONTROL: u16 = 0x800d;
}

/// Status: which sub-page is in RAM, and whether it is new. Written so, it waits for the next, which
/// may be written over this one.
const SUB_PAGE: u16 = 0x0007;
const IS_NEW: u16 = 0x0008;
const WAIT_FOR_NEXT: u16 = 0x0010;

/// Control: sub-pages in turn, always new to RAM, as a chess board.
const CHESS: u16 = 1 << 12;
const IN_TURN: u16 = 1;
const HELD: u16 = 0x000e;
const REFRESH_SHIFT: u16 = 7;
const REFRESH: u16 = 0x7 << REFRESH_SHIFT;
const RESOLUTION_SHIFT: u16 = 10;

/// How many sub-pages are measured a second; a frame is two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refresh(u8);

/// Four frames a second: as fast as a bus of 400 kHz carries with time to spare.
impl Default for Refresh {
    fn default() -> Self {
        Self(4)
    }
}

impl Refresh {
    /// That of so many frames a second, in millihertz: 250, 500, 1000 and so on to 32 000.
    #[must_use]
    pub fn of_frames_mhz(rate_mhz: u32) -> Option<Self> {
        (0..8)
            .map(Self)
            .find(|refresh| refresh.frames_mhz() == rate_mhz)
    }

    /// Frames a second, in millihertz.
    #[must_use]
    pub fn frames_mhz(self) -> u32 {
        250 << self.0
    }
}

/// Why the sensor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpenError<E: Debug> {
    /// It cannot be talked to.
    #[error(transparent)]
    Bus(BusError<E>),
    /// What it keeps is no calibration of such a sensor.
    #[error(transparent)]
    Calibration(CalibrationError),
    /// What answers does not keep what an MLX90640 keeps.
    #[error("register {register:#06x} is {found:#06x}, expected {expected:#06x} of an MLX90640")]
    Foreign {
        /// The register.
        register: u16,
        /// What was written to it.
        expected: u16,
        /// What it holds.
        found: u16,
    },
}

impl<E: Debug> From<BusError<E>> for OpenError<E> {
    fn from(error: BusError<E>) -> Self {
        Self::Bus(error)
    }
}

impl<E: Debug> From<CalibrationError> for OpenError<E> {
    fn from(error: CalibrationError) -> Self {
        Self::Calibration(error)
    }
}

/// Why a sub-page could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError<E: Debug> {
    /// The sensor cannot be talked to.
    #[error(transparent)]
    Bus(BusError<E>),
    /// A word that every temperature rests on is none that is measured.
    #[error("word {word:#06x} is {found}, expected the sensor's {what}")]
    Garbled {
        /// Its place in RAM.
        word: u16,
        /// What it should be.
        what: &'static str,
        /// What it is.
        found: i16,
    },
}

impl<E: Debug> From<BusError<E>> for ReadError<E> {
    fn from(error: BusError<E>) -> Self {
        Self::Bus(error)
    }
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reading {
    /// Nothing new.
    Nothing,
    /// One half of a frame, or one whose other half was missed.
    Half,
    /// The second half: the frame is whole.
    Frame,
    /// The sensor measured again before the sub-page was read: the bus is too slow for the refresh
    /// rate. The frame is neither the one nor the other.
    Torn,
}

/// An MLX90640.
#[derive(Debug)]
pub struct Mlx90640<B> {
    device: Device<B>,
    calibration: Calibration,
    /// Emissivity of what is looked at.
    emissivity: f32,
    /// As the control register says.
    resolution: u8,
    /// Whether the first half of a frame has been read.
    has_first: bool,
    ambient_celsius: Option<f32>,
}

impl<B: I2c> Mlx90640<B> {
    /// Reads the calibration of the sensor at `address`, and has it measure.
    ///
    /// # Errors
    ///
    /// Nothing answers, or what answers is another device.
    pub fn open(bus: B, address: u8, refresh: Refresh) -> Result<Self, OpenError<B::Error>> {
        let mut device = Device { bus, address };
        let mut eeprom = [0; EEPROM_WORDS];
        for (at, row) in eeprom.chunks_mut(WIDTH).enumerate() {
            read_words(&mut device, place::EEPROM + (at * WIDTH) as u16, row)?;
        }
        let calibration = Calibration::new(&eeprom)?;
        let control = read_word(&mut device, place::CONTROL)?;
        let expected =
            control & !(REFRESH | HELD) | CHESS | IN_TURN | u16::from(refresh.0) << REFRESH_SHIFT;
        write_word(&mut device, place::CONTROL, expected)?;
        let found = read_word(&mut device, place::CONTROL)?;
        if found != expected {
            return Err(OpenError::Foreign {
                register: place::CONTROL,
                expected,
                found,
            });
        }
        // What is in RAM was measured as somebody else wanted it.
        write_word(&mut device, place::STATUS, WAIT_FOR_NEXT)?;
        Ok(Self {
            device,
            calibration,
            emissivity: EMISSIVITY,
            resolution: (control >> RESOLUTION_SHIFT & 0x3) as u8,
            has_first: false,
            ambient_celsius: None,
        })
    }

    /// The same, looking at a surface of another emissivity than [`EMISSIVITY`]; more than 0, at most 1.
    #[must_use]
    pub fn with_emissivity(mut self, emissivity: f32) -> Self {
        self.emissivity = emissivity;
        self
    }

    /// Reads the next sub-page into its half of a frame, in degrees Celsius. When the frame is whole,
    /// pixels that the factory has found broken are the mean of their neighbours.
    ///
    /// # Errors
    ///
    /// The bus fails, or gives what no sensor measures.
    pub fn read(&mut self, celsius: &mut [f32; PIXELS]) -> Result<Reading, ReadError<B::Error>> {
        let status = read_word(&mut self.device, place::STATUS)?;
        if status & IS_NEW == 0 {
            return Ok(Reading::Nothing);
        }
        write_word(&mut self.device, place::STATUS, WAIT_FOR_NEXT)?;
        let sub_page = usize::from(status & SUB_PAGE & 1);
        let conditions = self.conditions(sub_page)?;
        self.ambient_celsius = Some(conditions.ambient_celsius());
        let mut words = [0; WIDTH];
        for (row, pixels) in celsius.chunks_exact_mut(WIDTH).enumerate() {
            let place = place::RAM + (row * WIDTH) as u16;
            read_words(&mut self.device, place, &mut words)?;
            // Of a chess board, every other one of each row.
            for column in ((row + sub_page) % 2..WIDTH).step_by(2) {
                let pixel = self.calibration.pixel(row, column);
                pixels[column] = conditions.celsius(&pixel, words[column].cast_signed());
            }
        }
        if read_word(&mut self.device, place::STATUS)? & IS_NEW != 0 {
            self.has_first = false;
            return Ok(Reading::Torn);
        }
        let is_whole = sub_page == 1 && self.has_first;
        self.has_first = sub_page == 0;
        if !is_whole {
            return Ok(Reading::Half);
        }
        self.calibration.mend(celsius);
        Ok(Reading::Frame)
    }

    fn conditions(&mut self, sub_page: usize) -> Result<Conditions, ReadError<B::Error>> {
        let mut words = [[0; WIDTH]; 2];
        for (at, half) in words.iter_mut().enumerate() {
            read_words(
                &mut self.device,
                place::AUXILIARY + (at * WIDTH) as u16,
                half,
            )?;
        }
        let [first, second] = words.map(|half| half.map(u16::cast_signed));
        let auxiliary = Auxiliary {
            v_be: first[0x00],
            compensation: [first[0x08], second[0x08]],
            gain: first[0x0a],
            v_ptat: second[0x00],
            supply: second[0x0a],
        };
        for (word, what, found) in [
            (0x070a, "gain", auxiliary.gain),
            (0x0720, "own temperature", auxiliary.v_ptat),
        ] {
            // The sensor's word for what it has not measured is the largest.
            if found <= 0 || found == i16::MAX {
                return Err(ReadError::Garbled { word, what, found });
            }
        }
        Ok(Conditions::new(
            &self.calibration,
            auxiliary,
            self.resolution,
            self.emissivity,
            sub_page,
        ))
    }

    /// How warm the sensor itself was at the last read, in degrees Celsius; it is some 8 K warmer
    /// than the air.
    #[must_use]
    pub fn ambient_celsius(&self) -> Option<f32> {
        self.ambient_celsius
    }

    /// What the factory has found out about it.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Gives the bus back.
    pub fn release(self) -> B {
        self.device.bus
    }
}

fn read_words<B: I2c>(
    device: &mut Device<B>,
    place: u16,
    words: &mut [u16],
) -> Result<(), BusError<B::Error>> {
    let mut bytes = [0; 2 * WIDTH];
    let bytes = &mut bytes[..2 * words.len()];
    device.read(&place.to_be_bytes(), bytes)?;
    let (pairs, _) = bytes.as_chunks();
    for (word, pair) in words.iter_mut().zip(pairs) {
        *word = u16::from_be_bytes(*pair);
    }
    Ok(())
}

fn read_word<B: I2c>(device: &mut Device<B>, place: u16) -> Result<u16, BusError<B::Error>> {
    let mut word = [0];
    read_words(device, place, &mut word)?;
    Ok(word[0])
}

fn write_word<B: I2c>(
    device: &mut Device<B>,
    place: u16,
    word: u16,
) -> Result<(), BusError<B::Error>> {
    let ([a, b], [c, d]) = (place.to_be_bytes(), word.to_be_bytes());
    device.write(&[a, b, c, d])
}

#[cfg(test)]
mod tests;

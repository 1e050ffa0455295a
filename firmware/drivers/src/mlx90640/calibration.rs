//! What the factory wrote into the sensor's EEPROM (data sheet, sections 10.6 and 11.1).

use thiserror::Error;

use super::{HEIGHT, PIXELS, WIDTH};

/// Words of the EEPROM, from 0x2400.
pub const EEPROM_WORDS: usize = 0x340;

/// First word of the pixels.
const PIXEL_WORDS: usize = 0x40;

/// Why an EEPROM holds no calibration of an MLX90640.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CalibrationError {
    /// Every word is the same: it was never written, or nobody drives the bus.
    #[error("the EEPROM holds nothing but {word:#06x}, expected the calibration of an MLX90640")]
    Blank {
        /// The word.
        word: u16,
    },
    /// It says that it belongs to an MLX90641, of 16 x 12 pixels.
    #[error("the EEPROM is that of an MLX90641, expected an MLX90640")]
    Mlx90641,
    /// A number that others are divided by is 0.
    #[error("word {word:#06x} of the EEPROM says that {what} is 0")]
    Zero {
        /// Its address.
        word: u16,
        /// What it is.
        what: &'static str,
    },
}

/// The calibration of one sensor.
///
/// What is common to all pixels is kept as numbers, what is their own as the EEPROM has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    pub(super) supply: Supply,
    pub(super) ptat: Ptat,
    pub(super) gain: f32,
    pub(super) k_s_ta: f32,
    pub(super) ranges: [Range; 4],
    /// How much of the compensation pixel is taken off every other.
    pub(super) gradient: f32,
    pub(super) compensation: Compensation,
    /// Whether the factory looked at rows in turn rather than at a chess board, and what that makes.
    pub(super) interleaved: Option<[f32; 3]>,
    offset: Plane,
    alpha: Plane,
    alpha_scale: f32,
    k_ta: [i8; 4],
    k_ta_scale: f32,
    k_ta_shift: u8,
    k_v: [f32; 4],
    words: [u16; PIXELS],
}

/// The supply voltage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Supply {
    pub(super) k_vdd: f32,
    pub(super) at_25: f32,
    pub(super) resolution: u8,
}

/// The sensor's own thermometer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ptat {
    pub(super) k_v: f32,
    pub(super) k_t: f32,
    pub(super) at_25: f32,
    pub(super) alpha: f32,
}

/// A range of temperatures of what is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Range {
    /// Where it begins, in degrees Celsius.
    pub(super) from_celsius: f32,
    /// How sensitivity changes from there.
    pub(super) k_s_to: f32,
    /// Sensitivity there, relative to 0 °C.
    pub(super) alpha: f32,
}

/// The pixel that sees nothing but the sensor itself; of each sub-page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Compensation {
    pub(super) offset: [f32; 2],
    pub(super) alpha: [f32; 2],
    pub(super) k_ta: f32,
    pub(super) k_v: f32,
}

/// A quantity of every pixel: that of all, of its row, of its column, and its own.
#[derive(Debug, Clone, PartialEq)]
struct Plane {
    mean: i32,
    rows: [i8; HEIGHT],
    row_shift: u8,
    columns: [i8; WIDTH],
    column_shift: u8,
    own_shift: u8,
}

/// One pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pixel {
    pub(super) row: usize,
    pub(super) column: usize,
    /// Counts that it gives at 25 °C and 3.3 V for nothing.
    pub(super) offset: f32,
    /// Counts for a K⁴ more.
    pub(super) alpha: f32,
    /// How the offset changes with the sensor's temperature, a K.
    pub(super) k_ta: f32,
    /// How it changes with the supply, a V.
    pub(super) k_v: f32,
}

impl Plane {
    /// From a word of three shifts and the words after it.
    fn new(words: &[u16], mean: i32) -> Self {
        let nibble = |at: usize| signed(words[2 + at / 4] >> (4 * (at % 4)), 4) as i8;
        let [row_shift, column_shift, own_shift] =
            [8, 4, 0].map(|shift| (words[0] >> shift & 0xf) as u8);
        Self {
            mean,
            rows: core::array::from_fn(nibble),
            row_shift,
            columns: core::array::from_fn(|at| nibble(HEIGHT + at)),
            column_shift,
            own_shift,
        }
    }

    fn at(&self, row: usize, column: usize, own: i32) -> i32 {
        self.mean
            + (i32::from(self.rows[row]) << self.row_shift)
            + (i32::from(self.columns[column]) << self.column_shift)
            + (own << self.own_shift)
    }
}

impl Calibration {
    /// Reads the words of an EEPROM.
    ///
    /// # Errors
    ///
    /// They are no calibration of such a sensor.
    pub fn new(words: &[u16; EEPROM_WORDS]) -> Result<Self, CalibrationError> {
        if let Some(word) = words
            .first()
            .filter(|word| words.iter().all(|w| w == *word))
        {
            return Err(CalibrationError::Blank { word: *word });
        }
        let options = words[0x0a];
        if options & 0x40 != 0 {
            return Err(CalibrationError::Mlx90641);
        }
        let k_vdd = f32::from(high(words[0x33])) * 32.0;
        let k_t = signed(words[0x32], 10) as f32 / 8.0;
        let gain = f32::from(words[0x30].cast_signed());
        for (word, what, value) in [
            (0x2433, "the sensitivity to the supply", k_vdd),
            (0x2432, "the thermometer's slope", k_t),
            (0x2430, "the gain", gain),
        ] {
            if value == 0.0 {
                return Err(CalibrationError::Zero { word, what });
            }
        }
        let scales = words[0x38];
        let k_v_scale = power_of_two(-i32::from(scales >> 8 & 0xf));
        let k_ta_scale = power_of_two(-i32::from((scales >> 4 & 0xf) + 8));
        let alpha_power = i32::from(words[0x20] >> 12);
        Ok(Self {
            supply: Supply {
                k_vdd,
                at_25: ((i32::from(words[0x33] & 0xff) - 256) * 32 - 8192) as f32,
                resolution: (scales >> 12 & 0x3) as u8,
            },
            ptat: Ptat {
                k_v: signed(words[0x32] >> 10, 6) as f32 / 4096.0,
                k_t,
                at_25: f32::from(words[0x31].cast_signed()),
                alpha: f32::from(words[0x10] >> 12) / 4.0 + 8.0,
            },
            gain,
            k_s_ta: f32::from(high(words[0x3c])) / 8192.0,
            ranges: ranges(words),
            gradient: f32::from(low(words[0x3c])) / 32.0,
            compensation: compensation(words, alpha_power, k_ta_scale, k_v_scale),
            interleaved: (options & 0x800 != 0).then(|| {
                let word = words[0x35];
                [
                    signed(word, 6) as f32 / 16.0,
                    signed(word >> 6, 5) as f32 / 2.0,
                    signed(word >> 11, 5) as f32 / 8.0,
                ]
            }),
            offset: Plane::new(&words[0x10..0x20], words[0x11].cast_signed().into()),
            alpha: Plane::new(&words[0x20..0x30], words[0x21].into()),
            alpha_scale: power_of_two(-(alpha_power + 30)),
            // Of odd rows and even ones, each of odd columns and even ones, counted from one.
            k_ta: [
                high(words[0x36]),
                high(words[0x37]),
                low(words[0x36]),
                low(words[0x37]),
            ],
            k_ta_scale,
            k_ta_shift: (scales & 0xf) as u8,
            k_v: [12, 4, 8, 0].map(|shift| signed(words[0x34] >> shift, 4) as f32 * k_v_scale),
            words: core::array::from_fn(|at| words[PIXEL_WORDS + at]),
        })
    }

    pub(super) fn pixel(&self, row: usize, column: usize) -> Pixel {
        let word = self.words[row * WIDTH + column];
        let kind = 2 * (row % 2) + column % 2;
        let k_ta = i32::from(self.k_ta[kind]) + (signed(word >> 1, 3) << self.k_ta_shift);
        let alpha = self.alpha.at(row, column, signed(word >> 4, 6));
        Pixel {
            row,
            column,
            offset: self.offset.at(row, column, signed(word >> 10, 6)) as f32,
            alpha: alpha as f32 * self.alpha_scale,
            k_ta: k_ta as f32 * self.k_ta_scale,
            k_v: self.k_v[kind],
        }
    }

    /// Whether the factory found a pixel broken, or outside of what it guarantees.
    #[must_use]
    pub fn is_broken(&self, row: usize, column: usize) -> bool {
        let word = self.words[row * WIDTH + column];
        word == 0 || word & 1 != 0
    }

    /// The broken pixels, as row and column; the data sheet promises at most four.
    pub fn broken(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..PIXELS)
            .map(|at| (at / WIDTH, at % WIDTH))
            .filter(|(row, column)| self.is_broken(*row, *column))
    }

    /// Puts the mean of its sound neighbours in the place of every broken pixel; not a number where it
    /// has none.
    pub fn mend(&self, celsius: &mut [f32; PIXELS]) {
        for (row, column) in self.broken() {
            let (mut sum, mut count) = (0.0, 0.0);
            for r in row.saturating_sub(1)..(row + 2).min(HEIGHT) {
                for c in column.saturating_sub(1)..(column + 2).min(WIDTH) {
                    if !self.is_broken(r, c) {
                        sum += celsius[r * WIDTH + c];
                        count += 1.0;
                    }
                }
            }
            celsius[row * WIDTH + column] = sum / count;
        }
    }
}

fn ranges(words: &[u16; EEPROM_WORDS]) -> [Range; 4] {
    let word = words[0x3f];
    let step = (word >> 12 & 0x3) * 10;
    let third = f32::from((word >> 4 & 0xf) * step);
    let fourth = third + f32::from((word >> 8 & 0xf) * step);
    let scale = power_of_two(-i32::from((word & 0xf) + 8));
    let k_s_to = [
        low(words[0x3d]),
        high(words[0x3d]),
        low(words[0x3e]),
        high(words[0x3e]),
    ]
    .map(|k| f32::from(k) * scale);
    let to_third = 1.0 + k_s_to[1] * third;
    let range = |at: usize, from_celsius, alpha| Range {
        from_celsius,
        k_s_to: k_s_to[at],
        alpha,
    };
    [
        range(0, -40.0, 1.0 / (1.0 + k_s_to[0] * 40.0)),
        range(1, 0.0, 1.0),
        range(2, third, to_third),
        range(3, fourth, to_third * (1.0 + k_s_to[2] * (fourth - third))),
    ]
}

fn compensation(
    words: &[u16; EEPROM_WORDS],
    alpha_power: i32,
    k_ta_scale: f32,
    k_v_scale: f32,
) -> Compensation {
    let alpha = signed(words[0x39], 10) as f32 * power_of_two(-(alpha_power + 27));
    let ratio = signed(words[0x39] >> 10, 6) as f32 / 128.0;
    let offset = signed(words[0x3a], 10);
    let second = offset + signed(words[0x3a] >> 10, 6);
    Compensation {
        offset: [offset as f32, second as f32],
        alpha: [alpha, alpha * (1.0 + ratio)],
        k_ta: f32::from(low(words[0x3b])) * k_ta_scale,
        k_v: f32::from(high(words[0x3b])) * k_v_scale,
    }
}

/// The lowest bits of a word as a number in two's complement.
fn signed(word: u16, bits: u32) -> i32 {
    let unused = 16 - bits;
    i32::from((word << unused).cast_signed() >> unused)
}

fn high(word: u16) -> i8 {
    let [high, _] = word.to_be_bytes();
    high.cast_signed()
}

fn low(word: u16) -> i8 {
    let [_, low] = word.to_be_bytes();
    low.cast_signed()
}

fn power_of_two(exponent: i32) -> f32 {
    libm::ldexpf(1.0, exponent)
}

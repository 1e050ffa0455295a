//! Pictures: colours of 8 bits from PNG and JPEG, one channel of 8 or 16 bits from PNG, JPEG and PGM.

mod jpeg;
mod pgm;
mod png;

use std::path::Path;

use sensorium_core::feature::Image;
use thiserror::Error;

pub use pgm::PgmError;

use crate::file::{self, OpenError};

/// Most pixels of a picture: 8192 x 8192, a quarter of a GiB in colours.
pub const MAX_PIXELS: usize = 1 << 26;

/// Why bytes are no picture that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// They are of no format that is read.
    #[error("it is not a PNG, JPEG or binary PGM file")]
    Format,
    /// The PNG is cut, damaged, or of a kind that is not decoded.
    #[error("the PNG cannot be decoded")]
    Png(#[source] ::png::DecodingError),
    /// The JPEG is cut, damaged, or of a kind that is not decoded.
    #[error("the JPEG cannot be decoded")]
    Jpeg(#[source] zune_jpeg::errors::DecodeErrors),
    /// The JPEG does not have the colours of a screen.
    #[error("the JPEG holds {actual}, expected grey or colours")]
    JpegColours {
        /// What it holds.
        actual: &'static str,
    },
    /// The JPEG breaks off.
    #[error("the JPEG has no end mark, it breaks off")]
    JpegCut,
    /// The PGM is cut or damaged.
    #[error(transparent)]
    Pgm(#[from] PgmError),
    /// There are too many pixels.
    #[error("it has {width} x {height} pixels, expected at most {MAX_PIXELS}")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Distances or temperatures, where colours are wanted.
    #[error("it holds one channel of 16 bits, as depth and thermal pictures do, expected colours")]
    Deep,
    /// Colours of 16 bits, where one channel is wanted.
    #[error("it holds {actual} channels of 16 bits, expected one")]
    Channels {
        /// Its channels.
        actual: usize,
    },
}

/// One channel of a picture, such as temperatures or distances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// The largest value that the file could hold: 255, 65535, or what a PGM says.
    pub max: u16,
    /// The pixels, row by row.
    pub values: Vec<u16>,
}

/// Reads a picture in colours, as [`rgb_from_bytes`] makes them.
///
/// # Errors
///
/// A file that cannot be read or decoded whole.
pub fn open_rgb(path: &Path) -> Result<Image<3>, OpenError<PictureError>> {
    file::open(path, |bytes| rgb_from_bytes(&bytes))
}

/// A picture in colours, as Pillow's `convert("RGB")` makes them, bit by bit for PNG: transparency
/// is dropped, not blended; grey is given to all three; palettes are looked up; 16 bits become the
/// higher 8. Of JPEG, a colour may differ by a few of 255, since decoders round differently.
///
/// Orientation and colour profiles are not applied, as Pillow does not.
///
/// # Errors
///
/// Bytes that cannot be decoded whole. One channel of 16 bits is refused: Pillow would cut it off at
/// 255, which leaves little of distances and temperatures.
pub fn rgb_from_bytes(bytes: &[u8]) -> Result<Image<3>, PictureError> {
    let raster = Raster::from_bytes(bytes)?;
    let (width, height) = (raster.width, raster.height);
    let size = PictureError::Size { width, height };
    Image::new(width, height, raster.rgb()?).ok_or(size)
}

/// Reads a picture in colours, as [`rgb_over`] makes them.
///
/// # Errors
///
/// A file that cannot be read or decoded whole.
pub fn open_rgb_over(
    path: &Path,
    background: [u8; 3],
) -> Result<Image<3>, OpenError<PictureError>> {
    file::open(path, |bytes| rgb_over(&bytes, background))
}

/// As [`rgb_from_bytes`], but what is transparent lets a background through, as Pillow's
/// `alpha_composite` does it, bit by bit.
///
/// # Errors
///
/// Those of [`rgb_from_bytes`].
pub fn rgb_over(bytes: &[u8], background: [u8; 3]) -> Result<Image<3>, PictureError> {
    let raster = Raster::from_bytes(bytes)?;
    let (width, height) = (raster.width, raster.height);
    let size = PictureError::Size { width, height };
    let mut pixels = raster.rgb()?;
    for (pixel, opacity) in pixels.iter_mut().zip(raster.opacity()) {
        for (value, behind) in pixel.iter_mut().zip(background) {
            *value = blend(*value, behind, opacity);
        }
    }
    Image::new(width, height, pixels).ok_or(size)
}

impl Plane {
    /// Reads one channel of a picture.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or decoded whole.
    pub fn open(path: &Path) -> Result<Self, OpenError<PictureError>> {
        file::open(path, |bytes| Self::from_bytes(&bytes))
    }

    /// As [`open`](Self::open), from memory. Colours of 8 bits become their lightness, as Pillow's
    /// `convert("L")` does: thermal pictures are often kept as grey in three channels.
    ///
    /// # Errors
    ///
    /// Bytes that cannot be decoded whole, or colours of 16 bits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PictureError> {
        let raster = Raster::from_bytes(bytes)?;
        Ok(Self {
            width: raster.width,
            height: raster.height,
            max: raster.max,
            values: raster.plane()?,
        })
    }
}

/// What a file holds.
struct Raster {
    width: usize,
    height: usize,
    /// 1 is grey, 2 grey and alpha, 3 colours, 4 colours and alpha.
    channels: usize,
    max: u16,
    samples: Samples,
}

enum Samples {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

impl Raster {
    fn from_bytes(bytes: &[u8]) -> Result<Self, PictureError> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => png::decode(bytes),
            [0xff, 0xd8, ..] => jpeg::decode(bytes),
            [b'P', b'5', ..] => pgm::decode(bytes),
            _ => Err(PictureError::Format),
        }
    }

    fn rgb(&self) -> Result<Vec<[u8; 3]>, PictureError> {
        let scaled = |value: u8| -> u8 {
            // Only a PGM has another range; rounded as Pillow does.
            (f64::from(value) / f64::from(self.max) * 255.0).round_ties_even() as u8
        };
        Ok(match &self.samples {
            Samples::Bytes(bytes) if self.max < 255 => {
                bytes.iter().map(|&value| [scaled(value); 3]).collect()
            }
            Samples::Bytes(bytes) => colours(bytes, self.channels, |value| value),
            Samples::Words(_) if self.channels == 1 => return Err(PictureError::Deep),
            Samples::Words(words) => colours(words, self.channels, |value| (value >> 8) as u8),
        })
    }

    /// How much each pixel hides of what is behind it, 0 to 255; nothing if all hide all.
    fn opacity(&self) -> Vec<u8> {
        if !self.channels.is_multiple_of(2) {
            return Vec::new();
        }
        let last = self.channels - 1;
        match &self.samples {
            Samples::Bytes(bytes) => bytes
                .iter()
                .skip(last)
                .step_by(self.channels)
                .copied()
                .collect(),
            Samples::Words(words) => {
                let last = words.iter().skip(last).step_by(self.channels);
                last.map(|word| (word >> 8) as u8).collect()
            }
        }
    }

    fn plane(self) -> Result<Vec<u16>, PictureError> {
        Ok(match self.samples {
            Samples::Bytes(bytes) if self.channels <= 2 => {
                let pixels = bytes.chunks_exact(self.channels);
                pixels.map(|pixel| u16::from(pixel[0])).collect()
            }
            Samples::Bytes(bytes) => {
                let pixels = bytes.chunks_exact(self.channels);
                let lightness = |pixel: &[u8]| lightness([pixel[0], pixel[1], pixel[2]]);
                pixels.map(|pixel| lightness(pixel).into()).collect()
            }
            Samples::Words(words) if self.channels == 1 => words,
            Samples::Words(words) if self.channels == 2 => {
                words.chunks_exact(2).map(|pixel| pixel[0]).collect()
            }
            Samples::Words(_) => {
                return Err(PictureError::Channels {
                    actual: self.channels,
                });
            }
        })
    }
}

fn colours<T: Copy>(samples: &[T], channels: usize, to_byte: impl Fn(T) -> u8) -> Vec<[u8; 3]> {
    let pixels = samples.chunks_exact(channels);
    if channels < 3 {
        return pixels.map(|pixel| [to_byte(pixel[0]); 3]).collect();
    }
    pixels
        .map(|pixel| [to_byte(pixel[0]), to_byte(pixel[1]), to_byte(pixel[2])])
        .collect()
}

/// A value before another one, rounded to the nearest.
fn blend(value: u8, behind: u8, opacity: u8) -> u8 {
    let [value, behind, opacity] = [value, behind, opacity].map(u32::from);
    ((value * opacity + behind * (255 - opacity) + 127) / 255) as u8
}

/// ITU-R 601-2 luma in Pillow's fixed point (`Convert.c`).
fn lightness([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16) as u8
}

/// Number of pixels, if it is not too large.
fn pixels(width: usize, height: usize) -> Result<usize, PictureError> {
    width
        .checked_mul(height)
        .filter(|&pixels| pixels <= MAX_PIXELS)
        .ok_or(PictureError::Size { width, height })
}

#[cfg(test)]
mod tests;

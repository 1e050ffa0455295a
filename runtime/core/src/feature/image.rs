//! Pictures, resized as encoders were trained on them.
//!
//! Encoders of pictures learned from Pillow's arithmetic: bicubic with antialiasing, in fixed point,
//! rounded to 8 bits after each axis (Pillow, `Resample.c`). Another filter, or the same in floating
//! point, gives other pixels and a slightly other embedding; this one gives the same bytes.

use alloc::vec;
use alloc::vec::Vec;

/// Fractional bits of a weight.
const WEIGHT_BITS: u32 = 22;

/// Pixels that the cubic reaches to each side.
const SUPPORT: f64 = 2.0;

/// A picture of interleaved 8-bit channels, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<const CHANNELS: usize> {
    width: usize,
    height: usize,
    pixels: Vec<[u8; CHANNELS]>,
}

impl<const CHANNELS: usize> Image<CHANNELS> {
    /// A picture of these pixels; none if they are not `width * height`, or there is none.
    #[must_use]
    pub fn new(width: usize, height: usize, pixels: Vec<[u8; CHANNELS]>) -> Option<Self> {
        let len = width.checked_mul(height)?;
        (len > 0 && pixels.len() == len).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[[u8; CHANNELS]] {
        &self.pixels
    }

    /// The picture at another size, by Pillow's bicubic filter.
    ///
    /// # Panics
    ///
    /// If a side is 0.
    #[must_use]
    pub fn resize_bicubic(&self, width: usize, height: usize) -> Self {
        assert!(width > 0 && height > 0, "resize_bicubic: no pixel");
        // An axis that keeps its length is not filtered at all.
        let wide = (width != self.width).then(|| self.resize_rows(width));
        let wide = wide.as_ref().unwrap_or(self);
        if height == self.height {
            return wide.clone();
        }
        wide.transpose().resize_rows(height).transpose()
    }

    /// The middle `side` by `side` pixels of the picture with its shorter side at `side`: what
    /// `Resize` and `CenterCrop` of torchvision make of it.
    ///
    /// # Panics
    ///
    /// If `side` is 0.
    #[must_use]
    pub fn resize_and_crop(&self, side: usize) -> Self {
        let Crop {
            width,
            height,
            left,
            top,
        } = resized_and_cropped(self.width, self.height, side);
        let resized = self.resize_bicubic(width, height);
        let rows = resized.pixels.chunks_exact(resized.width);
        let cropped = rows
            .skip(top)
            .take(side)
            .flat_map(|row| &row[left..left + side]);
        Self {
            width: side,
            height: side,
            pixels: cropped.copied().collect(),
        }
    }

    fn resize_rows(&self, width: usize) -> Self {
        let taps: Vec<Taps> = (0..width).map(|x| Taps::at(x, self.width, width)).collect();
        let mut pixels = Vec::with_capacity(width * self.height);
        for row in self.pixels.chunks_exact(self.width) {
            pixels.extend(taps.iter().map(|taps| taps.apply(row)));
        }
        Self {
            width,
            height: self.height,
            pixels,
        }
    }

    fn transpose(&self) -> Self {
        let mut pixels = vec![[0; CHANNELS]; self.pixels.len()];
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                pixels[x * self.height + y] = *pixel;
            }
        }
        Self {
            width: self.height,
            height: self.width,
            pixels,
        }
    }
}

/// A picture's size when it is resized, and where its square is cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Resized.
    pub width: usize,
    /// Resized.
    pub height: usize,
    /// Pixels cut off on the left.
    pub left: usize,
    /// Pixels cut off at the top.
    pub top: usize,
}

/// How [`Image::resize_and_crop`] treats a picture of a size.
///
/// # Panics
///
/// If a length is 0.
#[must_use]
pub fn resized_and_cropped(width: usize, height: usize, side: usize) -> Crop {
    assert!(
        width > 0 && height > 0 && side > 0,
        "resized_and_cropped: no pixel"
    );
    let scaled = |long: usize, short: usize| side * long / short;
    let (width, height) = if width <= height {
        (side, scaled(height, width))
    } else {
        (scaled(width, height), side)
    };
    Crop {
        width,
        height,
        left: half_to_even(width - side),
        top: half_to_even(height - side),
    }
}

/// The weights that make one pixel.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    /// Weights of pixel `at` of `to` for a row of `from` pixels.
    fn at(at: usize, from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let centre = (at as f64 + 0.5) * scale;
        let reach = SUPPORT * stretch;
        // Conversions truncate, and what is negative becomes 0, both as meant.
        let first = (centre - reach + 0.5) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let place = |tap: usize| (tap as f64 - centre + 0.5) * (1.0 / stretch);
        let weights: Vec<f64> = (first..end).map(|tap| cubic(place(tap))).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| libm::round(weight / sum * f64::from(1 << WEIGHT_BITS)) as i32;
        Self {
            first,
            weights: weights.into_iter().map(fixed).collect(),
        }
    }

    fn apply<const CHANNELS: usize>(&self, row: &[[u8; CHANNELS]]) -> [u8; CHANNELS] {
        let mut sums = [1i32 << (WEIGHT_BITS - 1); CHANNELS];
        for (pixel, weight) in row[self.first..].iter().zip(&self.weights) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(*value) * weight;
            }
        }
        sums.map(|sum| (sum >> WEIGHT_BITS).clamp(0, 255) as u8)
    }
}

/// The cubic convolution kernel with a = -0.5 (Keys 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = libm::fabs(x);
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Half of it, the middle between two rounded to the even one, as Python rounds.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    half + (n % 2) * (half % 2)
}

#[cfg(test)]
mod tests;

//! Pictures, resized as encoders were trained on them.
//!
//! Encoders of pictures learned from Pillow's arithmetic: filters with antialiasing, in fixed point,
//! rounded to 8 bits after each axis (Pillow, `Resample.c`). Another filter, or the same in floating
//! point, gives other pixels and a slightly other embedding; this one gives the same bytes.

use alloc::vec;
use alloc::vec::Vec;
use core::f64::consts::PI;

/// Fractional bits of a weight.
const WEIGHT_BITS: u32 = 22;

/// How pixels between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "front-end", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "front-end", serde(rename_all = "kebab-case"))]
pub enum Interpolation {
    /// The cubic convolution kernel with a = -0.5 (Keys 1981), which reaches two pixels far.
    Bicubic,
    /// A triangle that reaches one pixel far.
    Bilinear,
    /// The pixel that lies there, without antialiasing.
    Nearest,
    /// The mean of the pixels that lie there.
    Box,
    /// A sinc within a raised cosine, which reaches one pixel far.
    Hamming,
    /// A sinc within a wider one, which reaches three pixels far.
    Lanczos,
}

/// Which axis is filtered first; rounding between the two passes makes it matter by a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "front-end", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "front-end", serde(rename_all = "kebab-case"))]
pub enum Passes {
    /// Rows, then columns: Pillow before version 13.
    #[default]
    HorizontalFirst,
    /// Columns first where the height shrinks by more than twice as many pixels as the width:
    /// Pillow from version 13 on.
    #[cfg_attr(feature = "front-end", serde(rename = "pillow-13"))]
    Pillow13,
}

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

    /// The picture at another size.
    ///
    /// # Panics
    ///
    /// If a side is 0.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize, interpolation: Interpolation) -> Self {
        let whole = Crop {
            width,
            height,
            left: 0,
            top: 0,
        };
        let size = (width, height);
        self.resize_part(whole, size, interpolation, Passes::HorizontalFirst)
    }

    /// The middle `side` by `side` pixels of the picture with its shorter side at `side`: what
    /// `Resize` and `CenterCrop` of torchvision make of it.
    ///
    /// # Panics
    ///
    /// If `side` is 0.
    #[must_use]
    pub fn resize_and_crop(&self, side: usize) -> Self {
        let crop = resized_and_cropped(self.width, self.height, side);
        let passes = Passes::HorizontalFirst;
        self.resize_part(crop, (side, side), Interpolation::Bicubic, passes)
    }

    /// So many columns and rows of the resized picture, from where `crop` says. What is cut off is
    /// not computed, so that a very long picture needs no more memory than another.
    ///
    /// # Panics
    ///
    /// If a side is 0, or the part reaches beyond the resized picture.
    #[must_use]
    pub fn resize_part(
        &self,
        crop: Crop,
        (columns, rows): (usize, usize),
        interpolation: Interpolation,
        passes: Passes,
    ) -> Self {
        let fits = |first: usize, len: usize, of: usize| len > 0 && first + len <= of;
        assert!(
            fits(crop.left, columns, crop.width) && fits(crop.top, rows, crop.height),
            "resize_part: {columns} x {rows} of {crop:?}"
        );
        let across = (crop.left, columns, crop.width);
        let down = (crop.top, rows, crop.height);
        if passes.vertical_first(self, crop) {
            let high = self.transpose().resize_rows(down, interpolation);
            return high.transpose().resize_rows(across, interpolation);
        }
        let wide = self.resize_rows(across, interpolation).transpose();
        wide.resize_rows(down, interpolation).transpose()
    }

    /// `len` columns from `first` on of the picture at a width of `to`.
    fn resize_rows(
        &self,
        (first, len, to): (usize, usize, usize),
        interpolation: Interpolation,
    ) -> Self {
        let rows = self.pixels.chunks_exact(self.width);
        // An axis that keeps its length is not filtered at all.
        let pixels = if to == self.width {
            rows.flat_map(|row| &row[first..first + len])
                .copied()
                .collect()
        } else {
            let tap = |x| Taps::at(x, self.width, to, interpolation);
            let taps: Vec<Taps> = (first..first + len).map(tap).collect();
            rows.flat_map(|row| taps.iter().map(|taps| taps.apply(row)))
                .collect()
        };
        Self {
            width: len,
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
    let (width, height) = shorter_side(width, height, side);
    Crop {
        width,
        height,
        left: half_to_even(width - side),
        top: half_to_even(height - side),
    }
}

/// A picture's size when its shorter side becomes `side`, and the other keeps its proportion to it,
/// rounded down.
pub(super) fn shorter_side(width: usize, height: usize, side: usize) -> (usize, usize) {
    let scaled = |long: usize, short: usize| {
        let scaled = side as u128 * long as u128 / short as u128;
        usize::try_from(scaled).unwrap_or(usize::MAX)
    };
    if width <= height {
        (side, scaled(height, width))
    } else {
        (scaled(width, height), side)
    }
}

impl Passes {
    fn vertical_first<const CHANNELS: usize>(self, image: &Image<CHANNELS>, to: Crop) -> bool {
        let shrinks = |from: usize, to: usize| from as i128 - to as i128;
        let (by_rows, by_columns) = (
            shrinks(image.height, to.height),
            shrinks(image.width, to.width),
        );
        self == Self::Pillow13 && by_rows > 0 && by_rows > 2 * by_columns
    }
}

/// The first pixel of a row of `from`, and the shares of it and those after it, that make pixel `at` of a
/// row of `to`: with antialiasing, and of sum 1.
fn shares(at: usize, from: usize, to: usize, interpolation: Interpolation) -> (usize, Vec<f64>) {
    let scale = from as f64 / to as f64;
    if interpolation == Interpolation::Nearest {
        // Summed up step by step, as Pillow does, since products would round otherwise.
        let place = (0..at).fold(scale * 0.5, |place, _| place + scale);
        return ((place as usize).min(from - 1), vec![1.0]);
    }
    let stretch = scale.max(1.0);
    let centre = (at as f64 + 0.5) * scale;
    let reach = interpolation.support() * stretch;
    // Conversions truncate, and what is negative becomes 0, both as meant.
    let first = (centre - reach + 0.5) as usize;
    let end = ((centre + reach + 0.5) as usize).min(from);
    let place = |tap: usize| (tap as f64 - centre + 0.5) * (1.0 / stretch);
    let weights = (first..end).map(|tap| interpolation.weight(place(tap)));
    let mut weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    (first, weights)
}

/// Numbers `[height, width, inner]` at another height and width, those of a pixel each by itself, in
/// floating point: what PyTorch's `interpolate` gives with antialiasing.
///
/// # Shapes
///
/// The result has the rows and columns of `crop.height` by `crop.width` that begin at `crop.top` and
/// `crop.left`, so many as `size` says (columns, rows).
///
/// # Panics
///
/// If there is no number, or the part reaches beyond the resized picture.
#[must_use]
pub fn resize_floats(
    values: &[f64],
    (width, inner): (usize, usize),
    crop: Crop,
    (columns, rows): (usize, usize),
    interpolation: Interpolation,
) -> Vec<f64> {
    assert!(
        width > 0 && inner > 0 && !values.is_empty() && values.len().is_multiple_of(width * inner),
        "resize_floats: {} numbers, {width} x {inner} a row",
        values.len()
    );
    assert!(
        crop.left + columns <= crop.width && crop.top + rows <= crop.height,
        "resize_floats: {columns} x {rows} of {crop:?}"
    );
    let height = values.len() / width / inner;
    let taps = |first: usize, len: usize, from: usize, to: usize| -> Vec<(usize, Vec<f64>)> {
        let places = first..first + len;
        places
            .map(|at| shares(at, from, to, interpolation))
            .collect()
    };
    let across = taps(crop.left, columns, width, crop.width);
    let mut wide = vec![0.0; height * columns * inner];
    for (row, out) in values
        .chunks_exact(width * inner)
        .zip(wide.chunks_exact_mut(columns * inner))
    {
        for ((first, weights), out) in across.iter().zip(out.chunks_exact_mut(inner)) {
            for (pixel, weight) in row[first * inner..].chunks_exact(inner).zip(weights) {
                out.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, value)| *sum += value * weight);
            }
        }
    }
    let down = taps(crop.top, rows, height, crop.height);
    let mut out = vec![0.0; rows * columns * inner];
    for ((first, weights), out) in down.iter().zip(out.chunks_exact_mut(columns * inner)) {
        let rows = wide[first * columns * inner..].chunks_exact(columns * inner);
        for (row, weight) in rows.zip(weights) {
            out.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value * weight);
        }
    }
    out
}

/// The weights that make one pixel.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    /// Weights of pixel `at` of `to` for a row of `from` pixels.
    fn at(at: usize, from: usize, to: usize, interpolation: Interpolation) -> Self {
        let (first, weights) = shares(at, from, to, interpolation);
        let fixed = |weight: f64| libm::round(weight * f64::from(1 << WEIGHT_BITS)) as i32;
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

impl Interpolation {
    /// Pixels that it reaches to each side.
    fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bicubic => 2.0,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Box | Self::Nearest => 0.5,
        }
    }

    /// The share of a pixel at a distance.
    fn weight(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = libm::fabs(distance);
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                libm::sin(PI * x) / (PI * x)
            }
        };
        match self {
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Hamming if x < 1.0 => sinc(x) * (0.54 + 0.46 * libm::cos(PI * x)),
            Self::Lanczos | Self::Hamming => 0.0,
            // A pixel half way between two counts once.
            Self::Box | Self::Nearest => f64::from(u8::from(distance > -0.5 && distance <= 0.5)),
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bicubic => 0.0,
            Self::Bilinear => (1.0 - x).max(0.0),
        }
    }
}

/// Half of it, the middle between two rounded to the even one, as Python rounds.
pub(super) fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    half + (n % 2) * (half % 2)
}

#[cfg(test)]
mod tests;

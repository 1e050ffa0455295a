//! Depth and thermal images: measured planes with holes, brought to an encoder's size and units.
//!
//! The reference publishes no loader for them. Depth becomes disparity, the way its authors describe
//! in their issues; a thermal image becomes its share of a range of temperatures. Sizes are changed
//! by averaging areas, and a hole (no echo, a dead pixel) has no share in an average.

use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

/// Depth that stands for no measurement: nothing came back.
const NO_ECHO: u16 = 0;

/// Depth that stands for no measurement: out of range.
const TOO_FAR: u16 = u16::MAX;

/// Distance in millimetres to what an encoder of depth takes: `baseline * focal / distance`, less a
/// mean, over a deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthFrontEnd {
    /// Between the two eyes of the sensor, in metres; of the sensor that the encoder was trained on.
    pub baseline_m: f32,
    /// Focal length, in pixels.
    pub focal_px: f32,
    /// Nearest and farthest distance that are told apart, in metres.
    pub clip_m: [f32; 2],
    /// Taken off the disparity.
    pub mean: f32,
    /// Divides what is left.
    pub std: f32,
    /// Height and width.
    pub side: usize,
}

/// Temperature to what an encoder of thermal images takes: the place in a range, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThermalFrontEnd {
    /// What becomes 0 and what becomes 1, in degrees Celsius.
    pub range_degc: [f32; 2],
    /// Height and width.
    pub side: usize,
}

/// Why an image cannot be used, or a front end not made.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// The values are not those of an image of this size.
    #[error("{values} values, expected {width} x {height}")]
    Size {
        /// How many there are.
        values: usize,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// No pixel holds a measurement.
    #[error("no pixel holds a measurement")]
    Empty,
    /// A setting is out of range.
    #[error("{name} is {value}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f32,
        /// What it has to be.
        expected: &'static str,
    },
}

fn positive(name: &'static str, value: f32) -> Result<(), PlaneError> {
    let expected = "a positive number";
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(PlaneError::Setting {
            name,
            value,
            expected,
        })
    }
}

fn ascending(name: &'static str, range: [f32; 2]) -> Result<(), PlaneError> {
    if range[0] < range[1] && range.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    Err(PlaneError::Setting {
        name,
        value: range[0],
        expected: "less than the end of the range",
    })
}

impl DepthFrontEnd {
    /// Whether the settings make sense.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), PlaneError> {
        positive("baseline_m", self.baseline_m)?;
        positive("focal_px", self.focal_px)?;
        positive("clip_m", self.clip_m[0])?;
        ascending("clip_m", self.clip_m)?;
        positive("std", self.std)?;
        positive("side", self.side as f32)
    }

    /// The disparity image of a depth image, `[side, side]`. Holes are as far away as can be told.
    ///
    /// # Units
    ///
    /// Millimetres; 0 and 65535 are holes.
    ///
    /// # Errors
    ///
    /// Values that are no image, or hold no measurement.
    pub fn extract(&self, depth_mm: &[u16], width: usize) -> Result<Vec<f32>, PlaneError> {
        self.check()?;
        let [near, far] = self.clip_m;
        let disparity =
            |distance_m: f32| self.baseline_m * self.focal_px / distance_m.clamp(near, far);
        let measured = |mm: &u16| match *mm {
            NO_ECHO | TOO_FAR => None,
            mm => Some(disparity(f32::from(mm) / 1000.0)),
        };
        let values: Vec<Option<f32>> = depth_mm.iter().map(measured).collect();
        let scaled = resize(&values, width, self.side)?;
        let normal = |value: Option<f32>| (value.unwrap_or(disparity(far)) - self.mean) / self.std;
        Ok(scaled.into_iter().map(normal).collect())
    }
}

impl ThermalFrontEnd {
    /// Whether the settings make sense.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), PlaneError> {
        ascending("range_degc", self.range_degc)?;
        positive("side", self.side as f32)
    }

    /// The image of temperatures, `[side, side]`, from 0 to 1. Holes are as cold as can be told.
    ///
    /// # Units
    ///
    /// Degrees Celsius; what is no number is a hole.
    ///
    /// # Errors
    ///
    /// Values that are no image, or hold no measurement.
    pub fn extract(&self, temperature_degc: &[f32], width: usize) -> Result<Vec<f32>, PlaneError> {
        self.check()?;
        let [cold, hot] = self.range_degc;
        let share = |degc: &f32| {
            degc.is_finite()
                .then(|| ((degc - cold) / (hot - cold)).clamp(0.0, 1.0))
        };
        let values: Vec<Option<f32>> = temperature_degc.iter().map(share).collect();
        let scaled = resize(&values, width, self.side)?;
        Ok(scaled.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The middle square of an image at another size: each new pixel is the mean of the area that it
/// covers, or, where it is smaller than a pixel, what lies there.
fn resize(
    values: &[Option<f32>],
    width: usize,
    side: usize,
) -> Result<Vec<Option<f32>>, PlaneError> {
    let height = values.len().checked_div(width).unwrap_or(0);
    if height == 0 || width * height != values.len() {
        return Err(PlaneError::Size {
            values: values.len(),
            width,
            height,
        });
    }
    if values.iter().all(Option::is_none) {
        return Err(PlaneError::Empty);
    }
    let square = width.min(height);
    let (left, top) = ((width - square) / 2, (height - square) / 2);
    let covers: Vec<Vec<(usize, f32)>> = (0..side).map(|at| cover(at, square, side)).collect();
    let mut out = vec![None; side * side];
    for (rows, out) in covers.iter().zip(out.chunks_exact_mut(side)) {
        for (columns, out) in covers.iter().zip(out) {
            let (mut sum, mut area) = (0.0, 0.0);
            for &(y, high) in rows {
                for &(x, wide) in columns {
                    if let Some(value) = values[(top + y) * width + left + x] {
                        sum += value * high * wide;
                        area += high * wide;
                    }
                }
            }
            *out = (area > 0.0).then(|| sum / area);
        }
    }
    Ok(out)
}

/// Which of `from` pixels a pixel of `to` covers, and how much of each.
fn cover(at: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
    // In units of 1 / to of an old pixel, so that all edges are whole.
    let (start, end) = (at * from, (at + 1) * from);
    (start / to..end.div_ceil(to))
        .map(|pixel| {
            let overlap = end.min((pixel + 1) * to) - start.max(pixel * to);
            (pixel, overlap as f32 / to as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEPTH: DepthFrontEnd = DepthFrontEnd {
        baseline_m: 0.075,
        focal_px: 500.0,
        clip_m: [0.01, 50.0],
        mean: 0.0,
        std: 1.0,
        side: 2,
    };

    const THERMAL: ThermalFrontEnd = ThermalFrontEnd {
        range_degc: [10.0, 50.0],
        side: 2,
    };

    #[test]
    fn depth_becomes_disparity_and_holes_are_far() {
        let image = DEPTH.extract(&[1000, 2000, 0, u16::MAX], 2).unwrap();
        assert_eq!(image, [37.5, 18.75, 0.75, 0.75]);
        let normal = DepthFrontEnd {
            mean: 0.75,
            std: 2.0,
            ..DEPTH
        };
        assert_eq!(
            normal.extract(&[1000, 2000, 0, 5], 2).unwrap()[2..],
            [0.0, 1874.625]
        );
    }

    #[test]
    fn a_hole_has_no_share_in_the_mean() {
        let one = DepthFrontEnd { side: 1, ..DEPTH };
        assert_eq!(one.extract(&[1000, 0, 0, 1000], 2).unwrap(), [37.5]);
        let one = ThermalFrontEnd { side: 1, ..THERMAL };
        assert_eq!(one.extract(&[30.0, f32::NAN], 1).unwrap(), [0.5]);
    }

    #[test]
    fn temperatures_are_places_in_a_range() {
        let image = THERMAL.extract(&[10.0, 30.0, 50.0, 99.0], 2).unwrap();
        assert_eq!(image, [0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn the_middle_square_is_taken_and_areas_are_averaged() {
        // Four columns of three rows, of which the middle is columns 0 to 2; halves are shared.
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let wide = ThermalFrontEnd {
            range_degc: [0.0, 1000.0],
            side: 3,
        };
        let image = wide.extract(&values, 4).unwrap();
        assert!((image[1] - 0.001).abs() < 1e-6 && (image[8] - 0.010).abs() < 1e-6);
        assert_eq!(cover(1, 3, 2), [(1, 0.5), (2, 1.0)]);
        assert_eq!(cover(1, 2, 4), [(0, 0.5)]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let message = |values: &[u16], width| DEPTH.extract(values, width).unwrap_err();
        assert!(matches!(message(&[1, 2, 3], 2), PlaneError::Size { .. }));
        assert!(matches!(message(&[], 0), PlaneError::Size { .. }));
        assert_eq!(message(&[0, u16::MAX], 1), PlaneError::Empty);
        let blind = DepthFrontEnd {
            clip_m: [2.0, 1.0],
            ..DEPTH
        };
        assert_eq!(
            alloc::format!("{}", blind.check().unwrap_err()),
            "clip_m is 2, expected less than the end of the range"
        );
        assert!(ThermalFrontEnd { side: 0, ..THERMAL }.check().is_err());
    }

    proptest! {
        #[test]
        fn no_new_value_is_out_of_the_old_ones_range(
            width in 1usize..20, height in 1usize..20, side in 1usize..25, seed in any::<u32>(),
        ) {
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 4000 + 1;
            let depth: Vec<u16> = (0..width * height).map(|i| value(i) as u16).collect();
            let front_end = DepthFrontEnd { side, ..DEPTH };
            let image = front_end.extract(&depth, width).unwrap();
            prop_assert_eq!(image.len(), side * side);
            let (near, far) = (37.5 / 0.01, 37.5 / 4.0);
            prop_assert!(image.iter().all(|v| (far * 0.999..=near * 1.001).contains(v)));
        }
    }
}

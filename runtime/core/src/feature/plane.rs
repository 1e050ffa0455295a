//! Depth and thermal pictures: measured planes with holes, brought to an encoder's size and units.
//!
//! The reference publishes no loader for them. Depth becomes disparity, the way its authors describe
//! in their issues, or stays a distance; a thermal picture becomes its share of a range. Sizes are
//! changed by averaging areas, and a hole (no echo, a dead pixel) has no share in an average.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::front_end::{FrontEndError, ascending, finite, holdable, in_range, positive};
use super::image::{Interpolation, resize_floats, resized_and_cropped};

mod area;

pub(super) use area::{Region, resize};

/// Longest side of an encoder's picture.
pub(super) const MAX_SIDE: usize = 8192;

/// Depth that stands for no measurement: nothing came back.
const NO_ECHO: u16 = 0;

/// Depth that stands for no measurement: out of range.
const TOO_FAR: u16 = u16::MAX;

/// A distance in millimetres as depth cameras give it, in metres; what is no measurement (0 and
/// 65535) is no number.
#[must_use]
pub fn depth_m(depth_mm: u16) -> f32 {
    match depth_mm {
        NO_ECHO | TOO_FAR => f32::NAN,
        mm => f32::from(mm) / 1000.0,
    }
}

/// The parameters of a depth picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthSpec {
    /// What a pixel becomes.
    pub measure: Measure,
    /// Between the two eyes of the sensor that the encoder was trained on, in metres; of disparity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_m: Option<f64>,
    /// That sensor's focal length, in pixels; of disparity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_px: Option<f64>,
    /// Nearest and farthest distance that are told apart, in metres.
    pub clip_m: [f64; 2],
    /// Where holes are taken to be.
    #[serde(default, skip_serializing_if = "Holes::are_far")]
    pub holes: Holes,
    /// Height and width.
    pub side: usize,
    /// How the size is changed.
    #[serde(default, skip_serializing_if = "Scaling::is_area")]
    pub scaling: Scaling,
    /// Taken off, one for each channel; all channels hold the same picture.
    #[serde(default = "zero")]
    pub mean: Vec<f64>,
    /// Divides what is left, one for each channel.
    #[serde(default = "one")]
    pub std: Vec<f64>,
}

/// How the size of a plane is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// A pixel is the mean of the area that it covers, in which holes have no share.
    #[default]
    Area,
    /// By cubic interpolation with antialiasing, in floating point, the shorter side first brought to
    /// `side` and the middle then cut out (torchvision); holes are filled before.
    Bicubic,
}

impl Scaling {
    fn is_area(&self) -> bool {
        *self == Self::Area
    }
}

/// Where holes of a depth picture are taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holes {
    /// As far away as can be told.
    #[default]
    Far,
    /// As near as can be told.
    Near,
}

impl Holes {
    fn are_far(&self) -> bool {
        *self == Self::Far
    }
}

/// What a pixel of a depth picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `baseline_m * focal_px / distance`.
    Disparity,
    /// The distance in metres.
    Metric,
}

/// The parameters of a thermal picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThermalSpec {
    /// What becomes 0 and what becomes 1: degrees Celsius, or levels of grey (0 to 255).
    pub range: [f64; 2],
    /// How whole numbers of pictures and arrays become such values: `count * count_scale +
    /// count_offset`. Numbers with a fraction are such values already.
    #[serde(default = "one_count")]
    pub count_scale: f64,
    /// See `count_scale`.
    #[serde(default)]
    pub count_offset: f64,
    /// Height and width.
    pub side: usize,
    /// How the size is changed.
    #[serde(default, skip_serializing_if = "Scaling::is_area")]
    pub scaling: Scaling,
    /// Taken off, one for each channel; all channels hold the same picture.
    #[serde(default = "zero")]
    pub mean: Vec<f64>,
    /// Divides what is left, one for each channel.
    #[serde(default = "one")]
    pub std: Vec<f64>,
}

fn zero() -> Vec<f64> {
    vec![0.0]
}

fn one() -> Vec<f64> {
    vec![1.0]
}

pub(super) fn one_count() -> f64 {
    1.0
}

/// Why a picture cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// The values are not those of a picture of this size.
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
    /// Every measurement lies on the same side of the range.
    #[error("all values lie between {least} and {most}, out of the encoder's range {from} to {to}")]
    OutOfRange {
        /// The smallest value.
        least: f32,
        /// The largest value.
        most: f32,
        /// Where the range begins.
        from: f32,
        /// Where it ends.
        to: f32,
    },
}

/// What turns distances into the numbers an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthFrontEnd {
    spec: DepthSpec,
    /// Baseline times focal length; none if distances stay what they are.
    disparity: Option<f64>,
}

impl DepthFrontEnd {
    /// A front end of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &DepthSpec) -> Result<Self, FrontEndError> {
        let disparity = match (spec.measure, spec.baseline_m, spec.focal_px) {
            (Measure::Metric, None, None) => None,
            (Measure::Disparity, Some(baseline_m), Some(focal_px)) => {
                positive("baseline_m", baseline_m)?;
                positive("focal_px", focal_px)?;
                Some(baseline_m * focal_px)
            }
            _ => {
                return Err(FrontEndError::Together(
                    "baseline_m and focal_px are expected with measure \"disparity\", and only there",
                ));
            }
        };
        positive("clip_m", spec.clip_m[0])?;
        ascending("clip_m", spec.clip_m)?;
        check_channels(spec.side, &spec.mean, &spec.std)?;
        Ok(Self {
            spec: spec.clone(),
            disparity,
        })
    }

    /// `[channels, side, side]`.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        vec![self.spec.mean.len(), self.spec.side, self.spec.side]
    }

    /// The features of a picture of distances: its middle square.
    ///
    /// # Units
    ///
    /// Metres, as [`depth_m`] gives them; what is no number is a hole.
    ///
    /// # Errors
    ///
    /// Values that are no picture, or hold no measurement.
    pub fn extract(&self, depth_m: &[f32], width: usize) -> Result<Vec<f32>, PlaneError> {
        let [near, far] = self.spec.clip_m;
        let measure = |distance_m: f64| {
            let distance_m = distance_m.clamp(near, far);
            self.disparity
                .map_or(distance_m, |scale| scale / distance_m)
        };
        let measured = |m: &f32| m.is_finite().then(|| measure(f64::from(*m)));
        let values: Vec<Option<f64>> = depth_m.iter().map(measured).collect();
        let hole = match self.spec.holes {
            Holes::Far => measure(far),
            Holes::Near => measure(near),
        };
        let spec = &self.spec;
        let whole = square((&values, width), spec.side, spec.scaling, hole)?;
        Ok(normalised(&whole, &spec.mean, &spec.std))
    }
}

/// What turns thermal pictures into the numbers an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct ThermalFrontEnd {
    spec: ThermalSpec,
}

impl ThermalFrontEnd {
    /// A front end of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &ThermalSpec) -> Result<Self, FrontEndError> {
        ascending("range", spec.range)?;
        positive("count_scale", spec.count_scale)?;
        finite("count_offset", spec.count_offset)?;
        check_channels(spec.side, &spec.mean, &spec.std)?;
        Ok(Self { spec: spec.clone() })
    }

    /// `[channels, side, side]`.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        vec![self.spec.mean.len(), self.spec.side, self.spec.side]
    }

    /// What a whole number of a picture stands for, in the units of the range.
    #[must_use]
    pub fn value_of(&self, count: f64) -> f32 {
        (count * self.spec.count_scale + self.spec.count_offset) as f32
    }

    /// The features of a picture: its middle square. Holes are as cold as can be told.
    ///
    /// # Units
    ///
    /// Those of the range; what is no number is a hole.
    ///
    /// # Errors
    ///
    /// Values that are no picture, hold no measurement, or none on this side of the range's ends.
    pub fn extract(&self, values: &[f32], width: usize) -> Result<Vec<f32>, PlaneError> {
        let [cold, hot] = self.spec.range;
        check_range(values, self.spec.range)?;
        let share = |value: &f32| {
            let share = ((f64::from(*value) - cold) / (hot - cold)).clamp(0.0, 1.0);
            value.is_finite().then_some(share)
        };
        let shares: Vec<Option<f64>> = values.iter().map(share).collect();
        let spec = &self.spec;
        let whole = square((&shares, width), spec.side, spec.scaling, 0.0)?;
        Ok(normalised(&whole, &spec.mean, &spec.std))
    }
}

/// The middle square of a picture at another size, its holes filled.
fn square(
    (values, width): (&[Option<f64>], usize),
    side: usize,
    scaling: Scaling,
    hole: f64,
) -> Result<Vec<f64>, PlaneError> {
    let height = height(values.len(), width)?;
    if values.iter().all(Option::is_none) {
        return Err(PlaneError::Empty);
    }
    let filled = |values: &[Option<f64>]| -> Vec<f64> {
        values.iter().map(|value| value.unwrap_or(hole)).collect()
    };
    Ok(match scaling {
        Scaling::Area => {
            let region = Region::middle(width, height, side, side);
            filled(&resize(values, width, region, side, side))
        }
        Scaling::Bicubic => {
            let crop = resized_and_cropped(width, height, side);
            let size = (side, side);
            resize_floats(
                &filled(values),
                (width, 1),
                crop,
                size,
                Interpolation::Bicubic,
            )
        }
    })
}

/// Rows of a picture.
pub(super) fn height(values: usize, width: usize) -> Result<usize, PlaneError> {
    let height = values.checked_div(width).unwrap_or(0);
    if height == 0 || width * height != values {
        return Err(PlaneError::Size {
            values,
            width,
            height,
        });
    }
    Ok(height)
}

/// Whether some measurement is neither below nor above all that can be told.
fn check_range(values: &[f32], range: [f64; 2]) -> Result<(), PlaneError> {
    let [from, to] = range.map(|end| end as f32);
    let measured = || values.iter().copied().filter(|v| v.is_finite());
    let (least, most) = (
        measured().fold(f32::INFINITY, f32::min),
        measured().fold(f32::NEG_INFINITY, f32::max),
    );
    if most < from || (least > to && least.is_finite()) {
        return if most < least {
            Err(PlaneError::Empty)
        } else {
            Err(PlaneError::OutOfRange {
                least,
                most,
                from,
                to,
            })
        };
    }
    Ok(())
}

fn check_channels(side: usize, mean: &[f64], std: &[f64]) -> Result<(), FrontEndError> {
    in_range("side", side, 1, MAX_SIDE, "1 to 8192")?;
    in_range("channels of mean", mean.len(), 1, 64, "1 to 64")?;
    if mean.len() != std.len() {
        return Err(FrontEndError::Together(
            "mean and std are expected to have as many channels as each other",
        ));
    }
    mean.iter().try_for_each(|mean| finite("mean", *mean))?;
    std.iter().try_for_each(|std| positive("std", *std))?;
    holdable(&[mean.len(), side, side])
}

/// The same plane for each channel, less its mean, over its deviation.
fn normalised(plane: &[f64], mean: &[f64], std: &[f64]) -> Vec<f32> {
    let channel = |(mean, std): (&f64, &f64)| {
        let (mean, std) = (*mean, *std);
        plane.iter().map(move |value| ((value - mean) / std) as f32)
    };
    mean.iter().zip(std).flat_map(channel).collect()
}

#[cfg(test)]
mod tests;

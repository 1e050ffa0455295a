//! Clips of depth or thermal pictures: a few frames, centred on what is in them, and how they change.
//!
//! ```text
//! [t, h, w] ─pick frames─▶ ─cut out the foreground─▶ ─resize by areas─▶ ─normalise─▶ and differences
//! ```

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::front_end::{FrontEndError, ascending, finite, holdable, in_range, positive};
use super::plane::{MAX_SIDE, PlaneError, Region, one_count, resize};

/// Rates of frames that cameras have, in hertz.
const RATES_HZ: core::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// The parameters of a clip of depth or thermal pictures.
///
/// # Examples
///
/// A person in front of a depth camera: 16 frames over the whole clip, 48 x 48 pixels around the
/// person, distances from the person's own in units of 0.4 m, each frame with its change.
///
/// ```json
/// {"kind": "frames", "of": "depth", "frames": 16, "height": 48, "width": 48, "range": [0.3, 5.0],
///  "foreground_reach": 3.0, "subtract": "median", "scale": 0.4, "limit": 3.0, "differences": true}
/// ```
///
/// Two seconds of a 16 x 16 thermal array whose bytes are sixths of a degree above 10 °C:
///
/// ```json
/// {"kind": "frames", "of": "thermal", "frames": 16, "height": 16, "width": 16, "clip_s": 2.0,
///  "count_scale": 0.16666667, "count_offset": 10.0, "offset": -22.0, "scale": 5.0}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FramesSpec {
    /// What the frames measure.
    pub of: FramesOf,
    /// Frames that are looked at, evenly from the clip's first to its last.
    pub frames: usize,
    /// Rows of a frame.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Length of a clip, in seconds; a shorter input is continued with its last frame. By default
    /// the whole input is one clip, however long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_s: Option<f64>,
    /// Values outside are holes: background, or nothing. By default only what was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// How whole numbers become thermal values: `count * count_scale + count_offset`. Numbers with
    /// a fraction are such values already; depth is in millimetres.
    #[serde(default = "one_count")]
    pub count_scale: f64,
    /// See `count_scale`.
    #[serde(default)]
    pub count_offset: f64,
    /// How high a frame is, in square roots of the mean area of all that is no hole, around whose
    /// middle it is cut out. By default it is the largest part in the middle of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreground_reach: Option<f64>,
    /// What is taken off all values of the clip first.
    #[serde(default)]
    pub subtract: Subtract,
    /// Added to what is left.
    #[serde(default)]
    pub offset: f64,
    /// Divides the sum.
    #[serde(default = "one_count")]
    pub scale: f64,
    /// Largest value, and least negative one, of the result; larger ones become it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// What a hole is in the result.
    #[serde(default)]
    pub hole: f64,
    /// Whether each frame comes with what it differs from the one before it, as a second channel; 0
    /// for the first.
    #[serde(default)]
    pub differences: bool,
    /// Axes of the result.
    #[serde(default)]
    pub axes: FramesAxes,
}

/// What frames measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramesOf {
    /// Distances, in metres.
    Depth,
    /// Temperatures in degrees Celsius, or levels of grey.
    Thermal,
}

/// What is taken off all values of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subtract {
    /// Nothing.
    #[default]
    None,
    /// The median of the frames that are looked at, holes left out.
    Median,
}

/// Axes of the features of a clip. There are two channels with differences, else one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramesAxes {
    /// `[frames, channels, height, width]`.
    #[default]
    FrameChannel,
    /// `[channels, frames, height, width]`.
    ChannelFrame,
    /// `[frames * channels, height, width]`, in the order of the first.
    Folded,
}

/// Why a clip cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum FramesError {
    /// The clip holds nothing that can be looked at.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A rate that no camera has.
    #[error("the frame rate is {rate_hz} Hz, expected 0.01 to 1000 Hz")]
    Rate {
        /// The rate.
        rate_hz: f64,
    },
    /// The encoder's clip has a length in seconds, and nobody said how long a frame is.
    #[error("the encoder takes clips of {clip_s} s, so the frame rate is needed")]
    NoRate {
        /// Length of the encoder's clip.
        clip_s: f64,
    },
}

/// A clip of pictures of one size: metres, or thermal values; what is no number is a hole.
#[derive(Debug, Clone, Copy)]
pub struct Clip<'a> {
    /// `[frames, height, width]`.
    pub values: &'a [f32],
    /// Rows of a frame.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

/// How the part of a clip that is looked at is moved and sized, in training: somebody stands
/// elsewhere, or is larger or broader than the front end would have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// To the right, as a share of its width.
    pub right: f64,
    /// Downwards, as a share of its height.
    pub down: f64,
    /// Times as wide.
    pub width: f64,
    /// Times as high.
    pub height: f64,
}

impl Placement {
    /// Where the front end puts it.
    pub const OWN: Self = Self {
        right: 0.0,
        down: 0.0,
        width: 1.0,
        height: 1.0,
    };

    fn apply(self, region: Region) -> Region {
        let (width, height) = (region.width * self.width, region.height * self.height);
        Region {
            left: region.left + (region.width - width) / 2.0 + self.right * region.width,
            top: region.top + (region.height - height) / 2.0 + self.down * region.height,
            width,
            height,
        }
    }
}

/// What turns clips into the numbers an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct FramesFrontEnd {
    spec: FramesSpec,
}

impl FramesFrontEnd {
    /// A front end of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &FramesSpec) -> Result<Self, FrontEndError> {
        in_range("frames", spec.frames, 1, 4096, "1 to 4096")?;
        in_range("height", spec.height, 1, MAX_SIDE, "1 to 8192")?;
        in_range("width", spec.width, 1, MAX_SIDE, "1 to 8192")?;
        for (name, value) in [
            ("clip_s", spec.clip_s),
            ("foreground_reach", spec.foreground_reach),
            ("limit", spec.limit),
            ("scale", Some(spec.scale)),
            ("count_scale", Some(spec.count_scale)),
        ] {
            value.map_or(Ok(()), |value| positive(name, value))?;
        }
        for (name, value) in [
            ("offset", spec.offset),
            ("hole", spec.hole),
            ("count_offset", spec.count_offset),
        ] {
            finite(name, value)?;
        }
        if let Some(range) = spec.range {
            ascending("range", range)?;
        }
        if spec.of == FramesOf::Depth && (spec.count_scale, spec.count_offset) != (1.0, 0.0) {
            return Err(FrontEndError::Together(
                "count_scale and count_offset are expected of thermal frames only",
            ));
        }
        let front_end = Self { spec: spec.clone() };
        holdable(&front_end.output_shape())?;
        Ok(front_end)
    }

    /// Its parameters.
    #[must_use]
    pub fn spec(&self) -> &FramesSpec {
        &self.spec
    }

    /// As [`FramesAxes`] say.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        let FramesSpec {
            frames,
            height,
            width,
            ..
        } = self.spec;
        let channels = self.channels();
        match self.spec.axes {
            FramesAxes::FrameChannel => vec![frames, channels, height, width],
            FramesAxes::ChannelFrame => vec![channels, frames, height, width],
            FramesAxes::Folded => vec![frames * channels, height, width],
        }
    }

    fn channels(&self) -> usize {
        1 + usize::from(self.spec.differences)
    }

    /// What a whole number of a thermal picture stands for.
    #[must_use]
    pub fn value_of(&self, count: f64) -> f32 {
        (count * self.spec.count_scale + self.spec.count_offset) as f32
    }

    /// Frames of a clip at a rate; none if all of an input is one clip.
    ///
    /// # Errors
    ///
    /// A rate that no camera has, or none where one is needed.
    pub fn clip_frames(&self, rate_hz: Option<f64>) -> Result<Option<usize>, FramesError> {
        if let Some(rate_hz) = rate_hz
            && !RATES_HZ.contains(&rate_hz)
        {
            return Err(FramesError::Rate { rate_hz });
        }
        match (self.spec.clip_s, rate_hz) {
            (None, _) => Ok(None),
            (Some(clip_s), None) => Err(FramesError::NoRate { clip_s }),
            (Some(clip_s), Some(rate_hz)) => {
                Ok(Some((libm::round(clip_s * rate_hz) as usize).max(1)))
            }
        }
    }

    /// The features of one clip of so many frames, or of all that there are. A shorter one is
    /// continued with its last frame.
    ///
    /// # Errors
    ///
    /// Values that are no clip, or hold no measurement.
    pub fn extract(
        &self,
        clip: Clip<'_>,
        clip_frames: Option<usize>,
    ) -> Result<Vec<f32>, FramesError> {
        self.extract_at(clip, clip_frames, Placement::OWN)
    }

    /// As [`extract`](Self::extract), looking elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn extract_at(
        &self,
        clip: Clip<'_>,
        clip_frames: Option<usize>,
        placement: Placement,
    ) -> Result<Vec<f32>, FramesError> {
        let pixels = clip.height.saturating_mul(clip.width);
        let count = clip.values.len().checked_div(pixels).unwrap_or(0);
        if count == 0 || count * pixels != clip.values.len() {
            return Err(FramesError::Plane(PlaneError::Size {
                values: clip.values.len(),
                width: clip.width,
                height: clip.height,
            }));
        }
        let picked = self.picked(clip_frames.unwrap_or(count), count);
        let frames: Vec<Vec<Option<f64>>> = picked
            .map(|at| self.measured(&clip.values[at * pixels..][..pixels]))
            .collect();
        let region = placement.apply(self.region(&frames, clip)?);
        let taken_off = match self.spec.subtract {
            Subtract::None => 0.0,
            Subtract::Median => median(frames.iter().flatten().flatten().copied().collect()),
        };
        let FramesSpec { height, width, .. } = self.spec;
        let planes = frames.iter().map(|frame| {
            let scaled = resize(frame, clip.width, region, width, height);
            let normal = |value: Option<f64>| self.normalised(value, taken_off);
            scaled.into_iter().map(normal).collect()
        });
        Ok(self.arranged(&planes.collect::<Vec<Vec<f32>>>()))
    }

    /// Which frames of a clip of `len` are looked at, if there are `count` of them.
    fn picked(&self, len: usize, count: usize) -> impl Iterator<Item = usize> {
        let gaps = (self.spec.frames - 1).max(1);
        let at = move |n: usize| (2 * n * (len - 1) + gaps) / (2 * gaps);
        (0..self.spec.frames).map(move |n| at(n).min(count - 1))
    }

    fn measured(&self, frame: &[f32]) -> Vec<Option<f64>> {
        let [from, to] = self
            .spec
            .range
            .unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let measured = |value: &f32| {
            let value = f64::from(*value);
            (value.is_finite() && (from..=to).contains(&value)).then_some(value)
        };
        frame.iter().map(measured).collect()
    }

    /// The part of the pictures that is looked at: the same in all frames.
    fn region(&self, frames: &[Vec<Option<f64>>], clip: Clip<'_>) -> Result<Region, PlaneError> {
        let (mut area, mut across, mut down) = (0.0, 0.0, 0.0);
        let mut filled = 0.0;
        for frame in frames {
            let before = area;
            for (at, _) in frame.iter().enumerate().filter(|(_, v)| v.is_some()) {
                area += 1.0;
                across += (at % clip.width) as f64 + 0.5;
                down += (at / clip.width) as f64 + 0.5;
            }
            filled += f64::from(u8::from(area > before));
        }
        if area == 0.0 {
            return Err(PlaneError::Empty);
        }
        let (to_width, to_height) = (self.spec.width, self.spec.height);
        let Some(reach) = self.spec.foreground_reach else {
            return Ok(Region::middle(clip.width, clip.height, to_width, to_height));
        };
        let height = reach * libm::sqrt(area / filled);
        let width = height * to_width as f64 / to_height as f64;
        Ok(Region {
            left: across / area - width / 2.0,
            top: down / area - height / 2.0,
            width,
            height,
        })
    }

    fn normalised(&self, value: Option<f64>, taken_off: f64) -> f32 {
        let spec = &self.spec;
        let normal = |value: f64| (value - taken_off + spec.offset) / spec.scale;
        let limited = |value: f64| spec.limit.map_or(value, |most| value.clamp(-most, most));
        value.map_or(spec.hole, |value| limited(normal(value))) as f32
    }

    /// Frames and differences in the order of the axes.
    fn arranged(&self, frames: &[Vec<f32>]) -> Vec<f32> {
        let change = |at: usize| -> Vec<f32> {
            let before = &frames[at.saturating_sub(1)];
            let pairs = frames[at].iter().zip(before);
            pairs.map(|(now, before)| now - before).collect()
        };
        let changes: Vec<Vec<f32>> = if self.spec.differences {
            (0..frames.len()).map(change).collect()
        } else {
            Vec::new()
        };
        let by_channel = self.spec.axes == FramesAxes::ChannelFrame;
        let planes: Vec<&Vec<f32>> = if changes.is_empty() || by_channel {
            frames.iter().chain(&changes).collect()
        } else {
            let pairs = frames.iter().zip(&changes);
            pairs.flat_map(|(frame, change)| [frame, change]).collect()
        };
        planes.into_iter().flatten().copied().collect()
    }
}

/// The value in the middle; the upper one of two.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests;

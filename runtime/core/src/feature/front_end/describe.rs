//! Front ends in a line of words.

use core::fmt;

use super::FrontEnd;
use crate::feature::frames::{FramesOf, FramesSpec};
use crate::feature::photo::{ImageSpec, Resize};
use crate::feature::plane::{DepthSpec, Measure, ThermalSpec};
use crate::feature::sound::{LogMelSpec, WaveSpec};

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imu {
                rate_hz,
                samples,
                units,
                order,
            } => {
                write!(f, "{samples} samples at {rate_hz} Hz in {units}")?;
                if order.is_default() {
                    Ok(())
                } else {
                    f.write_str(", channels in another order")
                }
            }
            Self::LogMel(spec) => log_mel(spec, f),
            Self::Wave(WaveSpec {
                clip_s, rate_hz, ..
            }) => write!(f, "{clip_s} s of sound at {rate_hz} Hz, sample by sample"),
            Self::Image(spec) => image(spec, f),
            Self::Thermal(ThermalSpec { range, side, .. }) => {
                let [cold, hot] = range;
                write!(
                    f,
                    "a picture of {side} x {side} thermal values from {cold} to {hot}"
                )
            }
            Self::Depth(spec) => depth(spec, f),
            Self::Frames(spec) => frames(spec, f),
        }
    }
}

fn log_mel(spec: &LogMelSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let LogMelSpec {
        clip_s,
        rate_hz,
        mels,
        frames,
        f_min_hz,
        f_max_hz,
        ..
    } = spec;
    write!(
        f,
        "{clip_s} s of sound at {rate_hz} Hz as {frames} frames of {mels} mels from {f_min_hz} to \
         {f_max_hz} Hz"
    )
}

fn image(spec: &ImageSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match spec.resize {
        Resize::ShorterSide(side) => write!(f, "a picture with its shorter side at {side}")?,
        Resize::Exact([height, width]) => write!(f, "a picture of {width} x {height}")?,
    }
    match spec.crop {
        Some([height, width]) => write!(f, ", its middle {width} x {height}"),
        None => Ok(()),
    }
}

fn depth(spec: &DepthSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let DepthSpec { side, clip_m, .. } = spec;
    let what = match spec.measure {
        Measure::Disparity => "disparities",
        Measure::Metric => "distances",
    };
    let [near, far] = clip_m;
    write!(
        f,
        "a picture of {side} x {side} {what} of {near} to {far} m"
    )
}

fn frames(spec: &FramesSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let FramesSpec {
        frames,
        height,
        width,
        ..
    } = spec;
    let of = match spec.of {
        FramesOf::Depth => "depth",
        FramesOf::Thermal => "thermal",
    };
    write!(f, "{frames} {of} frames of {width} x {height}")?;
    match spec.clip_s {
        Some(clip_s) => write!(f, " in {clip_s} s"),
        None => f.write_str(" of a whole clip"),
    }
}

//! What ImageBind's encoders are given, as front ends.
//!
//! For sound and pictures it is what the reference does. For depth, thermal pictures and inertial windows
//! the reference publishes nothing; what its authors and users describe in its issues stands in for it, and
//! `--front-ends` for whoever knows better.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::{
    DepthSpec, FrontEnd, Holes, ImageSpec, ImuOrder, LogMelSpec, Longer, Measure, Resize, Scaling,
    ThermalSpec,
};
use sensorium_engine::keys::from_toml;
use sensorium_model::{EncoderConfig, InputConfig, TowerConfig};
use sensorium_pack::Modality;

/// Between the eyes of the Kinect that most depth pictures of the reference's training come from, and its
/// focal length in pixels.
const BASELINE_M: f64 = 0.075;
const FOCAL_PX: f64 = 518.857_901;

/// Disparity of which Omnivore, by the same group, makes 1, and mean and deviation of what comes out.
const DISPARITY: f64 = 75.0;
const DEPTH_MEAN: f64 = 0.0418;
const DEPTH_STD: f64 = 0.0295;

/// Samples a second of inertial windows: 2000 of them are the 5 s of the paper.
const IMU_HZ: f32 = 400.0;

/// Front ends by sense, of a file.
///
/// # Errors
///
/// A file that is missing or not understood.
pub fn open(path: &Path) -> anyhow::Result<BTreeMap<Modality, FrontEnd>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    from_toml(&text).with_context(|| format!("{path:?}"))
}

/// The front end of an encoder, its own or the default one.
///
/// # Errors
///
/// One that is for another sense, or gives inputs of another shape.
pub fn checked(own: Option<&FrontEnd>, config: &EncoderConfig) -> anyhow::Result<FrontEnd> {
    let front_end = match own {
        Some(own) => own.clone(),
        None => default(&config.input)?,
    };
    let (shape, taken) = (
        front_end.build()?.output_shape(),
        TowerConfig::Transformer(*config).input_shape(),
    );
    ensure!(
        shape == taken,
        "its front end gives {shape:?}, expected {taken:?}"
    );
    Ok(front_end)
}

fn default(input: &InputConfig) -> anyhow::Result<FrontEnd> {
    Ok(match *input {
        InputConfig::Vision { side, .. } => FrontEnd::Image(ImageSpec {
            resize: Resize::ShorterSide(side),
            crop: Some([side; 2]),
            ..ImageSpec::reference()
        }),
        InputConfig::Audio { mels, frames, .. } => FrontEnd::LogMel(LogMelSpec {
            mels,
            frames,
            longer: Longer::ThreeClips,
            ..LogMelSpec::reference()
        }),
        InputConfig::Depth { side, .. } => FrontEnd::Depth(DepthSpec {
            measure: Measure::Disparity,
            baseline_m: Some(BASELINE_M),
            focal_px: Some(FOCAL_PX),
            clip_m: [0.01, 50.0],
            holes: Holes::Far,
            side,
            scaling: Scaling::Area,
            mean: vec![DEPTH_MEAN * DISPARITY],
            std: vec![DEPTH_STD * DISPARITY],
        }),
        InputConfig::Thermal { side, .. } => FrontEnd::Thermal(ThermalSpec {
            range: [0.0, 255.0],
            count_scale: 1.0,
            count_offset: 0.0,
            side,
            scaling: Scaling::Bicubic,
            mean: vec![0.0],
            std: vec![1.0],
        }),
        InputConfig::Imu { samples, .. } => FrontEnd::Imu {
            rate_hz: IMU_HZ,
            samples,
            units: "m/s2,rad/s".to_owned(),
            order: ImuOrder::default(),
        },
        InputConfig::Text { .. } => bail!("texts have no front end"),
    })
}

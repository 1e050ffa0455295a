//! Views of videos.

use anyhow::{Context, ensure};
use sensorium_core::feature::{CROPS, Image, VideoFrontEnd};
use serde::Deserialize;

use super::encoders::at;
use super::folder::{Folder, Vector};
use super::report::{Report, Tolerance};

const FILE: &str = "video.safetensors";
const SETTINGS: &str = "video.json";

/// Of interpolation in 32 bits.
const VIEW: Tolerance = Tolerance::Absolute(2e-6);

/// Of means over a view, which PyTorch rounds in another order.
const MEAN: Tolerance = Tolerance::Absolute(1e-5);

#[derive(Debug, Deserialize)]
struct Settings {
    fps: f64,
    frames: usize,
    out_shape: Vec<usize>,
    clip_frame_ranges: Vec<(usize, usize)>,
    frames_used: Vec<Vec<usize>>,
}

/// Compares the frames that are looked at, and what is made of them.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(FILE) {
        return Ok(());
    }
    let settings: Settings = folder.json(SETTINGS)?;
    let vectors = folder.vectors(FILE)?;
    let front_end = VideoFrontEnd::reference();
    // To a thousandth of a frame a second, which tells all rates in use apart.
    let fps = ((settings.fps * 1000.0).round() as u32, 1000);
    ensure!(fps.0 > 0, "a rate of {} frames a second", settings.fps);
    let ranges = front_end.ranges(settings.frames, fps.0, fps.1);
    let used: Vec<_> = ranges
        .iter()
        .map(|range| front_end.frames_of(*range))
        .collect();
    let same = ranges == settings.clip_frame_ranges && used == settings.frames_used;
    report.same("frames", SETTINGS, same);

    let source = "frames_thwc_u8";
    let video = frames(vectors.get(source)?).context(source)?;
    ensure!(video.len() == settings.frames, "{} frames", video.len());
    let views = front_end.views(&video, fps.0, fps.1);
    let (side, looked_at) = (front_end.side, front_end.frames);
    let shape = vec![front_end.clips * CROPS, 3, looked_at, side, side];
    report.same("shape", SETTINGS, shape == settings.out_shape);
    let plane = side * side;
    for (name, vector) in vectors.iter() {
        let expected = &vector.values;
        let item = at(FILE, name);
        if name == source {
            report.same("input", item, true);
        } else if let Some(crop) = name.strip_prefix("crop_") {
            let index: usize = crop.split('_').next().unwrap_or_default().parse()?;
            let view = views.chunks_exact(3 * looked_at * plane).nth(index);
            let view = view.with_context(|| format!("there is no view {index}"))?;
            let actual: Vec<f64> = view.iter().map(|v| f64::from(*v)).collect();
            report.compare("view", item, &actual, expected, VIEW);
        } else if name.contains("subsampled") {
            let step = step(name).with_context(|| format!("no step in {name:?}"))?;
            let few = |plane: &[f32]| -> Vec<f64> {
                let rows = plane.chunks_exact(side).step_by(step);
                rows.flat_map(|row| row.iter().step_by(step).map(|v| f64::from(*v)))
                    .collect()
            };
            let actual: Vec<f64> = views.chunks_exact(plane).flat_map(few).collect();
            report.compare("views", item, &actual, expected, VIEW);
        } else if name.ends_with("_mean") {
            let actual: Vec<f64> = views.chunks_exact(plane).map(|p| moments(p).0).collect();
            report.compare("views", item, &actual, expected, MEAN);
        } else if name.ends_with("_std") {
            let actual: Vec<f64> = views.chunks_exact(plane).map(|p| moments(p).1).collect();
            report.compare("views", item, &actual, expected, MEAN);
        }
    }
    Ok(())
}

/// The number in names such as `all15_subsampled_every_28th_px`.
fn step(name: &str) -> Option<usize> {
    let (_, rest) = name.split_once("every_")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|step| *step > 0)
}

/// Mean and standard deviation, the latter by one less than the count.
fn moments(plane: &[f32]) -> (f64, f64) {
    let values = || plane.iter().map(|v| f64::from(*v));
    let mean = values().sum::<f64>() / plane.len() as f64;
    let squares: f64 = values().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (plane.len() - 1) as f64).sqrt())
}

fn frames(vector: &Vector) -> anyhow::Result<Vec<Image<3>>> {
    let [_, height, width, 3] = vector.shape[..] else {
        anyhow::bail!("it has shape {:?}, expected frames in colour", vector.shape);
    };
    let bytes: Vec<u8> = vector.values.iter().map(|v| *v as u8).collect();
    let frames = bytes
        .as_chunks::<3>()
        .0
        .chunks_exact((width * height).max(1));
    let frame = |pixels: &[[u8; 3]]| Image::new(width, height, pixels.to_vec());
    frames
        .map(|pixels| frame(pixels).context("it has no pixels"))
        .collect()
}

//! Recordings, and what a tagger says of them on the whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sensorium_core::feature::SoundFrontEnd;
use sensorium_core::feature::clip::windows;
use sensorium_data::batch::in_order;
use sensorium_media::Sound;

use crate::anchor::model::Runner;
use crate::progress;
use tract_onnx::prelude::Tensor;

/// File name endings of sound.
const SOUNDS: [&str; 3] = ["flac", "ogg", "wav"];

/// Windows that are heard of one recording, so that long ones do not outweigh the rest.
const WINDOWS: usize = 4;

/// Recordings read at once.
const BLOCK: usize = 16;

/// Spreads below this are none: an output that never moves says nothing.
const LEAST_SPREAD: f64 = 1e-3;

/// Mean and standard deviation of each output of a tagger.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// The means.
    pub means: Vec<f64>,
    /// The standard deviations.
    pub spreads: Vec<f64>,
    /// Windows that they are over.
    pub windows: usize,
    /// Whether no output was ever below 0 or above 1, as probabilities are.
    pub within_one: bool,
}

/// All recordings under folders, in the order of their names.
///
/// # Errors
///
/// A folder that cannot be read or holds no recording.
pub fn find(dirs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in dirs {
        let before = found.len();
        walk(dir, &mut found)?;
        ensure!(
            found.len() > before,
            "{dir:?} holds no recording, expected files that end in {}",
            SOUNDS.join(", ")
        );
    }
    Ok(found)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = read().with_context(|| format!("reading {dir:?}"))?;
    paths.sort();
    for path in paths {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() && !path.is_symlink() {
            walk(&path, found)?;
        } else if ending.is_some_and(|ending| SOUNDS.contains(&ending)) {
            found.push(path);
        }
    }
    Ok(())
}

impl Statistics {
    /// Of what a tagger says of recordings, window by window.
    ///
    /// # Errors
    ///
    /// A recording that cannot be read, or a tagger that fails on one.
    pub fn of(
        paths: &[PathBuf],
        front_end: &SoundFrontEnd,
        runner: &Runner,
    ) -> anyhow::Result<Self> {
        let bar = progress::bar(paths.len() as u64, "recordings");
        let hear = |path: &PathBuf| {
            let logits = hear(path, front_end, runner);
            logits.with_context(|| format!("{path:?}"))
        };
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        let (mut count, mut within_one) = (0usize, true);
        for heard in in_order(paths, BLOCK, hear) {
            for logits in heard? {
                sums.resize(logits.len(), 0.0f64);
                squares.resize(logits.len(), 0.0f64);
                for ((sum, square), logit) in sums.iter_mut().zip(&mut squares).zip(&logits) {
                    *sum += f64::from(*logit);
                    *square += f64::from(*logit) * f64::from(*logit);
                }
                within_one &= logits.iter().all(|logit| (0.0..=1.0).contains(logit));
                count += 1;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        ensure!(count > 1, "{count} windows of sound, expected at least 2");
        let over = |sum: f64| sum / count as f64;
        let means: Vec<f64> = sums.into_iter().map(over).collect();
        let spreads = means.iter().zip(squares).map(|(mean, square)| {
            let variance = (over(square) - mean * mean).max(0.0);
            variance.sqrt().max(LEAST_SPREAD)
        });
        Ok(Self {
            spreads: spreads.collect(),
            means,
            windows: count,
            within_one,
        })
    }
}

/// What a tagger says of the windows of a recording.
fn hear(path: &Path, front_end: &SoundFrontEnd, runner: &Runner) -> anyhow::Result<Vec<Vec<f32>>> {
    let sound = Sound::open(path)?;
    let samples = front_end.resample(&sound.mono(), sound.rate_hz)?;
    let len = front_end.clip_samples();
    let mut features = vec![0.0; front_end.output_len()];
    let shape = [&[1], &front_end.output_shape()[..]].concat();
    let window = |start: usize| {
        front_end.clip(
            &samples[start..samples.len().min(start + len)],
            &mut features,
        )?;
        let (logits, _) = runner.run(vec![Tensor::from_shape(&shape, &features)?])?;
        Ok(logits)
    };
    windows(samples.len(), len)
        .take(WINDOWS)
        .map(window)
        .collect()
}

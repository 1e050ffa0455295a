//! `eval`: what an encoder gets right on people whom it was not trained on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::ensure;
use burn::prelude::*;
use burn::tensor::TensorData;
use sensorium_core::bank::ClassBank;
use sensorium_model::backend::Inference;
use sensorium_model::encoder::IMU_CHANNELS;
use sensorium_model::{Encoder, Input};

use crate::anchor::Anchor;
use crate::labelled::Labelled;
use crate::recipe::Recipe;
use crate::run::RunDir;

mod calibration;
mod report;

pub use report::Report;

/// Windows that are embedded at once.
const BATCH: usize = 256;

/// Measures a training on the people it held out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training's folder.
    run: PathBuf,
    /// Folder with the data set's files.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let run = RunDir::open(&args.run)?;
    let (recipe, anchor, facts) = (run.recipe()?, run.anchor()?, run.facts()?);
    let data = Labelled::open(&recipe, &args.data)?;
    let split = data.split(&recipe, facts.fold)?;
    ensure!(
        split.held_out_people == facts.held_out_people
            && split.held_out.len() == facts.held_out_windows,
        "{:?} is not the data that the training was given",
        args.data
    );
    let encoder = run.encoder::<Inference>(&Default::default())?;
    let embeddings = embed(&encoder, &data, &split.held_out)?;
    let predictions = Predictions::new(&recipe, &anchor, &data, &split.held_out, &embeddings)?;
    let report = Report::new(&recipe, &predictions, &facts.held_out_people);
    run.write_json("eval.json", &report)?;
    let mut out = std::io::stdout().lock();
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&report)?)
    } else {
        report.to_string()
    };
    match out.write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The embeddings of some windows, one after the other.
pub fn embed(
    encoder: &Encoder<Inference>,
    data: &Labelled,
    windows: &[usize],
) -> anyhow::Result<Vec<f32>> {
    let device = Default::default();
    let mut embeddings = Vec::new();
    for windows in windows.chunks(BATCH) {
        let shape = [
            windows.len(),
            IMU_CHANNELS,
            data.feature_len() / IMU_CHANNELS,
        ];
        let input = TensorData::new(data.batch(windows)?, shape);
        let output = encoder.forward(Input::windows(Tensor::from_data(input, &device)));
        embeddings.extend(output.into_data().iter::<f32>());
    }
    Ok(embeddings)
}

/// What an encoder says of some windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// The person of each window.
    pub users: Vec<u32>,
    /// The class of each window.
    pub classes: Vec<usize>,
    /// The cosines of each window to all classes.
    pub cosines: Vec<Vec<f32>>,
    /// The cosines of each window to the background prompts.
    pub background: Vec<Vec<f32>>,
}

impl Predictions {
    /// Compares embeddings with the recipe's words. Windows without a class are left out.
    pub fn new(
        recipe: &Recipe,
        anchor: &Anchor,
        data: &Labelled,
        windows: &[usize],
        embeddings: &[f32],
    ) -> anyhow::Result<Self> {
        let (classes, background) = (anchor.classes(recipe)?, anchor.background(recipe)?);
        let bank = |rows| ClassBank::new(anchor.dim(), rows);
        let (Some(classes), Some(background)) = (bank(&classes), bank(&background)) else {
            anyhow::bail!("the anchor holds no numbers");
        };
        let mut predictions = Self {
            users: Vec::new(),
            classes: Vec::new(),
            cosines: Vec::new(),
            background: Vec::new(),
        };
        for (&window, embedding) in windows.iter().zip(embeddings.chunks_exact(anchor.dim())) {
            let Some(class) = data.classes[window] else {
                continue;
            };
            predictions.users.push(data.set.sources()[window].user);
            predictions.classes.push(class);
            predictions
                .cosines
                .push(classes.cosines(embedding).collect());
            predictions
                .background
                .push(background.cosines(embedding).collect());
        }
        Ok(predictions)
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The class of a window that is named, among some.
    pub fn named(&self, window: usize, among: &[usize]) -> Option<usize> {
        let cosines = &self.cosines[window];
        let best = |a: usize, b: usize| if cosines[b] > cosines[a] { b } else { a };
        among.iter().copied().reduce(best)
    }

    /// Share of all windows that are named rightly among all classes.
    pub fn accuracy(&self) -> f64 {
        let all: Vec<usize> = (0..self.cosines.first().map_or(0, Vec::len)).collect();
        self.share(|_| true, &all).unwrap_or(0.0)
    }

    /// Share of the windows that `counts` takes that are named rightly among some classes; none
    /// if it takes no window.
    pub fn share(&self, counts: impl Fn(usize) -> bool, among: &[usize]) -> Option<f64> {
        let (mut right, mut total) = (0u32, 0u32);
        for window in (0..self.len()).filter(|&window| counts(window)) {
            total += 1;
            right += u32::from(self.named(window, among) == Some(self.classes[window]));
        }
        (total > 0).then(|| f64::from(right) / f64::from(total))
    }
}

//! `export`: an encoder as an ONNX file that any runtime can run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use sensorium_model::TowerConfig;
use sensorium_model::backend::Inference;
use sensorium_model::weights::{Weights, WeightsError};

use crate::run::RunDir;

mod compare;
mod conv;
mod encoder;
mod example;
pub mod word;

pub use compare::{MAX_ABS, embed_onnx};
pub use example::examples;

/// Writes the encoder as ONNX and compares it with the original.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training's folder.
    run: PathBuf,
    /// Where the file goes.
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
}

/// Runs the command; fails if the file computes something else.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let run = RunDir::open(&args.run)?;
    let (onnx, difference) = export(&run)?;
    sensorium_pack::write_whole(&args.out, &onnx)
        .with_context(|| format!("writing {:?}", args.out))?;
    println!(
        "{} bytes, differs from the checkpoint by {difference:.2e} (at most {MAX_ABS:.0e})",
        onnx.len()
    );
    Ok(if difference <= MAX_ABS {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// An encoder as an ONNX file.
pub fn to_onnx(weights: &Weights, config: &TowerConfig) -> Result<Vec<u8>, WeightsError> {
    match config {
        TowerConfig::Transformer(config) => encoder::to_onnx(weights, config),
        TowerConfig::Conv(config) => conv::to_onnx(weights, config),
    }
}

/// A training's encoder as ONNX, and how far its embeddings are from the original's.
pub fn export(run: &RunDir) -> anyhow::Result<(Vec<u8>, f32)> {
    let (weights, config) = run.checkpoint()?;
    let onnx = to_onnx(&weights, &config)?;
    let examples = examples(&run.recipe()?)?;
    let original = run.encoder::<Inference>(&Default::default())?;
    let expected = compare::embed(&original, &examples.concat());
    let shape = config.input_shape();
    let all = embed_onnx(&onnx, &shape, &examples.concat())?;
    let mut difference = compare::max_abs(&all, &expected);
    // One by one as well: the runtime does not batch.
    for (example, expected) in examples.iter().zip(expected.chunks_exact(config.output())) {
        let alone = embed_onnx(&onnx, &shape, example)?;
        difference = difference.max(compare::max_abs(&alone, expected));
    }
    Ok((onnx, difference))
}

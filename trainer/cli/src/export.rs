//! `export`: an encoder as an ONNX file that any runtime can run.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use sensorium_model::TowerConfig;
use sensorium_model::backend::Inference;
use sensorium_model::weights::{Weights, WeightsError};
use tract_onnx::prelude::Tensor;

use crate::anchor::model::Model;
use crate::graft::graft;
use crate::quantize::{MIN_COSINE, Quantize, Summary, cosine, described};
use crate::run::{RunDir, TRUNK};
use crate::trunk::TrunkConfig;

mod compare;
mod conv;
mod encoder;
mod example;
mod rounded;
pub mod word;

pub use compare::{MAX_ABS, OnnxEncoder, embed_onnx};
pub use encoder::{Activation, Form, normalised, write as write_encoder};
pub use example::{examples, examples_of};
pub use rounded::Rounded;

/// Writes the encoder as ONNX and compares it with the original.
///
/// Exit status 1 says that the file computes something else.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training's folder.
    run: PathBuf,
    /// Where the file goes.
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    /// How weights are written.
    #[arg(long, value_enum, default_value_t)]
    quantize: Quantize,
    #[command(flatten)]
    tolerance: Tolerance,
}

/// How much of an encoder weights of 8 bits may change.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Tolerance {
    /// Least cosine of an embedding to the one by float weights, on a few made-up recordings; what it
    /// costs on real ones `eval --quantize int8` says
    #[arg(long, value_name = "COSINE", default_value_t = MIN_COSINE)]
    pub min_cosine: f32,
}

/// An encoder as a file, compared with the original on a few examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The file.
    pub onnx: Vec<u8>,
    /// The largest difference that the file has with weights as floats.
    pub difference: f32,
    /// What became of the weights, if they are integers.
    pub quantised: Option<Quantised>,
}

/// What making integers of the weights did.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// To the weights.
    pub summary: Summary,
    /// Length of the file with weights as floats.
    pub float_len: usize,
    /// The least cosine of an embedding to the original's.
    pub cosine: f32,
    /// Embeddings compared.
    pub examples: usize,
}

/// Runs the command; fails if the file computes something else.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let run = RunDir::open(&args.run)?;
    let exported = export(&run, args.quantize)?;
    sensorium_pack::write_whole(&args.out, &exported.onnx)
        .with_context(|| format!("writing {:?}", args.out))?;
    println!("{exported}");
    Ok(match exported.check(args.tolerance) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    })
}

impl Exported {
    /// Whether the file is the same encoder.
    ///
    /// # Errors
    ///
    /// What its embeddings are off by.
    pub fn check(&self, Tolerance { min_cosine }: Tolerance) -> anyhow::Result<()> {
        let difference = self.difference;
        ensure!(
            difference <= MAX_ABS,
            "the exported encoder differs from the checkpoint by {difference:.2e}, expected at \
             most {MAX_ABS:.0e}"
        );
        let cosine = self
            .quantised
            .as_ref()
            .map_or(1.0, |quantised| quantised.cosine);
        ensure!(
            cosine >= min_cosine,
            "weights as int8 turn an embedding to a cosine of {cosine:.6}, expected at least \
             {min_cosine}; --quantize none keeps them as they are"
        );
        Ok(())
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, difference) = (self.onnx.len(), self.difference);
        let float_len = self
            .quantised
            .as_ref()
            .map_or(len, |quantised| quantised.float_len);
        write!(
            f,
            "{float_len} bytes, differs from the checkpoint by {difference:.2e} (at most {MAX_ABS:.0e})"
        )?;
        if let Some(Quantised {
            summary,
            float_len,
            cosine,
            examples,
        }) = &self.quantised
        {
            write!(
                f,
                "\n{}\ncosine to the float weights' embeddings at least {cosine:.6} on {examples} \
                 examples",
                described(summary, *float_len, len)
            )?;
        }
        Ok(())
    }
}

/// An encoder as an ONNX file.
pub fn to_onnx(weights: &Weights, config: &TowerConfig) -> Result<Vec<u8>, WeightsError> {
    match config {
        TowerConfig::Transformer(config) => encoder::to_onnx(weights, config),
        TowerConfig::Conv(config) => conv::to_onnx(weights, config),
    }
}

/// A training's encoder as ONNX, and how far its embeddings are from the original's.
pub fn export(run: &RunDir, quantize: Quantize) -> anyhow::Result<Exported> {
    let (weights, config) = run.checkpoint()?;
    let recipe = run.recipe()?;
    let mut onnx = to_onnx(&weights, &config)?;
    let examples = examples(&recipe)?;
    let shape = recipe.front_end.build()?.output_shape();
    let mut inputs = examples.concat();
    if let Some(trunk) = &recipe.trunk {
        inputs = through_trunk(run, trunk, &shape, &examples)?;
        let path = run.path(TRUNK);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {path:?}"))?;
        onnx = graft(&bytes, trunk.output(), &onnx)?;
    }
    let original = run.encoder::<Inference>(&Default::default())?;
    let expected = compare::embed(&original, &inputs);
    // One by one, as the runtime does, and all at once, where a trunk may not be fixed to one.
    let alone = OnnxEncoder::new(&onnx, &shape)?;
    let mut difference = 0.0f32;
    for (example, expected) in examples.iter().zip(expected.chunks_exact(config.output())) {
        difference = difference.max(compare::max_abs(&alone.embed(example)?, expected));
    }
    if recipe.trunk.is_none() {
        let all = embed_onnx(&onnx, &shape, &examples.concat())?;
        difference = difference.max(compare::max_abs(&all, &expected));
    }
    let float_len = onnx.len();
    let (onnx, summary) = quantize.apply(onnx)?;
    let quantised = |summary| -> anyhow::Result<_> {
        let encoder = OnnxEncoder::new(&onnx, &shape)?;
        let pairs = examples.iter().zip(expected.chunks_exact(config.output()));
        let cosines =
            pairs.map(|(example, expected)| Ok(cosine(&encoder.embed(example)?, expected)));
        // A cosine that is no number is as bad as can be.
        let least = |least: f32, cosine: f32| if cosine >= least { least } else { cosine };
        Ok(Quantised {
            summary,
            float_len,
            cosine: cosines
                .collect::<anyhow::Result<Vec<_>>>()?
                .into_iter()
                .fold(1.0, least),
            examples: examples.len(),
        })
    };
    Ok(Exported {
        difference,
        quantised: summary.map(quantised).transpose()?,
        onnx,
    })
}

/// A trunk's features of examples, one after the other.
fn through_trunk(
    run: &RunDir,
    trunk: &TrunkConfig,
    shape: &[usize],
    examples: &[Vec<f32>],
) -> anyhow::Result<Vec<f32>> {
    let shape = [&[1], shape].concat();
    let model = Model::open(&run.path(TRUNK))?;
    let runner = model.prepare(Some(std::slice::from_ref(&shape)), trunk.output())?;
    let features = examples.iter().map(|example| {
        let (features, _) = runner.run(vec![Tensor::from_shape(&shape, example)?])?;
        Ok(features)
    });
    Ok(features
        .collect::<anyhow::Result<Vec<Vec<f32>>>>()?
        .concat())
}

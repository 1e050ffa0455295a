//! `quantize`: the weights of any ONNX file as 8-bit integers.
//!
//! ```text
//! model.onnx ─opset─▶ operators that know a scale a channel ─graph─▶ integers and scales ─▶ smaller.onnx
//!      └────────────────── the same random inputs, run by both ──────────────┘
//! ```
//!
//! Weights of `MatMul`, `Gemm` and `Conv` become integers times a scale an output channel, and tables of
//! `Gather` times a scale a row, behind `DequantizeLinear`: symmetric, without a zero point. All else stays float, biases and norms too, and
//! any ONNX runtime runs the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use prost::Message;
use thiserror::Error;
use tract_onnx::pb::ModelProto;

mod channel;
mod compare;
mod graph;
mod opset;

#[cfg(test)]
mod tests;

pub use channel::{Channels, Layout, quantised};
pub use compare::cosine;
pub use graph::Summary;
pub use opset::raise;

use compare::{Agreement, Inputs, ShapeArg, agreement};

/// What the small weights that stay floats may add to a file, as a share of it.
///
/// With 0.03 rather than none, random pictures' embeddings by EfficientNet-Lite0 and mn04's tags were off
/// by half as much.
const SPARED: f64 = 0.03;

/// What an embedding's cosine to the original's has to be.
pub const MIN_COSINE: f32 = 0.999;

/// How an encoder's weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Quantize {
    /// As 8-bit integers, with a scale an output channel.
    #[default]
    Int8,
    /// As 32-bit floats.
    None,
}

/// Why a file's weights cannot be made integers.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The bytes are no ONNX file.
    #[error("it is not an ONNX file")]
    Format(#[source] prost::DecodeError),
    /// The file holds no graph.
    #[error("it holds no graph")]
    NoGraph,
    /// The file does not say which operators it uses.
    #[error("it does not say which version of the operators it uses")]
    NoOpset,
    /// The operators are too old.
    #[error("its operators are of version {version}, expected at least 11: export it anew")]
    Opset {
        /// Their version.
        version: i64,
    },
    /// A node would compute something else with newer operators.
    #[error(
        "node {node:?}, {operator}, means something else from operators of version {new} on, and \
         those of version {version} know no scale a channel: export it anew",
        new = opset::PER_CHANNEL
    )]
    Operator {
        /// The node's operator.
        operator: String,
        /// The node.
        node: String,
        /// Version of the file's operators.
        version: i64,
    },
    /// A weight's shape is none.
    #[error("weight {name:?} has shape {shape:?}")]
    Shape {
        /// The weight.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// A weight has more or fewer numbers than its shape says.
    #[error("weight {name:?} has {actual} numbers, expected {expected} for its shape")]
    Len {
        /// The weight.
        name: String,
        /// Numbers that it has.
        actual: usize,
        /// Numbers that its shape asks for.
        expected: usize,
    },
    /// A weight is in another file.
    #[error("weight {name:?} is kept in another file, expected all weights in one")]
    External {
        /// The weight.
        name: String,
    },
    /// A weight holds something that is no number.
    #[error("weight {name:?} holds {found}")]
    NotFinite {
        /// The weight.
        name: String,
        /// What it holds.
        found: f32,
    },
}

/// Writes an ONNX file with the weights of its products as 8-bit integers, and compares it with the
/// original on random inputs.
///
/// Exit status 1 says that an output's cosine to the original's is under 0.999, or that the inference
/// library can run neither.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: a net whose input has a free axis\n  \
    sensorium-train quantize tagger.onnx smaller.onnx --shape mel=1,1,128,200")]
pub struct Args {
    /// The file.
    input: PathBuf,
    /// Where the smaller one goes.
    output: PathBuf,
    /// How much larger the file may be for the smallest weights to stay floats, which gains the most for
    /// its size.
    #[arg(long, value_name = "SHARE", default_value_t = SPARED, value_parser = share)]
    spare: f64,
    /// Shape of an input to compare with, if the file leaves axes free; may be repeated [default: 1 for
    /// the first, 200 for others, or 8 if it is an input of integers].
    #[arg(long, value_name = "INPUT=N,N,...")]
    shape: Vec<ShapeArg>,
    /// What the first input is compared with instead of random numbers.
    #[arg(long, value_name = "FILE.npy")]
    golden: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let original =
        std::fs::read(&args.input).with_context(|| format!("reading {:?}", args.input))?;
    let inputs = Inputs::new(&args.shape, args.golden.as_deref())?;
    let (smaller, summary) =
        int8(&original, args.spare).with_context(|| format!("quantising {:?}", args.input))?;
    ensure!(
        summary.quantised > 0,
        "{:?} has no MatMul, Gemm, Conv or Gather whose weights could be made smaller",
        args.input
    );
    write(&args.output, &smaller)?;
    println!("{}", described(&summary, original.len(), smaller.len()));
    let agreement = agreement(&args.input, &args.output, &inputs)
        .context("comparing the two files; the smaller one is written")?;
    let mut status = ExitCode::SUCCESS;
    for Agreement {
        output,
        cosine,
        difference,
        largest,
    } in agreement
    {
        println!(
            "output {output}: cosine at least {cosine:.6}, differs by at most {difference:.2e} of \
             {largest:.2e}"
        );
        if cosine.is_nan() || cosine < MIN_COSINE {
            status = ExitCode::from(1);
        }
    }
    Ok(status)
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok();
    share
        .filter(|share| (0.0..=3.0).contains(share))
        .ok_or("expected a share from 0 to 3")
}

fn write(path: &Path, onnx: &[u8]) -> anyhow::Result<()> {
    sensorium_pack::write_whole(path, onnx).with_context(|| format!("writing {path:?}"))
}

/// What was done, in words.
pub fn described(summary: &Summary, from: usize, to: usize) -> String {
    format!(
        "{from} -> {to} bytes: {} weights of {} numbers as int8, {} left; relative error {:.2e}",
        summary.quantised,
        summary.numbers,
        summary.left,
        summary.relative_error()
    )
}

/// An ONNX file with the weights of its products as integers; small ones stay floats as long as they add
/// no more than a share `spared` to it.
///
/// # Errors
///
/// What is no ONNX file, or has weights that cannot be read.
pub fn int8(onnx: &[u8], spared: f64) -> Result<(Vec<u8>, Summary), QuantizeError> {
    let mut model = ModelProto::decode(onnx).map_err(QuantizeError::Format)?;
    opset::raise(&mut model)?;
    let graph = model.graph.as_mut().ok_or(QuantizeError::NoGraph)?;
    let summary = graph::quantize(graph, spared)?;
    Ok((model.encode_to_vec(), summary))
}

impl Quantize {
    /// An encoder's file of 32-bit floats, written so; and what was done, if anything was.
    ///
    /// # Errors
    ///
    /// Those of [`int8`].
    pub fn apply(self, onnx: Vec<u8>) -> Result<(Vec<u8>, Option<Summary>), QuantizeError> {
        match self {
            Self::None => Ok((onnx, None)),
            Self::Int8 => int8(&onnx, SPARED).map(|(onnx, summary)| (onnx, Some(summary))),
        }
    }
}

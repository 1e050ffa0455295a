//! What the encoders compute, stage by stage.

use anyhow::{Context, ensure};
use burn::prelude::*;
use burn::tensor::TensorData;
use sensorium_model::backend::Inference;
use sensorium_model::encoder::{Encoder, Stages, average_clips};
use sensorium_model::precision::to_f64;
use sensorium_model::{Input, Sense};

use super::dims::{Config, senses_of};
use super::folder::{Folder, Vector, Vectors};
use super::report::{Report, Tolerance};
use super::weights::{self, MODEL};

const INPUTS: &str = "inputs.safetensors";
const EXPECTED: &str = "expected.safetensors";

/// Embeddings, against those in 64 bits.
pub const OUTPUT: Tolerance = Tolerance::Relative(3e-6);

/// What comes before them; and embeddings that both sides computed in 32 bits.
pub const STAGE: Tolerance = Tolerance::Relative(1e-5);

/// Compares all inputs that have expectations.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(INPUTS) {
        return Ok(());
    }
    let (inputs, expected) = (folder.vectors(INPUTS)?, folder.vectors(EXPECTED)?);
    let config = Config::read(folder)?;
    let vectors = folder.vectors(MODEL)?;
    for sense in senses_of(&vectors) {
        let single = weights::encoder(&config.encoder(sense), &vectors)?;
        let double = to_f64(single.clone());
        for (name, input) in inputs.iter().filter(|(name, _)| is_of(name, sense)) {
            let mut check = || -> anyhow::Result<()> {
                let Batch { input, clips } = batch(&double, input)?;
                let stages = double.stages(input.clone().to_f64());
                compare_stages(report, name, &stages, clips, &expected)?;
                let output = single.scale(single.forward(input));
                let output = numbers(average_clips(output, clips));
                let item = format!("{name}.out_f32");
                let reference = &expected.get(&item)?.values;
                report.compare("in 32 bits", at(EXPECTED, &item), &output, reference, STAGE);
                // An input counts as compared if there was something to compare it with.
                report.same("input", at(INPUTS, name), true);
                Ok(())
            };
            check().with_context(|| format!("input {name:?}"))?;
        }
    }
    Ok(())
}

/// The item of an array in a file.
pub fn at(file: &str, array: &str) -> String {
    format!("{file}: {array}")
}

/// Inputs are called after their sense, with words behind it.
fn is_of(name: &str, sense: Sense) -> bool {
    let rest = name.strip_prefix(sense.name());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Inputs for one pass, and how many of them make one.
pub struct Batch {
    /// All clips of all recordings.
    pub input: Input<Inference>,
    /// Clips of a recording.
    pub clips: usize,
}

/// An array as an encoder takes it. One axis more than an input and its batch has is one of clips.
pub fn batch(encoder: &Encoder<Inference>, array: &Vector) -> anyhow::Result<Batch> {
    let device = Default::default();
    let axes = array.shape.len();
    if encoder.config().sense() == Sense::Text {
        ensure!(axes == 2, "shape {:?}, expected 2 axes", array.shape);
        let ids: Vec<i64> = array.values.iter().map(|v| *v as i64).collect();
        let data = TensorData::new(ids, [array.shape[0], array.shape[1]]);
        let input = Input::Text(Tensor::from_data(data, &device));
        return Ok(Batch { input, clips: 1 });
    }
    // Pictures have no axis of time, which videos have; all else is as the encoder says.
    let expected = encoder.config().input.shape();
    let one = match encoder.config().sense() {
        Sense::Vision if axes == 4 => 3,
        _ => expected.len(),
    };
    ensure!(
        axes == one + 1 || axes == one + 2,
        "shape {:?}, expected a batch of {expected:?}, or of clips of it",
        array.shape
    );
    let shape = &array.shape[axes - one..];
    ensure!(
        shape[0] == expected[0],
        "shape {:?}, expected {expected:?}",
        array.shape
    );
    let clips = if axes == one + 2 { array.shape[1] } else { 1 };
    let input = Input::of_shape(array.to_f32(), shape, &device);
    ensure!(
        encoder.takes(&input),
        "shape {:?}, expected {expected:?}",
        array.shape
    );
    Ok(Batch { input, clips })
}

fn compare_stages(
    report: &mut Report,
    name: &str,
    stages: &Stages<Inference>,
    clips: usize,
    expected: &Vectors,
) -> anyhow::Result<()> {
    let mut stage = |kind, part: &str, actual: Vec<f64>, tolerance| -> anyhow::Result<()> {
        let item = format!("{name}.{part}");
        let expected = &expected.get(&item)?.values;
        report.compare(kind, at(EXPECTED, &item), &actual, expected, tolerance);
        Ok(())
    };
    let [_, count, dim] = stages.tokens.dims();
    ensure!(count >= 6, "{count} tokens, expected at least 6");
    let first = stages.tokens.clone().narrow(0, 0, 1);
    let ends = Tensor::cat(
        vec![first.clone().narrow(1, 0, 4), first.narrow(1, count - 2, 2)],
        1,
    );
    let ends = numbers(ends.reshape([6, dim]));
    stage("tokens", "tokens_first4_last2", ends, STAGE)?;
    for (index, block) in stages.selected.iter().enumerate() {
        let part = format!("block{index}_sel");
        stage("block", &part, numbers(block.clone()), STAGE)?;
    }
    if let Some(last) = stages.selected.last() {
        stage("trunk", "trunk_sel", numbers(last.clone()), STAGE)?;
    }
    stage("head", "head", numbers(stages.head.clone()), STAGE)?;
    stage("clips", "post", numbers(stages.output.clone()), OUTPUT)?;
    let output = average_clips(stages.output.clone(), clips);
    stage("embedding", "out", numbers(output), OUTPUT)
}

/// The numbers of rows.
pub fn numbers(rows: Tensor<Inference, 2>) -> Vec<f64> {
    rows.into_data().convert::<f64>().iter::<f64>().collect()
}

//! Weights by name, in both kinds of file, and the published names and shapes.

use std::collections::BTreeMap;

use anyhow::Context;
use sensorium_model::backend::Inference;
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::encoder::Encoder;
use sensorium_model::weights::Weights;
use sensorium_model::{EncoderConfig, Sense};

use super::dims::{Config, senses_of};
use super::folder::{Folder, Vectors};
use super::report::{Report, Tolerance};

/// The weights.
pub const MODEL: &str = "model.safetensors";

/// Names and shapes of the published checkpoint.
const PUBLISHED: &str = "keys_huge.tsv";

/// Compares what the folder has of weights.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if folder.has(PUBLISHED) {
        published(folder, report)?;
    }
    if !folder.has(MODEL) {
        return Ok(());
    }
    let config = Config::read(folder)?;
    let vectors = folder.vectors(MODEL)?;
    for sense in senses_of(&vectors) {
        let encoder = encoder(&config.encoder(sense), &vectors)?;
        // What the encoder gives back is what it was given, mask and scale included.
        compare_with(report, MODEL, &encoder.to_weights(), &vectors);
    }
    for name in folder.files("")? {
        if name.ends_with(".pth") {
            let checkpoint = Checkpoint::open(&folder.path(&name))?;
            let same = same(&checkpoint, &vectors).with_context(|| name.clone())?;
            report.same("weights", name, same);
        }
    }
    Ok(())
}

/// Whether all weights of a checkpoint are among these, in shape and value.
fn same(checkpoint: &Checkpoint, vectors: &Vectors) -> anyhow::Result<bool> {
    for (name, entry) in checkpoint.entries() {
        let expected = vectors.get(name)?;
        if entry.shape() != expected.shape || checkpoint.doubles(name)? != expected.values {
            return Ok(false);
        }
    }
    Ok(checkpoint.entries().len() > 0)
}

/// An encoder of these dimensions with weights out of a file.
pub fn encoder(config: &EncoderConfig, vectors: &Vectors) -> anyhow::Result<Encoder<Inference>> {
    let encoder = config.init(&Default::default())?;
    Ok(encoder.with_weights(vectors)?)
}

fn compare_with(report: &mut Report, file: &str, weights: &Weights, vectors: &Vectors) {
    for (name, array) in weights.iter() {
        let actual: Vec<f64> = array.values.iter().map(|v| f64::from(*v)).collect();
        let item = format!("{file}: {name}");
        match vectors.get(name) {
            Ok(vector) if vector.shape == array.shape => {
                report.compare("weight", item, &actual, &vector.values, Tolerance::Exact);
            }
            _ => report.same("weight", item, false),
        }
    }
}

/// All names and shapes of the reference's largest encoders, no more and no fewer.
fn published(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    let path = folder.path(PUBLISHED);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
    let listed: BTreeMap<String, Vec<usize>> = text
        .lines()
        .map(|line| {
            let mut columns = line.split('\t');
            let (name, shape) = (columns.next(), columns.next());
            let shape = serde_json::from_str(shape.unwrap_or_default())
                .with_context(|| format!("{path:?}, line {line:?}"))?;
            Ok((name.unwrap_or_default().to_owned(), shape))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut ours = BTreeMap::new();
    for sense in Sense::ALL {
        let encoder: Encoder<Inference> =
            EncoderConfig::reference(sense).init(&Default::default())?;
        ours.extend(encoder.shapes());
    }
    report.same("names, shapes", PUBLISHED, listed == ours);
    Ok(())
}

//! Encoders at the reference's own dimensions, with weights out of a formula.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use sensorium_model::backend::Inference;
use sensorium_model::encoder::{Encoder, Names, average_clips};
use sensorium_model::portable;
use sensorium_model::precision::to_f64;
use sensorium_model::weights::{WeightSource, WeightsError};
use sensorium_model::{EncoderConfig, Sense};
use serde::Deserialize;

use super::encoders::{self, Batch, OUTPUT, STAGE, at, numbers};
use super::folder::{Folder, Vector, Vectors};
use super::report::{Report, Tolerance};

const SETTINGS: &str = "realdims.json";
const FILE: &str = "realdims_expected.safetensors";

#[derive(Debug, Deserialize)]
struct Settings {
    seed_hex: String,
    inputs: BTreeMap<Sense, Formula>,
    /// The scale itself, whatever the name says.
    log_logit_scale: BTreeMap<Sense, f64>,
    tensors: Vec<Formula>,
}

/// An array: `base` plus `scale` times the stream of its name.
#[derive(Debug, Deserialize)]
struct Formula {
    key: String,
    shape: Vec<usize>,
    base: f64,
    scale: f64,
}

/// Weights that are made when they are asked for.
struct Made<'a> {
    seed: u64,
    formulas: BTreeMap<&'a str, &'a Formula>,
    /// Name and value of the logarithm of the scale.
    log_scale: (String, f32),
}

impl Formula {
    fn values(&self, seed: u64) -> Vec<f32> {
        let len = self.shape.iter().product();
        portable::fill(seed, &self.key, self.base, self.scale, len).collect()
    }
}

impl WeightSource for Made<'_> {
    fn names(&self) -> Vec<&str> {
        self.formulas.keys().copied().collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        if name == self.log_scale.0 {
            return Some(&[]);
        }
        self.formulas
            .get(name)
            .map(|formula| formula.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        if name == self.log_scale.0 {
            return Ok(vec![self.log_scale.1]);
        }
        let missing = || WeightsError::Missing {
            name: name.to_owned(),
        };
        let formula = self.formulas.get(name).ok_or_else(missing)?;
        Ok(formula.values(self.seed))
    }
}

/// Compares each sense that has an input.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(SETTINGS) {
        return Ok(());
    }
    let settings: Settings = folder.json(SETTINGS)?;
    let expected = folder.vectors(FILE)?;
    let digits = settings.seed_hex.trim_start_matches("0x");
    let seed = u64::from_str_radix(digits, 16).context("seed_hex")?;
    for (sense, input) in &settings.inputs {
        compare_sense(&settings, seed, *sense, input, &expected, report)
            .with_context(|| format!("{sense}"))?;
    }
    Ok(())
}

fn compare_sense(
    settings: &Settings,
    seed: u64,
    sense: Sense,
    input: &Formula,
    expected: &Vectors,
    report: &mut Report,
) -> anyhow::Result<()> {
    // Pictures have no scale.
    let scale = settings.log_logit_scale.get(&sense).copied().unwrap_or(1.0);
    let of_sense = |formula: &&Formula| Names(sense).has(&formula.key);
    let formulas = settings.tensors.iter().filter(of_sense);
    let made = Made {
        seed,
        formulas: formulas.map(|f| (f.key.as_str(), f)).collect(),
        log_scale: (Names(sense).log_scale(), scale.ln() as f32),
    };
    let encoder: Encoder<Inference> = EncoderConfig::reference(sense).init(&Default::default())?;
    let shapes = encoder.shapes();
    let encoder = to_f64(encoder.with_weights(&made)?);
    for (index, formula) in settings
        .tensors
        .iter()
        .enumerate()
        .filter(|(_, f)| of_sense(f))
    {
        // The encoder took it, in this shape, if it has a weight of this name and shape.
        let used = shapes
            .iter()
            .any(|(n, s)| *n == formula.key && *s == formula.shape);
        report.same("weight", format!("{SETTINGS}: tensors {index}"), used);
    }

    let values = input.values(seed);
    let vector = Vector {
        shape: input.shape.clone(),
        values: values.iter().map(|v| f64::from(*v)).collect(),
    };
    let Batch { input, clips } = encoders::batch(&encoder, &vector)?;
    let stages = encoder.stages(input.to_f64());
    let mut compare = |kind, part: &str, actual: &[f64], tolerance| -> anyhow::Result<()> {
        let item = format!("{sense}.{part}");
        let expected = &expected.get(&item)?.values;
        report.compare(kind, at(FILE, &item), actual, expected, tolerance);
        Ok(())
    };
    let few = |values: &[f64], len: usize| values[..len.min(values.len())].to_vec();
    compare(
        "generator",
        "input_first16",
        &few(&vector.values, 16),
        Tolerance::Exact,
    )?;
    ensure!(
        stages.tokens.dims()[1] >= 3 && stages.tokens.dims()[2] >= 8,
        "too few tokens"
    );
    let corner = stages
        .tokens
        .clone()
        .slice([0..1, 0..3, 0..8])
        .reshape([3, 8]);
    compare("tokens", "tokens_0_0to3_0to8", &numbers(corner), STAGE)?;
    for (index, (block, selected)) in stages.blocks.iter().zip(&stages.selected).enumerate() {
        let first = numbers(selected.clone().narrow(0, 0, 1));
        compare("block", &format!("block{index}_cls_item0"), &first, STAGE)?;
        // The length of all tokens of an input together.
        let squares = block.clone().powi_scalar(2).sum_dim(2).sum_dim(1);
        let norms = numbers(squares.sqrt().flatten(1, 2));
        compare("block", &format!("block{index}_norm"), &norms, STAGE)?;
    }
    compare("head", "head", &numbers(stages.head.clone()), STAGE)?;
    let output = numbers(average_clips(stages.output.clone(), clips));
    compare("embedding", "out", &output, OUTPUT)?;
    report.same("input", format!("{SETTINGS}: inputs {sense}"), true);

    let prefix = format!("{sense}.weightcheck.");
    for name in expected.stems("") {
        let Some(formula) = name
            .strip_prefix(&prefix)
            .and_then(|key| made.formulas.get(key))
        else {
            continue;
        };
        let values = formula.values(seed);
        let expected = &expected.get(name)?.values;
        let len = expected.len().min(values.len());
        let actual: Vec<f64> = values[..len].iter().map(|v| f64::from(*v)).collect();
        report.compare(
            "generator",
            at(FILE, name),
            &actual,
            expected,
            Tolerance::Exact,
        );
    }
    Ok(())
}

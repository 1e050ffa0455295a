//! Two models on the same inputs.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, ensure};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sensorium_pack::npy::Array;
use tract_onnx::prelude::{DatumType, Tensor};

use crate::anchor::model::{Model, Output};

/// Inputs that are tried.
const TRIED: u64 = 4;

/// Lengths of axes that a file leaves free: of numbers, such as frames, and of integers, such as words.
const FREE: usize = 200;
const FREE_WORDS: usize = 8;

/// Random integers are below, which any list of words is long enough for.
const WORDS: i64 = 32;

/// `NAME=N,N,...`: the shape of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeArg {
    name: String,
    shape: Vec<usize>,
}

impl FromStr for ShapeArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (name, lens) = text.split_once('=')?;
            let lens = lens.split(',').map(|len| len.parse().ok());
            let shape: Vec<usize> = lens.collect::<Option<_>>()?;
            let is_one = shape.iter().all(|len| (1..=1 << 20).contains(len));
            is_one.then(|| Self {
                name: name.to_owned(),
                shape,
            })
        };
        parse().ok_or("expected an input's name and lengths from 1 on, such as mel=1,1,128,200")
    }
}

/// What models are compared on.
pub struct Inputs<'a> {
    shapes: &'a [ShapeArg],
    golden: Option<Array>,
}

/// How alike an output of two models is.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// The output's name.
    pub output: String,
    /// The least cosine.
    pub cosine: f32,
    /// The largest difference of two numbers.
    pub difference: f32,
    /// The largest number of the original, without its sign.
    pub largest: f32,
}

impl<'a> Inputs<'a> {
    /// Random inputs, or one that is given.
    pub fn new(shapes: &'a [ShapeArg], golden: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| Array::open(path).with_context(|| format!("reading {path:?}"));
        let golden = golden.map(open).transpose()?;
        Ok(Self { shapes, golden })
    }

    /// The shapes for a model.
    fn shapes(&self, model: &Model) -> anyhow::Result<Vec<Vec<usize>>> {
        let names = model.inputs()?;
        for ShapeArg { name, .. } in self.shapes {
            ensure!(
                names.contains(name),
                "there is no input {name:?}, its inputs are {names:?}"
            );
        }
        let shape = |(input, name): (usize, &String)| {
            if let Some(golden) = self.golden.as_ref().filter(|_| input == 0) {
                return Ok(golden.shape.clone());
            }
            if let Some(given) = self.shapes.iter().find(|given| given.name == *name) {
                return Ok(given.shape.clone());
            }
            let is_words = model.input_type(input)?.is_integer();
            let free = if is_words { FREE_WORDS } else { FREE };
            let axes = model.input_shape(input)?;
            ensure!(
                !axes.is_empty(),
                "input {name:?} has no shape: give it with --shape"
            );
            let axes = axes.into_iter().enumerate();
            Ok(axes
                .map(|(axis, len)| len.unwrap_or(if axis == 0 { 1 } else { free }))
                .collect())
        };
        names.iter().enumerate().map(shape).collect()
    }

    fn draw(&self, model: &Model, shapes: &[Vec<usize>], seed: u64) -> anyhow::Result<Vec<Tensor>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let names = model.inputs()?;
        let tensor = |(input, shape): (usize, &Vec<usize>)| {
            if let Some(golden) = self.golden.as_ref().filter(|_| input == 0) {
                return Tensor::from_shape(&golden.shape, &golden.values);
            }
            let len = shape.iter().product();
            match model.input_type(input)? {
                kind if kind == DatumType::Bool || names[input].contains("mask") => {
                    Tensor::from_shape(shape, &vec![1.0f32; len])
                }
                kind if kind.is_integer() => {
                    let most = if names[input].contains("type") {
                        1
                    } else {
                        WORDS
                    };
                    let words = (0..len).map(|_| random.random_range(0..most));
                    Tensor::from_shape(shape, &words.collect::<Vec<_>>())
                }
                // Of variance 1.
                _ => {
                    let side = 3f32.sqrt();
                    let numbers = (0..len).map(|_| random.random_range(-side..side));
                    Tensor::from_shape(shape, &numbers.collect::<Vec<_>>())
                }
            }
        };
        shapes.iter().enumerate().map(tensor).collect()
    }
}

/// How alike the outputs of two files are.
///
/// # Errors
///
/// A file that the inference library cannot run on these inputs.
pub fn agreement(a: &Path, b: &Path, inputs: &Inputs<'_>) -> anyhow::Result<Vec<Agreement>> {
    let (a, b) = (Model::open(a)?, Model::open(b)?);
    let shapes = inputs.shapes(&a)?;
    let outputs = a.outputs()?.into_iter().enumerate();
    let compare = |(index, output): (usize, String)| {
        let place = Output::Index(index);
        let prepare = |model: &Model| model.prepare(Some(&shapes), Some(&place));
        let (a_runner, b_runner) = (prepare(&a)?, prepare(&b)?);
        let mut agreement = Agreement {
            output,
            cosine: f32::INFINITY,
            difference: 0.0,
            largest: 0.0,
        };
        let tried = if inputs.golden.is_some() { 1 } else { TRIED };
        for seed in 0..tried {
            let drawn = inputs.draw(&a, &shapes, seed)?;
            let (expected, shape) = a_runner.run(drawn.clone())?;
            let (actual, other) = b_runner.run(drawn)?;
            ensure!(
                shape == other,
                "the outputs' shapes are {shape:?} and {other:?}"
            );
            agreement.cosine = agreement.cosine.min(cosine(&actual, &expected));
            for (actual, expected) in actual.iter().zip(&expected) {
                let difference = (actual - expected).abs();
                // What is no number is further off than any number.
                if difference.is_nan() || difference > agreement.difference {
                    agreement.difference = difference;
                }
                agreement.largest = agreement.largest.max(expected.abs());
            }
        }
        Ok(agreement)
    };
    outputs.map(compare).collect()
}

/// The cosine of two lists of numbers.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
}

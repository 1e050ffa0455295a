//! Towers made of an ONNX file and what turns pictures or texts into its inputs.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;
use sensorium_core::feature::{Image, ImageFrontEnd, ImageSpec, Pooling};
use tract_onnx::prelude::Tensor;

use super::model::{Model, Output, Runner, pooled};
use super::token::{TextTokenizer, Tokens};

/// A picture goes in, a vector comes out.
pub struct ImageTower {
    front_end: ImageFrontEnd,
    runner: Runner,
    pooling: Pooling,
    digest: String,
}

impl ImageTower {
    /// Reads a model, and runs it once; the tower, and the length of its vectors.
    ///
    /// # Errors
    ///
    /// A model that takes other pictures than the front end makes, or gives no vector.
    pub fn open(
        path: &Path,
        image: &ImageSpec,
        output: Option<&Output>,
        pooling: Pooling,
    ) -> anyhow::Result<(Self, usize)> {
        ensure!(
            pooling != Pooling::EndOfText,
            "pictures have no end of text to pool"
        );
        let front_end = ImageFrontEnd::new(image).context("image")?;
        let model = Model::open(path)?;
        let inputs = model.inputs()?;
        ensure!(
            inputs.len() == 1,
            "{path:?} takes {inputs:?}, expected one input, pictures"
        );
        let shape = [&[1], front_end.output_shape().as_slice()].concat();
        let declared = model.input_shape(0)?;
        let fits = declared.len() == shape.len()
            && declared
                .iter()
                .zip(&shape)
                .all(|(a, b)| a.is_none_or(|a| a == *b));
        ensure!(
            fits || declared.is_empty(),
            "{path:?} takes pictures of {}, expected {shape:?}, which the image front end makes",
            axes(&declared)
        );
        let tower = Self {
            runner: model.prepare(Some(&[shape]), output)?,
            front_end,
            pooling,
            digest: model.digest().to_owned(),
        };
        let blank = Image::new(1, 1, vec![[0; 3]]).context("a picture of one pixel")?;
        let dim = tower.vector(&blank)?.len();
        Ok((tower, dim))
    }

    /// SHA-256 of its files.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it gives for one picture.
    pub fn vector(&self, image: &Image<3>) -> anyhow::Result<Vec<f32>> {
        self.vector_of(&self.front_end.extract(image))
    }

    /// What it gives for the numbers that a picture is turned into.
    pub fn vector_of(&self, values: &[f32]) -> anyhow::Result<Vec<f32>> {
        let shape = [&[1], self.front_end.output_shape().as_slice()].concat();
        let input = Tensor::from_shape(&shape, values)?;
        let (values, shape) = self.runner.run(vec![input])?;
        pooled(self.pooling, values, &shape, None)
    }

    /// What it gives for some, each as if it were alone.
    pub fn vectors(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        images.par_iter().map(|image| self.vector(image)).collect()
    }
}

/// Letters for axes of a length that is up to the caller.
fn axes(shape: &[Option<usize>]) -> String {
    let axis = |axis: &Option<usize>| axis.map_or("N".to_owned(), |axis| axis.to_string());
    let axes: Vec<String> = shape.iter().map(axis).collect();
    format!("[{}]", axes.join(", "))
}

/// What an input of a text model is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Types,
    Positions,
}

/// A text goes in, a vector comes out.
pub struct WordTower {
    tokenizer: TextTokenizer,
    inputs: Vec<Input>,
    runner: Runner,
    pooling: Pooling,
    digest: String,
}

impl WordTower {
    /// Reads a model, and runs it once; the tower, and the length of its vectors.
    ///
    /// # Errors
    ///
    /// A model that takes something else than texts, or gives no vector.
    pub fn open(
        path: &Path,
        tokenizer: TextTokenizer,
        output: Option<&Output>,
        pooling: Pooling,
    ) -> anyhow::Result<(Self, usize)> {
        let model = Model::open(path)?;
        let names = model.inputs()?;
        let inputs = names
            .iter()
            .map(|name| match name.as_str() {
                "attention_mask" => Ok(Input::Mask),
                "token_type_ids" => Ok(Input::Types),
                "position_ids" => Ok(Input::Positions),
                // A single input is the text whatever it is called: exporters differ.
                "input_ids" => Ok(Input::Ids),
                _ if names.len() == 1 => Ok(Input::Ids),
                _ => bail!(
                    "{path:?} has an input {name:?}, expected input_ids, attention_mask, \
                     token_type_ids or position_ids"
                ),
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(
            inputs.contains(&Input::Ids),
            "{path:?} takes {names:?}, expected input_ids among them"
        );
        let shapes = tokenizer.len().map(|len| vec![vec![1, len]; inputs.len()]);
        let tower = Self {
            runner: model.prepare(shapes.as_deref(), output)?,
            tokenizer,
            inputs,
            pooling,
            digest: model.digest().to_owned(),
        };
        let dim = tower.vector("a word")?.len();
        Ok((tower, dim))
    }

    /// SHA-256 of its files.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it gives for one text.
    pub fn vector(&self, text: &str) -> anyhow::Result<Vec<f32>> {
        let Tokens { ids, end } = self.tokenizer.tokens(text)?;
        let len = ids.len();
        let input = |input: &Input| {
            let values = match input {
                Input::Ids => ids.clone(),
                Input::Mask => (0..len).map(|i| i64::from(i < end)).collect(),
                Input::Types => vec![0; len],
                Input::Positions => (0..len as i64).collect(),
            };
            Tensor::from_shape(&[1, len], &values)
        };
        let inputs = self.inputs.iter().map(input).collect::<Result<_, _>>()?;
        let (values, shape) = self.runner.run(inputs)?;
        pooled(self.pooling, values, &shape, Some((len, end)))
    }

    /// What it gives for some, each as if it were alone.
    pub fn vectors(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        texts.par_iter().map(|text| self.vector(text)).collect()
    }
}

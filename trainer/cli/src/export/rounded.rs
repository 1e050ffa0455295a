//! An encoder's weights as an ONNX file with integers has them.

use sensorium_model::weights::{WeightSource, WeightsError};

use crate::quantize::{Channels, Layout, quantised};

/// Whether a weight, by its name in a checkpoint, is written as integers: matrices of blocks, and the
/// table of words. What is left is small, and what comes first and last is worth most.
pub fn is_rounded(name: &str) -> bool {
    let of_block = name.contains(".blocks.")
        && (name.ends_with("in_proj_weight")
            || ["out_proj.weight", "fc1.weight", "fc2.weight"]
                .iter()
                .any(|end| name.ends_with(end)));
    of_block || name.ends_with(".token_embedding.weight")
}

/// Integers, and a scale for each row of `len` numbers.
pub fn rounded(values: &[f32], len: usize) -> Channels {
    let rows = values.len() / len.max(1);
    quantised(values, Layout::new(&[rows, len], 0))
}

/// Weights as their integers stand for.
#[derive(Debug)]
pub struct Rounded<'a, S>(pub &'a S);

impl<S: WeightSource> WeightSource for Rounded<'_, S> {
    fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.shape(name)
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let values = self.0.values(name)?;
        let len = self.shape(name).and_then(|shape| shape.last()).copied();
        let Some(len) = len.filter(|len| *len > 0 && is_rounded(name)) else {
            return Ok(values);
        };
        let Channels {
            values: integers,
            scales,
            ..
        } = rounded(&values, len);
        let rows = integers.chunks_exact(len).zip(scales);
        let floats = rows.flat_map(|(row, scale)| row.iter().map(move |i| f32::from(*i) * scale));
        Ok(floats.collect())
    }
}

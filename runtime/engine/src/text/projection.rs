//! Dense layers after the pooling of a text tower.

use sensorium_kernels::dot_f32;
use sensorium_pack::Activation;
use sensorium_pack::npy::Array;
use thiserror::Error;

/// Why a dense layer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// The weight is no matrix.
    #[error("the weight of a layer has shape {actual:?}, expected [outputs, inputs]")]
    Weight {
        /// Its shape.
        actual: Vec<usize>,
    },
    /// The bias is not a number an output.
    #[error("the bias of a layer has shape {actual:?}, expected [{expected}]")]
    Bias {
        /// Its shape.
        actual: Vec<usize>,
        /// Outputs of the layer.
        expected: usize,
    },
    /// What comes before has another length.
    #[error("a layer takes {expected} numbers, and is given {actual}")]
    Inputs {
        /// Numbers that it is given.
        actual: usize,
        /// Numbers that it takes.
        expected: usize,
    },
}

/// A dense layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    weight: Array,
    bias: Option<Vec<f32>>,
    activation: Activation,
}

impl Dense {
    /// A layer of a weight `[outputs, inputs]` and a bias `[outputs]`.
    ///
    /// # Errors
    ///
    /// Arrays of other shapes.
    pub fn new(
        weight: Array,
        bias: Option<Array>,
        activation: Activation,
    ) -> Result<Self, ProjectionError> {
        let outputs = match weight.shape[..] {
            [outputs, inputs] if outputs * inputs > 0 => outputs,
            _ => {
                return Err(ProjectionError::Weight {
                    actual: weight.shape,
                });
            }
        };
        if let Some(bias) = bias.as_ref().filter(|bias| bias.shape != [outputs]) {
            return Err(ProjectionError::Bias {
                actual: bias.shape.clone(),
                expected: outputs,
            });
        }
        Ok(Self {
            weight,
            bias: bias.map(|bias| bias.values),
            activation,
        })
    }

    /// What it makes of a vector.
    ///
    /// # Errors
    ///
    /// A vector of another length than it takes.
    pub fn apply(&self, vector: &[f32]) -> Result<Vec<f32>, ProjectionError> {
        let expected = self.weight.shape[1];
        if vector.len() != expected {
            return Err(ProjectionError::Inputs {
                actual: vector.len(),
                expected,
            });
        }
        let mut sums: Vec<f32> = { self.weight.rows() }
            .map(|row| dot_f32(row, vector))
            .collect();
        for (sum, bias) in sums.iter_mut().zip(self.bias.iter().flatten()) {
            *sum += bias;
        }
        if self.activation == Activation::Tanh {
            sums.iter_mut().for_each(|sum| *sum = sum.tanh());
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], values: &[f32]) -> Array {
        Array {
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_layer_is_a_product_a_sum_and_what_is_done_to_it() {
        let weight = array(&[2, 3], &[1.0, 0.0, -1.0, 2.0, 1.0, 0.0]);
        let bias = array(&[2], &[0.5, -1.0]);
        let layer = Dense::new(weight.clone(), Some(bias), Activation::Tanh).unwrap();
        let expected = [(-1.5f32).tanh(), 3.0f32.tanh()];
        assert_eq!(layer.apply(&[1.0, 2.0, 3.0]).unwrap(), expected);
        let plain = Dense::new(weight.clone(), None, Activation::Identity).unwrap();
        assert_eq!(plain.apply(&[1.0, 2.0, 3.0]).unwrap(), [-2.0, 4.0]);
        let error = plain.apply(&[1.0]).unwrap_err().to_string();
        assert_eq!(error, "a layer takes 3 numbers, and is given 1");
        let none = Dense::new(array(&[6], &[0.0; 6]), None, Activation::Identity).unwrap_err();
        assert!(none.to_string().contains("expected [outputs, inputs]"));
        let short = Dense::new(weight, Some(array(&[1], &[0.0])), Activation::Identity);
        assert!(short.unwrap_err().to_string().ends_with("expected [2]"));
    }
}

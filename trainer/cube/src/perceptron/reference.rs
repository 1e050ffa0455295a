//! The perceptron by its definition, in 64 bits.

use super::{Perceptron, Weights};
use crate::gelu::reference as gelu;
use crate::linear::{Linear, reference as linear};

impl Perceptron {
    fn layers(&self) -> [Linear; 2] {
        let Self { rows, dim, hidden } = *self;
        [
            Linear {
                rows,
                from: dim,
                to: hidden,
            },
            Linear {
                rows,
                from: hidden,
                to: dim,
            },
        ]
    }
}

/// As [`super::forward_into`].
#[must_use]
pub fn forward(sizes: &Perceptron, x: &[f64], weights: Weights<&[f64]>) -> Vec<f64> {
    let [first, second] = sizes.layers();
    let before = linear::forward(&first, x, weights.weight_1, weights.bias_1);
    let active: Vec<f64> = before.into_iter().map(gelu::forward).collect();
    linear::forward(&second, &active, weights.weight_2, weights.bias_2)
}

/// As [`super::backward_into`]: the gradient of the rows, and those of the weights.
#[must_use]
pub fn backward(
    sizes: &Perceptron,
    x: &[f64],
    weights: Weights<&[f64]>,
    gradient: &[f64],
) -> (Vec<f64>, Weights<Vec<f64>>) {
    let [first, second] = sizes.layers();
    let before = linear::forward(&first, x, weights.weight_1, weights.bias_1);
    let active: Vec<f64> = before.iter().map(|x| gelu::forward(*x)).collect();
    let [mut given, weight_2, bias_2] =
        linear::backward(&second, &active, weights.weight_2, gradient);
    for (given, x) in given.iter_mut().zip(before) {
        *given *= gelu::slope(x);
    }
    let [of_x, weight_1, bias_1] = linear::backward(&first, x, weights.weight_1, &given);
    (
        of_x,
        Weights {
            weight_1,
            bias_1,
            weight_2,
            bias_2,
        },
    )
}

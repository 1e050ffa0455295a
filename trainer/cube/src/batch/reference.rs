//! Batch normalisation by its definition, in 64 bits.

use super::{Batch, Statistics};
use crate::norm::Affine;

/// The channel of a number.
fn channel(sizes: &Batch, at: usize) -> usize {
    at / sizes.places % sizes.channels
}

/// What each channel is normalised by.
#[must_use]
pub fn statistics(sizes: &Batch, x: &[f64]) -> Statistics<Vec<f64>> {
    let count = (sizes.inputs * sizes.places) as f64;
    let mut mean = vec![0.0; sizes.channels];
    for (at, x) in x.iter().enumerate() {
        mean[channel(sizes, at)] += x / count;
    }
    let mut variance = vec![0.0; sizes.channels];
    for (at, x) in x.iter().enumerate() {
        variance[channel(sizes, at)] += (x - mean[channel(sizes, at)]).powi(2) / count;
    }
    Statistics { mean, variance }
}

/// As [`super::forward_into`].
#[must_use]
pub fn forward(sizes: &Batch, x: &[f64], affine: Affine<&[f64]>, epsilon: f64) -> Vec<f64> {
    let Statistics { mean, variance } = statistics(sizes, x);
    let normal = |(at, x): (usize, &f64)| {
        let c = channel(sizes, at);
        (x - mean[c]) / (variance[c] + epsilon).sqrt() * affine.weight[c] + affine.bias[c]
    };
    x.iter().enumerate().map(normal).collect()
}

/// As [`super::backward_into`]: gradients of the inputs, and of weight and bias.
#[must_use]
pub fn backward(
    sizes: &Batch,
    x: &[f64],
    weight: &[f64],
    epsilon: f64,
    gradient: &[f64],
) -> (Vec<f64>, Affine<Vec<f64>>) {
    let count = (sizes.inputs * sizes.places) as f64;
    let Statistics { mean, variance } = statistics(sizes, x);
    let spread = |c: usize| (variance[c] + epsilon).sqrt();
    let mut of = Affine {
        weight: vec![0.0; sizes.channels],
        bias: vec![0.0; sizes.channels],
    };
    for (at, (x, g)) in x.iter().zip(gradient).enumerate() {
        let c = channel(sizes, at);
        of.weight[c] += g * (x - mean[c]) / spread(c);
        of.bias[c] += g;
    }
    let of_x = x.iter().zip(gradient).enumerate().map(|(at, (x, g))| {
        let c = channel(sizes, at);
        let normal = (x - mean[c]) / spread(c);
        weight[c] / spread(c) * (g - of.bias[c] / count - normal * of.weight[c] / count)
    });
    (of_x.collect(), of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, wide};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let sizes = Batch {
            inputs: 3,
            channels: 2,
            places: 4,
        };
        let (x, weight, bias) = (wide(1, 24), wide(2, 2), wide(3, 2));
        let gradient = wide(4, 24);
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let y = forward(&sizes, x, Affine { weight, bias }, 0.1);
            y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
        };
        let (of_x, of) = backward(&sizes, &x, &weight, 0.1, &gradient);
        differences(&of_x, &x, |x| loss(x, &weight, &bias));
        differences(&of.weight, &weight, |weight| loss(&x, weight, &bias));
        differences(&of.bias, &bias, |bias| loss(&x, &weight, bias));
    }
}

//! Layer normalisation by its definition, in 64 bits.

use super::Affine;

/// A row of mean 0 and variance 1, and what it was multiplied by.
fn normalised(x: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let factor = (squares / x.len() as f64 + epsilon).sqrt().recip();
    (x.iter().map(|x| (x - mean) * factor).collect(), factor)
}

/// As [`super::forward_into`].
#[must_use]
pub fn forward(x: &[f64], affine: Affine<&[f64]>, epsilon: f64) -> Vec<f64> {
    let rows = x.chunks_exact(affine.weight.len());
    let row = |x| {
        let (x, _) = normalised(x, epsilon);
        let affine = affine.weight.iter().zip(affine.bias);
        x.into_iter()
            .zip(affine)
            .map(|(x, (weight, bias))| x * weight + bias)
    };
    rows.flat_map(row).collect()
}

/// As [`super::backward_in_place`]: the gradient of the rows, and of weight and bias.
#[must_use]
pub fn backward(
    x: &[f64],
    weight: &[f64],
    epsilon: f64,
    gradient: &[f64],
) -> (Vec<f64>, Affine<Vec<f64>>) {
    let dim = weight.len();
    let mut of_x = Vec::with_capacity(x.len());
    let (mut of_weight, mut of_bias) = (vec![0.0; dim], vec![0.0; dim]);
    for (x, gradient) in x.chunks_exact(dim).zip(gradient.chunks_exact(dim)) {
        let (x, factor) = normalised(x, epsilon);
        let given: Vec<f64> = gradient.iter().zip(weight).map(|(g, w)| g * w).collect();
        let mean = given.iter().sum::<f64>() / dim as f64;
        let along = given.iter().zip(&x).map(|(g, x)| g * x).sum::<f64>() / dim as f64;
        of_x.extend(
            given
                .iter()
                .zip(&x)
                .map(|(g, x)| (g - mean - x * along) * factor),
        );
        for (i, (x, gradient)) in x.iter().zip(gradient).enumerate() {
            of_weight[i] += x * gradient;
            of_bias[i] += gradient;
        }
    }
    (
        of_x,
        Affine {
            weight: of_weight,
            bias: of_bias,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, wide};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (x, weight, bias, gradient) = (wide(1, 15), wide(2, 5), wide(3, 5), wide(4, 15));
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let y = forward(x, Affine { weight, bias }, 1e-3);
            y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
        };
        let (of_x, of_affine) = backward(&x, &weight, 1e-3, &gradient);
        differences(&of_x, &x, |x| loss(x, &weight, &bias));
        differences(&of_affine.weight, &weight, |weight| loss(&x, weight, &bias));
        differences(&of_affine.bias, &bias, |bias| loss(&x, &weight, bias));
    }
}

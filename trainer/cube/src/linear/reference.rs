//! Products by their definition, in 64 bits.

use super::Linear;

/// As [`super::forward_into`].
#[must_use]
pub fn forward(sizes: &Linear, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let Linear { from, to, .. } = *sizes;
    let mut y = Vec::with_capacity(sizes.rows * to);
    for x in x.chunks_exact(from) {
        y.extend((0..to).map(|j| {
            let products = x.iter().enumerate().map(|(i, x)| x * weight[i * to + j]);
            bias[j] + products.sum::<f64>()
        }));
    }
    y
}

/// As [`super::backward_into`]: gradients of the rows, the weight and the bias.
#[must_use]
pub fn backward(sizes: &Linear, x: &[f64], weight: &[f64], gradient: &[f64]) -> [Vec<f64>; 3] {
    let Linear { from, to, .. } = *sizes;
    let mut of_x = vec![0.0; x.len()];
    let mut of_weight = vec![0.0; weight.len()];
    let mut of_bias = vec![0.0; to];
    let rows = x.chunks_exact(from).zip(of_x.chunks_exact_mut(from));
    for ((x, of_x), gradient) in rows.zip(gradient.chunks_exact(to)) {
        for (j, g) in gradient.iter().enumerate() {
            of_bias[j] += g;
            for i in 0..from {
                of_x[i] += g * weight[i * to + j];
                of_weight[i * to + j] += g * x[i];
            }
        }
    }
    [of_x, of_weight, of_bias]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, wide};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let sizes = Linear {
            rows: 3,
            from: 4,
            to: 2,
        };
        let (x, weight, bias) = (wide(1, 12), wide(2, 8), wide(3, 2));
        let gradient = wide(4, 6);
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let y = forward(&sizes, x, weight, bias);
            y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
        };
        let actual = backward(&sizes, &x, &weight, &gradient);
        differences(&actual[0], &x, |x| loss(x, &weight, &bias));
        differences(&actual[1], &weight, |weight| loss(&x, weight, &bias));
        differences(&actual[2], &bias, |bias| loss(&x, &weight, bias));
    }
}

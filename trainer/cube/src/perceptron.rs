//! The perceptron of a transformer's block: two products with a GELU between them.
//!
//! ```text
//! y = gelu(x w_1 + b_1) w_2 + b_2
//! ```
//! It is the widest place of a network, so what is between the products is made chunk by chunk and
//! stays in a cache; only what goes into the GELU is kept for backward.

use rayon::prelude::*;

use crate::gelu;
use crate::linear::{CHUNK, Matrix, add_rows, chunks_of_part, fill, owned, product, sum_of_parts};

pub mod reference;

/// Sizes of a perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Perceptron {
    /// Rows.
    pub rows: usize,
    /// Numbers in a row, before and after.
    pub dim: usize,
    /// Numbers in a row between.
    pub hidden: usize,
}

/// Weights of a perceptron, or their gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights<T> {
    /// `[dim, hidden]`.
    pub weight_1: T,
    /// `[hidden]`.
    pub bias_1: T,
    /// `[hidden, dim]`.
    pub weight_2: T,
    /// `[dim]`.
    pub bias_2: T,
}

impl Perceptron {
    fn check(&self, x: &[f32], before: &[f32], weights: &Weights<&[f32]>) {
        let Self { rows, dim, hidden } = *self;
        assert!(dim > 0 && hidden > 0, "perceptron: rows of no numbers");
        assert_eq!(x.len(), rows * dim, "perceptron: rows");
        assert_eq!(before.len(), rows * hidden, "perceptron: hidden rows");
        for weight in [weights.weight_1, weights.weight_2] {
            assert_eq!(weight.len(), dim * hidden, "perceptron: weight");
        }
        assert_eq!(weights.bias_1.len(), hidden, "perceptron: bias");
        assert_eq!(weights.bias_2.len(), dim, "perceptron: bias");
    }
}

/// The result, and in `before` what went into the GELU, `[rows, hidden]`, for backward.
///
/// # Panics
///
/// If a slice has another length than the sizes say.
pub fn forward_into(
    sizes: &Perceptron,
    x: &[f32],
    weights: Weights<&[f32]>,
    y: &mut [f32],
    before: &mut [f32],
) {
    let Perceptron { dim, hidden, .. } = *sizes;
    sizes.check(x, before, &weights);
    assert_eq!(y.len(), x.len(), "perceptron: result");
    let weight_1 = Matrix::new(weights.weight_1, hidden);
    let weight_2 = Matrix::new(weights.weight_2, dim);
    y.par_chunks_mut(CHUNK * dim)
        .zip(before.par_chunks_mut(CHUNK * hidden))
        .zip(x.par_chunks(CHUNK * dim))
        .for_each_init(
            || vec![0.0; CHUNK * hidden],
            |active, ((y, before), x)| {
                let active = &mut active[..before.len()];
                fill(before, weights.bias_1);
                product(Matrix::new(x, dim), weight_1, before, true);
                gelu::forward_into(before, active);
                fill(y, weights.bias_2);
                product(Matrix::new(active, hidden), weight_2, y, true);
            },
        );
}

/// Gradients from that of the result: that of the rows in `of_x`, those of the weights returned.
///
/// # Panics
///
/// As [`forward_into`].
#[must_use]
pub fn backward_into(
    sizes: &Perceptron,
    x: &[f32],
    before: &[f32],
    weights: Weights<&[f32]>,
    gradient: &[f32],
    of_x: &mut [f32],
) -> Weights<Vec<f32>> {
    let Perceptron { rows, dim, hidden } = *sizes;
    sizes.check(x, before, &weights);
    assert_eq!(gradient.len(), x.len(), "perceptron: gradient");
    assert_eq!(of_x.len(), x.len(), "perceptron: gradient of the rows");
    let weight_1 = Matrix::new(weights.weight_1, hidden).transpose();
    let weight_2 = Matrix::new(weights.weight_2, dim).transpose();
    let chunks = chunks_of_part(rows);
    let weight_len = dim * hidden;
    let rows_of_parts = owned(of_x, chunks * CHUNK * dim);
    let len = 2 * weight_len + hidden + dim;
    let mut sums = sum_of_parts(len, rows_of_parts, |part, of_x, sums| {
        let (of_weight_1, sums) = sums.split_at_mut(weight_len);
        let (of_weight_2, sums) = sums.split_at_mut(weight_len);
        let (of_bias_1, of_bias_2) = sums.split_at_mut(hidden);
        let mut active = vec![0.0; CHUNK * hidden];
        let mut of_before = vec![0.0; CHUNK * hidden];
        let first = part * chunks;
        let x = x.chunks(CHUNK * dim).skip(first);
        let before = before.chunks(CHUNK * hidden).skip(first);
        let gradient = gradient.chunks(CHUNK * dim).skip(first);
        let of_x = of_x.chunks_mut(CHUNK * dim);
        for (((x, before), gradient), of_x) in x.zip(before).zip(gradient).zip(of_x) {
            let active = &mut active[..before.len()];
            let of_before = &mut of_before[..before.len()];
            gelu::forward_into(before, active);
            let given = Matrix::new(gradient, dim);
            product(
                Matrix::new(active, hidden).transpose(),
                given,
                of_weight_2,
                true,
            );
            add_rows(gradient, of_bias_2);
            product(given, weight_2, of_before, false);
            gelu::backward_in_place(before, of_before);
            let given = Matrix::new(of_before, hidden);
            product(Matrix::new(x, dim).transpose(), given, of_weight_1, true);
            add_rows(of_before, of_bias_1);
            product(given, weight_1, of_x, false);
        }
    });
    let bias_2 = sums.split_off(2 * weight_len + hidden);
    let bias_1 = sums.split_off(2 * weight_len);
    let weight_2 = sums.split_off(weight_len);
    Weights {
        weight_1: sums,
        bias_1,
        weight_2,
        bias_2,
    }
}

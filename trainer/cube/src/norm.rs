//! Layer normalisation (Ba et al. 2016).
//!
//! ```text
//! y = (x - mean) / sqrt(variance + epsilon) * weight + bias
//! ```
//! by the mean and variance of each row. Backward computes both anew.

use pulp::Simd;
use rayon::prelude::*;

use crate::lanes::{sum, vectorise};
use crate::linear::{CHUNK, chunks_of_part, owned, sum_of_parts};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
pub mod reference;

/// A row's numbers are scaled and moved by these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine<T> {
    /// `[dim]`.
    pub weight: T,
    /// `[dim]`.
    pub bias: T,
}

fn check(x: &[f32], affine: Affine<&[f32]>) -> usize {
    let dim = affine.weight.len();
    assert!(dim > 0 && x.len().is_multiple_of(dim), "norm: rows");
    assert_eq!(affine.bias.len(), dim, "norm: bias");
    dim
}

/// Rows normalised.
///
/// # Panics
///
/// If a slice has another length than the others say.
pub fn forward_into(x: &[f32], affine: Affine<&[f32]>, epsilon: f32, y: &mut [f32]) {
    let dim = check(x, affine);
    assert_eq!(x.len(), y.len(), "norm: result");
    y.par_chunks_mut(CHUNK * dim)
        .zip(x.par_chunks(CHUNK * dim))
        .for_each(|(y, x)| rows(x, affine, epsilon, y));
}

/// Gradients from that of the result: that of the rows in its place, the others returned.
///
/// # Panics
///
/// As [`forward_into`].
#[must_use]
pub fn backward_in_place(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    gradient: &mut [f32],
) -> Affine<Vec<f32>> {
    let dim = check(
        x,
        Affine {
            weight,
            bias: weight,
        },
    );
    assert_eq!(x.len(), gradient.len(), "norm: gradient");
    // Before the place is taken.
    let chunks = chunks_of_part(x.len() / dim);
    let given: &[f32] = gradient;
    let mut sums = sum_of_parts(2 * dim, owned(&mut [], 0), |part, _, sums| {
        let (of_weight, of_bias) = sums.split_at_mut(dim);
        let x = x.chunks(CHUNK * dim).skip(part * chunks);
        let given = given.chunks(CHUNK * dim).skip(part * chunks);
        for (x, given) in x.zip(given).take(chunks) {
            add_to_affine(x, given, epsilon, of_weight, of_bias);
        }
    });
    gradient
        .par_chunks_mut(CHUNK * dim)
        .zip(x.par_chunks(CHUNK * dim))
        .for_each(|(gradient, x)| rows_backward(x, weight, epsilon, gradient));
    let bias = sums.split_off(dim);
    Affine { weight: sums, bias }
}

vectorise! {
    fn rows<'a>(x: &'a [f32], affine: Affine<&'a [f32]>, epsilon: f32, y: &'a mut [f32]) -> ()
        = rows_generic
}

vectorise! {
    fn rows_backward<'a>(
        x: &'a [f32],
        weight: &'a [f32],
        epsilon: f32,
        gradient: &'a mut [f32],
    ) -> () = rows_backward_generic
}

vectorise! {
    fn add_to_affine<'a>(
        x: &'a [f32],
        gradient: &'a [f32],
        epsilon: f32,
        of_weight: &'a mut [f32],
        of_bias: &'a mut [f32],
    ) -> () = add_to_affine_generic
}

/// The mean of a row, and what its numbers are multiplied by.
#[inline(always)]
fn moments<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> [S::f32s; 2] {
    let count = x.len() as f32;
    let mean = sum(simd, x, 0.0, false) / count;
    let variance = sum(simd, x, mean, true) / count;
    let factor = (variance + epsilon).sqrt().recip();
    [simd.splat_f32s(mean), simd.splat_f32s(factor)]
}

#[inline(always)]
fn rows_generic<S: Simd>(simd: S, x: &[f32], affine: Affine<&[f32]>, epsilon: f32, y: &mut [f32]) {
    let dim = affine.weight.len();
    let lanes = S::F32_LANES;
    for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
        let [mean, factor] = moments(simd, x, epsilon);
        let parts = x.chunks(lanes).zip(y.chunks_mut(lanes));
        let affine = affine.weight.chunks(lanes).zip(affine.bias.chunks(lanes));
        for ((x, y), (weight, bias)) in parts.zip(affine) {
            let x = simd.mul_f32s(simd.sub_f32s(simd.partial_load_f32s(x), mean), factor);
            let (weight, bias) = (simd.partial_load_f32s(weight), simd.partial_load_f32s(bias));
            simd.partial_store_f32s(y, simd.mul_add_e_f32s(x, weight, bias));
        }
    }
}

#[inline(always)]
fn rows_backward_generic<S: Simd>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    gradient: &mut [f32],
) {
    let dim = weight.len();
    let lanes = S::F32_LANES;
    for (x, gradient) in x.chunks_exact(dim).zip(gradient.chunks_exact_mut(dim)) {
        let [mean, factor] = moments(simd, x, epsilon);
        // Means of what goes into the normalised numbers, and of its product with them.
        let mut sums = [simd.splat_f32s(0.0); 2];
        let parts = x.chunks(lanes).zip(weight.chunks(lanes));
        for ((x, weight), g) in parts.zip(gradient.chunks_mut(lanes)) {
            let given = simd.mul_f32s(simd.partial_load_f32s(weight), simd.partial_load_f32s(g));
            // Beyond the end of a row `given` is 0, whatever x is taken for.
            let x = simd.sub_f32s(simd.partial_load_f32s(x), mean);
            sums[0] = simd.add_f32s(sums[0], given);
            sums[1] = simd.mul_add_e_f32s(given, simd.mul_f32s(x, factor), sums[1]);
        }
        let means = [
            simd.splat_f32s(simd.reduce_sum_f32s(sums[0]) / dim as f32),
            simd.splat_f32s(simd.reduce_sum_f32s(sums[1]) / dim as f32),
        ];
        let parts = x.chunks(lanes).zip(weight.chunks(lanes));
        for ((x, weight), g) in parts.zip(gradient.chunks_mut(lanes)) {
            let given = simd.mul_f32s(simd.partial_load_f32s(weight), simd.partial_load_f32s(g));
            let given = simd.sub_f32s(given, means[0]);
            let x = simd.mul_f32s(simd.sub_f32s(simd.partial_load_f32s(x), mean), factor);
            let given = simd.sub_f32s(given, simd.mul_f32s(x, means[1]));
            simd.partial_store_f32s(g, simd.mul_f32s(given, factor));
        }
    }
}

#[inline(always)]
fn add_to_affine_generic<S: Simd>(
    simd: S,
    x: &[f32],
    gradient: &[f32],
    epsilon: f32,
    of_weight: &mut [f32],
    of_bias: &mut [f32],
) {
    let dim = of_weight.len();
    let lanes = S::F32_LANES;
    for (x, gradient) in x.chunks_exact(dim).zip(gradient.chunks_exact(dim)) {
        let [mean, factor] = moments(simd, x, epsilon);
        let parts = x.chunks(lanes).zip(gradient.chunks(lanes));
        let to = of_weight.chunks_mut(lanes).zip(of_bias.chunks_mut(lanes));
        for ((x, gradient), (of_weight, of_bias)) in parts.zip(to) {
            let x = simd.mul_f32s(simd.sub_f32s(simd.partial_load_f32s(x), mean), factor);
            let gradient = simd.partial_load_f32s(gradient);
            let sum = simd.mul_add_e_f32s(x, gradient, simd.partial_load_f32s(of_weight));
            simd.partial_store_f32s(of_weight, sum);
            let sum = simd.add_f32s(gradient, simd.partial_load_f32s(of_bias));
            simd.partial_store_f32s(of_bias, sum);
        }
    }
}

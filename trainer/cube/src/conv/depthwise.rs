//! Convolutions of each channel by itself: there is too little to multiply matrices for, so they are summed tap
//! by tap, a row of results at once.

use pulp::Simd;

use super::{Conv, Row};
use crate::lanes::vectorise;

vectorise! {
    /// The result of one input, from zeros.
    pub(super) fn forward<'a>(
        sizes: &'a Conv,
        rows: &'a [Row],
        x: &'a [f32],
        kernels: &'a [f32],
        y: &'a mut [f32],
    ) -> () = forward_generic
}

vectorise! {
    /// The gradient of one input, from zeros.
    pub(super) fn backward_of_input<'a>(
        sizes: &'a Conv,
        rows: &'a [Row],
        kernels: &'a [f32],
        gradient: &'a [f32],
        to: &'a mut [f32],
    ) -> () = backward_of_input_generic
}

vectorise! {
    /// Adds the gradient of the kernels, by one input.
    pub(super) fn backward_of_kernels<'a>(
        sizes: &'a Conv,
        rows: &'a [Row],
        x: &'a [f32],
        gradient: &'a [f32],
        to: &'a mut [f32],
    ) -> () = backward_of_kernels_generic
}

#[inline(always)]
fn forward_generic<S: Simd>(
    simd: S,
    sizes: &Conv,
    rows: &[Row],
    x: &[f32],
    kernels: &[f32],
    y: &mut [f32],
) {
    let [area, len] = sizes.areas();
    let kernels = kernels.chunks_exact(sizes.patch());
    let channels = y.chunks_exact_mut(len).zip(x.chunks_exact(area));
    for ((y, x), kernel) in channels.zip(kernels) {
        for row in rows {
            let (x, factor) = (&x[row.seen..], kernel[row.tap]);
            let y = &mut y[row.places.clone()];
            match sizes.stride[1] {
                1 => add_times(simd, y, x, factor),
                stride => { y.iter_mut().zip(x.iter().step_by(stride)) }
                    .for_each(|(y, x)| *y += x * factor),
            }
        }
    }
}

#[inline(always)]
fn backward_of_input_generic<S: Simd>(
    simd: S,
    sizes: &Conv,
    rows: &[Row],
    kernels: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let [area, len] = sizes.areas();
    let kernels = kernels.chunks_exact(sizes.patch());
    let channels = to.chunks_exact_mut(area).zip(gradient.chunks_exact(len));
    for ((to, gradient), kernel) in channels.zip(kernels) {
        for row in rows {
            let (to, factor) = (&mut to[row.seen..], kernel[row.tap]);
            let gradient = &gradient[row.places.clone()];
            match sizes.stride[1] {
                1 => add_times(simd, &mut to[..gradient.len()], gradient, factor),
                stride => { to.iter_mut().step_by(stride).zip(gradient) }
                    .for_each(|(to, g)| *to += g * factor),
            }
        }
    }
}

#[inline(always)]
fn backward_of_kernels_generic<S: Simd>(
    simd: S,
    sizes: &Conv,
    rows: &[Row],
    x: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let [area, len] = sizes.areas();
    let channels = x.chunks_exact(area).zip(gradient.chunks_exact(len));
    for ((x, gradient), to) in channels.zip(to.chunks_exact_mut(sizes.patch())) {
        for row in rows {
            let (x, gradient) = (&x[row.seen..], &gradient[row.places.clone()]);
            to[row.tap] += match sizes.stride[1] {
                1 => sum_of_products(simd, gradient, x),
                stride => { gradient.iter().zip(x.iter().step_by(stride)) }
                    .map(|(g, x)| g * x)
                    .sum(),
            };
        }
    }
}

/// `to += factor x`, as long as `to` is; `x` may go on.
#[inline(always)]
fn add_times<S: Simd>(simd: S, to: &mut [f32], x: &[f32], factor: f32) {
    let (x, x_tail) = S::as_simd_f32s(&x[..to.len()]);
    let (to, to_tail) = S::as_mut_simd_f32s(to);
    let factors = simd.splat_f32s(factor);
    for (to, x) in to.iter_mut().zip(x) {
        *to = simd.mul_add_e_f32s(*x, factors, *to);
    }
    for (to, x) in to_tail.iter_mut().zip(x_tail) {
        *to += x * factor;
    }
}

/// The sum of products, as many as there are of `a`; `b` may go on.
#[inline(always)]
fn sum_of_products<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (b, b_tail) = S::as_simd_f32s(&b[..a.len()]);
    let (a, a_tail) = S::as_simd_f32s(a);
    let mut sums = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = simd.mul_add_e_f32s(*a, *b, sums);
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum();
    simd.reduce_sum_f32s(sums) + tail
}

//! The activation `x Phi(x)`, with the exact error function (Hendrycks and Gimpel 2016).

use pulp::Simd;

use crate::lanes::{erf, exp, vectorise};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
pub mod reference;

/// Of a normal distribution at 0.
const DENSITY_AT_0: f32 = 0.398_942_3;

vectorise! {
    /// The activation of each number.
    ///
    /// # Panics
    ///
    /// If lengths differ.
    pub fn forward_into<'a>(x: &'a [f32], y: &'a mut [f32]) -> () = forward_generic
}

vectorise! {
    /// The gradient of each number, in the place of that of its activation.
    ///
    /// # Panics
    ///
    /// If lengths differ.
    pub fn backward_in_place<'a>(x: &'a [f32], gradient: &'a mut [f32]) -> () = backward_generic
}

/// `Phi(x)`, the share of a normal distribution below x.
#[inline(always)]
fn share<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.splat_f32s(0.5);
    let erf = erf(
        simd,
        simd.mul_f32s(x, simd.splat_f32s(core::f32::consts::FRAC_1_SQRT_2)),
    );
    simd.mul_add_e_f32s(erf, half, half)
}

#[inline(always)]
fn activate<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.mul_f32s(x, share(simd, x))
}

/// The derivative of [`activate`].
#[inline(always)]
fn slope<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(simd.mul_f32s(x, x), simd.splat_f32s(-0.5));
    let density = simd.mul_f32s(exp(simd, square), simd.splat_f32s(DENSITY_AT_0));
    simd.mul_add_e_f32s(x, density, share(simd, x))
}

#[inline(always)]
fn forward_generic<S: Simd>(simd: S, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "gelu: lengths");
    let ((x, x_tail), (y, y_tail)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(y));
    for (x, y) in x.iter().zip(y) {
        *y = activate(simd, *x);
    }
    let tail = activate(simd, simd.partial_load_f32s(x_tail));
    simd.partial_store_f32s(y_tail, tail);
}

#[inline(always)]
fn backward_generic<S: Simd>(simd: S, x: &[f32], gradient: &mut [f32]) {
    assert_eq!(x.len(), gradient.len(), "gelu: lengths");
    let ((x, x_tail), (g, g_tail)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(gradient));
    for (x, g) in x.iter().zip(g) {
        *g = simd.mul_f32s(*g, slope(simd, *x));
    }
    let tail = simd.partial_load_f32s(g_tail);
    let tail = simd.mul_f32s(tail, slope(simd, simd.partial_load_f32s(x_tail)));
    simd.partial_store_f32s(g_tail, tail);
}

//! One suite that every place where kernels run has to pass.
//!
//! [`check_all!`] makes tests of it. What is expected comes from the references, which are checked
//! by finite differences.

use crate::attention::{self, Attention, Operands};
use crate::gelu;
use crate::nce::{self, Nce, Sides};
use crate::norm::{self, Affine};

/// Where kernels run.
pub(crate) trait Kernels {
    fn attention(&self, sizes: &Attention, operands: Operands<&[f32]>) -> [Vec<f32>; 2];
    fn attention_backward(
        &self,
        sizes: &Attention,
        operands: Operands<&[f32]>,
        saved: [&[f32]; 2],
        gradient: &[f32],
    ) -> Operands<Vec<f32>>;
    fn nce(&self, sizes: &Nce, sides: Sides<&[f32], &[i32]>) -> Vec<f32>;
    fn nce_backward(
        &self,
        sizes: &Nce,
        sides: Sides<&[f32], &[i32]>,
        logs: &[f32],
        gradient: &[f32],
    ) -> [Vec<f32>; 2];
    fn norm(&self, x: &[f32], affine: Affine<&[f32]>, epsilon: f32) -> Vec<f32>;
    fn norm_backward(
        &self,
        x: &[f32],
        weight: &[f32],
        epsilon: f32,
        gradient: &[f32],
    ) -> (Vec<f32>, Affine<Vec<f32>>);
    fn gelu(&self, x: &[f32]) -> Vec<f32>;
    fn gelu_backward(&self, x: &[f32], gradient: &[f32]) -> Vec<f32>;
}

/// Tests of a place where kernels run, in a module of this name. With `if`, the expression may give
/// none, on a machine that has no such device; that is said, and passes.
macro_rules! check_all {
    ($name:ident, if $kernels:expr) => {
        $crate::check::check_all!(@module $name, |run: fn(&_)| match $kernels {
            Some(kernels) => run(&kernels),
            None => $crate::check::skip(module_path!()),
        });
    };
    ($name:ident, $kernels:expr) => {
        $crate::check::check_all!(@module $name, |run: fn(&_)| run(&$kernels));
    };
    (@module $name:ident, $runner:expr) => {
        mod $name {
            $crate::check::check_all!(@each $runner =>
                attention_is_that_of_the_reference,
                causal_attention_does_not_see_what_is_later,
                denominators_are_those_of_the_reference,
                large_similarities_do_not_overflow,
                norms_are_those_of_the_reference,
                activations_are_those_of_the_reference,
            );
        }
    };
    (@each $runner:expr => $($test:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                ($runner)($crate::check::$test);
            }
        )+
    };
}
pub(crate) use check_all;

/// Says that there is no such device, where the harness does not swallow it.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) fn skip(module: &str) {
    use std::io::Write;
    let _ = writeln!(
        std::io::stderr(),
        "{module}: skipped, there is no such device"
    );
}

/// Numbers in -1..1 that depend on a key only (SplitMix64).
pub(crate) fn numbers(key: u64, count: usize) -> impl Iterator<Item = f32> {
    (1..=count as u64).map(move |i| {
        let z = (key << 32)
            .wrapping_add(i)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

pub(crate) fn narrow(key: u64, count: usize) -> Vec<f32> {
    numbers(key, count).collect()
}

pub(crate) fn wide(key: u64, count: usize) -> Vec<f64> {
    widen(&narrow(key, count))
}

fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// Compares a gradient with central differences of a loss.
pub(crate) fn differences(gradient: &[f64], at: &[f64], loss: impl Fn(&[f64]) -> f64) {
    const STEP: f64 = 1e-5;
    assert_eq!(gradient.len(), at.len());
    let mut moved = at.to_vec();
    for (i, actual) in gradient.iter().enumerate() {
        let mut loss_at = |by: f64| {
            moved[i] = at[i] + by;
            loss(&moved)
        };
        let expected = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
        moved[i] = at[i];
        assert!(
            (actual - expected).abs() < 1e-8,
            "{i}: {actual}, expected {expected}"
        );
    }
}

/// Compares with exact numbers, relative to the largest of them.
#[track_caller]
pub(crate) fn close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6, |most: f64, x| most.max(x.abs()));
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*actual) - expected).abs() / largest;
        assert!(
            error <= tolerance,
            "{what} {i}: {actual}, expected {expected} of {largest}"
        );
    }
}

fn attention_case(kernels: &impl Kernels, sizes: Attention, spread: f32) {
    let packed: Vec<f32> = numbers(1, sizes.packed_len()).map(|x| x * spread).collect();
    let extra = [narrow(2, sizes.dim()), narrow(3, sizes.dim())];
    let wide_extra = extra.each_ref().map(|x| widen(x));
    let wide_packed = widen(&packed);
    let bias = sizes.bias.then(|| extra.each_ref().map(|x| &x[..]));
    let operands = Operands {
        packed: &packed[..],
        bias,
    };
    let bias = sizes.bias.then(|| wide_extra.each_ref().map(|x| &x[..]));
    let exact = Operands {
        packed: &wide_packed[..],
        bias,
    };
    let gradient = narrow(4, sizes.output_len());

    let what = format!("{sizes:?}");
    // A score is right to so many times less, the larger it is.
    let coarser = f64::from(spread.max(1.0));
    let expected = attention::reference::forward(&sizes, exact);
    let actual = kernels.attention(&sizes, operands);
    close(&what, &actual[0], &expected[0], 4e-6 * coarser);
    close(&what, &actual[1], &expected[1], 2e-6);
    let expected = attention::reference::backward(&sizes, exact, &widen(&gradient));
    let saved = actual.each_ref().map(|x| &x[..]);
    let actual = kernels.attention_backward(&sizes, operands, saved, &gradient);
    close(&what, &actual.packed, &expected.packed, 1e-5 * coarser);
    match (actual.bias, expected.bias) {
        (Some(actual), Some(expected)) => {
            close(&what, &actual[0], &expected[0], 1e-5 * coarser);
            close(&what, &actual[1], &expected[1], 1e-5 * coarser);
        }
        (actual, expected) => assert!(actual.is_none() && expected.is_none()),
    }
}

/// Any count of tokens, heads of any width, an extra key, rows of zeros, scores up to 100.
pub(crate) fn attention_is_that_of_the_reference(kernels: &impl Kernels) {
    let sizes = |batch, tokens, heads, head_dim, bias, causal| Attention {
        batch,
        tokens,
        heads,
        head_dim,
        bias,
        causal,
    };
    for (sizes, spread) in [
        (sizes(1, 1, 1, 1, false, false), 1.0),
        (sizes(2, 1, 1, 3, true, false), 1.0),
        (sizes(2, 17, 3, 8, false, false), 1.0),
        (sizes(1, 33, 2, 20, true, false), 1.0),
        (sizes(1, 77, 1, 16, false, true), 1.0),
        (sizes(2, 19, 2, 33, true, true), 1.0),
        (sizes(1, 65, 1, 128, true, false), 1.0),
        (sizes(1, 21, 2, 24, true, false), 0.0),
        (sizes(1, 40, 1, 32, false, false), 10.0),
        (sizes(0, 5, 1, 4, true, false), 1.0),
    ] {
        attention_case(kernels, sizes, spread);
    }
}

pub(crate) fn causal_attention_does_not_see_what_is_later(kernels: &impl Kernels) {
    let sizes = Attention {
        batch: 1,
        tokens: 20,
        heads: 2,
        head_dim: 8,
        bias: false,
        causal: true,
    };
    let mut packed = narrow(1, sizes.packed_len());
    let attend = |packed: &[f32]| kernels.attention(&sizes, Operands { packed, bias: None });
    let before = attend(&packed);
    let seen = 11 * sizes.dim();
    for x in &mut packed[3 * seen..] {
        *x = 50.0 - *x;
    }
    let after = attend(&packed);
    assert_eq!(before[0][..seen], after[0][..seen]);
    assert_ne!(before[0][seen..], after[0][seen..]);
}

fn nce_case(kernels: &impl Kernels, sizes: Nce, scale: f32, groups: Option<&[i32]>) {
    let x: Vec<f32> = numbers(1, sizes.rows * sizes.dim)
        .map(|x| x * scale)
        .collect();
    let y = narrow(2, sizes.columns * sizes.dim);
    let gradient = narrow(3, sizes.rows);
    let (wide_x, wide_y) = (widen(&x), widen(&y));
    let sides = Sides {
        x: &x[..],
        y: &y[..],
        groups,
    };
    let exact = Sides {
        x: &wide_x[..],
        y: &wide_y[..],
        groups,
    };
    let what = format!("{sizes:?}");
    let expected = nce::reference::forward(&sizes, exact);
    let logs = kernels.nce(&sizes, sides);
    close(&what, &logs, &expected, 2e-6);
    let [of_x, of_y] = nce::reference::backward(&sizes, exact, &widen(&gradient));
    let actual = kernels.nce_backward(&sizes, sides, &logs, &gradient);
    // A logarithm of 100 is right to 1e-5, and so is a share of its sum.
    let tolerance = 1e-5 + f64::from(scale) * 1e-6;
    close(&what, &actual[0], &of_x, tolerance);
    close(&what, &actual[1], &of_y, tolerance);
}

/// Tiles that are not full, one row, one column, no row, rows of zeros, groups.
pub(crate) fn denominators_are_those_of_the_reference(kernels: &impl Kernels) {
    for (rows, columns, dim) in [
        (1, 1, 1),
        (5, 3, 7),
        (16, 16, 16),
        (37, 53, 64),
        (0, 4, 3),
        (1, 300, 20),
        (270, 2, 5),
    ] {
        nce_case(kernels, Nce { rows, columns, dim }, 1.0, None);
    }
    nce_case(
        kernels,
        Nce {
            rows: 5,
            columns: 9,
            dim: 4,
        },
        0.0,
        None,
    );
    let groups: Vec<i32> = (0..290).map(|i| i * i % 23 - 5).collect();
    nce_case(
        kernels,
        Nce {
            rows: 290,
            columns: 290,
            dim: 6,
        },
        1.0,
        Some(&groups),
    );
    // All of one thing: each has only itself.
    nce_case(
        kernels,
        Nce {
            rows: 20,
            columns: 20,
            dim: 6,
        },
        1.0,
        Some(&[3; 20]),
    );
}

pub(crate) fn large_similarities_do_not_overflow(kernels: &impl Kernels) {
    nce_case(
        kernels,
        Nce {
            rows: 40,
            columns: 70,
            dim: 8,
        },
        60.0,
        None,
    );
}

/// Any width, a row of equal numbers, a row far from 0.
pub(crate) fn norms_are_those_of_the_reference(kernels: &impl Kernels) {
    const EPSILON: f32 = 1e-5;
    for (rows, dim) in [(1, 1), (3, 5), (300, 16), (7, 128), (2, 333), (0, 4)] {
        let mut x = narrow(1, rows * dim);
        for (i, x) in x.chunks_exact_mut(dim).enumerate() {
            match i {
                1 => x.fill(0.25),
                2 => x.iter_mut().for_each(|x| *x += 30.0),
                _ => (),
            }
        }
        let (weight, bias) = (narrow(2, dim), narrow(3, dim));
        let gradient = narrow(4, rows * dim);
        let (wide_x, wide_weight, wide_bias) = (widen(&x), widen(&weight), widen(&bias));
        let epsilon = f64::from(EPSILON);
        let what = format!("{rows} rows of {dim}");
        let exact = Affine {
            weight: &wide_weight[..],
            bias: &wide_bias[..],
        };
        let expected = norm::reference::forward(&wide_x, exact, epsilon);
        let affine = Affine {
            weight: &weight[..],
            bias: &bias[..],
        };
        close(&what, &kernels.norm(&x, affine, EPSILON), &expected, 1e-5);
        let wide_gradient = widen(&gradient);
        let expected = norm::reference::backward(&wide_x, &wide_weight, epsilon, &wide_gradient);
        let actual = kernels.norm_backward(&x, &weight, EPSILON, &gradient);
        close(&what, &actual.0, &expected.0, 1e-5);
        close(&what, &actual.1.weight, &expected.1.weight, 1e-5);
        close(&what, &actual.1.bias, &expected.1.bias, 1e-5);
    }
}

pub(crate) fn activations_are_those_of_the_reference(kernels: &impl Kernels) {
    for count in [0, 1, 15, 16, 33, 1000] {
        // The first is large: errors are relative to the largest.
        let rest = numbers(1, count).skip(1).map(|x| x * 6.0);
        let x: Vec<f32> = std::iter::once(5.0).chain(rest).take(count).collect();
        let gradient = narrow(2, count);
        let wide_x = widen(&x);
        let expected: Vec<f64> = wide_x
            .iter()
            .copied()
            .map(gelu::reference::forward)
            .collect();
        close("activation", &kernels.gelu(&x), &expected, 1e-6);
        let slopes = wide_x.iter().map(|x| gelu::reference::slope(*x));
        let expected: Vec<f64> = slopes.zip(widen(&gradient)).map(|(s, g)| s * g).collect();
        close(
            "slope",
            &kernels.gelu_backward(&x, &gradient),
            &expected,
            1e-6,
        );
    }
}

/// The CPU.
pub(crate) struct Cpu;

impl Kernels for Cpu {
    fn attention(&self, sizes: &Attention, operands: Operands<&[f32]>) -> [Vec<f32>; 2] {
        attention::forward(sizes, operands)
    }

    fn attention_backward(
        &self,
        sizes: &Attention,
        operands: Operands<&[f32]>,
        saved: [&[f32]; 2],
        gradient: &[f32],
    ) -> Operands<Vec<f32>> {
        attention::backward(sizes, operands, saved, gradient)
    }

    fn nce(&self, sizes: &Nce, sides: Sides<&[f32], &[i32]>) -> Vec<f32> {
        nce::forward(sizes, sides)
    }

    fn nce_backward(
        &self,
        sizes: &Nce,
        sides: Sides<&[f32], &[i32]>,
        logs: &[f32],
        gradient: &[f32],
    ) -> [Vec<f32>; 2] {
        let (of_x, of_y) = nce::backward(sizes, sides, logs, gradient, true);
        [of_x, of_y.unwrap_or_default()]
    }

    fn norm(&self, x: &[f32], affine: Affine<&[f32]>, epsilon: f32) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        norm::forward_into(x, affine, epsilon, &mut y);
        y
    }

    fn norm_backward(
        &self,
        x: &[f32],
        weight: &[f32],
        epsilon: f32,
        gradient: &[f32],
    ) -> (Vec<f32>, Affine<Vec<f32>>) {
        let mut of_x = gradient.to_vec();
        let affine = norm::backward_in_place(x, weight, epsilon, &mut of_x);
        (of_x, affine)
    }

    fn gelu(&self, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        gelu::forward_into(x, &mut y);
        y
    }

    fn gelu_backward(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut of_x = gradient.to_vec();
        gelu::backward_in_place(x, &mut of_x);
        of_x
    }
}

check_all!(cpu, super::Cpu);

mod products;

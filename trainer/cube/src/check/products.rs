//! Products, convolutions and batch norms, which only the CPU has kernels for.

use super::{close, narrow, widen};
use crate::batch::{self, Batch, Statistics};
use crate::conv::{self, Conv};
use crate::linear::{self, Linear};
use crate::norm::Affine;
use crate::perceptron::{self, Perceptron, Weights};

#[test]
fn linear_layers_are_those_of_the_reference() {
    for (rows, from, to) in [(1, 1, 1), (300, 7, 5), (2100, 3, 17), (0, 2, 3)] {
        let sizes = Linear { rows, from, to };
        let (x, weight) = (narrow(1, rows * from), narrow(2, from * to));
        let (bias, gradient) = (narrow(3, to), narrow(4, rows * to));
        let mut y = vec![f32::NAN; rows * to];
        linear::forward_into(&sizes, &x, &weight, &bias, &mut y);
        let (wide_x, wide_weight) = (widen(&x), widen(&weight));
        let expected = linear::reference::forward(&sizes, &wide_x, &wide_weight, &widen(&bias));
        close("linear", &y, &expected, 1e-6);
        let expected =
            linear::reference::backward(&sizes, &wide_x, &wide_weight, &widen(&gradient));
        let mut of_x = vec![f32::NAN; rows * from];
        let of_weights = linear::backward_into(&sizes, &x, &weight, &gradient, Some(&mut of_x));
        close("rows", &of_x, &expected[0], 1e-6);
        close("weight", &of_weights[0], &expected[1], 1e-5);
        close("bias", &of_weights[1], &expected[2], 1e-5);
    }
}

#[test]
fn perceptrons_are_those_of_the_reference() {
    for (rows, dim, hidden) in [(1, 1, 2), (300, 3, 12), (2500, 4, 9), (0, 3, 4)] {
        let sizes = Perceptron { rows, dim, hidden };
        let x = narrow(1, rows * dim);
        let gradient = narrow(2, rows * dim);
        let all = [
            narrow(3, dim * hidden),
            narrow(4, hidden),
            narrow(5, dim * hidden),
            narrow(6, dim),
        ];
        let of = |all: [Vec<f64>; 4]| all;
        let exact = of(all.each_ref().map(|x| widen(x)));
        let weights = Weights {
            weight_1: &all[0][..],
            bias_1: &all[1][..],
            weight_2: &all[2][..],
            bias_2: &all[3][..],
        };
        let exact = Weights {
            weight_1: &exact[0][..],
            bias_1: &exact[1][..],
            weight_2: &exact[2][..],
            bias_2: &exact[3][..],
        };
        let wide_x = widen(&x);
        let mut y = vec![f32::NAN; rows * dim];
        let mut before = vec![f32::NAN; rows * hidden];
        perceptron::forward_into(&sizes, &x, weights, &mut y, &mut before);
        close(
            "result",
            &y,
            &perceptron::reference::forward(&sizes, &wide_x, exact),
            2e-6,
        );
        let (of_x, of_weights) =
            perceptron::reference::backward(&sizes, &wide_x, exact, &widen(&gradient));
        let mut actual_x = vec![f32::NAN; rows * dim];
        let actual =
            perceptron::backward_into(&sizes, &x, &before, weights, &gradient, &mut actual_x);
        close("rows", &actual_x, &of_x, 2e-6);
        close("weight", &actual.weight_1, &of_weights.weight_1, 1e-5);
        close("bias", &actual.bias_1, &of_weights.bias_1, 1e-5);
        close("weight", &actual.weight_2, &of_weights.weight_2, 1e-5);
        close("bias", &actual.bias_2, &of_weights.bias_2, 1e-5);
    }
}

/// Kernels that see all channels, some or one; of one place and of many; larger than the input;
/// with and without padding, at every stride.
const CONVS: [Conv; 8] = {
    let one = Conv {
        batch: 1,
        from: 1,
        to: 1,
        groups: 1,
        input: [1, 1],
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
    };
    [
        one,
        Conv {
            batch: 19,
            from: 3,
            to: 5,
            input: [6, 7],
            kernel: [3, 5],
            padding: [1, 2],
            ..one
        },
        Conv {
            batch: 2,
            from: 4,
            to: 6,
            groups: 2,
            input: [5, 4],
            kernel: [3, 3],
            stride: [2, 1],
            padding: [1, 1],
        },
        Conv {
            batch: 9,
            from: 4,
            to: 4,
            groups: 4,
            input: [7, 5],
            kernel: [3, 3],
            stride: [1, 2],
            padding: [1, 1],
        },
        Conv {
            batch: 3,
            from: 2,
            to: 2,
            groups: 2,
            input: [1, 9],
            kernel: [1, 5],
            stride: [1, 3],
            padding: [0, 2],
        },
        Conv {
            batch: 3,
            from: 6,
            to: 4,
            groups: 2,
            input: [3, 3],
            ..one
        },
        Conv {
            batch: 2,
            from: 1,
            to: 3,
            input: [2, 1],
            kernel: [7, 3],
            stride: [3, 2],
            padding: [3, 1],
            ..one
        },
        Conv {
            batch: 0,
            from: 2,
            to: 2,
            input: [3, 3],
            kernel: [3, 3],
            padding: [1, 1],
            ..one
        },
    ]
};

#[test]
fn convolutions_are_those_of_the_reference() {
    for sizes in CONVS {
        let area = |sides: [usize; 2]| sides[0] * sides[1];
        let x = narrow(1, sizes.batch * sizes.from * area(sizes.input));
        let kernels = narrow(2, sizes.to * sizes.from / sizes.groups * area(sizes.kernel));
        let gradient = narrow(3, sizes.batch * sizes.to * area(sizes.output()));
        let (wide_x, wide_kernels) = (widen(&x), widen(&kernels));
        let mut y = vec![0.0; gradient.len()];
        conv::forward_into(&sizes, &x, &kernels, &mut y);
        close(
            "conv",
            &y,
            &conv::reference::forward(&sizes, &wide_x, &wide_kernels),
            2e-6,
        );
        let expected = conv::reference::backward(&sizes, &wide_x, &wide_kernels, &widen(&gradient));
        let mut of_x = vec![0.0; x.len()];
        let of_kernels = conv::backward_into(&sizes, &x, &kernels, &gradient, Some(&mut of_x));
        close("inputs", &of_x, &expected[0], 2e-6);
        close("kernels", &of_kernels, &expected[1], 1e-5);
    }
}

#[test]
fn batch_norms_are_those_of_the_reference() {
    for (inputs, channels, places) in [(1, 1, 5), (5, 3, 7), (2, 20, 33), (64, 2, 1)] {
        let sizes = Batch {
            inputs,
            channels,
            places,
        };
        let x: Vec<f32> = narrow(1, inputs * channels * places);
        let x: Vec<f32> = x.into_iter().map(|x| 3.0 * x - 5.0).collect();
        let (weight, bias) = (narrow(2, channels), narrow(3, channels));
        let gradient = narrow(4, x.len());
        let (wide_x, wide_weight) = (widen(&x), widen(&weight));
        let mut y = vec![f32::NAN; x.len()];
        let affine = Affine {
            weight: &weight[..],
            bias: &bias[..],
        };
        let found = batch::forward_into(&sizes, &x, affine, 1e-3, &mut y);
        let known = batch::reference::statistics(&sizes, &wide_x);
        close("mean", &found.mean, &known.mean, 1e-6);
        close("variance", &found.variance, &known.variance, 1e-5);
        let affine = Affine {
            weight: &wide_weight[..],
            bias: &widen(&bias)[..],
        };
        let expected = batch::reference::forward(&sizes, &wide_x, affine, f64::from(1e-3f32));
        close("batch norm", &y, &expected, 1e-5);
        let found = Statistics {
            mean: &found.mean[..],
            variance: &found.variance[..],
        };
        let mut of_x = vec![f32::NAN; x.len()];
        let of = batch::backward_into(&sizes, &x, &weight, &found, 1e-3, &gradient, &mut of_x);
        let (expected_x, expected) = batch::reference::backward(
            &sizes,
            &wide_x,
            &wide_weight,
            f64::from(1e-3f32),
            &widen(&gradient),
        );
        close("inputs", &of_x, &expected_x, 2e-5);
        close("weight", &of.weight, &expected.weight, 1e-5);
        close("bias", &of.bias, &expected.bias, 1e-5);
    }
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let sizes = Perceptron {
        rows: 5000,
        dim: 8,
        hidden: 16,
    };
    let (x, gradient) = (narrow(1, 5000 * 8), narrow(2, 5000 * 8));
    let (before, weight) = (narrow(3, 5000 * 16), narrow(4, 8 * 16));
    let weights = Weights {
        weight_1: &weight[..],
        bias_1: &weight[..16],
        weight_2: &weight[..],
        bias_2: &weight[..8],
    };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut of_x = vec![0.0; x.len()];
        let of_weights = pool.install(|| {
            perceptron::backward_into(&sizes, &x, &before, weights, &gradient, &mut of_x)
        });
        (of_x, of_weights)
    };
    assert_eq!(run(1), run(3));
}

//! The fused operations against the plain ones: values and all gradients, on the backend that was
//! compiled in.

#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

use std::io::Write;

use burn::module::Param;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LayerNormConfig, LinearConfig};
use burn::tensor::TensorData;

use super::*;
use crate::backend::{self, Training};

/// Leaves a test on a machine without a device for the backend.
macro_rules! require_device {
    () => {
        if let Err(error) = backend::probe() {
            // Past the harness, which shows what a test prints only if it fails.
            let _ = writeln!(std::io::stderr(), "{}: skipped: {error}", module_path!());
            return;
        }
    };
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod precision;

type Tensors<const D: usize> = Tensor<Training, D>;

/// Numbers in -1..1 that depend on a key only, with a gradient.
fn numbers<const D: usize>(key: u32, shape: [usize; D]) -> Tensors<D> {
    constants(key, shape).require_grad()
}

/// As [`numbers`], without a gradient.
fn constants<const D: usize>(key: u32, shape: [usize; D]) -> Tensors<D> {
    let count: usize = shape.iter().product();
    let values = crate::portable::fill(u64::from(key), "ops", 0.0, 1.0, count).collect();
    let data = TensorData::new::<f32, _>(values, shape);
    Tensor::from_data(data, &Default::default())
}

/// Values of a result and of the gradients of what it was computed of.
fn outcome<const D: usize>(y: Tensors<D>, of: &[&Of]) -> Vec<Vec<f32>> {
    let values = y.clone().into_data().to_vec().unwrap();
    let weights = constants(99, y.dims());
    let gradients = (y * weights).sum().backward();
    let mut all = vec![values];
    all.extend(of.iter().map(|gradient| gradient(&gradients)));
    all
}

type Gradients = <Training as burn::tensor::backend::AutodiffBackend>::Gradients;

/// The gradient of one thing, out of all of them.
type Of = dyn Fn(&Gradients) -> Vec<f32>;

fn gradient<const D: usize>(x: &Tensors<D>) -> impl Fn(&Gradients) -> Vec<f32> + use<D> {
    let x = x.clone();
    move |gradients| x.grad(gradients).unwrap().into_data().to_vec().unwrap()
}

#[track_caller]
fn same(actual: &[Vec<f32>], expected: &[Vec<f32>]) {
    within(2e-5, actual, expected);
}

/// Whether all parts are the same but for a share of their largest number.
#[track_caller]
fn within(share: f32, actual: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(actual.len(), expected.len());
    for (part, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(largest > 0.0);
        assert_eq!(actual.len(), expected.len());
        for (i, (a, b)) in actual.iter().zip(expected).enumerate() {
            let error = (a - b).abs() / largest;
            assert!(
                error < share,
                "part {part}, {i}: {a}, expected {b} of {largest}"
            );
        }
    }
}

#[test]
fn attention_is_the_plain_one() {
    require_device!();
    for (tokens, heads, with_bias, causal) in [
        (5, 2, false, false),
        (19, 3, true, false),
        (40, 1, false, true),
        (7, 2, true, true),
    ] {
        let dim = 6 * heads;
        let packed = numbers(1, [2, tokens, 3 * dim]);
        let bias = [numbers(2, [1, 1, dim]), numbers(3, [1, 1, dim])];
        let both = |fused: bool| {
            let extra = with_bias.then(|| bias.clone());
            let y = match fused {
                true => attention(packed.clone(), extra, heads, causal),
                false => plain::attention(packed.clone(), extra, heads, causal),
            };
            let [key, value] = bias_gradients(&bias);
            if with_bias {
                outcome(y, &[&gradient(&packed), &key, &value])
            } else {
                outcome(y, &[&gradient(&packed)])
            }
        };
        let (fused, expected) = (both(true), both(false));
        if with_bias && causal {
            // None sees the extra key, so its gradients are 0, which `same` takes for a mistake.
            assert!(fused[2..].iter().flatten().all(|x| *x == 0.0));
            same(&fused[..2], &expected[..2]);
        } else {
            same(&fused, &expected);
        }
    }
}

fn bias_gradients(bias: &[Tensors<3>; 2]) -> [impl Fn(&Gradients) -> Vec<f32> + use<>; 2] {
    bias.each_ref().map(gradient)
}

fn layer(key: u32, from: usize, to: usize) -> LinearLayer<Training> {
    let mut layer = LinearConfig::new(from, to).init(&Default::default());
    layer.weight = Param::from_tensor(numbers(key, [from, to]));
    layer.bias = Some(Param::from_tensor(numbers(key + 1, [to])));
    layer
}

fn of_layer(layer: &LinearLayer<Training>) -> [Box<Of>; 2] {
    let bias = layer.bias.as_ref().unwrap().val();
    [
        Box::new(gradient(&layer.weight.val())),
        Box::new(gradient(&bias)),
    ]
}

fn parts(layer: &LinearLayer<Training>) -> (Tensors<2>, Tensors<1>) {
    (layer.weight.val(), layer.bias.as_ref().unwrap().val())
}

#[test]
fn products_are_the_plain_ones() {
    require_device!();
    let (first, second) = (layer(10, 6, 24), layer(20, 24, 6));
    let x = numbers(1, [3, 5, 6]);
    let of_x = gradient(&x);
    let flat = || x.clone().reshape([15, 6]);
    let (of_first, of_second) = (of_layer(&first), of_layer(&second));

    let of: [&Of; 3] = [&of_x, &of_first[0], &of_first[1]];
    let (weight, bias) = parts(&first);
    same(
        &outcome(linear(&first, x.clone()), &of),
        &outcome(plain::linear(flat(), weight, bias).reshape([3, 5, 24]), &of),
    );

    let of: [&Of; 5] = [
        &of_x,
        &of_first[0],
        &of_first[1],
        &of_second[0],
        &of_second[1],
    ];
    let fused = outcome(perceptron([&first, &second], x.clone()), &of);
    // Made only now: a graph that shares weights with one that is walked is lost with it.
    let plain = plain::perceptron(flat(), [parts(&first), parts(&second)]);
    same(&fused, &outcome(plain.reshape([3, 5, 6]), &of));
}

#[test]
fn what_falls_out_depends_on_the_seed_and_gradients_know_it() {
    require_device!();
    let layer = burn::nn::DropoutConfig::new(0.25).init();
    let x = numbers(1, [40, 5, 50]);
    let run = |seed| {
        Training::seed(&Default::default(), seed);
        outcome(
            dropout(&layer, x.clone()).mul_scalar(0.75),
            &[&gradient(&x)],
        )
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let [y, of_x] = &first[..] else {
        panic!("{}", first.len())
    };
    let before = x.clone().into_data().to_vec::<f32>().unwrap();
    let fallen = y.iter().zip(&before).filter(|(y, _)| **y == 0.0).count();
    assert!(
        (fallen as f64 / 1e4 - 0.25).abs() < 0.02,
        "{fallen} of 10000"
    );
    for ((y, x), of_x) in y.iter().zip(&before).zip(of_x) {
        assert!(*y == 0.0 || (y - x).abs() < 1e-6, "{y} {x}");
        assert_eq!(*y == 0.0, *of_x == 0.0);
    }
    // Outside of training nothing falls out.
    let inner = dropout(&layer, x.clone().inner());
    assert_eq!(inner.into_data().to_vec::<f32>().unwrap(), before);
}

#[test]
fn norms_are_the_plain_ones_and_burns() {
    require_device!();
    let mut layer = LayerNormConfig::new(7)
        .with_epsilon(1e-3)
        .init(&Default::default());
    layer.gamma = Param::from_tensor(numbers(1, [7]));
    layer.beta = Some(Param::from_tensor(numbers(2, [7])));
    let (weight, bias) = (layer.gamma.val(), layer.beta.as_ref().unwrap().val());
    let x = numbers(3, [2, 4, 7]);
    let (of_x, of_weight, of_bias) = (gradient(&x), gradient(&weight), gradient(&bias));
    let of: [&Of; 3] = [&of_x, &of_weight, &of_bias];
    let fused = outcome(norm(&layer, 1e-3, x.clone()), &of);
    let plain = plain::norm(x.clone().reshape([8, 7]), weight, bias, 1e-3);
    same(&fused, &outcome(plain.reshape([2, 4, 7]), &of));
    same(&fused, &outcome(layer.forward(x.clone()), &of));
}

#[test]
fn denominators_are_the_plain_ones() {
    require_device!();
    let (x, y) = (numbers(1, [9, 4]), numbers(2, [9, 4]));
    let of: [&Of; 2] = [&gradient(&x), &gradient(&y)];
    for grouped in [false, true] {
        let groups = || {
            let groups = [1, 2, 1, 3, 4, 2, 5, 1, 6];
            grouped.then(|| Tensor::from_data(groups, &Default::default()))
        };
        let fused = outcome(nce(x.clone(), y.clone(), groups()), &of);
        let plain = plain::nce(x.clone(), y.clone(), groups());
        same(&fused, &outcome(plain, &of));
    }
}

#[test]
fn what_records_no_gradient_gets_none() {
    require_device!();
    let (x, y) = (constants(1, [3, 4]), numbers(2, [5, 4]));
    let gradients = nce(x.clone(), y.clone(), None).sum().backward();
    assert!(x.grad(&gradients).is_none());
    assert!(y.grad(&gradients).is_some());
    let layer = layer(3, 4, 2);
    let gradients = linear(&layer, x.clone()).sum().backward();
    assert!(x.grad(&gradients).is_none());
    assert!(layer.weight.grad(&gradients).is_some());
}

#[test]
fn a_convolution_is_that_of_the_backend() {
    require_device!();
    let explicit = |height, width| PaddingConfig2d::Explicit(height, width, height, width);
    let layers = [
        (
            Conv2dConfig::new([4, 6], [3, 5]).with_padding(explicit(1, 2)),
            [5, 4, 7, 6],
        ),
        (
            Conv2dConfig::new([4, 6], [1, 1])
                .with_padding(explicit(0, 0))
                .with_groups(2),
            [2, 4, 3, 3],
        ),
        (
            Conv2dConfig::new([4, 4], [3, 3])
                .with_padding(explicit(1, 1))
                .with_groups(4)
                .with_stride([2, 1]),
            [3, 4, 8, 5],
        ),
    ];
    for (config, shape) in layers {
        let layer = config.init::<Training>(&Default::default());
        let x = numbers(1, shape);
        let weight = layer.weight.val();
        let bias = layer.bias.as_ref().unwrap().val();
        let options = ConvOptions::new(
            layer.stride,
            [layer_padding(&layer)[0], layer_padding(&layer)[1]],
            [1, 1],
            layer.groups,
        );
        let expected = module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options);
        let of: [&Of; 3] = [&gradient(&x), &gradient(&weight), &gradient(&bias)];
        same(
            &outcome(conv(&layer, x.clone()), &of),
            &outcome(expected, &of),
        );
    }
}

fn layer_padding(layer: &Conv2d<Training>) -> [usize; 2] {
    match layer.padding {
        PaddingConfig2d::Explicit(height, width, ..) => [height, width],
        _ => [0, 0],
    }
}

#[test]
fn a_batch_norm_is_the_plain_one() {
    require_device!();
    for shape in [[5, 3, 4, 2], [1, 2, 1, 3], [9, 1, 1, 1]] {
        let [inputs, channels, height, width] = shape;
        let x = numbers(1, shape);
        let [weight, bias] = [numbers(2, [channels]), numbers(3, [channels])];
        let affine = || Affine {
            weight: weight.clone(),
            bias: bias.clone(),
        };
        let (y, found) = batch_norm(affine(), 1e-2, x.clone());
        let flat = x.clone().reshape([inputs, channels, height * width]);
        let (expected, known) = plain::batch_norm(flat, affine(), 1e-2);
        let values = |x: &Tensors<1>| x.clone().into_data().to_vec::<f32>().unwrap();
        same(
            &[values(&found.mean), values(&found.variance)],
            &[values(&known.mean), values(&known.variance)],
        );
        let of: [&Of; 3] = [&gradient(&x), &gradient(&weight), &gradient(&bias)];
        same(&outcome(y, &of), &outcome(expected.reshape(shape), &of));
    }
}

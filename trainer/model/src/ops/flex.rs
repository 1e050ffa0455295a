//! The operations on CPU cores.

use burn::backend::Flex;
use burn::tensor::ops::{FloatTensor, FloatTensorOps, IntTensor};
use burn::tensor::{Distribution, FloatDType, Shape, TensorData};
use sensorium_cube::{attention, batch, conv, dropout, linear, nce, norm, perceptron};

use super::{
    Affine, Attention, Batch, Conv, FusedBackend, FusedKernels, Linear, Nce, Operands, Perceptron,
    Sides, Statistics, Weights, fused_by_kernels,
};

type Float = FloatTensor<Flex>;

/// The numbers of a tensor that lies in one piece.
fn numbers(tensor: &Float) -> &[f32] {
    tensor.storage()
}

/// A tensor that lies in one piece, this one if it does.
fn whole(tensor: Float) -> Float {
    tensor.to_contiguous()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Float {
    Float::from_data(TensorData::new(values, shape))
}

fn zeros(count: usize) -> Vec<f32> {
    vec![0.0; count]
}

fn whole_operands(operands: Operands<Float>) -> Operands<Float> {
    Operands {
        packed: whole(operands.packed),
        bias: operands.bias.map(|bias| bias.map(whole)),
    }
}

fn numbers_of(operands: &Operands<Float>) -> Operands<&[f32]> {
    Operands {
        packed: numbers(&operands.packed),
        bias: operands
            .bias
            .as_ref()
            .map(|bias| bias.each_ref().map(numbers)),
    }
}

fn map_weights<T, U>(weights: Weights<T>, map: impl Fn(T) -> U) -> Weights<U> {
    Weights {
        weight_1: map(weights.weight_1),
        bias_1: map(weights.bias_1),
        weight_2: map(weights.weight_2),
        bias_2: map(weights.bias_2),
    }
}

fn borrow(weights: &Weights<Float>) -> Weights<&[f32]> {
    Weights {
        weight_1: numbers(&weights.weight_1),
        bias_1: numbers(&weights.bias_1),
        weight_2: numbers(&weights.weight_2),
        bias_2: numbers(&weights.bias_2),
    }
}

/// Both sides in one piece, and the groups as numbers.
fn sides_of(sides: Sides<Float, IntTensor<Flex>>) -> (Float, Float, Option<Vec<i32>>) {
    let groups = sides
        .groups
        .map(|groups| groups.into_data().iter::<i32>().collect());
    (whole(sides.x), whole(sides.y), groups)
}

impl FusedBackend for Flex {
    fused_by_kernels!();
}

impl FusedKernels for Flex {
    fn attention_forward(sizes: Attention, operands: Operands<Float>) -> [Float; 2] {
        let operands = whole_operands(operands);
        let [output, logs] = attention::forward(&sizes, numbers_of(&operands));
        let Attention {
            batch,
            tokens,
            heads,
            ..
        } = sizes;
        [
            tensor(output, [batch, tokens, sizes.dim()]),
            tensor(logs, [batch, heads, tokens]),
        ]
    }

    fn attention_backward(
        sizes: Attention,
        operands: Operands<Float>,
        saved: [Float; 2],
        gradient: Float,
    ) -> Operands<Float> {
        let (operands, gradient) = (whole_operands(operands), whole(gradient));
        let saved = saved.each_ref().map(numbers);
        let of = attention::backward(&sizes, numbers_of(&operands), saved, numbers(&gradient));
        let dim = sizes.dim();
        Operands {
            packed: tensor(of.packed, [sizes.batch, sizes.tokens, 3 * dim]),
            bias: of.bias.map(|bias| bias.map(|x| tensor(x, [dim]))),
        }
    }

    fn linear_forward(sizes: Linear, x: Float, weight: Float, bias: Float) -> Float {
        let [x, weight, bias] = [x, weight, bias].map(whole);
        let mut y = zeros(sizes.rows * sizes.to);
        let [rows, matrix, bias] = [&x, &weight, &bias].map(numbers);
        linear::forward_into(&sizes, rows, matrix, bias, &mut y);
        tensor(y, [sizes.rows, sizes.to])
    }

    fn linear_backward(
        sizes: Linear,
        x: Float,
        weight: Float,
        gradient: Float,
        with_x: bool,
    ) -> (Option<Float>, [Float; 2]) {
        let [x, weight, gradient] = [x, weight, gradient].map(whole);
        let mut of_x = with_x.then(|| zeros(sizes.rows * sizes.from));
        let [rows, matrix, given] = [&x, &weight, &gradient].map(numbers);
        let [of_weight, of_bias] =
            linear::backward_into(&sizes, rows, matrix, given, of_x.as_deref_mut());
        (
            of_x.map(|of_x| tensor(of_x, [sizes.rows, sizes.from])),
            [
                tensor(of_weight, [sizes.from, sizes.to]),
                tensor(of_bias, [sizes.to]),
            ],
        )
    }

    fn perceptron_forward(sizes: Perceptron, x: Float, weights: Weights<Float>) -> [Float; 2] {
        let (x, weights) = (whole(x), map_weights(weights, whole));
        let Perceptron { rows, dim, hidden } = sizes;
        let (mut y, mut before) = (zeros(rows * dim), zeros(rows * hidden));
        perceptron::forward_into(&sizes, numbers(&x), borrow(&weights), &mut y, &mut before);
        [tensor(y, [rows, dim]), tensor(before, [rows, hidden])]
    }

    fn perceptron_backward(
        sizes: Perceptron,
        x: Float,
        before: Float,
        weights: Weights<Float>,
        gradient: Float,
    ) -> (Float, Weights<Float>) {
        let [x, gradient] = [x, gradient].map(whole);
        let weights = map_weights(weights, whole);
        let Perceptron { rows, dim, hidden } = sizes;
        let mut of_x = zeros(rows * dim);
        let of = perceptron::backward_into(
            &sizes,
            numbers(&x),
            numbers(&before),
            borrow(&weights),
            numbers(&gradient),
            &mut of_x,
        );
        let of = Weights {
            weight_1: tensor(of.weight_1, [dim, hidden]),
            bias_1: tensor(of.bias_1, [hidden]),
            weight_2: tensor(of.weight_2, [hidden, dim]),
            bias_2: tensor(of.bias_2, [dim]),
        };
        (tensor(of_x, [rows, dim]), of)
    }

    fn norm_forward(x: Float, affine: Affine<Float>, epsilon: f32) -> Float {
        let [x, weight, bias] = [x, affine.weight, affine.bias].map(whole);
        let [rows, weight, bias] = [&x, &weight, &bias].map(numbers);
        let mut y = zeros(rows.len());
        norm::forward_into(rows, Affine { weight, bias }, epsilon, &mut y);
        let dim = weight.len();
        tensor(y, [rows.len() / dim, dim])
    }

    fn norm_backward(
        x: Float,
        weight: Float,
        epsilon: f32,
        gradient: Float,
    ) -> (Float, Affine<Float>) {
        let [x, weight, mut gradient] = [x, weight, gradient].map(whole);
        let [rows, weight] = [&x, &weight].map(numbers);
        let of = norm::backward_in_place(rows, weight, epsilon, gradient.storage_mut());
        let dim = weight.len();
        let of = Affine {
            weight: tensor(of.weight, [dim]),
            bias: tensor(of.bias, [dim]),
        };
        (gradient, of)
    }

    fn conv_forward(sizes: Conv, x: Float, kernels: Float) -> Float {
        let [x, kernels] = [x, kernels].map(whole);
        let [height, width] = sizes.output();
        let mut y = zeros(sizes.batch * sizes.to * height * width);
        conv::forward_into(&sizes, numbers(&x), numbers(&kernels), &mut y);
        tensor(y, [sizes.batch, sizes.to, height, width])
    }

    fn conv_backward(
        sizes: Conv,
        x: Float,
        kernels: Float,
        gradient: Float,
        with_x: bool,
    ) -> (Option<Float>, Float) {
        let [x, kernels, gradient] = [x, kernels, gradient].map(whole);
        let [inputs, weight, given] = [&x, &kernels, &gradient].map(numbers);
        let mut of_x = with_x.then(|| zeros(inputs.len()));
        let of_kernels = conv::backward_into(&sizes, inputs, weight, given, of_x.as_deref_mut());
        let Conv {
            batch,
            from,
            to,
            input: [height, width],
            kernel: [down, across],
            ..
        } = sizes;
        (
            of_x.map(|of_x| tensor(of_x, [batch, from, height, width])),
            tensor(of_kernels, [to, from / sizes.groups, down, across]),
        )
    }

    fn batch_norm_forward(
        sizes: Batch,
        x: Float,
        affine: Affine<Float>,
        epsilon: f32,
    ) -> (Float, Statistics<Float>) {
        let [x, weight, bias] = [x, affine.weight, affine.bias].map(whole);
        let [inputs, weight, bias] = [&x, &weight, &bias].map(numbers);
        let mut y = zeros(inputs.len());
        let found = batch::forward_into(&sizes, inputs, Affine { weight, bias }, epsilon, &mut y);
        let Batch {
            inputs,
            channels,
            places,
        } = sizes;
        let statistics = Statistics {
            mean: tensor(found.mean, [channels]),
            variance: tensor(found.variance, [channels]),
        };
        (tensor(y, [inputs, channels, places]), statistics)
    }

    fn batch_norm_backward(
        sizes: Batch,
        x: Float,
        weight: Float,
        statistics: Statistics<Float>,
        epsilon: f32,
        gradient: Float,
    ) -> (Float, Affine<Float>) {
        let [x, weight, gradient] = [x, weight, gradient].map(whole);
        let [mean, variance] = [statistics.mean, statistics.variance].map(whole);
        let statistics = Statistics {
            mean: numbers(&mean),
            variance: numbers(&variance),
        };
        let [inputs, weight, given] = [&x, &weight, &gradient].map(numbers);
        let mut of_x = zeros(inputs.len());
        let of = batch::backward_into(
            &sizes,
            inputs,
            weight,
            &statistics,
            epsilon,
            given,
            &mut of_x,
        );
        let Batch {
            inputs,
            channels,
            places,
        } = sizes;
        let of = Affine {
            weight: tensor(of.weight, [channels]),
            bias: tensor(of.bias, [channels]),
        };
        (tensor(of_x, [inputs, channels, places]), of)
    }

    fn random_mask(shape: Shape, share: f64, device: &Self::Device) -> Float {
        // Two numbers of 24 bits, of the generator that `Backend::seed` sets.
        let whole = Distribution::Uniform(0.0, f64::from(1 << 24));
        let drawn = Self::float_random(Shape::from([2]), whole, device, FloatDType::F32);
        let seed = numbers(&drawn)
            .iter()
            .fold(0, |seed, x| seed << 24 | *x as u64);
        let mask = dropout::mask(seed, share, shape.num_elements());
        Float::from_data(TensorData::new(mask, shape))
    }

    fn nce_forward(sizes: Nce, sides: Sides<Float, IntTensor<Flex>>) -> Float {
        let (x, y, groups) = sides_of(sides);
        let [x, y] = [&x, &y].map(numbers);
        let sides = Sides {
            x,
            y,
            groups: groups.as_deref(),
        };
        tensor(nce::forward(&sizes, sides), [sizes.rows])
    }

    fn nce_backward(
        sizes: Nce,
        sides: Sides<Float, IntTensor<Flex>>,
        logs: Float,
        gradient: Float,
        with_y: bool,
    ) -> (Float, Option<Float>) {
        let (x, y, groups) = sides_of(sides);
        let gradient = whole(gradient);
        let [x, y, logs, given] = [&x, &y, &logs, &gradient].map(numbers);
        let sides = Sides {
            x,
            y,
            groups: groups.as_deref(),
        };
        let (of_x, of_y) = nce::backward(&sizes, sides, logs, given, with_y);
        let Nce { rows, columns, dim } = sizes;
        (
            tensor(of_x, [rows, dim]),
            of_y.map(|of_y| tensor(of_y, [columns, dim])),
        )
    }
}

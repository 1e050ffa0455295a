//! The operations as tensor code: what they mean, and what computes numbers of 64 bits.

use burn::prelude::*;
use burn::tensor::activation;
use burn::tensor::ops::FloatTensor;

use super::{Affine, Statistics, unwrap, wrap};

/// As [`attention`](super::attention).
pub fn attention<B: Backend>(
    packed: Tensor<B, 3>,
    bias: Option<[Tensor<B, 3>; 2]>,
    heads: usize,
    causal: bool,
) -> Tensor<B, 3> {
    let [batch, tokens, width] = packed.dims();
    let dim = width / 3;
    let head_dim = dim / heads;
    let part = |index: usize| packed.clone().narrow(2, index * dim, dim);
    let extended = |part: Tensor<B, 3>, bias: Option<Tensor<B, 3>>| match bias {
        Some(bias) => Tensor::cat(vec![part, bias.expand([batch, 1, dim])], 1),
        None => part,
    };
    let split = |y: Tensor<B, 3>| {
        let length = y.dims()[1];
        y.reshape([batch, length, heads, head_dim]).swap_dims(1, 2)
    };

    let [bias_k, bias_v] = match bias {
        Some(bias) => bias.map(Some),
        None => [None, None],
    };
    let query = split(part(0)).mul_scalar((head_dim as f64).powf(-0.5));
    let key = split(extended(part(1), bias_k));
    let value = split(extended(part(2), bias_v));
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if causal {
        let later =
            Tensor::<B, 2, Bool>::tril_mask([tokens, scores.dims()[3]], 0, &scores.device());
        scores = scores.mask_fill(later.unsqueeze::<4>(), f32::NEG_INFINITY);
    }
    let weights = activation::softmax(scores, 3);
    weights
        .matmul(value)
        .swap_dims(1, 2)
        .reshape([batch, tokens, dim])
}

/// As [`linear`](super::linear).
pub fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Tensor<B, 1>,
) -> Tensor<B, 2> {
    x.matmul(weight) + bias.unsqueeze()
}

/// As [`perceptron`](super::perceptron), of weights and biases.
pub fn perceptron<B: Backend>(
    x: Tensor<B, 2>,
    [first, second]: [(Tensor<B, 2>, Tensor<B, 1>); 2],
) -> Tensor<B, 2> {
    let hidden = gelu(linear(x, first.0, first.1));
    linear(hidden, second.0, second.1)
}

/// The activation by its formula. burn's own is the same forwards, but on all backends but `flex` its
/// gradient is that of an approximation by `tanh`.
fn gelu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let below = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * below * 0.5
}

/// As [`norm`](super::norm).
pub fn norm<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 2> {
    let x = x.clone() - x.mean_dim(1);
    let variance = x.clone().powi_scalar(2).mean_dim(1);
    x / variance.add_scalar(epsilon).sqrt() * weight.unsqueeze() + bias.unsqueeze()
}

/// As [`batch_norm`](super::batch_norm), of `[inputs, channels, places]`.
pub fn batch_norm<B: Backend>(
    x: Tensor<B, 3>,
    affine: Affine<Tensor<B, 1>>,
    epsilon: f64,
) -> (Tensor<B, 3>, Statistics<Tensor<B, 1>>) {
    let [_, channels, _] = x.dims();
    let mean = x.clone().mean_dims(&[0, 2]);
    let centred = x - mean.clone();
    let variance = (centred.clone() * centred.clone()).mean_dims(&[0, 2]);
    let gain = wide(affine.weight) / variance.clone().add_scalar(epsilon).sqrt();
    let statistics = Statistics {
        mean: mean.detach().reshape([channels]),
        variance: variance.detach().reshape([channels]),
    };
    (centred * gain + wide(affine.bias), statistics)
}

/// `[channels]` to `[1, channels, 1]`.
fn wide<B: Backend>(values: Tensor<B, 1>) -> Tensor<B, 3> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1])
}

/// Kernels of [`batch_norm`], for backends that have none of their own.
pub(super) fn batch_norm_forward<B: Backend>(
    x: Tensor<B, 3>,
    affine: Affine<FloatTensor<B>>,
    epsilon: f32,
) -> (FloatTensor<B>, Statistics<FloatTensor<B>>) {
    let affine = Affine {
        weight: wrap(affine.weight),
        bias: wrap(affine.bias),
    };
    let (y, Statistics { mean, variance }) = batch_norm(x, affine, f64::from(epsilon));
    let (mean, variance) = (unwrap(mean), unwrap(variance));
    (unwrap(y), Statistics { mean, variance })
}

/// Gradients of [`batch_norm`]: of the inputs, and of weight and bias.
pub(super) fn batch_norm_backward<B: Backend>(
    x: Tensor<B, 3>,
    weight: FloatTensor<B>,
    statistics: Statistics<FloatTensor<B>>,
    epsilon: f32,
    gradient: Tensor<B, 3>,
) -> (FloatTensor<B>, Affine<FloatTensor<B>>) {
    let [inputs, channels, places] = x.dims();
    let count = (inputs * places) as f64;
    let spread = wide::<B>(wrap(statistics.variance))
        .add_scalar(epsilon)
        .sqrt();
    let normal = (x - wide(wrap(statistics.mean))) / spread.clone();
    let of_weight = (gradient.clone() * normal.clone()).sum_dims(&[0, 2]);
    let of_bias = gradient.clone().sum_dims(&[0, 2]);
    let (slope, level) = (of_weight.clone() / count, of_bias.clone() / count);
    let of_x = (gradient - level - normal * slope) * (wide(wrap(weight)) / spread);
    let flat = |sums: Tensor<B, 3>| unwrap(sums.reshape([channels]));
    let of = Affine {
        weight: flat(of_weight),
        bias: flat(of_bias),
    };
    (unwrap(of_x), of)
}

/// As [`nce`](super::nce).
pub fn nce<B: Backend>(
    x: Tensor<B, 2>,
    y: Tensor<B, 2>,
    groups: Option<Tensor<B, 1, Int>>,
) -> Tensor<B, 1> {
    let mut similarities = x.matmul(y.transpose());
    let [rows, columns] = similarities.dims();
    if let Some(groups) = groups {
        let across = groups.clone().reshape([1, columns]).expand([rows, columns]);
        let down = groups.reshape([rows, 1]).expand([rows, columns]);
        let others = Tensor::diag_mask([rows, columns], 0, &similarities.device());
        let same = down.equal(across).bool_and(others);
        similarities = similarities.mask_fill(same, f32::NEG_INFINITY);
    }
    let largest = similarities.clone().max_dim(1).detach();
    let sum = (similarities - largest.clone()).exp().sum_dim(1);
    (sum.log() + largest).reshape([rows])
}

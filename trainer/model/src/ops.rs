//! What training spends its time on, each as one operation with a gradient of its own.
//!
//! ```text
//! Block, Encoder, losses ─▶ functions here ─┬─ 32 bits ─▶ FusedBackend ─▶ kernels of sensorium-cube
//!                                           └─ other numbers ─▶ plain, the same as tensor code
//! ```
//! [`FusedBackend`] is a burn backend that has the operations; [`Autodiff`](burn::backend::Autodiff)
//! of a backend with [`FusedKernels`] is one too, by kernels for the gradients. [`plain`] is what an
//! operation means, and computes numbers of 64 bits, for comparisons.

use burn::nn::conv::Conv2d;
use burn::nn::{Dropout, LayerNorm, Linear as LinearLayer, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::ops::{ConvOptions, FloatTensor, IntTensor};
use burn::tensor::{DType, Distribution, FloatDType, TensorPrimitive, module};

pub use sensorium_cube::attention::{Attention, Operands};
pub use sensorium_cube::batch::{Batch, Statistics};
pub use sensorium_cube::conv::Conv;
pub use sensorium_cube::linear::Linear;
pub use sensorium_cube::nce::{Nce, Sides};
pub use sensorium_cube::norm::Affine;
pub use sensorium_cube::perceptron::{Perceptron, Weights};

mod autodiff;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;
pub mod plain;

/// A backend that has the fused operations. Tensors are of 32-bit floats.
///
/// Use the functions of this [module](self), which take care of shapes and of other numbers.
pub trait FusedBackend: Backend {
    /// Whether [`fused_attention`](Self::fused_attention) is for such sizes.
    fn fuses_attention(sizes: &Attention) -> bool;

    /// `[batch, tokens, 3 dim]` to `[batch, tokens, dim]`.
    fn fused_attention(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// `[rows, from]` to `[rows, to]`.
    fn fused_linear(
        sizes: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `[rows, dim]` to the same.
    fn fused_perceptron(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// `[rows, dim]` to the same.
    fn fused_norm(
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Inputs `[batch, from, height, width]` and kernels `[to, from / groups, height, width]` to
    /// `[batch, to, height, width]`.
    fn fused_conv(
        sizes: Conv,
        x: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `[inputs, channels, places]` to the same, and what each channel was normalised by, which no
    /// gradient goes through.
    fn fused_batch_norm(
        sizes: Batch,
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, Statistics<FloatTensor<Self>>);

    /// What each number is multiplied by where a share of them falls out.
    fn dropout_mask(shape: Shape, share: f64, device: &Self::Device) -> FloatTensor<Self>;

    /// Sides `[rows, dim]` and `[columns, dim]` to `[rows]`.
    fn fused_nce(sizes: Nce, sides: Sides<FloatTensor<Self>, IntTensor<Self>>)
    -> FloatTensor<Self>;
}

/// Kernels of the operations and of their gradients, for a backend that records none.
pub trait FusedKernels: Backend {
    /// Whether there are kernels of attention for such sizes.
    fn takes_attention(_sizes: &Attention) -> bool {
        true
    }

    /// The output, and what [`attention_backward`](Self::attention_backward) wants of it.
    fn attention_forward(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2];

    /// Gradients of the operands.
    fn attention_backward(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
        saved: [FloatTensor<Self>; 2],
        gradient: FloatTensor<Self>,
    ) -> Operands<FloatTensor<Self>>;

    /// A matrix as products take it and as it is kept for their gradients: of the numbers that
    /// [`with_products`](crate::precision::with_products) says, where there is a choice. What follows is
    /// given rows and matrices that were made so; biases, results and gradients are of 32 bits.
    #[must_use]
    fn operand(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }

    /// Rows times a weight, and the bias added.
    fn linear_forward(
        sizes: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Gradients of the rows, if wanted, of the weight, and of the bias.
    fn linear_backward(
        sizes: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        with_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]);

    /// The result, and what went into the activation, as an [`operand`](Self::operand).
    fn perceptron_forward(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2];

    /// Gradients of the rows and of the weights.
    fn perceptron_backward(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        before: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Weights<FloatTensor<Self>>);

    /// Rows normalised.
    fn norm_forward(
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Gradients of the rows, and of weight and bias.
    fn norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Affine<FloatTensor<Self>>);

    /// Results of a convolution. By default the backend's own.
    fn conv_forward(
        sizes: Conv,
        x: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, kernels, None, options(&sizes))
    }

    /// Gradients of the inputs, if wanted, and of the kernels. By default the backend's own.
    fn conv_backward(
        sizes: Conv,
        x: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        with_x: bool,
    ) -> (Option<FloatTensor<Self>>, FloatTensor<Self>) {
        let of_x = with_x.then(|| {
            let (x, kernels) = (x.clone(), kernels.clone());
            Self::conv2d_x_backward(x, kernels, gradient.clone(), options(&sizes))
        });
        let of_kernels = Self::conv2d_weight_backward(x, kernels, gradient, options(&sizes));
        (of_x, of_kernels)
    }

    /// Channels normalised, and by what. By default as the [`plain`] one computes it.
    fn batch_norm_forward(
        _sizes: Batch,
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, Statistics<FloatTensor<Self>>) {
        plain::batch_norm_forward::<Self>(wrap(x), affine, epsilon)
    }

    /// Gradients of the inputs, and of weight and bias. By default as tensor code computes them.
    fn batch_norm_backward(
        _sizes: Batch,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        statistics: Statistics<FloatTensor<Self>>,
        epsilon: f32,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Affine<FloatTensor<Self>>) {
        plain::batch_norm_backward::<Self>(wrap(x), weight, statistics, epsilon, wrap(gradient))
    }

    /// 0 for a share of numbers, drawn at random, and for the others what keeps the mean. By default the
    /// backend's own random numbers.
    fn random_mask(shape: Shape, share: f64, device: &Self::Device) -> FloatTensor<Self> {
        let kept = Distribution::Bernoulli(1.0 - share);
        let drawn = Self::float_random(shape, kept, device, FloatDType::F32);
        Self::float_mul_scalar(drawn, (1.0 / (1.0 - share)).into())
    }

    /// Logarithms of the rows' sums.
    fn nce_forward(
        sizes: Nce,
        sides: Sides<FloatTensor<Self>, IntTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// Gradients of x and, if wanted, y.
    fn nce_backward(
        sizes: Nce,
        sides: Sides<FloatTensor<Self>, IntTensor<Self>>,
        logs: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        with_y: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);
}

/// What an operation is on a backend that records no gradients: its kernel, and what that saves
/// for the gradient is dropped.
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
macro_rules! fused_by_kernels {
    () => {
        fn fuses_attention(sizes: &$crate::ops::Attention) -> bool {
            Self::takes_attention(sizes)
        }

        fn fused_attention(
            sizes: $crate::ops::Attention,
            operands: $crate::ops::Operands<FloatTensor<Self>>,
        ) -> FloatTensor<Self> {
            let [output, _] = Self::attention_forward(sizes, operands);
            output
        }

        fn fused_linear(
            sizes: $crate::ops::Linear,
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let [x, weight] = [x, weight].map(Self::operand);
            Self::linear_forward(sizes, x, weight, bias)
        }

        fn fused_perceptron(
            sizes: $crate::ops::Perceptron,
            x: FloatTensor<Self>,
            weights: $crate::ops::Weights<FloatTensor<Self>>,
        ) -> FloatTensor<Self> {
            let weights = $crate::ops::matrices(weights, Self::operand);
            let [output, _] = Self::perceptron_forward(sizes, Self::operand(x), weights);
            output
        }

        fn fused_norm(
            x: FloatTensor<Self>,
            affine: $crate::ops::Affine<FloatTensor<Self>>,
            epsilon: f32,
        ) -> FloatTensor<Self> {
            Self::norm_forward(x, affine, epsilon)
        }

        fn fused_conv(
            sizes: $crate::ops::Conv,
            x: FloatTensor<Self>,
            kernels: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            Self::conv_forward(sizes, x, kernels)
        }

        fn fused_batch_norm(
            sizes: $crate::ops::Batch,
            x: FloatTensor<Self>,
            affine: $crate::ops::Affine<FloatTensor<Self>>,
            epsilon: f32,
        ) -> (
            FloatTensor<Self>,
            $crate::ops::Statistics<FloatTensor<Self>>,
        ) {
            Self::batch_norm_forward(sizes, x, affine, epsilon)
        }

        fn dropout_mask(
            shape: burn::tensor::Shape,
            share: f64,
            device: &Self::Device,
        ) -> FloatTensor<Self> {
            Self::random_mask(shape, share, device)
        }

        fn fused_nce(
            sizes: $crate::ops::Nce,
            sides: $crate::ops::Sides<FloatTensor<Self>, IntTensor<Self>>,
        ) -> FloatTensor<Self> {
            Self::nce_forward(sizes, sides)
        }
    };
}
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
use fused_by_kernels;

/// Weights of a perceptron with their matrices made into something else, and biases as they are.
fn matrices<T>(weights: Weights<T>, make: impl Fn(T) -> T) -> Weights<T> {
    Weights {
        weight_1: make(weights.weight_1),
        weight_2: make(weights.weight_2),
        ..weights
    }
}

pub(crate) fn wrap<B: Backend, const D: usize>(x: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(x))
}

pub(crate) fn unwrap<B: Backend, const D: usize>(x: Tensor<B, D>) -> FloatTensor<B> {
    x.into_primitive().tensor()
}

fn is_fused<B: Backend, const D: usize>(x: &Tensor<B, D>) -> bool {
    x.dtype() == DType::F32
}

/// Self-attention of `packed` `[batch, tokens, 3 dim]`, queries, keys and values, and perhaps one
/// extra key and value, each `[1, 1, dim]`. The result is `[batch, tokens, dim]`.
///
/// With `causal`, a token sees those up to itself; the extra key is the last, so none sees it.
///
/// # Panics
///
/// If the heads do not divide the width.
pub fn attention<B: FusedBackend>(
    packed: Tensor<B, 3>,
    bias: Option<[Tensor<B, 3>; 2]>,
    heads: usize,
    causal: bool,
) -> Tensor<B, 3> {
    let [batch, tokens, width] = packed.dims();
    assert!(
        width.is_multiple_of(3 * heads),
        "{heads} heads of {width} / 3"
    );
    let sizes = Attention {
        batch,
        tokens,
        heads,
        head_dim: width / 3 / heads,
        bias: bias.is_some(),
        causal,
    };
    if !is_fused(&packed) || !B::fuses_attention(&sizes) {
        return plain::attention(packed, bias, heads, causal);
    }
    let bias = bias.map(|bias| bias.map(|x| unwrap(x.reshape([sizes.dim()]))));
    let packed = unwrap(packed);
    wrap(B::fused_attention(sizes, Operands { packed, bias }))
}

/// A linear layer over the last axis. One without a bias is burn's own.
///
/// # Panics
///
/// If the last axis is not as long as the layer's rows.
pub fn linear<B: FusedBackend, const D: usize>(
    layer: &LinearLayer<B>,
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    let weight = layer.weight.val();
    let [from, to] = weight.dims();
    let mut shape = x.dims();
    assert_eq!(shape[D - 1], from, "a linear layer");
    shape[D - 1] = to;
    let rows = shape[..D - 1].iter().product();
    let x = x.reshape([rows, from]);
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None if is_fused(&x) => Tensor::zeros([to], &x.device()),
        None => return x.matmul(weight).reshape(shape),
    };
    if !is_fused(&x) {
        return plain::linear(x, weight, bias).reshape(shape);
    }
    let sizes = Linear { rows, from, to };
    let y = B::fused_linear(sizes, unwrap(x), unwrap(weight), unwrap(bias));
    wrap::<B, 2>(y).reshape(shape)
}

/// Two linear layers over the last axis, with a GELU between.
///
/// # Panics
///
/// If widths disagree, or a layer has no bias.
pub fn perceptron<B: FusedBackend, const D: usize>(
    layers: [&LinearLayer<B>; 2],
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    let shape = x.dims();
    let [dim, hidden] = layers[0].weight.val().dims();
    assert_eq!(layers[1].weight.val().dims(), [hidden, dim], "a perceptron");
    assert_eq!(shape[D - 1], dim, "a perceptron");
    let rows = shape[..D - 1].iter().product();
    let [first, second] = layers.map(|layer| {
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        (layer.weight.val(), bias)
    });
    let (Some(bias_1), Some(bias_2)) = (first.1, second.1) else {
        panic!("a perceptron of layers without biases");
    };
    let x = x.reshape([rows, dim]);
    if !is_fused(&x) {
        return plain::perceptron(x, [(first.0, bias_1), (second.0, bias_2)]).reshape(shape);
    }
    let sizes = Perceptron { rows, dim, hidden };
    let weights = Weights {
        weight_1: unwrap(first.0),
        bias_1: unwrap(bias_1),
        weight_2: unwrap(second.0),
        bias_2: unwrap(bias_2),
    };
    wrap::<B, 2>(B::fused_perceptron(sizes, unwrap(x), weights)).reshape(shape)
}

/// Layer normalisation over the last axis, with the weights of a layer.
///
/// # Panics
///
/// If the last axis has another length than the weights, or the layer has no bias.
pub fn norm<B: FusedBackend, const D: usize>(
    layer: &LayerNorm<B>,
    epsilon: f64,
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    let shape = x.dims();
    let weight = layer.gamma.val();
    let Some(bias) = &layer.beta else {
        panic!("a norm without a bias");
    };
    let [dim] = weight.dims();
    assert_eq!(shape[D - 1], dim, "a norm");
    let rows = shape[..D - 1].iter().product();
    let x = x.reshape([rows, dim]);
    if !is_fused(&x) {
        return plain::norm(x, weight, bias.val(), epsilon).reshape(shape);
    }
    let affine = Affine {
        weight: unwrap(weight),
        bias: unwrap(bias.val()),
    };
    wrap::<B, 2>(B::fused_norm(unwrap(x), affine, epsilon as f32)).reshape(shape)
}

/// Where gradients are recorded, a share of numbers falls out at random, and the others grow so that the mean
/// stays.
pub fn dropout<B: FusedBackend, const D: usize>(layer: &Dropout, x: Tensor<B, D>) -> Tensor<B, D> {
    let is_training = B::ad_enabled(&x.device()) && layer.prob > 0.0;
    if !is_training || !is_fused(&x) {
        return layer.forward(x);
    }
    let mask = B::dropout_mask(x.shape(), layer.prob, &x.device());
    x * wrap(mask)
}

/// A convolution of `[batch, channels, height, width]`, with a layer's kernels and bias.
///
/// # Panics
///
/// If the layer is dilated, or padded by other than numbers, or shapes disagree.
pub fn conv<B: FusedBackend>(layer: &Conv2d<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
    let kernels = layer.weight.val();
    let ([batch, from, height, width], [to, depth, ..]) = (x.dims(), kernels.dims());
    let [_, _, down, across] = kernels.dims();
    let PaddingConfig2d::Explicit(top, left, bottom, right) = layer.padding else {
        panic!("a convolution padded by a rule");
    };
    assert_eq!(
        [top, left],
        [bottom, right],
        "a convolution padded on one side"
    );
    assert_eq!(layer.dilation, [1, 1], "a convolution with gaps");
    assert_eq!(
        depth * layer.groups,
        from,
        "a convolution of other channels"
    );
    let sizes = Conv {
        batch,
        from,
        to,
        groups: layer.groups,
        input: [height, width],
        kernel: [down, across],
        stride: layer.stride,
        padding: [top, left],
    };
    let y = if is_fused(&x) {
        wrap(B::fused_conv(sizes, unwrap(x), unwrap(kernels)))
    } else {
        module::conv2d(x, kernels, None, options(&sizes))
    };
    match &layer.bias {
        None => y,
        Some(bias) => y + bias.val().reshape([1, to, 1, 1]),
    }
}

/// As burn has the settings of a convolution.
fn options(sizes: &Conv) -> ConvOptions<2> {
    ConvOptions::new(sizes.stride, sizes.padding, [1, 1], sizes.groups)
}

/// Channels of `[batch, channels, height, width]` normalised over the batch and all places, with the
/// weights of a norm; and their means and variances, `[channels]`.
///
/// # Panics
///
/// If shapes disagree.
pub fn batch_norm<B: FusedBackend>(
    affine: Affine<Tensor<B, 1>>,
    epsilon: f64,
    x: Tensor<B, 4>,
) -> (Tensor<B, 4>, Statistics<Tensor<B, 1>>) {
    let shape = x.dims();
    let [inputs, channels, height, width] = shape;
    assert_eq!(affine.weight.dims(), [channels], "a batch norm");
    let sizes = Batch {
        inputs,
        channels,
        places: height * width,
    };
    let x = x.reshape([inputs, channels, sizes.places]);
    if !is_fused(&x) {
        let (y, statistics) = plain::batch_norm(x, affine, epsilon);
        return (y.reshape(shape), statistics);
    }
    let affine = Affine {
        weight: unwrap(affine.weight),
        bias: unwrap(affine.bias),
    };
    let (y, Statistics { mean, variance }) =
        B::fused_batch_norm(sizes, unwrap(x), affine, epsilon as f32);
    let (mean, variance) = (wrap(mean), wrap(variance));
    (
        wrap::<B, 3>(y).reshape(shape),
        Statistics { mean, variance },
    )
}

/// The logarithm of the sum over columns j of `exp(x_i y_j)` for each row i, `[rows]`. `groups`,
/// `[rows]`, says what rows and columns are of: those of one group are left out, but for i = j.
///
/// # Panics
///
/// If shapes disagree.
pub fn nce<B: FusedBackend>(
    x: Tensor<B, 2>,
    y: Tensor<B, 2>,
    groups: Option<Tensor<B, 1, Int>>,
) -> Tensor<B, 1> {
    let ([rows, dim], [columns, of_y]) = (x.dims(), y.dims());
    assert_eq!(dim, of_y, "nce: widths");
    if let Some(groups) = &groups {
        assert_eq!([groups.dims()[0]; 2], [rows, columns], "nce: groups");
    }
    if !is_fused(&x) {
        return plain::nce(x, y, groups);
    }
    let groups = groups.map(Tensor::into_primitive);
    let sides = Sides {
        x: unwrap(x),
        y: unwrap(y),
        groups,
    };
    wrap(B::fused_nce(Nce { rows, columns, dim }, sides))
}

#[cfg(all(test, any(feature = "flex", feature = "wgpu", feature = "cuda")))]
mod tests;

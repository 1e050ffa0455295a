//! Convolutional encoders: small nets for small computers, their layers listed in a recipe.
//!
//! ```text
//! values ─▶ layer ─▶ … ─▶ layer ─▶ dropout, linear ─▶ L2 ─▶ embedding
//! ```
//!
//! An encoder on what another net made may leave a way past the linear layer
//! ([`ConvConfig::skip`]), as residual nets do (He et al. 2015).
//!
//! Frames of a clip go through the layers one by one until `join-frames` lays them side by side.

use burn::module::{Initializer, Module, Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, GroupNorm, GroupNormConfig, Linear,
    LinearConfig, PaddingConfig2d,
};
use burn::prelude::*;
use burn::tensor::{activation, module};

use crate::encoder::{Input, normalise, stretch};
use crate::ops::{self, Affine, FusedBackend, Statistics};

mod config;
pub mod mean;
mod walk;

pub use config::{
    Activation, Conse, ConvConfig, ConvConfigError, Extent, LayerConfig, Norm, Pooling,
};
use walk::log_scale_name;
pub use walk::{head_name, layer_name, words_name};

/// Added to a variance before its root is taken.
pub const NORM_EPSILON: f64 = 1e-5;

/// How much of the running mean and variance each batch replaces.
const MOMENTUM: f64 = 0.1;

/// A convolutional net that embeds one sense.
#[derive(Module, Debug)]
pub struct ConvEncoder<B: Backend> {
    layers: Vec<Layer<B>>,
    dropout: Dropout,
    head: Linear<B>,
    log_scale: Option<Param<Tensor<B, 1>>>,
    words: Option<Param<Tensor<B, 2>>>,
    #[module(skip)]
    config: ConvConfig,
}

/// The weights of one layer, where it has any.
#[derive(Module, Debug)]
struct Layer<B: Backend> {
    conv: Option<Conv2d<B>>,
    norm: Option<BatchNorm<B>>,
    group_norm: Option<GroupNorm<B>>,
    dropout: Option<Dropout>,
}

impl ConvConfig {
    /// An encoder with random weights.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<ConvEncoder<B>, ConvConfigError> {
        self.check()?;
        let extents = self.extents()?;
        let layers = self.layers.iter().zip(&extents);
        let last = extents.last().map_or(0, Extent::len);
        let head = match self.skip {
            false => LinearConfig::new(last, self.output),
            true => LinearConfig::new(last - self.output, self.output)
                .with_initializer(Initializer::Zeros),
        };
        Ok(ConvEncoder {
            layers: layers
                .map(|(layer, extent)| layer.init(extent.channels, device))
                .collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            head: head.init(device),
            log_scale: self.scale.map(|scale| {
                let value = scale.ln();
                let scale: Param<Tensor<B, 1>> = Initializer::Constant { value }.init([1], device);
                scale.set_require_grad(self.learn_scale)
            }),
            words: self.conse.map(|conse| {
                let shape = [conse.words, self.output];
                let words: Param<Tensor<B, 2>> = Initializer::Zeros.init(shape, device);
                words.set_require_grad(false)
            }),
            config: self.clone(),
        })
    }
}

impl LayerConfig {
    fn init<B: Backend>(&self, from: usize, device: &B::Device) -> Layer<B> {
        let mut layer = Layer {
            conv: None,
            norm: None,
            group_norm: None,
            dropout: None,
        };
        match *self {
            Self::Conv {
                channels,
                kernel,
                stride,
                groups,
                norm,
                ..
            } => {
                let [height, width] = kernel.map(|side| side / 2);
                let conv = Conv2dConfig::new([from, channels], kernel)
                    .with_stride(stride)
                    .with_groups(groups)
                    .with_padding(PaddingConfig2d::Explicit(height, width, height, width))
                    // A norm has a shift of its own.
                    .with_bias(norm == Norm::None)
                    .with_initializer(Initializer::KaimingNormal {
                        gain: std::f64::consts::SQRT_2,
                        fan_out_only: false,
                    });
                layer.conv = Some(conv.init(device));
                if let Norm::Group(groups) = norm {
                    let norm = GroupNormConfig::new(groups, channels).with_epsilon(NORM_EPSILON);
                    layer.group_norm = Some(norm.init(device));
                }
                layer.norm = (norm == Norm::Batch).then(|| {
                    BatchNormConfig::new(channels)
                        .with_epsilon(NORM_EPSILON)
                        .with_momentum(MOMENTUM)
                        .init(device)
                });
            }
            Self::Dropout { share } => layer.dropout = Some(DropoutConfig::new(share).init()),
            Self::Level { .. }
            | Self::Centre { .. }
            | Self::Detail { .. }
            | Self::Pool { .. }
            | Self::JoinRows {}
            | Self::JoinFrames {} => {}
        }
        layer
    }
}

impl<B: Backend> ConvEncoder<B> {
    /// Its layers.
    #[must_use]
    pub fn config(&self) -> &ConvConfig {
        &self.config
    }

    /// This encoder, whose finished embeddings lean towards words, `[words, output]`, rows of length 1.
    #[must_use]
    pub fn with_conse(mut self, conse: Conse, words: Tensor<B, 2>) -> Self {
        self.config.conse = Some(conse);
        let words = words.set_require_grad(false);
        self.words = Some(Param::initialized(ParamId::new(), words));
        self
    }

    /// Stretches embeddings of length 1 to the encoder's scale.
    pub fn scale(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.log_scale {
            None => embeddings,
            Some(log_scale) => stretch(embeddings, log_scale.val()),
        }
    }

    /// The logarithm of the scale, where the encoder has one.
    pub fn log_scale(&self) -> Option<Tensor<B, 1>> {
        self.log_scale.as_ref().map(Param::val)
    }
}

impl<B: FusedBackend> ConvEncoder<B> {
    /// As [`forward`](Self::forward), by the finished encoder: its embedding leans towards the words
    /// that it was trained on, if [`ConvConfig::conse`] says so.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn embed(&self, input: Input<B>) -> Tensor<B, 2> {
        let x = self.forward(input);
        let (Some(conse), Some(words)) = (self.config.conse, &self.words) else {
            return x;
        };
        let words = words.val();
        let logits = x.clone().matmul(words.clone().transpose());
        let shares = activation::softmax(logits.div_scalar(conse.temperature), 1);
        normalise(x + shares.matmul(words).mul_scalar(conse.weight))
    }

    /// One embedding an input, of length 1, as losses take it.
    ///
    /// # Shapes
    ///
    /// The result is `[batch, output]`.
    ///
    /// # Panics
    ///
    /// If inputs have another shape than [`ConvConfig::input`], or are words.
    pub fn forward(&self, input: Input<B>) -> Tensor<B, 2> {
        let Input::Values(values) = input else {
            panic!("words, expected inputs of {:?}", self.config.input);
        };
        let [batch, channels, frames, height, width] = values.dims();
        let mut x = values
            .swap_dims(1, 2)
            .reshape([batch * frames, channels, height, width]);
        for (layer, config) in self.layers.iter().zip(&self.config.layers) {
            x = match *config {
                LayerConfig::Level { floor } => level(x, floor),
                LayerConfig::Centre { spread } => centred(x, spread),
                LayerConfig::Detail { scale } => detailed(x, scale),
                LayerConfig::Conv {
                    activation,
                    residual,
                    ..
                } => layer.convolved(x, activation, residual),
                LayerConfig::Pool { by, kernel } => pooled(x, by, kernel),
                LayerConfig::JoinRows {} => {
                    let [all, channels, height, width] = x.dims();
                    x.reshape([all, channels * height, 1, width])
                }
                LayerConfig::JoinFrames {} => join_frames(x, batch),
                LayerConfig::Dropout { .. } => match &layer.dropout {
                    Some(dropout) => ops::dropout(dropout, x),
                    None => x,
                },
            };
        }
        let x = x.flatten::<2>(1, 3);
        let head = |x| self.head.forward(ops::dropout(&self.dropout, x));
        if !self.config.skip {
            return normalise(head(x));
        }
        let output = self.config.output;
        let seen = x.dims()[1] - output;
        let beside = x.clone().narrow(1, seen, output);
        normalise(head(x.narrow(1, 0, seen)) + beside)
    }
}

impl<B: FusedBackend> Layer<B> {
    fn convolved(&self, x: Tensor<B, 4>, kind: Activation, residual: bool) -> Tensor<B, 4> {
        let Some(conv) = &self.conv else {
            return x;
        };
        let before = residual.then(|| x.clone());
        let mut y = ops::conv(conv, x);
        if let Some(norm) = &self.norm {
            y = batch_norm(norm, y);
        }
        if let Some(norm) = &self.group_norm {
            y = norm.forward(y);
        }
        y = match kind {
            Activation::None => y,
            Activation::Relu => activation::relu(y),
            Activation::Gelu => activation::gelu(y),
        };
        match before {
            Some(before) => before + y,
            None => y,
        }
    }
}

/// Each channel less its mean, over its standard deviation, then stretched and shifted: those of the
/// batch in training, which the running ones follow, the running ones otherwise.
fn batch_norm<B: FusedBackend>(norm: &BatchNorm<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
    let channels = x.dims()[1];
    let wide = |values: Tensor<B, 1>| values.reshape([1, channels, 1, 1]);
    let affine = Affine {
        weight: norm.gamma.val(),
        bias: norm.beta.val(),
    };
    if !B::ad_enabled(&x.device()) {
        let spread = (wide(norm.running_var.value()) + NORM_EPSILON).sqrt();
        let gain = wide(affine.weight) / spread;
        let shift = wide(affine.bias) - wide(norm.running_mean.value()) * gain.clone();
        return x * gain + shift;
    }
    let (y, Statistics { mean, variance }) = ops::batch_norm(affine, NORM_EPSILON, x);
    let followed = |running: Tensor<B, 1>, now: Tensor<B, 1>| {
        (running * (1.0 - MOMENTUM) + now * MOMENTUM).detach()
    };
    let running_mean = followed(norm.running_mean.value_sync(), mean);
    let running_var = followed(norm.running_var.value_sync(), variance);
    norm.running_mean.update(running_mean);
    norm.running_var.update(running_var);
    y
}

fn level<B: Backend>(x: Tensor<B, 4>, floor: f64) -> Tensor<B, 4> {
    let [all, ..] = x.dims();
    let largest = x
        .clone()
        .reshape([all, 1, 1, x.dims().iter().product::<usize>() / all]);
    let relative = (x - largest.max_dim(3)).exp();
    (relative + floor).log() - floor.ln()
}

fn centred<B: Backend>(x: Tensor<B, 4>, spread: bool) -> Tensor<B, 4> {
    let centred = x.clone() - x.mean_dim(3);
    if !spread {
        return centred;
    }
    let variance = (centred.clone() * centred.clone()).mean_dim(3);
    centred / (variance + NORM_EPSILON).sqrt()
}

fn detailed<B: Backend>(x: Tensor<B, 4>, scale: f64) -> Tensor<B, 4> {
    let detail = centred(x.clone(), false).div_scalar(scale);
    // Of the amount, and its sign put back: of large negative numbers x + sqrt(x² + 1) has no digits.
    let amount = detail.clone().abs();
    let root = (amount.clone() * amount.clone() + 1.0).sqrt();
    Tensor::cat(vec![x, (amount + root).log() * detail.sign()], 1)
}

fn pooled<B: Backend>(x: Tensor<B, 4>, by: Pooling, kernel: Option<[usize; 2]>) -> Tensor<B, 4> {
    let [_, _, height, width] = x.dims();
    let kernel = kernel.unwrap_or([height, width]);
    let mean = |x: Tensor<B, 4>| {
        if kernel == [height, width] {
            return x.mean_dims(&[2, 3]);
        }
        module::avg_pool2d(x, kernel, kernel, [0, 0], false, false)
    };
    let max = |x: Tensor<B, 4>| module::max_pool2d(x, kernel, kernel, [0, 0], [1, 1], false);
    match by {
        Pooling::Mean => mean(x),
        Pooling::Max => max(x),
        Pooling::MeanMax => Tensor::cat(vec![mean(x.clone()), max(x)], 1),
    }
}

/// `[batch * frames, channels, height, width]` to `[batch, channels * height * width, 1, frames]`.
fn join_frames<B: Backend>(x: Tensor<B, 4>, batch: usize) -> Tensor<B, 4> {
    let [all, channels, height, width] = x.dims();
    let frames = all / batch;
    let len = channels * height * width;
    x.reshape([batch, frames, len])
        .swap_dims(1, 2)
        .reshape([batch, len, 1, frames])
}

#[cfg(all(test, feature = "flex"))]
mod tests;

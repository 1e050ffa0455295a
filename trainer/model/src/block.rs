//! The pre-norm transformer block that all encoders share.

use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::ops::{self, FusedBackend};

/// Of every LayerNorm but the stem's.
pub const TRUNK_NORM_EPSILON: f64 = 1e-6;

/// Hidden units of the block's perceptron per unit of width.
pub const MLP_RATIO: usize = 4;

/// Dimensions of a [`Block`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockConfig {
    /// Width of a token.
    pub dim: usize,
    /// Attention heads; must divide `dim`.
    pub heads: usize,
    /// Whether attention sees one extra, learned key and value.
    pub bias_kv: bool,
    /// Whether a token sees only those up to itself.
    pub causal: bool,
    /// Probability that a sample skips a branch of the block in training, from 0 to below 1.
    pub drop_path: f64,
}

/// `x + attention(norm(x))`, then `x + perceptron(norm(x))`.
///
/// # Shapes
///
/// `[batch, tokens, dim]` in and out.
#[derive(Module, Debug)]
pub struct Block<B: Backend> {
    pub(crate) norm_1: LayerNorm<B>,
    pub(crate) attention: Attention<B>,
    pub(crate) norm_2: LayerNorm<B>,
    pub(crate) fc1: Linear<B>,
    pub(crate) fc2: Linear<B>,
    drop_path: f64,
}

/// Multi-head self-attention with one projection for queries, keys and values.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    pub(crate) in_proj: Linear<B>,
    pub(crate) out_proj: Linear<B>,
    pub(crate) bias_k: Option<Param<Tensor<B, 3>>>,
    pub(crate) bias_v: Option<Param<Tensor<B, 3>>>,
    heads: usize,
    causal: bool,
}

impl<B: Backend> Block<B> {
    /// A block with random weights.
    ///
    /// # Panics
    ///
    /// If the heads do not divide the width.
    pub fn new(config: BlockConfig, device: &B::Device) -> Self {
        let BlockConfig { dim, heads, .. } = config;
        assert!(
            heads > 0 && dim.is_multiple_of(heads),
            "{heads} heads do not divide {dim}"
        );
        let norm = || {
            LayerNormConfig::new(dim)
                .with_epsilon(TRUNK_NORM_EPSILON)
                .init::<B>(device)
        };
        let bias = || {
            let spread = Initializer::Normal {
                mean: 0.0,
                std: (dim as f64).powf(-0.5),
            };
            config.bias_kv.then(|| spread.init([1, 1, dim], device))
        };
        Self {
            norm_1: norm(),
            attention: Attention {
                in_proj: linear(dim, 3 * dim, device),
                out_proj: linear(dim, dim, device),
                bias_k: bias(),
                bias_v: bias(),
                heads,
                causal: config.causal,
            },
            norm_2: norm(),
            fc1: linear(dim, MLP_RATIO * dim, device),
            fc2: linear(MLP_RATIO * dim, dim, device),
            drop_path: config.drop_path,
        }
    }
}

impl<B: FusedBackend> Block<B> {
    /// The tokens after this block.
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let norm = |layer, x| ops::norm(layer, TRUNK_NORM_EPSILON, x);
        let branch = self.attention.forward(norm(&self.norm_1, x.clone()));
        let x = x + drop_path(branch, self.drop_path);
        let branch = ops::perceptron([&self.fc1, &self.fc2], norm(&self.norm_2, x.clone()));
        x + drop_path(branch, self.drop_path)
    }
}

impl<B: FusedBackend> Attention<B> {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let packed = ops::linear(&self.in_proj, x);
        let bias = self.bias_k.as_ref().zip(self.bias_v.as_ref());
        let bias = bias.map(|(key, value)| [key.val(), value.val()]);
        let mixed = ops::attention(packed, bias, self.heads, self.causal);
        ops::linear(&self.out_proj, mixed)
    }
}

/// Drops whole samples of a residual branch while training, and scales the others up to keep the
/// expected value (stochastic depth, Huang et al. 2016).
///
/// The mask has one entry a *sample*. The reference masks its first axis too, which there is the
/// token axis, so it drops tokens of the whole batch; we take the meaning, not that.
pub fn drop_path<B: Backend>(x: Tensor<B, 3>, probability: f64) -> Tensor<B, 3> {
    if probability == 0.0 || !B::ad_enabled(&x.device()) {
        return x;
    }
    let keep = 1.0 - probability;
    let shape = [x.dims()[0], 1, 1];
    let like_x = (&x.device(), x.dtype());
    let mask = Tensor::random(shape, Distribution::Bernoulli(keep), like_x);
    x * mask.div_scalar(keep)
}

fn linear<B: Backend>(from: usize, to: usize, device: &B::Device) -> Linear<B> {
    let mut linear = LinearConfig::new(from, to)
        .with_initializer(Initializer::XavierUniform { gain: 1.0 })
        .init(device);
    linear.bias = Some(Initializer::Zeros.init([to], device));
    linear
}

//! The IMU encoder.
//!
//! ```text
//! [B, 6, T] ─patches of 8─▶ [B, T/8, 48] ─linear, norm─▶ + class token, positions ─blocks─▶
//! class token ─norm, dropout, linear─▶ [B, E] ─L2─▶ embedding
//! ```
//!
//! A patch holds eight consecutive samples of all channels, channel by channel, as the reference
//! orders them: `[6][8]`.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::block::{Block, BlockConfig, TRUNK_NORM_EPSILON};

mod names;

/// Channels of an IMU window.
pub const CHANNELS: usize = 6;

/// Samples of a patch.
pub const PATCH: usize = 8;

/// Of the stem's LayerNorm, unlike all others.
pub const STEM_NORM_EPSILON: f64 = 1e-5;

/// Dimensions of an IMU encoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImuEncoderConfig {
    /// Samples in a window; a multiple of [`PATCH`].
    pub samples: usize,
    /// Width of a token.
    pub dim: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Attention heads; must divide `dim`.
    pub heads: usize,
    /// Numbers in an embedding.
    pub output: usize,
    /// Whether attention sees one extra, learned key and value.
    pub bias_kv: bool,
    /// Drop path of the last block; it rises linearly from 0 at the first.
    pub drop_path: f64,
    /// Dropout before the last linear layer.
    pub dropout: f64,
}

/// Why dimensions make no encoder.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The window is not made of whole patches.
    #[error("samples is {samples}, expected a positive multiple of 8")]
    Samples {
        /// Samples in a window.
        samples: usize,
    },
    /// The heads do not divide the width.
    #[error("heads is {heads}, expected a divisor of dim, {dim}")]
    Heads {
        /// Attention heads.
        heads: usize,
        /// Width of a token.
        dim: usize,
    },
    /// A dimension is zero.
    #[error("{name} is 0, expected at least 1")]
    Zero {
        /// The dimension.
        name: &'static str,
    },
    /// A probability is none.
    #[error("{name} is {value}, expected at least 0 and below 1")]
    Probability {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
}

impl ImuEncoderConfig {
    /// The preset for small computers: 2.56 s at 50 Hz, 0.8 million parameters.
    #[must_use]
    pub fn edge() -> Self {
        Self {
            samples: 128,
            dim: 128,
            blocks: 4,
            heads: 4,
            output: 384,
            bias_kv: true,
            drop_path: 0.1,
            dropout: 0.1,
        }
    }

    /// Patches of a window.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.samples / PATCH
    }

    /// Whether an encoder of these dimensions can be made.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let dimensions = [
            ("dim", self.dim),
            ("blocks", self.blocks),
            ("output", self.output),
        ];
        for (name, value) in dimensions {
            if value == 0 {
                return Err(ConfigError::Zero { name });
            }
        }
        if self.samples == 0 || !self.samples.is_multiple_of(PATCH) {
            return Err(ConfigError::Samples {
                samples: self.samples,
            });
        }
        if self.heads == 0 || !self.dim.is_multiple_of(self.heads) {
            return Err(ConfigError::Heads {
                heads: self.heads,
                dim: self.dim,
            });
        }
        for (name, value) in [("drop_path", self.drop_path), ("dropout", self.dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(ConfigError::Probability { name, value });
            }
        }
        Ok(())
    }

    /// An encoder with random weights.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<ImuEncoder<B>, ConfigError> {
        self.check()?;
        let Self { dim, .. } = *self;
        let normal = |deviation| Distribution::Normal(0.0, deviation);
        let class_spread = normal((dim as f64).powf(-0.5));
        let tokens = self.patches() + 1;
        let blocks = (0..self.blocks)
            .map(|index| {
                let depth = index as f64 / (self.blocks - 1).max(1) as f64;
                let drop_path = self.drop_path * depth;
                Block::new(
                    BlockConfig {
                        dim,
                        heads: self.heads,
                        bias_kv: self.bias_kv,
                        drop_path,
                    },
                    device,
                )
            })
            .collect();
        let unbiased = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let norm = |epsilon| LayerNormConfig::new(dim).with_epsilon(epsilon).init(device);
        Ok(ImuEncoder {
            stem: unbiased(CHANNELS * PATCH, dim),
            stem_norm: norm(STEM_NORM_EPSILON),
            class_token: Param::from_tensor(Tensor::random([1, 1, dim], class_spread, device)),
            positions: Param::from_tensor(Tensor::random([1, tokens, dim], normal(0.01), device)),
            blocks,
            head_norm: norm(TRUNK_NORM_EPSILON),
            dropout: DropoutConfig::new(self.dropout).init(),
            head: unbiased(dim, self.output),
        })
    }
}

/// ImageBind's IMU encoder at dimensions of one's choice.
#[derive(Module, Debug)]
pub struct ImuEncoder<B: Backend> {
    stem: Linear<B>,
    stem_norm: LayerNorm<B>,
    class_token: Param<Tensor<B, 3>>,
    positions: Param<Tensor<B, 3>>,
    blocks: Vec<Block<B>>,
    head_norm: LayerNorm<B>,
    dropout: Dropout,
    head: Linear<B>,
}

impl<B: Backend> ImuEncoder<B> {
    /// One L2-normalised embedding a window.
    ///
    /// # Shapes
    ///
    /// `[batch, 6, samples]` to `[batch, output]`.
    ///
    /// # Units
    ///
    /// Those it was trained on; the pack's front end says which.
    ///
    /// # Panics
    ///
    /// If the window has another shape.
    pub fn forward(&self, windows: Tensor<B, 3>) -> Tensor<B, 2> {
        let [batch, _, samples] = windows.dims();
        let [_, tokens, dim] = self.positions.dims();
        let patches = windows
            .reshape([batch, CHANNELS, samples / PATCH, PATCH])
            .swap_dims(1, 2)
            .reshape([batch, samples / PATCH, CHANNELS * PATCH]);
        let patches = self.stem_norm.forward(self.stem.forward(patches));
        let class_token = self.class_token.val().expand([batch, 1, dim]);
        let mut x = Tensor::cat(vec![class_token, patches], 1) + self.positions.val();
        assert_eq!(x.dims()[1], tokens, "window of {samples} samples");
        for block in &self.blocks {
            x = block.forward(x);
        }
        let class_token = x.narrow(1, 0, 1).reshape([batch, dim]);
        let embedding = self
            .head
            .forward(self.dropout.forward(self.head_norm.forward(class_token)));
        let norm = embedding
            .clone()
            .powi_scalar(2)
            .sum_dim(1)
            .sqrt()
            .clamp_min(1e-12);
        embedding / norm
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;

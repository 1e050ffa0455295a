//! An encoder of either form, so that whoever trains, measures or exports one need not ask which.

use std::collections::HashSet;

use burn::module::{Module, ParamId};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::conv::{Conse, ConvConfig, ConvConfigError, ConvEncoder};
use crate::encoder::{ConfigError, Encoder, EncoderConfig, Input, InputConfig};
use crate::ops::FusedBackend;
use crate::sense::Sense;
use crate::weights::{WeightSource, Weights, WeightsError};

/// The dimensions of an encoder, and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "lowercase")]
pub enum TowerConfig {
    /// A transformer, as all of ImageBind's are.
    Transformer(EncoderConfig),
    /// A convolutional net.
    Conv(ConvConfig),
}

/// Why dimensions make no encoder.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TowerConfigError {
    /// They make no transformer.
    #[error(transparent)]
    Transformer(#[from] ConfigError),
    /// They make no convolutional net.
    #[error(transparent)]
    Conv(#[from] ConvConfigError),
}

/// An encoder of either form.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in a training, whose weights are far larger"
)]
pub enum Tower<B: Backend> {
    /// A transformer.
    Transformer(Encoder<B>),
    /// A convolutional net.
    Conv(ConvEncoder<B>),
}

impl TowerConfig {
    /// What the encoder perceives.
    #[must_use]
    pub fn sense(&self) -> Sense {
        match self {
            Self::Transformer(config) => config.sense(),
            Self::Conv(config) => config.sense,
        }
    }

    /// Lengths of the axes of one input. An encoder of videos is given pictures.
    #[must_use]
    pub fn input_shape(&self) -> Vec<usize> {
        match self {
            Self::Transformer(config) => match config.input {
                InputConfig::Vision { side, .. } => vec![3, side, side],
                input => input.shape(),
            },
            Self::Conv(config) => config.input.clone(),
        }
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn output(&self) -> usize {
        match self {
            Self::Transformer(config) => config.output,
            Self::Conv(config) => config.output,
        }
    }

    /// Length of an embedding in a loss of pairs, where the encoder has one of its own.
    #[must_use]
    pub fn scale(&self) -> Option<f64> {
        match self {
            Self::Transformer(config) => config.scale,
            Self::Conv(config) => config.scale,
        }
    }

    /// Whether an encoder of these dimensions can be made.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), TowerConfigError> {
        match self {
            Self::Transformer(config) => Ok(config.check()?),
            Self::Conv(config) => Ok(config.check()?),
        }
    }

    /// An encoder with random weights.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Tower<B>, TowerConfigError> {
        match self {
            Self::Transformer(config) => Ok(Tower::Transformer(config.init(device)?)),
            Self::Conv(config) => Ok(Tower::Conv(config.init(device)?)),
        }
    }
}

impl<B: Backend> Tower<B> {
    /// Its dimensions.
    #[must_use]
    pub fn config(&self) -> TowerConfig {
        match self {
            Self::Transformer(encoder) => TowerConfig::Transformer(*encoder.config()),
            Self::Conv(encoder) => TowerConfig::Conv(encoder.config().clone()),
        }
    }

    /// Stretches embeddings of length 1 to the encoder's scale, where it has one.
    pub fn scale(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Transformer(encoder) => encoder.scale(embeddings),
            Self::Conv(encoder) => encoder.scale(embeddings),
        }
    }

    /// The logarithm of the scale, where the encoder has one.
    pub fn log_scale(&self) -> Option<Tensor<B, 1>> {
        match self {
            Self::Transformer(encoder) => encoder.log_scale(),
            Self::Conv(encoder) => encoder.log_scale(),
        }
    }

    /// A copy of the weights by name.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        match self {
            Self::Transformer(encoder) => encoder.to_weights(),
            Self::Conv(encoder) => encoder.to_weights(),
        }
    }

    /// This encoder with other weights.
    ///
    /// # Errors
    ///
    /// A weight that is missing, has another shape or cannot be read, or one too many.
    pub fn with_weights(self, source: &impl WeightSource) -> Result<Self, WeightsError> {
        Ok(match self {
            Self::Transformer(encoder) => Self::Transformer(encoder.with_weights(source)?),
            Self::Conv(encoder) => Self::Conv(encoder.with_weights(source)?),
        })
    }

    /// This encoder, whose finished embeddings lean towards words, `[words, output]`, if it is a
    /// convolutional net.
    #[must_use]
    pub fn with_conse(self, conse: Conse, words: Tensor<B, 2>) -> Self {
        match self {
            Self::Conv(encoder) => Self::Conv(encoder.with_conse(conse, words)),
            transformer => transformer,
        }
    }

    /// Weights that an optimiser should not shrink.
    #[must_use]
    pub fn undecayed(&self) -> HashSet<ParamId> {
        match self {
            Self::Transformer(encoder) => encoder.undecayed(),
            Self::Conv(encoder) => encoder.undecayed(),
        }
    }
}

impl<B: FusedBackend> Tower<B> {
    /// One embedding an input, of length 1: `[batch, output]`, as losses take it.
    ///
    /// # Panics
    ///
    /// If inputs have another shape than [`TowerConfig::input_shape`].
    pub fn forward(&self, input: Input<B>) -> Tensor<B, 2> {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
            Self::Conv(encoder) => encoder.forward(input),
        }
    }

    /// As [`forward`](Self::forward), by the finished encoder.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn embed(&self, input: Input<B>) -> Tensor<B, 2> {
        match self {
            Self::Transformer(encoder) => encoder.forward(input),
            Self::Conv(encoder) => encoder.embed(input),
        }
    }
}

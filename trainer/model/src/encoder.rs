//! The six encoders, which are one encoder with six stems.
//!
//! ```text
//! values ─patches─▶ linear, norm ─▶ class token first ┐
//! words ──────────▶ table of words ───────────────────┴▶ + positions ─▶ blocks ─▶
//! class token or end of text ─▶ norm, dropout, linear ─▶ L2 ─▶ embedding ─▶ scaled
//! ```
//!
//! The structure, its constants and the names of its weights are ImageBind's (Girdhar et al. 2023);
//! all dimensions are free. [`EncoderConfig::reference`] has those of the published checkpoint,
//! [`EncoderConfig::edge`] some for small computers.

use burn::module::{Initializer, Module, Param};
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::prelude::*;

use crate::block::{Block, BlockConfig, TRUNK_NORM_EPSILON};
use crate::ops::{self, FusedBackend};
use crate::sense::Sense;

mod config;
mod input;
mod names;
mod position;
mod preset;
mod streamed;
pub(crate) mod walk;

pub use config::{ConfigError, EncoderConfig, IMU_CHANNELS, InputConfig};
pub use input::Input;
pub use names::{Names, causal_mask};

/// Of the stem's LayerNorm, unlike all others.
pub const STEM_NORM_EPSILON: f64 = 1e-5;

/// Longest that embeddings become, whatever was learned.
pub const MAX_SCALE: f64 = 100.0;

/// Below this, a length is taken for this when dividing by it: zeros stay zeros.
const LEAST_LENGTH: f64 = 1e-12;

/// A transformer that embeds one sense.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    stem: Stem<B>,
    class_token: Option<Param<Tensor<B, 3>>>,
    positions: Param<Tensor<B, 3>>,
    trunk_norm: Option<LayerNorm<B>>,
    blocks: Vec<Block<B>>,
    head_norm: LayerNorm<B>,
    dropout: Dropout,
    head: Linear<B>,
    log_scale: Option<Param<Tensor<B, 1>>>,
    #[module(skip)]
    config: EncoderConfig,
}

/// How an input becomes tokens.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in an encoder, whose weights are far larger"
)]
enum Stem<B: Backend> {
    Patches(PatchStem<B>),
    Words(Embedding<B>),
}

#[derive(Module, Debug)]
struct PatchStem<B: Backend> {
    projection: Linear<B>,
    norm: Option<LayerNorm<B>>,
}

/// What an encoder computes on its way to an embedding.
#[derive(Debug, Clone)]
pub struct Stages<B: Backend> {
    /// Tokens with positions, `[batch, tokens, dim]`.
    pub tokens: Tensor<B, 3>,
    /// All tokens after each block, `[batch, tokens, dim]`.
    pub blocks: Vec<Tensor<B, 3>>,
    /// Of these the class token, or that at the end of the text, `[batch, dim]`.
    pub selected: Vec<Tensor<B, 2>>,
    /// The embedding before it is normalised, `[batch, output]`.
    pub head: Tensor<B, 2>,
    /// The embedding after post-processing, `[batch, output]`.
    pub output: Tensor<B, 2>,
}

impl EncoderConfig {
    /// An encoder with random weights, drawn when they are first needed.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Encoder<B>, ConfigError> {
        self.check()?;
        let Self { dim, .. } = *self;
        let sense = self.sense();
        let normal = |std| Initializer::Normal { mean: 0.0, std };
        let by_width = (dim as f64).powf(-0.5);
        let norm = |epsilon| LayerNormConfig::new(dim).with_epsilon(epsilon).init(device);
        let unbiased = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let block = |index| {
            let depth = index as f64 / (self.blocks - 1).max(1) as f64;
            let config = BlockConfig {
                dim,
                heads: self.heads,
                bias_kv: self.bias_kv,
                causal: sense == Sense::Text,
                drop_path: self.drop_path * depth,
            };
            Block::new(config, device)
        };
        let stem = match self.input.grid() {
            Some(grid) => Stem::Patches(PatchStem {
                projection: unbiased(grid.patch_len(), dim),
                norm: (sense != Sense::Vision).then(|| norm(STEM_NORM_EPSILON)),
            }),
            None => {
                let table = EmbeddingConfig::new(self.input.vocabulary(), dim);
                Stem::Words(table.with_initializer(normal(0.02)).init(device))
            }
        };
        let positions = match sense {
            Sense::Text | Sense::Imu => normal(0.01),
            _ => normal(by_width),
        };
        Ok(Encoder {
            stem,
            class_token: (sense != Sense::Text).then(|| normal(by_width).init([1, 1, dim], device)),
            positions: positions.init([1, self.input.tokens(), dim], device),
            trunk_norm: (sense == Sense::Vision).then(|| norm(TRUNK_NORM_EPSILON)),
            blocks: (0..self.blocks).map(block).collect(),
            head_norm: norm(TRUNK_NORM_EPSILON),
            dropout: DropoutConfig::new(self.dropout).init(),
            head: unbiased(dim, self.output),
            log_scale: self.scale.map(|scale| {
                let value = scale.ln();
                let scale: Param<Tensor<B, 1>> = Initializer::Constant { value }.init([1], device);
                scale.set_require_grad(self.learn_scale)
            }),
            config: *self,
        })
    }
}

impl<B: Backend> Encoder<B> {
    /// Its dimensions.
    #[must_use]
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Whether the encoder is for inputs of this kind and shape.
    #[must_use]
    pub fn takes(&self, input: &Input<B>) -> bool {
        match (input, self.config.input.grid()) {
            (Input::Text(ids), None) => ids.dims()[1] == self.config.input.tokens(),
            (Input::Values(values), Some(grid)) => {
                let [_, channels, frames, height, width] = values.dims();
                let moving = frames == grid.size[0] || frames == 1;
                let square = height == width && self.config.sense() == Sense::Vision;
                let counts = grid.patches([grid.size[0], height, width]);
                let enough = counts.iter().all(|count| *count > 0);
                let fits = square && enough || counts == grid.patches(grid.size);
                channels == grid.channels && moving && fits
            }
            _ => false,
        }
    }

    /// Stretches embeddings of length 1 to the encoder's scale, at most [`MAX_SCALE`].
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

    /// Positions, resized for pictures of another size.
    fn positions_for(&self, tokens: usize) -> Tensor<B, 3> {
        let positions = self.positions.val();
        let [_, len, dim] = positions.dims();
        if tokens == len {
            return positions;
        }
        let side = |tokens: usize| (tokens - 1).isqrt();
        let class_token = positions.clone().narrow(1, 0, 1);
        let table = positions.narrow(1, 1, len - 1).reshape([len - 1, dim]);
        let table = position::resize(table, side(len), side(tokens));
        Tensor::cat(vec![class_token, table.unsqueeze()], 1)
    }
}

impl<B: FusedBackend> Encoder<B> {
    /// One embedding an input, of length 1.
    ///
    /// # Shapes
    ///
    /// The result is `[batch, output]`.
    ///
    /// # Units
    ///
    /// Those it was trained on; the pack's front end says which.
    ///
    /// # Panics
    ///
    /// If inputs have another shape than [`InputConfig::shape`]; only [`Sense::Vision`] takes
    /// squares of any size.
    pub fn forward(&self, input: Input<B>) -> Tensor<B, 2> {
        normalise(self.embed(input))
    }

    /// What it computes on the way, for comparisons.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn stages(&self, input: Input<B>) -> Stages<B> {
        let end = ends(&input);
        let tokens = self.tokens(input);
        let mut x = self.enter(tokens.clone());
        let (mut blocks, mut selected) = (Vec::new(), Vec::new());
        for block in &self.blocks {
            x = block.forward(x);
            selected.push(select(x.clone(), end.clone()));
            blocks.push(x.clone());
        }
        let head = self.leave(select(x, end));
        let output = self.scale(normalise(head.clone()));
        Stages {
            tokens,
            blocks,
            selected,
            head,
            output,
        }
    }

    fn embed(&self, input: Input<B>) -> Tensor<B, 2> {
        let end = ends(&input);
        let mut x = self.enter(self.tokens(input));
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.leave(select(x, end))
    }

    /// Tokens with positions.
    fn tokens(&self, input: Input<B>) -> Tensor<B, 3> {
        assert!(
            self.takes(&input),
            "{input:?}, expected inputs of {:?}",
            self.config.input.shape()
        );
        let batch = input.batch();
        let tokens = match (&self.stem, input) {
            (Stem::Words(table), Input::Text(ids)) => table.forward(ids),
            (Stem::Patches(stem), Input::Values(values)) => self.cut(stem, values),
            _ => unreachable!("an encoder takes inputs of its own sense only"),
        };
        let tokens = match &self.class_token {
            None => tokens,
            Some(token) => {
                let token = token.val().expand([batch, 1, self.config.dim]);
                Tensor::cat(vec![token, tokens], 1)
            }
        };
        let positions = self.positions_for(tokens.dims()[1]);
        tokens + positions
    }

    fn cut(&self, stem: &PatchStem<B>, mut values: Tensor<B, 5>) -> Tensor<B, 3> {
        let Some(grid) = self.config.input.grid() else {
            unreachable!("only words have no grid, and they have no patches");
        };
        if values.dims()[2] == 1 && grid.size[0] > 1 {
            // A picture is a clip that does not move.
            values = values.repeat_dim(2, grid.size[0]);
        }
        let x = ops::linear(&stem.projection, input::patches(values, &grid));
        match &stem.norm {
            Some(norm) => ops::norm(norm, STEM_NORM_EPSILON, x),
            None => x,
        }
    }

    fn enter(&self, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
        match &self.trunk_norm {
            Some(norm) => ops::norm(norm, TRUNK_NORM_EPSILON, tokens),
            None => tokens,
        }
    }

    fn leave(&self, selected: Tensor<B, 2>) -> Tensor<B, 2> {
        let x = ops::norm(&self.head_norm, TRUNK_NORM_EPSILON, selected);
        ops::linear(&self.head, ops::dropout(&self.dropout, x))
    }
}

/// Where each text ends: at the first of its largest numbers. Other senses have no end.
fn ends<B: Backend>(input: &Input<B>) -> Option<Tensor<B, 2, Int>> {
    let Input::Text(ids) = input else {
        return None;
    };
    let [batch, context] = ids.dims();
    let is_end = ids
        .clone()
        .equal(ids.clone().max_dim(1).expand([batch, context]));
    let places = Tensor::<B, 1, Int>::arange(0..context as i64, &ids.device());
    let places = places.unsqueeze::<2>().expand([batch, context]);
    let beyond = places.mask_fill(is_end.bool_not(), context as i64);
    Some(beyond.min_dim(1))
}

/// The token that stands for an input: the first, or the one at its end.
fn select<B: Backend>(x: Tensor<B, 3>, end: Option<Tensor<B, 2, Int>>) -> Tensor<B, 2> {
    let [batch, _, dim] = x.dims();
    let token = match end {
        None => x.narrow(1, 0, 1),
        Some(end) => x.gather(1, end.unsqueeze_dim::<3>(2).expand([batch, 1, dim])),
    };
    token.reshape([batch, dim])
}

/// Rows of length 1; a row of zeros stays.
pub fn normalise<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    let squares = rows.clone().powi_scalar(2).sum_dim(1);
    rows / squares.sqrt().clamp_min(LEAST_LENGTH)
}

/// Rows times the exponential of `log_scale`, at most [`MAX_SCALE`].
///
/// # Shapes
///
/// `log_scale` has one number.
pub fn stretch<B: Backend>(rows: Tensor<B, 2>, log_scale: Tensor<B, 1>) -> Tensor<B, 2> {
    rows * log_scale.exp().clamp_max(MAX_SCALE).unsqueeze()
}

/// The mean over the clips of each recording. It is shorter than its clips where they disagree, and
/// stays so.
///
/// # Shapes
///
/// `[recordings * clips, dim]`, the clips of a recording together, to `[recordings, dim]`.
///
/// # Panics
///
/// If the rows are not whole recordings.
pub fn average_clips<B: Backend>(rows: Tensor<B, 2>, clips: usize) -> Tensor<B, 2> {
    let [count, dim] = rows.dims();
    assert!(
        clips > 0 && count.is_multiple_of(clips),
        "{count} rows of {clips} clips"
    );
    let recordings = count / clips;
    rows.reshape([recordings, clips, dim])
        .mean_dim(1)
        .reshape([recordings, dim])
}

#[cfg(all(test, feature = "flex"))]
mod tests;

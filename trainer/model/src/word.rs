//! A small text tower: a table of tokens, and blocks that see how tokens stand together.
//!
//! ```text
//! ids [B, T] ─table─▶ [B, T, table] ─linear─▶ [B, T, dim] + positions ─blocks─▶ linear ─▶ [B, T, output]
//! mean over T ─▶ L2 ─▶ embedding [B, output]
//! ```
//!
//! Without blocks it is a table alone: a text is the mean of its tokens' rows, which any
//! microcontroller can take. With blocks, that table is where training begins: their branches start
//! at zero, so the first step already has what single tokens tell.
//!
//! All texts of a batch have one length, so nothing is padded or masked.

use std::collections::HashSet;

use burn::module::{Initializer, Module, Param, ParamId};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::block::{Block, BlockConfig};
use crate::encoder::walk::{Draw, List, Listed, Put, Take, Visitor, walk_block, walk_linear};
use crate::ops::{self, FusedBackend};
use crate::weights::{WeightSource, Weights, WeightsError};

/// Below this, a length is taken for this when dividing by it.
const LEAST_LENGTH: f64 = 1e-12;

/// Spread of positions at the start.
const POSITION_STD: f64 = 0.01;

/// Dimensions of a [`WordTower`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordConfig {
    /// Tokens that the table has.
    pub vocabulary: usize,
    /// Numbers that the table has for a token.
    pub table: usize,
    /// Width of the blocks.
    pub dim: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Blocks.
    pub blocks: usize,
    /// Longest text in tokens.
    pub tokens: usize,
    /// Numbers in an embedding.
    pub output: usize,
}

/// A dimension that makes no tower.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} is {value}, expected {expected}")]
pub struct WordConfigError {
    name: &'static str,
    value: usize,
    expected: String,
}

impl WordConfig {
    /// Whether a tower of these dimensions can be made.
    ///
    /// # Errors
    ///
    /// The first that is out of range.
    pub fn check(&self) -> Result<(), WordConfigError> {
        let positive = [
            ("vocabulary", self.vocabulary),
            ("table", self.table),
            ("dim", self.dim),
            ("heads", self.heads),
            ("tokens", self.tokens),
            ("output", self.output),
        ];
        let zero = positive.into_iter().find(|(_, value)| *value == 0);
        let (name, value, expected) = if let Some((name, value)) = zero {
            (name, value, "at least 1".to_owned())
        } else if !self.dim.is_multiple_of(self.heads) {
            let expected = format!("a divisor of dim, {}", self.dim);
            ("heads", self.heads, expected)
        } else if self.table > self.dim {
            let expected = format!("at most dim, {}", self.dim);
            ("table", self.table, expected)
        } else {
            return Ok(());
        };
        Err(WordConfigError {
            name,
            value,
            expected,
        })
    }

    /// A tower with random weights whose blocks change nothing yet.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<WordTower<B>, WordConfigError> {
        self.check()?;
        let normal = |std| Initializer::Normal { mean: 0.0, std };
        let block = |_| {
            let config = BlockConfig {
                dim: self.dim,
                heads: self.heads,
                bias_kv: false,
                causal: false,
                drop_path: 0.0,
            };
            let mut block = Block::new(config, device);
            for last in [&mut block.attention.out_proj, &mut block.fc2] {
                let [from, to] = last.weight.lazy_shape().dims();
                last.weight = Initializer::Zeros.init([from, to], device);
            }
            block
        };
        let table = EmbeddingConfig::new(self.vocabulary, self.table)
            .with_initializer(normal((self.table as f64).powf(-0.5)))
            .init(device);
        Ok(WordTower {
            table,
            up: LinearConfig::new(self.table, self.dim)
                .with_bias(false)
                .with_initializer(normal((self.dim as f64).powf(-0.5)))
                .init(device),
            positions: (self.blocks > 0)
                .then(|| normal(POSITION_STD).init([1, self.tokens, self.dim], device)),
            blocks: (0..self.blocks).map(block).collect(),
            head: LinearConfig::new(self.dim, self.output)
                .with_initializer(normal((self.dim as f64).powf(-0.5)))
                .init(device),
            config: *self,
        })
    }
}

/// A small text tower.
#[derive(Module, Debug)]
pub struct WordTower<B: Backend> {
    table: Embedding<B>,
    up: Linear<B>,
    positions: Option<Param<Tensor<B, 3>>>,
    blocks: Vec<Block<B>>,
    head: Linear<B>,
    #[module(skip)]
    config: WordConfig,
}

impl<B: Backend> WordTower<B> {
    /// Its dimensions.
    #[must_use]
    pub fn config(&self) -> &WordConfig {
        &self.config
    }

    /// A copy of the weights by name.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        // A copy of a weight that is not drawn yet would draw another.
        self.visit(&mut Draw);
        let mut put = Put(Weights::new());
        let Ok(_) = self.clone().walk(&mut put);
        put.0
    }

    /// This tower with other weights.
    ///
    /// # Errors
    ///
    /// A weight that is missing, has another shape or cannot be read.
    pub fn with_weights(self, source: &impl WeightSource) -> Result<Self, WeightsError> {
        self.walk(&mut Take(source))
    }

    /// Weights that an optimiser should not shrink: rows of the table, of which a step sees few, and
    /// all that shifts and stretches rather than mixes.
    #[must_use]
    pub fn undecayed(&self) -> HashSet<ParamId> {
        let mut list = List(Vec::new());
        let Ok(_) = self.clone().walk(&mut list);
        let spared = |weight: &Listed| {
            weight.shape.len() <= 1 || weight.name == TABLE || weight.name == POSITIONS
        };
        let weights = list.0.into_iter();
        weights.filter(spared).map(|weight| weight.id).collect()
    }

    fn walk<V: Visitor>(mut self, visitor: &mut V) -> Result<Self, V::Error> {
        self.table.weight = visitor.plain(TABLE, self.table.weight)?;
        let shape = [self.config.dim, self.config.table];
        self.up.weight = visitor.visit(UP, self.up.weight, &shape, true)?;
        if let Some(positions) = self.positions {
            self.positions = Some(visitor.plain(POSITIONS, positions)?);
        }
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (index, block) in self.blocks.into_iter().enumerate() {
            blocks.push(walk_block(visitor, &block_name(index), block)?);
        }
        self.blocks = blocks;
        self.head = walk_linear(visitor, HEAD, self.head)?;
        Ok(self)
    }
}

/// Name of the table among the weights, `[vocabulary, table]`.
pub const TABLE: &str = "table.weight";

/// Name of what widens its rows, `[dim, table]`.
pub const UP: &str = "up.weight";

/// Name of what is added by place, `[1, tokens, dim]`.
pub const POSITIONS: &str = "positions";

/// What names of the last layer begin with: `weight` `[output, dim]`, `bias` `[output]`.
pub const HEAD: &str = "head.";

/// What names of a block begin with.
#[must_use]
pub fn block_name(index: usize) -> String {
    format!("blocks.{index}")
}

impl<B: FusedBackend> WordTower<B> {
    /// One embedding a text, of length 1: `[batch, output]`. `ids` has a row of `len` tokens a text.
    ///
    /// # Panics
    ///
    /// If a text is longer than [`WordConfig::tokens`], or `len` does not divide `ids`.
    pub fn forward(&self, ids: Vec<i32>, len: usize, device: &B::Device) -> Tensor<B, 2> {
        assert!(len <= self.config.tokens, "a text of {len} tokens");
        assert!(ids.len().is_multiple_of(len), "texts of {len} tokens");
        let shape = [ids.len() / len, len];
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, shape), device);
        let mut x = self.up.forward(self.table.forward(ids));
        if let Some(positions) = &self.positions {
            x = x + positions.val().narrow(1, 0, len);
        }
        for block in &self.blocks {
            x = block.forward(x);
        }
        // Both are linear: the mean of heads is the head of the mean, which costs less.
        let mean = ops::linear(&self.head, x.mean_dim(1)).squeeze_dim::<2>(1);
        let length = mean.clone().powi_scalar(2).sum_dim(1).sqrt();
        mean / length.clamp_min(LEAST_LENGTH)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;

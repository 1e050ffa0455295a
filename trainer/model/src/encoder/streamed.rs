//! An encoder whose weights are never in memory together.

use burn::prelude::*;

use super::names::Names;
use super::walk::{Take, walk_block};
use super::{EncoderConfig, Input, ends, normalise, select};
use crate::ops::FusedBackend;
use crate::weights::{WeightSource, WeightsError};

impl EncoderConfig {
    /// What [`Encoder::forward`](super::Encoder::forward) gives with weights that are read block by
    /// block, and let go again: no more than the stem's or one block's are held at a time.
    ///
    /// # Errors
    ///
    /// Those of [`Encoder::with_weights`](super::Encoder::with_weights).
    ///
    /// # Panics
    ///
    /// If the dimensions make no encoder, or as [`Encoder::forward`](super::Encoder::forward).
    pub fn forward_from<B: FusedBackend>(
        &self,
        source: &impl WeightSource,
        input: Input<B>,
        device: &B::Device,
    ) -> Result<Tensor<B, 2>, WeightsError> {
        let mut encoder = match self.init::<B>(device) {
            Ok(encoder) => encoder,
            Err(error) => panic!("forward_from: {error}"),
        };
        encoder.ensure_own(source)?;
        let names = Names(self.sense());
        let blocks = std::mem::take(&mut encoder.blocks);
        let encoder = encoder.walk(&mut Take(source))?;
        let end = ends(&input);
        let mut x = encoder.enter(encoder.tokens(input));
        for (index, block) in blocks.into_iter().enumerate() {
            let block = walk_block(&mut Take(source), &names.block(index), block)?;
            x = block.forward(x);
        }
        Ok(normalise(encoder.leave(select(x, end))))
    }
}

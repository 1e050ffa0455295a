//! The encoder's weights under the reference's names.

use burn::module::Param;
use burn::nn::{LayerNorm, Linear};
use burn::prelude::*;
use burn::tensor::TensorData;

use super::{CHANNELS, ImuEncoder, PATCH};
use crate::block::{Block, MLP_RATIO};
use crate::weights::{Weights, WeightsError};

/// Where the stem, the class token and the positions are.
pub(crate) const STEM: &str = "modality_preprocessors.imu";

/// Where the blocks are.
pub const TRUNK: &str = "modality_trunks.imu.blocks";

/// Where the head is. Its linear layer is number 3, after norm, selection and dropout.
pub const HEAD: &str = "modality_heads.imu";

impl<B: Backend> ImuEncoder<B> {
    /// A copy of the weights, under the names that the reference gives them.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new();
        put(
            &mut weights,
            format!("{STEM}.cls_token"),
            self.class_token.val(),
        );
        put(
            &mut weights,
            format!("{STEM}.pos_embed"),
            self.positions.val(),
        );
        put_linear(&mut weights, format!("{STEM}.imu_stem.proj."), &self.stem);
        put_norm(
            &mut weights,
            &format!("{STEM}.imu_stem.norm_layer"),
            &self.stem_norm,
        );
        for (index, block) in self.blocks.iter().enumerate() {
            put_block(&mut weights, &format!("{TRUNK}.{index}"), block);
        }
        put_norm(&mut weights, &format!("{HEAD}.0"), &self.head_norm);
        put_linear(&mut weights, format!("{HEAD}.3."), &self.head);
        weights
    }

    /// This encoder with other weights. Names that it does not use are ignored, so a file with all
    /// of the reference's encoders will do.
    ///
    /// # Errors
    ///
    /// A weight that is missing or has another shape.
    pub fn with_weights(self, weights: &Weights) -> Result<Self, WeightsError> {
        let source = Source { weights };
        let [_, tokens, dim] = self.positions.dims();
        let blocks = self
            .blocks
            .into_iter()
            .enumerate()
            .map(|(index, block)| source.block(&format!("{TRUNK}.{index}"), block, dim))
            .collect::<Result<_, _>>()?;
        let output = self.head.weight.dims()[1];
        Ok(Self {
            class_token: source.param(
                &format!("{STEM}.cls_token"),
                self.class_token,
                [1, 1, dim],
            )?,
            positions: source.param(
                &format!("{STEM}.pos_embed"),
                self.positions,
                [1, tokens, dim],
            )?,
            stem: source.linear(
                &format!("{STEM}.imu_stem.proj."),
                self.stem,
                CHANNELS * PATCH,
                dim,
            )?,
            stem_norm: source.norm(&format!("{STEM}.imu_stem.norm_layer"), self.stem_norm, dim)?,
            blocks,
            head_norm: source.norm(&format!("{HEAD}.0"), self.head_norm, dim)?,
            dropout: self.dropout,
            head: source.linear(&format!("{HEAD}.3."), self.head, dim, output)?,
        })
    }
}

fn put<B: Backend, const D: usize>(weights: &mut Weights, name: String, tensor: Tensor<B, D>) {
    let shape = tensor.dims();
    let values = tensor.into_data().convert::<f32>().iter::<f32>().collect();
    weights.insert(name, &shape, values);
}

/// `prefix` ends before `weight` and `bias`, because the fused projection joins them by `_`.
fn put_linear<B: Backend>(weights: &mut Weights, prefix: String, linear: &Linear<B>) {
    put(
        weights,
        format!("{prefix}weight"),
        linear.weight.val().transpose(),
    );
    if let Some(bias) = &linear.bias {
        put(weights, format!("{prefix}bias"), bias.val());
    }
}

fn put_norm<B: Backend>(weights: &mut Weights, prefix: &str, norm: &LayerNorm<B>) {
    put(weights, format!("{prefix}.weight"), norm.gamma.val());
    if let Some(beta) = &norm.beta {
        put(weights, format!("{prefix}.bias"), beta.val());
    }
}

fn put_block<B: Backend>(weights: &mut Weights, prefix: &str, block: &Block<B>) {
    let attention = &block.attention;
    put_norm(weights, &format!("{prefix}.norm_1"), &block.norm_1);
    put_linear(
        weights,
        format!("{prefix}.attn.in_proj_"),
        &attention.in_proj,
    );
    put_linear(
        weights,
        format!("{prefix}.attn.out_proj."),
        &attention.out_proj,
    );
    for (name, bias) in [("bias_k", &attention.bias_k), ("bias_v", &attention.bias_v)] {
        if let Some(bias) = bias {
            put(weights, format!("{prefix}.attn.{name}"), bias.val());
        }
    }
    put_norm(weights, &format!("{prefix}.norm_2"), &block.norm_2);
    put_linear(weights, format!("{prefix}.mlp.fc1."), &block.fc1);
    put_linear(weights, format!("{prefix}.mlp.fc2."), &block.fc2);
}

/// Takes weights out of a file, each checked for its shape.
struct Source<'a> {
    weights: &'a Weights,
}

impl Source<'_> {
    fn param<B: Backend, const D: usize>(
        &self,
        name: &str,
        param: Param<Tensor<B, D>>,
        shape: [usize; D],
    ) -> Result<Param<Tensor<B, D>>, WeightsError> {
        let values = self.weights.expect(name, &shape)?;
        let data = TensorData::new(values.to_vec(), shape);
        Ok(param.map(|old| {
            Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
        }))
    }

    fn linear<B: Backend>(
        &self,
        prefix: &str,
        linear: Linear<B>,
        from: usize,
        to: usize,
    ) -> Result<Linear<B>, WeightsError> {
        let values = self
            .weights
            .expect(&format!("{prefix}weight"), &[to, from])?;
        let data = TensorData::new(values.to_vec(), [to, from]);
        let weight = linear.weight.map(|old| {
            let rows = Tensor::<B, 2>::from_data(data, &old.device());
            // Through data, so that the layout in memory is that of a new weight.
            Tensor::from_data(rows.transpose().into_data(), &old.device())
                .set_require_grad(old.is_require_grad())
        });
        let bias = match linear.bias {
            Some(bias) => Some(self.param(&format!("{prefix}bias"), bias, [to])?),
            None => None,
        };
        Ok(Linear { weight, bias })
    }

    fn norm<B: Backend>(
        &self,
        prefix: &str,
        mut norm: LayerNorm<B>,
        dim: usize,
    ) -> Result<LayerNorm<B>, WeightsError> {
        norm.gamma = self.param(&format!("{prefix}.weight"), norm.gamma, [dim])?;
        norm.beta = match norm.beta {
            Some(beta) => Some(self.param(&format!("{prefix}.bias"), beta, [dim])?),
            None => None,
        };
        Ok(norm)
    }

    fn block<B: Backend>(
        &self,
        prefix: &str,
        mut block: Block<B>,
        dim: usize,
    ) -> Result<Block<B>, WeightsError> {
        let attention = &mut block.attention;
        for (name, bias) in [
            ("bias_k", &mut attention.bias_k),
            ("bias_v", &mut attention.bias_v),
        ] {
            if let Some(old) = bias.take() {
                *bias = Some(self.param(&format!("{prefix}.attn.{name}"), old, [1, 1, dim])?);
            }
        }
        let hidden = MLP_RATIO * dim;
        let name = |part: &str| format!("{prefix}.{part}");
        block.norm_1 = self.norm(&name("norm_1"), block.norm_1, dim)?;
        block.norm_2 = self.norm(&name("norm_2"), block.norm_2, dim)?;
        let attention = &mut block.attention;
        attention.in_proj = self.linear(
            &name("attn.in_proj_"),
            attention.in_proj.clone(),
            dim,
            3 * dim,
        )?;
        attention.out_proj = self.linear(
            &name("attn.out_proj."),
            attention.out_proj.clone(),
            dim,
            dim,
        )?;
        block.fc1 = self.linear(&name("mlp.fc1."), block.fc1, dim, hidden)?;
        block.fc2 = self.linear(&name("mlp.fc2."), block.fc2, hidden, dim)?;
        Ok(block)
    }
}

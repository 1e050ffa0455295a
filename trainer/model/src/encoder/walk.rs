//! Reading and writing an encoder's weights.
//!
//! One walk over them serves both, so the two cannot disagree.

use std::collections::HashSet;
use std::convert::Infallible;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::nn::{LayerNorm, Linear};
use burn::prelude::*;
use burn::tensor::TensorData;

use super::names::{Names, causal_mask};
use super::{Encoder, EncoderConfig, Stem};
use crate::block::Block;
use crate::weights::{WeightSource, Weights, WeightsError};

impl<B: Backend> Encoder<B> {
    /// A copy of the weights, under the names that the reference gives them.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        // A copy of a weight that is not drawn yet would draw another.
        self.visit(&mut Draw);
        let mut put = Put(Weights::new());
        let Ok(_) = self.clone().walk(&mut put);
        let mut weights = put.0;
        if let Some(mask) = Names(self.config.sense()).mask() {
            let context = self.config.input.tokens();
            weights.insert(mask, &[context, context], causal_mask(context));
        }
        weights
    }

    /// Names and shapes of the weights, none of which is made for it.
    #[must_use]
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes: Vec<_> = self
            .list()
            .into_iter()
            .map(|weight| (weight.name, weight.shape))
            .collect();
        if let Some(mask) = Names(self.config.sense()).mask() {
            shapes.push((mask, vec![self.config.input.tokens(); 2]));
        }
        shapes
    }

    /// Weights that an optimiser should not shrink: the class token, positions, the extra key and
    /// value, and all vectors, which shift and stretch rather than mix.
    #[must_use]
    pub fn undecayed(&self) -> HashSet<ParamId> {
        let kinds = [".cls_token", ".pos_embed", ".bias_k", ".bias_v"];
        let spared = |weight: &Listed| {
            weight.shape.len() <= 1 || kinds.iter().any(|kind| weight.name.ends_with(kind))
        };
        let weights = self.list().into_iter();
        weights.filter(spared).map(|weight| weight.id).collect()
    }

    /// Name and number of each weight.
    #[must_use]
    pub fn ids(&self) -> Vec<(String, ParamId)> {
        let weights = self.list().into_iter();
        weights.map(|weight| (weight.name, weight.id)).collect()
    }

    fn list(&self) -> Vec<Listed> {
        let mut list = List(Vec::new());
        let Ok(_) = self.clone().walk(&mut list);
        list.0
    }

    /// This encoder with other weights, read one after the other. Those of other senses are left
    /// alone, so a file with all of the reference's encoders will do.
    ///
    /// # Errors
    ///
    /// A weight that is missing, has another shape or cannot be read, or one of this sense that the
    /// encoder does not have.
    pub fn with_weights(self, source: &impl WeightSource) -> Result<Self, WeightsError> {
        self.ensure_own(source)?;
        self.walk(&mut Take(source))
    }

    /// Whether all weights of this sense are the encoder's.
    pub(super) fn ensure_own(&self, source: &impl WeightSource) -> Result<(), WeightsError> {
        let names = Names(self.config.sense());
        let known: HashSet<String> = self.shapes().into_iter().map(|(name, _)| name).collect();
        let extra = |name: &&str| names.has(name) && !known.contains(*name);
        match source.names().into_iter().find(extra) {
            None => Ok(()),
            Some(name) => Err(WeightsError::Extra {
                name: name.to_owned(),
            }),
        }
    }

    pub(super) fn walk<V: Visitor>(mut self, visitor: &mut V) -> Result<Self, V::Error> {
        let names = Names(self.config.sense());
        let EncoderConfig { dim, output, .. } = self.config;
        if let Some(token) = self.class_token {
            self.class_token = Some(visitor.plain(&names.class_token(), token)?);
        }
        self.positions = visitor.plain(&names.positions(), self.positions)?;
        self.stem = match self.stem {
            Stem::Words(mut table) => {
                table.weight = visitor.plain(&names.stem(), table.weight)?;
                Stem::Words(table)
            }
            Stem::Patches(mut stem) => {
                let shape = self.config.input.stem_shape(dim);
                stem.projection.weight =
                    visitor.visit(&names.stem(), stem.projection.weight, &shape, true)?;
                if let Some(norm) = stem.norm {
                    stem.norm = Some(walk_norm(visitor, &names.stem_norm(), norm)?);
                }
                Stem::Patches(stem)
            }
        };
        if let Some(norm) = self.trunk_norm {
            self.trunk_norm = Some(walk_norm(visitor, &names.trunk_norm(), norm)?);
        }
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (index, block) in self.blocks.into_iter().enumerate() {
            blocks.push(walk_block(visitor, &names.block(index), block)?);
        }
        self.blocks = blocks;
        self.head_norm = walk_norm(visitor, &names.head_norm(), self.head_norm)?;
        self.head.weight = visitor.visit(&names.head(), self.head.weight, &[output, dim], true)?;
        if let Some(scale) = self.log_scale {
            let scale = visitor.visit(&names.log_scale(), scale, &[], false)?;
            self.log_scale = Some(scale.set_require_grad(self.config.learn_scale));
        }
        Ok(self)
    }
}

/// Goes from weight to weight.
pub(crate) trait Visitor {
    type Error;

    /// `shape` is that in a file; where the file has a row an output, `transposed` is true.
    fn visit<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
        shape: &[usize],
        transposed: bool,
    ) -> Result<Param<Tensor<B, D>>, Self::Error>;

    /// A weight that lies in a file as it does here.
    fn plain<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
    ) -> Result<Param<Tensor<B, D>>, Self::Error> {
        let shape = param.lazy_shape().to_vec();
        self.visit(name, param, &shape, false)
    }
}

fn walk_norm<B: Backend, V: Visitor>(
    visitor: &mut V,
    prefix: &str,
    mut norm: LayerNorm<B>,
) -> Result<LayerNorm<B>, V::Error> {
    norm.gamma = visitor.plain(&format!("{prefix}.weight"), norm.gamma)?;
    if let Some(beta) = norm.beta {
        norm.beta = Some(visitor.plain(&format!("{prefix}.bias"), beta)?);
    }
    Ok(norm)
}

/// `prefix` ends before `weight` and `bias`, because the fused projection joins them by `_`.
pub(crate) fn walk_linear<B: Backend, V: Visitor>(
    visitor: &mut V,
    prefix: &str,
    mut linear: Linear<B>,
) -> Result<Linear<B>, V::Error> {
    let [from, to] = linear.weight.lazy_shape().dims();
    linear.weight = visitor.visit(&format!("{prefix}weight"), linear.weight, &[to, from], true)?;
    if let Some(bias) = linear.bias {
        linear.bias = Some(visitor.plain(&format!("{prefix}bias"), bias)?);
    }
    Ok(linear)
}

pub(crate) fn walk_block<B: Backend, V: Visitor>(
    visitor: &mut V,
    prefix: &str,
    mut block: Block<B>,
) -> Result<Block<B>, V::Error> {
    let name = |part: &str| format!("{prefix}.{part}");
    block.norm_1 = walk_norm(visitor, &name("norm_1"), block.norm_1)?;
    let mut attention = block.attention;
    attention.in_proj = walk_linear(visitor, &name("attn.in_proj_"), attention.in_proj)?;
    attention.out_proj = walk_linear(visitor, &name("attn.out_proj."), attention.out_proj)?;
    if let Some(bias) = attention.bias_k {
        attention.bias_k = Some(visitor.plain(&name("attn.bias_k"), bias)?);
    }
    if let Some(bias) = attention.bias_v {
        attention.bias_v = Some(visitor.plain(&name("attn.bias_v"), bias)?);
    }
    block.attention = attention;
    block.norm_2 = walk_norm(visitor, &name("norm_2"), block.norm_2)?;
    block.fc1 = walk_linear(visitor, &name("mlp.fc1."), block.fc1)?;
    block.fc2 = walk_linear(visitor, &name("mlp.fc2."), block.fc2)?;
    Ok(block)
}

/// Makes weights be drawn.
pub(crate) struct Draw;

impl<B: Backend> ModuleVisitor<B> for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let _ = param.val();
    }
}

/// Notes what there is.
pub(crate) struct List(pub(crate) Vec<Listed>);

pub(crate) struct Listed {
    pub(crate) name: String,
    /// In a file.
    pub(crate) shape: Vec<usize>,
    pub(crate) id: ParamId,
}

impl Visitor for List {
    type Error = Infallible;

    fn visit<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
        shape: &[usize],
        _transposed: bool,
    ) -> Result<Param<Tensor<B, D>>, Self::Error> {
        self.0.push(Listed {
            name: name.to_owned(),
            shape: shape.to_vec(),
            id: param.id,
        });
        Ok(param)
    }
}

/// Copies weights out.
pub(crate) struct Put(pub(crate) Weights);

impl Visitor for Put {
    type Error = Infallible;

    fn visit<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
        shape: &[usize],
        transposed: bool,
    ) -> Result<Param<Tensor<B, D>>, Self::Error> {
        let value = param.val();
        let value = if transposed { value.transpose() } else { value };
        let values = value.into_data().convert::<f32>().iter::<f32>().collect();
        self.0.insert(name, shape, values);
        Ok(param)
    }
}

/// Puts weights in.
pub(crate) struct Take<'a, S>(pub(crate) &'a S);

impl<S: WeightSource> Visitor for Take<'_, S> {
    type Error = WeightsError;

    fn visit<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        param: Param<Tensor<B, D>>,
        shape: &[usize],
        transposed: bool,
    ) -> Result<Param<Tensor<B, D>>, Self::Error> {
        let mut values = self.0.values_of(name, shape)?;
        let dims = param.lazy_shape();
        if transposed {
            values = transpose(&values, dims[0]);
        }
        // The old value is not asked for, so it is never drawn if it was not yet.
        let device = param.lazy_device();
        let value = Tensor::from_data(TensorData::new(values, dims), &device);
        Ok(Param::initialized(param.id, value.require_grad()))
    }
}

/// Rows of a matrix as columns.
fn transpose(values: &[f32], row_len: usize) -> Vec<f32> {
    let rows = values.len() / row_len.max(1);
    (0..values.len())
        .map(|i| values[i % rows * row_len + i / rows])
        .collect()
}

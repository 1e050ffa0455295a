//! Reading and writing a convolutional encoder's weights.
//!
//! Names and shapes are those that a PyTorch module of the same layers would have, behind the
//! sense's name: `audio.layers.2.conv.weight` `[out, in / groups, height, width]`.

use std::collections::HashSet;

use burn::module::{Param, ParamId, RunningState};
use burn::nn::{BatchNorm, GroupNorm};
use burn::prelude::*;
use burn::tensor::TensorData;

use super::{ConvEncoder, Layer};
use crate::weights::{WeightSource, Weights, WeightsError};

/// Name of a part of layer `index`.
#[must_use]
pub fn layer_name(sense: crate::Sense, index: usize, part: &str) -> String {
    format!("{sense}.layers.{index}.{part}")
}

/// Name of a part of the last, linear layer.
#[must_use]
pub fn head_name(sense: crate::Sense, part: &str) -> String {
    format!("{sense}.head.{part}")
}

/// Name of the words that finished embeddings lean towards.
#[must_use]
pub fn words_name(sense: crate::Sense) -> String {
    format!("{sense}.words")
}

pub(super) fn log_scale_name(sense: crate::Sense) -> String {
    format!("{sense}.log_logit_scale")
}

impl<B: Backend> ConvEncoder<B> {
    /// A copy of the weights.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        let sense = self.config.sense;
        let mut weights = Weights::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| layer_name(sense, index, part);
            if let Some(conv) = &layer.conv {
                put(&mut weights, name("conv.weight"), conv.weight.val());
                if let Some(bias) = &conv.bias {
                    put(&mut weights, name("conv.bias"), bias.val());
                }
            }
            if let Some(norm) = &layer.norm {
                put(&mut weights, name("norm.weight"), norm.gamma.val());
                put(&mut weights, name("norm.bias"), norm.beta.val());
                let (mean, variance) = (&norm.running_mean, &norm.running_var);
                put(&mut weights, name("norm.running_mean"), mean.value_sync());
                put(
                    &mut weights,
                    name("norm.running_var"),
                    variance.value_sync(),
                );
            }
            for (part, param) in layer.group_norm.iter().flat_map(affine) {
                put(&mut weights, name(part), param.val());
            }
        }
        let head = self.head.weight.val().transpose();
        put(&mut weights, head_name(sense, "weight"), head);
        if let Some(bias) = &self.head.bias {
            put(&mut weights, head_name(sense, "bias"), bias.val());
        }
        if let Some(scale) = &self.log_scale {
            let value = scale.val().into_data().iter::<f32>().collect();
            weights.insert(log_scale_name(sense), &[], value);
        }
        if let Some(words) = &self.words {
            put(&mut weights, words_name(sense), words.val());
        }
        weights
    }

    /// This encoder with other weights, read one after the other.
    ///
    /// # Errors
    ///
    /// A weight that is missing, has another shape or cannot be read, or one of this sense that the
    /// encoder does not have.
    pub fn with_weights(mut self, source: &impl WeightSource) -> Result<Self, WeightsError> {
        let sense = self.config.sense;
        let own = format!("{sense}.");
        let known = self.to_weights();
        let extra = |name: &&str| name.starts_with(&own) && known.get(name).is_none();
        if let Some(name) = source.names().into_iter().find(extra) {
            return Err(WeightsError::Extra {
                name: name.to_owned(),
            });
        }
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.take(source, |part| layer_name(sense, index, part))?;
        }
        let weight = &self.head.weight;
        let [from, to] = weight.dims();
        let values = source.values_of(&head_name(sense, "weight"), &[to, from])?;
        let data = TensorData::new(values, [to, from]);
        let value = Tensor::from_data(data, &weight.device()).transpose();
        self.head.weight = Param::initialized(weight.id, value.require_grad());
        if let Some(bias) = self.head.bias.take() {
            self.head.bias = Some(take(source, &head_name(sense, "bias"), bias)?);
        }
        if let Some(scale) = self.log_scale.take() {
            let values = source.values_of(&log_scale_name(sense), &[])?;
            let value = Tensor::from_data(TensorData::new(values, [1]), &scale.device());
            let scale = Param::initialized(scale.id, value.require_grad());
            self.log_scale = Some(scale.set_require_grad(self.config.learn_scale));
        }
        if let Some(words) = self.words.take() {
            let words = take(source, &words_name(sense), words)?;
            self.words = Some(words.set_require_grad(false));
        }
        Ok(self)
    }

    /// Weights that an optimiser should not shrink: all vectors, which shift and stretch rather than
    /// mix.
    #[must_use]
    pub fn undecayed(&self) -> HashSet<ParamId> {
        let norms = self.layers.iter().filter_map(|layer| layer.norm.as_ref());
        let norms = norms.flat_map(|norm| [norm.gamma.id, norm.beta.id]);
        let groups = self
            .layers
            .iter()
            .filter_map(|layer| layer.group_norm.as_ref());
        let groups = groups.flat_map(affine).map(|(_, param)| param.id);
        let norms = norms.chain(groups);
        let convs = self.layers.iter().filter_map(|layer| layer.conv.as_ref());
        let biases = convs.filter_map(|conv| conv.bias.as_ref());
        let biases = biases.chain(&self.head.bias).map(|bias| bias.id);
        let scale = self.log_scale.as_ref().map(|scale| scale.id);
        norms.chain(biases).chain(scale).collect()
    }
}

impl<B: Backend> Layer<B> {
    fn take(
        &mut self,
        source: &impl WeightSource,
        name: impl Fn(&str) -> String,
    ) -> Result<(), WeightsError> {
        if let Some(mut conv) = self.conv.take() {
            conv.weight = take(source, &name("conv.weight"), conv.weight)?;
            if let Some(bias) = conv.bias {
                conv.bias = Some(take(source, &name("conv.bias"), bias)?);
            }
            self.conv = Some(conv);
        }
        if let Some(norm) = self.norm.take() {
            self.norm = Some(BatchNorm {
                gamma: take(source, &name("norm.weight"), norm.gamma)?,
                beta: take(source, &name("norm.bias"), norm.beta)?,
                running_mean: running(source, &name("norm.running_mean"), norm.running_mean)?,
                running_var: running(source, &name("norm.running_var"), norm.running_var)?,
                ..norm
            });
        }
        if let Some(mut norm) = self.group_norm.take() {
            let affine = [("weight", &mut norm.gamma), ("bias", &mut norm.beta)];
            for (part, param) in affine {
                if let Some(old) = param.take() {
                    *param = Some(take(source, &name(&format!("norm.{part}")), old)?);
                }
            }
            self.group_norm = Some(norm);
        }
        Ok(())
    }
}

/// What a norm over groups learns.
fn affine<B: Backend>(norm: &GroupNorm<B>) -> Vec<(&'static str, &Param<Tensor<B, 1>>)> {
    let parts = [("norm.weight", &norm.gamma), ("norm.bias", &norm.beta)];
    let parts = parts.into_iter();
    parts
        .filter_map(|(name, param)| Some((name, param.as_ref()?)))
        .collect()
}

fn put<B: Backend, const D: usize>(weights: &mut Weights, name: String, value: Tensor<B, D>) {
    let shape = value.dims();
    weights.insert(name, &shape, value.into_data().iter::<f32>().collect());
}

fn values<B: Backend, const D: usize>(
    source: &impl WeightSource,
    name: &str,
    like: &Tensor<B, D>,
) -> Result<Tensor<B, D>, WeightsError> {
    let shape = like.dims();
    let values = source.values_of(name, &shape)?;
    Ok(Tensor::from_data(
        TensorData::new(values, shape),
        &like.device(),
    ))
}

fn take<B: Backend, const D: usize>(
    source: &impl WeightSource,
    name: &str,
    param: Param<Tensor<B, D>>,
) -> Result<Param<Tensor<B, D>>, WeightsError> {
    let value = values(source, name, &param.val())?;
    Ok(Param::initialized(param.id, value.require_grad()))
}

fn running<B: Backend>(
    source: &impl WeightSource,
    name: &str,
    state: RunningState<Tensor<B, 1>>,
) -> Result<RunningState<Tensor<B, 1>>, WeightsError> {
    Ok(RunningState::new(values(source, name, &state.value())?))
}

//! AdamW that does not shrink what should not be shrunk.

use std::collections::HashSet;

use burn::module::{AutodiffModule, ModuleVisitor, Param, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{self, AdamWConfig, GradientsParams, Optimizer};
use burn::prelude::*;
use burn::tensor::backend::AutodiffBackend;

use crate::state;

/// AdamW (Loshchilov and Hutter 2019) with two groups of weights: those of matrices decay, the
/// others do not.
pub struct AdamW<B: AutodiffBackend, M: AutodiffModule<B>> {
    decayed: OptimizerAdaptor<optim::AdamW, M, B>,
    undecayed: OptimizerAdaptor<optim::AdamW, M, B>,
    spared: HashSet<ParamId>,
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> AdamW<B, M> {
    /// An optimiser that has seen no gradient. `spared` are the weights that do not decay.
    #[must_use]
    pub fn new(config: &AdamWConfig, spared: HashSet<ParamId>) -> Self {
        Self {
            decayed: config.init(),
            undecayed: config.clone().with_weight_decay(0.0).init(),
            spared,
        }
    }

    /// What it remembers of earlier steps, for [`load`](Self::load).
    ///
    /// # Panics
    ///
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let record = (self.decayed.to_record(), self.undecayed.to_record());
        state::to_bytes::<B, _>(record)
    }

    /// This optimiser with another's memory, which [`to_bytes`](Self::to_bytes) gave, for a module
    /// that [`state::load`] made: weights are known by numbers, and those came with it. `spared` are
    /// the weights of that module that do not decay.
    ///
    /// # Panics
    ///
    /// If the bytes are something else: they have to come from a place that checks them.
    #[must_use]
    pub fn load(mut self, bytes: Vec<u8>, spared: HashSet<ParamId>, device: &B::Device) -> Self {
        self.spared = spared;
        let (decayed, undecayed) = state::from_bytes::<B, _>(bytes, device);
        self.decayed = self.decayed.load_record(decayed);
        self.undecayed = self.undecayed.load_record(undecayed);
        self
    }

    /// The module after one step.
    pub fn step(&mut self, learning_rate: f64, module: M, mut gradients: GradientsParams) -> M {
        let mut spared = Spare {
            ids: &self.spared,
            from: &mut gradients,
            to: GradientsParams::new(),
        };
        module.visit(&mut spared);
        let spared = spared.to;
        let module = self.decayed.step(learning_rate, module, gradients);
        self.undecayed.step(learning_rate, module, spared)
    }
}

/// Moves the gradients of some weights.
struct Spare<'a> {
    ids: &'a HashSet<ParamId>,
    from: &'a mut GradientsParams,
    to: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Spare<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if !self.ids.contains(&param.id) {
            return;
        }
        if let Some(gradient) = self.from.remove::<B::InnerBackend, D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::backend::Training;
    use burn::nn::{Linear, LinearConfig};

    #[test]
    fn only_matrices_shrink() {
        let device = Default::default();
        let module: Linear<Training> = LinearConfig::new(2, 2).init(&device);
        let bias = module.bias.as_ref().map(|bias| bias.id).into_iter();
        let config = AdamWConfig::new().with_weight_decay(0.5);
        let mut optimizer = AdamW::new(&config, bias.collect());
        let before = (module.weight.val(), module.bias.as_ref().map(Param::val));
        // Gradients of exactly 0 move nothing, so only the decay is seen.
        let x = Tensor::<Training, 2>::from_data([[0.3, -0.7]], &device);
        let loss = module.forward(x).sum().mul_scalar(0.0);
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        let after = optimizer.step(0.1, module, gradients);
        let shrunk = before.0.mul_scalar(0.95) - after.weight.val();
        assert!(shrunk.abs().max().into_scalar().elem::<f32>() < 1e-6);
        let kept = before.1.unwrap() - after.bias.unwrap().val();
        assert_eq!(kept.abs().max().into_scalar().elem::<f32>(), 0.0);
    }
}

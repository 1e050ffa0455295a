//! The size of a step's gradient, and a bound on it.

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::backend::AutodiffBackend;

/// Scales all gradients of a module by one factor, so that together they are no longer than
/// `max_norm`, and returns the length they had. A length that is not finite changes nothing.
pub fn clip_norm<B: AutodiffBackend, M: AutodiffModule<B>>(
    module: &M,
    gradients: &mut GradientsParams,
    max_norm: f64,
) -> f64 {
    let mut length = Length::<B> {
        gradients,
        squares: Vec::new(),
    };
    module.visit(&mut length);
    let squares = length.squares;
    if squares.is_empty() {
        return 0.0;
    }
    let norm: f64 = Tensor::cat(squares, 0).sum().sqrt().into_scalar().elem();
    if norm.is_finite() && norm > max_norm {
        module.visit(&mut Scale {
            gradients,
            factor: max_norm / norm,
        });
    }
    norm
}

/// The module with its gradients in the place of its weights, 0 where there are none.
pub fn as_module<B: AutodiffBackend, M: AutodiffModule<B>>(
    module: &M,
    gradients: &GradientsParams,
) -> M::InnerModule {
    module.valid().map(&mut Show { gradients })
}

struct Show<'a> {
    gradients: &'a GradientsParams,
}

impl<B: Backend> ModuleMapper<B> for Show<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let gradient = self.gradients.get::<B, D>(param.id);
        param.map(|value| gradient.unwrap_or_else(|| value.zeros_like()))
    }
}

struct Length<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    squares: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Length<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.squares.push(gradient.powi_scalar(2).sum());
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            self.gradients
                .register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::backend::Training;
    use burn::nn::{Linear, LinearConfig};

    #[test]
    fn a_long_gradient_is_cut_to_length_and_a_short_one_kept() {
        let device = Default::default();
        let module: Linear<Training> = LinearConfig::new(2, 1).init(&device);
        for (max_norm, expected) in [(0.5, 0.5), (100.0, 26.0f64.sqrt())] {
            // The gradient is (3, 4) for the weights and 1 for the bias.
            let x = Tensor::<Training, 2>::from_data([[3.0, 4.0]], &device);
            let gradients = module.forward(x).sum().backward();
            let mut gradients = GradientsParams::from_grads(gradients, &module);
            let before = clip_norm(&module, &mut gradients, max_norm);
            assert!((before - 26.0f64.sqrt()).abs() < 1e-5);
            let after = clip_norm(&module, &mut gradients, f64::INFINITY);
            assert!(
                (after - expected).abs() < 1e-5,
                "{after} after a limit of {max_norm}"
            );
        }
    }
}

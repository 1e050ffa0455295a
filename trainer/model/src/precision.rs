//! Encoders in 64-bit floats, for comparisons with exact values.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::FloatDType;

use crate::encoder::Input;

/// The module with all weights in 64-bit floats. It then takes inputs of such numbers only.
pub fn to_f64<B: Backend, M: Module<B>>(module: M) -> M {
    module.map(&mut Widen)
}

impl<B: Backend> Input<B> {
    /// The input in 64-bit floats. Words stay words.
    #[must_use]
    pub fn to_f64(self) -> Self {
        match self {
            Self::Values(values) => Self::Values(values.cast(FloatDType::F64)),
            Self::Text(ids) => Self::Text(ids),
        }
    }
}

struct Widen;

impl<B: Backend> ModuleMapper<B> for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|value| {
            let learned = value.is_require_grad();
            let wide = value.cast(FloatDType::F64).detach();
            wide.set_require_grad(learned)
        })
    }
}

//! Numbers of other lengths than 32 bits: of 64 in whole encoders, for comparisons with exact values; of 16
//! in products with weights on a GPU, for speed and memory.

use std::cell::Cell;
use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::{DType, FloatDType};

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

/// What products with weights are computed of on a GPU, forward and backward, and what is kept of their
/// operands for the gradient (Micikevicius et al. 2018, Mixed Precision Training). Weights, the sums of
/// products, and all other operations have 32 bits whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Products {
    /// Numbers of 32 bits.
    #[default]
    F32,
    /// bfloat16: the range of 32 bits, 8 of them significant.
    Bf16,
    /// IEEE's numbers of 16 bits, 11 of them significant. Of gradients, which may be too small for them,
    /// each is brought to a largest number of 1 before a product and back after it.
    F16,
}

impl Products {
    /// As burn calls these numbers.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl fmt::Display for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

thread_local! {
    static PRODUCTS: Cell<Products> = const { Cell::new(Products::F32) };
}

/// Does some work on this thread with products of such numbers. Gradients follow what they are the
/// gradients of.
pub fn with_products<T>(products: Products, work: impl FnOnce() -> T) -> T {
    /// Puts back what was, also if the work panics.
    struct Before(Products);
    impl Drop for Before {
        fn drop(&mut self) {
            PRODUCTS.set(self.0);
        }
    }
    let _before = Before(PRODUCTS.replace(products));
    work()
}

/// What products are computed of on this thread.
#[must_use]
pub fn products() -> Products {
    PRODUCTS.get()
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

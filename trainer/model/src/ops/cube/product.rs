//! Products of matrices on a GPU: operands of 32 or 16 bits, sums and results of 32.

use burn::tensor::{DType, FloatDType, Tensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::element::BoolElement;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

use super::{Cube, unwrap, wrap};

/// `a b`, of operands of the same numbers.
///
/// # Panics
///
/// If sizes or numbers disagree, or no kernel takes them.
pub(super) fn product<R: CubeRuntime>(a: CubeTensor<R>, b: CubeTensor<R>) -> CubeTensor<R> {
    assert_eq!(a.dtype, b.dtype, "a product of unlike numbers");
    matmul(a, b, None, MatmulStrategy::default(), DType::F32)
        .unwrap_or_else(|error| panic!("a product: {error:?}"))
}

/// The gradient of a layer's result, `[rows, to]`, as an operand.
pub(super) struct Gradient<R: CubeRuntime, T: BoolElement> {
    values: Tensor<Cube<R, T>, 2>,
    /// What it was divided by, if it was.
    scale: Option<Tensor<Cube<R, T>, 2>>,
}

impl<R: CubeRuntime, T: BoolElement> Gradient<R, T> {
    /// As an operand beside others of such numbers.
    pub(super) fn beside(numbers: DType, gradient: Tensor<Cube<R, T>, 2>) -> Self {
        let (values, scale) = match numbers {
            DType::BF16 => (gradient.cast(FloatDType::BF16), None),
            // The smallest of these numbers that is not 0 is 6e-8, and gradients often are smaller.
            DType::F16 => {
                let largest = gradient.clone().abs().max().reshape([1, 1]);
                let scale = largest.clamp_min(f32::MIN_POSITIVE);
                let values = gradient / scale.clone();
                (values.cast(FloatDType::F16), Some(scale))
            }
            _ => (gradient, None),
        };
        Self { values, scale }
    }

    /// The gradient of the layer's rows, `[rows, from]`, by its weight, `[from, to]`.
    pub(super) fn of_rows(&self, weight: CubeTensor<R>) -> CubeTensor<R> {
        let weight = wrap::<Cube<R, T>, 2>(weight).transpose();
        self.scaled(product(unwrap(self.values.clone()), unwrap(weight)))
    }

    /// The gradient of the layer's weight, `[from, to]`, by the rows that it was given, `[rows, from]`.
    pub(super) fn of_weight(&self, x: CubeTensor<R>) -> CubeTensor<R> {
        let x = wrap::<Cube<R, T>, 2>(x).transpose();
        self.scaled(product(unwrap(x), unwrap(self.values.clone())))
    }

    fn scaled(&self, product: CubeTensor<R>) -> CubeTensor<R> {
        match &self.scale {
            None => product,
            Some(scale) => unwrap(wrap::<Cube<R, T>, 2>(product) * scale.clone()),
        }
    }
}

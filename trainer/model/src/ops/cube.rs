//! The operations on a GPU: kernels of `sensorium-cube`, and for products with weights the backend's, of
//! the numbers that [`with_products`](crate::precision::with_products) says.

use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::element::BoolElement;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};
use sensorium_cube::gpu::Handle;
use sensorium_cube::{attention, gelu, nce, norm};

use super::{
    Affine, Attention, FusedBackend, FusedKernels, Linear, Nce, Operands, Perceptron, Sides,
    Weights, fused_by_kernels, unwrap, wrap,
};
use crate::precision::products;

mod product;

use product::{Gradient, product};

/// The backend of all devices that cubecl compiles for.
type Cube<R, T> = CubeBackend<R, f32, i32, T>;

/// A tensor on the device of another, of what a kernel wrote.
fn tensor<R: CubeRuntime, const D: usize>(
    like: &CubeTensor<R>,
    handle: Handle,
    shape: [usize; D],
) -> CubeTensor<R> {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, Shape::from(shape), handle, DType::F32)
}

fn whole_operands<R: CubeRuntime>(operands: Operands<CubeTensor<R>>) -> Operands<CubeTensor<R>> {
    Operands {
        packed: into_contiguous(operands.packed),
        bias: operands.bias.map(|bias| bias.map(into_contiguous)),
    }
}

fn handles<R: CubeRuntime>(operands: &Operands<CubeTensor<R>>) -> Operands<&Handle> {
    let bias = operands.bias.as_ref();
    Operands {
        packed: &operands.packed.handle,
        bias: bias.map(|[key, value]| [&key.handle, &value.handle]),
    }
}

fn whole_sides<R: CubeRuntime>(
    sides: Sides<CubeTensor<R>, CubeTensor<R>>,
) -> Sides<CubeTensor<R>, CubeTensor<R>> {
    Sides {
        x: into_contiguous(sides.x),
        y: into_contiguous(sides.y),
        groups: sides.groups.map(into_contiguous),
    }
}

fn side_handles<R: CubeRuntime>(
    sides: &Sides<CubeTensor<R>, CubeTensor<R>>,
) -> Sides<&Handle, &Handle> {
    Sides {
        x: &sides.x.handle,
        y: &sides.y.handle,
        groups: sides.groups.as_ref().map(|groups| &groups.handle),
    }
}

impl<R: CubeRuntime, T: BoolElement> FusedBackend for Cube<R, T> {
    fused_by_kernels!();
}

impl<R: CubeRuntime, T: BoolElement> FusedKernels for Cube<R, T> {
    fn takes_attention(sizes: &Attention) -> bool {
        attention::gpu::takes(sizes)
    }

    fn attention_forward(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        let operands = whole_operands(operands);
        let like = &operands.packed;
        let [output, logs] = attention::gpu::forward(&like.client, &sizes, handles(&operands));
        let Attention {
            batch,
            tokens,
            heads,
            ..
        } = sizes;
        [
            tensor(like, output, [batch, tokens, sizes.dim()]),
            tensor(like, logs, [batch, heads, tokens]),
        ]
    }

    fn attention_backward(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
        [output, logs]: [FloatTensor<Self>; 2],
        gradient: FloatTensor<Self>,
    ) -> Operands<FloatTensor<Self>> {
        let (operands, gradient) = (whole_operands(operands), into_contiguous(gradient));
        let like = &operands.packed;
        let of = attention::gpu::backward(
            &like.client,
            &sizes,
            handles(&operands),
            [&output.handle, &logs.handle],
            &gradient.handle,
        );
        let dim = sizes.dim();
        Operands {
            packed: tensor(like, of.packed, [sizes.batch, sizes.tokens, 3 * dim]),
            bias: of.bias.map(|bias| bias.map(|x| tensor(like, x, [dim]))),
        }
    }

    fn operand(x: FloatTensor<Self>) -> FloatTensor<Self> {
        cast(x, products().dtype())
    }

    fn linear_forward(
        _: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let y = wrap::<Self, 2>(product(x, weight));
        unwrap(y + wrap::<Self, 1>(bias).unsqueeze())
    }

    fn linear_backward(
        sizes: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        with_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        let (gradient, of_layer) = layer_backward::<R, T>(sizes.to, x, gradient);
        let of_x = with_x.then(|| gradient.of_rows(weight));
        (of_x, of_layer)
    }

    fn perceptron_forward(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
    ) -> [FloatTensor<Self>; 2] {
        let [first, second] = layers(sizes);
        let before = Self::linear_forward(first, x, weights.weight_1, weights.bias_1);
        let before = into_contiguous(before);
        let active = Self::operand(activate(sizes, &before));
        let output = Self::linear_forward(second, active, weights.weight_2, weights.bias_2);
        [output, Self::operand(before)]
    }

    fn perceptron_backward(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        before: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Weights<FloatTensor<Self>>) {
        let numbers = before.dtype;
        let before = cast(before, DType::F32);
        let active = cast(activate(sizes, &before), numbers);
        let (gradient, [weight_2, bias_2]) = layer_backward::<R, T>(sizes.dim, active, gradient);
        let of_active = into_contiguous(gradient.of_rows(weights.weight_2));
        let (client, len) = (&before.client, sizes.rows * sizes.hidden);
        let of_before = gelu::gpu::backward(client, &before.handle, &of_active.handle, len);
        let of_before = tensor(&before, of_before, [sizes.rows, sizes.hidden]);
        let (gradient, [weight_1, bias_1]) = layer_backward::<R, T>(sizes.hidden, x, of_before);
        (
            gradient.of_rows(weights.weight_1),
            Weights {
                weight_1,
                bias_1,
                weight_2,
                bias_2,
            },
        )
    }

    fn norm_forward(
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let [x, weight, bias] = [x, affine.weight, affine.bias].map(into_contiguous);
        let [rows, dim] = x.meta.shape().dims();
        let affine = Affine {
            weight: &weight.handle,
            bias: &bias.handle,
        };
        let y = norm::gpu::forward(&x.client, [rows, dim], &x.handle, affine, epsilon);
        tensor(&x, y, [rows, dim])
    }

    fn norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Affine<FloatTensor<Self>>) {
        let [x, weight, gradient] = [x, weight, gradient].map(into_contiguous);
        let [rows, dim] = x.meta.shape().dims();
        let (of_x, of) = norm::gpu::backward(
            &x.client,
            [rows, dim],
            &x.handle,
            &weight.handle,
            epsilon,
            &gradient.handle,
        );
        let of = Affine {
            weight: tensor(&x, of.weight, [dim]),
            bias: tensor(&x, of.bias, [dim]),
        };
        (tensor(&x, of_x, [rows, dim]), of)
    }

    fn nce_forward(
        sizes: Nce,
        sides: Sides<FloatTensor<Self>, IntTensor<Self>>,
    ) -> FloatTensor<Self> {
        let sides = whole_sides(sides);
        let logs = nce::gpu::forward(&sides.x.client, &sizes, side_handles(&sides));
        tensor(&sides.x, logs, [sizes.rows])
    }

    fn nce_backward(
        sizes: Nce,
        sides: Sides<FloatTensor<Self>, IntTensor<Self>>,
        logs: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        with_y: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let (sides, gradient) = (whole_sides(sides), into_contiguous(gradient));
        let (of_x, of_y) = nce::gpu::backward(
            &sides.x.client,
            &sizes,
            side_handles(&sides),
            &logs.handle,
            &gradient.handle,
            with_y,
        );
        let Nce { rows, columns, dim } = sizes;
        let of_y = of_y.map(|of_y| tensor(&sides.x, of_y, [columns, dim]));
        (tensor(&sides.x, of_x, [rows, dim]), of_y)
    }
}

/// Gradients of a layer's weight and bias from the rows that it was given and the gradient of its result,
/// `[rows, to]`; and the latter as products take it.
fn layer_backward<R: CubeRuntime, T: BoolElement>(
    to: usize,
    x: CubeTensor<R>,
    gradient: CubeTensor<R>,
) -> (Gradient<R, T>, [CubeTensor<R>; 2]) {
    let gradient = wrap::<Cube<R, T>, 2>(gradient);
    let of_bias: Tensor<_, 1> = gradient.clone().sum_dim(0).reshape([to]);
    let gradient = Gradient::beside(x.dtype, gradient);
    let of_weight = gradient.of_weight(x);
    (gradient, [of_weight, unwrap(of_bias)])
}

fn layers(sizes: Perceptron) -> [Linear; 2] {
    let Perceptron { rows, dim, hidden } = sizes;
    [
        Linear {
            rows,
            from: dim,
            to: hidden,
        },
        Linear {
            rows,
            from: hidden,
            to: dim,
        },
    ]
}

fn activate<R: CubeRuntime>(sizes: Perceptron, before: &CubeTensor<R>) -> CubeTensor<R> {
    let Perceptron { rows, hidden, .. } = sizes;
    let active = gelu::gpu::forward(&before.client, &before.handle, rows * hidden);
    tensor(before, active, [rows, hidden])
}

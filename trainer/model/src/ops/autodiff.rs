//! The operations on a backend that records gradients.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::Shape;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::{FloatTensor, IntTensor};

use super::{
    Affine, Attention, Batch, Conv, FusedBackend, FusedKernels, Linear, Nce, Operands, Perceptron,
    Sides, Statistics, Weights, matrices,
};

/// Gives a parent its gradient, if it records one.
fn register<B: FusedKernels>(parent: Option<NodeId>, gradient: FloatTensor<B>, to: &mut Gradients) {
    if let Some(parent) = parent {
        to.register::<B>(parent, gradient);
    }
}

/// The parents that record gradients, and the gradient of their result.
macro_rules! begin {
    ($ops:ident, $gradients:ident) => {
        (
            $ops.parents.map(|parent| parent.map(|parent| parent.id)),
            $gradients.consume::<B>(&$ops.node),
        )
    };
}

/// Without and with an extra key and value.
#[derive(Debug)]
struct AttentionStep(Attention);

type AttentionState<T> = (Operands<T>, [T; 2]);

impl<B: FusedKernels> Backward<B, 1> for AttentionStep {
    type State = AttentionState<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([packed], gradient) = begin!(ops, to);
        let (operands, saved) = ops.state;
        let of = B::attention_backward(self.0, operands, saved, gradient);
        register::<B>(packed, of.packed, to);
    }
}

impl<B: FusedKernels> Backward<B, 3> for AttentionStep {
    type State = AttentionState<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([packed, key, value], gradient) = begin!(ops, to);
        let (operands, saved) = ops.state;
        let of = B::attention_backward(self.0, operands, saved, gradient);
        register::<B>(packed, of.packed, to);
        for (parent, gradient) in [key, value].into_iter().zip(of.bias.into_iter().flatten()) {
            register::<B>(parent, gradient, to);
        }
    }
}

#[derive(Debug)]
struct LinearStep(Linear);

impl<B: FusedKernels> Backward<B, 3> for LinearStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias], gradient) = begin!(ops, to);
        let [rows, matrix] = ops.state;
        let (of_x, [of_weight, of_bias]) =
            B::linear_backward(self.0, rows, matrix, gradient, x.is_some());
        if let Some(of_x) = of_x {
            register::<B>(x, of_x, to);
        }
        register::<B>(weight, of_weight, to);
        register::<B>(bias, of_bias, to);
    }
}

#[derive(Debug)]
struct PerceptronStep(Perceptron);

impl<B: FusedKernels> Backward<B, 5> for PerceptronStep {
    type State = ([FloatTensor<B>; 2], Weights<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 5>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight_1, bias_1, weight_2, bias_2], gradient) = begin!(ops, to);
        let ([rows, before], weights) = ops.state;
        let (of_x, of) = B::perceptron_backward(self.0, rows, before, weights, gradient);
        register::<B>(x, of_x, to);
        register::<B>(weight_1, of.weight_1, to);
        register::<B>(bias_1, of.bias_1, to);
        register::<B>(weight_2, of.weight_2, to);
        register::<B>(bias_2, of.bias_2, to);
    }
}

#[derive(Debug)]
struct NormStep(f32);

impl<B: FusedKernels> Backward<B, 3> for NormStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias], gradient) = begin!(ops, to);
        let [rows, factors] = ops.state;
        let (of_x, of) = B::norm_backward(rows, factors, self.0, gradient);
        register::<B>(x, of_x, to);
        register::<B>(weight, of.weight, to);
        register::<B>(bias, of.bias, to);
    }
}

#[derive(Debug)]
struct ConvStep(Conv);

impl<B: FusedKernels> Backward<B, 2> for ConvStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, kernels], gradient) = begin!(ops, to);
        let [inputs, weight] = ops.state;
        let (of_x, of_kernels) = B::conv_backward(self.0, inputs, weight, gradient, x.is_some());
        if let Some(of_x) = of_x {
            register::<B>(x, of_x, to);
        }
        register::<B>(kernels, of_kernels, to);
    }
}

#[derive(Debug)]
struct BatchNormStep {
    sizes: Batch,
    epsilon: f32,
}

impl<B: FusedKernels> Backward<B, 3> for BatchNormStep {
    type State = ([FloatTensor<B>; 2], Statistics<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 3>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias], gradient) = begin!(ops, to);
        let ([inputs, factors], statistics) = ops.state;
        let Self { sizes, epsilon } = self;
        let (of_x, of) =
            B::batch_norm_backward(sizes, inputs, factors, statistics, epsilon, gradient);
        register::<B>(x, of_x, to);
        register::<B>(weight, of.weight, to);
        register::<B>(bias, of.bias, to);
    }
}

#[derive(Debug)]
struct NceStep(Nce);

impl<B: FusedKernels> Backward<B, 2> for NceStep {
    type State = (Sides<FloatTensor<B>, IntTensor<B>>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, to: &mut Gradients, _: &mut Checkpointer) {
        let ([x, y], gradient) = begin!(ops, to);
        let (sides, logs) = ops.state;
        let (of_x, of_y) = B::nce_backward(self.0, sides, logs, gradient, y.is_some());
        register::<B>(x, of_x, to);
        if let Some(of_y) = of_y {
            register::<B>(y, of_y, to);
        }
    }
}

impl<B: FusedKernels, C: CheckpointStrategy> FusedBackend for Autodiff<B, C> {
    fn fuses_attention(sizes: &Attention) -> bool {
        B::takes_attention(sizes)
    }

    fn fused_attention(
        sizes: Attention,
        operands: Operands<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        let packed = operands.packed;
        let Some([key, value]) = operands.bias else {
            let step = AttentionStep(sizes);
            let inner = Operands {
                packed: packed.primitive,
                bias: None,
            };
            return match step.prepare::<C>([packed.node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let saved = B::attention_forward(sizes, inner.clone());
                    let output = saved[0].clone();
                    prepared.finish((inner, saved), output)
                }
                OpsKind::UnTracked(prepared) => {
                    let [output, _] = B::attention_forward(sizes, inner);
                    prepared.finish(output)
                }
            };
        };
        let step = AttentionStep(sizes);
        let nodes = [packed.node, key.node, value.node];
        let bias = Some([key.primitive, value.primitive]);
        let inner = Operands {
            packed: packed.primitive,
            bias,
        };
        match step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = B::attention_forward(sizes, inner.clone());
                let output = saved[0].clone();
                prepared.finish((inner, saved), output)
            }
            OpsKind::UnTracked(prepared) => {
                let [output, _] = B::attention_forward(sizes, inner);
                prepared.finish(output)
            }
        }
    }

    fn fused_linear(
        sizes: Linear,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node, weight.node, bias.node];
        let inner = [x.primitive, weight.primitive].map(B::operand);
        let run =
            |[x, weight]: [FloatTensor<B>; 2]| B::linear_forward(sizes, x, weight, bias.primitive);
        match LinearStep(sizes)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let output = run(inner.clone());
                prepared.finish(inner, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(run(inner)),
        }
    }

    fn fused_perceptron(
        sizes: Perceptron,
        x: FloatTensor<Self>,
        weights: Weights<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        let Weights {
            weight_1,
            bias_1,
            weight_2,
            bias_2,
        } = weights;
        let nodes = [
            x.node,
            weight_1.node,
            bias_1.node,
            weight_2.node,
            bias_2.node,
        ];
        let weights = Weights {
            weight_1: weight_1.primitive,
            bias_1: bias_1.primitive,
            weight_2: weight_2.primitive,
            bias_2: bias_2.primitive,
        };
        let (x, weights) = (B::operand(x.primitive), matrices(weights, B::operand));
        match PerceptronStep(sizes)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let [output, before] = B::perceptron_forward(sizes, x.clone(), weights.clone());
                prepared.finish(([x, before], weights), output)
            }
            OpsKind::UnTracked(prepared) => {
                let [output, _] = B::perceptron_forward(sizes, x, weights);
                prepared.finish(output)
            }
        }
    }

    fn fused_norm(
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node, affine.weight.node, affine.bias.node];
        let bias = affine.bias.primitive;
        let inner = [x.primitive, affine.weight.primitive];
        let run =
            |[x, weight]: [FloatTensor<B>; 2]| B::norm_forward(x, Affine { weight, bias }, epsilon);
        match NormStep(epsilon)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let output = run(inner.clone());
                prepared.finish(inner, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(run(inner)),
        }
    }

    fn fused_conv(
        sizes: Conv,
        x: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node, kernels.node];
        let inner = [x.primitive, kernels.primitive];
        let run = |[x, kernels]: [FloatTensor<B>; 2]| B::conv_forward(sizes, x, kernels);
        match ConvStep(sizes)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let output = run(inner.clone());
                prepared.finish(inner, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(run(inner)),
        }
    }

    fn fused_batch_norm(
        sizes: Batch,
        x: FloatTensor<Self>,
        affine: Affine<FloatTensor<Self>>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, Statistics<FloatTensor<Self>>) {
        let nodes = [x.node, affine.weight.node, affine.bias.node];
        let inner = [x.primitive, affine.weight.primitive];
        let [inputs, weight] = inner.clone();
        let bias = affine.bias.primitive;
        let (y, statistics) =
            B::batch_norm_forward(sizes, inputs, Affine { weight, bias }, epsilon);
        let step = BatchNormStep { sizes, epsilon };
        let y = match step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((inner, statistics.clone()), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        let Statistics { mean, variance } = statistics;
        let constant = <Self as AutodiffBackend>::from_inner;
        let (mean, variance) = (constant(mean), constant(variance));
        (y, Statistics { mean, variance })
    }

    fn dropout_mask(shape: Shape, share: f64, device: &Self::Device) -> FloatTensor<Self> {
        <Self as AutodiffBackend>::from_inner(B::random_mask(shape, share, device))
    }

    fn fused_nce(
        sizes: Nce,
        sides: Sides<FloatTensor<Self>, IntTensor<Self>>,
    ) -> FloatTensor<Self> {
        let nodes = [sides.x.node, sides.y.node];
        let groups = sides.groups;
        let inner = Sides {
            x: sides.x.primitive,
            y: sides.y.primitive,
            groups,
        };
        match NceStep(sizes)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let logs = B::nce_forward(sizes, inner.clone());
                prepared.finish((inner, logs.clone()), logs)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::nce_forward(sizes, inner)),
        }
    }
}

//! A convolutional encoder as an ONNX graph.
//!
//! Batch norms are folded into the kernels before them: what is left of a layer is one `Conv` and its
//! activation.

use sensorium_model::conv::{
    Activation, Conse, ConvConfig, Extent, LayerConfig, NORM_EPSILON, Norm, Pooling, head_name,
    layer_name, words_name,
};
use sensorium_model::weights::{Weights, WeightsError};

use super::encoder::{OUTPUT, gelu, normalised, of_length_1};
use crate::onnx::{Attribute, Graph};

/// The ONNX file of an encoder: an input of the sense's name, `[N, ...]` of the shape of one input,
/// to `embedding` `[N, output]`, L2-normalised.
///
/// # Errors
///
/// A weight that is missing or has another shape.
///
/// # Panics
///
/// If the layers do not fit each other.
pub fn to_onnx(weights: &Weights, config: &ConvConfig) -> Result<Vec<u8>, WeightsError> {
    #[expect(clippy::expect_used, reason = "documented: callers check their layers")]
    let extents = config.extents().expect("layers that fit each other");
    let mut writer = Writer {
        graph: Graph::new(),
        weights,
        config,
    };
    let mut x = writer.stem(extents[0]);
    for (index, layer) in config.layers.iter().enumerate() {
        x = writer.layer(index, layer, extents[index], extents[index + 1], &x)?;
    }
    let output = writer.head(extents[extents.len() - 1], &x)?;
    Ok(writer.graph.to_bytes(
        &format!("{}-encoder", config.sense),
        (config.sense.name(), &config.input),
        (&output, &[config.output]),
    ))
}

struct Writer<'a> {
    graph: Graph,
    weights: &'a Weights,
    config: &'a ConvConfig,
}

impl Writer<'_> {
    /// The input as planes `[N * frames, channels, height, width]`.
    fn stem(&mut self, extent: Extent) -> String {
        let input = self.config.sense.name();
        let [height, width] = extent.size.map(|side| side as i64);
        let channels = extent.channels as i64;
        match self.config.input.len() {
            2 => self.reshape("stem", input, &[0, channels, height, width]),
            3 => input.to_owned(),
            _ => {
                let order = [("perm", Attribute::Ints(&[0, 2, 1, 3, 4]))];
                let x = self
                    .graph
                    .node("Transpose", "stem.frames", &[input], &order);
                self.reshape("stem", &x, &[-1, channels, height, width])
            }
        }
    }

    fn layer(
        &mut self,
        index: usize,
        layer: &LayerConfig,
        before: Extent,
        after: Extent,
        x: &str,
    ) -> Result<String, WeightsError> {
        let name = format!("layer{index}");
        Ok(match *layer {
            LayerConfig::Level { floor } => self.level(&name, before, floor as f32, x),
            LayerConfig::Centre { spread } => self.centred(&name, spread, x),
            LayerConfig::Detail { scale } => self.detailed(&name, scale as f32, x),
            LayerConfig::Conv { .. } => self.conv(index, layer, before, x)?,
            LayerConfig::Pool { by, kernel } => {
                self.pool(&name, by, kernel.unwrap_or(before.size), x)
            }
            LayerConfig::JoinRows {} => {
                let shape = [0, after.channels as i64, 1, after.size[1] as i64];
                self.reshape(&name, x, &shape)
            }
            LayerConfig::JoinFrames {} => {
                let shape = [-1, before.frames as i64, after.channels as i64];
                let x = self.reshape(&format!("{name}.frames"), x, &shape);
                let order = [("perm", Attribute::Ints(&[0, 2, 1]))];
                let side = format!("{name}.side_by_side");
                let x = self.graph.node("Transpose", &side, &[&x], &order);
                self.reshape(
                    &name,
                    &x,
                    &[0, after.channels as i64, 1, before.frames as i64],
                )
            }
            LayerConfig::Dropout { .. } => x.to_owned(),
        })
    }

    fn conv(
        &mut self,
        index: usize,
        layer: &LayerConfig,
        before: Extent,
        x: &str,
    ) -> Result<String, WeightsError> {
        let LayerConfig::Conv {
            channels,
            kernel,
            stride,
            groups,
            norm,
            activation,
            residual,
        } = *layer
        else {
            return Ok(x.to_owned());
        };
        let shape = [channels, before.channels / groups, kernel[0], kernel[1]];
        let part = |part: &str| layer_name(self.config.sense, index, part);
        let mut weight = self.weights.expect(&part("conv.weight"), &shape)?.to_vec();
        let bias = if norm == Norm::Batch {
            let of = |name: &str| self.weights.expect(&part(name), &[channels]);
            let (gamma, beta) = (of("norm.weight")?, of("norm.bias")?);
            let (mean, variance) = (of("norm.running_mean")?, of("norm.running_var")?);
            let gains: Vec<f32> = gamma
                .iter()
                .zip(variance)
                .map(|(gamma, variance)| gamma / (variance + NORM_EPSILON as f32).sqrt())
                .collect();
            let kernels = weight.chunks_exact_mut(shape[1..].iter().product());
            for (kernel, gain) in kernels.zip(&gains) {
                kernel.iter_mut().for_each(|value| *value *= gain);
            }
            let shifts = beta.iter().zip(mean).zip(&gains);
            shifts
                .map(|((beta, mean), gain)| beta - mean * gain)
                .collect()
        } else {
            match norm {
                Norm::None => self
                    .weights
                    .expect(&part("conv.bias"), &[channels])?
                    .to_vec(),
                _ => vec![0.0; channels],
            }
        };
        let name = format!("layer{index}");
        let weight = self
            .graph
            .floats(&format!("{name}.weight"), &shape, &weight);
        let bias = self
            .graph
            .floats(&format!("{name}.bias"), &[channels], &bias);
        let [height, width] = kernel.map(|side| side as i64);
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[height, width])),
            ("strides", Attribute::Ints(&stride.map(|step| step as i64))),
            (
                "pads",
                Attribute::Ints(&[height / 2, width / 2, height / 2, width / 2]),
            ),
            ("group", Attribute::Int(groups as i64)),
        ];
        let inputs = [x, weight.as_str(), bias.as_str()];
        let mut y = self
            .graph
            .node("Conv", &format!("{name}.conv"), &inputs, &attributes);
        if let Norm::Group(groups) = norm {
            let gain = self.weights.expect(&part("norm.weight"), &[channels])?;
            let shift = self.weights.expect(&part("norm.bias"), &[channels])?;
            let size = std::array::from_fn(|axis| (before.size[axis] - 1) / stride[axis] + 1);
            y = self.group_norm(&name, &y, groups, (channels, size), (gain, shift));
        }
        y = match activation {
            Activation::None => y,
            Activation::Relu => self.graph.node("Relu", &format!("{name}.relu"), &[&y], &[]),
            Activation::Gelu => gelu(&mut self.graph, &format!("{name}.gelu"), &y),
        };
        if residual {
            y = self
                .graph
                .node("Add", &format!("{name}.sum"), &[x, &y], &[]);
        }
        Ok(y)
    }

    fn pool(&mut self, name: &str, by: Pooling, kernel: [usize; 2], x: &str) -> String {
        let sides = kernel.map(|side| side as i64);
        let attributes = [
            ("kernel_shape", Attribute::Ints(&sides)),
            ("strides", Attribute::Ints(&sides)),
        ];
        let mut kinds = Vec::new();
        if by != Pooling::Max {
            let name = format!("{name}.mean");
            kinds.push(self.graph.node("AveragePool", &name, &[x], &attributes));
        }
        if by != Pooling::Mean {
            let name = format!("{name}.max");
            kinds.push(self.graph.node("MaxPool", &name, &[x], &attributes));
        }
        match &kinds[..] {
            [mean, max] => {
                let axis = [("axis", Attribute::Int(1))];
                self.graph.node("Concat", name, &[mean, max], &axis)
            }
            kinds => kinds[0].clone(),
        }
    }

    /// Mean and spread of groups of channels, each laid out as one long row.
    fn group_norm(
        &mut self,
        name: &str,
        x: &str,
        groups: usize,
        (channels, [height, width]): (usize, [usize; 2]),
        (gain, shift): (&[f32], &[f32]),
    ) -> String {
        let part = |part: &str| format!("{name}.norm.{part}");
        let x = self.reshape(&part("groups"), x, &[0, groups as i64, -1]);
        let axes = [
            ("axes", Attribute::Ints(&[2])),
            ("keepdims", Attribute::Int(1)),
        ];
        let x = self.standardised(&part("standardised"), &x, &axes);
        let whole = [channels, height, width].map(|len| len as i64);
        let x = self.reshape(&part("whole"), &x, &[&[0], &whole[..]].concat());
        let gain = self.graph.floats(&part("gain"), &[1, channels, 1, 1], gain);
        let x = self
            .graph
            .node("Mul", &part("stretched"), &[&x, &gain], &[]);
        let shift = self
            .graph
            .floats(&part("shift"), &[1, channels, 1, 1], shift);
        self.graph.node("Add", &part("shifted"), &[&x, &shift], &[])
    }

    fn level(&mut self, name: &str, extent: Extent, floor: f32, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let len = (extent.len() / extent.frames) as i64;
        let flat = self.reshape(&part("flat"), x, &[-1, 1, 1, len]);
        let axes = [
            ("axes", Attribute::Ints(&[3])),
            ("keepdims", Attribute::Int(1)),
        ];
        let largest = self
            .graph
            .node("ReduceMax", &part("largest"), &[&flat], &axes);
        let x = self
            .graph
            .node("Sub", &part("relative"), &[x, &largest], &[]);
        let x = self.graph.node("Exp", &part("energy"), &[&x], &[]);
        let least = self.graph.floats(&part("floor"), &[1], &[floor]);
        let x = self.graph.node("Add", &part("floored"), &[&x, &least], &[]);
        let x = self.graph.node("Log", &part("log"), &[&x], &[]);
        let silence = self.graph.floats(&part("silence"), &[1], &[floor.ln()]);
        self.graph.node("Sub", name, &[&x, &silence], &[])
    }

    fn centred(&mut self, name: &str, spread: bool, x: &str) -> String {
        let axes = [
            ("axes", Attribute::Ints(&[3])),
            ("keepdims", Attribute::Int(1)),
        ];
        if spread {
            return self.standardised(name, x, &axes);
        }
        let mean = self
            .graph
            .node("ReduceMean", &format!("{name}.mean"), &[x], &axes);
        self.graph.node("Sub", name, &[x, &mean], &[])
    }

    fn detailed(&mut self, name: &str, scale: f32, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let detail = self.centred(&part("centred"), false, x);
        let scale = self.graph.floats(&part("scale"), &[1], &[scale]);
        let detail = self
            .graph
            .node("Div", &part("scaled"), &[&detail, &scale], &[]);
        let detail = self.graph.node("Asinh", &part("detail"), &[&detail], &[]);
        let axis = [("axis", Attribute::Int(1))];
        self.graph.node("Concat", name, &[x, &detail], &axis)
    }

    /// Less the mean over some axes, and over the root of the variance.
    fn standardised(&mut self, name: &str, x: &str, axes: &[(&str, Attribute<'_>)]) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let mean = self.graph.node("ReduceMean", &part("mean"), &[x], axes);
        let centred = self.graph.node("Sub", &part("centred"), &[x, &mean], &[]);
        let squares = [centred.as_str(), &centred];
        let squares = self.graph.node("Mul", &part("squares"), &squares, &[]);
        let variance = self
            .graph
            .node("ReduceMean", &part("variance"), &[&squares], axes);
        let least = self
            .graph
            .floats(&part("least"), &[1], &[NORM_EPSILON as f32]);
        let variance = self
            .graph
            .node("Add", &part("kept_from_0"), &[&variance, &least], &[]);
        let spread = self.graph.node("Sqrt", &part("spread"), &[&variance], &[]);
        self.graph.node("Div", name, &[&centred, &spread], &[])
    }

    fn head(&mut self, last: Extent, x: &str) -> Result<String, WeightsError> {
        let (sense, output) = (self.config.sense, self.config.output);
        let flat = last.len() as i64;
        let mut x = self.reshape("head.flat", x, &[-1, flat]);
        let (mut len, mut beside) = (last.len(), None);
        if self.config.skip {
            len -= output;
            let border = len as i64;
            beside = Some(self.columns("head.beside", &x, border, flat));
            x = self.columns("head.seen", &x, 0, border);
        }
        let weight = self
            .weights
            .expect(&head_name(sense, "weight"), &[output, len])?;
        let columns: Vec<f32> = (0..len * output)
            .map(|i| weight[(i % output) * len + i / output])
            .collect();
        let bias = self.weights.expect(&head_name(sense, "bias"), &[output])?;
        let weight = self.graph.floats("head.weight", &[len, output], &columns);
        let bias = self.graph.floats("head.bias", &[output], bias);
        let x = self
            .graph
            .node("MatMul", "head.product", &[&x, &weight], &[]);
        let mut x = self
            .graph
            .node("Add", "head.sum_with_bias", &[&x, &bias], &[]);
        if let Some(beside) = beside {
            x = self
                .graph
                .node("Add", "head.sum_with_beside", &[&x, &beside], &[]);
        }
        let Some(conse) = self.config.conse else {
            return Ok(normalised(&mut self.graph, &x));
        };
        let x = of_length_1(&mut self.graph, "head", "head.normalised", &x);
        let x = self.leaning(conse, &x)?;
        Ok(of_length_1(&mut self.graph, "conse", OUTPUT, &x))
    }

    /// With the words of training added, weighed by how likely they are.
    fn leaning(&mut self, conse: Conse, x: &str) -> Result<String, WeightsError> {
        let Conse {
            words,
            temperature,
            weight,
        } = conse;
        let output = self.config.output;
        let rows = self
            .weights
            .expect(&words_name(self.config.sense), &[words, output])?;
        let columns: Vec<f32> = (0..output * words)
            .map(|i| rows[(i % words) * output + i / words] / temperature as f32)
            .collect();
        let weighed: Vec<f32> = rows.iter().map(|value| value * weight as f32).collect();
        let graph = &mut self.graph;
        let columns = graph.floats("conse.columns", &[output, words], &columns);
        let weighed = graph.floats("conse.words", &[words, output], &weighed);
        let logits = graph.node("MatMul", "conse.logits", &[x, &columns], &[]);
        let axis = [("axis", Attribute::Int(-1))];
        let shares = graph.node("Softmax", "conse.shares", &[&logits], &axis);
        let mean = graph.node("MatMul", "conse.mean", &[&shares, &weighed], &[]);
        Ok(graph.node("Add", "conse.leaning", &[x, &mean], &[]))
    }

    /// Some columns of rows.
    fn columns(&mut self, name: &str, x: &str, from: i64, to: i64) -> String {
        let mut bound = |part: &str, value| self.graph.ints(&format!("{name}.{part}"), &[value]);
        let (from, to, axis) = (bound("from", from), bound("to", to), bound("axis", 1));
        self.graph.node("Slice", name, &[x, &from, &to, &axis], &[])
    }

    /// A length of 0 stays as it is, one of -1 is what is left.
    fn reshape(&mut self, name: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.graph.ints(&format!("{name}.shape"), shape);
        self.graph.node("Reshape", name, &[x, &shape], &[])
    }
}

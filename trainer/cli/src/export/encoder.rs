//! An encoder as an ONNX graph.
//!
//! Shapes are written so that no node has to ask for the batch's size: tokens that every window
//! gets (the class token, the extra key and value) are padded in as zeros and then added with the
//! positions or biases, which one constant holds.

use sensorium_model::block::{MLP_RATIO, TRUNK_NORM_EPSILON};
use sensorium_model::encoder::{IMU_CHANNELS, Names, STEM_NORM_EPSILON};
use sensorium_model::weights::{Weights, WeightsError};
use sensorium_model::{EncoderConfig, InputConfig, Sense, TowerConfig};

use crate::onnx::{Attribute, Graph};

/// Name of the graph's output.
pub const OUTPUT: &str = "embedding";

/// The ONNX file of an encoder: an input of the sense's name, `[N, ...]` of the shape of one input,
/// to `embedding` `[N, output]`, L2-normalised. An encoder of videos becomes one of pictures.
///
/// # Errors
///
/// A weight that is missing or has another shape.
///
/// # Panics
///
/// If it is an encoder of text.
pub fn to_onnx(weights: &Weights, config: &EncoderConfig) -> Result<Vec<u8>, WeightsError> {
    let mut writer = Writer {
        graph: Graph::new(),
        weights,
        config,
        names: Names(config.sense()),
    };
    let mut x = writer.stem()?;
    for index in 0..config.blocks {
        x = writer.block(index, &x)?;
    }
    let output = writer.head(&x)?;
    Ok(writer.graph.to_bytes(
        &format!("{}-encoder", config.sense()),
        (
            config.sense().name(),
            &TowerConfig::Transformer(*config).input_shape(),
        ),
        (&output, &[config.output]),
    ))
}

/// By the error function, as encoders are trained; opset 17 has no operator for it.
pub fn gelu(graph: &mut Graph, name: &str, x: &str) -> String {
    let part = |part: &str| format!("{name}.{part}");
    let root = graph.floats(&part("root"), &[1], &[std::f32::consts::FRAC_1_SQRT_2]);
    let y = graph.node("Mul", &part("scaled"), &[x, &root], &[]);
    let y = graph.node("Erf", &part("erf"), &[&y], &[]);
    let one = graph.floats(&part("shifted.bias"), &[1], &[1.0]);
    let y = graph.node("Add", &part("shifted"), &[&y, &one], &[]);
    let y = graph.node("Mul", &part("product"), &[x, &y], &[]);
    let half = graph.floats(&part("half"), &[1], &[0.5]);
    graph.node("Mul", name, &[&y, &half], &[])
}

/// Rows of length 1, as the graph's output.
pub fn normalised(graph: &mut Graph, x: &str) -> String {
    let squares = graph.node("Mul", "head.squares", &[x, x], &[]);
    let axes = graph.ints("head.axes", &[-1]);
    let keep = [("keepdims", Attribute::Int(1))];
    let sum = graph.node("ReduceSum", "head.sum", &[&squares, &axes], &keep);
    let norm = graph.node("Sqrt", "head.length", &[&sum], &[]);
    let least = graph.floats("head.least", &[1], &[1e-12]);
    let norm = graph.node("Max", "head.divisor", &[&norm, &least], &[]);
    graph.node("Div", OUTPUT, &[x, &norm], &[])
}

struct Writer<'a> {
    graph: Graph,
    weights: &'a Weights,
    config: &'a EncoderConfig,
    names: Names,
}

impl Writer<'_> {
    fn stem(&mut self) -> Result<String, WeightsError> {
        let (dim, tokens) = (self.config.dim, self.config.input.tokens());
        let x = match self.config.input {
            InputConfig::Imu { samples, patch } => self.windows_stem(samples, patch)?,
            InputConfig::Vision { patch, .. } => self.planes_stem(3, &patch, patch[1])?,
            InputConfig::Audio { patch, stride, .. } => {
                self.planes_stem(1, &[patch, patch], stride)?
            }
            InputConfig::Depth { patch, .. } | InputConfig::Thermal { patch, .. } => {
                self.planes_stem(1, &[patch, patch], patch)?
            }
            InputConfig::Text { .. } => panic!("to_onnx: an encoder of text"),
        };
        let class_token = self
            .weights
            .expect(&self.names.class_token(), &[1, 1, dim])?;
        let positions = self
            .weights
            .expect(&self.names.positions(), &[1, tokens, dim])?;
        let mut added = positions.to_vec();
        for (value, token) in added.iter_mut().zip(class_token) {
            *value += token;
        }
        let x = self.pad("stem.room", &x, &[0, 1, 0, 0, 0, 0]);
        let added = self
            .graph
            .floats("stem.positions", &[1, tokens, dim], &added);
        let x = self.graph.node("Add", "stem.tokens", &[&x, &added], &[]);
        match self.config.sense() {
            Sense::Vision => {
                let norm = self.names.trunk_norm();
                self.norm("trunk.norm", &norm, &x, TRUNK_NORM_EPSILON)
            }
            _ => Ok(x),
        }
    }

    /// Patches of windows `[N, 6, samples]`.
    fn windows_stem(&mut self, samples: usize, patch: usize) -> Result<String, WeightsError> {
        let (dim, patches) = (self.config.dim, samples / patch);
        let mut x = self.config.sense().name().to_owned();
        if patches * patch < samples {
            let whole = [0, (patches * patch) as i64, 2].map(|value| vec![value]);
            let [from, to, axis] = &whole;
            let from = self.graph.ints("stem.from", from);
            let to = self.graph.ints("stem.to", to);
            let axis = self.graph.ints("stem.axis", axis);
            let inputs = [x.as_str(), &from, &to, &axis];
            x = self.graph.node("Slice", "stem.whole", &inputs, &[]);
        }
        let split = [0, IMU_CHANNELS as i64, patches as i64, patch as i64];
        let x = self.reshape("stem.split", &x, &split);
        let x = self.transpose("stem.swap", &x, &[0, 2, 1, 3]);
        let size = IMU_CHANNELS * patch;
        let x = self.reshape("stem.patches", &x, &[0, patches as i64, size as i64]);
        let weight = self.weights.expect(&self.names.stem(), &[dim, size])?;
        let x = self.matmul("stem.proj", &x, weight, dim, size, 1.0);
        self.norm("stem.norm", &self.names.stem_norm(), &x, STEM_NORM_EPSILON)
    }

    /// Patches of planes `[N, channels, height, width]`. A kernel over time is summed up, since a
    /// picture is the same at all times.
    fn planes_stem(
        &mut self,
        channels: usize,
        patch: &[usize],
        stride: usize,
    ) -> Result<String, WeightsError> {
        let dim = self.config.dim;
        let shape = [&[dim, channels], patch].concat();
        let weight = self.weights.expect(&self.names.stem(), &shape)?;
        let (height, width) = (patch[patch.len() - 2], patch[patch.len() - 1]);
        let (plane, kernel) = (height * width, patch.iter().product::<usize>());
        let still: Vec<f32> = weight
            .chunks_exact(kernel)
            .flat_map(|kernel| {
                (0..plane).map(|i| kernel.iter().skip(i).step_by(plane).sum::<f32>())
            })
            .collect();
        let shape = [dim, channels, height, width];
        let weight = self.graph.floats("stem.proj.weight", &shape, &still);
        let strides = [stride as i64; 2];
        let attributes = [
            (
                "kernel_shape",
                Attribute::Ints(&[height as i64, width as i64]),
            ),
            ("strides", Attribute::Ints(&strides)),
        ];
        let input = self.config.sense().name();
        let x = self
            .graph
            .node("Conv", "stem.proj", &[input, &weight], &attributes);
        let patches = self.config.input.tokens() - 1;
        let x = self.reshape("stem.flat", &x, &[0, dim as i64, patches as i64]);
        let x = self.transpose("stem.patches", &x, &[0, 2, 1]);
        match self.config.sense() {
            Sense::Vision => Ok(x),
            _ => self.norm("stem.norm", &self.names.stem_norm(), &x, STEM_NORM_EPSILON),
        }
    }

    fn block(&mut self, index: usize, x: &str) -> Result<String, WeightsError> {
        let prefix = self.names.block(index);
        let name = |part: &str| format!("block{index}.{part}");
        let normed = self.norm(
            &name("norm_1"),
            &format!("{prefix}.norm_1"),
            x,
            TRUNK_NORM_EPSILON,
        )?;
        let mixed = self.attention(index, &prefix, &normed)?;
        let x = self.graph.node("Add", &name("attended"), &[x, &mixed], &[]);

        let normed = self.norm(
            &name("norm_2"),
            &format!("{prefix}.norm_2"),
            &x,
            TRUNK_NORM_EPSILON,
        )?;
        let (dim, hidden) = (self.config.dim, MLP_RATIO * self.config.dim);
        let y = self.linear(
            &name("fc1"),
            &format!("{prefix}.mlp.fc1."),
            &normed,
            (hidden, dim),
        )?;
        let y = gelu(&mut self.graph, &name("gelu"), &y);
        let y = self.linear(
            &name("fc2"),
            &format!("{prefix}.mlp.fc2."),
            &y,
            (dim, hidden),
        )?;
        Ok(self.graph.node("Add", &name("out"), &[&x, &y], &[]))
    }

    fn attention(&mut self, index: usize, prefix: &str, x: &str) -> Result<String, WeightsError> {
        let (dim, heads) = (self.config.dim, self.config.heads);
        let tokens = self.config.input.tokens();
        let head_dim = dim / heads;
        let name = |part: &str| format!("block{index}.attn.{part}");
        let weight = self
            .weights
            .expect(&format!("{prefix}.attn.in_proj_weight"), &[3 * dim, dim])?;
        let bias = self
            .weights
            .expect(&format!("{prefix}.attn.in_proj_bias"), &[3 * dim])?;
        // The scale of the scores goes into the queries' weights.
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut parts = Vec::new();
        let kinds = [
            ("q", scale, None),
            ("k", 1.0, Some("bias_k")),
            ("v", 1.0, Some("bias_v")),
        ];
        for (part, (kind, scale, extra)) in kinds.into_iter().enumerate() {
            let rows = &weight[part * dim * dim..][..dim * dim];
            let bias: Vec<f32> = bias[part * dim..][..dim]
                .iter()
                .map(|b| b * scale)
                .collect();
            let y = self.matmul(&name(kind), x, rows, dim, dim, scale);
            let y = match extra.filter(|_| self.config.bias_kv) {
                None => self.add(&name(&format!("{kind}.biased")), &y, &[dim], &bias),
                Some(extra) => {
                    let last = self
                        .weights
                        .expect(&format!("{prefix}.attn.{extra}"), &[1, 1, dim])?;
                    let room = self.pad(&name(&format!("{kind}.room")), &y, &[0, 0, 0, 0, 1, 0]);
                    let mut added = bias.repeat(tokens);
                    added.extend(last);
                    let shape = [1, tokens + 1, dim];
                    self.add(&name(&format!("{kind}.biased")), &room, &shape, &added)
                }
            };
            let length = tokens + usize::from(extra.is_some() && self.config.bias_kv);
            let shape = [0, length as i64, heads as i64, head_dim as i64];
            let y = self.reshape(&name(&format!("{kind}.split")), &y, &shape);
            // Keys come out transposed, ready for the product with the queries.
            let order = if kind == "k" {
                [0, 2, 3, 1]
            } else {
                [0, 2, 1, 3]
            };
            parts.push(self.transpose(&name(&format!("{kind}.heads")), &y, &order));
        }
        let [q, k, v] = [&parts[0], &parts[1], &parts[2]];
        let scores = self.graph.node("MatMul", &name("scores"), &[q, k], &[]);
        let last_axis = [("axis", Attribute::Int(-1))];
        let shares = self
            .graph
            .node("Softmax", &name("softmax"), &[&scores], &last_axis);
        let mixed = self
            .graph
            .node("MatMul", &name("mixed"), &[&shares, v], &[]);
        let mixed = self.transpose(&name("swap"), &mixed, &[0, 2, 1, 3]);
        let mixed = self.reshape(&name("joined"), &mixed, &[0, tokens as i64, dim as i64]);
        let prefix = format!("{prefix}.attn.out_proj.");
        self.linear(&name("out"), &prefix, &mixed, (dim, dim))
    }

    fn head(&mut self, x: &str) -> Result<String, WeightsError> {
        let (dim, output) = (self.config.dim, self.config.output);
        let first = self.graph.int("head.first", 0);
        let axis = [("axis", Attribute::Int(1))];
        let x = self
            .graph
            .node("Gather", "head.class_token", &[x, &first], &axis);
        let x = self.norm("head.norm", &self.names.head_norm(), &x, TRUNK_NORM_EPSILON)?;
        let weight = self.weights.expect(&self.names.head(), &[output, dim])?;
        let x = self.matmul("head.proj", &x, weight, output, dim, 1.0);

        Ok(normalised(&mut self.graph, &x))
    }

    fn linear(
        &mut self,
        name: &str,
        prefix: &str,
        x: &str,
        (to, from): (usize, usize),
    ) -> Result<String, WeightsError> {
        let weight = self
            .weights
            .expect(&format!("{prefix}weight"), &[to, from])?;
        let bias = self.weights.expect(&format!("{prefix}bias"), &[to])?;
        let y = self.matmul(&format!("{name}.product"), x, weight, to, from, 1.0);
        Ok(self.add(name, &y, &[to], bias))
    }

    /// `weight` has a row an output, as checkpoints do; the graph's has a column.
    fn matmul(
        &mut self,
        name: &str,
        x: &str,
        weight: &[f32],
        to: usize,
        from: usize,
        scale: f32,
    ) -> String {
        let columns: Vec<f32> = (0..from * to)
            .map(|i| scale * weight[(i % to) * from + i / to])
            .collect();
        let weight = self
            .graph
            .floats(&format!("{name}.weight"), &[from, to], &columns);
        self.graph.node("MatMul", name, &[x, &weight], &[])
    }

    fn add(&mut self, name: &str, x: &str, shape: &[usize], values: &[f32]) -> String {
        let values = self.graph.floats(&format!("{name}.bias"), shape, values);
        self.graph.node("Add", name, &[x, &values], &[])
    }

    fn norm(
        &mut self,
        name: &str,
        prefix: &str,
        x: &str,
        epsilon: f64,
    ) -> Result<String, WeightsError> {
        let dim = self.config.dim;
        let weight = self.weights.expect(&format!("{prefix}.weight"), &[dim])?;
        let bias = self.weights.expect(&format!("{prefix}.bias"), &[dim])?;
        let weight = self.graph.floats(&format!("{name}.weight"), &[dim], weight);
        let bias = self.graph.floats(&format!("{name}.bias"), &[dim], bias);
        let attributes = [
            ("axis", Attribute::Int(-1)),
            ("epsilon", Attribute::Float(epsilon as f32)),
        ];
        Ok(self.graph.node(
            "LayerNormalization",
            name,
            &[x, &weight, &bias],
            &attributes,
        ))
    }

    /// Zeros beside `x`: as many before each axis, then as many after.
    fn pad(&mut self, name: &str, x: &str, sizes: &[i64]) -> String {
        let sizes = self.graph.ints(&format!("{name}.sizes"), sizes);
        self.graph.node("Pad", name, &[x, &sizes], &[])
    }

    /// A length of 0 stays as it is.
    fn reshape(&mut self, name: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.graph.ints(&format!("{name}.shape"), shape);
        self.graph.node("Reshape", name, &[x, &shape], &[])
    }

    fn transpose(&mut self, name: &str, x: &str, order: &[i64]) -> String {
        let attributes = [("perm", Attribute::Ints(order))];
        self.graph.node("Transpose", name, &[x], &attributes)
    }
}

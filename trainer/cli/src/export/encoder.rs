//! An encoder as an ONNX graph.
//!
//! Shapes are written so that no node has to ask for the batch's size: tokens that every window
//! gets (the class token, the extra key and value) are padded in as zeros and then added with the
//! positions or biases, which one constant holds.

use sensorium_model::block::{MLP_RATIO, TRUNK_NORM_EPSILON};
use sensorium_model::encoder::{IMU_CHANNELS, Names, STEM_NORM_EPSILON};
use sensorium_model::weights::{WeightSource, WeightsError};
use sensorium_model::{EncoderConfig, InputConfig, Sense, TowerConfig};

use super::rounded::{is_rounded, rounded};
use crate::onnx::{Attribute, Graph};
use crate::quantize::Quantize;

/// Name of the graph's output.
pub const OUTPUT: &str = "embedding";

/// The input of an encoder of texts.
const IDS: &str = "input_ids";

/// What is added to the scores of what comes later in a text.
const NEVER: f32 = -1e9;

/// `TensorProto.DataType` of floats, for `Cast`.
const FLOAT: i64 = 1;

/// In what an encoder may differ from ImageBind's but for its dimensions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// Of all norms but the stem's.
    pub norm_epsilon: f64,
    /// Between the layers of a block's perceptron.
    pub activation: Activation,
    /// Height and width of an encoder of pictures that are no squares.
    pub size: Option<[usize; 2]>,
    /// How the matrices of blocks are written, and the table of words.
    pub quantize: Quantize,
}

/// What is done to the hidden units of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// By the error function.
    Gelu,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            norm_epsilon: TRUNK_NORM_EPSILON,
            activation: Activation::Gelu,
            size: None,
            quantize: Quantize::None,
        }
    }
}

/// The ONNX file of an encoder: an input of the sense's name, `[N, ...]` of the shape of one input, or
/// `input_ids` `[N, T]`, to `embedding` `[N, output]`, L2-normalised. An encoder of videos becomes one of
/// pictures.
///
/// # Errors
///
/// A weight that is missing or has another shape.
pub fn to_onnx(
    weights: &impl WeightSource,
    config: &EncoderConfig,
) -> Result<Vec<u8>, WeightsError> {
    write(&mut Graph::new(), weights, config, Form::default())
}

/// As [`to_onnx`], in a form of one's choice and into a graph that may keep its constants elsewhere:
/// weights are read one after the other.
///
/// # Errors
///
/// A weight that is missing or has another shape.
pub fn write(
    graph: &mut Graph,
    weights: &impl WeightSource,
    config: &EncoderConfig,
    form: Form,
) -> Result<Vec<u8>, WeightsError> {
    let mut writer = Writer {
        graph,
        weights,
        config,
        form,
        names: Names(config.sense()),
    };
    let mut x = writer.stem()?;
    let mask = writer.mask();
    for index in 0..config.blocks {
        x = writer.block(index, &x, mask.as_deref())?;
    }
    let output = writer.head(&x)?;
    let output = (output.as_str(), &[config.output][..]);
    if let InputConfig::Text { .. } = config.input {
        return Ok(graph.text_model(&[IDS], &[output]));
    }
    let mut shape = TowerConfig::Transformer(*config).input_shape();
    if let Some([height, width]) = form.size {
        shape[1..].copy_from_slice(&[height, width]);
    }
    let name = format!("{}-encoder", config.sense());
    Ok(graph.to_bytes(&name, (config.sense().name(), &shape), output))
}

/// The places of an input, the class token's included.
fn tokens(config: &EncoderConfig, form: Form) -> usize {
    match (config.input, form.size) {
        (InputConfig::Vision { patch, .. }, Some([height, width])) => {
            (height / patch[1]) * (width / patch[2]) + 1
        }
        (input, _) => input.tokens(),
    }
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

/// By a logistic function, as CLIP's first encoders were trained.
fn quick_gelu(graph: &mut Graph, name: &str, x: &str) -> String {
    let part = |part: &str| format!("{name}.{part}");
    let steepness = graph.floats(&part("steepness"), &[1], &[1.702]);
    let y = graph.node("Mul", &part("scaled"), &[x, &steepness], &[]);
    let y = graph.node("Sigmoid", &part("sigmoid"), &[&y], &[]);
    graph.node("Mul", name, &[x, &y], &[])
}

/// Rows of length 1, as the graph's output.
pub fn normalised(graph: &mut Graph, x: &str) -> String {
    of_length_1(graph, "head", OUTPUT, x)
}

/// Rows of length 1, by nodes whose names begin with that of a part of the graph.
pub fn of_length_1(graph: &mut Graph, part: &str, name: &str, x: &str) -> String {
    let part = |of: &str| format!("{part}.{of}");
    let squares = graph.node("Mul", &part("squares"), &[x, x], &[]);
    let axes = graph.ints(&part("axes"), &[-1]);
    let keep = [("keepdims", Attribute::Int(1))];
    let sum = graph.node("ReduceSum", &part("sum"), &[&squares, &axes], &keep);
    let norm = graph.node("Sqrt", &part("length"), &[&sum], &[]);
    let least = graph.floats(&part("least"), &[1], &[1e-12]);
    let norm = graph.node("Max", &part("divisor"), &[&norm, &least], &[]);
    graph.node("Div", name, &[x, &norm], &[])
}

struct Writer<'a, S> {
    graph: &'a mut Graph,
    weights: &'a S,
    config: &'a EncoderConfig,
    form: Form,
    names: Names,
}

impl<S: WeightSource> Writer<'_, S> {
    fn stem(&mut self) -> Result<String, WeightsError> {
        let (dim, tokens) = (self.config.dim, tokens(self.config, self.form));
        let x = match self.config.input {
            InputConfig::Imu { samples, patch } => self.windows_stem(samples, patch)?,
            InputConfig::Vision { patch, .. } => self.planes_stem(3, &patch, patch[1])?,
            InputConfig::Audio { patch, stride, .. } => {
                self.planes_stem(1, &[patch, patch], stride)?
            }
            InputConfig::Depth { patch, .. } | InputConfig::Thermal { patch, .. } => {
                self.planes_stem(1, &[patch, patch], patch)?
            }
            InputConfig::Text { vocabulary, .. } => return self.words_stem(vocabulary),
        };
        let class_token = self
            .weights
            .values_of(&self.names.class_token(), &[1, 1, dim])?;
        let mut added = self
            .weights
            .values_of(&self.names.positions(), &[1, tokens, dim])?;
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
                self.norm("trunk.norm", &norm, &x, self.form.norm_epsilon)
            }
            _ => Ok(x),
        }
    }

    /// Words with their places. A table of integers stays one in memory: only the rows of a text are made
    /// floats.
    fn words_stem(&mut self, vocabulary: usize) -> Result<String, WeightsError> {
        let (dim, context) = (self.config.dim, self.config.input.tokens());
        let name = self.names.stem();
        let table = self.weights.values_of(&name, &[vocabulary, dim])?;
        let shape = [vocabulary, dim];
        let x = match self.form.quantize {
            Quantize::None => {
                let table = self.graph.floats("stem.table", &shape, &table);
                self.graph.node("Gather", "stem.rows", &[&table, IDS], &[])
            }
            Quantize::Int8 => {
                let channels = rounded(&table, dim);
                drop(table);
                let bytes = self.graph.bytes("stem.bytes", &shape, &channels.values);
                let scales = [vocabulary, 1];
                let scales = self.graph.floats("stem.scales", &scales, &channels.scales);
                let rows = self.graph.node("Gather", "stem.row", &[&bytes, IDS], &[]);
                let scale = self
                    .graph
                    .node("Gather", "stem.scale", &[&scales, IDS], &[]);
                let to = [("to", Attribute::Int(FLOAT))];
                let rows = self.graph.node("Cast", "stem.floats", &[&rows], &to);
                self.graph.node("Mul", "stem.rows", &[&rows, &scale], &[])
            }
        };
        let shape = [1, context, dim];
        let places = self.weights.values_of(&self.names.positions(), &shape)?;
        let places = self.graph.floats("stem.positions", &shape, &places);
        Ok(self.graph.node("Add", "stem.tokens", &[&x, &places], &[]))
    }

    /// What hides later words from earlier ones.
    fn mask(&mut self) -> Option<String> {
        let InputConfig::Text { context, .. } = self.config.input else {
            return None;
        };
        let is_later = |at: usize| at % context > at / context;
        let cells = (0..context * context).map(|at| if is_later(at) { NEVER } else { 0.0 });
        let cells: Vec<f32> = cells.collect();
        let shape = [1, 1, context, context];
        Some(self.graph.floats("mask", &shape, &cells))
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
        let name = self.names.stem();
        let weight = self.weights.values_of(&name, &[dim, size])?;
        let x = self.matmul("stem.proj", &x, (&name, &weight), (dim, size), 1.0);
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
        let weight = self.weights.values_of(&self.names.stem(), &shape)?;
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
        let patches = tokens(self.config, self.form) - 1;
        let x = self.reshape("stem.flat", &x, &[0, dim as i64, patches as i64]);
        let x = self.transpose("stem.patches", &x, &[0, 2, 1]);
        match self.config.sense() {
            Sense::Vision => Ok(x),
            _ => self.norm("stem.norm", &self.names.stem_norm(), &x, STEM_NORM_EPSILON),
        }
    }

    fn block(&mut self, index: usize, x: &str, mask: Option<&str>) -> Result<String, WeightsError> {
        let prefix = self.names.block(index);
        let epsilon = self.form.norm_epsilon;
        let name = |part: &str| format!("block{index}.{part}");
        let normed = self.norm(&name("norm_1"), &format!("{prefix}.norm_1"), x, epsilon)?;
        let mixed = self.attention(index, &prefix, &normed, mask)?;
        let x = self.graph.node("Add", &name("attended"), &[x, &mixed], &[]);

        let normed = self.norm(&name("norm_2"), &format!("{prefix}.norm_2"), &x, epsilon)?;
        let (dim, hidden) = (self.config.dim, MLP_RATIO * self.config.dim);
        let y = self.linear(
            &name("fc1"),
            &format!("{prefix}.mlp.fc1."),
            &normed,
            (hidden, dim),
        )?;
        let y = match self.form.activation {
            Activation::Gelu => gelu(self.graph, &name("gelu"), &y),
            Activation::QuickGelu => quick_gelu(self.graph, &name("gelu"), &y),
        };
        let y = self.linear(
            &name("fc2"),
            &format!("{prefix}.mlp.fc2."),
            &y,
            (dim, hidden),
        )?;
        Ok(self.graph.node("Add", &name("out"), &[&x, &y], &[]))
    }

    fn attention(
        &mut self,
        index: usize,
        prefix: &str,
        x: &str,
        mask: Option<&str>,
    ) -> Result<String, WeightsError> {
        let (dim, heads) = (self.config.dim, self.config.heads);
        let tokens = tokens(self.config, self.form);
        let head_dim = dim / heads;
        let name = |part: &str| format!("block{index}.attn.{part}");
        let weight_name = format!("{prefix}.attn.in_proj_weight");
        let weight = self.weights.values_of(&weight_name, &[3 * dim, dim])?;
        let bias = self
            .weights
            .values_of(&format!("{prefix}.attn.in_proj_bias"), &[3 * dim])?;
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
            let y = self.matmul(&name(kind), x, (&weight_name, rows), (dim, dim), scale);
            let y = match extra.filter(|_| self.config.bias_kv) {
                None => self.add(&name(&format!("{kind}.biased")), &y, &[dim], &bias),
                Some(extra) => {
                    let last = self
                        .weights
                        .values_of(&format!("{prefix}.attn.{extra}"), &[1, 1, dim])?;
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
        let mut scores = self.graph.node("MatMul", &name("scores"), &[q, k], &[]);
        if let Some(mask) = mask {
            let inputs = [scores.as_str(), mask];
            scores = self.graph.node("Add", &name("masked"), &inputs, &[]);
        }
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
        let x = match self.config.input {
            InputConfig::Text { context, .. } => self.end_of_text(x, context),
            _ => {
                let first = self.graph.int("head.first", 0);
                let axis = [("axis", Attribute::Int(1))];
                let inputs = [x, &first];
                self.graph
                    .node("Gather", "head.class_token", &inputs, &axis)
            }
        };
        let norm = self.names.head_norm();
        let x = self.norm("head.norm", &norm, &x, self.form.norm_epsilon)?;
        let name = self.names.head();
        let weight = self.weights.values_of(&name, &[output, dim])?;
        let x = self.matmul("head.proj", &x, (&name, &weight), (output, dim), 1.0);
        Ok(normalised(self.graph, &x))
    }

    /// The token at the first of a text's largest numbers: a product with 1 there and 0 elsewhere, which
    /// asks for nothing but operators that all runtimes have.
    fn end_of_text(&mut self, x: &str, context: usize) -> String {
        let graph = &mut *self.graph;
        let along = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(1))];
        let end = graph.node("ArgMax", "head.end", &[IDS], &along);
        let places: Vec<i64> = (0..context as i64).collect();
        let places = graph.ints("head.places", &places);
        let is_end = graph.node("Equal", "head.is_end", &[&places, &end], &[]);
        let to = [("to", Attribute::Int(FLOAT))];
        let share = graph.node("Cast", "head.share", &[&is_end], &to);
        let axis = graph.ints("head.axis", &[1]);
        let share = graph.node("Unsqueeze", "head.row", &[&share, &axis], &[]);
        let token = graph.node("MatMul", "head.chosen", &[&share, x], &[]);
        self.reshape("head.token", &token, &[0, self.config.dim as i64])
    }

    fn linear(
        &mut self,
        name: &str,
        prefix: &str,
        x: &str,
        (to, from): (usize, usize),
    ) -> Result<String, WeightsError> {
        let weight_name = format!("{prefix}weight");
        let weight = self.weights.values_of(&weight_name, &[to, from])?;
        let bias = self.weights.values_of(&format!("{prefix}bias"), &[to])?;
        let weight = (weight_name.as_str(), weight.as_slice());
        let y = self.matmul(&format!("{name}.product"), x, weight, (to, from), 1.0);
        Ok(self.add(name, &y, &[to], &bias))
    }

    /// `weight` has a row an output, as checkpoints do; the graph's has a column.
    fn matmul(
        &mut self,
        name: &str,
        x: &str,
        (weight_name, weight): (&str, &[f32]),
        (to, from): (usize, usize),
        scale: f32,
    ) -> String {
        let own = |part: &str| format!("{name}.{part}");
        let place = |i: usize| (i % to) * from + i / to;
        let shape = [from, to];
        let weight = if self.form.quantize == Quantize::Int8 && is_rounded(weight_name) {
            let channels = rounded(weight, from);
            let columns = (0..from * to).map(|i| channels.values[place(i)]);
            let columns: Vec<i8> = columns.collect();
            let bytes = self.graph.bytes(&own("bytes"), &shape, &columns);
            let scales: Vec<f32> = channels.scales.iter().map(|own| own * scale).collect();
            let scales = self.graph.floats(&own("scales"), &[to], &scales);
            let axis = [("axis", Attribute::Int(1))];
            let inputs = [bytes.as_str(), &scales];
            self.graph
                .node("DequantizeLinear", &own("weight"), &inputs, &axis)
        } else {
            let columns = (0..from * to).map(|i| scale * weight[place(i)]);
            let columns: Vec<f32> = columns.collect();
            self.graph.floats(&own("weight"), &shape, &columns)
        };
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
        let own = |part: &str| format!("{prefix}.{part}");
        let weight = self.weights.values_of(&own("weight"), &[dim])?;
        let bias = self.weights.values_of(&own("bias"), &[dim])?;
        let weight = self
            .graph
            .floats(&format!("{name}.weight"), &[dim], &weight);
        let bias = self.graph.floats(&format!("{name}.bias"), &[dim], &bias);
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

//! A small text tower as ONNX, in bytes.
//!
//! ```text
//! input_ids [N, T] ─┬─Gather─▶ table, int8 [V, table] ─Cast─┐
//!                   └─Gather─▶ a scale a row, f32 [V, 1] ───┴Mul─▶ … blocks … ─▶ tokens [N, T, output]
//! ```
//! The table stays in bytes in memory too: only the rows of a text are made floats. Matrices are
//! `DequantizeLinear` with a scale a column. `attention_mask` [N, T], 1 for tokens and 0 for padding,
//! is there if blocks are. Whoever runs the file takes the mean of the tokens' rows, at length 1.

use sensorium_model::block::{MLP_RATIO, TRUNK_NORM_EPSILON};
use sensorium_model::weights::{Weights, WeightsError};
use sensorium_model::word::{HEAD, POSITIONS, TABLE, UP, WordConfig, block_name};

use super::encoder::gelu;
use crate::onnx::{Attribute, Graph};

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const OUTPUT: &str = "tokens";

/// What is added to the scores of padding.
const NEVER: f32 = 1e9;

/// `TensorProto.DataType` of floats, for `Cast`.
const FLOAT: i64 = 1;

/// The ONNX file of a small text tower.
///
/// # Errors
///
/// A weight that is missing or has another shape.
pub fn to_onnx(weights: &Weights, config: &WordConfig) -> Result<Vec<u8>, WeightsError> {
    let mut writer = Writer {
        graph: Graph::new(),
        weights,
        config,
    };
    let mut x = writer.table()?;
    if config.blocks > 0 {
        x = writer.positions(&x)?;
        let padding = writer.padding();
        for index in 0..config.blocks {
            x = writer.block(index, &x, &padding)?;
        }
    }
    writer.linear(OUTPUT, HEAD, &x, (config.output, config.dim), 1.0)?;
    let inputs = [IDS, MASK];
    let inputs = &inputs[..1 + usize::from(config.blocks > 0)];
    let output = [0, config.output];
    Ok(writer.graph.text_model(inputs, &[(OUTPUT, &output)]))
}

/// Bytes and a scale for each row of a matrix of rows of `len`: 127 is the largest of a row.
pub fn to_bytes(values: &[f32], len: usize) -> (Vec<i8>, Vec<f32>) {
    const LARGEST: f32 = 127.0;
    let scales: Vec<f32> = values
        .chunks_exact(len)
        .map(|row| {
            let most = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            // Zeros need a scale as well, and it must not be 0.
            most.max(f32::MIN_POSITIVE * LARGEST) / LARGEST
        })
        .collect();
    let bytes = values
        .chunks_exact(len)
        .zip(&scales)
        .flat_map(|(row, scale)| row.iter().map(move |value| (value / scale).round() as i8))
        .collect();
    (bytes, scales)
}

struct Writer<'a> {
    graph: Graph,
    weights: &'a Weights,
    config: &'a WordConfig,
}

impl Writer<'_> {
    fn table(&mut self) -> Result<String, WeightsError> {
        let &WordConfig {
            vocabulary,
            table,
            dim,
            ..
        } = self.config;
        let rows = self.weights.expect(TABLE, &[vocabulary, table])?;
        let (bytes, scales) = to_bytes(rows, table);
        let bytes = self
            .graph
            .bytes("table.bytes", &[vocabulary, table], &bytes);
        let scales = self.graph.floats("table.scales", &[vocabulary, 1], &scales);
        let rows = self.graph.node("Gather", "table.rows", &[&bytes, IDS], &[]);
        let scales = self
            .graph
            .node("Gather", "table.scale", &[&scales, IDS], &[]);
        let to = [("to", Attribute::Int(FLOAT))];
        let rows = self.graph.node("Cast", "table.floats", &[&rows], &to);
        let x = self
            .graph
            .node("Mul", "table.scaled", &[&rows, &scales], &[]);
        let up = self.weights.expect(UP, &[dim, table])?;
        Ok(self.matmul("up", &x, up, (dim, table), 1.0))
    }

    fn positions(&mut self, x: &str) -> Result<String, WeightsError> {
        let &WordConfig { tokens, dim, .. } = self.config;
        let positions = self.weights.expect(POSITIONS, &[1, tokens, dim])?;
        let positions = self.graph.floats("positions", &[1, tokens, dim], positions);
        let shape = self.graph.node("Shape", "positions.shape", &[IDS], &[]);
        let one = self.graph.ints("positions.axis", &[1]);
        let zero = self.graph.ints("positions.from", &[0]);
        let length = self
            .graph
            .node("Gather", "positions.length", &[&shape, &one], &[]);
        let inputs = [positions.as_str(), &zero, &length, &one];
        let part = self.graph.node("Slice", "positions.part", &inputs, &[]);
        Ok(self.graph.node("Add", "positions.added", &[x, &part], &[]))
    }

    /// What is added to all scores, `[N, 1, 1, T]`.
    fn padding(&mut self) -> String {
        let to = [("to", Attribute::Int(FLOAT))];
        let mask = self.graph.node("Cast", "mask.floats", &[MASK], &to);
        let one = self.graph.floats("mask.one", &[1], &[1.0]);
        let missing = self.graph.node("Sub", "mask.missing", &[&mask, &one], &[]);
        let never = self.graph.floats("mask.never", &[1], &[NEVER]);
        let added = self
            .graph
            .node("Mul", "mask.added", &[&missing, &never], &[]);
        let axes = self.graph.ints("mask.axes", &[1, 2]);
        self.graph
            .node("Unsqueeze", "mask.scores", &[&added, &axes], &[])
    }

    fn block(&mut self, index: usize, x: &str, padding: &str) -> Result<String, WeightsError> {
        let (dim, prefix) = (self.config.dim, block_name(index));
        let name = |part: &str| format!("{prefix}.{part}");
        let normed = self.norm(&name("norm_1"), x)?;
        let mixed = self.attention(&prefix, &normed, padding)?;
        let x = self.graph.node("Add", &name("attended"), &[x, &mixed], &[]);
        let normed = self.norm(&name("norm_2"), &x)?;
        let hidden = MLP_RATIO * dim;
        let y = self.linear(&name("fc1"), &name("mlp.fc1."), &normed, (hidden, dim), 1.0)?;
        let y = gelu(&mut self.graph, &name("gelu"), &y);
        let y = self.linear(&name("fc2"), &name("mlp.fc2."), &y, (dim, hidden), 1.0)?;
        Ok(self.graph.node("Add", &name("out"), &[&x, &y], &[]))
    }

    fn attention(&mut self, prefix: &str, x: &str, padding: &str) -> Result<String, WeightsError> {
        let &WordConfig { dim, heads, .. } = self.config;
        let head_dim = dim / heads;
        let name = |part: &str| format!("{prefix}.attn.{part}");
        let weight = self
            .weights
            .expect(&name("in_proj_weight"), &[3 * dim, dim])?;
        let bias = self.weights.expect(&name("in_proj_bias"), &[3 * dim])?;
        // The scale of the scores goes into the queries' weights.
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut parts = Vec::new();
        for (part, (kind, scale)) in [("q", scale), ("k", 1.0), ("v", 1.0)]
            .into_iter()
            .enumerate()
        {
            let rows = &weight[part * dim * dim..][..dim * dim];
            let bias: Vec<f32> = bias[part * dim..][..dim]
                .iter()
                .map(|b| b * scale)
                .collect();
            let y = self.matmul(&name(kind), x, rows, (dim, dim), scale);
            let y = self.add(&name(&format!("{kind}.biased")), &y, &bias);
            // Lengths of 0 stay as they are.
            let split = [0, 0, heads as i64, head_dim as i64];
            let y = self.reshape(&name(&format!("{kind}.split")), &y, &split);
            // Keys come out transposed, ready for the product with the queries.
            let order = if kind == "k" {
                [0, 2, 3, 1]
            } else {
                [0, 2, 1, 3]
            };
            let perm = [("perm", Attribute::Ints(&order))];
            let heads = name(&format!("{kind}.heads"));
            parts.push(self.graph.node("Transpose", &heads, &[&y], &perm));
        }
        let [q, k, v] = [&parts[0], &parts[1], &parts[2]];
        let scores = self.graph.node("MatMul", &name("scores"), &[q, k], &[]);
        let scores = self
            .graph
            .node("Add", &name("masked"), &[&scores, padding], &[]);
        let last_axis = [("axis", Attribute::Int(-1))];
        let shares = self
            .graph
            .node("Softmax", &name("softmax"), &[&scores], &last_axis);
        let mixed = self
            .graph
            .node("MatMul", &name("mixed"), &[&shares, v], &[]);
        let perm = [("perm", Attribute::Ints(&[0, 2, 1, 3]))];
        let mixed = self
            .graph
            .node("Transpose", &name("swap"), &[&mixed], &perm);
        let mixed = self.reshape(&name("joined"), &mixed, &[0, 0, dim as i64]);
        self.linear(&name("out"), &name("out_proj."), &mixed, (dim, dim), 1.0)
    }

    fn linear(
        &mut self,
        name: &str,
        prefix: &str,
        x: &str,
        (to, from): (usize, usize),
        scale: f32,
    ) -> Result<String, WeightsError> {
        let weight = self
            .weights
            .expect(&format!("{prefix}weight"), &[to, from])?;
        let bias = self.weights.expect(&format!("{prefix}bias"), &[to])?;
        let y = self.matmul(&format!("{name}.product"), x, weight, (to, from), scale);
        Ok(self.add(name, &y, bias))
    }

    /// `weight` has a row an output, as checkpoints do; the graph's has a column.
    fn matmul(
        &mut self,
        name: &str,
        x: &str,
        weight: &[f32],
        (to, from): (usize, usize),
        scale: f32,
    ) -> String {
        let (bytes, scales) = to_bytes(weight, from);
        let columns: Vec<i8> = (0..from * to)
            .map(|i| bytes[(i % to) * from + i / to])
            .collect();
        let scales: Vec<f32> = scales.iter().map(|own| own * scale).collect();
        let bytes = self
            .graph
            .bytes(&format!("{name}.bytes"), &[from, to], &columns);
        let scales = self.graph.floats(&format!("{name}.scales"), &[to], &scales);
        let axis = [("axis", Attribute::Int(1))];
        let weight = format!("{name}.weight");
        let weight = self
            .graph
            .node("DequantizeLinear", &weight, &[&bytes, &scales], &axis);
        self.graph.node("MatMul", name, &[x, &weight], &[])
    }

    fn add(&mut self, name: &str, x: &str, values: &[f32]) -> String {
        let values = self
            .graph
            .floats(&format!("{name}.bias"), &[values.len()], values);
        self.graph.node("Add", name, &[x, &values], &[])
    }

    fn norm(&mut self, name: &str, x: &str) -> Result<String, WeightsError> {
        let dim = self.config.dim;
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        let values = [
            self.weights.expect(&weight, &[dim])?,
            self.weights.expect(&bias, &[dim])?,
        ];
        let weight = self.graph.floats(&weight, &[dim], values[0]);
        let bias = self.graph.floats(&bias, &[dim], values[1]);
        let attributes = [
            ("axis", Attribute::Int(-1)),
            ("epsilon", Attribute::Float(TRUNK_NORM_EPSILON as f32)),
        ];
        let inputs = [x, &weight, &bias];
        Ok(self
            .graph
            .node("LayerNormalization", name, &inputs, &attributes))
    }

    fn reshape(&mut self, name: &str, x: &str, shape: &[i64]) -> String {
        let shape = self.graph.ints(&format!("{name}.shape"), shape);
        self.graph.node("Reshape", name, &[x, &shape], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::to_bytes;

    #[test]
    fn each_row_has_a_scale_of_its_own() {
        let (bytes, scales) = to_bytes(&[1.1, -2.0, 0.01, 0.006, 0.0, 0.0], 2);
        assert_eq!(bytes, [70, -127, 127, 76, 0, 0]);
        assert!((scales[0] - 2.0 / 127.0).abs() < 1e-9);
        assert!((scales[1] - 0.01 / 127.0).abs() < 1e-9);
        assert!(scales[2] > 0.0);
    }
}

//! The weights of a graph's products, and its tables, as integers.
//!
//! ```text
//! weight ─────────▶ MatMul       weight.int8, weight.scale ─DequantizeLinear─▶ weight ─▶ MatMul
//! ```
//!
//! What a node makes keeps the weight's name, so nothing that reads it changes.

use std::collections::{BTreeMap, HashMap, HashSet};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::QuantizeError;
use super::channel::{Channels, Layout, quantised};

/// What was done to a graph's weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Weights that are integers now.
    pub quantised: usize,
    /// Numbers of these.
    pub numbers: usize,
    /// Weights of products that stay as they are: small, of another type than 32-bit float, or used in
    /// two ways that ask for channels along different axes.
    pub left: usize,
    /// Sum of the squared differences between the weights and what they were.
    pub error: f64,
    /// Sum of their squares.
    pub energy: f64,
}

impl Summary {
    /// Length of the differences as a share of that of the weights.
    pub fn relative_error(&self) -> f64 {
        if self.energy > 0.0 {
            (self.error / self.energy).sqrt()
        } else {
            0.0
        }
    }
}

/// Makes integers of weights, but for the smallest as long as that adds no more than a share `spared`
/// to the size of all: those of a net's first layers are small, and all that follows has their errors.
/// Once more, it changes nothing: what are integers already count among all.
///
/// # Errors
///
/// A weight that is malformed, in another file or not finite.
pub fn quantize(graph: &mut GraphProto, spared: f64) -> Result<Summary, QuantizeError> {
    let mut summary = Summary::default();
    let mut chosen = Vec::new();
    for (name, axis) in weights(graph) {
        let Some(tensor) = place(graph, &name).and_then(|at| at.tensor(graph)) else {
            continue;
        };
        let shape = shape(tensor)?;
        match axis {
            Some(axis) if tensor.data_type == DataType::Float as i32 && pays(&shape, axis) => {
                let len: usize = shape.iter().product();
                chosen.push((len, name, shape, axis));
            }
            _ => summary.left += 1,
        }
    }
    chosen.sort();
    let total = chosen.iter().map(|(len, ..)| len).sum::<usize>() + integers(graph)?;
    let mut floats = 0;
    let small = chosen.iter().take_while(|(len, ..)| {
        floats += len;
        // A float takes three bytes more.
        3.0 * floats as f64 <= spared * total as f64
    });
    let small = small.count();
    summary.left += small;

    let mut names = taken(graph);
    let mut first = Vec::new();
    for (len, name, shape, axis) in chosen.split_off(small) {
        let Some((at, tensor)) = place(graph, &name).and_then(|at| Some((at, at.tensor(graph)?)))
        else {
            continue;
        };
        let channels = quantised(&numbers(tensor, &name, len)?, Layout::new(&shape, axis));
        summary.quantised += 1;
        summary.numbers += len;
        summary.error += channels.error;
        summary.energy += channels.energy;
        let node = dequantised(graph, &mut names, &name, &shape, axis, channels);
        match at {
            Place::Node(index) => graph.node[index] = node,
            Place::Initializer(_) => {
                graph.initializer.retain(|tensor| tensor.name != name);
                // Old files list what is constant among the inputs as well.
                graph.input.retain(|input| input.name != name);
                first.push(node);
            }
        }
    }
    graph.node.splice(0..0, first);
    Ok(summary)
}

/// How many numbers of the graph's weights are integers.
fn integers(graph: &GraphProto) -> Result<usize, QuantizeError> {
    let nodes = graph.node.iter().filter(|n| is(n, "DequantizeLinear"));
    let tensors = nodes.filter_map(|n| place(graph, n.input.first()?)?.tensor(graph));
    tensors
        .map(|tensor| Ok(shape(tensor)?.iter().product::<usize>()))
        .sum()
}

/// Whether integers and a scale a channel take less than floats, by enough to be worth a node.
fn pays(shape: &[usize], axis: usize) -> bool {
    /// What a node and two names take, roughly.
    const NODE: usize = 200;
    let len: usize = shape.iter().product();
    3 * len > 4 * shape[axis] + NODE
}

/// Where a constant is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Initializer(usize),
    Node(usize),
}

impl Place {
    fn tensor(self, graph: &GraphProto) -> Option<&TensorProto> {
        match self {
            Self::Initializer(index) => graph.initializer.get(index),
            Self::Node(index) => constant(graph.node.get(index)?),
        }
    }
}

fn place(graph: &GraphProto, name: &str) -> Option<Place> {
    let initializer = graph.initializer.iter().position(|t| t.name == name);
    let node = || {
        let nodes = graph.node.iter();
        nodes
            .map(|node| constant(node).and(node.output.first()))
            .position(|o| o.is_some_and(|o| o == name))
    };
    initializer
        .map(Place::Initializer)
        .or_else(|| node().map(Place::Node))
}

/// What a node that is a constant holds.
fn constant(node: &NodeProto) -> Option<&TensorProto> {
    let value = || node.attribute.iter().find(|a| a.name == "value");
    is(node, "Constant").then(value)??.t.as_ref()
}

fn is(node: &NodeProto, operator: &str) -> bool {
    node.op_type == operator && matches!(node.domain.as_str(), "" | "ai.onnx")
}

fn int(node: &NodeProto, name: &str) -> i64 {
    let found = node.attribute.iter().find(|a| a.name == name);
    found.map_or(0, |attribute| attribute.i)
}

/// A constant, or what becomes of one when its axes change places.
struct View {
    /// The constant's name.
    root: String,
    /// The constant's axis behind each axis.
    axes: Vec<usize>,
}

/// The constants that products are made with, and tables, by name, and the axis of each along which the outputs
/// lie; none if its uses differ in that.
fn weights(graph: &GraphProto) -> BTreeMap<String, Option<usize>> {
    let mut views: HashMap<&str, View> = HashMap::new();
    let view = |name: &str, rank: usize| View {
        root: name.to_owned(),
        axes: (0..rank).collect(),
    };
    for tensor in &graph.initializer {
        views.insert(&tensor.name, view(&tensor.name, tensor.dims.len()));
    }
    for (node, tensor) in graph.node.iter().filter_map(|n| Some((n, constant(n)?))) {
        if let Some(output) = node.output.first() {
            views.insert(output, view(output, tensor.dims.len()));
        }
    }
    let mut found = BTreeMap::new();
    // Nodes come after those whose outputs they read.
    for node in &graph.node {
        for (slot, input) in node.input.iter().enumerate() {
            let Some(View { root, axes }) = views.get(input.as_str()) else {
                continue;
            };
            let Some(axis) = output_axis(node, slot, axes.len()) else {
                continue;
            };
            let axis = axes.get(axis).copied();
            let known = found.entry(root.clone()).or_insert(axis);
            if *known != axis {
                *known = None;
            }
        }
        if let Some((output, view)) = turned(node, &views) {
            views.insert(output, view);
        }
    }
    found
}

/// What a node makes of a constant, if it leaves the numbers as they are.
fn turned<'a>(node: &'a NodeProto, views: &HashMap<&str, View>) -> Option<(&'a str, View)> {
    let View { root, axes } = views.get(node.input.first()?.as_str())?;
    let axes = if is(node, "Identity") {
        axes.clone()
    } else if is(node, "Transpose") {
        let order = node.attribute.iter().find(|a| a.name == "perm");
        match order {
            None => axes.iter().rev().copied().collect(),
            Some(order) => {
                let axis = |&from: &i64| axes.get(usize::try_from(from).ok()?).copied();
                order.ints.iter().map(axis).collect::<Option<_>>()?
            }
        }
    } else {
        return None;
    };
    let root = root.clone();
    Some((node.output.first()?, View { root, axes }))
}

/// The axis along which the outputs of a product lie, or the rows of a table, in an input of this rank
/// that is a weight.
fn output_axis(node: &NodeProto, slot: usize, rank: usize) -> Option<usize> {
    match (slot, rank) {
        (1, 3..) if is(node, "Conv") => Some(0),
        (0, 2..) if is(node, "MatMul") => Some(rank - 2),
        (1, 2..) if is(node, "MatMul") => Some(rank - 1),
        (0, 2) if is(node, "Gemm") => Some(usize::from(int(node, "transA") != 0)),
        (1, 2) if is(node, "Gemm") => Some(usize::from(int(node, "transB") == 0)),
        // A table whose rows are looked up: each row is a channel.
        (0, 2) if is(node, "Gather") && int(node, "axis") == 0 => Some(0),
        _ => None,
    }
}

/// Names that are given to something.
fn taken(graph: &GraphProto) -> HashSet<String> {
    let values = graph.node.iter().flat_map(|node| &node.output);
    let nodes = graph.node.iter().map(|node| &node.name);
    let inputs = graph.input.iter().map(|input| &input.name);
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let all = values.chain(nodes).chain(inputs).chain(constants);
    all.cloned().collect()
}

/// A name that nothing has yet.
pub fn fresh(names: &mut HashSet<String>, wanted: String) -> String {
    let mut name = wanted;
    while !names.insert(name.clone()) {
        name.push('_');
    }
    name
}

fn shape(tensor: &TensorProto) -> Result<Vec<usize>, QuantizeError> {
    let lens = tensor.dims.iter().map(|&len| usize::try_from(len).ok());
    let lens: Option<Vec<usize>> = lens.collect();
    let product = |lens: &Vec<usize>| lens.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
    lens.filter(|lens| product(lens).is_some())
        .ok_or_else(|| QuantizeError::Shape {
            name: tensor.name.clone(),
            shape: tensor.dims.clone(),
        })
}

/// The numbers of a tensor of 32-bit floats.
fn numbers(tensor: &TensorProto, name: &str, len: usize) -> Result<Vec<f32>, QuantizeError> {
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err(QuantizeError::External {
            name: name.to_owned(),
        });
    }
    let numbers: Vec<f32> = if tensor.float_data.is_empty() {
        let (chunks, _) = tensor.raw_data.as_chunks();
        chunks
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    } else {
        tensor.float_data.clone()
    };
    if numbers.len() != len || (tensor.float_data.is_empty() && tensor.raw_data.len() != 4 * len) {
        return Err(QuantizeError::Len {
            name: name.to_owned(),
            actual: numbers.len(),
            expected: len,
        });
    }
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(numbers),
        Some(&found) => Err(QuantizeError::NotFinite {
            name: name.to_owned(),
            found,
        }),
    }
}

/// Adds the integers and scales to a graph; the node that makes the weight of them.
fn dequantised(
    graph: &mut GraphProto,
    names: &mut HashSet<String>,
    name: &str,
    shape: &[usize],
    axis: usize,
    channels: Channels,
) -> NodeProto {
    let integers = TensorProto {
        dims: shape.iter().map(|&len| len as i64).collect(),
        data_type: DataType::Int8 as i32,
        name: fresh(names, format!("{name}.int8")),
        raw_data: channels.values.iter().map(|&value| value as u8).collect(),
        ..TensorProto::default()
    };
    let scales = TensorProto {
        dims: vec![channels.scales.len() as i64],
        data_type: DataType::Float as i32,
        name: fresh(names, format!("{name}.scale")),
        raw_data: channels
            .scales
            .iter()
            .flat_map(|scale| scale.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    };
    let axis = AttributeProto {
        name: "axis".to_owned(),
        r#type: AttributeType::Int as i32,
        i: axis as i64,
        ..AttributeProto::default()
    };
    let node = NodeProto {
        input: vec![integers.name.clone(), scales.name.clone()],
        output: vec![name.to_owned()],
        name: fresh(names, format!("{name}.dequantized")),
        op_type: "DequantizeLinear".to_owned(),
        attribute: vec![axis],
        ..NodeProto::default()
    };
    graph.initializer.extend([integers, scales]);
    node
}

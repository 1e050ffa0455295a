//! Older versions of the operators, raised to the one that knows a scale a channel.
//!
//! From 11 on few operators changed on the way to [`PER_CHANNEL`], and most of those only in where a
//! setting is written.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, type_proto};

use super::QuantizeError;
use super::graph::fresh;

/// The first version in which `DequantizeLinear` has an axis.
pub const PER_CHANNEL: i64 = 13;

/// The first version that can be raised.
const OLDEST: i64 = 11;

/// The version of the file format that came with [`PER_CHANNEL`].
const IR_VERSION: i64 = 7;

/// Raises a model's operators to [`PER_CHANNEL`] if they are older.
///
/// # Errors
///
/// Operators that are too old, or a node that would compute something else.
pub fn raise(model: &mut ModelProto) -> Result<(), QuantizeError> {
    let own = |domain: &str| matches!(domain, "" | "ai.onnx");
    let Some(set) = model.opset_import.iter_mut().find(|set| own(&set.domain)) else {
        return Err(QuantizeError::NoOpset);
    };
    let version = set.version;
    if version >= PER_CHANNEL {
        return Ok(());
    }
    if version < OLDEST {
        return Err(QuantizeError::Opset { version });
    }
    set.version = PER_CHANNEL;
    model.ir_version = model.ir_version.max(IR_VERSION);
    let Some(graph) = &mut model.graph else {
        return Err(QuantizeError::NoGraph);
    };
    raise_graph(graph, version, &mut HashSet::new())
}

fn raise_graph(
    graph: &mut GraphProto,
    version: i64,
    names: &mut HashSet<String>,
) -> Result<(), QuantizeError> {
    // Values of enclosing graphs are seen from within, so their names stay taken.
    names.extend(graph.node.iter().flat_map(|node| node.output.clone()));
    names.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
    names.extend(graph.input.iter().map(|input| input.name.clone()));
    let infos = graph
        .value_info
        .iter()
        .chain(&graph.input)
        .chain(&graph.output);
    let ranks: Vec<(String, usize)> = infos
        .filter_map(|info| Some((info.name.clone(), rank(info.r#type.as_ref()?)?)))
        .collect();
    for node in &mut graph.node {
        match node.op_type.as_str() {
            "Squeeze" | "Unsqueeze" | "ReduceSum" => {
                graph.initializer.extend(to_input(node, "axes", names));
            }
            "Split" => graph.initializer.extend(to_input(node, "split", names)),
            // Only said for training, and no setting any more.
            "Dropout" => node.attribute.retain(|attribute| attribute.name != "ratio"),
            "Softmax" | "LogSoftmax" | "Hardmax" => {
                // Over this axis and all after it, where it now is over this axis alone.
                let input = node.input.first();
                let rank = ranks.iter().find(|(name, _)| input == Some(name));
                let setting = node.attribute.iter().position(|a| a.name == "axis");
                let axis = setting.map_or(1, |at| node.attribute[at].i);
                if axis != -1 && rank.is_none_or(|(_, rank)| axis + 1 != *rank as i64) {
                    return Err(refused(node, version));
                }
                // The axis of one that has no setting is the last from now on.
                if let Some(at) = setting {
                    node.attribute[at].i = -1;
                }
            }
            "Resize" if has_text(node, "tf_half_pixel_for_nn") => {
                return Err(refused(node, version));
            }
            _ => {}
        }
        for attribute in &mut node.attribute {
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                raise_graph(graph, version, names)?;
            }
        }
    }
    Ok(())
}

fn refused(node: &NodeProto, version: i64) -> QuantizeError {
    QuantizeError::Operator {
        operator: node.op_type.clone(),
        node: node.name.clone(),
        version,
    }
}

fn has_text(node: &NodeProto, text: &str) -> bool {
    node.attribute.iter().any(|a| a.s == text.as_bytes())
}

fn rank(value: &TypeProto) -> Option<usize> {
    match value.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor.shape.as_ref()?.dim.len()),
    }
}

/// Makes an input of a setting; the constant that it then is.
fn to_input(node: &mut NodeProto, name: &str, names: &mut HashSet<String>) -> Option<TensorProto> {
    let at = node.attribute.iter().position(|a| a.name == name)?;
    let attribute = node.attribute.remove(at);
    let what = node.output.first().map_or("", String::as_str);
    let constant = TensorProto {
        dims: vec![attribute.ints.len() as i64],
        data_type: DataType::Int64 as i32,
        name: fresh(names, format!("{what}.{name}")),
        raw_data: attribute
            .ints
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    };
    node.input.push(constant.name.clone());
    Some(constant)
}

//! Two ONNX files made one: a head on an output of a trunk, and nothing of the trunk that it does not
//! need.

use std::collections::{HashMap, HashSet};

use prost::Message;
use thiserror::Error;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

use crate::anchor::model::Output;

/// What head and trunk have in common with this project's own graphs: operators that did not change
/// between these versions.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=23;

/// Why two files cannot be made one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GraftError {
    /// A file is not ONNX.
    #[error("the {part} is not an ONNX file")]
    Format {
        /// Trunk or head.
        part: &'static str,
        /// What the parser said.
        source: prost::DecodeError,
    },
    /// A file holds no graph.
    #[error("the {part} holds no graph")]
    Empty {
        /// Trunk or head.
        part: &'static str,
    },
    /// The trunk has several outputs, or not this one.
    #[error("the trunk has no output {wanted}, its outputs are {known:?}")]
    Output {
        /// The one that is asked for.
        wanted: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The head is no function of one value.
    #[error("the head has {inputs} inputs and {outputs} outputs, expected one of each")]
    Head {
        /// Its inputs.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// Operators of a version that means something else.
    #[error("the trunk's operators are of version {version}, expected 13 to 23")]
    Opset {
        /// The version.
        version: i64,
    },
    /// Weights in other files.
    #[error("weight {name:?} of the trunk is in a file beside it, expected all in one file")]
    External {
        /// The weight.
        name: String,
    },
}

/// The head on an output of the trunk; the only one by default.
///
/// # Errors
///
/// Files that do not fit each other.
pub fn graft(trunk: &[u8], output: Option<&Output>, head: &[u8]) -> Result<Vec<u8>, GraftError> {
    grown(trunk, head, |graph, head| {
        let joint = output_of(graph, output)?;
        join(graph, head, &joint)
    })
}

/// As [`graft`], but the only output is another one of the trunk's and, after it in each row, what the
/// head gives. Both are `[N, numbers]`.
///
/// # Errors
///
/// Those of [`graft`].
pub fn beside(
    trunk: &[u8],
    kept: Option<&Output>,
    joint: Option<&Output>,
    head: &[u8],
) -> Result<Vec<u8>, GraftError> {
    grown(trunk, head, |graph, head| {
        let (kept, joint) = (output_of(graph, kept)?, output_of(graph, joint)?);
        join(graph, head, &joint)?;
        let Some(mut output) = graph.output.pop() else {
            return Ok(());
        };
        let both = format!("{kept}_beside_{}", output.name);
        let head = std::mem::replace(&mut output.name, both);
        graph.node.push(NodeProto {
            op_type: "Concat".to_owned(),
            name: output.name.clone(),
            input: vec![kept, head],
            output: vec![output.name.clone()],
            attribute: vec![AttributeProto {
                name: "axis".to_owned(),
                r#type: AttributeType::Int.into(),
                i: 1,
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        });
        if let Some(Value::TensorType(tensor)) =
            output.r#type.as_mut().and_then(|t| t.value.as_mut())
            && let Some(row) = tensor.shape.as_mut().and_then(|shape| shape.dim.get_mut(1))
        {
            row.value = Some(dimension::Value::DimParam("kept_and_given".to_owned()));
        }
        graph.output = vec![output];
        Ok(())
    })
}

/// A trunk with a head joined to it.
fn grown(
    trunk: &[u8],
    head: &[u8],
    join: impl FnOnce(&mut GraphProto, GraphProto) -> Result<(), GraftError>,
) -> Result<Vec<u8>, GraftError> {
    let mut model = decoded(trunk, "trunk")?;
    let head = decoded(head, "head")?;
    let version = version_of(&model.opset_import);
    if !OPSETS.contains(&version) {
        return Err(GraftError::Opset { version });
    }
    let (Some(trunk), Some(head)) = (&mut model.graph, head.graph) else {
        let part = "trunk";
        return Err(GraftError::Empty { part });
    };
    let external = |tensor: &&tract_onnx::pb::TensorProto| !tensor.external_data.is_empty();
    if let Some(tensor) = trunk.initializer.iter().find(external) {
        let name = tensor.name.clone();
        return Err(GraftError::External { name });
    }
    join(trunk, head)?;
    prune(trunk);
    Ok(model.encode_to_vec())
}

fn decoded(bytes: &[u8], part: &'static str) -> Result<ModelProto, GraftError> {
    let model = ModelProto::decode(bytes).map_err(|source| GraftError::Format { part, source })?;
    match &model.graph {
        Some(_) => Ok(model),
        None => Err(GraftError::Empty { part }),
    }
}

fn version_of(opsets: &[OperatorSetIdProto]) -> i64 {
    let own = opsets.iter().find(|opset| opset.domain.is_empty());
    own.map_or(1, |opset| opset.version)
}

fn output_of(trunk: &GraphProto, output: Option<&Output>) -> Result<String, GraftError> {
    let known: Vec<String> = trunk.output.iter().map(|o| o.name.clone()).collect();
    let found = match output {
        None if known.len() == 1 => known.first(),
        None => None,
        Some(Output::Index(index)) => known.get(*index),
        Some(Output::Name(wanted)) => known.iter().find(|name| *name == wanted),
    };
    found.cloned().ok_or_else(|| GraftError::Output {
        wanted: match output {
            None => "of its own".to_owned(),
            Some(Output::Index(index)) => index.to_string(),
            Some(Output::Name(name)) => format!("{name:?}"),
        },
        known,
    })
}

/// Adds the head's nodes, their input being the joint, under names that the trunk does not have.
fn join(trunk: &mut GraphProto, head: GraphProto, joint: &str) -> Result<(), GraftError> {
    let (inputs, outputs) = (head.input.len(), head.output.len());
    let ([input], [_]) = (&head.input[..], &head.output[..]) else {
        return Err(GraftError::Head { inputs, outputs });
    };
    let mut taken: HashSet<String> = trunk.initializer.iter().map(|t| t.name.clone()).collect();
    taken.extend(trunk.input.iter().map(|value| value.name.clone()));
    for node in &trunk.node {
        taken.extend(node.output.iter().chain([&node.name]).cloned());
    }
    let mut names = HashMap::from([(input.name.clone(), joint.to_owned())]);
    let mut renamed = |name: &mut String| {
        if name.is_empty() {
            // An optional input that is left out.
            return;
        }
        let own = names.entry(name.clone()).or_insert_with(|| {
            let mut free = name.clone();
            while taken.contains(&free) {
                free.push('_');
            }
            free
        });
        name.clone_from(own);
    };
    let GraphProto {
        node,
        initializer,
        output,
        ..
    } = head;
    for mut tensor in initializer {
        renamed(&mut tensor.name);
        trunk.initializer.push(tensor);
    }
    for mut node in node {
        let values = node.input.iter_mut().chain(&mut node.output);
        values.for_each(&mut renamed);
        renamed(&mut node.name);
        trunk.node.push(node);
    }
    trunk.output = output;
    trunk.output.iter_mut().for_each(|o| renamed(&mut o.name));
    Ok(())
}

/// Takes out what no output needs.
pub fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    // Nodes stand in the order in which they can be computed.
    let mut kept: Vec<_> = Vec::with_capacity(graph.node.len());
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|value| needed.contains(value)) {
            needs(&node, &mut needed);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph
        .initializer
        .retain(|tensor| needed.contains(&tensor.name));
    graph.input.retain(|input| needed.contains(&input.name));
    // What tools noted of values, those among them that are gone.
    graph.value_info.clear();
}

/// All values that a node takes, those that graphs within it take from outside too.
fn needs(node: &NodeProto, needed: &mut HashSet<String>) {
    needed.extend(node.input.iter().cloned());
    let attributes = node.attribute.iter();
    for graph in attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
        needed.extend(graph.output.iter().map(|output| output.name.clone()));
        graph.node.iter().for_each(|node| needs(node, needed));
    }
}

#[cfg(test)]
mod tests;

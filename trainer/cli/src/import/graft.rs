//! Grows an encoder out of a tagger: the file's graph, with a head after its logits.

use prost::Message;
use thiserror::Error;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::{Tensor, Value};
use tract_onnx::pb::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

use super::head::{Activation, Head};

/// What the names of all that is added begin with.
const PREFIX: &str = "sensorium.";

/// The only output.
const OUTPUT: &str = "embedding";

/// Added to the square of a length before its root is taken, so that no direction is no fault.
const LEAST_SQUARE: f32 = 1e-24;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// Why a file cannot be grown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraftError {
    /// It has no graph.
    #[error("it holds no graph")]
    Empty,
    /// Its weights lie beside it.
    #[error("it keeps {name:?} in another file, expected one file with all weights")]
    External {
        /// A tensor that lies elsewhere.
        name: String,
    },
    /// A name that is to be added is taken.
    #[error("it has a value {name:?} already: it was imported before")]
    Taken {
        /// The name.
        name: String,
    },
}

/// The file's graph up to `logits`, and the head after it; its only output is the embedding.
///
/// # Errors
///
/// A file whose weights are not all in it, or that was grown before.
pub fn graft(mut model: ModelProto, logits: &str, head: &Head) -> Result<Vec<u8>, GraftError> {
    let own = { model.opset_import.iter() }.find(|set| set.domain.is_empty());
    let version = own.map_or(1, |set| set.version);
    let graph = model.graph.as_mut().ok_or(GraftError::Empty)?;
    let external = |tensor: &&TensorProto| tensor.data_location == Some(EXTERNAL);
    if let Some(tensor) = graph.initializer.iter().find(external) {
        return Err(GraftError::External {
            name: tensor.name.clone(),
        });
    }
    let values = graph.node.iter().flat_map(|node| &node.output);
    let is_taken = |name: &&String| name.starts_with(PREFIX) || *name == OUTPUT;
    if let Some(name) = values.into_iter().find(is_taken) {
        return Err(GraftError::Taken { name: name.clone() });
    }
    let outputs = head.gains.len() as i64;
    let dim = head.dim as i64;
    graph.initializer.extend([
        tensor("gains", &[outputs], &head.gains),
        tensor("shifts", &[outputs], &head.shifts),
        tensor("matrix", &[outputs, dim], &head.matrix),
        tensor("ones", &[dim, 1], &vec![1.0; head.dim]),
        tensor("least", &[1], &[LEAST_SQUARE]),
    ]);
    // Operators and forms that every version since 7 has: the file's version stays what it is.
    let active = match head.activation {
        Activation::Leaky(slope) => {
            let mut node = node("LeakyRelu", &["shifted"], "active");
            node.attribute.push(AttributeProto {
                name: "alpha".to_owned(),
                r#type: AttributeType::Float.into(),
                f: slope,
                ..AttributeProto::default()
            });
            node
        }
        Activation::Sigmoid => node("Sigmoid", &["shifted"], "active"),
    };
    let mut scaled = node("Mul", &["", "gains"], "scaled");
    scaled.input[0] = logits.to_owned();
    let mut embedding = node("Div", &["sums", "length"], "embedding");
    embedding.output[0] = OUTPUT.to_owned();
    graph.node.extend([
        scaled,
        node("Add", &["scaled", "shifts"], "shifted"),
        active,
    ]);
    let counted = match head.top {
        None => "active",
        Some(top) => {
            graph.initializer.extend([
                whole("top", top as i64),
                whole("least of them", top as i64 - 1),
            ]);
            graph.node.extend(greatest(top as i64, version));
            "counted"
        }
    };
    graph.node.extend([
        node("MatMul", &[counted, "matrix"], "sums"),
        node("Mul", &["sums", "sums"], "squares"),
        node("MatMul", &["squares", "ones"], "square"),
        node("Add", &["square", "least"], "safe"),
        node("Sqrt", &["safe"], "length"),
        embedding,
    ]);
    let batch = graph.input.first().and_then(first_axis);
    graph.output = vec![output(batch, dim)];
    keep_needed(&mut graph.node);
    Ok(model.encode_to_vec())
}

/// What leaves of `active` only the greatest of each row, as `counted`.
fn greatest(top: i64, version: i64) -> Vec<NodeProto> {
    let number = |name: &str, i: i64| AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int.into(),
        i,
        ..AttributeProto::default()
    };
    // Since version 10 how many is an input.
    let mut sorted = match version >= 10 {
        true => node("TopK", &["active", "top"], "sorted"),
        false => node("TopK", &["active"], "sorted"),
    };
    sorted.output.push(named("places"));
    if version < 10 {
        sorted.attribute.push(number("k", top));
    }
    let mut last = node("Gather", &["sorted", "least of them"], "last");
    last.attribute.push(number("axis", 1));
    let mut less = node("Cast", &["is less"], "less");
    less.attribute
        .push(number("to", i64::from(DataType::Float as i32)));
    vec![
        sorted,
        last,
        node("Less", &["active", "last"], "is less"),
        less,
        node("Mul", &["active", "less"], "left out"),
        node("Sub", &["active", "left out"], "counted"),
    ]
}

/// A whole number.
fn whole(name: &str, value: i64) -> TensorProto {
    TensorProto {
        name: named(name),
        dims: vec![1],
        data_type: DataType::Int64.into(),
        raw_data: value.to_le_bytes().to_vec(),
        ..TensorProto::default()
    }
}

fn named(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: named(name),
        dims: dims.to_vec(),
        data_type: DataType::Float.into(),
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

fn node(operator: &str, inputs: &[&str], name: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: named(name),
        input: inputs.iter().map(|input| named(input)).collect(),
        output: vec![named(name)],
        ..NodeProto::default()
    }
}

/// The first axis of an input, whose length or name is that of the output, too.
fn first_axis(input: &ValueInfoProto) -> Option<Dimension> {
    let Some(Value::TensorType(tensor)) = &input.r#type.as_ref()?.value else {
        return None;
    };
    tensor.shape.as_ref()?.dim.first().cloned()
}

fn output(batch: Option<Dimension>, dim: i64) -> ValueInfoProto {
    let length = Dimension {
        value: Some(dimension::Value::DimValue(dim)),
        ..Dimension::default()
    };
    let tensor = Tensor {
        elem_type: DataType::Float.into(),
        shape: Some(TensorShapeProto {
            dim: vec![batch.unwrap_or_default(), length],
        }),
    };
    ValueInfoProto {
        name: OUTPUT.to_owned(),
        r#type: Some(TypeProto {
            value: Some(Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// Drops what no longer leads to an output. Nodes stand in the order in which they run, so one look
/// from the end is enough; a graph within a node may use any value, and keeps all that it names.
fn keep_needed(nodes: &mut Vec<NodeProto>) {
    let mut needed = std::collections::BTreeSet::from([OUTPUT.to_owned()]);
    let mut kept = Vec::new();
    let nested = nodes
        .iter()
        .any(|node| node.attribute.iter().any(|a| a.g.is_some()));
    for node in std::mem::take(nodes).into_iter().rev() {
        if nested || node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    *nodes = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::OnnxEncoder;
    use crate::onnx::Graph;

    /// Two outputs: `logits` `[N, 3]`, and one that nobody needs.
    fn tagger() -> Vec<u8> {
        let mut graph = Graph::new();
        let shape = graph.ints("shape", &[0, 2]);
        let flat = graph.node("Reshape", "flat", &["sound", &shape], &[]);
        let weight = graph.floats("w", &[2, 3], &[1.0, 0.0, -1.0, 0.5, 2.0, 0.0]);
        let logits = graph.node("MatMul", "logits", &[&flat, &weight], &[]);
        graph.node("Relu", "features", &[&logits], &[]);
        graph.to_bytes("tagger", ("sound", &[1, 2]), ("logits", &[3]))
    }

    fn head(activation: Activation) -> Head {
        Head {
            gains: vec![1.0, 0.5, 2.0],
            shifts: vec![0.0, -1.0, 0.5],
            activation,
            top: None,
            matrix: vec![1.0, 0.0, 0.0, 1.0, 2.0, -1.0],
            dim: 2,
        }
    }

    fn expected(head: &Head, input: &[f32]) -> Vec<f32> {
        let logits = [input[0] + 0.5 * input[1], 2.0 * input[1], -input[0]];
        let mut sums = [0.0f32; 2];
        let scaled = |output: usize| logits[output] * head.gains[output] + head.shifts[output];
        for (output, logit) in logits.iter().enumerate() {
            let greater = (0..3).filter(|&other| scaled(other) > scaled(output));
            if head.top.is_some_and(|top| greater.count() >= top) {
                continue;
            }
            let x = logit * head.gains[output] + head.shifts[output];
            let active = match head.activation {
                Activation::Leaky(slope) if x < 0.0 => slope * x,
                Activation::Leaky(_) => x,
                Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            };
            for (sum, value) in sums.iter_mut().zip(&head.matrix[output * 2..]) {
                *sum += active * value;
            }
        }
        let length = (sums[0] * sums[0] + sums[1] * sums[1]).sqrt();
        sums.map(|sum| sum / length).to_vec()
    }

    #[test]
    fn a_grown_tagger_gives_the_heads_embedding() {
        let ways = [
            (Activation::Leaky(0.15), None),
            (Activation::Sigmoid, None),
            (Activation::Sigmoid, Some(1)),
            (Activation::Sigmoid, Some(2)),
            (Activation::Sigmoid, Some(3)),
        ];
        for (activation, top) in ways {
            let head = Head {
                top,
                ..head(activation)
            };
            let model = ModelProto::decode(&tagger()[..]).unwrap();
            let onnx = graft(model, "logits", &head).unwrap();
            let inputs = [0.3, -1.2, 2.0, 0.7];
            let encoder = OnnxEncoder::new(&onnx, &[1, 2]).unwrap();
            let embed = |input| encoder.embed(input).unwrap();
            let actual: Vec<f32> = inputs.chunks(2).flat_map(embed).collect();
            let expected: Vec<f32> = inputs.chunks(2).flat_map(|i| expected(&head, i)).collect();
            for (a, b) in actual.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-6, "{actual:?} {expected:?}");
            }
            let grown = ModelProto::decode(&onnx[..]).unwrap().graph.unwrap();
            assert!(grown.node.iter().all(|node| node.name != "features"));
            assert_eq!(grown.output.len(), 1);
        }
    }

    #[test]
    fn what_cannot_be_grown_is_said() {
        let head = head(Activation::Sigmoid);
        let model = || ModelProto::decode(&tagger()[..]).unwrap();
        let twice = graft(model(), "logits", &head).unwrap();
        let twice = graft(ModelProto::decode(&twice[..]).unwrap(), "embedding", &head);
        assert!(twice.unwrap_err().to_string().contains("imported before"));
        let mut elsewhere = model();
        elsewhere.graph.as_mut().unwrap().initializer[1].data_location = Some(EXTERNAL);
        let error = graft(elsewhere, "logits", &head).unwrap_err().to_string();
        assert!(error.contains("in another file"), "{error}");
        let error = graft(ModelProto::default(), "logits", &head).unwrap_err();
        assert_eq!(error, GraftError::Empty);
    }
}

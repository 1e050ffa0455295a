//! Weights of a model that lie in another member of its pack: of several encoders that share them, or too
//! many for one file.
//!
//! As ONNX has it (`TensorProto.external_data`): the location is relative to the folder of the model's
//! file, so that a pack that is unzipped is a folder of models that any tool opens.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use sensorium_pack::Pack;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::{Framework, TractResult, f16};

use super::EncodeError;

/// Puts the weights that lie elsewhere into the model. `path` is its member.
///
/// # Errors
///
/// A weight that lies in no member, or outside it.
pub(super) fn gather(
    pack: &Pack,
    encoder: &str,
    path: &str,
    model: &mut ModelProto,
) -> Result<(), EncodeError> {
    let find = |location: &str| pack.member(&member(path, location)).ok();
    fill(model, find).map_err(|tensor| EncodeError::Weight {
        encoder: encoder.to_owned(),
        tensor,
    })
}

/// Puts the weights that lie elsewhere into a model, where `find` has what is at a location.
///
/// # Errors
///
/// The name of a weight that lies nowhere.
pub fn fill<'a>(
    model: &mut ModelProto,
    find: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<(), String> {
    let tensors = { model.graph.iter_mut() }.flat_map(|graph| &mut graph.initializer);
    for tensor in tensors.filter(|tensor| is_elsewhere(tensor)) {
        let found = slice(tensor, &find).map(<[u8]>::to_vec);
        tensor.raw_data = found.ok_or_else(|| tensor.name.clone())?;
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(())
}

/// Casts weights to the floats that they stand for. Left to the inference library, which folds no constant
/// that grows, that is done again in each run: a sentence encoder with weights of 8 bits that are cast takes
/// five times as long.
pub(crate) fn widen(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let weights: BTreeMap<&str, &TensorProto> = { graph.initializer.iter() }
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let mut widened = Vec::new();
    graph.node.retain(|node| {
        let cast = cast_to_f32(node, &weights);
        let stays = cast.is_none();
        widened.extend(cast);
        stays
    });
    graph.initializer.extend(widened);
}

/// What a node makes of a weight, if it casts one to floats.
fn cast_to_f32(node: &NodeProto, weights: &BTreeMap<&str, &TensorProto>) -> Option<TensorProto> {
    let to = { node.attribute.iter() }.find(|attribute| attribute.name == "to")?;
    let ([input], [output]) = (&node.input[..], &node.output[..]) else {
        return None;
    };
    let weight = weights.get(input.as_str())?;
    if node.op_type != "Cast" || to.i != i64::from(DataType::Float as i32) {
        return None;
    }
    let bytes = &weight.raw_data;
    let values: Vec<f32> = match DataType::try_from(weight.data_type).ok()? {
        DataType::Int8 => bytes.iter().map(|&value| f32::from(value as i8)).collect(),
        DataType::Uint8 => bytes.iter().map(|&value| f32::from(value)).collect(),
        DataType::Float16 => { bytes.chunks_exact(2) }
            .map(|value| f16::from_le_bytes([value[0], value[1]]).to_f32())
            .collect(),
        _ => return None,
    };
    let count: i64 = weight.dims.iter().product();
    (values.len() as i64 == count).then(|| TensorProto {
        name: output.clone(),
        data_type: DataType::Float as i32,
        dims: weight.dims.clone(),
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    })
}

/// Where weights of a model lie that are elsewhere.
///
/// # Errors
///
/// What is no ONNX file.
pub(crate) fn locations(mut model: &[u8]) -> TractResult<BTreeSet<String>> {
    let model = tract_onnx::onnx().proto_model_for_read(&mut model)?;
    let tensors = { model.graph.iter() }.flat_map(|graph| &graph.initializer);
    let elsewhere = tensors.filter(|tensor| is_elsewhere(tensor));
    let locations = elsewhere.filter_map(|tensor| entry(tensor, "location"));
    Ok(locations.map(str::to_owned).collect())
}

/// The file of the model that is the member `path`, with weights that lie elsewhere at other members of
/// the same folder, where `moved` has a new path for theirs.
///
/// # Errors
///
/// What is no ONNX file.
pub(crate) fn relocate(
    mut model: &[u8],
    path: &str,
    moved: impl Fn(String) -> Option<String>,
) -> TractResult<Vec<u8>> {
    let mut model = tract_onnx::onnx().proto_model_for_read(&mut model)?;
    let tensors = { model.graph.iter_mut() }.flat_map(|graph| &mut graph.initializer);
    for tensor in tensors.filter(|tensor| is_elsewhere(tensor)) {
        let entries = tensor.external_data.iter_mut();
        for location in entries.filter(|entry| entry.key == "location") {
            if let Some(moved) = moved(member(path, &location.value)) {
                let name = moved.rsplit('/').next().unwrap_or(&moved);
                location.value = match location.value.rsplit_once('/') {
                    None => name.to_owned(),
                    Some((folder, _)) => format!("{folder}/{name}"),
                };
            }
        }
    }
    Ok(model.encode_to_vec())
}

/// The member of a location beside the member `path`.
pub(crate) fn member(path: &str, location: &str) -> String {
    match path.rsplit_once('/') {
        None => location.to_owned(),
        Some((folder, _)) => format!("{folder}/{location}"),
    }
}

fn is_elsewhere(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let entry = tensor.external_data.iter().find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

fn slice<'a>(tensor: &TensorProto, find: impl Fn(&str) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    let number = |key: &str| entry(tensor, key).map(str::parse::<usize>).transpose().ok();
    let bytes = find(entry(tensor, "location")?)?;
    let from = number("offset")?.unwrap_or(0);
    let bytes = bytes.get(from..)?;
    match number("length")? {
        None => Some(bytes),
        Some(length) => bytes.get(..length),
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::{AttributeProto, GraphProto};

    use super::*;

    fn tensor(name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            data_type: data_type as i32,
            dims: dims.to_vec(),
            raw_data,
            ..TensorProto::default()
        }
    }

    fn cast(input: &str, output: &str, to: DataType) -> NodeProto {
        NodeProto {
            op_type: "Cast".to_owned(),
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            attribute: vec![AttributeProto {
                name: "to".to_owned(),
                i: to as i64,
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        }
    }

    #[test]
    fn casts_of_weights_are_done_once() {
        let half = |value: f32| f16::from_f32(value).to_le_bytes();
        let halves = [half(0.5), half(-2.0)].concat();
        let graph = GraphProto {
            initializer: vec![
                tensor("signed", DataType::Int8, &[3], vec![0x80, 0xff, 0x7f]),
                tensor("unsigned", DataType::Uint8, &[1, 2], vec![0, 0xff]),
                tensor("half", DataType::Float16, &[2, 1], halves),
                tensor("cut", DataType::Int8, &[3], vec![1, 2]),
                tensor("whole", DataType::Int64, &[1], vec![1, 0, 0, 0, 0, 0, 0, 0]),
            ],
            node: vec![
                cast("signed", "a", DataType::Float),
                cast("unsigned", "b", DataType::Float),
                cast("half", "c", DataType::Float),
                cast("cut", "d", DataType::Float),
                cast("whole", "e", DataType::Float),
                cast("signed", "f", DataType::Int64),
                cast("input", "g", DataType::Float),
            ],
            ..GraphProto::default()
        };
        let mut model = ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        };
        widen(&mut model);
        let graph = model.graph.unwrap_or_default();
        let left: Vec<&str> = { graph.node.iter() }
            .map(|node| node.output[0].as_str())
            .collect();
        assert_eq!(left, ["d", "e", "f", "g"]);
        let made = |name: &str| {
            let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
            let tensor = tensor.cloned().unwrap_or_default();
            let values = tensor.raw_data.chunks_exact(4);
            let values = values.map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]));
            (tensor.dims, values.collect::<Vec<f32>>())
        };
        assert_eq!(made("a"), (vec![3], vec![-128.0, -1.0, 127.0]));
        assert_eq!(made("b"), (vec![1, 2], vec![0.0, 255.0]));
        assert_eq!(made("c"), (vec![2, 1], vec![0.5, -2.0]));
    }
}

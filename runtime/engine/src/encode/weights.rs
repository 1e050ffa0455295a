//! Weights of a model that lie in another member of its pack: of several encoders that share them, or too
//! many for one file.
//!
//! As ONNX has it (`TensorProto.external_data`): the location is relative to the folder of the model's
//! file, so that a pack that is unzipped is a folder of models that any tool opens.

use std::collections::BTreeSet;

use sensorium_pack::Pack;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, TensorProto};
use tract_onnx::prelude::{Framework, TractResult};

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

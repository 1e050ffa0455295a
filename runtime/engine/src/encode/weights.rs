//! Weights of an encoder that lie in another member of its pack, where encoders share them.
//!
//! As ONNX has it (`TensorProto.external_data`): the location is relative to the folder of the encoder's
//! file, so that a pack that is unzipped is a folder of models that any tool opens.

use sensorium_pack::Pack;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, TensorProto};

use super::EncodeError;

/// Puts the weights that lie elsewhere into the model. `path` is its member.
///
/// # Errors
///
/// A weight that lies in no member, or outside it.
pub fn gather(
    pack: &Pack,
    encoder: &str,
    path: &str,
    model: &mut ModelProto,
) -> Result<(), EncodeError> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let tensors = { model.graph.iter_mut() }.flat_map(|graph| &mut graph.initializer);
    for tensor in tensors.filter(|tensor| is_elsewhere(tensor)) {
        let found = slice(pack, folder, tensor).map(<[u8]>::to_vec);
        tensor.raw_data = found.ok_or_else(|| EncodeError::Weight {
            encoder: encoder.to_owned(),
            tensor: tensor.name.clone(),
        })?;
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(())
}

fn is_elsewhere(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

fn slice<'a>(pack: &'a Pack, folder: &str, tensor: &TensorProto) -> Option<&'a [u8]> {
    let entry = |key: &str| {
        let entries = &tensor.external_data;
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| entry(key).map(str::parse::<usize>).transpose().ok();
    let location = entry("location")?;
    let member = match folder {
        "" => location.to_owned(),
        folder => format!("{folder}/{location}"),
    };
    let bytes = pack.member(&member).ok()?;
    let from = number("offset")?.unwrap_or(0);
    let bytes = bytes.get(from..)?;
    match number("length")? {
        None => Some(bytes),
        Some(length) => bytes.get(..length),
    }
}

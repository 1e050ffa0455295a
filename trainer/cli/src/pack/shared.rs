//! Weights that several encoders of a pack have, such as a trunk's, are kept once, in a member beside
//! them; each encoder's file says where, as ONNX has it for weights in other files.

use std::collections::HashMap;

use anyhow::Context;
use prost::Message;
use sha2::{Digest, Sha256};
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};

/// Weights of fewer bytes stay where they are.
const LEAST: usize = 4096;

/// Where weights begin, as ONNX recommends for files that are mapped into memory.
const ALIGNMENT: usize = 4096;

/// Takes out of the files what several of them have; that, to be kept as `location` beside them, if there
/// is any.
///
/// # Errors
///
/// A file that is no ONNX.
pub fn share(models: &mut [Vec<u8>], location: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let decoded = models.iter().map(|model| ModelProto::decode(&model[..]));
    let mut decoded = decoded
        .collect::<Result<Vec<_>, _>>()
        .context("an encoder is not an ONNX file")?;
    let mut uses: HashMap<[u8; 32], usize> = HashMap::new();
    for model in &decoded {
        for tensor in model.graph.iter().flat_map(|graph| &graph.initializer) {
            *uses.entry(digest(tensor)).or_default() += 1;
        }
    }
    let mut kept = Vec::new();
    let mut places: HashMap<[u8; 32], usize> = HashMap::new();
    for (bytes, model) in models.iter_mut().zip(&mut decoded) {
        let tensors = { model.graph.iter_mut() }.flat_map(|graph| &mut graph.initializer);
        let mut changed = false;
        for tensor in tensors.filter(|tensor| tensor.raw_data.len() >= LEAST) {
            let digest = digest(tensor);
            if uses[&digest] < 2 {
                continue;
            }
            let offset = *places.entry(digest).or_insert_with(|| {
                kept.resize(kept.len().next_multiple_of(ALIGNMENT), 0);
                let offset = kept.len();
                kept.extend_from_slice(&tensor.raw_data);
                offset
            });
            let length = std::mem::take(&mut tensor.raw_data).len();
            let entry = |key: &str, value: String| StringStringEntryProto {
                key: key.to_owned(),
                value,
            };
            tensor.external_data = vec![
                entry("location", location.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ];
            tensor.data_location = Some(DataLocation::External as i32);
            changed = true;
        }
        if changed {
            *bytes = model.encode_to_vec();
        }
    }
    Ok((!kept.is_empty()).then_some(kept))
}

fn digest(tensor: &TensorProto) -> [u8; 32] {
    Sha256::digest(&tensor.raw_data).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Graph;

    /// `[64]` to a product with a square, plus something of its own.
    fn model(square: f32, own: f32) -> Vec<u8> {
        let mut graph = Graph::new();
        let square: Vec<f32> = (0..64 * 64).map(|i| (i as f32 * square).sin()).collect();
        let square = graph.floats("square", &[64, 64], &square);
        let own = graph.floats("own", &[64], &[own; 64]);
        let x = graph.node("MatMul", "product", &["x", &square], &[]);
        let x = graph.node("Add", "sum", &[&x, &own], &[]);
        graph.to_bytes("model", ("x", &[64]), (&x, &[64]))
    }

    #[test]
    fn what_two_files_have_is_kept_once() {
        let alone = [model(0.1, 1.0), model(0.1, 2.0), model(0.3, 3.0)];
        let mut models = alone.to_vec();
        let kept = share(&mut models, "weights.bin").unwrap().unwrap();
        assert_eq!(kept.len(), 64 * 64 * 4);
        assert!(models[0].len() < 2048 && models[1].len() < 2048);
        assert_eq!(models[2], alone[2]);
        // Any tool that knows ONNX puts them together again.
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("weights.bin"), kept).unwrap();
        let values: Vec<f32> = (0..64).map(|i| i as f32).collect();
        for (model, alone) in models.iter().zip(&alone) {
            let path = folder.path().join("model.onnx");
            std::fs::write(&path, model).unwrap();
            let run = |model: crate::anchor::model::Model| {
                let shape = [vec![1, 64]];
                let runner = model.prepare(Some(&shape), None).unwrap();
                let input = tract_onnx::prelude::Tensor::from_shape(&[1, 64], &values).unwrap();
                runner.run(vec![input]).unwrap().0
            };
            let joined = run(crate::anchor::model::Model::open(&path).unwrap());
            std::fs::write(&path, alone).unwrap();
            assert_eq!(
                joined,
                run(crate::anchor::model::Model::open(&path).unwrap())
            );
        }
        assert_eq!(
            share(&mut alone[1..].to_vec(), "weights.bin").unwrap(),
            None
        );
    }
}

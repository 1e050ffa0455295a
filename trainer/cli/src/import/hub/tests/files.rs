//! ONNX files of all forms.

use half::f16;
use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};

use super::*;

#[test]
fn weights_in_files_beside_the_graph_are_read() {
    let hub = Hub::new();
    hub.clip("clip");
    let plain = hub.import(&["clip"]).unwrap();
    let mut model = ModelProto::decode(&text_model("tokens", "text_embeds")[..]).unwrap();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    let raw = std::mem::take(&mut tensor.raw_data);
    tensor.data_location = Some(DataLocation::External as i32);
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    tensor.external_data = vec![entry("location", "text.bin"), entry("offset", "16")];
    hub.write("clip/onnx/text.bin", [&[9; 16], &raw[..]].concat());
    hub.write("clip/onnx/text_model.onnx", model.encode_to_vec());
    let beside = hub.import(&["clip"]).unwrap();
    assert_eq!(said(&beside, "a red thing"), said(&plain, "a red thing"));
    let refused = |key: &str, value: &str, expected: &str| {
        let mut model = model.clone();
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.external_data.push(entry("length", "8"));
        let entry = tensor
            .external_data
            .iter_mut()
            .find(|entry| entry.key == key);
        value.clone_into(&mut entry.unwrap().value);
        hub.write("clip/onnx/text_model.onnx", model.encode_to_vec());
        let error = hub.error(&["clip"]);
        assert!(
            error.contains("weight \"table\"") && error.contains(expected),
            "{error}"
        );
    };
    refused("location", "none.bin", "none.bin");
    refused("location", "../text.bin", "expected a file beside this one");
    refused(
        "length",
        "100000",
        "it has 144 bytes, expected 100000 from 16 on",
    );
    refused("offset", "x", "its offset is no number");
}

/// Makes the weights of a graph, and what goes in and comes out, be of 16 bits.
fn halved(onnx: &[u8]) -> Vec<u8> {
    const FLOAT: i32 = DataType::Float as i32;
    const HALF: i32 = DataType::Float16 as i32;
    let mut model = ModelProto::decode(onnx).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let weights = graph.initializer.iter_mut();
    for tensor in weights.filter(|tensor| tensor.data_type == FLOAT) {
        let words = tensor.raw_data.chunks_exact(4);
        let numbers = words.map(|word| f32::from_le_bytes(word.try_into().unwrap()));
        let halves = numbers.flat_map(|number| f16::from_f32(number).to_le_bytes());
        tensor.raw_data = halves.collect();
        tensor.data_type = HALF;
    }
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let kind = value.r#type.as_mut().unwrap().value.as_mut().unwrap();
        if let TypeValue::TensorType(tensor) = kind
            && tensor.elem_type == FLOAT
        {
            tensor.elem_type = HALF;
        }
    }
    model.encode_to_vec()
}

#[test]
fn weights_of_16_bits_are_computed_with_in_32() {
    let hub = Hub::new();
    hub.clip("clip");
    hub.write(
        "clip/onnx/text_model_fp16.onnx",
        halved(&text_model("tokens", "text_embeds")),
    );
    hub.write(
        "clip/onnx/vision_model_fp16.onnx",
        halved(&vision_model("image_embeds")),
    );
    let pack = hub.import(&["clip", "--variant", "fp16"]).unwrap();
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
    let words = unit(&sum(&["a", "blue", "thing"]));
    assert!(near(&said(&pack, "a blue thing"), &words));
    let (_, values) = picture(40);
    let encoder = Encoder::load(&pack, Modality::Image).unwrap();
    assert!(near(
        &encoder.run(&values).unwrap(),
        &unit(&linear(&values, DIM))
    ));
}

#[test]
fn files_that_cannot_be_run_are_refused_in_a_line() {
    let hub = Hub::new();
    hub.clip("clip");
    let error = |change: &dyn Fn(&mut TensorProto)| {
        let mut model = ModelProto::decode(&text_model("tokens", "text_embeds")[..]).unwrap();
        change(&mut model.graph.as_mut().unwrap().initializer[0]);
        hub.write("clip/onnx/text_model.onnx", model.encode_to_vec());
        let error = hub.error(&["clip"]);
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    };
    // A table of one word, where others are looked up.
    let short = error(&|table| {
        table.dims[0] = 1;
        table.raw_data.truncate(4 * DIM);
    });
    assert!(
        short.contains("the text tower: the inference library failed on it"),
        "{short}"
    );
    let lies = error(&|table| table.dims[0] += 1);
    assert!(lies.contains("text model"), "{lies}");
    let damaged = error(&|table| table.raw_data.fill(0xff));
    assert!(
        damaged.contains("the text tower gives what is not a number"),
        "{damaged}"
    );
    hub.write(
        "clip/onnx/text_model.onnx",
        text_model("tokens", "text_embeds"),
    );

    let mut model = ModelProto::decode(&vision_model("image_embeds")[..]).unwrap();
    let weights = &mut model.graph.as_mut().unwrap().initializer;
    weights
        .iter_mut()
        .filter(|w| w.name == "weight")
        .for_each(|w| w.raw_data.fill(0xff));
    hub.write("clip/onnx/vision_model.onnx", model.encode_to_vec());
    let damaged = hub.error(&["clip"]);
    assert!(damaged.contains("its output is not a number"), "{damaged}");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    hub.write("clip/onnx/vision_model.onnx", pointer);
    assert!(
        hub.error(&["clip"])
            .contains("vision_model.onnx\": it only tells where the file is (Git LFS)")
    );
}

//! Graphs of numbers of 16 bits, as graphs of 32: the inference library knows few operators of the former,
//! and all of the latter.

use half::{bf16, f16};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, TensorProto, ValueInfoProto};

const FLOAT: i32 = DataType::Float as i32;

/// Attributes that hold a type.
const TYPES: [&str; 2] = ["to", "dtype"];

/// Makes all that is of 16 bits in a graph be of 32.
pub fn widen(graph: &mut GraphProto) {
    let values = graph.input.iter_mut().chain(&mut graph.output);
    values.chain(&mut graph.value_info).for_each(widen_value);
    graph.initializer.iter_mut().for_each(widen_tensor);
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        if TYPES.contains(&attribute.name.as_str()) && is_short(attribute.i as i32) {
            attribute.i = i64::from(FLOAT);
        }
        let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
        tensors.for_each(widen_tensor);
        let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
        graphs.for_each(widen);
    }
}

fn is_short(kind: i32) -> bool {
    kind == DataType::Float16 as i32 || kind == DataType::Bfloat16 as i32
}

fn widen_value(value: &mut ValueInfoProto) {
    let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    if let Some(Value::TensorType(tensor)) = kind
        && is_short(tensor.elem_type)
    {
        tensor.elem_type = FLOAT;
    }
}

fn widen_tensor(tensor: &mut TensorProto) {
    if !is_short(tensor.data_type) {
        return;
    }
    let is_brain = tensor.data_type == DataType::Bfloat16 as i32;
    let float = |bits: u16| match is_brain {
        true => bf16::from_bits(bits).to_f32(),
        false => f16::from_bits(bits).to_f32(),
    };
    let pairs = tensor.raw_data.chunks_exact(2);
    let raw = pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    // The others are in the lower halves of whole numbers.
    let listed = tensor.int32_data.iter().map(|number| *number as u16);
    let floats: Vec<u8> = raw
        .chain(listed)
        .flat_map(|bits| float(bits).to_le_bytes())
        .collect();
    tensor.raw_data = floats;
    tensor.int32_data.clear();
    tensor.data_type = FLOAT;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_keep_their_numbers() {
        let numbers = [1.0f32, -0.5, 65504.0];
        let floats = |tensor: &TensorProto| -> Vec<f32> {
            let words = tensor.raw_data.chunks_exact(4);
            words
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect()
        };
        let raw = TensorProto {
            data_type: DataType::Float16 as i32,
            raw_data: numbers
                .iter()
                .flat_map(|n| f16::from_f32(*n).to_le_bytes())
                .collect(),
            ..TensorProto::default()
        };
        let listed = TensorProto {
            data_type: DataType::Bfloat16 as i32,
            int32_data: numbers[..2]
                .iter()
                .map(|n| i32::from(bf16::from_f32(*n).to_bits()))
                .collect(),
            ..TensorProto::default()
        };
        for (mut tensor, expected) in [(raw, &numbers[..]), (listed, &numbers[..2])] {
            widen_tensor(&mut tensor);
            assert_eq!(floats(&tensor), expected);
            assert_eq!((tensor.data_type, tensor.int32_data.len()), (FLOAT, 0));
        }
        let mut other = TensorProto {
            data_type: DataType::Int64 as i32,
            raw_data: vec![1; 8],
            ..TensorProto::default()
        };
        let kept = other.clone();
        widen_tensor(&mut other);
        assert_eq!(other, kept);
    }
}

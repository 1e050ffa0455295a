use super::*;
use crate::export::OnnxEncoder;
use crate::onnx::{Attribute, Graph};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

/// Numbers that are as good as random, as weights are.
fn noise(len: usize, seed: f32) -> Vec<f32> {
    let number = |i: usize| {
        let mixed = (i as f32 * 12.9898 + seed).sin() * 43_758.547;
        mixed - mixed.floor() - 0.5
    };
    (0..len).map(number).collect()
}

fn decoded(onnx: &[u8]) -> ModelProto {
    ModelProto::decode(onnx).unwrap()
}

fn graph_of(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

/// The weights that became integers, and the axis of each.
fn axes(onnx: &[u8]) -> Vec<(String, i64)> {
    let model = decoded(onnx);
    let nodes = model.graph.unwrap().node.into_iter();
    let mut axes: Vec<_> = nodes
        .filter(|node| node.op_type == "DequantizeLinear")
        .map(|node| (node.output[0].clone(), node.attribute[0].i))
        .collect();
    axes.sort();
    axes
}

fn run_both(float: &[u8], int8: &[u8], shape: &[usize]) -> f32 {
    let input = noise(shape.iter().product(), 0.31);
    let [a, b] = [float, int8].map(|onnx| OnnxEncoder::new(onnx, shape).unwrap());
    cosine(&a.embed(&input).unwrap(), &b.embed(&input).unwrap())
}

/// Every way that a weight is met: plainly, turned, as a node, on the left of a product, and by convolutions
/// of one group, of several and of one a channel.
fn net() -> (Vec<u8>, [usize; 3]) {
    let mut graph = Graph::new();
    let ones = |n| Attribute::Int(n);
    let w = graph.floats("plain", &[16, 24, 3, 3], &noise(16 * 24 * 9, 0.7));
    let pads = ("pads", Attribute::Ints(&[1, 1, 1, 1]));
    let y = graph.node("Conv", "y0", &["x", &w], &[pads]);
    let w = graph.floats("depthwise", &[16, 1, 5, 5], &noise(16 * 25, 0.9));
    let wide = ("pads", Attribute::Ints(&[2, 2, 2, 2]));
    let y = graph.node("Conv", "y1", &[&y, &w], &[wide, ("group", ones(16))]);
    let y = graph.node("Relu", "y2", &[&y], &[]);
    let shape = graph.ints("shape", &[-1, 16, 64]);
    let y = graph.node("Reshape", "y3", &[&y, &shape], &[]);
    let w = graph.floats("left", &[20, 16], &noise(320, 0.37));
    let y = graph.node("MatMul", "y4", &[&w, &y], &[]);
    let w = graph.floats("right", &[64, 12], &noise(64 * 12, 0.53));
    let y = graph.node("MatMul", "y5", &[&y, &w], &[]);
    let shape = graph.ints("flat", &[-1, 240]);
    let y = graph.node("Reshape", "y6", &[&y, &shape], &[]);
    let w = graph.floats("rows", &[30, 240], &noise(30 * 240, 0.11));
    let y = graph.node("Gemm", "y7", &[&y, &w], &[("transB", ones(1))]);
    let w = graph.floats("columns", &[30, 31], &noise(30 * 31, 0.13));
    let y = graph.node("Gemm", "y8", &[&y, &w], &[]);
    let w = graph.floats("turned", &[18, 31], &noise(18 * 31, 0.19));
    let w = graph.node(
        "Transpose",
        "turned.t",
        &[&w],
        &[("perm", Attribute::Ints(&[1, 0]))],
    );
    let w = graph.node("Identity", "turned.same", &[&w], &[]);
    let y = graph.node("MatMul", "y9", &[&y, &w], &[]);
    // Used by two products along different axes, so it has no channels.
    let both = graph.floats("both", &[18, 18], &noise(18 * 18, 0.23));
    let y = graph.node("MatMul", "y10", &[&y, &both], &[]);
    let y = graph.node("Gemm", "y11", &[&y, &both], &[("transB", ones(1))]);
    let bias = graph.floats("bias", &[18], &noise(18, 0.5));
    let y = graph.node("Add", "y12", &[&y, &bias], &[]);
    let bytes = graph.to_bytes("net", ("x", &[24, 8, 8]), (&y, &[18]));
    (bytes, [24, 8, 8])
}

#[test]
fn every_weight_of_a_product_has_a_scale_an_output() {
    let (float, shape) = net();
    let (small, summary) = int8(&float, 0.0).unwrap();
    let expected = [
        ("columns", 1),
        ("depthwise", 0),
        ("left", 0),
        ("plain", 0),
        ("right", 1),
        ("rows", 0),
        ("turned", 0),
    ];
    assert_eq!(
        axes(&small),
        expected.map(|(name, axis)| (name.to_owned(), axis))
    );
    assert_eq!((summary.quantised, summary.left), (7, 1));
    assert!(3 * small.len() < float.len() + 6000);
    assert!((1e-4..1e-2).contains(&summary.relative_error()));
    let cosine = run_both(&float, &small, &shape);
    assert!(cosine > 0.999, "{cosine}");
    // Once more changes nothing: what is an integer is no weight of floats any more.
    let (again, summary) = int8(&small, 0.0).unwrap();
    assert_eq!((again, summary.quantised), (small, 0));
}

#[test]
fn the_smallest_weights_stay_floats_as_long_as_they_cost_little() {
    let (float, shape) = net();
    let (small, summary) = int8(&float, 0.3).unwrap();
    let names: Vec<_> = axes(&small).into_iter().map(|(name, _)| name).collect();
    // 320, 400 and 558 numbers of 13 632; with 768 more it would be too many.
    assert_eq!(names, ["columns", "plain", "right", "rows"]);
    assert_eq!((summary.quantised, summary.left), (4, 4));
    let close = run_both(&float, &small, &shape);
    let (smallest, _) = int8(&float, 0.0).unwrap();
    let far = run_both(&float, &smallest, &shape);
    assert!(close > far, "{close} {far}");
    // Once more changes nothing: those stay floats.
    let (again, summary) = int8(&small, 0.3).unwrap();
    assert_eq!((again, summary.quantised, summary.left), (small, 0, 4));
}

/// As other programs write files: a weight that is a node, one by its numbers instead of bytes, one that
/// is an input too, and names that are taken.
#[test]
fn weights_are_found_however_they_are_kept() {
    let (float, shape) = net();
    let mut model = decoded(&float);
    let graph = graph_of(&mut model);
    let place = |graph: &GraphProto, name| graph.initializer.iter().position(|t| t.name == name);
    let at = place(graph, "right").unwrap();
    let node = NodeProto {
        op_type: "Constant".to_owned(),
        output: vec!["right".to_owned()],
        attribute: vec![AttributeProto {
            name: "value".to_owned(),
            r#type: AttributeType::Tensor as i32,
            t: Some(graph.initializer.remove(at)),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    };
    graph.node.insert(3, node);
    let at = place(graph, "rows").unwrap();
    let tensor = &mut graph.initializer[at];
    let (chunks, _) = tensor.raw_data.as_chunks();
    tensor.float_data = chunks
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect();
    tensor.raw_data.clear();
    let mut input = graph.input[0].clone();
    input.name = "left".to_owned();
    graph.input.push(input);
    let at = place(graph, "bias").unwrap();
    graph.initializer[at].name = "plain.int8".to_owned();
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| *input == "bias") {
            *input = "plain.int8".to_owned();
        }
    }
    let (small, summary) = int8(&model.encode_to_vec(), 0.0).unwrap();
    assert_eq!(summary.quantised, 7);
    let cosine = run_both(&float, &small, &shape);
    assert!(cosine > 0.999, "{cosine}");
    let graph = decoded(&small).graph.unwrap();
    assert_eq!(graph.input.len(), 1, "a constant is no input any more");
    assert!(graph.initializer.iter().any(|t| t.name == "plain.int8_"));
}

#[test]
fn what_is_no_such_file_is_refused() {
    let (float, _) = net();
    let error = |onnx: &[u8]| int8(onnx, 0.0).unwrap_err().to_string();
    assert_eq!(error(b"\xff\xff\xff"), "it is not an ONNX file");
    assert_eq!(
        error(b""),
        "it does not say which version of the operators it uses"
    );
    for len in (0..float.len()).step_by(97) {
        assert!(int8(&float[..len], 0.0).is_err(), "the first {len} bytes");
    }
    let altered = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = decoded(&float);
        change(&mut model);
        error(&model.encode_to_vec())
    };
    let first = |change: fn(&mut tract_onnx::pb::TensorProto)| {
        altered(&|model| {
            let tensors = &mut graph_of(model).initializer;
            change(tensors.iter_mut().find(|t| t.name == "plain").unwrap());
        })
    };
    assert_eq!(
        first(|tensor| tensor.raw_data.truncate(40)),
        "weight \"plain\" has 10 numbers, expected 3456 for its shape"
    );
    assert!(first(|tensor| tensor.raw_data.push(0)).contains("has 3456 numbers, expected 3456"));
    assert_eq!(
        first(|tensor| tensor.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes())),
        "weight \"plain\" holds NaN"
    );
    assert_eq!(
        first(|tensor| tensor.dims[0] = -1),
        "weight \"plain\" has shape [-1, 24, 3, 3]"
    );
    assert!(first(|tensor| tensor.dims = vec![i64::MAX; 4]).contains("has shape"));
    assert_eq!(
        first(|tensor| tensor.data_location = Some(1)),
        "weight \"plain\" is kept in another file, expected all weights in one"
    );
    assert_eq!(altered(&|model| model.graph = None), "it holds no graph");
    assert_eq!(
        altered(&|model| model.opset_import[0].version = 9),
        "its operators are of version 9, expected at least 11: export it anew"
    );
}

/// Of operators of version 12: settings that became inputs, and a softmax over the last axis.
#[test]
fn older_operators_are_raised_where_they_mean_the_same() {
    let mut graph = Graph::new();
    let w = graph.floats("w", &[32, 32], &noise(1024, 0.7));
    let y = graph.node("MatMul", "y0", &["x", &w], &[]);
    let axes = [("axes", Attribute::Ints(&[1]))];
    let y = graph.node("Unsqueeze", "y1", &[&y], &axes);
    let y = graph.node(
        "ReduceSum",
        "y2",
        &[&y],
        &[axes[0], ("keepdims", Attribute::Int(1))],
    );
    let y = graph.node("Squeeze", "y3", &[&y], &axes);
    let y = graph.node("Softmax", "y4", &[&y], &[("axis", Attribute::Int(-1))]);
    let old = |graph: &Graph, y: &str| {
        let mut model = decoded(&graph.to_bytes("old", ("x", &[32]), (y, &[32])));
        model.opset_import[0].version = 12;
        model.ir_version = 6;
        model.encode_to_vec()
    };
    let float = old(&graph, &y);
    let (small, _) = int8(&float, 0.0).unwrap();
    let model = decoded(&small);
    assert_eq!((model.opset_import[0].version, model.ir_version), (13, 7));
    assert!(run_both(&float, &small, &[32]) > 0.9999);
    let inputs: Vec<_> = model
        .graph
        .unwrap()
        .node
        .iter()
        .map(|n| n.input.len())
        .collect();
    assert_eq!(inputs, [2, 2, 2, 2, 2, 1]);

    // By itself it is over the second axis and all after; nothing says how many there are.
    let y = graph.node("Softmax", "y5", &[&y], &[]);
    let y = graph.node("Relu", "y6", &[&y], &[]);
    let error = int8(&old(&graph, &y), 0.0).unwrap_err().to_string();
    assert!(
        error.starts_with("node \"y5\", Softmax, means something else"),
        "{error}"
    );
}

#[test]
fn weights_of_other_types_are_left() {
    let (float, _) = net();
    let mut model = decoded(&float);
    for tensor in &mut graph_of(&mut model).initializer {
        tensor.data_type = DataType::Float16 as i32;
    }
    let (_, summary) = int8(&model.encode_to_vec(), 0.0).unwrap();
    assert_eq!((summary.quantised, summary.left), (0, 8));
}

#[test]
fn a_table_has_a_scale_a_row() {
    const ROWS: usize = 40;
    let mut graph = Graph::new();
    // Rows that differ in size, as those of rare and of frequent words do.
    let table: Vec<f32> = { noise(ROWS * 32, 0.3).into_iter().enumerate() }
        .map(|(at, value)| value * (1 + at / 32) as f32)
        .collect();
    let table = graph.floats("table", &[ROWS, 32], &table);
    let rows = graph.node("Gather", "rows", &[&table, "input_ids"], &[]);
    let float = graph.text_model(&["input_ids"], &[(&rows, &[0, 32])]);
    let (small, summary) = int8(&float, 0.0).unwrap();
    assert_eq!(axes(&small), [("table".to_owned(), 0)]);
    assert_eq!((summary.quantised, summary.numbers), (1, ROWS * 32));
    assert!(2 * small.len() < float.len());
    assert!((1e-4..1e-2).contains(&summary.relative_error()));
}

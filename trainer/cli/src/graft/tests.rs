use super::*;
use crate::export::embed_onnx;
use crate::onnx::Graph;

/// `[2]` to `x + [1, 2]` and, twice as large, a second output; named as heads name theirs.
fn trunk() -> Vec<u8> {
    let mut graph = Graph::new();
    let one = graph.floats("weight", &[2], &[1.0, 2.0]);
    let two = graph.floats("two", &[1], &[2.0]);
    let sum = graph.node("Add", "sum", &["x", &one], &[]);
    let twice = graph.node("Mul", "twice", &[&sum, &two], &[]);
    let bytes = graph.to_bytes("trunk", ("x", &[2]), (&twice, &[2]));
    let mut model = ModelProto::decode(&bytes[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let mut first = graph.output[0].clone();
    first.name = sum;
    graph.output.insert(0, first);
    model.encode_to_vec()
}

/// `[2]` to 10 times each, by the trunk's own names.
fn head() -> Vec<u8> {
    let mut graph = Graph::new();
    let ten = graph.floats("weight", &[1], &[10.0]);
    let sum = graph.node("Mul", "sum", &["features", &ten], &[]);
    graph.to_bytes("head", ("features", &[2]), (&sum, &[2]))
}

fn named(name: &str) -> Output {
    Output::Name(name.to_owned())
}

#[test]
fn a_head_is_given_what_the_trunk_gives() {
    for (output, expected) in [
        (named("sum"), [60.0, 80.0]),
        (named("twice"), [120.0, 160.0]),
        (Output::Index(1), [120.0, 160.0]),
    ] {
        let both = graft(&trunk(), Some(&output), &head()).unwrap();
        assert_eq!(embed_onnx(&both, &[2], &[5.0, 6.0]).unwrap(), expected);
    }
}

#[test]
fn what_the_head_does_not_need_is_left_out() {
    let both = graft(&trunk(), Some(&named("sum")), &head()).unwrap();
    let graph = ModelProto::decode(&both[..]).unwrap().graph.unwrap();
    let nodes: Vec<&str> = graph.node.iter().map(|node| &node.name[..]).collect();
    assert_eq!(nodes, ["sum", "sum_"]);
    let weights: Vec<&str> = graph.initializer.iter().map(|t| &t.name[..]).collect();
    assert_eq!(weights, ["weight", "weight_"]);
    let outputs: Vec<&str> = graph.output.iter().map(|o| &o.name[..]).collect();
    assert_eq!(outputs, ["sum_"]);
}

#[test]
fn what_does_not_fit_is_named() {
    let message = |trunk: &[u8], output: Option<&Output>, head: &[u8]| {
        graft(trunk, output, head).unwrap_err().to_string()
    };
    let (trunk, head) = (trunk(), head());
    assert_eq!(
        message(&trunk, Some(&named("logits")), &head),
        "the trunk has no output \"logits\", its outputs are [\"sum\", \"twice\"]"
    );
    assert_eq!(
        message(&trunk, None, &head),
        "the trunk has no output of its own, its outputs are [\"sum\", \"twice\"]"
    );
    assert_eq!(
        message(&trunk, Some(&named("sum")), &trunk),
        "the head has 1 inputs and 2 outputs, expected one of each"
    );
    assert_eq!(
        message(b"\x3a\xff", None, &head),
        "the trunk is not an ONNX file"
    );
    assert_eq!(message(&trunk, None, b""), "the head holds no graph");
    let changed = |change: fn(&mut ModelProto)| {
        let mut model = ModelProto::decode(&trunk[..]).unwrap();
        change(&mut model);
        message(&model.encode_to_vec(), Some(&named("sum")), &head)
    };
    assert_eq!(
        changed(|model| model.opset_import[0].version = 7),
        "the trunk's operators are of version 7, expected 13 to 23"
    );
    let external = changed(|model| {
        let entry = tract_onnx::pb::StringStringEntryProto {
            key: "location".into(),
            value: "weights.bin".into(),
        };
        model.graph.as_mut().unwrap().initializer[0].external_data = vec![entry];
    });
    assert_eq!(
        external,
        "weight \"weight\" of the trunk is in a file beside it, expected all in one file"
    );
}

#[test]
fn an_output_is_kept_beside_what_the_head_gives() {
    let (kept, joint) = (named("sum"), named("twice"));
    let both = beside(&trunk(), Some(&kept), Some(&joint), &head()).unwrap();
    let rows = embed_onnx(&both, &[2], &[5.0, 6.0, 0.0, 0.0]).unwrap();
    assert_eq!(rows, [6.0, 8.0, 120.0, 160.0, 1.0, 2.0, 20.0, 40.0]);
    let error = beside(&trunk(), Some(&named("no")), Some(&joint), &head());
    assert_eq!(
        error.unwrap_err().to_string(),
        "the trunk has no output \"no\", its outputs are [\"sum\", \"twice\"]"
    );
}

//! Nets that take samples of sound, and those that were published as two files.

use sensorium_core::feature::Processor;
use sensorium_pack::FrontEnd;
use serde_json::json;

use super::*;
use crate::anchor::tiny::{Tiny, text_model};

/// Samples of a clip, at a thousand a second.
const SAMPLES: usize = 8;

/// A classifier of sounds by samples: `input_values`, of any length if `len` is 0, to the sums of the first
/// and of the last samples.
fn classifier(hub: &Hub, len: usize) {
    let config = json!({
        "model_type": "wav2vec2", "architectures": ["Wav2Vec2ForSequenceClassification"],
        "id2label": {"0": "start", "1": "end"}
    });
    hub.write("waves/config.json", config.to_string());
    let extractor = json!({
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 1000, "feature_size": 1,
        "padding_side": "right", "padding_value": 0, "do_normalize": true
    });
    hub.write("waves/preprocessor_config.json", extractor.to_string());
    let mut graph = Graph::new();
    let halves: Vec<f32> = (0..SAMPLES)
        .flat_map(|at| match at < SAMPLES / 2 {
            true => [1.0, 0.0],
            false => [0.0, 1.0],
        })
        .collect();
    let halves = graph.floats("halves", &[SAMPLES, 2], &halves);
    let logits = graph.node("MatMul", "logits", &["input_values", &halves], &[]);
    let onnx = graph.to_bytes("waves", ("input_values", &[len]), (&logits, &[2]));
    hub.write("waves/onnx/model.onnx", onnx);
}

#[test]
fn samples_are_standardised_and_clips_as_long_as_the_net_takes_them() {
    let hub = Hub::new();
    classifier(&hub, SAMPLES);
    let pack = hub.import(&["waves"]).unwrap();
    let encoder = Encoder::load(&pack, Modality::Audio).unwrap();
    let Processor::Sound(front_end) = encoder.processor() else {
        panic!("{:?}", encoder.processor());
    };
    assert_eq!(
        (front_end.rate_hz(), front_end.output_shape()),
        (1000, vec![SAMPLES])
    );
    let sound = [0.5, 0.5, 0.5, 0.5, -0.25, -0.25, 0.0, 0.0];
    let mut features = [f32::NAN; SAMPLES];
    front_end.clip(&sound, &mut features).unwrap();
    // Deviations of 0.3125 around 0.1875, and so on; their halves sum to 0.
    let row = encoder.run(&features).unwrap();
    let half = std::f32::consts::FRAC_1_SQRT_2;
    assert_close(&row, &[half, -half]);

    let error = hub.error(&["waves", "--clip-s", "1"]);
    assert!(
        error.contains("--clip-s is 1, and the net takes 0.008 s"),
        "{error}"
    );
    // Where any length will do, it is what is asked for.
    classifier(&hub, 0);
    let pack = hub.import(&["waves", "--clip-s", "0.008"]).unwrap();
    let FrontEnd::Wave(spec) = &pack.manifest().encoders[0].front_end else {
        panic!("{:?}", pack.manifest().encoders[0].front_end);
    };
    assert_eq!(spec.clip_s, 0.008);
    assert!(
        hub.error(&["waves", "--clip-s", "0"])
            .contains("clip_s is 0")
    );
    hub.alter("waves/preprocessor_config.json", "dither", json!(0.1));
    assert!(
        hub.error(&["waves"])
            .contains("key \"dither\" is not understood")
    );
}

#[test]
fn a_net_of_two_files_becomes_one() {
    const MIDDLE: usize = 4;
    let hub = Hub::new();
    let before = |outputs: usize| {
        let mut graph = Graph::new();
        let weight = graph.floats("weight", &[SAMPLES, outputs], &numbers(SAMPLES * outputs));
        let rows = graph.node("MatMul", "rows", &["samples", &weight], &[]);
        let onnx = graph.to_bytes("before", ("samples", &[0]), (&rows, &[outputs]));
        hub.write("two/before.onnx", onnx);
    };
    before(MIDDLE);
    // The same names as in the first file; its rows are [1, 1, DIM].
    let mut graph = Graph::new();
    let weight = graph.floats("weight", &[MIDDLE, DIM], &numbers(MIDDLE * DIM));
    let flat = graph.ints("flat", &[0, 1, 1, MIDDLE as i64]);
    let flat = graph.node("Reshape", "flattened", &["samples", &flat], &[]);
    let rows = graph.node("MatMul", "rows", &[&flat, &weight], &[]);
    let onnx = graph.to_bytes("after", ("samples", &[2, 2, 1]), (&rows, &[1, 1, DIM]));
    hub.write("two/encoder.onnx", onnx);
    let encoder = |before: &str| {
        let text = format!(
            "modality = \"audio\"\n{before}\n[front_end]\nkind = \"wave\"\nrate_hz = 1000\nclip_s = 0.008\n"
        );
        hub.write("two/encoder.toml", text);
    };
    encoder("before = { file = \"before.onnx\", scale = 0.5, offset = 2.0 }");
    let pack = hub.import(&["two"]).unwrap();
    let features = numbers(SAMPLES);
    let middle: Vec<f32> = linear(&features, MIDDLE)
        .iter()
        .map(|v| 0.5 * v + 2.0)
        .collect();
    let row = Encoder::load(&pack, Modality::Audio)
        .unwrap()
        .run(&features)
        .unwrap();
    assert_close(&row, &unit(&linear(&middle, DIM)));

    // Words have no place in it, so a text model does not fit, unless by its length.
    let space = Space::load(&pack, "two").unwrap();
    assert!(!space.knows_words());
    let shorter = Tiny::new();
    shorter.write("words/model.onnx", text_model(DIM - 1));
    let error = space
        .with_text_model(&shorter.path("words"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("gives 3 numbers, and words of the space \"two\"")
            && error.contains("have 4"),
        "{error}"
    );

    encoder("");
    let error = hub.error(&["two"]);
    assert!(
        error.contains("is [any, 2, 2, 1], and the front end gives [8]"),
        "{error}"
    );
    encoder("before = { file = \"missing.onnx\" }");
    assert!(hub.error(&["two"]).contains("missing.onnx"));
    encoder("before = { file = \"before.onnx\", gain = 2.0 }");
    assert!(hub.error(&["two"]).contains("gain"));
    // What the second net cannot take.
    encoder("before = { file = \"before.onnx\" }");
    before(MIDDLE + 1);
    let error = hub.error(&["two"]);
    assert!(error.contains("encoder.onnx"), "{error}");
}

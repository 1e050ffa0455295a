//! Folders of one encoder: classifiers, and those that say what they take.

use sensorium_core::bank::normalize;
use sensorium_model::weights::Weights;
use serde_json::json;

use super::*;

#[test]
fn the_names_of_a_classifier_are_the_axes_of_its_space() {
    let hub = Hub::new();
    hub.classifier("ast");
    let pack = hub.import(&["ast"]).unwrap();
    assert_eq!(said(&pack, "hiss"), [0.0, 1.0]);
    let encoder = Encoder::load(&pack, Modality::Audio).unwrap();
    // Frames of 8: the lower half is 1, the upper half 3.
    let features: Vec<f32> = (0..32)
        .map(|at| if at % 8 < 4 { 1.0 } else { 3.0 })
        .collect();
    assert_close(&encoder.run(&features).unwrap(), &unit(&[1.0, 3.0]));
    let classes = String::from_utf8(pack.member("classes.toml").unwrap().to_vec()).unwrap();
    assert!(classes.contains("name = \"hum\""), "{classes}");
    hub.alter(
        "ast/config.json",
        "id2label",
        json!({"0": "hum", "2": "hiss"}),
    );
    assert!(
        hub.error(&["ast"])
            .contains("\"id2label\" has no name for 1")
    );
    hub.alter(
        "ast/config.json",
        "id2label",
        json!({"0": "a", "1": "b", "2": "c"}),
    );
    assert!(
        hub.error(&["ast"])
            .contains("gives 2 numbers, and config.json has 3 names")
    );
    // As ImageNet has two cranes.
    hub.alter(
        "ast/config.json",
        "id2label",
        json!({"0": "crane", "1": "crane"}),
    );
    let pack = hub.import(&["ast"]).unwrap();
    assert_eq!(said(&pack, "crane"), [1.0, 0.0]);
    assert_eq!(said(&pack, "crane (2)"), [0.0, 1.0]);
}

#[test]
fn a_part_of_a_processor_file_goes_before_a_file_of_its_own() {
    let hub = Hub::new();
    hub.classifier("ast");
    let own = std::fs::read(hub.path("ast/preprocessor_config.json")).unwrap();
    let own: Value = serde_json::from_slice(&own).unwrap();
    let both = json!({"processor_class": "ASTProcessor", "feature_extractor": own});
    hub.write("ast/processor_config.json", both.to_string());
    hub.alter("ast/preprocessor_config.json", "window", json!("x"));
    hub.import(&["ast"]).unwrap();
    hub.write(
        "ast/processor_config.json",
        json!({"processor_class": "ASTProcessor"}).to_string(),
    );
    assert!(hub.error(&["ast"]).contains("\"window\" is not understood"));
    std::fs::remove_file(hub.path("ast/preprocessor_config.json")).unwrap();
    assert!(
        hub.error(&["ast"])
            .contains("has no feature_extractor or image_processor")
    );
}

#[test]
fn a_folder_of_one_encoder_says_what_it_takes() {
    const SAMPLES: usize = 8;
    let hub = Hub::new();
    let mut graph = Graph::new();
    let shape = graph.ints("shape", &[0, 6 * SAMPLES as i64]);
    let weight = graph.floats("weight", &[6 * SAMPLES, DIM], &numbers(6 * SAMPLES * DIM));
    let flat = graph.node("Reshape", "flat", &["imu", &shape], &[]);
    let rows = graph.node("MatMul", "rows", &[&flat, &weight], &[]);
    let onnx = graph.to_bytes("imu", ("imu", &[SAMPLES, 6]), (&rows, &[DIM]));
    hub.write("imu/encoder.onnx", onnx);
    let file = |layout: &str| {
        let text = format!(
            "modality = \"imu\"\n[front_end]\nkind = \"imu\"\nrate_hz = 50\nsamples = {SAMPLES}\n\
             units = {{ acc = \"m/s2\", gyro = \"rad/s\" }}\nlayout = \"{layout}\"\n"
        );
        hub.write("imu/encoder.toml", text);
    };
    file("channels-last");
    let pack = hub.import(&["imu"]).unwrap();
    let encoder = Encoder::load(&pack, Modality::Imu).unwrap();
    let features = numbers(6 * SAMPLES);
    // What the file takes sample by sample, the front end gives channel by channel.
    let turned: Vec<f32> = (0..6 * SAMPLES)
        .map(|at| features[at % 6 * SAMPLES + at / 6])
        .collect();
    let mut expected = linear(&turned, DIM);
    normalize(&mut expected);
    assert_close(&encoder.run(&features).unwrap(), &expected);
    file("channels-first");
    assert!(
        hub.error(&["imu"])
            .contains("is [any, 8, 6], and the front end gives [6, 8]")
    );
    let other = "modality = \"audio\"\n[front_end]\nkind = \"x\"\n";
    hub.write("imu/encoder.toml", other);
    assert!(hub.error(&["imu"]).contains("unknown variant `x`"));

    // Golden windows are as the encoder takes them.
    file("channels-last");
    let golden = |embedding: &[f32]| {
        let mut weights = Weights::new();
        weights.insert("imu", &[1, SAMPLES, 6], turned.clone());
        weights.insert("embedding", &[1, DIM], embedding.to_vec());
        weights
            .write(&hub.path("imu/golden/golden.safetensors"))
            .unwrap();
    };
    std::fs::create_dir_all(hub.path("imu/golden")).unwrap();
    golden(&linear(&turned, DIM));
    hub.import(&["imu"]).unwrap();
    golden(&linear(&features, DIM));
    assert!(
        hub.error(&["imu"])
            .contains("golden, imu-imu: embeddings differ by")
    );
}

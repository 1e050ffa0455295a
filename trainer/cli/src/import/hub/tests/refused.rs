//! What is missing or not understood.

use prost::Message;
use serde_json::json;
use tract_onnx::pb::ModelProto;

use super::*;

#[test]
fn what_is_missing_or_not_understood_is_said() {
    let hub = Hub::new();
    hub.clip("clip");
    let error = |file: &str, key: &str, value: Value| {
        let kept = std::fs::read(hub.path(file)).unwrap();
        hub.alter(file, key, value);
        let error = hub.error(&["clip"]);
        hub.write(file, kept);
        error
    };
    let of_tokens = |key, value| error("clip/tokenizer_config.json", key, value);
    assert!(of_tokens("padding_side", json!("left")).contains("on the left (\"padding_side\")"));
    assert!(of_tokens("fold_accents", json!(1)).contains("\"fold_accents\" is not understood"));
    assert!(of_tokens("pad_token", json!("<x>")).contains("the tokenizer does not know"));
    assert!(of_tokens("pad_token", json!(null)).contains("expected \"pad_token\""));
    assert!(of_tokens("do_lower_case", json!(true)).contains("the tokenizer does otherwise"));
    let of_pictures = |key, value| error("clip/preprocessor_config.json", key, value);
    assert!(of_pictures("crop_pct", json!(0.9)).contains("\"crop_pct\" is not understood"));
    assert!(of_pictures("crop_size", json!(1)).contains("the front end gives [3, 1, 1]"));
    let of_all = |key, value| error("clip/config.json", key, value);
    let other = of_all("model_type", json!("whisper"));
    assert!(
        other.contains("is of kind \"whisper\", expected clip, siglip, clap"),
        "{other}"
    );
    let variant = hub.error(&["clip", "--variant", "fp16"]);
    assert!(
        variant.contains("has no onnx/text_model_fp16.onnx")
            && variant.contains("vision_model.onnx"),
        "{variant}"
    );
    let onnx = "clip/onnx/vision_model.onnx";
    hub.write(onnx, vision_model("pooled"));
    let error = hub.error(&["clip"]);
    assert!(
        error.contains("has no output image_embeds, its outputs are [\"pooled\"]"),
        "{error}"
    );
    let mut model = ModelProto::decode(&vision_model("image_embeds")[..]).unwrap();
    model.graph.as_mut().unwrap().node[1].op_type = "Conjure".to_owned();
    hub.write(onnx, model.encode_to_vec());
    let error = hub.error(&["clip"]);
    assert!(error.contains("does not know: {\"Conjure\"}"), "{error}");
    hub.write(onnx, b"no model");
    assert!(hub.error(&["clip"]).contains("it is not an ONNX file"));
    hub.write(onnx, vision_model("image_embeds"));
    for file in ["tokenizer.json", "preprocessor_config.json", "config.json"] {
        let path = hub.path("clip").join(file);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = hub.error(&["clip"]);
        assert!(error.contains(file), "{error}");
        std::fs::write(path, kept).unwrap();
    }
    hub.import(&["clip"]).unwrap();
    assert!(hub.error(&["nothing"]).contains("is not a folder"));
}

//! Sentence encoders.

use sensorium_model::weights::Weights;
use serde_json::json;

use super::*;

#[test]
fn a_sentence_encoder_pools_and_projects_as_its_modules_say() {
    let hub = Hub::new();
    let pooling = json!({"word_embedding_dimension": DIM, "pooling_mode_mean_tokens": true});
    let normalize = ("Normalize", json!({}));
    hub.sentence("mean", &[("Pooling", pooling.clone()), normalize.clone()]);
    let pack = hub.import(&["mean"]).unwrap();
    assert!(pack.manifest().encoders.is_empty());
    assert_close(
        &said(&pack, "a red thing"),
        &unit(&sum(&["a", "red", "thing"])),
    );

    let dense = json!({
        "in_features": DIM, "out_features": 2, "bias": true,
        "activation_function": "torch.nn.modules.activation.Tanh"
    });
    hub.sentence(
        "dense",
        &[("Pooling", pooling), ("Dense", dense), normalize],
    );
    let mut weights = Weights::new();
    let weight = [0.5, 0.0, -0.25, 0.0, 0.0, 1.0, 0.0, 0.125];
    weights.insert("linear.weight", &[2, DIM], weight.to_vec());
    weights.insert("linear.bias", &[2], vec![0.1, -0.2]);
    weights
        .write(&hub.path("dense/1_Dense/model.safetensors"))
        .unwrap();
    let prompts = json!({"prompts": {"query": "red "}, "default_prompt_name": "query"});
    hub.write(
        "dense/config_sentence_transformers.json",
        prompts.to_string(),
    );
    hub.write(
        "dense/sentence_bert_config.json",
        r#"{"max_seq_length": 5, "do_lower_case": true}"#,
    );
    let pack = hub.import(&["dense"]).unwrap();
    // A prompt before the words, in lower case, cut to five with the special ones.
    let mean: Vec<f32> = sum(&["red", "a", "blue"])
        .iter()
        .map(|sum| sum / 5.0)
        .collect();
    let layer = |row: &[f32], bias: f32| {
        let products = row.iter().zip(&mean).map(|(a, b)| a * b);
        (products.sum::<f32>() + bias).tanh()
    };
    let expected = unit(&[layer(&weight[..4], 0.1), layer(&weight[4..], -0.2)]);
    assert_close(&said(&pack, "A Blue Thing"), &expected);
    assert!(
        pack.manifest().spaces[0]
            .tower
            .as_ref()
            .unwrap()
            .report
            .is_none()
    );

    hub.alter(
        "dense/1_Dense/config.json",
        "activation_function",
        json!("torch.nn.GELU"),
    );
    assert!(
        hub.error(&["dense"])
            .contains("\"activation_function\" is \"GELU\"")
    );
    hub.alter(
        "mean/0_Pooling/config.json",
        "pooling_mode_cls_token",
        json!(true),
    );
    assert!(hub.error(&["mean"]).contains("asks for 2 ways of pooling"));
    hub.sentence(
        "norm",
        &[
            ("Pooling", json!({"pooling_mode": "cls"})),
            ("LayerNorm", json!({})),
        ],
    );
    assert!(
        hub.error(&["norm"])
            .contains("models.LayerNorm\" is not understood")
    );
    std::fs::remove_file(hub.path("norm/modules.json")).unwrap();
    assert!(hub.error(&["norm"]).contains("expected clip, siglip, clap"));
    hub.import(&["norm", "--pooling", "max"]).unwrap();
}

#[test]
fn settings_are_read_as_newer_libraries_write_them() {
    let hub = Hub::new();
    let pooling =
        json!({"embedding_dimension": DIM, "pooling_mode": "mean", "include_prompt": false});
    hub.sentence("plain", &[("Pooling", pooling)]);
    let settings = |text: Value| {
        let file = json!({
            "transformer_task": "feature-extraction", "modality_config": {"text": text},
            "module_output_name": "token_embeddings"
        });
        hub.write("plain/sentence_bert_config.json", file.to_string());
    };
    settings(json!({"method": "forward", "method_output_name": "last_hidden_state"}));
    // Padding on the left changes nothing where there is none.
    hub.alter("plain/tokenizer_config.json", "padding_side", json!("left"));
    let pack = hub.import(&["plain"]).unwrap();
    assert_close(
        &said(&pack, "a red thing"),
        &unit(&sum(&["a", "red", "thing"])),
    );
    settings(json!({"method": "get_text_features"}));
    assert!(
        hub.error(&["plain"])
            .contains("\"method\" is \"get_text_features\"")
    );
    settings(json!({"method": "forward"}));
    let prompts = json!({"prompts": {"query": "red "}, "default_prompt_name": "query"});
    hub.write(
        "plain/config_sentence_transformers.json",
        prompts.to_string(),
    );
    assert!(
        hub.error(&["plain"])
            .contains("\"include_prompt\" is false, and there is a default prompt")
    );
}

#[test]
fn texts_are_no_longer_than_the_model_has_places() {
    let hub = Hub::new();
    hub.sentence("long", &[("Pooling", json!({"pooling_mode": "mean"}))]);
    let tokens = |longest: usize| {
        let settings = json!({"max_seq_length": longest, "do_lower_case": false});
        hub.write("long/sentence_bert_config.json", settings.to_string());
        let pack = hub.import(&["long"])?;
        let tower = pack.manifest().spaces[0].tower.clone();
        anyhow::Ok(tower.unwrap().words.unwrap().tokens)
    };
    assert_eq!(tokens(5).unwrap(), 5);
    assert_eq!(tokens(5000).unwrap(), 16);
    assert!(format!("{:#}", tokens(0).unwrap_err()).contains("tokens is 0, expected 1 to 65536"));
}

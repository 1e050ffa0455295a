//! Tiny folders of LanguageBind's kind, imported and compared with this project's own encoders.

use std::collections::BTreeMap;

use clap::Parser;
use sensorium_engine::encode::Encoder as Loaded;
use sensorium_engine::space::Space;
use sensorium_model::backend::Inference;
use sensorium_model::checkpoint::CheckpointWriter;
use sensorium_model::weights::{Array, Weights};
use sensorium_model::{Encoder as Model, Input};
use sensorium_pack::Pack;
use serde_json::json;

use super::*;
use crate::import::hub::Args;

const RANK: usize = 2;
const ALPHA: f32 = 6.0;
const OUTPUT: usize = 12;
const DIM: usize = 16;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn encoder(input: InputConfig, dim: usize, blocks: usize) -> EncoderConfig {
    EncoderConfig {
        input,
        dim,
        blocks,
        heads: 4,
        output: OUTPUT,
        bias_kv: false,
        drop_path: 0.0,
        dropout: 0.0,
        scale: None,
        learn_scale: false,
    }
}

fn vision() -> EncoderConfig {
    let input = InputConfig::Vision {
        frames: 1,
        side: 28,
        patch: [1, 14, 14],
    };
    encoder(input, DIM, 2)
}

fn text() -> EncoderConfig {
    let input = InputConfig::Text {
        vocabulary: VOCABULARY,
        context: CONTEXT,
    };
    encoder(input, 8, 1)
}

fn wave(len: usize, phase: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
}

/// An encoder whose norms and biases are not ones and zeros.
fn model(config: &EncoderConfig) -> Model<Inference> {
    let model = config.init::<Inference>(&Default::default()).unwrap();
    let mut weights = Weights::new();
    for (name, Array { shape, values }) in model.to_weights().iter() {
        let is_plain = values.windows(2).all(|pair| pair[0] == pair[1]);
        let changed = values.iter().zip(wave(values.len(), 0.5));
        let values = changed.map(|(value, by)| value + if is_plain { 0.2 * by } else { 0.0 });
        let values = if name.ends_with(".mask") {
            model.to_weights().get(name).unwrap().values.clone()
        } else {
            values.collect()
        };
        weights.insert(name, shape, values);
    }
    model.with_weights(&weights).unwrap()
}

/// What a folder calls the weights of an encoder; LoRA's products are taken off first, and stand beside.
fn theirs(config: &EncoderConfig, weights: &Weights, lora: bool) -> BTreeMap<String, Array> {
    let names = Names(config.sense());
    let is_text = config.sense() == Sense::Text;
    let tower = if is_text {
        "text_model"
    } else {
        "vision_model"
    };
    let layers = match lora {
        true => format!("{tower}.encoder.base_model.model.layers"),
        false => format!("{tower}.encoder.layers"),
    };
    let mut out = BTreeMap::new();
    let mut put = |name: String, shape: &[usize], values: Vec<f32>| {
        let shape = shape.to_vec();
        out.insert(name, Array { shape, values });
    };
    let get = |name: &str| weights.get(name).unwrap().clone();
    let embeddings = format!("{tower}.embeddings");
    let (stem, places, head) = (
        get(&names.stem()),
        get(&names.positions()),
        get(&names.head()),
    );
    let dim = config.dim;
    if is_text {
        put(
            format!("{embeddings}.token_embedding.weight"),
            &stem.shape,
            stem.values,
        );
    } else {
        let shape = [stem.shape[0], stem.shape[1], stem.shape[3], stem.shape[4]];
        put(
            format!("{embeddings}.patch_embedding.weight"),
            &shape,
            stem.values,
        );
        let token = get(&names.class_token());
        put(
            format!("{embeddings}.class_embedding"),
            &[dim],
            token.values,
        );
    }
    let shape = [places.shape[1], dim];
    put(
        format!("{embeddings}.position_embedding.weight"),
        &shape,
        places.values,
    );
    let projection = if is_text {
        "text_projection"
    } else {
        "visual_projection"
    };
    put(format!("{projection}.weight"), &head.shape, head.values);
    let mut norms = vec![match is_text {
        true => (names.head_norm(), format!("{tower}.final_layer_norm")),
        false => (names.head_norm(), format!("{tower}.post_layernorm")),
    }];
    if !is_text {
        norms.push((names.trunk_norm(), format!("{tower}.pre_layrnorm")));
    }
    for index in 0..config.blocks {
        let (ours, theirs) = (names.block(index), format!("{layers}.{index}"));
        for n in ["1", "2"] {
            norms.push((
                format!("{ours}.norm_{n}"),
                format!("{theirs}.layer_norm{n}"),
            ));
        }
        for layer in ["fc1", "fc2"] {
            norms.push((
                format!("{ours}.mlp.{layer}"),
                format!("{theirs}.mlp.{layer}"),
            ));
        }
        let weight = get(&format!("{ours}.attn.in_proj_weight")).values;
        let bias = get(&format!("{ours}.attn.in_proj_bias")).values;
        let out_weight = get(&format!("{ours}.attn.out_proj.weight")).values;
        let out_bias = get(&format!("{ours}.attn.out_proj.bias")).values;
        let parts = [
            ("q_proj", &weight[..dim * dim], &bias[..dim]),
            (
                "k_proj",
                &weight[dim * dim..][..dim * dim],
                &bias[dim..][..dim],
            ),
            ("v_proj", &weight[2 * dim * dim..], &bias[2 * dim..]),
            ("out_proj", &out_weight[..], &out_bias[..]),
        ];
        for (at, (kind, weight, bias)) in parts.into_iter().enumerate() {
            let name = |part: &str| format!("{theirs}.self_attn.{kind}.{part}");
            put(name("bias"), &[dim], bias.to_vec());
            let mut weight = weight.to_vec();
            if lora {
                let (a, b) = (
                    wave(RANK * dim, at as f32),
                    wave(dim * RANK, 2.0 + at as f32),
                );
                for (at, weight) in weight.iter_mut().enumerate() {
                    let (row, column) = (at / dim, at % dim);
                    let product = (0..RANK).map(|r| b[row * RANK + r] * a[r * dim + column]);
                    *weight -= ALPHA / RANK as f32 * product.sum::<f32>();
                }
                put(name("lora_A.default.weight"), &[RANK, dim], a);
                put(name("lora_B.default.weight"), &[dim, RANK], b);
            }
            put(name("weight"), &[dim, dim], weight);
        }
    }
    for (ours, theirs) in norms {
        for part in ["weight", "bias"] {
            let Array { shape, values } = get(&format!("{ours}.{part}"));
            put(format!("{theirs}.{part}"), &shape, values);
        }
    }
    out
}

/// A folder of folders, and what the encoders in them are.
struct Hub {
    folder: tempfile::TempDir,
    vision: Model<Inference>,
    text: Model<Inference>,
}

impl Hub {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            vision: model(&vision()),
            text: model(&text()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, kind: &str, lora: bool, text_model: &Model<Inference>) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        let config = json!({
            "model_type": kind,
            "vision_config": {
                "hidden_act": "gelu", "layer_norm_eps": 1e-6, "num_hidden_layers": 2,
                "num_attention_heads": 4, "image_size": 28, "lora_r": if lora { RANK } else { 0 },
                "lora_alpha": ALPHA, "num_mel_bins": 14, "target_length": 28,
            },
            "text_config": {
                "hidden_act": "gelu", "layer_norm_eps": 1e-6, "num_hidden_layers": 1,
                "num_attention_heads": 4,
            },
        });
        std::fs::write(self.path(name).join("config.json"), config.to_string()).unwrap();
        let mut arrays = theirs(&vision(), &self.vision.to_weights(), lora);
        arrays.extend(theirs(&text(), &text_model.to_weights(), false));
        let values = vec![50f32.ln()];
        arrays.insert(
            "logit_scale".to_owned(),
            Array {
                shape: Vec::new(),
                values,
            },
        );
        self.save(name, arrays);
    }

    fn save(&self, name: &str, arrays: BTreeMap<String, Array>) {
        let listed = arrays
            .iter()
            .map(|(name, array)| (name.clone(), array.shape.clone()));
        let path = self.path(name).join("pytorch_model.bin");
        let mut writer = CheckpointWriter::torch(&path, listed.collect()).unwrap();
        for (name, array) in &arrays {
            writer.write(name, &array.values).unwrap();
        }
        writer.finish().unwrap();
    }

    fn import(&self, names: &[&str], more: &[&str]) -> anyhow::Result<Pack> {
        let out = self.path("out.pack");
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let mut words = vec!["hub".to_owned()];
        words.extend(names.iter().map(|name| path(name)));
        words.extend(["--out".to_owned(), path("out.pack")]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        crate::import::hub::run(&Cli::try_parse_from(words)?.args)?;
        Ok(Pack::open(&out)?)
    }

    fn refused(&self, names: &[&str]) -> String {
        let error = format!("{:#}", self.import(names, &[]).unwrap_err());
        assert!(
            !error.contains('\n') && !self.path("out.pack").exists(),
            "{error}"
        );
        error
    }
}

fn max_abs(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn folders_of_several_senses_share_a_space_and_give_what_their_weights_do() {
    let hub = Hub::new();
    hub.write("depth", "LanguageBindDepth", true, &hub.text);
    hub.write("heat", "LanguageBindThermal", false, &hub.text);
    let pack = hub.import(&["depth", "heat"], &[]).unwrap();
    let manifest = pack.manifest();
    assert_eq!((manifest.spaces.len(), manifest.encoders.len()), (1, 2));
    assert_eq!(manifest.name, SPACE);
    for entry in &manifest.encoders {
        let loaded = Loaded::load_entry(&pack, entry).unwrap();
        let features = wave(3 * 28 * 28, 0.3);
        let input = Input::of_shape(features.clone(), &[3, 28, 28], &Default::default());
        let expected: Vec<f32> = hub
            .vision
            .forward(input)
            .into_data()
            .iter::<f32>()
            .collect();
        let difference = max_abs(&loaded.run(&features).unwrap(), &expected);
        assert!(difference < 2e-5, "{}: {difference}", entry.name);
        assert!((entry.scoring.temperature - 0.02).abs() < 1e-6);
    }
    let space = Space::load(&pack, SPACE).unwrap();
    assert_eq!(space.test_tower().unwrap(), TRIED.len());
    let ids = ClipTokenizer::new().ids("a red bicycle").map(i64::from);
    let data = burn::tensor::TensorData::new(ids.to_vec(), [1, CONTEXT]);
    let input = Input::Text(burn::tensor::Tensor::from_data(data, &Default::default()));
    let expected: Vec<f32> = hub.text.forward(input).into_data().iter::<f32>().collect();
    let row = space.class_vector(&["a red bicycle".to_owned()]).unwrap();
    assert!(max_abs(&row, &expected) < 2e-5);
    let pack = hub
        .import(&["depth"], &["--quantize", "int8", "--min-cosine", "0.9"])
        .unwrap();
    Loaded::load(&pack, Modality::Depth).unwrap();
}

#[test]
fn sound_is_cut_into_patches_that_are_no_square() {
    let hub = Hub::new();
    hub.write("sound", "LanguageBindAudio", true, &hub.text);
    let pack = hub.import(&["sound"], &[]).unwrap();
    let loaded = Loaded::load(&pack, Modality::Audio).unwrap();
    assert_eq!(loaded.processor().output_shape(), [3, 14, 28]);
}

#[test]
fn what_does_not_fit_is_told_in_a_line() {
    let hub = Hub::new();
    hub.write("depth", "LanguageBindDepth", true, &hub.text);
    hub.write("other", "LanguageBindThermal", false, &model(&text()));
    let told = hub.refused(&["depth", "other"]);
    assert!(told.contains("its text tower is not that of"), "{told}");
    let told = hub.refused(&["depth", "depth"]);
    assert!(
        told.contains("is of depth as well, and a sense is imported once"),
        "{told}"
    );
    hub.write("video", "LanguageBindVideo", false, &hub.text);
    let told = hub.refused(&["video"]);
    assert!(
        told.contains("it is of kind \"LanguageBindVideo\", expected LanguageBindDepth"),
        "{told}"
    );
    let alter = |from: &str, to: &str| {
        let path = hub.path("depth").join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    alter("\"lora_r\":2", "\"lora_r\":0");
    let told = hub.refused(&["depth"]);
    assert!(
        told.contains("it has some weights of LoRA, and config.json says \"lora_r\" is 0"),
        "{told}"
    );
    alter("\"lora_r\":0", "\"lora_r\":2");
    alter("\"hidden_act\":\"gelu\"", "\"hidden_act\":\"relu\"");
    let told = hub.refused(&["depth"]);
    assert!(
        told.contains("\"vision_config.hidden_act\" is \"relu\""),
        "{told}"
    );
    alter("\"hidden_act\":\"relu\"", "\"hidden_act\":\"gelu\"");
    alter(
        "\"image_size\":28",
        "\"add_time_attn\":true,\"image_size\":28",
    );
    let told = hub.refused(&["depth"]);
    assert!(
        told.contains("attention over the frames of a video"),
        "{told}"
    );
    let mut arrays = theirs(&vision(), &hub.vision.to_weights(), false);
    arrays.extend(theirs(&text(), &hub.text.to_weights(), false));
    let missing = "vision_model.encoder.layers.1.self_attn.k_proj.bias";
    arrays.remove(missing).unwrap();
    hub.write("heat", "LanguageBindThermal", false, &hub.text);
    hub.save("heat", arrays);
    let told = hub.refused(&["heat"]);
    assert!(
        told.contains(&format!("weight {missing:?} is missing")),
        "{told}"
    );
    std::fs::remove_file(hub.path("heat").join("pytorch_model.bin")).unwrap();
    let told = hub.refused(&["heat"]);
    assert!(
        told.contains("it has no model.safetensors or pytorch_model.bin"),
        "{told}"
    );
}

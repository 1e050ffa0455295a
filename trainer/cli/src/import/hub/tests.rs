//! Tiny folders as hubs publish them, imported and asked.

use std::path::PathBuf;

use clap::Parser;
use sensorium_engine::encode::Encoder;
use sensorium_engine::space::Space;
use sensorium_model::weights::Weights;
use sensorium_pack::{Modality, Pack};
use serde_json::{Value, json};

use super::Args;
use crate::anchor::tiny::{WORDS, assert_close, linear, numbers, picture, tokenizer, unit};
use crate::onnx::{Attribute, Graph};

mod files;
mod one;
mod refused;
mod sentence;
mod wave;

/// Numbers of an embedding.
const DIM: usize = 4;

/// Height and width of the pictures that the encoder takes.
const SIDE: usize = 2;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// A folder of folders.
struct Hub(tempfile::TempDir);

impl Hub {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Writes a JSON file with a key changed; null takes it out.
    fn alter(&self, name: &str, key: &str, value: Value) {
        let text = std::fs::read(self.path(name)).unwrap();
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        json[key] = value;
        self.write(name, json.to_string());
    }

    /// Two towers of CLIP's kind.
    fn clip(&self, name: &str) {
        let text_config = json!({"max_position_embeddings": 6});
        let config = json!({"model_type": "clip", "text_config": text_config});
        self.write(&format!("{name}/config.json"), config.to_string());
        let processor = json!({
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": SIDE},
            "crop_size": SIDE, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]
        });
        self.write(
            &format!("{name}/preprocessor_config.json"),
            processor.to_string(),
        );
        self.words(name);
        self.write(
            &format!("{name}/onnx/text_model.onnx"),
            text_model("tokens", "text_embeds"),
        );
        self.write(
            &format!("{name}/onnx/vision_model.onnx"),
            vision_model("image_embeds"),
        );
    }

    fn words(&self, name: &str) {
        self.write(&format!("{name}/tokenizer.json"), tokenizer());
        let config = json!({"model_max_length": 77, "pad_token": "[PAD]"});
        self.write(&format!("{name}/tokenizer_config.json"), config.to_string());
    }

    /// A sentence encoder, with modules after the transformer.
    fn sentence(&self, name: &str, modules: &[(&str, Value)]) {
        let config = json!({"model_type": "bert", "max_position_embeddings": 16});
        self.write(&format!("{name}/config.json"), config.to_string());
        self.words(name);
        self.write(
            &format!("{name}/onnx/model.onnx"),
            text_model("last_hidden_state", "sums"),
        );
        let mut list =
            vec![json!({"path": "", "type": "sentence_transformers.models.Transformer"})];
        for (at, (kind, config)) in modules.iter().enumerate() {
            let path = format!("{at}_{kind}");
            self.write(&format!("{name}/{path}/config.json"), config.to_string());
            list.push(
                json!({"path": path, "type": format!("sentence_transformers.models.{kind}")}),
            );
        }
        self.write(
            &format!("{name}/modules.json"),
            Value::Array(list).to_string(),
        );
    }

    /// A classifier of sounds: the mean of a spectrogram's lower and of its upper half.
    fn classifier(&self, name: &str) {
        const FRAMES: usize = 4;
        const MELS: usize = 8;
        let config = json!({
            "model_type": "audio-spectrogram-transformer",
            "architectures": ["ASTForAudioClassification"],
            "id2label": {"0": "hum", "1": "hiss"}
        });
        self.write(&format!("{name}/config.json"), config.to_string());
        let processor = json!({
            "feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": MELS,
            "max_length": FRAMES, "mean": -4.0, "std": 2.0
        });
        self.write(
            &format!("{name}/preprocessor_config.json"),
            processor.to_string(),
        );
        let mut graph = Graph::new();
        let len = FRAMES * MELS;
        let shape = graph.ints("shape", &[0, len as i64]);
        let halves: Vec<f32> = (0..len)
            .flat_map(|at| {
                if at % MELS < MELS / 2 {
                    [0.1, 0.0]
                } else {
                    [0.0, 0.1]
                }
            })
            .collect();
        let halves = graph.floats("halves", &[len, 2], &halves);
        let flat = graph.node("Reshape", "flat", &["input_values", &shape], &[]);
        let logits = graph.node("MatMul", "logits", &[&flat, &halves], &[]);
        let onnx = graph.to_bytes("ast", ("input_values", &[FRAMES, MELS]), (&logits, &[2]));
        self.write(&format!("{name}/onnx/model.onnx"), onnx);
    }

    /// Runs the command with these words between its name and `--out`.
    fn import(&self, words: &[&str]) -> anyhow::Result<Pack> {
        let out = self.path("out.pack");
        let mut line = vec!["hub".to_owned()];
        line.extend(words.iter().map(|word| {
            let path = self.path(word);
            let is_path = !word.starts_with('-') && path.exists();
            if is_path {
                path.to_str().unwrap().to_owned()
            } else {
                (*word).to_owned()
            }
        }));
        line.extend(["--out".to_owned(), out.to_str().unwrap().to_owned()]);
        super::run(&Cli::try_parse_from(line).unwrap().args)?;
        Ok(Pack::open(&out)?)
    }

    fn error(&self, words: &[&str]) -> String {
        let out = self.path("out.pack");
        let _ = std::fs::remove_file(&out);
        let error = format!("{:#}", self.import(words).unwrap_err());
        assert!(!out.exists(), "half a pack is written: {error}");
        error
    }
}

/// A row a word: `tokens` of each, padding too, and `sum` over those that are none.
fn text_model(tokens: &str, sum: &str) -> Vec<u8> {
    let mut graph = Graph::new();
    let table = graph.floats("table", &[WORDS.len(), DIM], &numbers(WORDS.len() * DIM));
    let (axis, over) = (graph.ints("axis", &[2]), graph.ints("over", &[1]));
    let to_float = [("to", Attribute::Int(1))];
    let rows = graph.node("Gather", tokens, &[&table, "input_ids"], &[]);
    let mask = graph.node("Cast", "mask", &["attention_mask"], &to_float);
    let mask = graph.node("Unsqueeze", "column", &[&mask, &axis], &[]);
    let masked = graph.node("Mul", "masked", &[&rows, &mask], &[]);
    let whole = [("keepdims", Attribute::Int(0))];
    let sums = graph.node("ReduceSum", sum, &[&masked, &over], &whole);
    graph.text_model(
        &["input_ids", "attention_mask"],
        &[(&rows, &[0, DIM]), (&sums, &[DIM])],
    )
}

fn vision_model(output: &str) -> Vec<u8> {
    let len = 3 * SIDE * SIDE;
    let mut graph = Graph::new();
    let shape = graph.ints("shape", &[0, len as i64]);
    let weight = graph.floats("weight", &[len, DIM], &numbers(len * DIM));
    let flat = graph.node("Reshape", "flat", &["pixel_values", &shape], &[]);
    let rows = graph.node("MatMul", output, &[&flat, &weight], &[]);
    graph.to_bytes(
        "pictures",
        ("pixel_values", &[3, SIDE, SIDE]),
        (&rows, &[DIM]),
    )
}

/// The sum of the rows of words between the special ones.
fn sum(words: &[&str]) -> Vec<f32> {
    let table = numbers(WORDS.len() * DIM);
    let all = ["[CLS]"].iter().chain(words).chain(&["[SEP]"]);
    let mut sum = vec![0.0; DIM];
    for word in all {
        let place = WORDS.iter().position(|known| known == word).unwrap();
        let row = &table[place * DIM..][..DIM];
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    sum
}

fn said(pack: &Pack, words: &str) -> Vec<f32> {
    let space = Space::load(pack, &pack.manifest().spaces[0].name).unwrap();
    space.class_vector(&[words.to_owned()]).unwrap()
}

#[test]
fn a_folder_of_two_towers_gives_their_embeddings() {
    let hub = Hub::new();
    hub.clip("some clip");
    hub.write(
        "classes.toml",
        "[[class]]\nname = \"thing\"\nprompts = [\"a red thing\"]\n",
    );
    hub.write("some clip/README.md", "---\nlicense: mit\n---\n# Words\n");
    let pack = hub
        .import(&["some clip", "--classes", "classes.toml"])
        .unwrap();
    let manifest = pack.manifest();
    assert_eq!(
        (manifest.name.as_str(), manifest.encoders.len()),
        ("some-clip", 1)
    );
    assert_close(
        &said(&pack, "a blue thing"),
        &unit(&sum(&["a", "blue", "thing"])),
    );
    // A text of nothing is still between two special words; one that is too long is cut to six.
    assert_close(&said(&pack, ""), &unit(&sum(&[])));
    let cut = unit(&sum(&["red", "red", "red", "red"]));
    assert_close(&said(&pack, "red red red red blue blue"), &cut);
    // Words that the pack was made with need no text tower, and it still gives the same.
    assert_close(
        &said(&pack, "a red thing"),
        &unit(&sum(&["a", "red", "thing"])),
    );
    let (picture, values) = picture(40);
    let encoder = Encoder::load(&pack, Modality::Image).unwrap();
    let front_end = encoder.processor();
    let sensorium_core::feature::Processor::Image(front_end) = front_end else {
        panic!("{front_end:?}");
    };
    assert_close(&front_end.extract(&picture), &values);
    assert_close(&encoder.run(&values).unwrap(), &unit(&linear(&values, DIM)));
    assert_eq!(manifest.provenance[0].data[0].licence, "mit");
    let words = manifest.spaces[0]
        .tower
        .as_ref()
        .unwrap()
        .words
        .as_ref()
        .unwrap();
    assert_eq!((words.tokens, words.pad), (6, Some(0)));
}

#[test]
fn integers_are_only_written_if_they_change_little() {
    let hub = Hub::new();
    hub.clip("clip");
    let int8 = ["clip", "--quantize", "int8"];
    let pack = hub.import(&int8).unwrap();
    assert_eq!(pack.manifest().provenance.len(), 2);
    let text = &pack.manifest().provenance[0];
    assert!(
        text.metrics.values().all(|cosine| *cosine > 0.99),
        "{text:?}"
    );
    let error = hub.error(&[&int8[..], &["--min-cosine", "1.1"]].concat());
    assert!(
        error.contains("expected at least 1.1 (--min-cosine)"),
        "{error}"
    );
}

#[test]
fn folders_with_one_text_tower_share_its_space() {
    let hub = Hub::new();
    hub.clip("first");
    hub.clip("second");
    let pack = hub.import(&["first", "second"]).unwrap();
    let spaces: Vec<&str> = pack
        .manifest()
        .spaces
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(spaces, ["first"]);
    let encoders = pack.manifest().encoders.iter();
    let encoders: Vec<_> = encoders
        .map(|e| (e.name.as_str(), e.space.as_str()))
        .collect();
    assert_eq!(
        encoders,
        [("first-image", "first"), ("second-image", "first")]
    );
    hub.alter(
        "second/config.json",
        "text_config",
        json!({"max_position_embeddings": 5}),
    );
    let pack = hub.import(&["first", "second"]).unwrap();
    assert_eq!(pack.manifest().spaces.len(), 2);
    assert!(
        hub.error(&["first", "first"])
            .contains("there is an encoder \"first-image\" already")
    );
}

#[test]
fn golden_outputs_are_held() {
    let hub = Hub::new();
    hub.clip("clip");
    let golden = |text: &[f32], ids: &str| {
        let mut weights = Weights::new();
        weights.insert("text_embeds", &[1, DIM], text.to_vec());
        hub.write(
            "clip/golden/golden.json",
            json!({"strings": [ids]}).to_string(),
        );
        weights
            .write(&hub.path("clip/golden/golden.safetensors"))
            .unwrap();
    };
    // Not normalised, as towers give them.
    golden(&sum(&["a", "blue", "thing"]), "a blue thing");
    hub.import(&["clip"]).unwrap();
    golden(&sum(&["a", "blue", "thing"]), "a red thing");
    let error = hub.error(&["clip"]);
    assert!(
        error.contains("golden, texts: embeddings differ by"),
        "{error}"
    );
}

#[test]
fn gemma_sees_small_letters_if_its_settings_ask_for_them() {
    let hub = Hub::new();
    hub.clip("clip");
    let file = "clip/tokenizer_config.json";
    let small = unit(&sum(&["a", "red", "thing"]));
    hub.alter(file, "do_lower_case", json!(true));
    hub.alter(file, "tokenizer_class", json!("GemmaTokenizer"));
    assert_close(
        &said(&hub.import(&["clip"]).unwrap(), "A RED thing"),
        &small,
    );
    hub.alter(file, "do_lower_case", json!(null));
    let unknown = unit(&sum(&["[UNK]", "[UNK]", "thing"]));
    assert_close(
        &said(&hub.import(&["clip"]).unwrap(), "A RED thing"),
        &unknown,
    );
    hub.alter(file, "tokenizer_class", json!("Siglip2Tokenizer"));
    assert_close(
        &said(&hub.import(&["clip"]).unwrap(), "A RED thing"),
        &small,
    );
}

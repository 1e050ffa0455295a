//! A text tower taught by the program, in a pack: then any word has a vector, with nothing else there.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

mod small;

use sensorium_engine::space::Space;
use sensorium_pack::Pack;
use sensorium_testkit::word_tower;
use small::{Small, bytes};

const WORDS: [&str; 6] = ["slow", "lazy", "fast", "thing", "dog", "a"];

const RECIPE: &str = r#"
name = "words"
hold_out_one_in = 3
hold_out_words_one_in = 8

[teacher]
model = "made-up"
licence = "ours"

[tower]
vocabulary = 400
table = 8
dim = 8
heads = 2
blocks = 1
tokens = 12

[training]
epochs = 1
batch = 8
learning_rate = 1e-3
warmup = 0.1
beta_1 = 0.9
beta_2 = 0.98
weight_decay = 0.01
clip_norm = 1.0

[[corpus]]
name = "pairs of words"
licence = "ours"
from = "./pairs.txt"
kind = "lines"
templates = ["{line}", "{a line}"]
"#;

/// A folder with a teacher of few words, a recipe for a tower, and lines.
fn school(small: &Small) {
    let rows: Vec<f32> = (0..7 * 8).map(|i| (i as f32 * 2.3).sin()).collect();
    let (model, tokenizer) = word_tower(&WORDS, 8, &rows);
    std::fs::create_dir(small.path("teacher")).unwrap();
    std::fs::write(small.path("teacher/model.onnx"), model).unwrap();
    std::fs::write(small.path("teacher/tokenizer.json"), tokenizer).unwrap();
    std::fs::write(small.path("words.toml"), RECIPE).unwrap();
    let pairs = WORDS
        .iter()
        .flat_map(|a| WORDS.iter().map(move |b| format!("{a} {b}")));
    let pairs: Vec<String> = pairs.collect();
    std::fs::write(small.path("pairs.txt"), pairs.join("\n")).unwrap();
}

#[test]
fn a_tower_goes_into_the_spaces_of_its_teacher() {
    let small = Small::new();
    school(&small);
    small.ok("fit @r.toml --data @ --anchor @a.safetensors --threads 1 --out @run --epochs 1");
    small.ok("eval @run --data @");
    let report = small.ok("distil @words.toml --text-model @teacher --out @tower");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let cosine = report["held_out"]["cosine"].as_f64().unwrap();
    assert!(cosine > 0.9, "{report}");
    small.ok("pack @run --quantize none --text @tower --out @p.pack");
    let pack = Pack::from_bytes(&bytes(&small.path("p.pack"))).unwrap();
    let tower = pack.manifest().spaces[0].tower.clone().unwrap();
    assert_eq!(
        pack.member(&tower.model).unwrap(),
        bytes(&small.path("tower/model.onnx"))
    );
    let space = Space::load(&pack, "words").unwrap();
    let vector = space.class_vector(&["fast dog".to_owned()]).unwrap();
    assert_eq!(vector.len(), 8);
    // What is too long for it is cut.
    let long = space.class_vector(&["fast dog ".repeat(100)]).unwrap();
    assert_eq!(long.len(), 8);

    // Of another teacher, or with other files than it says.
    let report = String::from_utf8(bytes(&small.path("tower/tower.json"))).unwrap();
    let other = report.replace("made-up", "another");
    std::fs::write(small.path("tower/tower.json"), other).unwrap();
    let error = small.error("pack @run --quantize none --text @tower --out @q.pack");
    assert!(
        error.contains("its teacher is another of 8 numbers"),
        "{error}"
    );
    std::fs::write(small.path("tower/tower.json"), report).unwrap();
    std::fs::write(small.path("tower/model.onnx"), "short").unwrap();
    let error = small.error("pack @run --quantize none --text @tower --out @q.pack");
    assert!(error.contains("tower.json is of files of"), "{error}");
    assert!(!small.path("q.pack").exists());
}

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::onnx::Graph;

/// Words that lines are made of, all made of the small tokenizer's letters.
const WORDS: [&str; 12] = [
    "dog", "dogs", "zebra", "bear", "bed", "road", "gear", "dare", "oar", "boar", "sob", "rose",
];

/// A teacher whose embedding of a text is the mean of its tokens' rows, a recipe, and words.
struct School(tempfile::TempDir);

impl School {
    fn new() -> Self {
        let school = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(school.path("teacher")).unwrap();
        let tokenizer = vocabulary::tests::file();
        let tokens = tokenizer["model"]["vocab"].as_object().unwrap().len();
        std::fs::write(school.path("teacher/tokenizer.json"), tokenizer.to_string()).unwrap();
        let (dim, mut graph) = (8, Graph::new());
        let row = |i: usize| ((i * i * 7 + 3 * i) as f32 * 0.7).sin();
        let rows: Vec<f32> = (0..tokens * dim).map(row).collect();
        let table = graph.floats("table", &[tokens, dim], &rows);
        let out = graph.node("Gather", "out", &[&table, "input_ids"], &[]);
        let model = graph.text_model(&["input_ids"], &[(&out, &[0, dim])]);
        std::fs::write(school.path("teacher/model.onnx"), model).unwrap();
        std::fs::write(school.path("words.toml"), include_str!("tests.toml")).unwrap();
        let lines = WORDS
            .iter()
            .flat_map(|a| WORDS.iter().map(move |b| format!("{a} {b}")));
        let lines: Vec<String> = lines.collect();
        std::fs::write(school.path("lines.txt"), lines.join("\n")).unwrap();
        school
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn args(&self, out: &str) -> Args {
        Args {
            recipe: self.path("words.toml"),
            text_model: self.path("teacher"),
            data: None,
            cache: Some(self.path("cache")),
            out: self.path(out),
            seed: 5,
            threads: None,
            restart: false,
        }
    }
}

#[test]
fn a_tower_learns_what_its_teacher_says_of_texts_that_it_never_saw() {
    let school = School::new();
    run(&school.args("run")).unwrap();
    let report: Value =
        serde_json::from_slice(&std::fs::read(school.path("run/tower.json")).unwrap()).unwrap();
    for part in ["held_out", "unseen_words"] {
        let near = &report[part];
        assert!(near["texts"].as_u64().unwrap() > 10, "{report}");
        assert!(near["cosine"].as_f64().unwrap() > 0.95, "{report}");
        assert!(near["same_choice"].as_f64().unwrap() > 0.5, "{report}");
    }
    // Chance is one in so many.
    assert!(
        report["held_out"]["choices"].as_u64().unwrap() > 10,
        "{report}"
    );
    assert_eq!(report["corpora"][0]["licence"], "ours");
    // The folder is a text model like any other, of the size that the report says.
    let model = std::fs::metadata(school.path("run/model.onnx")).unwrap();
    assert_eq!(report["model_bytes"].as_u64(), Some(model.len()));
    let tower = TextTower::open(&school.path("run")).unwrap();
    // It says which words it was taught.
    let taught = Taught::from_bytes(std::fs::read(school.path("run/taught.bloom")).unwrap());
    let taught = taught.unwrap();
    assert!(WORDS.iter().any(|word| taught.knows(word)) && !taught.knows("flibberwock"));
    assert_eq!(
        report["taught_words"].as_u64().unwrap(),
        taught.as_bytes().len() as u64
    );
    let teacher = TextTower::open(&school.path("teacher")).unwrap();
    assert_eq!(tower.dim(), teacher.dim());
    // The same command again has nothing to do, and a new training gives the same bytes.
    let bytes = |out: &str| std::fs::read(school.path(out).join("model.onnx")).unwrap();
    let first = bytes("run");
    run(&school.args("run")).unwrap();
    run(&school.args("again")).unwrap();
    assert!(bytes("run") == first && bytes("again") == first);
}

#[test]
fn what_is_held_out_is_not_learned_from() {
    let school = School::new();
    let recipe = Recipe::open(&school.path("words.toml")).unwrap();
    let phrases = Phrases::make(&recipe, &school.path("words.toml"), None, 1).unwrap();
    let Phrases {
        training,
        held_out,
        unseen_words,
        names,
    } = &phrases;
    assert_eq!(
        training.len() + held_out.len() + unseen_words.len(),
        2 * WORDS.len() * WORDS.len()
    );
    let is_new = |text: &String| !held_out.contains(text) && !unseen_words.contains(text);
    assert!(training.iter().all(is_new));
    assert!(names.iter().all(|name| held_out.contains(name)));
    // Texts that differ in a template share a word.
    for text in unseen_words {
        let line = text.strip_prefix("a ").unwrap_or(text).to_owned();
        assert!(
            unseen_words.contains(&line) && unseen_words.contains(&format!("a {line}")),
            "{text}"
        );
    }
    let again = Phrases::make(&recipe, &school.path("words.toml"), None, 1).unwrap();
    assert_eq!(again, phrases);
    let other = Phrases::make(&recipe, &school.path("words.toml"), None, 2).unwrap();
    assert_ne!(other.training, phrases.training);
    assert!(other.held_out.iter().all(|text| held_out.contains(text)));
}

#[test]
fn what_is_missing_is_named() {
    let school = School::new();
    std::fs::remove_file(school.path("lines.txt")).unwrap();
    let error = format!("{:#}", run(&school.args("run")).unwrap_err());
    assert!(error.starts_with("corpus \"lines\": reading"), "{error}");
    let recipe = include_str!("tests.toml").replace("./lines.txt", "lines.txt");
    std::fs::write(school.path("words.toml"), recipe).unwrap();
    let error = format!("{:#}", run(&school.args("run")).unwrap_err());
    assert!(error.ends_with("say where that is with --data"), "{error}");
}

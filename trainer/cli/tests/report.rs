//! `report` on tables made here: one page, the same numbers as JSON, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

use std::path::Path;
use std::process::{Command, Output};

use sensorium_model::weights::Weights;

/// A file as `eval` writes it: six samples of two people and two classes on two axes.
fn table(path: &Path, name: &str, dim: usize) {
    let mut table = Weights::new();
    let row = |i: usize| (0..dim).map(move |d| if d == i % 2 { 1.0 } else { 0.1 * i as f32 });
    table.insert("embeddings", &[6, dim], (0..6).flat_map(row).collect());
    table.insert("class_vectors", &[2, dim], (0..2).flat_map(row).collect());
    let words = serde_json::json!({
        "name": name,
        "sense": "imu",
        "samples": ["a", "b", "c", "d", "e", "f"],
        "labels": [0, 1, 0, 1, 0, null],
        "groups": ["ann", "ann", "ann", "bob", "bob", "bob"],
        "classes": [
            {"name": "walk", "prompts": ["a person walking"]},
            {"name": "<script>", "prompts": ["a script"]},
        ],
        "anchors": null,
        "training": [{"epoch": 1, "loss": 2.0, "held_out": null}],
        "provenance": "made up",
    });
    table.set_metadata("table", words.to_string());
    table.write(path).unwrap();
}

fn report(dir: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sensorium-train"))
        .arg("report")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .output()
        .unwrap()
}

/// What is said by a run that has to fail with status 2.
fn error(dir: &Path, arguments: &str) -> String {
    let output = report(dir, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments}: {errors}");
    assert!(!dir.join("r.html").exists(), "{arguments}: nothing is left");
    errors
}

#[test]
fn tables_become_a_page_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("run")).unwrap();
    table(&dir.join("run/held_out.safetensors"), "one", 3);
    table(&dir.join("two.safetensors"), "two", 4);
    let output = report(
        dir,
        "run two.safetensors --out r.html --json r.json --markdown r.md --seed 4 --draws 3",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.starts_with("one: top-1 1.000 ("), "{lines}");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (page, json) = (read("r.html"), read("r.json"));
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["experiments"][1]["name"], "two");
    assert_eq!(json["options"]["seed"], 4);
    let numbers = &json["experiments"][0]["parts"][0]["zero_shot"]["numbers"];
    assert_eq!(numbers[0]["value"], 1.0);
    assert!(read("r.md").contains("| one | imu | top-1 | 1.000 |"));
}

#[test]
fn what_cannot_be_reported_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let one = dir.join("one.safetensors");
    table(&one, "one", 3);
    table(&dir.join("wide.safetensors"), "one", 4);
    assert!(error(dir, "--out r.html").contains("<TABLE>..."));
    assert!(
        error(dir, "gone.safetensors --out r.html")
            .starts_with("sensorium-train: reading the table \"gone.safetensors\": ")
    );
    assert!(error(dir, ". --out r.html").contains("held_out.safetensors"));
    assert_eq!(
        error(dir, "one.safetensors wide.safetensors --out r.html"),
        "sensorium-train: two tables \"one\" differ: one has embeddings of 3 numbers, another of 4\n"
    );
    assert!(error(dir, "one.safetensors --out r.html --draws 0").contains("--draws"));

    let bytes = std::fs::read(&one).unwrap();
    std::fs::write(&one, &bytes[..bytes.len() - 5]).unwrap();
    let cut = error(dir, "one.safetensors --out r.html");
    assert!(
        cut.contains("reading the table \"one.safetensors\": "),
        "{cut}"
    );
    assert_eq!(cut.lines().count(), 1, "{cut}");

    let mut other = Weights::from_bytes(&bytes).unwrap();
    other.insert("class_vectors", &[2, 2], vec![1.0; 4]);
    other.write(&one).unwrap();
    assert!(
        error(dir, "one.safetensors --out r.html")
            .contains("\"class_vectors\" has shape [2, 2], expected [2, 3]")
    );
}

#[test]
fn help_has_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let output = report(dir.path(), "--help");
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        help.contains("--out report.html --json report.json"),
        "{help}"
    );
}

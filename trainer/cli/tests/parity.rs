//! `parity` on folders made here: what passes, what fails, and what is refused.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

use std::path::Path;
use std::process::{Command, Output};

use sensorium_model::weights::Weights;

fn parity(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sensorium-train"))
        .arg("parity")
        .arg(dir)
        .output()
        .unwrap()
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().unwrap_or_default().to_owned()
}

/// Post-processing by hand: (3, 4) and zeros, at a scale of 10 and one over the limit.
fn folder(y: [f32; 4]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut vectors = Weights::new();
    vectors.insert("x", &[2, 2], vec![3.0, 4.0, 0.0, 0.0]);
    // The logarithm in 32 bits stands for a scale of 100 only when it is clipped there.
    vectors.insert("over.log_scale", &[], vec![6.0]);
    vectors.insert("over.y", &[2, 2], y.to_vec());
    vectors
        .write(&dir.path().join("postprocessor.safetensors"))
        .unwrap();
    dir
}

const RIGHT: [f32; 4] = [60.0, 80.0, 0.0, 0.0];

#[test]
fn a_folder_that_agrees_passes() {
    let output = parity(folder(RIGHT).path());
    assert_eq!(last_line(&output), "checked 3 of 3", "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_number_that_is_off_fails() {
    let output = parity(folder([60.0, 80.001, 0.0, 0.0]).path());
    assert_eq!(last_line(&output), "checked 3 of 3");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("FAILED") && text.contains("1 over their tolerance"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_nobody_knows_how_to_compare_fails() {
    let dir = folder(RIGHT);
    std::fs::write(dir.path().join("smell.bin"), [1, 2, 3]).unwrap();
    let output = parity(dir.path());
    assert_eq!(last_line(&output), "checked 3 of 4");
    assert_eq!(output.status.code(), Some(1));

    let empty = tempfile::tempdir().unwrap();
    let output = parity(empty.path());
    assert_eq!(last_line(&output), "checked 0 of 0");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_input_without_an_expectation_is_left_out_and_so_fails() {
    let dir = folder(RIGHT);
    let mut vectors = Weights::new();
    vectors.insert("x", &[1, 2], vec![1.0, 0.0]);
    vectors.insert("a.log_scale", &[], vec![0.0]);
    vectors
        .write(&dir.path().join("postprocessor.safetensors"))
        .unwrap();
    let output = parity(dir.path());
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("there is no \"a.y\""), "{errors}");
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error() {
    let output = parity(Path::new("/nonexistent"));
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        errors,
        "sensorium-train: \"/nonexistent\" is not a folder\n"
    );

    let dir = folder(RIGHT);
    let file = dir.path().join("postprocessor.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let output = parity(dir.path());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("postprocessor.safetensors") && errors.lines().count() == 1,
        "{errors}"
    );
}

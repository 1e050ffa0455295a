//! What each command prints when all is well.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sensorium_pack::npy::Array;
use sensorium_testkit::{WALK, walk};
use serde_json::Value;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium"));
    command.args(args);
    command
}

/// What a command printed that must succeed, and what it said beside.
fn done(args: &[&str]) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(args).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{args:?}: {said}");
    (String::from_utf8(stdout).unwrap(), said)
}

fn folder_with_walk() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "walk.csv", WALK);
    (folder, path)
}

fn write(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    text(&path)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_demo_names_what_happens_and_says_how_much_was_right() {
    let (events, said) = done(&["demo"]);
    for class in [
        "lying down",
        "walking",
        "walking downstairs",
        "walking upstairs",
    ] {
        let started = events
            .lines()
            .any(|l| l.contains("start") && l.contains(class));
        assert!(started, "no {class} in:\n{events}");
    }
    let sampled = walk().len();
    let ledger = format!("{sampled} sampled = {sampled} received + 0 lost + 0 dropped");
    assert!(said.contains(&ledger), "{said}");
    let right = said
        .lines()
        .find(|line| line.contains("labelled windows named right"));
    let numbers: Vec<f64> = right
        .unwrap()
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches('(').parse().ok())
        .collect();
    let [right, windows, percent, _others] = numbers[..] else {
        panic!("{said}")
    };
    assert!((100.0 * right / windows - percent).abs() < 0.06);
    assert!(right / windows > 0.8, "{said}");
}

#[test]
fn a_replay_says_the_same_each_time() {
    let (folder, walk) = folder_with_walk();
    let (first, _) = done(&[
        "replay",
        &walk,
        "--rate-hz",
        "50",
        "--stream",
        "a",
        "--json",
    ]);
    let out = text(&folder.path().join("events.jsonl"));
    let (printed, _) = done(&[
        "replay",
        &walk,
        "--clock",
        "sample",
        "--rate-hz",
        "50",
        "--stream",
        "a",
        "--out",
        &out,
    ]);
    assert!(printed.is_empty());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), first);
    for line in first.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["stream"], "a");
        assert!(event["t_end_ns"].as_i64() > event["t_start_ns"].as_i64());
        assert!((0.0..=1.0).contains(&event["score"].as_f64().unwrap()));
    }
    let config = format!(
        "clock = 'sample'\n[[stream]]\nname = 'a'\n\
         source = {{ kind = 'csv', path = '{walk}', rate_hz = 50 }}\n"
    );
    let config = write(folder.path(), "run.toml", config.as_bytes());
    let (configured, _) = done(&["run", "--config", &config, "--json"]);
    assert_eq!(configured, first);
}

#[test]
fn embeddings_are_normalised_rows_in_order() {
    let (folder, walk) = folder_with_walk();
    let out = text(&folder.path().join("rows.npy"));
    let words = ["--text", "a person walking", "--text", "a person sitting"];
    let args = [
        "embed",
        "--modality",
        "imu",
        &walk,
        "--rate-hz",
        "50",
        "--out",
        &out,
    ];
    done(&[&args[..], &words].concat());
    let rows = Array::open(Path::new(&out)).unwrap();
    assert_eq!(rows.shape[0], 3);
    for row in rows.rows() {
        let norm: f32 = row.iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-4);
    }
    let text_only = text(&folder.path().join("text.npy"));
    done(
        &[
            &["embed", "--modality", "text", "--out", &text_only][..],
            &words,
        ]
        .concat(),
    );
    let text_rows = Array::open(Path::new(&text_only)).unwrap();
    assert_eq!(text_rows.rows().next(), rows.rows().nth(1));
}

#[test]
fn an_array_classifies_as_its_recordings_do() {
    let (folder, walk) = folder_with_walk();
    let samples = sensorium_testkit::walk();
    let windows = [0, 7000];
    let values = windows.iter().flat_map(|&start| {
        let window = &samples[start..start + 128];
        window
            .iter()
            .flat_map(|s| [s.accel_mps2, s.gyro_radps].concat())
    });
    let array = Array {
        shape: vec![2, 128, 6],
        values: values.collect(),
    };
    let npy = write(folder.path(), "windows.npy", &array.to_bytes().unwrap());
    let args = [
        "--modality",
        "imu",
        "--rate-hz",
        "50",
        "--units",
        "m/s2,rad/s",
        "--json",
    ];
    let (lines, _) = done(&[&["classify", &npy][..], &args].concat());
    let rows: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[1]["input"], &rows[1]["row"]),
        (&Value::from(npy), &Value::from(1))
    );
    let scores = rows[0]["scores"].as_object().unwrap();
    assert_eq!(scores.len(), 12);
    assert!(scores["lying down"].as_f64().unwrap() > 0.5, "{scores:?}");
    let (line, _) = done(&["classify", "--modality", "imu", &walk, "--json"]);
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn compiled_classes_score_as_their_source_does() {
    let (folder, walk) = folder_with_walk();
    let classes = b"[[class]]\nname = 'stairs'\nprompts = ['a person walking upstairs', \
        'a person walking downstairs']\n[[class]]\nname = 'rest'\nprompts = ['a person lying']\n\
        [background]\nprompts = ['a person walking']\n";
    let source = write(folder.path(), "classes.toml", classes);
    let compiled = text(&folder.path().join("classes.json"));
    done(&["classes", "build", &source, "--out", &compiled]);
    let with = |classes: &str| {
        done(&[
            "replay",
            &walk,
            "--rate-hz",
            "50",
            "--json",
            "--classes",
            classes,
        ])
        .0
    };
    let events = with(&source);
    assert!(events.contains("\"class\":\"stairs\"") && events.contains("\"class\":\"rest\""));
    assert_eq!(with(&compiled), events);
}

#[test]
fn a_pack_says_where_it_comes_from() {
    let (inspected, _) = done(&["pack", "inspect"]);
    assert!(
        inspected.contains("bound to:") && inspected.contains("HAPT"),
        "{inspected}"
    );
    let (verified, _) = done(&["pack", "verify"]);
    assert!(verified.contains("passes its self-test"));
    let (manifest, _) = done(&["pack", "inspect", "--json"]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["format"], "sensorium-pack");
    let (doctor, _) = done(&["doctor"]);
    assert!(
        doctor.lines().any(|line| line.starts_with("ok   pack: ")),
        "{doctor}"
    );
}

#[test]
fn a_signal_ends_the_run_with_its_ledger() {
    let (folder, walk) = folder_with_walk();
    let config = format!(
        "[[stream]]\nname = 'slow'\n\
         source = {{ kind = 'csv', path = '{walk}', rate_hz = 50, speed = 20 }}\n"
    );
    let config = write(folder.path(), "run.toml", config.as_bytes());
    let mut child = command(&["run", "--config", &config, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once an event has begun, long before the recording's ten seconds are over.
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let mut lines = first;
    stdout.read_to_string(&mut lines).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains(" sampled = ") && said.contains("windows scored"),
        "{said}"
    );
    let sampled: usize = said
        .split(" sampled")
        .next()
        .and_then(|before| before.split_whitespace().last())
        .unwrap()
        .parse()
        .unwrap();
    assert!(sampled < sensorium_testkit::walk().len(), "{said}");
    let count = |phase: &str| lines.matches(&format!("\"phase\":\"{phase}\"")).count();
    assert_eq!(count("start"), count("end"), "{lines}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let (_folder, walk) = folder_with_walk();
    let mut child = command(&["replay", &walk, "--rate-hz", "50", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn help_is_there_for_every_command() {
    for name in [
        "demo",
        "run",
        "record",
        "replay",
        "embed",
        "classify",
        "calibrate",
        "enroll",
        "classes",
        "pack",
        "doctor",
    ] {
        let (help, _) = done(&[name, "--help"]);
        assert!(help.contains("Usage: sensorium"), "{help}");
    }
}

/// The commands below one, by its help.
fn commands_below(path: &[String]) -> Vec<Vec<String>> {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let (help, _) = done(&words);
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return vec![path.to_vec()];
    };
    let names = list.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    let below = names.map(|name| [path, &[name.to_owned()]].concat());
    below.flat_map(|below| commands_below(&below)).collect()
}

#[test]
fn every_command_has_an_example_and_json() {
    let commands = commands_below(&[]);
    assert!(commands.len() >= 16, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command
            .iter()
            .map(String::as_str)
            .chain(["--help"])
            .collect();
        let (help, _) = done(&words);
        assert!(
            help.contains("\nExample"),
            "{command:?} has no example:\n{help}"
        );
        assert!(
            help.contains("--json"),
            "{command:?} has no --json:\n{help}"
        );
    }
}

#[test]
fn commands_that_write_files_say_what_is_in_them() {
    let (folder, walk) = folder_with_walk();
    let at = |name: &str| text(&folder.path().join(name));
    let told = |args: &[&str]| -> Value {
        let (out, _) = done(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap()
    };
    let rows = at("rows.npy");
    let of_embed = told(&[
        "embed",
        "--modality",
        "imu",
        &walk,
        "--text",
        "a person walking",
        "--out",
        &rows,
    ]);
    assert_eq!(of_embed["out"], rows);
    let shape = Array::from_bytes(&std::fs::read(&rows).unwrap())
        .unwrap()
        .shape;
    assert_eq!(of_embed["shape"], serde_json::json!(shape));
    assert_eq!(of_embed["rows"][0]["input"], walk);
    assert_eq!(of_embed["rows"][1]["text"], "a person walking");

    let (gait, classes) = (at("gait.json"), at("classes.toml"));
    let of_enroll = told(&["enroll", "gait", "--modality", "imu", &walk, "--out", &gait]);
    assert_eq!(of_enroll["space"], of_embed["space"]);
    assert_eq!(of_enroll["examples"][0]["cosine"], 1.0);
    let of_import = told(&["classes", "import", &gait, "--classes", &classes]);
    assert_eq!(of_import["class"], "gait");
    let built = at("built.json");
    let of_build = told(&["classes", "build", &classes, "--out", &built]);
    assert_eq!(of_build["spaces"][0]["classes"], 1);
    let exported = at("exported.json");
    let of_export = told(&[
        "classes",
        "export",
        "gait",
        "--classes",
        &classes,
        "--out",
        &exported,
    ]);
    assert_eq!(of_export["out"], exported);

    let small = at("small.pack");
    let of_strip = told(&[
        "pack",
        "strip",
        "--encoder",
        "thermal",
        "--towers",
        "--out",
        &small,
    ]);
    assert_eq!(of_strip["bytes"], std::fs::metadata(&small).unwrap().len());
    let inspected = told(&["pack", "inspect", &small]);
    let names: Vec<_> = { inspected["encoders"].as_array().unwrap().iter() }
        .map(|encoder| encoder["name"].clone())
        .collect();
    assert_eq!(of_strip["encoders"], Value::from(names));
}

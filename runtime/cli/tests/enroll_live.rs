//! Classes that are enrolled by doing it in front of a live sensor.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tiny::{Folder, tones, wav};

const RATE_HZ: u32 = 16_000;

/// Exit status and what is said beside.
fn told(output: Output) -> (i32, String) {
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().unwrap(), said)
}

/// Quarters of a second of tones, as raw samples; of 0 Hz is nothing.
fn raw(hz: &[f32]) -> Vec<u8> {
    let samples = tones(RATE_HZ, hz);
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// Enrols from stdin.
fn enroll(args: &[&str], sound: &[u8]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .arg("enroll")
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Who has heard enough reads no more.
            let _ = stdin.write_all(sound);
        });
        told(child.wait_with_output().unwrap())
    })
}

fn class(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn vector(class: &Value) -> Vec<f64> {
    let numbers = class["vector"].as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn takes_of_a_live_microphone_make_the_class_that_files_make() {
    let folder = Folder::new();
    let (pack, out, classes) = (
        folder.name("tiny.pack"),
        folder.name("gate.json"),
        folder.name("c.toml"),
    );
    let args = [
        "my gate",
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--audio",
        "-",
        "--rate-hz",
        "16000",
        "--seconds",
        "1",
        "--times",
        "3",
        "--countdown",
        "1",
        "--out",
        &out,
        "--classes",
        &classes,
    ];
    // Silent for six seconds: the first take cannot be used.
    let hz: Vec<f32> = (0..100)
        .map(|part| if part < 24 { 0.0 } else { 5000.0 })
        .collect();
    let (code, said) = enroll(&args, &raw(&hz));
    assert_eq!(code, 0, "{said}");
    let order = [
        "take 1 of 3 in 1 s",
        "take 1 of 3: now, for 1 s",
        "take 1 of 3 is not used: nothing but zeros comes; once more",
        "take 1 of 3 in 1 s",
        "take 1 of 3: done",
        "take 2 of 3 in 1 s",
        "take 3 of 3: done",
        "take 1: cosine 1.00 to the others",
        "\"my gate\" is the mean of 3 examples",
    ];
    let mut rest = said.as_str();
    for words in order {
        let at = rest.find(words);
        rest = &rest[at.unwrap_or_else(|| panic!("{words:?} is not in {rest:?}"))..];
    }
    let live = class(&out);
    assert_eq!(
        (&live["name"], &live["examples"]),
        (&"my gate".into(), &3.into())
    );
    let file = folder.file("gate.wav", wav(RATE_HZ, &tones(RATE_HZ, &[5000.0; 4])));
    let of_file = folder.name("file.json");
    let args = [
        "enroll",
        "my gate",
        &file,
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--out",
        &of_file,
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args(args)
        .output();
    assert_eq!(told(output.unwrap()).0, 0);
    let of_file = class(&of_file);
    assert_eq!(live["fingerprint"], of_file["fingerprint"]);
    let pairs = vector(&live).into_iter().zip(vector(&of_file));
    let cosine: f64 = pairs.map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "{cosine}");
    let listed = std::fs::read_to_string(&classes).unwrap();
    assert!(
        listed.contains("my gate") && listed.contains("gate.json"),
        "{listed}"
    );
}

#[test]
fn a_stream_of_a_configuration_is_enrolled_from() {
    let folder = Folder::new();
    let (fifo, out) = (folder.name("depth.fifo"), folder.name("step.json"));
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let config = format!(
        "pack = '{}'\n[[stream]]\nname = 'door'\nmodality = 'depth'\nretry_s = 0\n\
         source = {{ kind = 'raw-frames', path = '{fifo}', rate_hz = 4, width = 2, height = 2 }}\n",
        folder.name("tiny.pack")
    );
    let config = folder.file("run.toml", config);
    let child = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args([
            "enroll",
            "step",
            "--modality",
            "depth",
            "--config",
            &config,
            "--seconds",
            "2",
        ])
        .args(["--countdown", "2", "--times", "2", "--out", &out])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = File::create(&fifo).unwrap();
    for at in 0..80u16 {
        let frame = [1000 + 500 * (at % 4); 4];
        let bytes: Vec<u8> = frame.iter().flat_map(|v| v.to_le_bytes()).collect();
        // It may have what it needs before the end.
        if pipe.write_all(&bytes).is_err() {
            break;
        }
    }
    drop(pipe);
    let (code, said) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{said}");
    assert_eq!(class(&out)["modalities"], serde_json::json!(["depth"]));
}

#[test]
fn errors_say_what_and_where() {
    let folder = Folder::new();
    let (pack, out) = (folder.name("tiny.pack"), folder.name("x.json"));
    let sound = folder.file("a.wav", wav(RATE_HZ, &tones(RATE_HZ, &[200.0, 200.0])));
    let with = ["x", "--pack", &pack, "--modality", "audio", "--out", &out];
    let refused = |args: &[&str], heard: &[u8]| {
        let (code, said) = enroll(&[&with[..], args].concat(), heard);
        assert_eq!(code, 2, "{said}");
        assert!(!folder.path("x.json").exists());
        said
    };
    let live = ["--audio", "-", "--rate-hz", "16000"];
    let and = |more: &[&str], heard: &[u8]| refused(&[&live[..], more].concat(), heard);
    let said = refused(&[], &[]);
    assert!(
        said.contains("there are no examples: give files, or a live sensor"),
        "{said}"
    );
    let said = and(&["--seconds", "1"], &raw(&[300.0; 24]));
    assert!(
        said.contains("stream \"audio\": it ended after 1 of 3 takes"),
        "{said}"
    );
    let said = and(&["--seconds", "1", "--countdown", "0"], &raw(&[0.0; 200]));
    assert!(
        said.contains("10 takes in a row could not be used, the last because nothing but zeros"),
        "{said}"
    );
    assert!(and(&["--seconds", "0"], &[]).contains("--seconds is 0, expected 0.1 to 60"));
    assert!(and(&["--times", "0"], &[]).contains("--times is 0, expected 1 to 100"));
    assert!(and(&[&sound], &[]).contains("is a file, and there is a live sensor"));
    let said = refused(&["--audio", &sound], &[]);
    assert!(
        said.contains("is a recording: give its file as an example"),
        "{said}"
    );
    let said = refused(
        &["--thermal", "-", "--frame-hz", "8", "--frame-size", "6x6"],
        &[],
    );
    assert!(
        said.contains("no stream is audio, the streams are [\"thermal\"]"),
        "{said}"
    );
}

//! Several senses at once, through the real program.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::process::{Command, Output};

use serde_json::Value;
use tiny::four::{FRAME_HZ, folder};
use tiny::{Folder, png};

fn sensorium(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_sensorium");
    Command::new(program).args(args).output().unwrap()
}

/// What a command printed that must succeed, and what it said beside.
fn done(args: &[&str]) -> (String, String) {
    let output = sensorium(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

fn error(args: &[&str]) -> String {
    let output = sensorium(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(
        output.stdout.is_empty() && !said.contains("panicked"),
        "{said}"
    );
    said
}

fn events(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Arguments that replay all four.
fn four(folder: &Folder) -> Vec<String> {
    let name = |file| folder.name(file);
    let args = [
        "replay".into(),
        name("walk.csv"),
        name("sound.wav"),
        "--thermal".into(),
        name("ceiling"),
        "--depth".into(),
        name("door.npy"),
        "--frame-hz".into(),
        FRAME_HZ.to_string(),
        "--rate-hz".into(),
        "50".into(),
        "--pack".into(),
        name("four.pack"),
        "--json".into(),
    ];
    args.into()
}

#[test]
fn four_recordings_are_named_side_by_side() {
    let folder = folder();
    let args = four(&folder);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (lines, said) = done(&args);
    let events = events(&lines);
    for (stream, first, second) in [
        ("imu", "az", "ax"),
        ("audio", "low", "high"),
        ("thermal", "top", "bottom"),
        ("depth", "above", "below"),
    ] {
        let of_stream = events.iter().filter(|event| event["stream"] == stream);
        let ends: Vec<_> = of_stream
            .filter(|event| event["phase"] == "end")
            .map(|event| {
                assert_eq!(event["modality"], stream);
                let time_s = |key| event[key].as_f64().unwrap() / 1e9;
                (
                    event["class"].as_str().unwrap(),
                    time_s("t_start_ns"),
                    time_s("t_end_ns"),
                )
            })
            .collect();
        // Each is told within a window of where it was.
        let [(a, _, a_end_s), (b, b_start_s, b_end_s)] = ends[..] else {
            panic!("{stream}: {ends:?}");
        };
        assert_eq!((a, b), (first, second));
        assert!(
            (a_end_s - 4.0).abs() < 1.0 && (b_start_s - 4.0).abs() < 1.0,
            "{ends:?}"
        );
        assert!(b_end_s > 9.0, "{ends:?}");
        let ledger = said.lines().find(|line| {
            line.starts_with(&format!("sensorium: {stream}:")) && line.contains(" sampled = ")
        });
        assert!(ledger.unwrap().contains("+ 0 lost + 0 dropped;"), "{said}");
    }
    for unit in [
        "8 Hz in millimetres",
        "16000 Hz in amplitude",
        "50 Hz in m/s2 and rad/s",
    ] {
        assert!(said.contains(unit), "{said}");
    }
    // Merged by time: what a stream says of an instant is said when the others are there, too.
    let starts: Vec<i64> = events
        .iter()
        .filter(|event| event["phase"] == "start")
        .map(|event| event["t_end_ns"].as_i64().unwrap())
        .collect();
    let latest = |at: usize| starts[..at].iter().max().copied().unwrap_or(0);
    assert!(
        (0..starts.len()).all(|at| starts[at] + 1_000_000_000 > latest(at)),
        "{starts:?}"
    );
    // The same at any speed, and however the threads run.
    for _ in 0..5 {
        assert_eq!(done(&args).0, lines);
    }
    assert_eq!(done(&[&args[..], &["--speed", "8"]].concat()).0, lines);
}

#[test]
fn a_configuration_says_what_the_command_line_says() {
    let folder = folder();
    let args = four(&folder);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (lines, _) = done(&args);
    let name = |file| folder.name(file);
    let config = format!(
        "pack = '{}'\n[[stream]]\nname = 'imu'\nsource = {{ kind = 'csv', path = '{}', rate_hz = 50 }}\n\
         [[stream]]\nname = 'audio'\nsource = {{ kind = 'sound', path = '{}' }}\n\
         [[stream]]\nname = 'thermal'\nmodality = 'thermal'\nframe_id = 'ceiling_link'\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ} }}\n\
         [[stream]]\nname = 'depth'\nmodality = 'depth'\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ} }}\n",
        name("four.pack"),
        name("walk.csv"),
        name("sound.wav"),
        name("ceiling"),
        name("door.npy")
    );
    let config = folder.file("run.toml", config);
    let (configured, said) = done(&["run", "--config", &config, "--json"]);
    assert_eq!(configured, lines);
    assert!(said.contains("frame \"ceiling_link\""), "{said}");
}

#[test]
fn raw_sound_on_stdin_is_the_sound_of_its_file() {
    let folder = folder();
    let (pack, sound) = (folder.name("four.pack"), folder.name("sound.wav"));
    let (lines, _) = done(&["replay", &sound, "--pack", &pack, "--json"]);
    let wav = std::fs::read(&sound).unwrap();
    let run = |bytes: &[u8]| {
        let raw = folder.file("sound.raw", bytes);
        Command::new(env!("CARGO_BIN_EXE_sensorium"))
            .args(["run", "--audio", "-", "--rate-hz", "16000", "--pack", &pack])
            .args(["--clock", "sample", "--json"])
            .stdin(std::fs::File::open(raw).unwrap())
            .output()
            .unwrap()
    };
    let output = run(&wav[44..]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines);
    let output = run(&wav);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("\"-\" begins as a WAV file does, expected raw samples"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_heard_is_refused_before_anything_is() {
    let folder = folder();
    let (pack, csv) = (folder.name("four.pack"), folder.name("walk.csv"));
    let with = |args: &[&str]| error(&[args, &["--pack", &pack]].concat());
    let of_one_sense = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/packs/imu-hapt.pack");
    let said = error(&["replay", &folder.name("sound.wav"), "--pack", of_one_sense]);
    assert!(
        said.starts_with("sensorium: stream \"audio\": pack ")
            && said.ends_with("has no encoder for audio, it has imu\n"),
        "{said}"
    );
    let said = with(&["run", "--audio", "-"]);
    assert!(
        said.contains("how many samples a second? Say it as --rate-hz 16000"),
        "{said}"
    );
    let said = with(&[
        "run",
        "--audio",
        "-",
        "--rate-hz",
        "16000",
        "--format",
        "mp3",
    ]);
    assert!(
        said.contains("\"mp3\" is no kind of samples, expected u8, s16le"),
        "{said}"
    );
    let said = with(&["run", "--audio", "-", "--rate-hz", "16"]);
    assert!(
        said.contains("rate_hz is 16, expected 1000 to 192000"),
        "{said}"
    );
    let said = with(&["run", "--thermal", "-", "--frame-hz", "9"]);
    assert!(
        said.contains("how large is a frame? Say it as --frame-size 160x120"),
        "{said}"
    );
    let said = with(&["run", "--depth", "/nonexistent", "--frame-hz", "9"]);
    assert!(said.contains("\"/nonexistent\": No such file"), "{said}");
    let said = with(&["replay", &folder.name("ceiling")]);
    assert!(
        said.contains("is a folder of frames; say of what: --thermal"),
        "{said}"
    );
    let said = with(&["replay", "--thermal", &folder.name("ceiling")]);
    assert!(
        said.contains("how many frames a second? Say it as --frame-hz 9"),
        "{said}"
    );
    let said = with(&["replay", &csv, &csv, "--rate-hz", "50", "--stream", "a"]);
    assert!(
        said.contains("--stream \"a\" names one stream, and there are 2"),
        "{said}"
    );
    let colours = folder.file("photo.png", png(1, &[[9; 3]]));
    let said = with(&["replay", "--depth", &colours, "--frame-hz", "9"]);
    assert!(
        said.contains("it holds uint8, expected depth in millimetres as uint16"),
        "{said}"
    );
    let said = with(&["run"]);
    assert!(said.contains("nothing to listen to"), "{said}");
    let both = with(&[
        "run",
        "--audio",
        "-",
        "--rate-hz",
        "16000",
        "--thermal",
        "-",
        "--frame-hz",
        "9",
        "--frame-size",
        "4x4",
    ]);
    assert!(both.contains("two streams are read from stdin"), "{both}");
}

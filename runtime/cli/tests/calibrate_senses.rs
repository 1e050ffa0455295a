//! `sensorium calibrate` of every sense, from files and from recordings of several streams.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use sensorium_pack::Modality;
use sensorium_testkit::{Tiny, tiny_pack};
use serde_json::Value;
use tiny::Folder;
use tiny::four::{FRAME_HZ, THERMAL, folder};

/// Exit status, stdout and stderr.
fn sensorium(args: &[&str]) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_sensorium");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn values(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A configuration of all four, whose hops are not those that the pack would have.
fn config(folder: &Folder) -> String {
    let name = |file| folder.name(file);
    let text = format!(
        "pack = '{}'\n\
         [[stream]]\nname = 'imu'\nhop_s = 0.5\n\
         source = {{ kind = 'csv', path = '{}', rate_hz = 50 }}\n\
         [[stream]]\nname = 'audio'\nhop_s = 0.25\nsource = {{ kind = 'sound', path = '{}' }}\n\
         [[stream]]\nname = 'thermal'\nmodality = 'thermal'\nhop_s = 0.25\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ} }}\n\
         [[stream]]\nname = 'depth'\nmodality = 'depth'\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ} }}\n\
         [events]\nmedian_windows = 1\nmin_duration_s = 0.5\n",
        name("four.pack"),
        name("walk.csv"),
        name("sound.wav"),
        name("ceiling"),
        name("door.npy")
    );
    folder.file("run.toml", text)
}

#[test]
fn every_sense_rings_as_often_as_calibration_counted() {
    let folder = folder();
    let (config, out) = (config(&folder), folder.name("day.mcap"));
    let (code, _, said) = sensorium(&["record", "--config", &config, "--out", &out]);
    assert_eq!(code, 0, "{said}");
    let calibrate = |budget: &str, background: &[&str]| -> Vec<Value> {
        let calibration = folder.name("c.toml");
        let fixed = [
            "calibrate",
            "--json",
            "--config",
            &config,
            "--out",
            &calibration,
        ];
        let budget = ["--lowest", "0.01", "--false-alarms-per-hour", budget];
        let (code, lines, said) = sensorium(&[&fixed[..], &budget, background].concat());
        assert!(code < 2, "{said}");
        values(&lines)
    };
    let (csv, wav) = (folder.name("walk.csv"), folder.name("sound.wav"));
    let (thermal, depth) = (folder.name("ceiling"), folder.name("door.npy"));
    let files = [
        "--background",
        &csv,
        &wav,
        "--rate-hz",
        "50",
        "--thermal",
        &thermal,
        "--depth",
        &depth,
        "--frame-hz",
        "8",
    ];
    for budget in ["300", "1000", "3000"] {
        let mut of_files = calibrate(budget, &files);
        let found = calibrate(budget, &["--background", &out]);
        assert_eq!(found.len(), 6 + 2 + 2 + 2);
        // What the streams say is the same, whatever they are read from.
        of_files.sort_by_key(Value::to_string);
        let mut sorted = found.clone();
        sorted.sort_by_key(Value::to_string);
        assert_eq!(sorted, of_files);
        let with_calibration = std::fs::read_to_string(&config).unwrap();
        let with_calibration = format!(
            "calibration = '{}'\n{with_calibration}",
            folder.name("c.toml")
        );
        let run = folder.file("calibrated.toml", with_calibration);
        let (_, lines, said) = sensorium(&["run", "--config", &run, "--json"]);
        assert!(!said.contains("promises nothing"), "{said}");
        let mut rang = BTreeMap::new();
        for event in values(&lines)
            .iter()
            .filter(|event| event["phase"] == "end")
        {
            let key = (event["modality"].to_string(), event["class"].to_string());
            *rang.entry(key).or_insert(0) += 1;
        }
        for class in &found {
            let key = (class["modality"].to_string(), class["class"].to_string());
            let counted = class["alarms"].as_i64().unwrap_or(0);
            if class["enter"].is_number() {
                assert_eq!(rang.get(&key).copied().unwrap_or(0), counted, "{class}");
            }
            assert!(class["hours"].as_f64().unwrap() > 8.0 / 3600.0, "{class}");
        }
        // Otherwise nothing of the above would be worth anything.
        let all: i64 = found
            .iter()
            .filter_map(|class| class["alarms"].as_i64())
            .sum();
        assert!(budget != "3000" || all > 2, "{found:?}");
    }
}

#[test]
fn streams_that_may_tell_of_a_class_share_its_budget() {
    let folder = folder();
    let tiny = |modality, front_end| Tiny {
        modality,
        front_end,
        words: &["low", "high"],
    };
    let pack = tiny_pack(&[
        tiny(Modality::Audio, tiny::AUDIO),
        tiny(Modality::Thermal, THERMAL),
    ]);
    let pack = folder.file("both.pack", pack);
    let classes = folder.file(
        "both.toml",
        "[[class]]\nname = 'low'\nfalse_alarms_per_hour = 6\n\
         [[class]]\nname = 'high'\nall = ['audio', 'thermal']\nfalse_alarms_per_hour = 6\n",
    );
    let (wav, thermal, out) = (
        folder.name("sound.wav"),
        folder.name("ceiling"),
        folder.name("c.toml"),
    );
    let with = [
        "calibrate",
        "--pack",
        &pack,
        "--classes",
        &classes,
        "--out",
        &out,
        "--json",
    ];
    let both = [
        "--background",
        &wav,
        "--thermal",
        &thermal,
        "--frame-hz",
        "8",
    ];
    let shares = |background: &[&str]| -> Vec<(String, String, f64)> {
        let (code, lines, said) = sensorium(&[&with[..], background].concat());
        assert!(code < 2, "{said}");
        let share = |value: &Value| {
            assert_eq!(value["false_alarms_per_hour"], 6.0);
            let text = |key: &str| value[key].as_str().unwrap().to_owned();
            (
                text("modality"),
                text("class"),
                value["share_per_hour"].as_f64().unwrap(),
            )
        };
        values(&lines).iter().map(share).collect()
    };
    let expected = [
        ("audio", "low", 3.0),
        ("audio", "high", 6.0),
        ("thermal", "low", 3.0),
        ("thermal", "high", 6.0),
    ];
    let expected =
        expected.map(|(sense, class, share)| (sense.to_owned(), class.to_owned(), share));
    assert_eq!(shares(&both), expected);
    // Of one sense alone, all of it; of two microphones, half each.
    assert_eq!(shares(&both[..2])[0].2, 6.0);
    let mics = format!(
        "[[stream]]\nname = 'hall'\nsource = {{ kind = 'sound', path = '{wav}' }}\n\
         [[stream]]\nname = 'yard'\nsource = {{ kind = 'sound', path = '{wav}' }}\n"
    );
    let mics = folder.file("mics.toml", mics);
    assert_eq!(shares(&["--background", &wav, "--config", &mics])[0].2, 3.0);
    let (_, table, _) = sensorium(&[&with[..7], &both[..]].concat());
    assert!(
        table.starts_with("class  sense    budget  score"),
        "{table}"
    );
}

#[test]
fn errors_say_what_and_where() {
    let folder = folder();
    let (config, out) = (config(&folder), folder.name("c.toml"));
    let refused = |args: &[&str]| {
        let fixed = ["calibrate", "--out", &out];
        let (code, _, said) = sensorium(&[&fixed[..], args].concat());
        assert_eq!(code, 2, "{said}");
        said
    };
    assert!(refused(&[]).contains("there is no background"));
    let wav = folder.name("sound.wav");
    let said = refused(&[
        "--background",
        &wav,
        "--pack",
        &folder.name("tiny.pack"),
        "--depth",
        &wav,
    ]);
    assert!(said.contains("how many frames a second?"), "{said}");
    let text = std::fs::read_to_string(&config).unwrap();
    let (one, _) = text.split_once("[[stream]]\nname = 'audio'").unwrap();
    let of_imu = folder.file("imu.toml", one);
    let said = refused(&["--background", &wav, "--config", &of_imu]);
    assert!(
        said.contains("the configuration has no audio stream"),
        "{said}"
    );
    let stream = |name: &str, hop: &str| {
        format!(
            "[[stream]]\nname = '{name}'\nhop_s = {hop}\nsource = {{ kind = 'sound', path = '{wav}' }}\n"
        )
    };
    let differ = folder.file(
        "differ.toml",
        stream("hall", "0.25") + &stream("yard", "0.5"),
    );
    let said = refused(&[
        "--background",
        &wav,
        "--pack",
        &folder.name("four.pack"),
        "--config",
        &differ,
    ]);
    assert!(
        said.contains("streams \"hall\" and \"yard\" of the configuration differ in hop_s"),
        "{said}"
    );
}

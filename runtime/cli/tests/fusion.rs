//! Several streams of one thing, through the real program.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::collections::BTreeMap;
use std::process::{Command, Output};

use sensorium_testkit::WALK;
use serde_json::Value;

fn run(config: &str, folder: &tempfile::TempDir) -> (i32, Vec<Value>, String) {
    let path = folder.path().join("run.toml");
    std::fs::write(&path, config).unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args(["run", "--json", "--config", path.to_str().unwrap()])
        .output()
        .unwrap();
    let lines = String::from_utf8(stdout).unwrap();
    let events = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let said = String::from_utf8(stderr).unwrap();
    (status.code().unwrap(), events.collect(), said)
}

/// The last report of each event.
fn events(lines: &[Value]) -> Vec<Value> {
    let mut last = BTreeMap::new();
    for line in lines {
        last.insert(line["id"].as_str().unwrap().to_owned(), line.clone());
    }
    last.into_values().collect()
}

fn stream(name: &str, walk: &str) -> String {
    format!(
        "[[stream]]\nname = '{name}'\n\
         source = {{ kind = 'csv', path = '{walk}', rate_hz = 50, speed = 60 }}\n"
    )
}

#[test]
fn two_sensors_on_one_person_tell_of_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let walk = folder.path().join("walk.csv");
    std::fs::write(&walk, WALK).unwrap();
    let walk = walk.to_str().unwrap();
    let (_, alone, _) = run(&stream("hip", walk), &folder);
    let both = stream("hip", walk) + &stream("belt", walk);
    let (code, together, said) = run(&both, &folder);
    assert_eq!(code, 0, "{said}");
    let (alone, together) = (events(&alone), events(&together));
    assert!(alone.len() > 10 && together.len() <= alone.len());
    for event in &together {
        assert_eq!(event["phase"], "end");
        let streams: Vec<&str> = { event["fusion"].as_array().unwrap().iter() }
            .map(|part| part["stream"].as_str().unwrap())
            .collect();
        assert_eq!(streams, ["belt", "hip"], "{event}");
    }
    let time = |event: &Value, key: &str| event[key].as_i64().unwrap();
    for event in &alone {
        let covers = |other: &&Value| {
            other["class"] == event["class"]
                && time(other, "t_start_ns") <= time(event, "t_start_ns")
                && time(other, "t_end_ns") >= time(event, "t_end_ns")
        };
        assert_eq!(together.iter().filter(covers).count(), 1, "{event}");
    }
    let (_, apart, _) = run(&format!("{both}[events]\nmerge_within_s = 0\n"), &folder);
    assert_eq!(events(&apart).len(), 2 * alone.len());
}

#[test]
fn a_class_that_no_two_senses_can_agree_on_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let walk = folder.path().join("walk.csv");
    std::fs::write(&walk, WALK).unwrap();
    let classes = folder.path().join("classes.toml");
    let class = "[[class]]\nname = 'walking'\nprompts = ['a person walking']\n\
                 all = ['imu', 'audio']\nwithin_s = 2\n";
    std::fs::write(&classes, class).unwrap();
    let config = format!(
        "classes = '{}'\n{}",
        classes.display(),
        stream("hip", walk.to_str().unwrap())
    );
    let (code, lines, said) = run(&config, &folder);
    assert_eq!((code, lines.len()), (2, 0));
    let expected = "class \"walking\" needs audio to agree, and no stream is audio";
    assert!(said.contains(expected), "{said}");
}

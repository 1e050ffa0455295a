//! `sensorium calibrate`, and what `replay` and `run` do with it.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use sensorium_testkit::WALK;
use serde_json::Value;

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

/// A folder with the demo's recording, with its labels and without.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let walk = std::str::from_utf8(WALK).unwrap();
        let bare = walk.lines().map(|line| line.rsplit_once(',').unwrap().0);
        folder.file("bare.csv", &bare.collect::<Vec<_>>().join("\n"));
        folder.file("walk.csv", walk);
        folder
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = self.0.path();
        path.join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn calibrate(&self, recording: &str, args: &[&str]) -> (i32, Vec<Value>, String) {
        let (recording, out) = (self.path(recording), self.path("c.toml"));
        let fixed = ["calibrate", "--rate-hz", "50", "--json", "--out", &out];
        let (code, lines, said) =
            sensorium(&[&fixed[..], &["--background", &recording], args].concat());
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        (code, lines.collect(), said)
    }

    fn replay(&self, args: &[&str]) -> (Vec<Value>, String) {
        let walk = self.path("bare.csv");
        let fixed = ["replay", &walk, "--rate-hz", "50", "--json"];
        let (_, lines, said) = sensorium(&[&fixed[..], args].concat());
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        (lines.collect(), said)
    }
}

/// Alarms of each class: one an event, and one for each minute of it.
fn alarms(events: &[Value]) -> BTreeMap<String, i64> {
    let mut alarms = BTreeMap::new();
    for event in events.iter().filter(|event| event["phase"] == "end") {
        let time = |key: &str| event[key].as_i64().unwrap();
        let minutes = (time("t_end_ns") - time("t_start_ns")) / 60_000_000_000;
        *alarms
            .entry(event["class"].as_str().unwrap().to_owned())
            .or_default() += 1 + minutes;
    }
    alarms
}

#[test]
fn a_replay_rings_as_often_as_calibration_counted() {
    let folder = Folder::new();
    let calibration = folder.path("c.toml");
    let uncalibrated = alarms(&folder.replay(&[]).0);
    for budget in ["60", "150", "400"] {
        let args = ["--false-alarms-per-hour", budget, "--lowest", "0.05"];
        let (_, found, _) = folder.calibrate("bare.csv", &args);
        assert_eq!(found.len(), 12);
        let (events, said) = folder.replay(&["--calibration", &calibration]);
        assert!(!said.contains("warning"), "{said}");
        let rang = alarms(&events);
        for class in &found {
            let name = class["class"].as_str().unwrap();
            let counted = class["alarms"].as_i64().unwrap();
            assert_eq!(rang.get(name).copied().unwrap_or(0), counted, "{class}");
            let rate = class["per_hour"].as_f64().unwrap();
            assert!(rate <= budget.parse().unwrap(), "{class}");
        }
        assert_ne!(rang, uncalibrated);
    }
}

#[test]
fn three_minutes_promise_little_and_labels_are_believed() {
    let folder = Folder::new();
    let (code, found, said) = folder.calibrate("walk.csv", &[]);
    assert_eq!(code, 1, "{said}");
    let of = |found: &[Value], name: &str| {
        let class = found.iter().find(|class| class["class"] == name);
        class.unwrap().clone()
    };
    let walking = of(&found, "walking");
    assert_eq!(
        (&walking["promised"], &walking["alarms"]),
        (&false.into(), &0.into())
    );
    // None in T hours promises 3 / T an hour.
    let all_hours = walking["more_hours"].as_f64().unwrap() + walking["hours"].as_f64().unwrap();
    assert!((all_hours - 2.9957).abs() < 1e-3, "{walking}");
    // What is labelled as walking is no background for it; nor is it counted for others.
    let (_, bare, _) = folder.calibrate("bare.csv", &[]);
    let hours = |class: &Value| class["hours"].as_f64().unwrap();
    assert!(hours(&walking) < hours(&of(&bare, "walking")) - 0.005);
    let (code, promised, said) = folder.calibrate("walk.csv", &["--false-alarms-per-hour", "300"]);
    assert_eq!(code, 0, "{said}");
    assert!(promised.iter().all(|class| class["promised"] == true));
    let (recording, out) = (folder.path("walk.csv"), folder.path("c.toml"));
    let args = [
        "calibrate",
        "--rate-hz",
        "50",
        "--background",
        &recording,
        "--out",
        &out,
    ];
    let (_, table, _) = sensorium(&args);
    assert_eq!(table.lines().count(), 13);
    assert!(
        table.contains("no: 2.9 h more without an alarm would do"),
        "{table}"
    );
}

#[test]
fn what_was_calibrated_otherwise_is_said_to_promise_nothing() {
    let folder = Folder::new();
    let classes = |walking: &str| {
        format!(
            "[[class]]\nname = 'walking'\nprompts = ['{walking}']\nfalse_alarms_per_hour = 300\n\
             [[class]]\nname = 'rest'\nprompts = ['a person lying']\n"
        )
    };
    let classes = folder.file("classes.toml", &classes("a person walking"));
    let calibration = folder.path("c.toml");
    let (code, found, said) = folder.calibrate("walk.csv", &["--classes", &classes]);
    assert_eq!((code, found.len()), (1, 2), "{said}");
    assert_eq!(found[0]["false_alarms_per_hour"], 300.0);
    let warning = |args: &[&str]| {
        let fixed = ["--classes", &classes];
        let (_, said) = folder.replay(&[&fixed[..], args].concat());
        let warning = said
            .lines()
            .find(|line| line.contains("warning"))
            .map(str::to_owned);
        warning.unwrap_or_default()
    };
    assert!(warning(&[]).contains("nothing holds it; see `sensorium calibrate`"));
    assert_eq!(warning(&["--calibration", &calibration]), "");
    let hop = warning(&["--calibration", &calibration, "--hop-s", "0.5"]);
    assert!(hop.contains("promises nothing: the hop"), "{hop}");
    let text = std::fs::read_to_string(&classes).unwrap();
    let other = text.replace("a person walking", "a person walking upstairs");
    std::fs::write(&classes, other).unwrap();
    let changed = warning(&["--calibration", &calibration]);
    assert!(
        changed.contains("promises nothing: the classes have changed"),
        "{changed}"
    );
}

#[test]
fn a_run_is_calibrated_by_its_configuration() {
    let folder = Folder::new();
    let (walk, calibration) = (folder.path("bare.csv"), folder.path("c.toml"));
    let config = |more: &str| {
        let text = format!(
            "{more}[[stream]]\nname = 'imu'\nhop_s = 0.5\n\
             source = {{ kind = 'csv', path = '{walk}', rate_hz = 50 }}\n\
             [events]\nmedian_windows = 5\nmin_duration_s = 2.0\n"
        );
        folder.file("run.toml", &text)
    };
    let path = config("");
    let (_, found, said) = folder.calibrate(
        "bare.csv",
        &["--config", &path, "--false-alarms-per-hour", "150"],
    );
    let path = config(&format!("calibration = '{calibration}'\n"));
    let (code, lines, ran) = sensorium(&["run", "--config", &path, "--json"]);
    assert_eq!(code, 0, "{said}{ran}");
    assert!(!ran.contains("warning"), "{ran}");
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let rang = alarms(&lines.collect::<Vec<_>>());
    for class in found {
        let counted = class["alarms"].as_i64().unwrap();
        let name = class["class"].as_str().unwrap();
        assert_eq!(rang.get(name).copied().unwrap_or(0), counted, "{class}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let folder = Folder::new();
    let (walk, out) = (folder.path("walk.csv"), folder.path("c.toml"));
    let said = |args: &[&str]| {
        let (code, _, said) = sensorium(&[&["calibrate"][..], args].concat());
        assert_eq!(code, 2, "{said}");
        said.lines().next().unwrap_or_default().to_owned()
    };
    let with = ["--background", &walk, "--rate-hz", "50", "--out", &out];
    let more = |args: &[&str]| said(&[&with[..], args].concat());
    assert_eq!(
        more(&["--false-alarms-per-hour=-1"]),
        "sensorium: --false-alarms-per-hour is -1, expected 0 or more"
    );
    assert_eq!(
        more(&["--lowest", "2"]),
        "sensorium: --lowest is 2, expected 0 to 1"
    );
    let missing = folder.path("none.csv");
    assert!(said(&["--background", &missing, "--out", &out]).contains("cannot open"));
    let nowhere = folder.path("no/c.toml");
    let error = said(&["--background", &walk, "--rate-hz", "50", "--out", &nowhere]);
    assert!(error.ends_with("there is no such folder"), "{error}");
    let bad = folder.file(
        "bad.toml",
        "[[sense]]\nmodality = 'audio'\npack = ''\nbank = ''\nhop_s = 1\nmedian_windows = 3\n",
    );
    let (code, _, said) = sensorium(&["replay", &walk, "--rate-hz", "50", "--calibration", &bad]);
    assert_eq!(code, 2);
    assert!(said.contains("it holds nothing of imu"), "{said}");
}

//! Four live senses at once, by the encoders of the built-in pack: what was put in is told of, each when it
//! was, and nothing else.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod running;
mod tiny;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use running::Run;
use sensorium_engine::source::csv::Recording;
use sensorium_host_sim::{Buffered, Pty, Settings, Speed, simulate};
use sensorium_media::{Sound, clip};
use serde_json::Value;
use tiny::Folder;

/// How much of each recording is played, in seconds.
const SECONDS: f64 = 40.0;

/// Of the recording of a person, where it begins.
const IMU_FROM_S: f64 = 10.0;

const IMU_HZ: f64 = 50.0;

/// What the person does from there on, as the recording's labels have it (lying down, lie to sit, sitting,
/// sit to lie).
const IMU_TRUTH: &str = "start_s,end_s,label
0.00,3.16,lying down
3.16,6.50,lie to sit
6.50,32.60,sitting
32.60,36.26,sit to lie
36.26,40.00,lying down
";

const CLASSES: &str = r#"
[[class]]
name = "lying down"
modalities = ["imu"]
prompts = ["a person lying down"]

[[class]]
name = "sitting"
modalities = ["imu"]
prompts = ["a person sitting"]

[[class]]
name = "lie to sit"
modalities = ["imu"]
prompts = ["a person sitting up from lying", "a person going from lying to sitting"]

[[class]]
name = "sit to lie"
modalities = ["imu"]
prompts = ["a person lying down from sitting", "a person going from sitting to lying"]

[[class]]
name = "a dog barking"
modalities = ["audio"]
not = ["silence", "noise"]

[[class]]
name = "a ticking clock"
modalities = ["audio"]
not = ["silence", "noise"]

[[class]]
name = "a crying baby"
modalities = ["audio"]
not = ["silence", "noise"]

[[class]]
name = "a rooster crowing"
modalities = ["audio"]
not = ["silence", "noise"]

[[class]]
name = "walking"
modalities = ["thermal"]
prompts = ["a person walking"]
not = ["an empty room", "nobody is there"]

[[class]]
name = "falling"
modalities = ["thermal"]
prompts = ["a person falling down", "someone falls to the floor"]
not = ["an empty room", "nobody is there"]

[[class]]
name = "lying on the floor"
modalities = ["thermal"]
prompts = ["a person lying on the floor"]
not = ["an empty room", "nobody is there"]

[[class]]
name = "standing up"
modalities = ["depth"]
prompts = ["a person standing up from a chair", "a person going from sitting to standing"]
not = ["a person clapping", "a person crossing the arms", "a person boxing", "someone jogs on the spot"]

[[class]]
name = "sitting down"
modalities = ["depth"]
prompts = ["a person sitting down from standing", "a person going from standing to sitting"]
not = ["a person clapping", "a person crossing the arms", "a person boxing", "someone jogs on the spot"]
"#;

/// A stretch in which something happens, in seconds from the stream's first sample.
#[derive(Debug)]
struct Stretch {
    class: String,
    start_s: f64,
    end_s: f64,
}

fn truth(csv: &str) -> Vec<Stretch> {
    let stretch = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Stretch {
            class: fields[2].to_owned(),
            start_s: fields[0].parse().unwrap(),
            end_s: fields[1].parse().unwrap(),
        }
    };
    let all = csv.lines().skip(1).map(stretch);
    all.filter(|stretch| stretch.start_s < SECONDS).collect()
}

/// Writes samples of a size as they would be measured; when the first was, in seconds since 1970.
fn play(path: &str, bytes: &[u8], size: usize, rate_hz: f64) -> f64 {
    // Opened as soon as somebody reads.
    let mut pipe = File::create(path).unwrap();
    let began = SystemTime::now();
    for (at, sample) in bytes.chunks(size).enumerate() {
        let due = began + Duration::from_secs_f64((at + 1) as f64 / rate_hz);
        thread::sleep(due.duration_since(SystemTime::now()).unwrap_or_default());
        pipe.write_all(sample).unwrap();
    }
    since_1970_s(began)
}

fn since_1970_s(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Plays the person's recording through a node.
fn play_node(pty: &Pty) -> f64 {
    let csv = include_bytes!("../demo/user30.csv");
    let samples = Recording::read(&csv[..], Path::new("user30.csv"), None)
        .unwrap()
        .samples;
    let [from, to] = [IMU_FROM_S, IMU_FROM_S + SECONDS].map(|s| (s * IMU_HZ) as usize);
    let settings = Settings {
        speed: Speed::Times(1.0),
        ..Settings::at_rate_mhz(50_000)
    };
    let stop = AtomicBool::new(false);
    let mut link = Buffered::new(pty.writer().unwrap());
    let began = SystemTime::now();
    let report = simulate(
        samples[from..to].iter().copied(),
        &settings,
        &mut link,
        &stop,
    );
    assert_eq!(report.status.sampled, (to - from) as u64);
    link.finish(Duration::from_secs(10));
    pty.wait_until_drained(Duration::from_secs(10)).unwrap();
    since_1970_s(began)
}

/// Frames one after the other, each number as bytes.
fn frames<const N: usize>(file: &[u8], bytes_of: impl Fn(f32) -> [u8; N]) -> (Vec<u8>, usize) {
    let array = clip::from_bytes(file.to_vec()).unwrap();
    let numbers = array.numbers.to_f32(0..array.numbers.len());
    let bytes: Vec<u8> = numbers.into_iter().flat_map(bytes_of).collect();
    let size = bytes.len() / array.shape[0];
    (bytes, size)
}

#[test]
fn four_live_senses_tell_of_what_was_put_in_and_of_nothing_else() {
    let folder = Folder::new();
    let [audio, thermal, depth] = ["audio", "thermal", "depth"].map(|name| folder.name(name));
    let made = Command::new("mkfifo")
        .args([&audio, &thermal, &depth])
        .status();
    assert!(made.unwrap().success());
    let pty = Pty::open().unwrap();
    let classes = folder.file("classes.toml", CLASSES);
    let config = format!(
        "classes = '{classes}'
        [[stream]]
        name = 'imu'
        source = {{ kind = 'serial', port = '{}' }}
        [[stream]]
        name = 'audio'
        source = {{ kind = 'pcm', path = '{audio}', rate_hz = 32000 }}
        [[stream]]
        name = 'thermal'
        modality = 'thermal'
        source = {{ kind = 'raw-frames', path = '{thermal}', rate_hz = 9.0, width = 16, height = 16, pixel = 'u8' }}
        [[stream]]
        name = 'depth'
        modality = 'depth'
        window_s = 3.0
        source = {{ kind = 'raw-frames', path = '{depth}', rate_hz = 9.5, width = 80, height = 60, pixel = 'u16' }}
        ",
        pty.path().display()
    );
    let config_file = folder.file("run.toml", config);

    let sound = Sound::from_bytes(include_bytes!("../demo/sounds.ogg").to_vec()).unwrap();
    let pcm = |value: &f32| ((value * 32767.0) as i16).to_le_bytes();
    let sound: Vec<u8> = sound.mono().iter().flat_map(pcm).collect();
    let (heat, heat_size) = frames(include_bytes!("../demo/thermal.npy"), |value| [value as u8]);
    let millimetres = |value: f32| (value as u16).to_le_bytes();
    let (depths, depth_size) = frames(include_bytes!("../demo/depth.npz"), millimetres);

    let mut run = Run::start(&["run", "--config", &config_file, "--json"]);
    // The last of the streams.
    run.wait_for("sensorium: depth: depth, ");
    let began = thread::scope(|scope| {
        let node = scope.spawn(|| play_node(&pty));
        // A write of sound is 20 ms.
        let sounds = scope.spawn(|| play(&audio, &sound, 1280, 50.0));
        let heat = scope.spawn(|| play(&thermal, &heat, heat_size, 9.0));
        let depths = scope.spawn(|| play(&depth, &depths, depth_size, 9.5));
        [node, sounds, heat, depths].map(|player| player.join().unwrap())
    });
    let (lines, said) = run.stop();

    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ends = || events.iter().filter(|event| event["phase"] == "end");
    for ((stream, truth, window_s), began_s) in [
        ("imu", truth(IMU_TRUTH), 2.56),
        ("audio", truth(include_str!("../demo/sounds.csv")), 2.0),
        ("thermal", truth(include_str!("../demo/thermal.csv")), 2.0),
        ("depth", truth(include_str!("../demo/depth.csv")), 3.0),
    ]
    .into_iter()
    .zip(began)
    {
        let ledger = format!("sensorium: {stream}: ");
        let ledger = said
            .lines()
            .find(|line| line.starts_with(&ledger) && line.contains(" sampled = "));
        assert!(ledger.unwrap().contains("+ 0 lost + 0 dropped;"), "{said}");
        let mut found = vec![false; truth.len()];
        for event in ends().filter(|event| event["stream"] == stream) {
            let seconds = |key: &str| event[key].as_f64().unwrap() / 1e9;
            let uncertainty_s = seconds("t_uncertainty_ns");
            assert!(uncertainty_s > 0.0 && uncertainty_s < 1.0, "{event}");
            // A window says nothing of where in it something happens.
            let within_s = window_s + uncertainty_s;
            let (start_s, end_s) = (
                seconds("t_start_ns") - began_s,
                seconds("t_end_ns") - began_s,
            );
            let is_told_of = |stretch: &Stretch| {
                stretch.class == event["class"]
                    && start_s > stretch.start_s - within_s
                    && end_s < stretch.end_s + within_s
            };
            let place = truth.iter().position(is_told_of);
            let place = place.unwrap_or_else(|| {
                panic!("{stream} from {start_s:.2} to {end_s:.2} s, which nobody put in: {event}")
            });
            found[place] = true;
        }
        assert!(
            found.iter().all(|found| *found),
            "{stream}: {found:?} of {truth:?}\n{lines}"
        );
    }
}

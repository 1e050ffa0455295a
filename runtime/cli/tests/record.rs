//! `sensorium record`, and `replay` of what it wrote.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sensorium_pack::Modality;
use sensorium_testkit::{Tiny, tiny_pack};
use serde_json::Value;
use tiny::Folder;
use tiny::four::{FRAME_HZ, THERMAL, folder};

/// Longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Speeds, and on how many cores: none of them may make a difference.
const WAYS: [(&[&str], Option<&str>); 4] = [
    (&[], None),
    (&[], Some("0")),
    (&["--speed", "20"], None),
    (&["--speed", "200"], Some("0")),
];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium"));
    command.args(args);
    command
}

/// Exit status, stdout and stderr.
fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (code, text(output.stdout), text(output.stderr))
}

fn sensorium(args: &[&str]) -> (i32, String, String) {
    told(command(args).output().unwrap())
}

/// As [`sensorium`], on one core where that is asked for.
fn on_cores(args: &[&str], cores: Option<&str>) -> (i32, String, String) {
    let Some(cores) = cores else {
        return sensorium(args);
    };
    let program = env!("CARGO_BIN_EXE_sensorium");
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", cores, program]).args(args);
    told(taskset.output().unwrap())
}

/// A configuration of all four recordings, in the order in which files of them are replayed.
fn config(folder: &Folder, speed: &str) -> String {
    let name = |file| folder.name(file);
    let text = format!(
        "[[stream]]\nname = 'imu'\nframe_id = 'base_link'\n\
         source = {{ kind = 'csv', path = '{}', rate_hz = 50{speed} }}\n\
         [[stream]]\nname = 'audio'\nsource = {{ kind = 'sound', path = '{}'{speed} }}\n\
         [[stream]]\nname = 'thermal'\nmodality = 'thermal'\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ}{speed} }}\n\
         [[stream]]\nname = 'depth'\nmodality = 'depth'\n\
         source = {{ kind = 'frames', path = '{}', rate_hz = {FRAME_HZ}{speed} }}\n",
        name("walk.csv"),
        name("sound.wav"),
        name("ceiling"),
        name("door.npy")
    );
    folder.file("run.toml", text)
}

#[test]
fn a_replay_of_what_was_recorded_is_the_same_byte_for_byte() {
    let folder = folder();
    let (pack, out) = (folder.name("four.pack"), folder.name("day.mcap"));
    let config = config(&folder, "");
    let (code, lines, said) = sensorium(&["record", "--config", &config, "--out", &out, "--json"]);
    assert_eq!(code, 0, "{said}");
    let expected = [
        ("imu", 500),
        ("audio", 160_000),
        ("thermal", 80),
        ("depth", 80),
    ];
    for (line, (name, samples)) in lines.lines().zip(expected) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["stream"], name);
        assert_eq!(
            (&line["recorded"], &line["dropped"]),
            (&samples.into(), &0.into())
        );
    }
    // What the files themselves say, stream by stream.
    let (code, of_files, ledger) =
        sensorium(&["run", "--config", &config, "--pack", &pack, "--json"]);
    assert!(code == 0 && of_files.lines().count() >= 8, "{ledger}");
    let replay = ["replay", &out, "--pack", &pack, "--json"];
    let (_, first, _) = sensorium(&replay);
    for (speed, cores) in WAYS {
        let (code, events, said) = on_cores(&[&replay[..], speed].concat(), cores);
        assert_eq!(code, 0, "{said}");
        assert_eq!(events, first, "{speed:?} {cores:?}");
        assert!(
            said.contains("imu: imu, 50 Hz in m/s2 and rad/s") && said.contains("\"base_link\"")
        );
    }
    for (name, _) in expected {
        let own = |lines: &str| -> Vec<String> {
            let is_own = |line: &&str| line.contains(&format!("\"stream\":\"{name}\""));
            lines.lines().filter(is_own).map(str::to_owned).collect()
        };
        assert_eq!(own(&first), own(&of_files), "{name}");
        let one = [&replay[..], &["--stream", name]].concat();
        let (code, events, said) = sensorium(&one);
        assert_eq!(
            (code, own(&events).len()),
            (0, events.lines().count()),
            "{said}"
        );
        assert_eq!(own(&events), own(&of_files), "{name}");
    }
    // One stream of it as a stream of a configuration.
    let source = format!("kind = 'mcap', path = '{out}', stream = 'audio'");
    let text = format!("[[stream]]\nname = 'audio'\nmodality = 'audio'\nsource = {{ {source} }}\n");
    let one = folder.file("one.toml", text);
    let (code, events, said) = sensorium(&["run", "--config", &one, "--pack", &pack, "--json"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        of_files
            .lines()
            .filter(|l| l.contains("\"audio\""))
            .eq(events.lines())
    );
}

/// A class that sound and warmth must agree on.
const BOTH: &str = "[[class]]\nname = 'low'\nall = ['audio', 'thermal']\nwithin_s = 3\n\
    [[class]]\nname = 'high'\n";

/// A pack in which both have the same words.
fn agreeing(folder: &Folder) -> String {
    let tiny = |modality, front_end| Tiny {
        modality,
        front_end,
        words: &["low", "high"],
    };
    let pack = tiny_pack(&[
        tiny(Modality::Audio, tiny::AUDIO),
        tiny(Modality::Thermal, THERMAL),
    ]);
    folder.file("both.pack", pack)
}

fn fifo(folder: &Folder, name: &str) -> String {
    let name = folder.name(name);
    assert!(
        Command::new("mkfifo")
            .arg(&name)
            .status()
            .unwrap()
            .success()
    );
    name
}

/// Two live streams for about four seconds: sound, and from a second later on frames.
fn record_live(folder: &Folder, out: &str) -> String {
    let (sound, frames) = (fifo(folder, "sound.fifo"), fifo(folder, "frames.fifo"));
    let child = command(&[
        "record",
        "--audio",
        &sound,
        "--rate-hz",
        "16000",
        "--thermal",
        &frames,
        "--frame-hz",
        "8",
        "--frame-size",
        "6x6",
        "--retry-s",
        "0",
        "--out",
        out,
    ])
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pipe = File::create(&sound).unwrap();
            let samples = tiny::tones(16_000, &[200.0; 16]);
            for (at, part) in samples.chunks(800).enumerate() {
                wait_until(began, Duration::from_millis(50 * (at as u64 + 1)));
                let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
                pipe.write_all(&bytes).unwrap();
            }
        });
        scope.spawn(|| {
            let mut pipe = File::create(&frames).unwrap();
            for at in 0..24u16 {
                wait_until(
                    began,
                    Duration::from_millis(1000 + 125 * (u64::from(at) + 1)),
                );
                let warm = 200 + at % 5;
                let frame = [[warm; 18], [1; 18]].concat();
                let bytes: Vec<u8> = frame.iter().flat_map(|v| v.to_le_bytes()).collect();
                pipe.write_all(&bytes).unwrap();
            }
        });
    });
    let (code, _, said) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{said}");
    said
}

fn wait_until(began: Instant, due: Duration) {
    if let Some(left) = due.checked_sub(began.elapsed()) {
        std::thread::sleep(left);
    }
}

#[test]
fn live_streams_lie_beside_each_other_as_they_did() {
    let folder = folder();
    let (pack, out) = (folder.name("four.pack"), folder.name("live.mcap"));
    let said = record_live(&folder, &out);
    assert!(
        said.contains("audio: 64000 samples recorded, 0 dropped"),
        "{said}"
    );
    assert!(
        said.contains("thermal: 24 samples recorded, 0 dropped"),
        "{said}"
    );
    let classes = folder.file("both.toml", BOTH);
    let both = ["replay", &out, "--pack", &pack, "--json"];
    let start = |events: &str, sense: &str| -> i64 {
        let lines = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut of_sense = lines.filter(|event| event["modality"] == sense);
        of_sense.next().unwrap()["t_start_ns"].as_i64().unwrap()
    };
    for clock in ["sample", "host"] {
        let args = [&both[..], &["--clock", clock]].concat();
        let (code, first, said) = sensorium(&args);
        assert_eq!(code, 0, "{said}");
        for (speed, cores) in WAYS {
            let (_, events, _) = on_cores(&[&args[..], speed].concat(), cores);
            assert_eq!(events, first, "{clock} {speed:?} {cores:?}");
        }
        // Frames began a second later. By the numbers of samples alone they would have begun together.
        let apart_ns = start(&first, "thermal") - start(&first, "audio");
        assert!(
            (500_000_000..1_600_000_000).contains(&apart_ns),
            "{clock}: {apart_ns}"
        );
        let since_1970 = start(&first, "audio") > 1_500_000_000_000_000_000;
        assert_eq!(since_1970, clock == "host");
    }
    // What two senses must agree on is told of once, at any speed.
    let pack = agreeing(&folder);
    let args = [
        "replay",
        &out,
        "--pack",
        &pack,
        "--classes",
        &classes,
        "--json",
    ];
    let (code, first, said) = sensorium(&args);
    assert!(code == 0 && first.contains("\"fusion\""), "{said}");
    for (speed, cores) in WAYS {
        let (_, events, _) = on_cores(&[&args[..], speed].concat(), cores);
        assert_eq!(events, first, "{speed:?} {cores:?}");
    }
}

/// Begins to record in real time and waits until some of it is in the file.
fn begin(folder: &Folder, out: &str) -> Child {
    let config = config(folder, ", speed = 2");
    let child = command(&["record", "--config", &config, "--out", out])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while std::fs::metadata(out).map_or(0, |file| file.len()) < 100_000 {
        assert!(began.elapsed() < PATIENCE, "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_signal_ends_the_file_in_order() {
    let folder = folder();
    let (pack, out) = (folder.name("four.pack"), folder.name("day.mcap"));
    let child = begin(&folder, &out);
    let pid = child.id().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.unwrap().success());
    let (code, _, said) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{said}");
    let of_imu = said.lines().find(|line| line.contains(": imu: ")).unwrap();
    let recorded: usize = of_imu.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(recorded > 20 && recorded < 500, "{said}");
    let (_, _, replayed) = sensorium(&["replay", &out, "--pack", &pack]);
    let ledger = format!("imu: {recorded} sampled = {recorded} received + 0 lost + 0 dropped");
    assert!(
        replayed.contains(&ledger) && !replayed.contains("warning"),
        "{replayed}"
    );
}

#[test]
fn what_a_killed_recorder_leaves_is_played_to_its_last_whole_chunk() {
    let folder = folder();
    let (pack, out) = (folder.name("four.pack"), folder.name("day.mcap"));
    let mut child = begin(&folder, &out);
    child.kill().unwrap();
    child.wait().unwrap();
    let replay = ["replay", &out, "--pack", &pack];
    let (code, _, said) = sensorium(&replay);
    assert!(code < 2, "{said}");
    assert!(said.contains("it is cut after "), "{said}");
    assert!(said.contains(" received + 0 lost + 0 dropped"), "{said}");
    // In the middle of a chunk, the loss is counted in bytes.
    let bytes = std::fs::read(&out).unwrap();
    std::fs::write(&out, &bytes[..bytes.len() - 500]).unwrap();
    let (code, _, said) = sensorium(&replay);
    assert!(
        code < 2 && said.contains(" bytes from byte ") && said.contains(" on are lost"),
        "{said}"
    );
}

#[test]
fn errors_say_what_and_where() {
    let folder = folder();
    let (pack, out) = (folder.name("four.pack"), folder.name("day.mcap"));
    let refused = |args: &[&str]| {
        let (code, _, said) = sensorium(args);
        assert_eq!(code, 2, "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    };
    let said = refused(&["record", "--out", &out]);
    assert!(said.contains("nothing to listen to"), "{said}");
    let said = refused(&["record", "--serial", &folder.name("tty"), "--out", &out]);
    assert!(said.contains("cannot open the port"), "{said}");
    assert!(!Path::new(&out).exists());
    let config = config(&folder, "");
    let nowhere = folder.name("no/day.mcap");
    let said = refused(&["record", "--config", &config, "--out", &nowhere]);
    assert!(
        said.contains("writing ") && said.contains("no/day.mcap"),
        "{said}"
    );
    assert_eq!(
        sensorium(&["record", "--config", &config, "--out", &out]).0,
        0
    );
    let replay = ["replay", &out, "--pack", &pack];
    let and = |more: &[&str]| refused(&[&replay[..], more].concat());
    let said = and(&["--stream", "belt"]);
    assert!(
        said.contains("it has no stream \"belt\"; it has: audio, depth, imu, thermal"),
        "{said}"
    );
    let said = and(&["--rate-hz", "50"]);
    assert!(said.contains("are for files that do not say"), "{said}");
    let stream = |keys: &str| {
        let text = format!("[[stream]]\nname = 'x'\n{keys} }}\n");
        let config = folder.file("x.toml", text);
        refused(&["run", "--config", &config, "--pack", &pack])
    };
    let source = format!("source = {{ kind = 'mcap', path = '{out}'");
    let said = stream(&source);
    assert!(
        said.contains("needs modality = \"imu\", \"audio\", \"thermal\" or \"depth\""),
        "{said}"
    );
    let said = stream(&format!("modality = 'imu'\n{source}"));
    assert!(
        said.contains("it has several streams, say which: audio, depth"),
        "{said}"
    );
    let said = stream(&format!("modality = 'imu'\n{source}, stream = 'audio'"));
    assert!(
        said.contains("stream \"audio\" is audio, expected imu"),
        "{said}"
    );
    let bytes = std::fs::read(&out).unwrap();
    std::fs::write(&out, &bytes[..100]).unwrap();
    let said = refused(&replay);
    assert!(
        said.contains("it holds no whole chunk of what `sensorium record` writes (100 bytes)"),
        "{said}"
    );
}

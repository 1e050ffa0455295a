//! Sensors that fail, leave and come back while the real program runs.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

mod running;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use running::{PATIENCE, RATE_HZ, Run, fifo, tone};
use tiny::{Folder, tones, wav};

/// So that a writer who is faster than time loses nothing on a machine that is busy.
const NO_DROPS: &[&str] = &["--clock", "sample"];

#[test]
fn events_of_a_dead_microphone_are_withheld() {
    let folder = Folder::new();
    let sound = [
        tones(RATE_HZ, &[300.0; 16]),
        vec![0; 64_000],
        tones(RATE_HZ, &[300.0; 16]),
    ];
    let sound = folder.file("sound.wav", wav(RATE_HZ, &sound.concat()));
    let pack = folder.name("tiny.pack");
    let output = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args(["replay", &sound, "--pack", &pack, "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let health: Vec<&str> = said.lines().filter(|line| !line.contains(" Hz")).collect();
    assert_eq!(
        health[..2],
        [
            "sensorium: audio: degraded: nothing but zeros comes; its events are withheld",
            "sensorium: audio: well again",
        ]
    );
    assert!(health[2].contains(" not while it was degraded"), "{said}");
    // What began before the zeros is over within 2 s of them, and no event is of them alone.
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let time_s = |key| event[key].as_f64().unwrap() / 1e9;
        let (start_s, end_s) = (time_s("t_start_ns"), time_s("t_end_ns"));
        assert!(end_s < 6.0 || start_s > 7.5, "{line}");
    }
}

#[test]
fn a_writer_that_leaves_is_waited_for_and_its_gap_is_counted() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--pack",
        &pack,
        "--json",
    ];
    let mut run = Run::start(&args);
    run.wait_for("16000 Hz");
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(8)).unwrap();
    drop(writer);
    run.wait_for("audio: degraded: it is gone; its events are withheld");
    std::thread::sleep(Duration::from_millis(700));
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(8)).unwrap();
    run.wait_for("audio: well again");
    // It is there and gives nothing.
    run.wait_for("audio: degraded: nothing comes");
    let (_, said) = run.stop();
    let ledger = said
        .lines()
        .find(|line| line.contains(" sampled = "))
        .unwrap();
    assert!(ledger.contains("; 1 disconnects"), "{ledger}");
    let numbers: Vec<f64> = ledger
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [sampled, received, lost, dropped, ..] = numbers[..] else {
        panic!("{ledger}");
    };
    assert_eq!(
        (received, dropped, sampled),
        (64_000.0, 0.0, received + lost + dropped)
    );
    // The writer was away for 0.7 s at least, of which the first block made up 0.128.
    assert!(lost > 0.57 * f64::from(RATE_HZ), "{ledger}");
}

#[test]
fn without_patience_a_fifo_ends_with_its_writer() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--pack",
        &pack,
        "--json",
    ];
    let mut run = Run::start(&[&args[..], &["--retry-s", "0"]].concat());
    run.wait_for("16000 Hz");
    std::fs::write(&path, tone(16)).unwrap();
    let status = run.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    run.wait_for("64000 sampled = 64000 received + 0 lost + 0 dropped");
}

#[test]
fn classes_change_while_it_runs() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let class =
        |name: &str, prompt: &str| format!("[[class]]\nname = '{name}'\nprompts = ['{prompt}']\n");
    let high = class("hiss", "high");
    let classes = folder.file("classes.toml", class("hum", "low") + &high);
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--pack",
        &pack,
    ];
    let mut run = Run::start(&[&args[..], &["--classes", &classes, "--json"], NO_DROPS].concat());
    run.wait_for("16000 Hz");
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(12)).unwrap();
    // One that cannot be used changes nothing.
    folder.file("classes.toml", class("drone", "zorbing in a sphere"));
    run.wait_for("changed, the classes did not");
    writer.write_all(&tone(12)).unwrap();
    folder.file("classes.toml", class("drone", "low") + &high);
    run.wait_for("changed: listening by audio for drone, hiss (bank ");
    writer.write_all(&tone(12)).unwrap();
    drop(writer);
    run.wait_for("it is gone");
    let (lines, said) = run.stop();
    let events = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<serde_json::Value> = events.collect();
    let told = |class: &str| {
        let of_class = events.iter().filter(|event| event["class"] == class);
        let phases = of_class.map(|event| (event["phase"].clone(), event["bank"].clone()));
        phases.collect::<Vec<_>>()
    };
    let (hum, drone) = (told("hum"), told("drone"));
    for phases in [&hum, &drone] {
        assert_eq!(phases.first().unwrap().0, "start");
        assert_eq!(phases.last().unwrap().0, "end");
        assert!(phases.iter().all(|(_, bank)| *bank == phases[0].1));
    }
    assert_ne!(hum[0].1, drone[0].1);
    // Nine seconds of windows of half a second, every eighth of one; none was missed.
    let all = "144000 sampled = 144000 received + 0 lost + 0 dropped; 1 disconnects; 69 windows";
    assert!(said.contains(all), "{said}");
}

/// The status and body of a request.
fn request(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let len = body.len();
    let head = head.replace('\n', "\r\n");
    let sent = format!("{head}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(sent.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn classes_are_told_and_taken_by_http() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--pack",
        &pack,
    ];
    let mut run = Run::start(&[&args[..], &["--http", "127.0.0.1:0", "--json"], NO_DROPS].concat());
    run.wait_for("listening at http://");
    let (_, address) = run.heard.trim_end().rsplit_once("http://").unwrap();
    let address = address.to_owned();
    let host = format!("\nHost: {address}");
    let get = |path: &str| request(&address, &format!("GET {path} HTTP/1.1{host}"), "");
    let json = |path: &str| -> serde_json::Value {
        let (status, body) = get(path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };

    let mut events = TcpStream::connect(&address).unwrap();
    write!(events, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut events = BufReader::new(events).lines().map(Result::unwrap);
    assert!(events.next().unwrap().contains("200 OK"));
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(12)).unwrap();
    let mut next_event = || -> serde_json::Value {
        let data = events.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str(&data.unwrap()).unwrap()
    };
    let event = next_event();
    assert_eq!(
        (&event["class"], &event["phase"]),
        (&"low".into(), &"start".into())
    );

    let streams = json("/streams");
    assert_eq!(streams[0]["unit"], "amplitude, full scale 1");
    assert_eq!(
        (&streams[0]["rate_hz"], &streams[0]["frame_id"]),
        (&16000.0.into(), &"audio".into())
    );
    assert_eq!(streams[0]["now"]["class"], "low");
    let before = json("/classes");
    assert_eq!(before[0]["classes"].as_array().unwrap().len(), 2);
    assert_eq!(before[0]["bank"], event["bank"]);

    let change = |method: &str, name: &str, body: &str| {
        request(
            &address,
            &format!("{method} /classes/{name} HTTP/1.1{host}"),
            body,
        )
    };
    let (status, said) = change(
        "PUT",
        "my%20hum",
        r#"{"prompts": ["low"], "modalities": ["audio"]}"#,
    );
    assert_eq!(status, 200, "{said}");
    let between = json("/classes");
    assert_eq!(change("DELETE", "low", "").0, 200);
    assert_eq!(change("DELETE", "low", "").0, 404);
    writer.write_all(&tone(12)).unwrap();
    let (end, start) = loop {
        let event = next_event();
        if event["phase"] == "end" {
            break (event, next_event());
        }
    };
    // The stream may have heard with both classes in between.
    assert_eq!(end["class"], "low");
    assert!(
        [&before[0]["bank"], &between[0]["bank"]].contains(&&end["bank"]),
        "{end}"
    );
    assert_eq!(
        (&start["class"], &start["phase"]),
        (&"my hum".into(), &"start".into())
    );
    assert_eq!(start["bank"], json("/classes")[0]["bank"]);

    // What cannot be done is said, and changes nothing.
    let now = json("/classes");
    for (method, name, body, status, why) in [
        (
            "PUT",
            "x",
            "{\"prompts\": [\"zorbing\"]}",
            422,
            "does not know the words",
        ),
        (
            "PUT",
            "x",
            "{\"promts\": []}",
            400,
            "unknown field `promts`",
        ),
        (
            "PUT",
            "x",
            &"x".repeat(70_000),
            413,
            "more than 65536 bytes",
        ),
        ("POST", "x", "", 404, "expected GET"),
    ] {
        let (actual, said) = change(method, name, body);
        assert!(
            actual == status && said.contains(why),
            "{method} {body:.40}: {actual} {said}"
        );
    }
    for head in [
        format!("PUT /classes/x HTTP/1.1{host}\nOrigin: http://evil.example"),
        "PUT /classes/x HTTP/1.1\nHost: evil.example".to_owned(),
        format!("GET /events HTTP/1.1{host}\nSec-Fetch-Site: cross-site"),
    ] {
        assert_eq!(request(&address, &head, "").0, 403, "{head}");
    }
    assert_eq!(json("/classes"), now);
    assert_eq!(change("DELETE", "high", "").0, 200);
    let (status, said) = change("DELETE", "my%20hum", "");
    assert!(
        status == 422 && said.contains("none of the classes is for audio"),
        "{said}"
    );

    drop(writer);
    run.wait_for("it is gone");
    let event = next_event();
    assert_eq!(
        (&event["class"], &event["phase"]),
        (&"my hum".into(), &"end".into())
    );
    assert_eq!(
        next_event(),
        serde_json::json!({"stream": "audio", "fault": "gone"})
    );
    // Counts are told once a second.
    let scored = r#"sensorium_windows_total{stream="audio",fate="scored"} 45"#;
    let began = Instant::now();
    while !get("/metrics").1.contains(scored) {
        assert!(began.elapsed() < PATIENCE, "{}", get("/metrics").1);
        std::thread::sleep(Duration::from_millis(100));
    }
    let metrics = get("/metrics").1;
    assert!(
        metrics.contains("sensorium_degraded{stream=\"audio\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("sensorium_events_total{stream=\"audio\",class=\"my hum\"} 1\n"));
    run.stop();
}

#[test]
fn only_this_machine_is_served() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let output = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args([
            "run",
            "--audio",
            &path,
            "--rate-hz",
            "16000",
            "--pack",
            &pack,
        ])
        .args(["--http", "0.0.0.0:0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("expected an address of this machine only"),
        "{said}"
    );
}

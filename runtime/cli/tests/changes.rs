//! A thousand changes of the classes by HTTP while four live streams run: no window is lost.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tiny::four::folder;
use tiny::tones;

const CHANGES: usize = 1000;

/// Each stream: its name, samples of a window and from one to the next, and what its words are.
const STREAMS: [(&str, u64, u64, [&str; 2]); 4] = [
    ("audio", 8000, 2000, ["low", "high"]),
    ("audio-2", 8000, 2000, ["low", "high"]),
    ("depth", 4, 4, ["above", "below"]),
    ("depth-2", 4, 4, ["above", "below"]),
];

/// The status and body of a request.
fn request(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let len = body.len();
    let sent = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(sent.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// A few seconds of what a stream gives, again and again.
fn bytes_of(stream: &str) -> Vec<u8> {
    let values: Vec<u16> = match stream {
        "depth" | "depth-2" => {
            let frame = |at: u16| {
                let half = [8000 + at % 5; 18];
                let other = [300; 18];
                if at % 32 < 16 {
                    [half, other]
                } else {
                    [other, half]
                }
            };
            (0..96).flat_map(|at| frame(at).concat()).collect()
        }
        _ => {
            let hz: Vec<f32> = (0..16)
                .map(|at| if at % 8 < 4 { 200.0 } else { 5000.0 })
                .collect();
            tones(16_000, &hz)
                .into_iter()
                .map(i16::cast_unsigned)
                .collect()
        }
    };
    values.into_iter().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_thousand_changes_lose_no_window() {
    let folder = folder();
    let fifos = STREAMS.map(|(stream, ..)| folder.name(&format!("{stream}.fifo")));
    assert!(
        Command::new("mkfifo")
            .args(&fifos)
            .status()
            .unwrap()
            .success()
    );
    let [one, two, near, far] = &fifos;
    let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args(["run", "--audio", one, "--audio", two, "--rate-hz", "16000"])
        .args([
            "--depth",
            near,
            "--depth",
            far,
            "--frame-hz",
            "8",
            "--frame-size",
            "6x6",
        ])
        // Faster than time, so that sources are to wait and not to drop.
        .args([
            "--retry-s",
            "0",
            "--clock",
            "sample",
            "--json",
            "--http",
            "127.0.0.1:0",
        ])
        .args([
            "--pack",
            &folder.name("four.pack"),
            "--out",
            &folder.name("events.jsonl"),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut heard = String::new();
    let address = loop {
        let at = heard.len();
        assert!(said.read_line(&mut heard).unwrap() > 0, "{heard}");
        if let Some((_, address)) = heard[at..].trim_end().split_once("listening at http://") {
            break address.to_owned();
        }
    };
    let is_over = AtomicBool::new(false);
    let banks = std::thread::scope(|scope| {
        for ((stream, ..), fifo) in STREAMS.iter().zip(&fifos) {
            let is_over = &is_over;
            scope.spawn(move || {
                let (mut pipe, bytes) = (File::create(fifo).unwrap(), bytes_of(stream));
                while !is_over.load(Ordering::Relaxed) {
                    pipe.write_all(&bytes).unwrap();
                }
            });
        }
        let banks = change(&address);
        is_over.store(true, Ordering::Relaxed);
        banks
    });
    said.read_to_string(&mut heard).unwrap();
    assert!(child.wait().unwrap().success(), "{heard}");
    for (stream, len, hop, _) in STREAMS {
        let of_stream =
            |line: &&str| line.contains(&format!(" {stream}: ")) && line.contains(" sampled = ");
        let line = heard.lines().find(of_stream).unwrap();
        let numbers: Vec<u64> = { line.split(|c: char| !c.is_ascii_digit()) }
            .filter_map(|word| word.parse().ok())
            .collect();
        // The name may have a number, too.
        let &[sampled, received, lost, dropped, scored] = &numbers[numbers.len() - 5..] else {
            panic!("{line}");
        };
        assert_eq!((received, lost, dropped), (sampled, 0, 0), "{line}");
        assert_eq!(scored, (sampled - len) / hop + 1, "{line}");
    }
    let events = std::fs::read_to_string(folder.path("events.jsonl")).unwrap();
    let mut of_events = BTreeSet::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        of_events.insert(event["bank"].as_str().unwrap().to_owned());
    }
    assert!(of_events.len() > 20, "{of_events:?}");
    assert!(
        of_events.is_subset(&banks),
        "{:?}",
        of_events.difference(&banks)
    );
}

/// Puts in, alters and takes out classes; gives the versions of the banks that there were.
fn change(address: &str) -> BTreeSet<String> {
    let mut banks = BTreeSet::new();
    let mut see = || {
        let (status, classes) = request(address, "GET", "/classes", "");
        assert_eq!(status, 200, "{classes}");
        let classes: Value = serde_json::from_str(&classes).unwrap();
        let bank = |sense: &Value| sense["bank"].as_str().unwrap().to_owned();
        banks.extend(classes.as_array().unwrap().iter().map(bank));
    };
    see();
    for at in 0..CHANGES {
        // Not in step with the streams, nor with each other.
        let draw = at * 7919 % 1009;
        let (stream, _, _, words) = STREAMS[draw % STREAMS.len()];
        let path = format!("/classes/class%20{}", draw % 13);
        let sense = stream.split('-').next().unwrap();
        let prompts = &words[..1 + draw / 4 % 2];
        let body = serde_json::json!({"prompts": prompts, "modalities": [sense]}).to_string();
        let (status, answer) = match draw % 5 {
            0 => request(address, "DELETE", &path, ""),
            _ => request(address, "PUT", &path, &body),
        };
        assert!(
            status == 200 || (status, draw % 5) == (404, 0),
            "{status} {answer}"
        );
        see();
    }
    banks
}

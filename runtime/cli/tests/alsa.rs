//! A microphone by ALSA, through the real program: ALSA's own `file` plugin plays what it hears. Needs the
//! feature `alsa`, and no sound card.

#![cfg(feature = "alsa")]
#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;
use tiny::{Folder, tones};

/// A folder with a configuration of ALSA whose default microphone hears a tone of a minute.
fn folder(hz: f32) -> Folder {
    let folder = Folder::new();
    let samples = tones(16_000, &[hz; 240]);
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let heard = folder.file("heard.raw", bytes);
    let config = format!(
        "pcm.!default {{
            type plug
            slave {{
                pcm {{ type file slave.pcm {{ type null }} file \"/dev/null\" infile \"{heard}\" format raw }}
                format S16_LE
                channels 1
                rate 16000
            }}
        }}\n"
    );
    folder.file("asound.conf", config);
    folder
}

fn sensorium(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium"));
    command
        .args(args)
        .env("ALSA_CONFIG_PATH", folder.name("asound.conf"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn what_a_microphone_hears_is_named() {
    for (hz, class) in [(300.0, "low"), (5000.0, "high")] {
        let folder = folder(hz);
        let pack = folder.name("tiny.pack");
        let args = ["run", "--audio", "alsa", "--pack", &pack, "--json"];
        let mut child = sensorium(&folder, &args).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let pid = child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let mut said = String::new();
        lines.read_to_string(&mut String::new()).unwrap();
        let stderr = child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        assert!(said.contains("audio: audio, 16000 Hz"), "{said}");
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}{said}"));
        assert_eq!(event["class"], class, "{event}");
    }
}

#[test]
fn microphones_that_are_not_there() {
    let folder = folder(300.0);
    let pack = folder.name("tiny.pack");
    let args = ["run", "--audio", "alsa:hw:9,0", "--pack", &pack];
    let output = sensorium(&folder, &args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("there is no microphone \"hw:9,0\", expected one of default"),
        "{said}"
    );
}

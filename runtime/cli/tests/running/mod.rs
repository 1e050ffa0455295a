//! The real program while it runs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::tiny::{Folder, tones};

pub const RATE_HZ: u32 = 16_000;

/// Longest that a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, and what it says beside its events.
pub struct Run {
    pub child: Child,
    pub said: BufReader<ChildStderr>,
    pub heard: String,
}

impl Run {
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// The same, with variables of the environment.
    pub fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium"))
            .args(args)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            said,
            heard: String::new(),
        }
    }

    /// Waits until the program says a line with these words.
    pub fn wait_for(&mut self, words: &str) {
        let began = Instant::now();
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert!(read > 0 && began.elapsed() < PATIENCE, "{}", self.heard);
            self.heard += &line;
            if line.contains(words) {
                return;
            }
        }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for its end; its status, events, and all that it said.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        let mut lines = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut lines).unwrap();
        self.said.read_to_string(&mut self.heard).unwrap();
        (self.child.wait().unwrap(), lines, self.heard)
    }

    /// Ends the program by a signal; its events, and all that it said.
    pub fn stop(self) -> (String, String) {
        self.signal("-INT");
        let (status, lines, said) = self.end();
        assert!([Some(0), Some(1)].contains(&status.code()), "{said}");
        (lines, said)
    }
}

/// Quarters of a second of a tone as raw samples.
pub fn tone(quarters: usize) -> Vec<u8> {
    let samples = tones(RATE_HZ, &vec![300.0; quarters]);
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

pub fn fifo(folder: &Folder) -> String {
    let name = folder.name("sound.fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&name)
            .status()
            .unwrap()
            .success()
    );
    name
}

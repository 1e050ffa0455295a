//! A data set, a recipe and words, all made up and small, and the program run on them.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sensorium_model::weights::Weights;

/// The recipe of these tests.
pub const RECIPE: &str = include_str!("recipe.toml");

const SAMPLES: usize = 32;
const PHRASES: [&str; 5] = [
    "a slow thing",
    "a lazy thing",
    "a middling thing",
    "a fast thing",
    "something else",
];

/// A folder with everything that a training needs.
pub struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    /// Writes the folder. Classes differ in frequency, people in phase.
    pub fn new() -> Self {
        let small = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let mut rows = "user,recording,start_sample,label_id,label\n".to_owned();
        let mut values = Vec::new();
        let mut count = 0;
        for user in 1..=4 {
            for class in 1..=3 {
                for window in 0..8 {
                    let start = window * SAMPLES;
                    rows.push_str(&format!("{user},{class},{start},{class},kind{class}\n"));
                    for i in start..start + SAMPLES {
                        let angle = 0.25 * (class * class) as f32 * i as f32 + user as f32;
                        values.extend((0..6).map(|c| (angle + c as f32 * 0.9).sin()));
                    }
                    count += 1;
                }
            }
        }
        let array = sensorium_pack::npy::to_bytes(&[count, SAMPLES, 6], &values).unwrap();
        std::fs::write(small.path("w.npy"), array).unwrap();
        std::fs::write(small.path("w.csv"), rows).unwrap();
        std::fs::write(small.path("r.toml"), RECIPE).unwrap();
        small.anchor().write(&small.path("a.safetensors")).unwrap();
        small
    }

    fn anchor(&self) -> Weights {
        let mut anchor = Weights::new();
        let row = |i: usize| (0..8).map(move |d| ((i * 8 + d) as f32 * 1.7).sin() / 2.0);
        let rows = (0..PHRASES.len()).flat_map(row).collect();
        anchor.insert("prompt_rows", &[PHRASES.len(), 8], rows);
        anchor.insert("centre", &[8], vec![0.01; 8]);
        let words = format!("{{\"text_model\": \"made-up\", \"prompts\": {PHRASES:?}}}");
        anchor.set_metadata("words", words);
        anchor
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with arguments; a `@` at the start of one stands for the folder.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium-train"));
        command.args(arguments.split_whitespace().map(
            |argument| match argument.strip_prefix('@') {
                Some(name) => self.path(name),
                None => PathBuf::from(argument),
            },
        ));
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which has to succeed; what it printed.
    pub fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which has to fail with status 2 and one line; the line.
    pub fn error(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        errors
    }
}

/// What a file holds.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

//! A configuration of several files and variables, through the real program.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::process::{Command, Output};

use tiny::{Folder, tones, wav};

fn run(folder: &Folder, variables: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args(["run", "--config", &folder.name("robot.toml"), "--json"])
        .args(args)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A recording with a low tone, and a configuration whose pack is nowhere.
fn folder() -> Folder {
    let folder = Folder::new();
    let sound = folder.file("sound.wav", wav(16_000, &tones(16_000, &[300.0; 16])));
    let text = format!(
        "pack = 'nowhere.pack'\n[[stream]]\nname = 'mic'\nframe_id = 'mast'\n\
         source = {{ kind = 'sound', path = '{sound}' }}\n"
    );
    folder.file("robot.toml", text);
    std::fs::create_dir(folder.path("conf.d")).unwrap();
    folder
}

#[test]
fn files_and_variables_lie_above_each_other() {
    let folder = folder();
    assert_eq!(run(&folder, &[], &[]).status.code(), Some(2));
    let pack = folder.name("tiny.pack");
    let here = format!("pack = '{pack}'\n[[stream]]\nname = 'mic'\nframe_id = 'roof'\n");
    folder.file("conf.d/10-site.toml", here);
    let output = run(&folder, &[], &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("frame \"roof\""),
        "{}",
        said(&output)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.contains("\"class\":\"low\""), "{lines}");
    // A variable is above all files, and the command line above it.
    let nothing_is_so_sure = [("SENSORIUM_EVENTS_ENTER", "1.0")];
    assert_eq!(
        run(&folder, &nothing_is_so_sure, &[]).status.code(),
        Some(1)
    );
    let elsewhere = [("SENSORIUM_PACK", "elsewhere.pack")];
    let output = run(&folder, &elsewhere, &[]);
    assert!(
        said(&output).contains("elsewhere.pack"),
        "{}",
        said(&output)
    );
    let output = run(&folder, &elsewhere, &["--pack", &pack]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = folder();
    folder.file("conf.d/10-site.toml", "cores = 1.0\nhop_s = 1.0\n");
    let output = run(&folder, &[], &[]);
    assert_eq!(output.status.code(), Some(2));
    let wanted =
        "conf.d/10-site.toml\": line 2: unknown key \"hop_s\", expected one of pack, classes";
    assert!(said(&output).contains(wanted), "{}", said(&output));
    folder.file("conf.d/10-site.toml", "");
    let output = run(&folder, &[("SENSORIUM_CALIBRATOIN", "x")], &[]);
    assert_eq!(output.status.code(), Some(2));
    let wanted = "sensorium: SENSORIUM_CALIBRATOIN in the environment: unknown key \"calibratoin\", \
                  did you mean \"calibration\"?";
    assert!(said(&output).contains(wanted), "{}", said(&output));
}

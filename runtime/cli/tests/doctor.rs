//! `sensorium doctor` on machines that are folders.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use serde_json::Value;
use tiny::Folder;

/// Nobody that a test runs as.
const UID: u32 = 54_321;

/// A machine of a user who is in no group.
struct Fake {
    folder: Folder,
    /// The group of files that the test makes.
    gid: u32,
}

impl Fake {
    fn new() -> Self {
        let folder = Folder::new();
        // Root is in no group that others are let into.
        let gid = match fs::metadata(folder.path("tiny.pack")).unwrap().gid() {
            0 => 20,
            gid => gid,
        };
        let fake = Self { folder, gid };
        fake.user(&[]);
        fake.file(
            "etc/passwd",
            &format!("root:x:0:0::/:/bin/sh\nkim:x:{UID}:{UID}::/:/bin/sh\n"),
        );
        fake.file(
            "etc/group",
            &format!("nogroup:x:65534:\ndialout:x:{gid}:\n"),
        );
        fake
    }

    fn user(&self, groups: &[u32]) {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let status = format!(
            "Name:\tsensorium\nUid:\t{UID}\t{UID}\t{UID}\t{UID}\nGid:\t{UID}\t{UID}\t{UID}\t{UID}\n\
             Groups:\t{} \n",
            groups.join(" ")
        );
        self.file("proc/self/status", &status);
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.folder.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn device(&self, path: &str, mode: u32) {
        self.file(path, "");
        let path = self.folder.path("root").join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, None, Some(self.gid)).unwrap();
    }

    /// What is found, line by line, and the exit status.
    fn doctor(&self, args: &[&str]) -> (Vec<Value>, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_sensorium"))
            .args(["doctor", "--json", "--root", &self.folder.name("root")])
            .args(["--pack", &self.folder.name("tiny.pack")])
            .args(args)
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        (lines.collect(), output.status.code().unwrap())
    }
}

/// The lines about something.
fn about<'a>(lines: &'a [Value], what: &str) -> Vec<(bool, &'a str, Option<&'a str>)> {
    let of = |line: &&Value| line["what"] == what;
    let told = |line: &'a Value| {
        (
            line["ok"].as_bool().unwrap(),
            line["found"].as_str().unwrap(),
            line["fix"].as_str(),
        )
    };
    lines.iter().filter(of).map(told).collect()
}

#[test]
fn devices_are_listed_with_what_lets_one_use_them() {
    let fake = Fake::new();
    for (path, mode) in [
        ("dev/ttyACM1", 0o660),
        ("dev/ttyUSB0", 0o666),
        ("dev/tty1", 0o600),
        ("dev/video0", 0o600),
        ("dev/snd/pcmC0D0c", 0o666),
        ("dev/snd/pcmC0D0p", 0o600),
    ] {
        fake.device(path, mode);
    }
    let (lines, status) = fake.doctor(&[]);
    let [(true, found, Some(fix))] = about(&lines, "serial")[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(
        found,
        "/dev/ttyACM1, /dev/ttyUSB0: you may not use /dev/ttyACM1"
    );
    assert_eq!(fix, "sudo usermod -aG dialout kim, and log in again");
    let [(true, found, Some(fix))] = about(&lines, "video")[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(found, "/dev/video0: you may not use /dev/video0");
    assert!(fix.contains("60-sensorium.rules"), "{fix}");
    assert_eq!(about(&lines, "sound"), [(true, "/dev/snd/pcmC0D0c", None)]);
    let [(true, "no device", Some(_))] = about(&lines, "i2c")[..] else {
        panic!("{lines:?}");
    };
    // None of this keeps the program from working.
    let failed = lines.iter().any(|line| line["ok"] == false);
    assert_eq!(status, i32::from(failed), "{lines:?}");
    fake.user(&[7, fake.gid]);
    let (lines, _) = fake.doctor(&[]);
    let wanted = (true, "/dev/ttyACM1, /dev/ttyUSB0", None);
    assert_eq!(about(&lines, "serial"), [wanted]);
}

#[test]
fn heat_clock_and_board_are_told() {
    let fake = Fake::new();
    let zone = |n: u32, name: &str, temp: &str| {
        let folder = format!("sys/class/thermal/thermal_zone{n}");
        fake.file(&format!("{folder}/type"), &format!("{name}\n"));
        fake.file(&format!("{folder}/temp"), &format!("{temp}\n"));
        folder
    };
    zone(0, "gpu-thermal", "40000");
    let cpu = zone(1, "cpu-thermal", "61500");
    zone(2, "broken", "-256000");
    fake.file(&format!("{cpu}/trip_point_0_type"), "critical\n");
    fake.file(&format!("{cpu}/trip_point_0_temp"), "110000\n");
    fake.file(&format!("{cpu}/trip_point_1_type"), "passive\n");
    fake.file(&format!("{cpu}/trip_point_1_temp"), "75000\n");
    fake.file("run/systemd/timesync/synchronized", "");
    fake.file("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
    fake.device("dev/i2c-1", 0o666);
    let (lines, _) = fake.doctor(&[]);
    let cool = "cpu-thermal is at 61.5 °C and slows down at 75 °C";
    assert_eq!(about(&lines, "temperature"), [(true, cool, None)]);
    assert_eq!(
        about(&lines, "time service"),
        [(true, "the clock is synchronised", None)]
    );
    let board = about(&lines, "board");
    assert_eq!(
        board[0].1,
        "Raspberry Pi 5: BCM2712: Cortex-A76 at 2.4 GHz, 4 cores"
    );
    assert!(
        !board.iter().any(|line| line.1.contains("i2c-1")),
        "{board:?}"
    );
    let uart = board
        .iter()
        .find(|line| line.1.starts_with("/dev/ttyAMA0 on pins 8"));
    assert!(uart.unwrap().2.unwrap().contains("dtparam=uart0=on"));

    zone(1, "cpu-thermal", "71000");
    let (lines, _) = fake.doctor(&[]);
    let [(true, _, Some(_))] = about(&lines, "temperature")[..] else {
        panic!("{lines:?}");
    };
    zone(1, "cpu-thermal", "106000");
    let (lines, status) = fake.doctor(&[]);
    let [(false, _, Some(_))] = about(&lines, "temperature")[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(status, 1);
}

#[test]
fn what_a_configuration_names_has_to_be_there() {
    let fake = Fake::new();
    let sound = fake.folder.path("sound.raw");
    fs::write(&sound, []).unwrap();
    let config = format!(
        "[[stream]]\nname = 'node'\nsource = {{ kind = 'serial', port = '/nonexistent/ttyACM0' }}\n\
         [[stream]]\nname = 'mic'\nsource = {{ kind = 'pcm', path = '{}', rate_hz = 16000 }}\n",
        sound.display()
    );
    let config = fake.folder.file("robot.toml", config);
    let (lines, status) = fake.doctor(&["--config", &config]);
    assert_eq!(status, 1);
    assert_eq!(about(&lines, "configuration"), [(true, &*config, None)]);
    let [(false, found, Some(fix))] = about(&lines, "stream \"node\"")[..] else {
        panic!("{lines:?}");
    };
    assert!(
        found.starts_with("/nonexistent/ttyACM0: No such file"),
        "{found}"
    );
    assert!(fix.starts_with("plug the node in"), "{fix}");
    assert!(about(&lines, "stream \"mic\"")[0].0);
    assert!(about(&lines, "pack")[0].0, "{lines:?}");
}

//! Bad input gets one clear line, exit status 2, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use sensorium_host_sim::Pty;

fn sensorium(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_sensorium");
    Command::new(program).args(args).output().unwrap()
}

/// What a command says that must fail with status 2 and print no result.
fn error(args: &[&str]) -> String {
    let output = sensorium(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?} printed results");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    said
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

const HEADER: &str = "acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads\n";

fn pack_without_tower() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/packs/imu-hapt.pack"))
        .unwrap()
}

#[test]
fn packs_that_are_missing_cut_altered_or_foreign() {
    let folder = Folder::new();
    let csv = folder.file(
        "walk.csv",
        format!("{HEADER}{}", "0,0,1,0,0,0\n".repeat(200)),
    );
    let with = |pack: &str| error(&["replay", &csv, "--rate-hz", "50", "--pack", pack]);

    assert!(with("/nonexistent.pack").contains("No such file or directory"));
    let pack = pack_without_tower();
    let cut = folder.file("cut.pack", &pack[..pack.len() / 2]);
    assert!(with(&cut).contains("cut.pack\": it is not a pack: no whole zip file"));
    let mut altered = pack.clone();
    altered[pack.len() / 2] ^= 1;
    let altered = folder.file("altered.pack", altered);
    assert!(with(&altered).contains("was altered"));
    let foreign = folder.file("foreign.pack", b"hello");
    assert!(with(&foreign).contains("it is not a pack"));
    for command in ["inspect", "verify"] {
        assert!(error(&["pack", command, &altered]).contains("was altered"));
    }
}

#[test]
fn recordings_without_header_or_numbers() {
    let folder = Folder::new();
    let rows = "0,0,1,0,0,0\n".repeat(200);
    let cases = [
        ("bare.csv", rows.clone(), "line 1: no column for acc_x"),
        (
            "nan.csv",
            format!("{HEADER}{rows}0,NaN,1,0,0,0\n"),
            "line 202: acc_y_g is \"NaN\"",
        ),
        (
            "text.csv",
            format!("{HEADER}{rows}0,0,1,0,fast,0\n"),
            "gyro_y_rads is \"fast\"",
        ),
        ("empty.csv", HEADER.to_owned(), "holds no sample"),
    ];
    for (name, content, expected) in cases {
        let csv = folder.file(name, content);
        for command in [
            &["replay", &csv, "--rate-hz", "50"][..],
            &["demo", &csv, "--rate-hz", "50"],
            &["classify", "--modality", "imu", &csv],
            &["embed", "--modality", "imu", &csv, "--out", "/dev/null"],
        ] {
            let said = error(command);
            assert!(said.contains(expected), "{command:?}: {said}");
        }
    }
    let good = folder.file("good.csv", format!("{HEADER}{rows}"));
    assert!(error(&["replay", &good]).contains("Say it as --rate-hz 50"));
    let said = error(&["replay", &good, "--rate-hz", "5"]);
    assert!(said.contains("rate_hz is 5, expected 25 to 400"), "{said}");
}

#[test]
fn configurations_with_unknown_keys() {
    let folder = Folder::new();
    let config = folder.file(
        "run.toml",
        "[[stream]]\nname = \"a\"\nsource = { kind = \"csv\", pth = \"x\" }\n",
    );
    let said = error(&["run", "--config", &config]);
    assert!(
        said.contains("unknown key \"pth\"") && said.contains("did you mean \"path\"?"),
        "{said}"
    );
    assert!(error(&["run", "--config", "/nonexistent.toml"]).contains("No such file"));
    let classes = folder.file("classes.toml", "[[class]]\nname = \"a\"\nprompt = \"b\"\n");
    let csv = folder.file(
        "walk.csv",
        format!("{HEADER}{}", "0,0,1,0,0,0\n".repeat(200)),
    );
    let said = error(&["replay", &csv, "--rate-hz", "50", "--classes", &classes]);
    assert!(said.contains("did you mean \"prompts\"?"), "{said}");
    let unknown = folder.file("words.toml", "[[class]]\nname = \"zorbing in a sphere\"\n");
    // A pack that knows some phrases, and has no text tower.
    let pack = folder.file("imu.pack", pack_without_tower());
    let fixed = ["replay", &csv, "--rate-hz", "50", "--pack", &pack];
    let said = error(&[&fixed[..], &["--classes", &unknown]].concat());
    assert!(
        said.contains("\"zorbing in a sphere\"") && said.contains("--text-model"),
        "{said}"
    );
}

#[test]
fn ports_that_are_not_there() {
    let said = error(&["run", "--serial", "/dev/nonexistent-port"]);
    assert!(
        said.contains("cannot open the port \"/dev/nonexistent-port\""),
        "{said}"
    );
    let folder = Folder::new();
    let file = folder.file("port", "no tty");
    assert!(error(&["run", "--serial", &file]).contains("cannot open the port"));
}

#[test]
fn a_port_that_is_unplugged() {
    let mut pty = Pty::open().unwrap();
    let port = pty.path().to_str().unwrap().to_owned();
    let run =
        std::thread::spawn(move || error(&["run", "--serial", &port, "--retry-s", "0", "--json"]));
    assert!(pty.wait_for_reader(&AtomicBool::new(false)).unwrap());
    drop(pty);
    let said = run.join().unwrap();
    assert!(said.contains("is gone"), "{said}");
    assert!(
        said.contains("imu: 0 sampled = 0 received + 0 lost + 0 dropped"),
        "{said}"
    );
}

#[test]
fn output_that_cannot_be_written() {
    let folder = Folder::new();
    let csv = folder.file(
        "walk.csv",
        format!("{HEADER}{}", "0,0,1,0,0,0\n".repeat(200)),
    );
    let out = folder.path("missing").join("out");
    let out = out.to_str().unwrap();
    for command in [
        &["replay", &csv, "--rate-hz", "50", "--out", out][..],
        &["embed", "--modality", "imu", &csv, "--out", out],
    ] {
        let said = error(command);
        assert!(
            said.contains("writing ") && said.contains("No such file"),
            "{said}"
        );
    }
    let classes = folder.file("classes.toml", "[[class]]\nname = \"a person walking\"\n");
    assert!(error(&["classes", "build", &classes, "--out", out]).contains("writing "));
}

#[test]
fn nothing_is_left_of_an_output_that_failed() {
    let folder = Folder::new();
    let out = folder.path("rows.npy");
    let bad = folder.file("bad.csv", "no header\n");
    error(&[
        "embed",
        "--modality",
        "imu",
        &bad,
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(!out.exists());
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
}

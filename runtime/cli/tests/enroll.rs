//! Classes by example, exported and imported.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::process::{Command, Output};

use serde_json::Value;

mod tiny;

use tiny::{Folder, tones, wav};

/// Exit status, stdout and stderr.
fn sensorium(args: &[&str]) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_sensorium");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn done(args: &[&str]) -> String {
    let (code, out, said) = sensorium(args);
    assert_eq!(code, 0, "{args:?}: {said}");
    out + &said
}

fn refused(args: &[&str]) -> String {
    let (code, _, said) = sensorium(args);
    assert_eq!(code, 2, "{args:?}: {said}");
    said
}

/// Scores of a sound.
fn scores(pack: &str, classes: &str, sound: &str) -> Value {
    let args = [
        "classify",
        sound,
        "--pack",
        pack,
        "--modality",
        "audio",
        "--classes",
        classes,
    ];
    let said = done(&[&args[..], &["--json"]].concat());
    let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    line["scores"].clone()
}

#[test]
fn a_class_is_enrolled_by_example_exported_and_imported() {
    let folder = Folder::new();
    let pack = folder.name("tiny.pack");
    let deep = [200.0, 250.0].map(|hz| wav(16_000, &tones(16_000, &[hz, hz])));
    let [one, two] = [0, 1].map(|n| folder.file(&format!("{n}.wav"), &deep[n]));
    let heard = folder.file("heard.wav", wav(16_000, &tones(16_000, &[220.0, 220.0])));
    let other = folder.file("other.wav", wav(16_000, &tones(16_000, &[5000.0, 5000.0])));
    let comment = "# mine\n[[class]]\nname = 'high'\nmodalities = ['audio']";
    let classes = folder.file("classes.toml", comment);
    let gate = folder.name("gate.json");
    let sense = ["--pack", &pack, "--modality", "audio"];
    let enroll = [
        "enroll",
        "my \"gate\"",
        "--out",
        &gate,
        "--classes",
        &classes,
        "--times",
        "2",
    ];
    let said = done(&[&enroll[..], &sense, &[&one, &two]].concat());
    assert!(
        said.contains("mean of 2 examples") && said.contains("was added to"),
        "{said}"
    );
    let text = std::fs::read_to_string(&classes).unwrap();
    assert!(
        text.starts_with(comment) && text.contains("examples = [\"gate.json\"]"),
        "{text}"
    );
    assert!(std::fs::metadata(&gate).unwrap().len() < 4096);

    let mine = |sound: &str| {
        scores(&pack, &classes, sound)["my \"gate\""]
            .as_f64()
            .unwrap()
    };
    assert!(
        mine(&heard) > 0.9 && mine(&other) < 0.5,
        "{} {}",
        mine(&heard),
        mine(&other)
    );

    // The same from the recordings themselves, named in the class file.
    let direct = "[[class]]\nname = 'gate'\nmodalities = ['audio']\nexamples = ['0.wav', '1.wav']\n\
                  [[class]]\nname = 'high'\nmodalities = ['audio']";
    let direct = folder.file("direct.toml", direct);
    let by_file = scores(&pack, &direct, &heard)["gate"].as_f64().unwrap();
    assert!((by_file - mine(&heard)).abs() < 1e-4, "{by_file}");

    // From one class file into another that is not there yet.
    let exported = folder.name("sub.json");
    done(&[
        "classes",
        "export",
        "my \"gate\"",
        "--classes",
        &classes,
        "--pack",
        &pack,
        "--out",
        &exported,
    ]);
    let high = folder.name("high.json");
    done(&[
        "classes",
        "export",
        "high",
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--out",
        &high,
    ]);
    let new = folder.name("new.toml");
    done(&[
        "classes",
        "import",
        &exported,
        "--name",
        "gate",
        "--classes",
        &new,
        "--pack",
        &pack,
    ]);
    done(&[
        "classes",
        "import",
        &high,
        "--classes",
        &new,
        "--pack",
        &pack,
    ]);
    let imported = scores(&pack, &new, &heard);
    assert!(
        (imported["gate"].as_f64().unwrap() - mine(&heard)).abs() < 1e-4,
        "{imported}"
    );
    let said = refused(&[
        "classes",
        "import",
        &high,
        "--classes",
        &new,
        "--pack",
        &pack,
    ]);
    assert!(said.contains("class \"high\" comes twice"), "{said}");
    // A pack without that space refuses it.
    let said = refused(&["classes", "import", &high, "--classes", &new]);
    assert!(
        said.contains("is a class of the space \"audio words\""),
        "{said}"
    );
}

#[test]
fn errors_say_what_and_where() {
    let folder = Folder::new();
    let pack = folder.name("tiny.pack");
    let sound = folder.file("a.wav", wav(16_000, &tones(16_000, &[200.0, 200.0])));
    let with = [
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--out",
        &folder.name("x.json"),
    ];
    let enroll = |args: &[&str]| refused(&[&["enroll"][..], args, &with].concat());
    assert!(enroll(&["a", &sound, "--times", "3"]).contains("1 examples, expected 3 (--times)"));
    assert!(enroll(&["", &sound]).contains("the name is empty"));
    let missing = folder.name("none.wav");
    assert!(enroll(&["a", &missing]).contains("none.wav"));
    assert!(!folder.path("x.json").exists());
    let imu = refused(&["enroll", "a", &sound, "--pack", &pack, "--modality", "imu"]);
    assert!(imu.contains("has no encoder for imu"), "{imu}");
    let out = folder.name("y.json");
    let said = refused(&[
        "classes",
        "export",
        "hihg",
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--out",
        &out,
    ]);
    assert!(
        said.contains("there is no class \"hihg\", did you mean \"high\"?"),
        "{said}"
    );
    let said = refused(&[
        "enroll",
        "x",
        &sound,
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--out",
        "x.class",
    ]);
    assert!(
        said.contains("--out is \"x.class\", expected a name that ends in .json"),
        "{said}"
    );
    let classes = folder.file(
        "bad.toml",
        "[[class]]\nname = 'a'\nexamples = ['none.wav']\n\
        modalities = ['audio']",
    );
    let said = refused(&[
        "classify",
        &sound,
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--classes",
        &classes,
    ]);
    assert!(
        said.contains("class \"a\"") && said.contains("none.wav"),
        "{said}"
    );
}

//! A pack whose sense is known in two spaces: each scores by words of its own.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::process::{Command, Output};

use sensorium_pack::{Modality, Pack, PackWriter};
use sensorium_testkit::{Tiny, tiny_pack};
use serde_json::Value;

mod tiny;

use tiny::{AUDIO, Folder, tones, wav};

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

fn done(args: &[&str]) -> (String, String) {
    let (code, out, said) = sensorium(args);
    assert_eq!(code, 0, "{args:?}: {said}");
    (out, said)
}

fn refused(args: &[&str]) -> String {
    let (code, _, said) = sensorium(args);
    assert_eq!(code, 2, "{args:?}: {said}");
    said
}

fn lines(out: &str) -> Vec<Value> {
    let lines = out.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// A pack of one encoder of sound, all of whose names are its own.
fn other() -> Vec<u8> {
    let words = &["low", "high", "shrill"];
    let pack = tiny_pack(&[Tiny {
        modality: Modality::Audio,
        front_end: AUDIO,
        words,
    }]);
    let pack = Pack::from_bytes(&pack).unwrap();
    let mut manifest = pack.manifest().clone();
    let mut writer = PackWriter::new();
    for member in &manifest.members {
        let content = pack.member(&member.path).unwrap().to_vec();
        writer.add(&member.path.replace("audio/", "other/"), content);
    }
    let space = &mut manifest.spaces[0];
    space.name = "other words".to_owned();
    for path in [
        &mut space.centre,
        &mut space.prompts,
        &mut space.prompt_rows,
    ] {
        *path = path.replace("audio/", "other/");
    }
    let encoder = &mut manifest.encoders[0];
    (encoder.name, encoder.space) = ("other".to_owned(), "other words".to_owned());
    let golden = &mut encoder.golden;
    for path in [&mut encoder.model, &mut golden.input, &mut golden.output] {
        *path = path.replace("audio/", "other/");
    }
    manifest.provenance.clear();
    writer.to_bytes(manifest).unwrap()
}

/// A folder with the joined pack, and a sound of low pitch.
fn folder() -> (Folder, String, String) {
    let folder = Folder::new();
    let other = folder.file("other.pack", other());
    let joined = folder.name("joined.pack");
    let first = folder.name("tiny.pack");
    done(&["pack", "join", &first, &other, "--out", &joined]);
    let sound = folder.file("low.wav", wav(16_000, &tones(16_000, &[200.0; 8])));
    (folder, joined, sound)
}

#[test]
fn a_file_is_scored_in_each_space_and_the_line_says_which() {
    let (folder, pack, sound) = folder();
    let classes = "[[class]]\nname = 'low'\n[[class]]\nname = 'high'\n";
    let classes = folder.file("classes.toml", classes);
    let sense = ["--pack", &pack, "--modality", "audio", "--json"];
    let classify = |more: &[&str]| {
        let args = [&["classify", &sound, &sound], &sense[..], more].concat();
        let (out, said) = done(&args);
        (lines(&out), said)
    };
    let (scored, said) = classify(&["--classes", &classes]);
    let spaces: Vec<&str> = scored
        .iter()
        .map(|line| line["space"].as_str().unwrap())
        .collect();
    assert_eq!(
        spaces,
        ["audio words", "other words", "audio words", "other words"],
        "{said}"
    );
    assert_eq!(
        (&scored[0]["encoder"], &scored[1]["encoder"]),
        (&"audio".into(), &"other".into())
    );
    for line in &scored {
        assert!(
            line["scores"]["low"].as_f64() > line["scores"]["high"].as_f64(),
            "{line}"
        );
    }
    let (scored, _) = classify(&["--classes", &classes, "--space", "other words"]);
    assert_eq!(scored.len(), 2);
    assert_eq!(scored[0]["space"], "other words");
    // Words that one space does not know leave that one out.
    let text = "[[class]]\nname = 'shrill'\n[[class]]\nname = 'low'\n";
    let shrill = folder.file("shrill.toml", text);
    let (scored, said) = classify(&["--classes", &shrill]);
    assert_eq!(
        (scored.len(), &scored[0]["space"]),
        (2, &"other words".into())
    );
    assert!(said.contains("space \"audio words\" is left out"), "{said}");
    // A class by example is one of its own space, and the others are scored in each.
    let example = folder.name("example.json");
    let from = [
        "--pack",
        &pack,
        "--modality",
        "audio",
        "--space",
        "other words",
    ];
    done(&[&["enroll", "mine", &sound], &from[..], &["--out", &example]].concat());
    let text = "[[class]]\nname = 'mine'\nmodalities = ['audio']\nexamples = ['example.json']\n\
                [[class]]\nname = 'high'\n";
    let mixed = folder.file("mixed.toml", text);
    let (scored, said) = classify(&["--classes", &mixed]);
    let names = |line: &Value| -> Vec<String> {
        let scores = line["scores"].as_object().unwrap();
        scores.keys().cloned().collect()
    };
    assert!(
        !names(&scored[0]).contains(&"mine".to_owned()),
        "{scored:?}"
    );
    assert!(names(&scored[0]).contains(&"high".to_owned()), "{scored:?}");
    assert!(names(&scored[1]).contains(&"mine".to_owned()), "{said}");
    assert!(!said.contains("left out"), "{said}");
    assert!(
        said.contains("\"high\" is alone in the space \"audio words\"")
            && !said.contains("\"mine\" is"),
        "{said}"
    );
    let unknown = folder.file("unknown.toml", "[[class]]\nname = 'mute'\n");
    let args = [&["classify", &sound], &sense[..], &["--classes", &unknown]].concat();
    assert!(refused(&args).contains("does not know the words \"mute\""));
    let args = [
        &["classify", &sound],
        &sense[..],
        &["--space", "image words"],
    ]
    .concat();
    let said = refused(&args);
    assert!(
        said.contains("no encoder for audio in space \"image words\""),
        "{said}"
    );
}

#[test]
fn classes_are_built_for_all_spaces_and_rows_embedded_in_one() {
    let (folder, pack, sound) = folder();
    let text = "[[class]]\nname = 'low'\n[[class]]\nname = 'high'\n";
    let classes = folder.file("classes.toml", text);
    let built = folder.name("built.json");
    let build = [
        "classes", "build", &classes, "--pack", &pack, "--out", &built,
    ];
    let (_, said) = done(&build);
    assert!(said.contains("in the space \"audio words\""), "{said}");
    assert!(said.contains("in the space \"other words\""), "{said}");
    assert!(said.contains("space \"image words\" is left out"), "{said}");
    let sense = ["--pack", &pack, "--modality", "audio"];
    let args = [
        &["classify", &sound, "--json", "--classes", &built],
        &sense[..],
    ]
    .concat();
    assert_eq!(lines(&done(&args).0).len(), 2);
    let rows = folder.name("rows.npy");
    let embed = |more: &[&str]| {
        let args = [&["embed", &sound, "--out", &rows], &sense[..], more].concat();
        done(&args).1
    };
    let said = embed(&[]);
    assert!(
        said.contains("rows are of space \"audio words\"") && said.contains("of 2 numbers"),
        "{said}"
    );
    assert!(embed(&["--space", "other words"]).contains("of 3 numbers"));
    let gate = folder.name("gate.json");
    let args = [
        "enroll",
        "gate",
        &sound,
        "--out",
        &gate,
        "--space",
        "other words",
    ];
    done(&[&args[..], &sense].concat());
    let class: Value = serde_json::from_slice(&std::fs::read(&gate).unwrap()).unwrap();
    assert_eq!(class["space"], "other words");
}

#[test]
fn a_recording_is_heard_in_each_space_as_a_stream_of_its_own() {
    let (folder, pack, sound) = folder();
    let text = "[[class]]\nname = 'low'\n[[class]]\nname = 'high'\n";
    let classes = folder.file("classes.toml", text);
    let replay = |more: &[&str]| {
        let args = [
            "replay",
            &sound,
            "--pack",
            &pack,
            "--classes",
            &classes,
            "--json",
        ];
        let (out, _) = done(&[&args[..], more].concat());
        let events = lines(&out);
        let mut streams: Vec<String> = { events.iter() }
            .filter(|event| event["class"] == "low")
            .flat_map(|event| {
                let parts = event["fusion"].as_array().cloned().unwrap_or_default();
                let parts = parts.into_iter().map(|part| part["stream"].clone());
                parts.chain([event["stream"].clone()]).collect::<Vec<_>>()
            })
            .filter_map(|stream| stream.as_str().map(str::to_owned))
            .collect();
        streams.sort();
        streams.dedup();
        streams
    };
    assert_eq!(replay(&[]), ["audio", "audio/other words"]);
    assert_eq!(replay(&["--space", "other words"]), ["audio"]);
}

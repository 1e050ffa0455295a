//! Files that are not what a sense takes get one clear line and exit status 2.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::process::Command;

use sensorium_pack::npy::Array;
use tiny::{Folder, distances, npy16, pgm, pgm16, png, tones, wav};

/// What a command says of an input that it must refuse.
fn error_of(command: &[&str], folder: &Folder, modality: &str, input: &[&str]) -> String {
    let pack = folder.name("tiny.pack");
    let shared = ["--pack", &pack, "--modality", modality];
    let program = env!("CARGO_BIN_EXE_sensorium");
    let args = [command, &shared, input].concat();
    let output = Command::new(program).args(&args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?} printed results");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// What both commands say of an input that they must refuse.
fn error(folder: &Folder, modality: &str, input: &[&str]) -> String {
    let out = folder.name("rows.npy");
    let said = error_of(&["embed", "--out", &out], folder, modality, input);
    assert!(!folder.path("rows.npy").exists());
    assert_eq!(error_of(&["classify"], folder, modality, input), said);
    said
}

#[test]
fn sounds_that_are_cut_foreign_empty_or_of_no_rate() {
    let folder = Folder::new();
    let whole = wav(16_000, &tones(16_000, &[300.0]));
    let said = |name: &str, content: &[u8]| {
        let file = folder.file(name, content);
        error(&folder, "audio", &[&file])
    };
    let cut = said("cut.wav", &whole[..whole.len() - 1000]);
    assert!(
        cut.contains("cut.wav\": it ends after 3500 frames, expected 4000"),
        "{cut}"
    );
    let picture = said("picture.wav", &png(1, &[[0; 3]]));
    assert!(
        picture.contains("it is not a WAV, FLAC or Ogg file"),
        "{picture}"
    );
    let empty = said("empty.wav", &wav(16_000, &[]));
    assert!(empty.contains("it has no sample"), "{empty}");
    let fast = said("fast.wav", &wav(4_000_000_000, &[0; 9]));
    assert!(
        fast.contains("4000000000 samples a second, expected 1000 to 768000"),
        "{fast}"
    );
    let whole = folder.file("whole.wav", whole);
    let rate = error(&folder, "audio", &[&whole, "--rate-hz", "8000"]);
    assert!(
        rate.contains("16000 samples a second, not the 8000 of --rate-hz"),
        "{rate}"
    );
    let units = error(&folder, "audio", &[&whole, "--units", "g,rad/s"]);
    assert!(
        units.contains("--units are those of inertial samples, not of audio"),
        "{units}"
    );
    let missing = error(&folder, "audio", &["/nonexistent.wav"]);
    assert!(missing.contains("No such file"), "{missing}");
}

#[test]
fn pictures_of_the_wrong_kind() {
    let folder = Folder::new();
    let whole = png(2, &[[7; 3]; 4]);
    let cut = folder.file("cut.png", &whole[..whole.len() / 2]);
    let said = error(&folder, "image", &[&cut]);
    assert!(
        said.contains("cut.png\": the PNG cannot be decoded"),
        "{said}"
    );
    let sound = folder.file("sound.png", wav(16_000, &[0; 9]));
    assert!(error(&folder, "image", &[&sound]).contains("it is not a PNG, JPEG"));
    let deep = folder.file("deep.pgm", pgm16(2, &distances(&[1000])));
    let said = error(&folder, "image", &[&deep]);
    assert!(said.contains("deep.pgm"), "{said}");
    // Sixteen bits of which none is in the range of bytes.
    let said = error(&folder, "thermal", &[&deep]);
    assert!(
        said.contains("all values lie between 1000 and 1000, out of the encoder's range 0 to 255"),
        "{said}"
    );
}

#[test]
fn clips_without_measurements_rate_or_millimetres() {
    let folder = Folder::new();
    let rate = ["--rate-hz", "5"];
    let said = |name: &str, content: Vec<u8>, rate: &[&str]| {
        let file = folder.file(name, content);
        error(&folder, "depth", &[&[&file[..]], rate].concat())
    };
    let clip = npy16("2, 2, 2", &distances(&[900, 900]));
    let no_rate = said("clip.npy", clip.clone(), &[]);
    assert!(
        no_rate.contains("clips of 1 s, so the frame rate is needed"),
        "{no_rate}"
    );
    let zero = said("clip.npy", clip.clone(), &["--rate-hz", "0"]);
    assert!(
        zero.contains("the frame rate is 0 Hz, expected 0.01 to 1000 Hz"),
        "{zero}"
    );
    let holes = said(
        "holes.npy",
        npy16("2, 2, 2", &distances(&[0, 65535])),
        &rate,
    );
    assert!(holes.contains("no pixel holds a measurement"), "{holes}");
    let cut = said("cut.npy", clip[..clip.len() - 1].to_vec(), &rate);
    assert!(
        cut.contains("it has 15 bytes of data, expected 16"),
        "{cut}"
    );
    let empty = said("empty.npy", npy16("0, 2, 2", &[]), &rate);
    assert!(
        empty.contains("it has shape [0, 2, 2], expected [frames,"),
        "{empty}"
    );
    let metres = Array {
        shape: vec![1, 2, 2],
        values: vec![1.0; 4],
    };
    let metres = said("metres.npy", metres.to_bytes().unwrap(), &rate);
    assert!(
        metres.contains("holds float32, expected depth in millimetres as uint16"),
        "{metres}"
    );
    let grey = said("grey.pgm", pgm(2, &[9; 4]), &rate);
    assert!(grey.contains("holds uint8, expected depth"), "{grey}");
    std::fs::create_dir(folder.path("folder")).unwrap();
    let folder_name = folder.name("folder");
    let none = error(&folder, "depth", &[&[&folder_name[..]], &rate[..]].concat());
    assert!(none.contains("holds no .png, .pgm"), "{none}");
}

#[test]
fn senses_that_the_pack_lacks() {
    let folder = Folder::new();
    let csv = folder.file("walk.csv", "acc_x_g\n1\n");
    let said = error(&folder, "imu", &[&csv]);
    assert_eq!(
        said,
        "sensorium: pack tiny has no encoder for imu, it has audio, thermal, depth, image\n"
    );
}

#[test]
fn words_are_no_files_and_files_no_words() {
    let folder = Folder::new();
    let words = folder.file("words.txt", "a low hum\n");
    let said = error(&folder, "text", &[&words]);
    let expected = "sensorium: words are given as --text \"words\", not as files\n";
    assert_eq!(said, expected);
    let said = error_of(&["classify"], &folder, "audio", &["--text", "low"]);
    let expected = "sensorium: --text is for --modality text, not for audio\n";
    assert_eq!(said, expected);
    let nothing = error(&folder, "text", &["--text", " "]);
    assert_eq!(nothing, "sensorium: --text \" \" has no words\n");
    let rate = error(&folder, "text", &["--text", "low", "--rate-hz", "9"]);
    let expected = "sensorium: --rate-hz and --units are those of recordings, not of words\n";
    assert_eq!(rate, expected);
    let said = error_of(&["classify"], &folder, "text", &["--text", "a zorilla"]);
    assert!(
        said.contains("\"a zorilla\"") && said.contains("--text-model"),
        "{said}"
    );
}

#[test]
fn labels_of_no_class_and_tables_of_no_labels() {
    let folder = Folder::new();
    folder.file("a.wav", wav(16_000, &[9; 8000]));
    let said = |table: &str| {
        let table = folder.file("labels.csv", table.as_bytes());
        error_of(&["classify"], &folder, "audio", &["--labels", &table])
    };
    let no_class = said("file,label\na.wav,hum\n");
    assert!(
        no_class.contains("no label is the name or a label of a class; the first is \"hum\""),
        "{no_class}"
    );
    let no_column = said("file,name\na.wav,low\n");
    assert!(
        no_column.contains("labels.csv\", line 1: no column label; the header is \"file,name\""),
        "{no_column}"
    );
    let gone = folder.name("gone.csv");
    let gone = error_of(&["classify"], &folder, "audio", &["--labels", &gone]);
    assert!(
        gone.contains("cannot open") && gone.contains("gone.csv"),
        "{gone}"
    );
    let no_file = said("file,label\nb.wav,low\n");
    assert!(no_file.contains("b.wav"), "{no_file}");
}

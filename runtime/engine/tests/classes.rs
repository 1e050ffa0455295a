//! What the keys of a class file do to scores.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use sensorium_engine::bank::{Bank, BankError, CompiledClasses, Place};
use sensorium_engine::example::ClassFile;
use sensorium_engine::space::Space;
use sensorium_pack::npy::Array;
use sensorium_pack::{Modality, Pack};
use sensorium_testkit::PACK;

const TEMPERATURE: f32 = 0.07;

const TWO: &str = "[[class]]\nname = 'a person walking'\n[[class]]\nname = 'rest'\n\
                   prompts = ['a person lying']\n";

fn space() -> Space {
    Space::load(&Pack::from_bytes(PACK).unwrap(), "minilm").unwrap()
}

fn words(space: &Space, words: &str) -> Vec<f32> {
    space.class_vector(&[words.to_owned()]).unwrap()
}

fn bank(text: &str) -> Bank {
    Bank::new(
        &CompiledClasses::parse(text, &space()).unwrap(),
        Modality::Imu,
    )
    .unwrap()
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-5
}

#[test]
fn what_a_class_is_not_takes_from_it_alone() {
    let space = space();
    let walking = words(&space, "a person walking");
    let plain = bank(TWO).scores(&walking, TEMPERATURE);
    // Said twice, so that it weighs as much as the class itself, twice over.
    let not = "name = 'a person walking'\nnot = ['a person walking', 'a person walking']";
    let text = TWO.replacen("name = 'a person walking'", not, 1);
    let scores = bank(&text).scores(&walking, TEMPERATURE);
    assert!(
        near(scores[0], plain[0] / (1.0 + 2.0 * plain[0])),
        "{scores:?} {plain:?}"
    );
    assert!(near(scores[1], plain[1]), "{scores:?} {plain:?}");
    // Of another sense's class it is nobody's.
    let other = text.replacen("not =", "modalities = ['audio']\nnot =", 1);
    assert_eq!(bank(&other).scores(&walking, TEMPERATURE), [1.0]);
}

#[test]
fn what_fits_nothing_is_something_else() {
    let space = space();
    let bank = bank(&format!("{TWO}[something_else]\nimu = 0.4\n"));
    let named = bank.scores(&words(&space, "a person walking"), TEMPERATURE);
    assert!(named[0] > 0.9 && named.len() == 3, "{named:?}");
    // Nothing that the classes know of: its cosines are far below.
    let mut nowhere = words(&space, "a person walking");
    nowhere.iter_mut().for_each(|value| *value = -*value);
    let refused = bank.scores(&nowhere, TEMPERATURE);
    assert!(refused[2] > 0.9, "{refused:?}");
    assert!(near(refused.iter().sum(), 1.0));
}

#[test]
fn the_file_s_temperature_goes_before_the_pack_s() {
    let walking = words(&space(), "a person walking");
    let sharp = bank(&format!("{TWO}[temperature]\nimu = 0.02\naudio = 5.0\n"));
    let expected = bank(TWO).scores(&walking, 0.02);
    assert_eq!(sharp.scores(&walking, TEMPERATURE), expected);
    assert_ne!(bank(TWO).scores(&walking, TEMPERATURE), expected);
}

#[test]
fn the_mean_of_the_background_is_no_class() {
    let space = space();
    let folder = tempfile::tempdir().unwrap();
    let walking = words(&space, "a person walking");
    let rows = Array {
        shape: vec![2, walking.len()],
        values: [&walking[..], &walking[..]].concat(),
    };
    std::fs::write(folder.path().join("room.npy"), rows.to_bytes().unwrap()).unwrap();
    let text = format!("{TWO}[background]\nmeans = {{ imu = 'room.npy' }}\n");
    let place = Place {
        folder: folder.path(),
        ..Place::default()
    };
    let compiled = CompiledClasses::parse_in(&text, &space, place).unwrap();
    let bank = Bank::new(&compiled, Modality::Imu).unwrap();
    // The background itself is nothing, whatever class it resembles.
    let scores = bank.scores(&walking, TEMPERATURE);
    assert!(near(scores[0], 0.5) && near(scores[1], 0.5), "{scores:?}");
    assert!(bank.scores(&words(&space, "a person lying"), TEMPERATURE)[1] > 0.9);
    // Compiled, it needs the file no more.
    drop(folder);
    let again = CompiledClasses::parse(&compiled.to_json().unwrap(), &space).unwrap();
    assert_eq!(Bank::new(&again, Modality::Imu).unwrap(), bank);
    let error = CompiledClasses::parse_in(&text, &space, Place::default()).unwrap_err();
    assert_eq!(error.to_string(), "[background] means, \"room.npy\"");
}

#[test]
fn a_bank_is_told_from_others_by_all_that_scores_are_made_of() {
    let not = TWO.replacen(
        "name = 'rest'",
        "name = 'rest'\nnot = ['a person sitting']",
        1,
    );
    let texts = [
        TWO.to_owned(),
        not.clone(),
        not.replace("a person sitting", "a person standing"),
        format!("{TWO}[something_else]\nimu = 0.1\n"),
        format!("{TWO}[temperature]\nimu = 0.1\n"),
    ];
    let ids: Vec<String> = texts
        .iter()
        .map(|text| bank(text).id().to_owned())
        .collect();
    for (n, id) in ids.iter().enumerate() {
        assert!(!ids[..n].contains(id), "{}", texts[n]);
    }
}

#[test]
fn a_class_may_be_an_exported_one_and_words_beside() {
    let space = space();
    let folder = tempfile::tempdir().unwrap();
    let lying = words(&space, "a person lying");
    let file = ClassFile::new("rest", vec![Modality::Imu], &space, lying.clone());
    let path = folder.path().join("rest.json");
    std::fs::write(&path, file.to_json().unwrap()).unwrap();
    assert_eq!(ClassFile::open(&path, &space).unwrap(), file);
    let place = Place {
        folder: folder.path(),
        ..Place::default()
    };
    let vector = |more: &str| {
        let text = format!(
            "[[class]]\nname = 'x'\nmodalities = ['imu']\nexamples = ['rest.json']\n{more}"
        );
        CompiledClasses::parse_in(&text, &space, place)
            .unwrap()
            .vectors[0]
            .clone()
    };
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!(near(cosine(&vector(""), &lying), 1.0));
    let both = vector("prompts = ['a person walking']");
    let walking = words(&space, "a person walking");
    assert!(near(cosine(&both, &lying), cosine(&both, &walking)));

    let error = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let text = "[[class]]\nname = 'x'\nmodalities = ['imu']\nexamples = ['rest.json']";
        match CompiledClasses::parse_in(text, &space, place).unwrap_err() {
            BankError::Example { class, source } => format!("{class}: {source}"),
            other => panic!("{other}"),
        }
    };
    let json = file.to_json().unwrap();
    assert!(error("{}").ends_with("is not a class file"));
    assert!(error(&json.replace("\"version\":1", "\"version\":2")).contains("version 2, expected"));
    let other = json.replace(&space.fingerprint(), "0");
    assert!(
        error(&other).contains("(0), expected \"minilm\""),
        "{}",
        error(&other)
    );
    let mut short = file.clone();
    short.vector.pop();
    assert!(error(&short.to_json().unwrap()).contains("383 numbers of length"));
    std::fs::remove_file(&path).unwrap();
    let recording = "[[class]]\nname = 'x'\nmodalities = ['imu']\nexamples = ['a.csv']";
    let BankError::Example { source, .. } =
        CompiledClasses::parse_in(recording, &space, place).unwrap_err()
    else {
        panic!("not an example")
    };
    assert!(source.to_string().contains("no pack to embed it with"));
}

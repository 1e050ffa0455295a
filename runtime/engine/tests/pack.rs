//! The built-in pack, and packs that are whole but wrong.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::error::Error;

use sensorium_core::ImuSample;
use sensorium_core::feature::ImuOrder;
use sensorium_engine::bank::{Bank, BankError, CompiledClasses};
use sensorium_engine::encode::{EncodeError, Encoder};
use sensorium_engine::space::{Space, SpaceError};
use sensorium_pack::npy::Array;
use sensorium_pack::{FrontEnd, Manifest, Modality, Pack, PackWriter};
use sensorium_testkit::PACK;

fn built_in() -> Pack {
    Pack::from_bytes(PACK).unwrap()
}

/// The built-in pack with something else in it, its hashes right.
fn altered(alter: impl FnOnce(&mut Manifest, &mut Vec<(String, Vec<u8>)>)) -> Pack {
    let pack = built_in();
    let mut manifest = pack.manifest().clone();
    let paths = manifest.members.iter().map(|member| member.path.clone());
    let mut members: Vec<_> = paths
        .map(|path| {
            let content = pack.member(&path).unwrap().to_vec();
            (path, content)
        })
        .collect();
    alter(&mut manifest, &mut members);
    let mut writer = PackWriter::new();
    for (path, content) in members {
        writer.add(&path, content);
    }
    Pack::from_bytes(&writer.to_bytes(manifest).unwrap()).unwrap()
}

fn replace(members: &mut [(String, Vec<u8>)], path: &str, content: Vec<u8>) {
    let member = members.iter_mut().find(|(known, _)| known == path);
    member.unwrap().1 = content;
}

fn still(len: usize) -> Vec<ImuSample> {
    let sample = ImuSample {
        accel_mps2: [0.0, 0.0, 9.81],
        gyro_radps: [0.0; 3],
    };
    vec![sample; len]
}

#[test]
fn the_encoder_gives_unit_vectors_at_any_rate_and_length() {
    let encoder = Encoder::load(&built_in(), Modality::Imu).unwrap();
    for (len, rate_hz) in [
        (128, 50.0),
        (256, 100.0),
        (60, 25.0),
        (10, 50.0),
        (1000, 50.0),
    ] {
        let embedding = encoder.embed_imu(&still(len), rate_hz).unwrap();
        let norm: f32 = embedding.iter().map(|v| v * v).sum();
        assert_eq!(embedding.len(), encoder.dim());
        assert!((norm - 1.0).abs() < 1e-3, "{len} at {rate_hz}: {norm}");
    }
    assert!(matches!(
        encoder.embed_imu(&[], 50.0),
        Err(EncodeError::Feature(_))
    ));
    assert!(matches!(
        encoder.embed_imu(&still(9), 5.0),
        Err(EncodeError::Feature(_))
    ));
}

#[test]
fn an_encoder_that_gives_other_numbers_fails_its_self_test() {
    let pack = altered(|manifest, members| {
        let path = &manifest.encoders[0].golden.output;
        let golden = members.iter().find(|(known, _)| known == path).unwrap();
        let mut array = Array::from_bytes(&golden.1).unwrap();
        array.values[5] += 0.01;
        replace(members, path, array.to_bytes().unwrap());
    });
    let error = Encoder::load(&pack, Modality::Imu).unwrap_err();
    assert!(matches!(error, EncodeError::SelfTest { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("golden output differs by 1.00e-2"),
        "{error}"
    );
}

#[test]
fn what_is_no_model_is_refused() {
    let with_model = |model: Vec<u8>| {
        let pack = altered(|manifest, members| {
            replace(members, &manifest.encoders[0].model, model);
        });
        Encoder::load(&pack, Modality::Imu).unwrap_err()
    };
    let pack = built_in();
    let onnx = pack.member(&pack.manifest().encoders[0].model).unwrap();
    // Whole tensors are missing, which the parser must survive.
    for model in [
        b"not a model",
        &onnx[..0],
        &onnx[..100],
        &onnx[..onnx.len() / 2],
    ] {
        let error = with_model(model.to_vec());
        let refused = matches!(
            error,
            EncodeError::Model { .. } | EncodeError::Panicked { .. }
        );
        assert!(refused, "{} bytes: {error}", model.len());
    }
}

#[test]
fn front_ends_out_of_range_are_refused() {
    let with = |rate_hz: f32, samples: usize, units: &str| {
        let units = units.to_owned();
        let pack = altered(|manifest, _| {
            manifest.encoders[0].front_end = FrontEnd::Imu {
                rate_hz,
                samples,
                units,
                order: ImuOrder::default(),
            };
        });
        let error = Encoder::load(&pack, Modality::Imu).unwrap_err();
        let source = error.source().map_or(String::new(), ToString::to_string);
        format!("{error}: {source}")
    };
    assert!(with(5.0, 128, "g,rad/s").contains("rate_hz is 5, expected 25 to 400"));
    assert!(with(50.0, 0, "g,rad/s").contains("samples is 0"));
    assert!(with(50.0, 128, "furlong").contains("units is \"furlong\""));
    assert!(with(50.0, 64, "g,rad/s").contains("encoder"));
}

#[test]
fn words_that_the_pack_knows_need_no_text_model() {
    let pack = built_in();
    let space = Space::load(&pack, "minilm").unwrap();
    let walking = space
        .class_vector(&["a person walking".to_owned()])
        .unwrap();
    assert_eq!(walking.len(), space.dim());
    let error = space.class_vector(&["a quagga".to_owned()]).unwrap_err();
    assert!(matches!(error, SpaceError::Unknown { .. }));
    let error = Space::load(&pack, "elsewhere").unwrap_err();
    assert_eq!(error.to_string(), "the pack has no space \"elsewhere\"");
}

#[test]
fn arrays_of_the_wrong_shape_are_refused() {
    let pack = altered(|manifest, members| {
        let array = Array {
            shape: vec![3],
            values: vec![0.0; 3],
        };
        replace(
            members,
            &manifest.spaces[0].centre,
            array.to_bytes().unwrap(),
        );
    });
    let error = Space::load(&pack, "minilm").unwrap_err();
    assert!(
        error.to_string().ends_with("has shape [3], expected [384]"),
        "{error}"
    );
}

#[test]
fn compiled_classes_are_those_of_their_source() {
    let space = Space::load(&built_in(), "minilm").unwrap();
    let source = "[[class]]\nname = 'a person walking'\n[[class]]\nname = 'rest'\n\
        prompts = ['a person sitting', 'a person lying down']\nmodalities = ['thermal']\n\
        [background]\nprompts = ['a person standing']\n";
    let built = CompiledClasses::parse(source, &space).unwrap();
    let read = CompiledClasses::parse(&built.to_json().unwrap(), &space).unwrap();
    assert_eq!(read, built);

    let bank = Bank::new(&read, Modality::Imu).unwrap();
    assert_eq!(bank.classes().len(), 1);
    let walking = space
        .class_vector(&["a person walking".to_owned()])
        .unwrap();
    let scores = bank.scores(&walking, 0.07);
    assert_eq!(scores.len(), 2);
    assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6 && scores[0] > 0.9);
    assert_eq!(bank.best(&scores), Some(("a person walking", scores[0])));

    let thermal = source.replacen(
        "name = 'a person walking'",
        "name = 'x'\nprompts = ['a person walking']\nmodalities = ['thermal']",
        1,
    );
    let thermal = CompiledClasses::parse(&thermal, &space).unwrap();
    let error = Bank::new(&thermal, Modality::Imu).unwrap_err();
    assert_eq!(error.to_string(), "none of the classes is for imu");
}

#[test]
fn compiled_classes_of_another_space_or_form_are_refused() {
    let space = Space::load(&built_in(), "minilm").unwrap();
    let source = "[[class]]\nname = 'a person walking'\n";
    let built = CompiledClasses::parse(source, &space).unwrap();
    let refused = |json: &str| CompiledClasses::parse(json, &space).unwrap_err();

    let mut other = built.clone();
    other.fingerprint = "0".repeat(16);
    let error = refused(&other.to_json().unwrap());
    assert!(matches!(error, BankError::OtherSpace { .. }), "{error}");
    let mut short = built.clone();
    short.vectors[0].pop();
    let error = refused(&short.to_json().unwrap());
    assert!(
        error
            .to_string()
            .contains("one has 383 numbers, expected 1 of 384"),
        "{error}"
    );
    let json = built.to_json().unwrap();
    let error = refused(&json.replace("\"version\":1", "\"version\":2"));
    assert!(error.to_string().contains("version 2, expected"), "{error}");
    assert!(matches!(refused("{}"), BankError::Compiled(_)));
    assert!(matches!(
        refused(&json[..json.len() / 2]),
        BankError::Compiled(_)
    ));
}

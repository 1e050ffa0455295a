//! Words typed on a device whose pack carries a text tower, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use sensorium_engine::bank::CompiledClasses;
use sensorium_engine::space::{Doubt, Space, SpaceError};
use sensorium_engine::text::{Taught, TextError, TextTower};
use sensorium_pack::npy::Array;
use sensorium_pack::{Pack, PackError, PackWriter, Tower};
use sensorium_testkit::{PACK, word_tower};

const WORDS: [&str; 4] = ["walking", "a", "quagga", "zzz"];

/// The rows of the tower's words: of walking what the pack itself says of it, of quagga something far
/// from all that the pack knows.
fn rows(pack: &Pack, dim: usize) -> Vec<f32> {
    let space = &pack.manifest().spaces[0];
    let phrases: Vec<String> =
        serde_json::from_slice(pack.member(&space.prompts).unwrap()).unwrap();
    let known = Array::from_bytes(pack.member(&space.prompt_rows).unwrap()).unwrap();
    let place = phrases
        .iter()
        .position(|phrase| phrase == "a person walking");
    let walking = known.rows().nth(place.unwrap()).unwrap().to_vec();
    let odd: Vec<f32> = (0..dim).map(|i| (i as f32 * 11.1).sin()).collect();
    [walking, vec![0.0; dim], odd.clone(), odd.clone(), odd].concat()
}

/// The built-in pack with a text tower.
fn with_tower(alter: impl FnOnce(&mut Tower, &mut PackWriter)) -> Result<Pack, PackError> {
    let pack = Pack::from_bytes(PACK).unwrap();
    let mut manifest = pack.manifest().clone();
    let mut writer = PackWriter::new();
    for member in &manifest.members {
        writer.add(&member.path, pack.member(&member.path).unwrap().to_vec());
    }
    let dim = manifest.spaces[0].dim;
    let (model, tokenizer) = word_tower(&WORDS, dim, &rows(&pack, dim));
    let mut tower = Tower {
        model: "text/model.onnx".into(),
        tokenizer: Some("text/tokenizer.json".into()),
        report: Some("text/tower.json".into()),
        taught: None,
        words: None,
        projection: Vec::new(),
    };
    writer.add(&tower.model, model);
    writer.add("text/tokenizer.json", tokenizer.into_bytes());
    writer.add("text/tower.json", b"{}".to_vec());
    alter(&mut tower, &mut writer);
    manifest.spaces[0].tower = Some(tower);
    Pack::from_bytes(&writer.to_bytes(manifest)?)
}

fn space() -> Space {
    Space::load(&with_tower(|_, _| ()).unwrap(), "minilm").unwrap()
}

#[test]
fn any_words_have_a_vector_and_known_ones_keep_theirs() {
    let (with, without) = (
        space(),
        Space::load(&Pack::from_bytes(PACK).unwrap(), "minilm").unwrap(),
    );
    let vector = |space: &Space, words: &str| space.class_vector(&[words.to_owned()]).unwrap();
    let known = vector(&without, "a person walking");
    assert_eq!(vector(&with, "a person walking"), known);
    // The tower's own word for it, under a name that the pack does not hold.
    let typed = vector(&with, "Walking");
    let cosine: f32 = typed.iter().zip(&known).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.999, "{cosine}");
    let error = without.class_vector(&["Walking".to_owned()]).unwrap_err();
    assert!(matches!(error, SpaceError::Unknown { .. }), "{error}");
    assert_eq!(with.fingerprint(), without.fingerprint());
    let classes = CompiledClasses::parse("[[class]]\nname = 'quagga walking'\n", &with).unwrap();
    assert_eq!(classes.vectors[0].len(), with.dim());
}

#[test]
fn a_tower_of_no_numbers_is_refused() {
    let (model, tokenizer) = word_tower(&WORDS, 0, &[]);
    let tokenizer = ("tokenizer.json".as_ref(), tokenizer.as_bytes());
    let error = TextTower::of(("model.onnx".as_ref(), &model), tokenizer).unwrap_err();
    let is_told = matches!(error, TextError::Output { .. } | TextError::Model { .. });
    assert!(is_told, "{error}");
}

#[test]
fn the_manifest_keeps_the_tower() {
    let pack = with_tower(|_, _| ()).unwrap();
    let json = serde_json::to_string(pack.manifest()).unwrap();
    assert!(
        json.contains(r#""tower":{"model":"text/model.onnx","tokenizer":"text/tokenizer.json""#)
    );
    assert_eq!(
        &serde_json::from_str::<sensorium_pack::Manifest>(&json).unwrap(),
        pack.manifest()
    );
    let plain = Pack::from_bytes(PACK).unwrap();
    assert!(
        !serde_json::to_string(plain.manifest())
            .unwrap()
            .contains("tower")
    );
    let error = with_tower(|tower, _| tower.report = Some("text/none.json".into())).unwrap_err();
    assert!(
        matches!(&error, PackError::Missing { path } if path == "text/none.json"),
        "{error}"
    );
}

#[test]
fn words_that_the_tower_cannot_know_are_answered_honestly() {
    let space = space();
    let class = |words: &str| space.class_vector(&[words.to_owned()]);
    for words in ["падать", "转身", "a трактор падает"] {
        let error = class(words).unwrap_err();
        assert!(
            matches!(&error, SpaceError::Script { prompt } if prompt == words),
            "{error}"
        );
    }
    let doubt = |words: &str| space.doubt(words).unwrap();
    assert_eq!(doubt("a person walking"), None);
    assert_eq!(doubt("walking"), None);
    let far = doubt("quagga").unwrap();
    assert!(
        matches!(far, Doubt::Far { cosine, .. } if cosine < 0.15),
        "{far:?}"
    );
    assert!(
        far.to_string()
            .starts_with("it is far from all that the pack was made with"),
        "{far}"
    );
    // The tower knows the first letter as a word, and the others as what ends words.
    let spelt = doubt("asssss").unwrap();
    let expected = Doubt::Spelt {
        pieces: 6,
        characters: 6,
    };
    assert_eq!(spelt, expected);
}

#[test]
fn words_that_the_tower_was_never_taught_are_named() {
    let taught = ["person", "walking", "quagga"].map(str::to_owned);
    let filter = |bytes: Vec<u8>| {
        with_tower(|tower, writer| {
            let path = "text/taught.bloom".to_owned();
            writer.add(&path, bytes);
            tower.taught = Some(path);
        })
        .unwrap()
    };
    let pack = filter(Taught::of(&taught.into()).as_bytes().to_vec());
    let space = Space::load(&pack, "minilm").unwrap();
    let doubt = |words: &str| space.doubt(words).unwrap();
    // The pack's own phrases are in no doubt, whatever the filter says.
    assert_eq!(doubt("a person walking"), None);
    assert_eq!(doubt("Walking"), None);
    assert!(matches!(doubt("quagga"), Some(Doubt::Far { .. })));
    let expected =
        "the text tower was never taught \"zzz\", and goes by the parts: other words may be surer";
    assert_eq!(doubt("walking, ZZZ zzz").unwrap().to_string(), expected);
    let error = Space::load(&filter(Vec::new()), "minilm").unwrap_err();
    assert_eq!(
        error.to_string(),
        "member \"text/taught.bloom\" of the pack is empty, expected a filter of words"
    );
}

#[test]
fn a_tower_that_is_none_is_named() {
    let pack = with_tower(|tower, writer| writer.add(&tower.model, b"no model".to_vec())).unwrap();
    let space = Space::load(&pack, "minilm").unwrap();
    // Not read before it is needed.
    space
        .class_vector(&["a person walking".to_owned()])
        .unwrap();
    let error = space
        .class_vector(&["quagga".to_owned()])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "\"text/model.onnx\" is not a usable text model");
    let other = |tower: &mut Tower, writer: &mut PackWriter| {
        let (model, _) = word_tower(&WORDS, 3, &[0.5; 15]);
        writer.add(&tower.model, model);
    };
    let space = Space::load(&with_tower(other).unwrap(), "minilm").unwrap();
    let error = space
        .class_vector(&["quagga".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("has shape [3], expected [384]"), "{error}");
}

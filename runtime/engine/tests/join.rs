//! Packs made one, and smaller.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use prost::Message;
use sensorium_engine::classes::Classes;
use sensorium_engine::encode::Encoder;
use sensorium_engine::join::{Strip, join, strip};
use sensorium_engine::space::Space;
use sensorium_pack::{Modality, Pack, PackWriter};
use sensorium_testkit::{PACK, Tiny, tiny_pack};
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};

const IMAGE: &str = r#"{"kind": "image", "resize": {"exact": [4, 4]}, "interpolation": "bicubic",
    "mean": [0, 0, 0], "std": [1, 1, 1]}"#;

const THERMAL: &str = r#"{"kind": "thermal", "range": [0, 255], "side": 4}"#;

fn tiny(modality: Modality, front_end: &'static str, words: &'static [&'static str]) -> Pack {
    let tiny = Tiny {
        modality,
        front_end,
        words,
    };
    Pack::from_bytes(&tiny_pack(&[tiny])).unwrap()
}

fn pictures() -> Pack {
    tiny(Modality::Image, IMAGE, &["red", "green", "blue"])
}

fn warmth() -> Pack {
    tiny(Modality::Thermal, THERMAL, &["top", "bottom"])
}

fn class_names(pack: &Pack) -> Vec<String> {
    let text = std::str::from_utf8(pack.member(&pack.manifest().classes).unwrap()).unwrap();
    let classes = Classes::parse(text).unwrap().classes;
    classes.into_iter().map(|class| class.name).collect()
}

#[test]
fn joined_packs_keep_their_spaces_apart() {
    let built_in = Pack::from_bytes(PACK).unwrap();
    let packs = [built_in.clone(), pictures(), warmth()];
    let pack = Pack::from_bytes(&join(&packs, "all").unwrap()).unwrap();
    assert_eq!(pack.manifest().name, "all");
    assert_eq!(pack.manifest().spaces.len(), 3);
    for entry in &pack.manifest().encoders {
        // Loading runs the golden input through it.
        let encoder = Encoder::load_entry(&pack, entry).unwrap();
        let space = Space::load(&pack, encoder.space()).unwrap();
        assert_eq!(space.dim(), encoder.dim());
    }
    let names = class_names(&pack);
    assert_eq!(names.len(), class_names(&built_in).len() + 5);
    assert!(names.contains(&"green".to_owned()) && names.contains(&"walking".to_owned()));
    for member in &built_in.manifest().members {
        if member.path != built_in.manifest().classes {
            let own = built_in.member(&member.path).unwrap();
            assert_eq!(pack.member(&member.path).unwrap(), own);
        }
    }
}

/// The pack, whose weights lie in a member `weights.bin` beside its model; how many bytes they have.
fn with_weights_beside(pack: &Pack) -> (Pack, usize) {
    let mut manifest = pack.manifest().clone();
    let entry = &mut manifest.encoders[0];
    let mut model = ModelProto::decode(pack.member(&entry.model).unwrap()).unwrap();
    let mut weights = Vec::new();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: key.to_owned(),
            value,
        };
        tensor.external_data = vec![
            entry("location", "weights.bin".to_owned()),
            entry("offset", weights.len().to_string()),
            entry("length", tensor.raw_data.len().to_string()),
        ];
        tensor.data_location = Some(DataLocation::External as i32);
        weights.append(&mut tensor.raw_data);
    }
    let old = std::mem::replace(&mut entry.model, format!("{}.onnx", entry.name));
    let mut writer = PackWriter::new();
    writer.add(&manifest.encoders[0].model, model.encode_to_vec());
    let len = weights.len();
    writer.add("weights.bin", weights);
    for member in pack.manifest().members.iter().filter(|m| m.path != old) {
        writer.add(&member.path, pack.member(&member.path).unwrap().to_vec());
    }
    let bytes = writer.to_bytes(manifest).unwrap();
    (Pack::from_bytes(&bytes).unwrap(), len)
}

#[test]
fn weights_beside_their_models_get_a_path_of_their_own() {
    let (red, red_bytes) = with_weights_beside(&pictures());
    let (warm, warm_bytes) = with_weights_beside(&warmth());
    assert!(red_bytes > 0 && warm_bytes > 0);
    let pack = Pack::from_bytes(&join(&[red.clone(), warm.clone()], "both").unwrap()).unwrap();
    assert_eq!(pack.member("weights.bin").unwrap().len(), red_bytes);
    assert_eq!(pack.member("weights-2.bin").unwrap().len(), warm_bytes);
    for modality in [Modality::Image, Modality::Thermal] {
        // Loading runs the golden input through it.
        Encoder::load(&pack, modality).unwrap();
    }
    // Of those that nobody needs any more nothing stays.
    let without = Strip {
        encoders: vec!["image".to_owned()],
        towers: false,
    };
    let left = Pack::from_bytes(&strip(&pack, &without).unwrap()).unwrap();
    assert!(left.member("weights.bin").is_err());
    assert!(Encoder::load(&left, Modality::Thermal).is_ok());
}

#[test]
fn a_part_is_joined_once() {
    let error = join(&[pictures(), pictures()], "twice").unwrap_err();
    assert_eq!(
        error.to_string(),
        "space \"image words\" is in two of the packs: a part is joined once"
    );
    let none = join(&[], "none").unwrap_err().to_string();
    assert_eq!(none, "there is no pack to join");
}

#[test]
fn what_is_stripped_is_gone_and_the_rest_is_as_it_was() {
    let both = Pack::from_bytes(&join(&[pictures(), warmth()], "both").unwrap()).unwrap();
    let without = |name: &str| {
        let out_of_it = Strip {
            encoders: vec![name.to_owned()],
            towers: true,
        };
        strip(&both, &out_of_it)
    };
    let left = Pack::from_bytes(&without("image").unwrap()).unwrap();
    assert_eq!(left.manifest().spaces.len(), 1);
    assert!(Encoder::load(&left, Modality::Thermal).is_ok());
    assert!(Encoder::load(&left, Modality::Image).is_err());
    assert_eq!(class_names(&left), ["top", "bottom"]);
    assert!(
        left.manifest()
            .members
            .iter()
            .all(|m| !m.path.starts_with("image/"))
    );
    let error = without("sonar").unwrap_err().to_string();
    assert_eq!(
        error,
        "the pack has no encoder \"sonar\", its encoders are [\"image\", \"thermal\"]"
    );
}

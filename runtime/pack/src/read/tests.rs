use super::*;
use crate::{Encoder, FrontEnd, Golden, Modality, PackWriter, Scoring, Space};
use proptest::prelude::*;
use sensorium_core::feature::{ImuOrder, LogMelSpec};

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT.into(),
        version: VERSION,
        name: "tiny".into(),
        spaces: vec![Space {
            name: "words".into(),
            dim: 2,
            text_model: "none".into(),
            centre: "centre.npy".into(),
            prompts: "prompts.json".into(),
            prompt_rows: "prompts.npy".into(),
            tower: None,
            resemblance: None,
        }],
        encoders: vec![Encoder {
            name: "imu".into(),
            modality: Modality::Imu,
            space: "words".into(),
            model: "imu.onnx".into(),
            front_end: FrontEnd::Imu {
                rate_hz: 50.0,
                samples: 128,
                units: "g,rad/s".into(),
                order: ImuOrder::default(),
            },
            scoring: Scoring {
                temperature: 0.1,
                enter: 0.5,
                exit: 0.3,
            },
            golden: Golden {
                input: "in.npy".into(),
                output: "out.npy".into(),
                max_abs: 1e-4,
            },
        }],
        classes: "classes.toml".into(),
        provenance: vec![],
        members: vec![],
    }
}

fn writer() -> PackWriter {
    let mut writer = PackWriter::new();
    let paths = [
        "centre.npy",
        "prompts.json",
        "prompts.npy",
        "imu.onnx",
        "in.npy",
        "out.npy",
        "classes.toml",
    ];
    for path in paths {
        writer.add(path, format!("content of {path}").into_bytes());
    }
    writer
}

fn bytes() -> Vec<u8> {
    writer().to_bytes(manifest()).unwrap()
}

fn position(bytes: &[u8], text: &str) -> usize {
    bytes
        .windows(text.len())
        .position(|w| w == text.as_bytes())
        .unwrap()
}

#[test]
fn a_pack_reads_back_as_written() {
    let pack = Pack::from_bytes(&bytes()).unwrap();
    assert_eq!(pack.member("imu.onnx").unwrap(), b"content of imu.onnx");
    assert_eq!(pack.manifest().encoders, manifest().encoders);
    assert_eq!(pack.manifest().encoder(Modality::Imu).unwrap().name, "imu");
    assert!(pack.id().starts_with("tiny@") && pack.id().len() == 17);
    assert_eq!(bytes(), bytes(), "equal members give equal bytes");
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.pack");
    writer().write(manifest(), &path).unwrap();
    assert_eq!(
        Pack::open(&path).unwrap(),
        Pack::from_bytes(&bytes()).unwrap()
    );
    let missing = folder.path().join("no/such/folder/tiny.pack");
    assert!(matches!(
        writer().write(manifest(), &missing),
        Err(PackError::Io(_))
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn every_error_says_what_is_wrong() {
    let error = |bytes: &[u8]| Pack::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(error(b"not a zip"), "it is not a pack: no whole zip file");

    let mut altered = bytes();
    let at = position(&altered, "content of imu.onnx");
    altered[at] ^= 1;
    assert!(error(&altered).starts_with("member \"imu.onnx\" was altered: its SHA-256 is "));

    let of = |edit: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest();
        edit(&mut manifest);
        writer().to_bytes(manifest).unwrap_err().to_string()
    };
    assert_eq!(
        of(&|m| m.version = 9),
        "manifest.json says \"sensorium-pack\" version 9, expected \"sensorium-pack\" version 1"
    );
    assert_eq!(
        of(&|m| m.classes = "none.toml".into()),
        "member \"none.toml\" is missing"
    );
    assert_eq!(
        of(&|m| m.encoders[0].space = "sounds".into()),
        "encoder \"imu\" names \"sounds\", which manifest.json does not have"
    );
    let missing = Pack::open(Path::new("/no/such.pack"))
        .unwrap_err()
        .to_string();
    assert_eq!(missing, "the file cannot be accessed");
}

#[test]
fn foreign_and_missing_members_are_refused() {
    let mut zip = zip::ZipWriter::new_append(Cursor::new(bytes())).unwrap();
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("extra.bin", stored).unwrap();
    let extended = zip.finish().unwrap().into_inner();
    let error = Pack::from_bytes(&extended).unwrap_err();
    assert_eq!(
        error.to_string(),
        "member \"extra.bin\" is not in manifest.json"
    );

    let empty = zip::ZipWriter::new(Cursor::new(Vec::new()))
        .finish()
        .unwrap()
        .into_inner();
    assert!(matches!(
        Pack::from_bytes(&empty),
        Err(PackError::NoManifest)
    ));
}

#[test]
fn unknown_keys_are_refused() {
    let parse = |text: &str| {
        serde_json::from_str::<FrontEnd>(text)
            .unwrap_err()
            .to_string()
    };
    let known = r#""rate_hz": 50, "samples": 128, "units": "g,rad/s""#;
    assert!(parse(&format!(r#"{{"kind": "imu", {known}, "gain": 2}}"#)).contains("gain"));
    assert!(parse(&format!(r#"{{"kind": "radar", {known}}}"#)).contains("radar"));
}

#[test]
fn encoders_of_any_sense_stand_side_by_side() {
    let mut several = manifest();
    let mut audio = several.encoders[0].clone();
    audio.name = "audio".into();
    audio.modality = Modality::Audio;
    audio.front_end = FrontEnd::LogMel(LogMelSpec::reference());
    several.encoders.push(audio);
    let bytes = writer().to_bytes(several.clone()).unwrap();
    let pack = Pack::from_bytes(&bytes).unwrap();
    assert_eq!(pack.manifest().encoders, several.encoders);
    let found = pack.manifest().encoder(Modality::Audio).unwrap();
    assert_eq!(found.name, "audio");

    // A writer checks what it wrote as a reader does.
    let refused = |manifest| writer().to_bytes(manifest).unwrap_err().to_string();
    let mut other = several.clone();
    other.encoders[1].modality = Modality::Depth;
    assert_eq!(
        refused(other),
        "encoder \"audio\" is for depth, which no front end \"log-mel\" is made for"
    );
    let mut twice = several;
    twice.encoders[1].name = "imu".into();
    assert_eq!(refused(twice), "there are two encoders \"imu\"");
}

#[test]
fn a_pack_cut_anywhere_is_refused() {
    let bytes = bytes();
    for len in 0..bytes.len() {
        assert!(
            Pack::from_bytes(&bytes[..len]).is_err(),
            "cut to {len} bytes"
        );
    }
}

proptest! {
    /// One flipped bit changes nothing that is used, or the pack is refused.
    #[test]
    fn a_flipped_bit_is_refused_or_harmless(position: prop::sample::Index, bit in 0u8..8) {
        let mut altered = bytes();
        let at = position.index(altered.len());
        altered[at] ^= 1 << bit;
        if let Ok(pack) = Pack::from_bytes(&altered) {
            let original = Pack::from_bytes(&bytes()).unwrap();
            for member in &original.manifest().members {
                prop_assert_eq!(pack.member(&member.path).unwrap(), original.member(&member.path).unwrap());
            }
        }
    }
}

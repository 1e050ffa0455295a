//! A tiny checkpoint with all six encoders, imported and asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use sensorium_engine::embed::Recorded;
use sensorium_engine::encode::Encoder as Loaded;
use sensorium_engine::space::Space;
use sensorium_model::checkpoint::CheckpointWriter;
use sensorium_model::weights::{Array, Weights};
use sensorium_model::{Encoder as Model, InputConfig};
use sensorium_pack::Pack;
use sensorium_pack::npy::{self, Array as Rows};

use super::*;
use crate::quantize::cosine;

const OUTPUT: usize = 24;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn tiny(sense: Sense) -> EncoderConfig {
    let reference = EncoderConfig::reference(sense);
    let input = match sense {
        Sense::Vision => InputConfig::Vision {
            frames: 2,
            side: 28,
            patch: [2, 14, 14],
        },
        Sense::Depth => InputConfig::Depth {
            side: 32,
            patch: 16,
        },
        Sense::Thermal => InputConfig::Thermal {
            side: 48,
            patch: 16,
        },
        Sense::Imu => InputConfig::Imu {
            samples: 64,
            patch: 8,
        },
        Sense::Audio | Sense::Text => reference.input,
    };
    EncoderConfig {
        input,
        dim: 16,
        blocks: 2,
        heads: 4,
        output: OUTPUT,
        drop_path: 0.0,
        dropout: 0.0,
        ..reference
    }
}

/// All six, as they are and as a checkpoint's weights.
struct Six {
    folder: tempfile::TempDir,
    models: BTreeMap<Sense, Model<Inference>>,
    weights: Weights,
}

impl Six {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut models, mut weights) = (BTreeMap::new(), Weights::new());
        for sense in Sense::ALL {
            let model = tiny(sense).init::<Inference>(&Default::default()).unwrap();
            let own = model.to_weights();
            let mut other = Weights::new();
            for (name, Array { shape, values }) in own.iter() {
                // Norms and biases begin as ones and zeros, which would hide a mistake.
                let is_plain = values.windows(2).all(|pair| pair[0] == pair[1]);
                let changed = |(at, value): (usize, &f32)| {
                    value
                        + if is_plain {
                            0.2 * (at as f32).sin()
                        } else {
                            0.0
                        }
                };
                let values = match shape.is_empty() || name.ends_with(".mask") {
                    true => values.clone(),
                    false => values.iter().enumerate().map(changed).collect(),
                };
                other.insert(name, shape, values.clone());
                weights.insert(name, shape, values);
            }
            models.insert(sense, model.with_weights(&other).unwrap());
        }
        let heads = Sense::ALL.map(|sense| format!("\"{sense}_num_heads\": 4"));
        let config = format!("{{\"ctor\": {{{}}}}}", heads.join(", "));
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        Self {
            folder,
            models,
            weights,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a checkpoint; `alter` may leave arrays out or change their shape.
    fn save(&self, name: &str, alter: impl Fn(&str, &Array) -> Option<Array>) -> PathBuf {
        let path = self.path(name);
        let arrays = self.weights.iter();
        let arrays =
            arrays.filter_map(|(name, array)| Some((name.to_owned(), alter(name, array)?)));
        let arrays: Vec<(String, Array)> = arrays.collect();
        let listed = arrays
            .iter()
            .map(|(name, array)| (name.clone(), array.shape.clone()));
        let listed = listed.collect();
        let mut writer = match name.ends_with(".pth") {
            true => CheckpointWriter::torch(&path, listed).unwrap(),
            false => CheckpointWriter::safetensors(&path, listed, &BTreeMap::new()).unwrap(),
        };
        for (name, array) in &arrays {
            writer.write(name, &array.values).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    fn whole(&self, name: &str) -> PathBuf {
        self.save(name, |_, array| Some(array.clone()))
    }

    fn forward(&self, sense: Sense, features: &[f32]) -> Vec<f32> {
        let shape = TowerConfig::Transformer(tiny(sense)).input_shape();
        let input = Input::of_shape(features.to_vec(), &shape, &Default::default());
        let rows = self.models[&sense].forward(input);
        rows.into_data().iter::<f32>().collect()
    }
}

fn import(checkpoint: &Path, out: &Path, more: &[&str]) -> anyhow::Result<Pack> {
    let paths = [checkpoint, out].map(|path| path.to_str().unwrap());
    let words = ["imagebind", paths[0], "--out", paths[1]];
    let cli = Cli::try_parse_from(words.iter().chain(more))?;
    run(&cli.args)?;
    Ok(Pack::open(out)?)
}

fn wave(len: usize, phase: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
}

fn max_abs(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn all_six_encoders_give_from_a_pack_what_they_give_here() {
    let six = Six::new();
    for file in ["all.safetensors", "all.pth"] {
        let pack = import(&six.whole(file), &six.path("out.pack"), &[]).unwrap();
        assert_eq!(pack.manifest().name, "all");
        assert_eq!(pack.manifest().spaces.len(), 1);
        assert_eq!(pack.manifest().encoders.len(), 5);
        for entry in &pack.manifest().encoders {
            let sense = match entry.modality {
                Modality::Image => Sense::Vision,
                other => sense(other.name()).unwrap(),
            };
            // Loading tests the golden outputs, too.
            let encoder = Loaded::load_entry(&pack, entry).unwrap();
            let features = wave(encoder.processor().output_len(), 0.3);
            let expected = six.forward(sense, &features);
            let difference = max_abs(&encoder.run(&features).unwrap(), &expected);
            assert!(difference < 1e-5, "{sense}: {difference}");
            let temperature = match sense {
                Sense::Vision => 0.07,
                _ => 1.0 / tiny(sense).scale.unwrap() as f32,
            };
            assert!(
                (entry.scoring.temperature - temperature).abs() < 1e-6,
                "{sense}"
            );
        }
    }
}

#[test]
fn files_and_words_become_what_the_forward_pass_makes_of_them() {
    let six = Six::new();
    let path = six.whole("all.safetensors");
    let more = ["--modality", "imu,text"];
    let pack = import(&path, &six.path("out.pack"), &more).unwrap();
    let encoder = Loaded::load(&pack, Modality::Imu).unwrap();
    let samples = wave(64 * 6, 1.0);
    let bytes = npy::to_bytes(&[1, 64, 6], &samples).unwrap();
    let file = six.path("window.npy");
    std::fs::write(&file, bytes).unwrap();
    let embedded = encoder.embed_file(&file, Recorded::default()).unwrap();
    let turned: Vec<f32> = (0..6 * 64)
        .map(|at| samples[at % 64 * 6 + at / 64])
        .collect();
    let difference = max_abs(&embedded.rows[0], &six.forward(Sense::Imu, &turned));
    assert!(difference < 1e-5, "{difference}");

    let space = Space::load(&pack, NAME).unwrap();
    assert_eq!(space.test_tower().unwrap(), TRIED.len());
    for words in [
        "a dog barking",
        "Caf\u{e9} &amp; rain",
        "x <|endoftext|> y",
        "",
    ] {
        let model = &six.models[&Sense::Text];
        let rows = model.forward(texts(&[words.to_owned()]));
        let expected: Vec<f32> = rows.into_data().iter::<f32>().collect();
        let difference = max_abs(&space.class_vector(&[words.to_owned()]).unwrap(), &expected);
        assert!(difference < 1e-5, "{words:?}: {difference}");
    }
}

#[test]
fn classes_alone_need_no_tower_in_the_pack() {
    let six = Six::new();
    let path = six.whole("all.pth");
    let classes = six.path("mine.toml");
    std::fs::write(
        &classes,
        "[[class]]\nname = \"dog\"\nprompts = [\"a dog\"]\n",
    )
    .unwrap();
    let more = [
        "--modality",
        "audio",
        "--text",
        "classes",
        classes.to_str().unwrap(),
    ];
    let pack = import(&path, &six.path("out.pack"), &more).unwrap();
    let space = Space::load(&pack, NAME).unwrap();
    assert!(pack.manifest().spaces[0].tower.is_none());
    let rows = six.models[&Sense::Text].forward(texts(&["a dog".to_owned()]));
    let expected: Vec<f32> = rows.into_data().iter::<f32>().collect();
    let row = space.class_vector(&["a dog".to_owned()]).unwrap();
    assert!(max_abs(&row, &expected) < 1e-5);
    assert!(space.class_vector(&["a cat".to_owned()]).is_err());
    // Without words, things are named by examples.
    let pack = import(&path, &six.path("out.pack"), &["--modality", "image,depth"]).unwrap();
    assert_eq!(pack.manifest().encoders.len(), 2);
    assert_eq!(Space::load(&pack, NAME).unwrap().phrases().count(), 0);
}

#[test]
fn integers_take_a_quarter_and_stay_near() {
    let six = Six::new();
    let path = six.whole("all.safetensors");
    let size = |path: PathBuf| std::fs::metadata(path).unwrap().len();
    let more = ["--modality", "thermal,text"];
    import(&path, &six.path("floats.pack"), &more).unwrap();
    let more = [
        "--modality",
        "thermal,text",
        "--quantize",
        "int8",
        "--min-cosine",
        "0.98",
    ];
    let pack = import(&path, &six.path("out.pack"), &more).unwrap();
    let (small, large) = (size(six.path("out.pack")), size(six.path("floats.pack")));
    assert!(small * 2 < large, "{small} {large}");
    let encoder = Loaded::load(&pack, Modality::Thermal).unwrap();
    let features = wave(encoder.processor().output_len(), 0.3);
    let expected = six.forward(Sense::Thermal, &features);
    let near = cosine(&encoder.run(&features).unwrap(), &expected);
    assert!(near > 0.995, "{near}");
    Space::load(&pack, NAME).unwrap().test_tower().unwrap();
    let more = [
        "--quantize",
        "int8",
        "--min-cosine",
        "1.1",
        "--modality",
        "imu",
    ];
    let error = import(&path, &six.path("none.pack"), &more).unwrap_err();
    assert!(
        format!("{error:#}").contains("expected at least 1.1"),
        "{error:#}"
    );
    assert!(!six.path("none.pack").exists());
}

#[test]
fn what_does_not_fit_is_told_in_a_line_and_leaves_nothing() {
    let six = Six::new();
    let out = six.path("out.pack");
    let error = |path: &Path, more: &[&str]| {
        let error = format!("{:#}", import(path, &out, more).unwrap_err());
        assert!(!out.exists() && !error.contains('\n'), "{error}");
        error
    };
    let missing = "modality_trunks.depth.blocks.1.mlp.fc2.bias";
    let path = six.save("missing.safetensors", |name, array| {
        (name != missing).then(|| array.clone())
    });
    let told = error(&path, &["--modality", "depth"]);
    assert!(told.contains("the encoder of depth"), "{told}");
    assert!(
        told.contains(&format!("weight {missing:?} is missing")),
        "{told}"
    );
    let misshapen = "modality_trunks.imu.blocks.0.attn.out_proj.weight";
    let path = six.save("misshapen.safetensors", |name, array| {
        let mut array = array.clone();
        if name == misshapen {
            array.shape = vec![8, 32];
        }
        Some(array)
    });
    let told = error(&path, &["--modality", "imu"]);
    let shapes = format!("weight {misshapen:?} has shape [8, 32], expected [16, 16]");
    assert!(told.contains(&shapes), "{told}");
    let path = six.save("some.safetensors", |name, array| {
        (name.contains(".imu.") || name.contains(".audio.")).then(|| array.clone())
    });
    let told = error(&path, &["--modality", "imu,depth"]);
    assert!(
        told.ends_with("it has no encoder of depth, it has those of audio, imu"),
        "{told}"
    );
    let told = error(&path, &["--modality", "imu", "--text", "tower"]);
    assert!(told.contains("it has no encoder of text"), "{told}");
    let told = error(&path, &["--modality", "imu", "--text", "words"]);
    assert!(
        told.contains("--text is \"words\", expected tower"),
        "{told}"
    );
    std::fs::write(
        six.path("fe.toml"),
        "[imu]\nkind = \"imu\"\nrate_hz = 50\nsamples = 32\nunits = \"g,rad/s\"\n",
    )
    .unwrap();
    let file = six.path("fe.toml");
    let told = error(
        &path,
        &["--modality", "imu", "--front-ends", file.to_str().unwrap()],
    );
    assert!(
        told.contains("its front end gives [6, 32], expected [6, 64]"),
        "{told}"
    );
    std::fs::remove_file(six.path("config.json")).unwrap();
    let told = error(&path, &["--modality", "imu"]);
    assert!(
        told.contains("nothing says how many heads the encoder of imu has, whose width is 16"),
        "{told}"
    );
    std::fs::write(six.path("none.safetensors"), b"no checkpoint").unwrap();
    assert!(error(&six.path("none.safetensors"), &[]).contains("none.safetensors"));
}

/// The reference's own dimensions, with weights of the portable generator: `IMAGEBIND_VECTORS` names a
/// folder with `realdims.safetensors`, the checkpoint, and the packs made of it; see `trainer/bench`.
#[test]
#[ignore = "needs a checkpoint of a gigabyte"]
fn real_dimensions_agree_with_their_vectors() {
    let Ok(folder) = std::env::var("IMAGEBIND_VECTORS") else {
        panic!("IMAGEBIND_VECTORS names no folder");
    };
    let folder = PathBuf::from(folder);
    for (file, least) in [("floats.pack", None), ("int8.pack", Some(0.999f32))] {
        let pack = Pack::open(&folder.join(file)).unwrap();
        for entry in &pack.manifest().encoders {
            let encoder = Loaded::load_entry(&pack, entry).unwrap();
            let name = entry.modality.name();
            let read = |part: &str| {
                let path = folder.join(format!("{name}_{part}.npy"));
                Rows::from_bytes(&std::fs::read(path).unwrap()).unwrap()
            };
            let (inputs, expected) = (read("input"), read("expected"));
            for (input, expected) in inputs.rows().zip(expected.rows()) {
                // Clips of a recording lie together; their mean is what is expected.
                let clips = input.chunks_exact(encoder.processor().output_len());
                let mut mean = vec![0.0; encoder.dim()];
                for clip in clips {
                    let row = encoder.run(clip).unwrap();
                    mean.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
                let mut expected = expected.to_vec();
                sensorium_core::bank::normalize(&mut mean);
                sensorium_core::bank::normalize(&mut expected);
                let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let rel = max_abs(&mean, &expected) / largest;
                let near = cosine(&mean, &expected);
                println!("{file} {name}: rel {rel:.2e}, cosine {near:.7}");
                match least {
                    None => assert!(rel <= 1e-5, "{name}: {rel}"),
                    Some(least) => assert!(near >= least, "{name}: {near}"),
                }
            }
        }
    }
}

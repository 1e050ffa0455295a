//! Sound bound to pictures, and by them to words that it never met: the program, from files to a pack.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

mod small;

use std::path::Path;

use sensorium_pack::{Modality, Pack};
use small::{Small, bytes};

const PICTURE: &str = include_str!("binding/picture.toml");
const SOUND: &str = include_str!("binding/sound.toml");

/// Samples of each class of each of four groups.
const TAKES: usize = 9;

/// Writes pictures and sounds of three classes, and a table of them.
fn write_pairs(folder: &Path) {
    let mut table = "image,audio,label,group\n".to_owned();
    for group in 1..=4 {
        for class in 1..=3 {
            for take in 0..TAKES {
                let name = format!("{group}_{class}_{take}");
                let seed = (group * 31 + class * 7 + take) as f32;
                write_picture(&folder.join(format!("{name}.png")), class, seed);
                write_sound(&folder.join(format!("{name}.wav")), class, seed);
                table.push_str(&format!("{name}.png,{name}.wav,{class},g{group}\n"));
            }
        }
    }
    std::fs::write(folder.join("pairs.csv"), table).unwrap();
}

/// Stripes that lie closer the higher the class, somewhere.
fn write_picture(path: &Path, class: usize, seed: f32) {
    const SIDE: usize = 16;
    let pixel = |at: usize| {
        let angle = 0.5 * class as f32 * (at % SIDE) as f32 + seed;
        [0.0, 0.4, 0.8].map(|phase| (127.0 + 120.0 * (angle + phase).sin()) as u8)
    };
    let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(pixel).collect();
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
}

/// A tone that is higher the higher the class.
fn write_sound(path: &Path, class: usize, seed: f32) {
    const RATE_HZ: u32 = 8000;
    let hz = 300.0 * (class * class) as f32 * (1.0 + 0.05 * seed.sin());
    let sample = |n: u32| (9000.0 * (std::f32::consts::TAU * hz * n as f32 / 8000.0).sin()) as i16;
    let data: Vec<u8> = (0..RATE_HZ * 3 / 10)
        .flat_map(|n| sample(n).to_le_bytes())
        .collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE_HZ.to_le_bytes());
    file.extend((2 * RATE_HZ).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

fn folder() -> Small {
    let small = Small::new();
    write_pairs(&small.path(""));
    std::fs::write(small.path("picture.toml"), PICTURE).unwrap();
    std::fs::write(small.path("sound.toml"), SOUND).unwrap();
    small.ok(
        "fit @picture.toml --data @ --anchor @a.safetensors --threads 1 --seed 1 --out @picture",
    );
    small
}

const FIT: &str = "fit @sound.toml --data @ --images @picture --threads 1 --seed 2 --out @sound";

#[test]
fn words_name_sound_that_only_ever_met_pictures() {
    let small = folder();
    small.ok(FIT);
    let eval = "eval @sound --data @ --images @picture --json";
    let report: serde_json::Value = serde_json::from_str(&small.ok(eval)).unwrap();
    assert_eq!(report["samples"], 27);
    let accuracy = report["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy} of three easy classes");
    small.ok("eval @picture --data @");

    small.ok("report @picture @sound --out @r.html --json @r.json");
    let report: serde_json::Value = serde_json::from_slice(&bytes(&small.path("r.json"))).unwrap();
    assert!(report.to_string().contains("recall"), "{report}");

    // What one set calls "1" may be "one" in another: it is one class all the same, by its words.
    let copy = small.path("sound/recipe.toml");
    let recipe = std::fs::read_to_string(&copy).unwrap();
    let renamed = recipe.replace("labels = [\"1\"]", "labels = [\"1\", \"one\"]");
    assert_ne!(recipe, renamed);
    std::fs::write(&copy, renamed).unwrap();
    small.ok("pack @picture @sound --name both --out @p.pack");
    std::fs::write(&copy, &recipe).unwrap();
    let pack = Pack::from_bytes(&bytes(&small.path("p.pack"))).unwrap();
    let classes = pack.member(&pack.manifest().classes).unwrap();
    let classes = String::from_utf8(classes.to_vec()).unwrap();
    assert_eq!(classes.matches("[[class]]").count(), 3, "{classes}");
    assert!(classes.contains("labels = [\"1\", \"one\"]"), "{classes}");
    let manifest = pack.manifest();
    let senses: Vec<Modality> = manifest.encoders.iter().map(|e| e.modality).collect();
    assert_eq!(senses, [Modality::Image, Modality::Audio]);
    assert_eq!(manifest.spaces.len(), 1, "both lie in the words' space");
    assert!(manifest.provenance[1].binding.contains("never met a word"));
    assert_eq!(
        manifest.provenance[1].command,
        "sensorium-train fit sound.toml --seed 2 --epochs 12 --images picture"
    );
    // A class that is left out takes no part, though its words would not have either.
    small.ok(&format!("{FIT} --epochs 1 --unseen fast --restart"));
    let facts = String::from_utf8(bytes(&small.path("sound/run.json"))).unwrap();
    assert!(facts.contains("\"training_samples\": 54"), "{facts}");

    // Embeddings of pictures are computed once.
    let anchors = || {
        std::fs::read_dir(small.path("sound/anchors"))
            .unwrap()
            .count()
    };
    assert_eq!(anchors(), 1);
}

#[test]
fn large_batches_in_chunks_are_trained_alike() {
    let small = folder();
    small.ok(&format!("{FIT} --epochs 2"));
    let whole = bytes(&small.path("sound/metrics.jsonl"));
    let chunked = SOUND.replace("batch = 24", "batch = 24\nchunk = 7");
    // Nothing that is of a batch as a whole, or random.
    assert!(!SOUND.contains("dropout =") && SOUND.contains("norm = \"none\""));
    std::fs::write(small.path("sound.toml"), chunked).unwrap();
    small.ok(&format!("{FIT} --epochs 2 --restart"));
    let chunks = bytes(&small.path("sound/metrics.jsonl"));
    let losses = |metrics: &[u8]| -> Vec<f64> {
        let text = std::str::from_utf8(metrics).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines()
            .map(|text| line(text)["loss"].as_f64().unwrap())
            .collect()
    };
    for (whole, chunks) in losses(&whole).iter().zip(losses(&chunks)) {
        assert!((whole - chunks).abs() < 1e-4, "{whole}, {chunks}");
    }
}

#[test]
fn a_broken_sample_is_named_and_too_many_stop_the_run() {
    let small = folder();
    std::fs::write(small.path("4_1_0.wav"), b"RIFFnothing").unwrap();
    let output = small.run(&format!("{FIT} --epochs 1"));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("1 of 108 samples are broken"), "{errors}");
    assert!(errors.contains("pairs: audio of \"4_1_0.wav\""), "{errors}");

    std::fs::write(small.path("4_2_0.wav"), b"RIFFnothing").unwrap();
    let output = small.run(&format!("{FIT} --epochs 1 --restart"));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("2 of 108 samples are broken, expected at most 1 in 100"),
        "{errors}"
    );
}

#[test]
fn what_does_not_fit_the_binding_is_said_in_one_line() {
    let small = folder();
    let fit = |more: &str| small.error(&format!("fit @{more} --data @ --out @x"));
    assert!(
        fit("sound.toml --anchor @a.safetensors")
            .contains("the recipe binds to images, so --images is needed")
    );
    assert!(
        fit("picture.toml --anchor @a.safetensors --images @picture")
            .contains("the recipe binds to words, so --images has no use")
    );
    assert!(!small.path("x").exists(), "nothing is begun");
    std::fs::create_dir(small.path("empty")).unwrap();
    assert!(fit("sound.toml --images @empty").contains("it has no run.json"));
    let write = |text: &str| std::fs::write(small.path("sound.toml"), text).unwrap();
    write(&SOUND.replace("mels = 16", "mels = 15"));
    assert!(fit("sound.toml --images @picture").contains("the front end gives [1, 15, 38]"));
    write(&SOUND.replace("[\"g4\"]", "[\"g9\"]"));
    assert!(fit("sound.toml --images @picture").contains("group \"g9\" is to be held or left out"));
    write(&SOUND.replace("hop = 128", "hops = 128"));
    assert!(fit("sound.toml --images @picture").contains("hops"));
}

//! Files of every sense, embedded and classified by the real program with a pack of tiny encoders.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

use std::process::Command;

use sensorium_core::feature::{FrontEnd, Processor};
use sensorium_pack::Modality;
use sensorium_pack::npy::Array;
use sensorium_testkit::{Tiny, averages, tiny_pack};
use serde_json::Value;
use tiny::{Folder, distances, npy16, pgm, pgm16, png, tones, wav};

/// What a command prints that must succeed.
fn done(args: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_sensorium");
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn embed(folder: &Folder, modality: &str, inputs: &[&str]) -> Vec<Vec<f32>> {
    let (pack, out) = (folder.name("tiny.pack"), folder.name("rows.npy"));
    let args = [
        "embed",
        "--pack",
        &pack,
        "--modality",
        modality,
        "--out",
        &out,
    ];
    done(&[&args[..], inputs].concat());
    let rows = Array::open(out.as_ref()).unwrap();
    for row in rows.rows() {
        let norm: f32 = row.iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-5, "{row:?}");
    }
    rows.rows().map(<[f32]>::to_vec).collect()
}

/// The lines of `classify --json`.
fn classified(folder: &Folder, modality: &str, inputs: &[&str]) -> Vec<Value> {
    let pack = folder.name("tiny.pack");
    let args = [
        "classify",
        "--pack",
        &pack,
        "--modality",
        modality,
        "--json",
    ];
    let lines = done(&[&args[..], inputs].concat());
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

/// The scores of each input, in order.
fn classify(folder: &Folder, modality: &str, inputs: &[&str]) -> Vec<Value> {
    let lines = classified(folder, modality, inputs).into_iter();
    lines.map(|line| line["scores"].clone()).collect()
}

fn best(scores: &Value) -> &str {
    let scores = scores.as_object().unwrap();
    let best = scores
        .iter()
        .max_by(|a, b| a.1.as_f64().unwrap().total_cmp(&b.1.as_f64().unwrap()));
    best.unwrap().0
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn sounds_are_named_at_any_rate() {
    let folder = Folder::new();
    let sound =
        |name: &str, rate_hz, hz: &[f32]| folder.file(name, wav(rate_hz, &tones(rate_hz, hz)));
    let low = sound("low.wav", 44_100, &[300.0, 300.0]);
    let high = sound("high.wav", 16_000, &[5000.0, 5000.0]);
    let scores = classify(&folder, "audio", &[&low, &high]);
    assert_eq!((best(&scores[0]), best(&scores[1])), ("low", "high"));
    // Only the classes of this sense, though others are in the same file.
    assert_eq!(scores[0].as_object().unwrap().len(), 2);
    let again = sound("again.wav", 16_000, &[300.0, 300.0]);
    let rows = embed(&folder, "audio", &[&low, &again, &high]);
    // Of a pure tone most bands hold what a resampler leaves, and little else.
    assert!(cosine(&rows[0], &rows[1]) > 0.998, "{rows:?}");
    assert!(cosine(&rows[0], &rows[2]) < 0.9, "{rows:?}");
}

#[test]
fn words_are_compared_with_the_classes_of_a_space() {
    let folder = Folder::new();
    // Each sense of this pack has a space of its own.
    let lines = classified(&folder, "text", &["--text", "high", "--text", "low"]);
    assert_eq!(lines.len(), 2);
    for (line, words) in lines.iter().zip(["high", "low"]) {
        assert_eq!(
            (&line["input"], best(&line["scores"])),
            (&words.into(), words)
        );
        assert_eq!(line["scores"].as_object().unwrap().len(), 2);
        assert_eq!(
            (&line["encoder"], &line["space"]),
            (&"text".into(), &"audio words".into())
        );
    }
    let blue = ["--space", "image words", "--text", "blue"];
    let lines = classified(&folder, "text", &blue);
    assert_eq!(best(&lines[0]["scores"]), "blue");
    let classes = "[[class]]\nname = 'low'\nmodalities = ['text']\n[[class]]\nname = 'high'\n";
    let classes = folder.file("own.toml", classes);
    let low = ["--classes", &classes, "--text", "low"];
    let lines = classified(&folder, "text", &low);
    assert_eq!(best(&lines[0]["scores"]), "low");
}

#[test]
fn labelled_files_are_counted() {
    let folder = Folder::new();
    for (name, hz) in [("low.wav", 300.0), ("high.wav", 5000.0)] {
        folder.file(name, wav(16_000, &tones(16_000, &[hz, hz])));
    }
    let table =
        b"seconds,label,audio\n1,low,low.wav\n1,high,high.wav\n1,low,high.wav\n1,hum,low.wav\n";
    let table = folder.file("labels.csv", table);
    let lines = classified(&folder, "audio", &["--labels", &table]);
    let [low, high, wrong, other, last] = &lines[..] else {
        panic!("{lines:?}");
    };
    let labels = [low, high, wrong, other].map(|line| line["label"].as_str().unwrap());
    assert_eq!(labels, ["low", "high", "low", "hum"]);
    assert_eq!(last["labelled"], 3);
    assert_eq!(last["other_labels"], 1);
    assert_eq!(last["classes"], 2);
    assert_eq!(last["top_1"], 2.0 / 3.0);
    assert_eq!(last["top_5"], 1.0);
    let pack = folder.name("tiny.pack");
    let sense = ["--pack", &pack, "--modality", "audio"];
    let told = done(&[&["classify", "--labels", &table], &sense[..]].concat());
    let last = told.lines().last().unwrap();
    assert!(
        last.ends_with(
            "2 of 3 named right (66.7 %), 3 among the best 5 (100.0 %), by chance 50.0 %; 1 more have a label \
             of no class"
        ),
        "{told}"
    );
}

#[test]
fn long_sounds_are_averaged_over_windows_and_short_ones_repeated() {
    let folder = Folder::new();
    let sound = |name: &str, samples: &[i16]| folder.file(name, wav(16_000, samples));
    // One second is windows of half a second at 0, 0.25 and 0.5 s.
    let samples = tones(16_000, &[300.0, 2000.0, 6000.0, 300.0]);
    let long = sound("long.wav", &samples);
    let parts = [0, 4000, 8000].map(|start| {
        let window = &samples[start..start + 8000];
        sound(&format!("{start}.wav"), window)
    });
    let rows = embed(&folder, "audio", &[&long, &parts[0], &parts[1], &parts[2]]);
    let sum: Vec<f32> = (0..2)
        .map(|at| rows[1..].iter().map(|row| row[at]).sum())
        .collect();
    let norm = cosine(&sum, &sum).sqrt();
    let mean: Vec<f32> = sum.iter().map(|v| v / norm).collect();
    assert!(
        (rows[0][0] - mean[0]).abs() < 1e-5 && (rows[0][1] - mean[1]).abs() < 1e-5,
        "{rows:?}"
    );
    // 250 ms, repeated, is the same tone.
    let short = sound("short.wav", &tones(16_000, &[300.0]));
    let whole = sound("whole.wav", &tones(16_000, &[300.0, 300.0]));
    let rows = embed(&folder, "audio", &[&short, &whole]);
    assert!(cosine(&rows[0], &rows[1]) > 0.9999, "{rows:?}");
}

#[test]
fn silence_is_a_sound() {
    let folder = Folder::new();
    let silent = folder.file("silent.wav", wav(16_000, &[0; 8000]));
    assert_eq!(embed(&folder, "audio", &[&silent]).len(), 1);
    // It has scores, and whoever reads them is told.
    let tone = folder.file("tone.wav", wav(16_000, &tones(16_000, &[300.0, 300.0])));
    let lines = classified(&folder, "audio", &[&silent, &tone]);
    assert_eq!(lines[0]["note"], "the sound is silent");
    assert_eq!(lines[0]["scores"].as_object().unwrap().len(), 2);
    assert_eq!(lines[1].get("note"), None);
}

#[test]
fn pictures_go_through_the_front_end_of_the_manifest() {
    let folder = Folder::new();
    let pixels: Vec<[u8; 3]> = (0..20 * 11).map(|n| [200, n as u8, 9]).collect();
    let red = folder.file("red.png", png(20, &pixels));
    let blue = folder.file("blue.png", png(1, &[[0, 40, 250]]));
    let scores = classify(&folder, "image", &[&red, &blue]);
    assert_eq!((best(&scores[0]), best(&scores[1])), ("red", "blue"));

    let front_end: FrontEnd = serde_json::from_str(tiny::IMAGE).unwrap();
    let Processor::Image(front_end) = front_end.build().unwrap() else {
        panic!("{front_end:?}");
    };
    let picture = sensorium_core::feature::Image::new(20, 11, pixels).unwrap();
    let expected = averages(&front_end.extract(&picture), 3);
    let rows = embed(&folder, "image", &[&red]);
    assert!(
        rows[0]
            .iter()
            .zip(&expected)
            .all(|(a, e)| (a - e).abs() < 1e-5)
    );
}

#[test]
fn thermal_pictures_arrays_and_folders() {
    let folder = Folder::new();
    let top = [[250; 18], [20; 18]].concat();
    let picture = folder.file("top.pgm", pgm(6, &top));
    let bottom = folder.file("bottom.pgm", pgm(6, &[[20; 18], [250; 18]].concat()));
    let scores = classify(&folder, "thermal", &[&picture, &bottom]);
    assert_eq!((best(&scores[0]), best(&scores[1])), ("top", "bottom"));
    // Numbers with a fraction are what they are; the frames of a folder are averaged.
    let array = Array {
        shape: vec![6, 6],
        values: top.iter().map(|v| f32::from(*v)).collect(),
    };
    let array = folder.file("top.npy", array.to_bytes().unwrap());
    std::fs::create_dir(folder.path("clip")).unwrap();
    folder.file("clip/0.pgm", pgm(6, &top));
    folder.file("clip/1.pgm", pgm(6, &top));
    let clip = folder.name("clip");
    let rows = embed(&folder, "thermal", &[&picture, &array, &clip]);
    assert!(cosine(&rows[0], &rows[1]) > 0.9999 && cosine(&rows[0], &rows[2]) > 0.9999);
}

#[test]
fn depth_clips_are_windows_of_frames() {
    let folder = Folder::new();
    let clip = |name: &str, millimetres: &[u16]| {
        let shape = format!("{}, 2, 2", millimetres.len());
        folder.file(name, npy16(&shape, &distances(millimetres)))
    };
    let going = clip("going.npy", &[500, 500, 500, 4000, 4000]);
    let coming = clip("coming.npy", &[4000, 4000, 500, 500, 500]);
    let rate = ["--rate-hz", "5"];
    let scores = classify(
        &folder,
        "depth",
        &[&[&going[..], &coming], &rate[..]].concat(),
    );
    assert_eq!((best(&scores[0]), best(&scores[1])), ("after", "before"));
    // A folder is the same clip; a hole is none of its pixels; a short clip goes on as it ends.
    std::fs::create_dir(folder.path("frames")).unwrap();
    for (at, mm) in [500, 500, 500, 4000, 4000].into_iter().enumerate() {
        folder.file(&format!("frames/{at}.pgm"), pgm16(2, &distances(&[mm])));
    }
    let frames = folder.name("frames");
    let short = clip("short.npy", &[500, 500, 500, 4000]);
    // Nine frames are windows of five at 0, 2 and 4.
    let long = clip(
        "long.npy",
        &[500, 500, 500, 4000, 4000, 4000, 500, 500, 500],
    );
    let inputs = [&going[..], &frames, &short, &long, "--rate-hz", "5"];
    let rows = embed(&folder, "depth", &inputs);
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[0], rows[2]);
    let close = |a: f32, b: f32| (a - b).abs() < 1e-5;
    let norm = (0.5f32 * 0.5 + 16.0).sqrt();
    assert!(
        close(rows[0][0], 0.5 / norm) && close(rows[0][1], 4.0 / norm),
        "{rows:?}"
    );
    let [first, second, third] = [[0.5, 4.0], [0.5, 0.5], [4.0, 0.5]].map(|[a, b]: [f32; 2]| {
        let norm = a.hypot(b);
        [a / norm, b / norm]
    });
    let sum = [0, 1].map(|at| first[at] + second[at] + third[at]);
    let norm = sum[0].hypot(sum[1]);
    assert!(
        close(rows[3][0], sum[0] / norm) && close(rows[3][1], sum[1] / norm),
        "{rows:?}"
    );
}

#[test]
fn packs_of_several_senses_are_inspected_and_verified() {
    let folder = Folder::new();
    let pack = folder.name("tiny.pack");
    let inspected = done(&["pack", "inspect", &pack]);
    for line in [
        "encoder audio: audio into audio words; 0.5 s of sound at 16000 Hz as 48 frames of 8 mels \
         from 20 to 8000 Hz",
        "encoder image: image into image words; a picture with its shorter side at 8, its middle 8 x 8",
        "encoder thermal: thermal into thermal words; a picture of 4 x 4 thermal values from 0 to 255",
        "encoder depth: depth into depth words; 2 depth frames of 2 x 2 in 1 s",
    ] {
        assert!(inspected.contains(line), "{inspected}");
    }
    let verified = done(&["pack", "verify", &pack]);
    assert_eq!(
        verified.matches("passes its self-test").count(),
        4,
        "{verified}"
    );
    let verified: Value =
        serde_json::from_str(&done(&["pack", "verify", &pack, "--json"])).unwrap();
    assert_eq!(verified["classes"], 9);
    let doctor = done(&["doctor", "--pack", &pack]);
    assert!(
        doctor.lines().any(|line| line.starts_with("ok   pack: ")),
        "{doctor}"
    );
}

#[test]
fn words_share_the_space_of_their_sense() {
    let folder = Folder::new();
    let blue = folder.file("blue.png", png(1, &[[0, 0, 250]]));
    let rows = embed(
        &folder,
        "image",
        &[&blue, "--text", "blue", "--text", "red"],
    );
    assert!(cosine(&rows[0], &rows[1]) > 0.999 && cosine(&rows[0], &rows[2]).abs() < 0.01);
}

#[test]
fn a_clip_goes_to_the_encoder_of_clips_and_a_still_to_that_of_stills() {
    /// Where a clip of two frames of bytes is warm, in each of them.
    const CLIP: &str = r#"{"kind": "frames", "of": "thermal", "frames": 2, "height": 4, "width": 4,
        "range": [0, 255], "scale": 255}"#;
    let folder = Folder::new();
    let tiny = |front_end| Tiny {
        modality: Modality::Thermal,
        front_end,
        words: &["top", "bottom"],
    };
    folder.file("tiny.pack", tiny_pack(&[tiny(tiny::THERMAL), tiny(CLIP)]));
    // Warm below in the first frame, cold in the second: by halves of the picture "bottom", by frames
    // "top", which here stands for what comes first.
    let (cold, warm) = ([10; 8], [250; 8]);
    let first = [cold, warm].concat();
    let second = [10; 16];
    let frames: Vec<u16> = [&first[..], &second]
        .concat()
        .iter()
        .map(|v| u16::from(*v))
        .collect();
    let still = folder.file("still.pgm", pgm(4, &first));
    let clip = folder.file("clip.npy", npy16("2, 4, 4", &frames));
    let one = folder.file("one.npy", npy16("1, 4, 4", &frames[..16]));
    let named = classify(&folder, "thermal", &[&still, &clip, &one]);
    let named: Vec<&str> = named.iter().map(best).collect();
    assert_eq!(named, ["bottom", "top", "bottom"]);
    std::fs::create_dir(folder.path("frames")).unwrap();
    folder.file("frames/0.pgm", pgm(4, &first));
    folder.file("frames/1.pgm", pgm(4, &[10; 16]));
    let named = classify(&folder, "thermal", &[&folder.name("frames")]);
    assert_eq!(best(&named[0]), "top");
}

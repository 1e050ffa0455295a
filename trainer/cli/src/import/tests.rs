//! A tagger of two outputs, imported and asked by words.

use clap::Parser;
use sensorium_engine::embed::Recorded;
use sensorium_engine::encode::Encoder;
use sensorium_engine::space::Space;
use sensorium_kernels::dot_f32;
use sensorium_pack::{Modality, Pack};

use crate::anchor::tiny::Tiny;
use crate::onnx::Graph;

const RATE_HZ: u32 = 8000;
const MELS: usize = 16;
const FRAMES: usize = 20;

const FRONT_END: &str = r#"
kind = "log-mel"
rate_hz = 8000
clip_s = 0.32
padding = "zero"
fft = 256
window = 256
window_kind = "hann"
hop = 128
centred = true
mels = 16
f_min_hz = 60.0
f_max_hz = 3800.0
mel_scale = "htk"
log = "ln"
log_offset = 1e-5
frames = 20
offset = 0.0
scale = 1.0
"#;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: super::Args,
}

/// `logits`: the mean of the lower and of the upper half of the spectrogram. `features`: all of it.
fn tagger() -> Vec<u8> {
    let len = MELS * FRAMES;
    let share = 2.0 / len as f32;
    let of = |at: usize| {
        let is_low = at < len / 2;
        [f32::from(is_low) * share, f32::from(!is_low) * share]
    };
    let mut graph = Graph::new();
    let shape = graph.ints("shape", &[0, len as i64]);
    let weight: Vec<f32> = (0..len).flat_map(of).collect();
    let weight = graph.floats("weight", &[len, 2], &weight);
    let flat = graph.node("Reshape", "features", &["mel", &shape], &[]);
    let logits = graph.node("MatMul", "logits", &[&flat, &weight], &[]);
    graph.to_bytes("tagger", ("mel", &[1, MELS, FRAMES]), (&logits, &[2]))
}

fn tone(hz: f32, level: f32) -> Vec<u8> {
    let sample = |n: u32| {
        let t = n as f32 / RATE_HZ as f32;
        (level * 32_767.0 * (std::f32::consts::TAU * hz * t).sin()) as i16
    };
    wav(&(0..RATE_HZ / 2).map(sample).collect::<Vec<i16>>())
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let len = 2 * samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + len).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(RATE_HZ.to_le_bytes());
    bytes.extend((2 * RATE_HZ).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(len.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

/// A folder with a text model, the tagger, its names and front end, and sounds.
fn folder() -> Tiny {
    let tiny = Tiny::new();
    tiny.write("tagger.onnx", tagger());
    tiny.write("names.csv", "index,display_name\n0,Red\n1,Blue\n");
    tiny.write("fe.toml", FRONT_END);
    tiny.write("phrases.txt", "a thing\na red thing\na blue thing\nred\n");
    std::fs::create_dir(tiny.path("sounds")).unwrap();
    for (index, hz) in [200.0, 300.0, 500.0, 1500.0, 2500.0, 3500.0]
        .into_iter()
        .enumerate()
    {
        tiny.write(&format!("sounds/{index}.wav"), tone(hz, 0.3));
    }
    tiny
}

fn import(tiny: &Tiny, more: &[&str]) -> anyhow::Result<Pack> {
    let path = |name: &str| tiny.path(name).to_str().unwrap().to_owned();
    let mut words: Vec<String> = ["import", "tagger"].map(str::to_owned).to_vec();
    words.push(path("tagger.onnx"));
    for (option, file) in [
        ("--names", "names.csv"),
        ("--front-end", "fe.toml"),
        ("--text-model", "words"),
        ("--phrases", "phrases.txt"),
        ("--out", "out.pack"),
    ] {
        words.extend([option.to_owned(), path(file)]);
    }
    words.extend(["--template".to_owned(), "a {} thing".to_owned()]);
    words.extend(more.iter().map(|word| match word.strip_prefix("@") {
        Some(file) => path(file),
        None => (*word).to_owned(),
    }));
    let cli = Cli::try_parse_from(words)?;
    super::run(&cli.args)?;
    Ok(Pack::open(&tiny.path("out.pack"))?)
}

fn refused(tiny: &Tiny, more: &[&str]) -> String {
    format!("{:#}", import(tiny, more).unwrap_err())
}

#[test]
fn words_find_what_a_tagger_hears() {
    let tiny = folder();
    tiny.write("low.wav", tone(250.0, 0.3));
    tiny.write("high.wav", tone(3000.0, 0.3));
    for more in [
        &["--method", "class-space", "--sounds", "@sounds"][..],
        &["--method", "class-space"],
        &["--method", "dual", "--sounds", "@sounds"],
        &["--method", "conse"],
        &["--method", "conse", "--top", "1"],
    ] {
        let pack = import(&tiny, more).unwrap();
        let encoder = Encoder::load(&pack, Modality::Audio).unwrap();
        let space = Space::load(&pack, encoder.space()).unwrap();
        let word = |text: &str| space.class_vector(&[text.to_owned()]).unwrap();
        let (red, blue) = (word("a red thing"), word("a blue thing"));
        let margin = |file: &str| {
            let embedded = encoder.embed_file(&tiny.path(file), Recorded::default());
            let row = &embedded.unwrap().rows[0];
            dot_f32(row, &red) - dot_f32(row, &blue)
        };
        let (low, high) = (margin("low.wav"), margin("high.wav"));
        assert!(low > high + 0.1, "{more:?}: {low} {high}");
    }
}

/// A folder as hubs publish classifiers of sounds: lower filters speak for the first name, upper ones
/// for the second.
fn classifier(tiny: &Tiny) {
    const MELS: usize = 8;
    std::fs::create_dir_all(tiny.path("ast/onnx")).unwrap();
    tiny.write(
        "ast/config.json",
        r#"{"id2label": {"0": "Red", "1": "Blue"}, "model_type": "audio-spectrogram-transformer"}"#,
    );
    tiny.write(
        "ast/preprocessor_config.json",
        r#"{"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 8, "max_length": 20}"#,
    );
    let len = MELS * FRAMES;
    let of = |at: usize| match at % MELS < MELS / 2 {
        true => [0.1, 0.0],
        false => [0.0, 0.1],
    };
    let mut graph = Graph::new();
    let shape = graph.ints("shape", &[0, len as i64]);
    let weight: Vec<f32> = (0..len).flat_map(of).collect();
    let weight = graph.floats("weight", &[len, 2], &weight);
    let flat = graph.node("Reshape", "flat", &["input_values", &shape], &[]);
    let logits = graph.node("MatMul", "logits", &[&flat, &weight], &[]);
    let onnx = graph.to_bytes("ast", ("input_values", &[FRAMES, MELS]), (&logits, &[2]));
    tiny.write("ast/onnx/model.onnx", onnx);
}

#[test]
fn a_folder_of_a_classifier_is_a_tagger_that_knows_its_names() {
    let tiny = folder();
    classifier(&tiny);
    tiny.write("low.wav", tone(250.0, 0.3));
    tiny.write("high.wav", tone(3000.0, 0.3));
    let path = |name: &str| tiny.path(name).to_str().unwrap().to_owned();
    let (dir, words, phrases, out) = (path("ast"), path("words"), path("phrases.txt"), path("o"));
    let line = [
        "import",
        "tagger",
        &dir,
        "--text-model",
        &words,
        "--phrases",
        &phrases,
        "--method",
        "conse",
        "--template",
        "a {} thing",
        "--out",
        &out,
    ];
    super::run(&Cli::try_parse_from(line).unwrap().args).unwrap();
    let pack = Pack::open(&tiny.path("o")).unwrap();
    let encoder = Encoder::load(&pack, Modality::Audio).unwrap();
    let space = Space::load(&pack, encoder.space()).unwrap();
    let word = |text: &str| space.class_vector(&[text.to_owned()]).unwrap();
    let (red, blue) = (word("a red thing"), word("a blue thing"));
    let margin = |file: &str| {
        let embedded = encoder.embed_file(&tiny.path(file), Recorded::default());
        let row = &embedded.unwrap().rows[0];
        dot_f32(row, &red) - dot_f32(row, &blue)
    };
    assert!(margin("low.wav") > margin("high.wav"));
    assert!(
        pack.manifest().provenance[0]
            .command
            .starts_with("sensorium-train import tagger ast")
    );
    let bare = [
        "import",
        "tagger",
        "t.onnx",
        "--text-model",
        &words,
        "--phrases",
        &phrases,
    ];
    let bare = [&bare[..], &["--method", "conse", "--out", &out]].concat();
    let error = super::run(&Cli::try_parse_from(bare).unwrap().args).unwrap_err();
    assert!(
        error.to_string().starts_with("--names is missing"),
        "{error}"
    );
}

#[test]
fn equal_inputs_give_equal_packs() {
    let tiny = folder();
    let bytes = || {
        import(&tiny, &["--sounds", "@sounds"]).unwrap();
        std::fs::read(tiny.path("out.pack")).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn what_is_no_tagger_of_these_names_is_refused() {
    let tiny = folder();
    tiny.write("names.csv", "name\nred\nblue\nthing\n");
    let said = refused(&tiny, &["--method", "conse"]);
    assert!(
        said.contains("no tagger of these names")
            && said.contains("[1, 3]")
            && said.contains("[1, 2]"),
        "{said}"
    );
    let tiny = folder();
    tiny.write("tagger.onnx", b"no model at all");
    let said = refused(&tiny, &["--method", "conse"]);
    assert!(said.contains("is not a model that can be run"), "{said}");
    let tiny = folder();
    tiny.write("fe.toml", FRONT_END.replace("mels = 16", "mels = 12"));
    let said = refused(&tiny, &["--method", "conse"]);
    assert!(
        said.contains("takes [any, 1, 16, 20], and the front end gives [1, 1, 12, 20]"),
        "{said}"
    );
    let said = refused(&folder(), &["--method", "dual"]);
    assert!(said.contains("--sounds"), "{said}");
    let said = refused(&folder(), &["--method", "conse", "--top", "3"]);
    assert!(
        said.contains("--top is 3, expected") && said.contains("1 to 2"),
        "{said}"
    );
    let tiny = folder();
    std::fs::create_dir(tiny.path("none")).unwrap();
    let said = refused(&tiny, &["--sounds", "@none"]);
    assert!(said.contains("holds no recording"), "{said}");
}

#[test]
fn a_recording_of_another_front_end_is_told() {
    use std::io::Write;
    let tiny = folder();
    let spec: sensorium_core::feature::FrontEnd = toml::from_str(FRONT_END).unwrap();
    let sensorium_core::feature::FrontEnd::LogMel(spec) = spec else {
        panic!("{spec:?}");
    };
    let front_end = sensorium_core::feature::SoundFrontEnd::new(&spec).unwrap();
    let wave: Vec<f32> = (0..front_end.clip_samples())
        .map(|n| 0.2 * (n as f32 * 0.3).sin())
        .collect();
    let mut mel = vec![0.0; front_end.output_len()];
    front_end.clip(&wave, &mut mel).unwrap();
    let half = mel.len() / 2;
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let logits = [mean(&mel[..half]), mean(&mel[half..])];
    let golden = |mel: &[f32]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let arrays = [
            ("wave_8k", &[wave.len()][..], &wave[..]),
            ("mel", &[MELS, FRAMES], mel),
            ("logits", &[2], &logits),
        ];
        for (name, shape, values) in arrays {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            let bytes = sensorium_pack::npy::to_bytes(shape, values).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let more = ["--method", "conse", "--golden", "@golden.npz"];
    tiny.write("golden.npz", golden(&mel));
    import(&tiny, &more).unwrap();
    mel[7] += 0.01;
    tiny.write("golden.npz", golden(&mel));
    let said = refused(&tiny, &more);
    assert!(
        said.contains("differs from the front end's by 1.00e-2, expected at most 1e-3"),
        "{said}"
    );
}

/// What `fit` learns from the imported tagger.
fn recipe() -> String {
    let front_end = FRONT_END.trim();
    format!(
        r#"
name = "small"

[[data]]
name = "tones"
licence = "none needed"
kind = "pairs"
dir = "tones"
cache_mib = 16

[split]
by = "group"
held_out = ["b"]

[front_end]
{front_end}

[encoder]
form = "conv"
sense = "audio"
input = [1, 16, 20]
output = 4
layers = [
    {{ kind = "conv", channels = 8, kernel = [3, 3], stride = [2, 2] }},
    {{ kind = "pool", by = "mean", kernel = [1, 10] }},
]

[text]
model = "all-MiniLM-L6-v2"
space = "sense-1"
phrases = "phrases.txt"

[binding]
to = "teacher"
mixtures = 96
parts = 2
softer_db = [6.0, 12.0]
temperature = 0.2
pull = 1.0

[training]
epochs = 12
batch = 8
learning_rate = 1e-2
warmup = 0.2
beta_1 = 0.9
beta_2 = 0.95
weight_decay = 0.01
clip_norm = 5.0

[augmentation.audio]
speed = 0.1
gain_db = 3.0

[scoring]
temperature = 0.1
enter = 0.5
exit = 0.35

[[class]]
name = "low"
prompts = ["a red thing"]
labels = ["low"]

[[class]]
name = "high"
prompts = ["a blue thing"]
labels = ["high"]
"#
    )
}

#[derive(Debug, Parser)]
struct FitCli {
    #[command(flatten)]
    args: crate::fit::Args,
}

fn fit(tiny: &Tiny, out: &str) -> anyhow::Result<String> {
    let path = |name: &str| tiny.path(name).to_str().unwrap().to_owned();
    let mut words = vec!["fit".to_owned(), path("recipe.toml")];
    for (option, file) in [
        ("--data", "."),
        ("--text-model", "words"),
        ("--teacher", "out.pack"),
        ("--cache", "cache"),
        ("--out", out),
    ] {
        words.extend([option.to_owned(), path(file)]);
    }
    crate::fit::run(&FitCli::try_parse_from(words)?.args)?;
    Ok(std::fs::read_to_string(
        tiny.path(out).join("metrics.jsonl"),
    )?)
}

#[test]
fn a_smaller_encoder_learns_from_an_imported_one() {
    let tiny = folder();
    import(&tiny, &["--method", "dual", "--sounds", "@sounds"]).unwrap();
    std::fs::create_dir(tiny.path("tones")).unwrap();
    let mut table = "audio,label,group\n".to_owned();
    for (index, hz) in (0..20).map(|i| (i, 150.0 + 170.0 * i as f32)) {
        let label = if hz < 900.0 { "low" } else { "high" };
        let group = if index % 4 == 1 { "b" } else { "a" };
        // Between the two halves of the mel scale neither word is right.
        if (700.0..1500.0).contains(&hz) {
            continue;
        }
        tiny.write(&format!("tones/{index}.wav"), tone(hz, 0.3));
        table.push_str(&format!("{index}.wav,{label},{group}\n"));
    }
    tiny.write("tones/pairs.csv", table);
    tiny.write("recipe.toml", recipe());
    let first = fit(&tiny, "first").unwrap();
    let last: serde_json::Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
    assert_eq!(last["held_out_accuracy"], 1.0, "{first}");
    let losses: Vec<f64> = first
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["loss"].as_f64().unwrap()
        })
        .collect();
    assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
    // What the teacher said is in the cache, and the same mixtures are found there.
    let cache = || {
        let mut files = std::fs::read_dir(tiny.path("cache")).unwrap();
        let file = files.next().unwrap().unwrap();
        file.metadata().unwrap().len()
    };
    let size = cache();
    fit(&tiny, "second").unwrap();
    assert_eq!(cache(), size);
    let weights = |run: &str| std::fs::read(tiny.path(run).join("checkpoint.safetensors"));
    assert_eq!(weights("first").unwrap(), weights("second").unwrap());

    // A teacher of other words is none.
    tiny.write("phrases.txt", "a thing\nred\nred thing\n");
    let said = format!("{:#}", fit(&tiny, "third").unwrap_err());
    assert!(said.contains("lies in another space"), "{said}");
}

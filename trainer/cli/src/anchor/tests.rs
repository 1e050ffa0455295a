use clap::Parser;
use sensorium_model::{EncoderConfig, InputConfig, Sense};

use super::space::AnchorSpace;
use super::tiny::{self, IMAGE, Tiny, assert_close, linear, numbers, unit, word};
use super::*;
use crate::run::{Facts, RunDir};

const PAIR: &str = r#"
kind = "onnx"
name = "tiny"
image_model = "image.onnx"
text_model = "text.onnx"
text_output = "tokens"
text_pooling = "mean"
"#;

const TOKENIZER: &str = r#"
[tokenizer]
kind = "file"
file = "tokenizer.json"
tokens = 6
"#;

const CONSE: &str = r#"
kind = "conse"
name = "tiny"
image_model = "image.onnx"
categories = "categories.txt"
text_model = "words"
template = "a {}"
top_k = 2
"#;

fn pair() -> String {
    format!("{PAIR}{IMAGE}{TOKENIZER}")
}

fn open(tiny: &Tiny, spec: &str) -> anyhow::Result<Box<dyn space::AnchorSpace>> {
    tiny.write("space.toml", spec);
    let cache = AnchorCache::open(&tiny.path("cache"))?;
    let data = tiny.path("data");
    let at = Folders {
        base: tiny.dir(),
        data: Some(&data),
        text_model: None,
    };
    AnchorSpec::read(&tiny.path("space.toml"))?.open(&at, &cache)
}

fn refusal(tiny: &Tiny, spec: &str) -> String {
    let error = open(tiny, spec).err().unwrap();
    format!("{error:#}").replace(&*tiny.dir().to_string_lossy(), "")
}

/// The mean of some words' rows, at length 1.
fn mean_of(ids: &[usize]) -> Vec<f32> {
    let sum = |i: usize| ids.iter().map(|id| word(*id)[i]).sum::<f32>();
    (0..4).map(|i| sum(i) / ids.len() as f32).collect()
}

#[test]
fn two_models_make_a_space() {
    let tiny = Tiny::new();
    let space = open(&tiny, &pair()).unwrap();
    assert_eq!((space.name(), space.dim()), ("tiny", 4));
    let ((a, a_values), (b, b_values)) = (tiny::picture(3), tiny::picture(77));
    let rows = space.embed_images(&[a, b]).unwrap();
    assert_close(&rows[0], &unit(&linear(&a_values, 4)));
    assert_close(&rows[1], &unit(&linear(&b_values, 4)));
    // [CLS] a red thing [SEP], and what is too much cut off before [SEP].
    let rows = space.embed_texts(&["a red thing", "red red red red red red"]);
    let rows = rows.unwrap();
    assert_close(&rows[0], &unit(&mean_of(&[1, 4, 5, 7, 2])));
    assert_close(&rows[1], &unit(&mean_of(&[1, 5, 5, 5, 5, 2])));
    assert!(space.embed_texts(&[]).unwrap().is_empty());
}

#[test]
fn padding_takes_no_part() {
    let tiny = Tiny::new();
    let pad = format!("{}pad = \"[PAD]\"\n", pair());
    let with = |pooling: &str| {
        let spec = pad.replace("\"mean\"", pooling);
        let space = open(&tiny, &spec).unwrap();
        space.embed_texts(&["a red"]).unwrap().remove(0)
    };
    assert_close(&with("\"mean\""), &unit(&mean_of(&[1, 4, 5, 2])));
    assert_close(&with("\"first\""), &unit(&word(1)));
    assert_close(&with("\"end-of-text\""), &unit(&word(2)));
    // An output that is a vector already.
    let spec = pad
        .replace("text_pooling = \"mean\"", "")
        .replace("\"tokens\"", "1");
    let row = open(&tiny, &spec).unwrap().embed_texts(&["a red"]);
    assert_close(&row.unwrap()[0], &unit(&mean_of(&[1, 4, 5, 2])));
}

#[test]
fn categories_join_a_classifier_and_sentences() {
    let tiny = Tiny::new();
    tiny.write("categories.txt", "red\nblue\nthing\nred thing\n");
    let space = open(&tiny, &format!("{CONSE}{IMAGE}")).unwrap();
    let ids: [&[usize]; 4] = [
        &[1, 4, 5, 2],
        &[1, 4, 6, 2],
        &[1, 4, 7, 2],
        &[1, 4, 5, 7, 2],
    ];
    let rows: Vec<Vec<f32>> = ids.iter().map(|ids| unit(&mean_of(ids))).collect();
    let centre: Vec<f32> = (0..4)
        .map(|i| rows.iter().map(|r| r[i]).sum::<f32>() / 4.0)
        .collect();
    let less = |row: &[f32]| -> Vec<f32> { row.iter().zip(&centre).map(|(a, b)| a - b).collect() };

    let (picture, values) = tiny::picture(9);
    let logits = linear(&values, 4);
    let sum: f32 = logits.iter().map(|v| v.exp()).sum();
    let mut places = [0, 1, 2, 3];
    places.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let expected: Vec<f32> = (0..4)
        .map(|i| {
            places[..2]
                .iter()
                .map(|&k| logits[k].exp() / sum * rows[k][i])
                .sum()
        })
        .collect();
    assert_close(
        &space.embed_images(&[picture]).unwrap()[0],
        &unit(&less(&expected)),
    );
    let row = space.embed_texts(&["blue"]).unwrap().remove(0);
    assert_close(&row, &unit(&less(&unit(&mean_of(&[1, 6, 2])))));
}

#[test]
fn phrases_make_a_centre_and_the_tower_of_pictures_is_one_file() {
    let tiny = Tiny::new();
    let categories = "red\nblue\nthing\nred thing\n";
    tiny.write("categories.txt", categories);
    tiny.write("phrases.txt", "# two of them\na red thing\nblue\n");
    let text = format!("{CONSE}phrases = \"phrases.txt\"\n{IMAGE}");
    let opened = |top_k: &str| {
        let text = text.replace("top_k = 2", top_k);
        tiny.write("space.toml", text);
        let AnchorSpec::Conse(spec) = AnchorSpec::read(&tiny.path("space.toml")).unwrap() else {
            panic!("another kind")
        };
        let at = Folders {
            base: tiny.dir(),
            data: None,
            text_model: None,
        };
        let cache = AnchorCache::open(&tiny.path("cache")).unwrap();
        spec.open(&at, &cache).unwrap()
    };
    let space = opened("top_k = 4");
    let phrases = [unit(&mean_of(&[1, 4, 5, 7, 2])), unit(&mean_of(&[1, 6, 2]))];
    let less: Vec<f32> = (0..4)
        .map(|i| phrases[1][i] - (phrases[0][i] + phrases[1][i]) / 2.0)
        .collect();
    let row = space.embed_texts(&["blue"]).unwrap().remove(0);
    assert_close(&row, &unit(&less));

    let onnx = space.to_onnx().unwrap();
    let (picture, values) = tiny::picture(9);
    let embedding = crate::export::embed_onnx(&onnx, &[3, 2, 2], &values).unwrap();
    assert_close(&embedding, &space.embed_images(&[picture]).unwrap()[0]);
    assert_close(&embedding, &space.embed_inputs(&[values]).unwrap()[0]);

    let some = opened("top_k = 2");
    assert_ne!(some.id(), space.id());
    let error = some.to_onnx().unwrap_err().to_string();
    assert_eq!(
        error,
        "top_k is 2, expected 4, all categories: a file mixes all of them"
    );
}

#[test]
fn files_that_are_not_beside_their_space_are_among_the_data() {
    let tiny = Tiny::new();
    std::fs::create_dir(tiny.path("data")).unwrap();
    tiny.write("data/far.onnx", "");
    tiny.write("data/near.onnx", "");
    tiny.write("near.onnx", "");
    let data = tiny.path("data");
    let at = Folders {
        base: tiny.dir(),
        data: Some(&data),
        text_model: None,
    };
    assert_eq!(at.find(Path::new("near.onnx")), tiny.path("near.onnx"));
    assert_eq!(at.find(Path::new("far.onnx")), tiny.path("data/far.onnx"));
    assert_eq!(at.find(Path::new("no.onnx")), tiny.path("no.onnx"));
}

#[test]
fn identities_follow_what_decides_the_numbers() {
    let tiny = Tiny::new();
    let id = |spec: &str| open(&tiny, spec).unwrap().id();
    let first = id(&pair());
    assert_eq!(
        first,
        id(&pair().replace("name = \"tiny\"", "name = \"other\""))
    );
    assert_ne!(first, id(&pair().replace("\"mean\"", "\"first\"")));
    assert_ne!(first, id(&pair().replace("mean = [0.5,", "mean = [0.4,")));
    assert_ne!(first, id(&pair().replace("tokens = 6", "tokens = 7")));
    let other = [tiny::text_model(4), vec![0x3a, 0]].concat();
    tiny.write("text.onnx", other);
    assert_ne!(first, id(&pair()));
}

#[test]
fn what_does_not_fit_is_named() {
    let tiny = Tiny::new();
    let refused = |from: &str, to: &str, expected: &str| {
        let found = refusal(&tiny, &pair().replace(from, to));
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    };
    refused(
        "image.onnx",
        "no.onnx",
        "image_model: reading \"/no.onnx\": No such file",
    );
    refused(
        "[2, 2]",
        "[3, 2]",
        "takes pictures of [N, 3, 2, 2], expected [1, 3, 3, 2]",
    );
    refused(
        "text_output = \"tokens\"",
        "text_output = \"rows\"",
        "text_model: \"/text.onnx\" has no output \"rows\", its outputs are [\"tokens\", \"sums\"]",
    );
    refused(
        "text_output = \"tokens\"",
        "",
        "has several outputs, say which",
    );
    refused("text_pooling = \"mean\"", "", "expected one vector, [1, D]");
    refused("text.onnx", "image.onnx", "text_model: ");
    refused(
        "\"mean\"",
        "\"maen\"",
        "unknown value \"maen\", did you mean \"mean\"?",
    );
    refused(
        "tokens = 6",
        "tokens = 2",
        "tokenizer.tokens is 2, expected more than 2",
    );
    refused(
        "tokens = 6",
        "tokens = 6\npad = \"[NO]\"",
        "knows no token \"[NO]\" to pad with",
    );
    refused(
        "kind = \"onnx\"",
        "kind = \"onx\"",
        "did you mean \"onnx\"?",
    );
    refused(
        "name = \"tiny\"",
        "name = \"tiny\"\ntemplte = 1",
        "unknown key \"templte\"",
    );
    tiny.write("image.onnx", tiny::image_model(5));
    let expected = "gives 5 numbers a picture, \"/text.onnx\" 4 a text, expected as many";
    refused("", "", expected);
    tiny.write("text.onnx", b"no model");
    tiny.write("image.onnx", tiny::image_model(4));
    refused("", "", "\"/text.onnx\" is not a model that can be run");

    tiny.write("categories.txt", "red\nblue\nthing\n");
    let conse = format!("{CONSE}{IMAGE}");
    assert!(refusal(&tiny, &conse).contains(
        "\"/categories.txt\" names 3 categories, expected 4, the logits of \"/image.onnx\""
    ));
    tiny.write("categories.txt", "red\n\nblue\nthing\n");
    assert!(refusal(&tiny, &conse).contains("\"/categories.txt\", line 2: no name"));
    tiny.write("categories.txt", "red\nblue\nthing\na\n");
    let refused = |from: &str, to: &str| refusal(&tiny, &conse.replace(from, to));
    assert!(refused("top_k = 2", "top_k = 5").contains("top_k is 5, expected 1 to 4"));
    assert!(refused("\"a {}\"", "\"a\"").contains("template is \"a\", expected one {}"));
    assert!(refused("\"words\"", "\"nowhere\"").contains("text_model: reading \"/nowhere/"));
}

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn command(tiny: &Tiny, line: &str) -> anyhow::Result<()> {
    let dir = tiny.dir().to_string_lossy();
    let words = line
        .split_whitespace()
        .map(|word| word.replace('@', &format!("{dir}/")));
    let parsed = Command::try_parse_from(["anchor".to_owned()].into_iter().chain(words))?;
    run(&parsed.args)
}

fn stored(tiny: &Tiny) -> usize {
    let files = std::fs::read_dir(tiny.path("cache")).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len() as usize)
        .sum()
}

/// A grey picture of one shade.
fn pgm(shade: u8) -> Vec<u8> {
    [b"P5 2 2 255\n".as_slice(), &[shade; 4]].concat()
}

#[test]
fn the_command_computes_once() {
    let tiny = Tiny::new();
    tiny.write("space.toml", pair());
    std::fs::create_dir(tiny.path("pictures")).unwrap();
    for (name, shade) in [("b.pgm", 9), ("a.pgm", 200), ("again.pgm", 9)] {
        tiny.write(&format!("pictures/{name}"), pgm(shade));
    }
    tiny.write("texts", "# two of them\na red thing\n\n blue \n");
    let line = "@space.toml --images @pictures --texts @texts --cache @cache --out @o.safetensors";
    command(&tiny, line).unwrap();
    let (first, size) = (
        std::fs::read(tiny.path("o.safetensors")).unwrap(),
        stored(&tiny),
    );
    // Two pictures, two texts: one picture is there twice.
    assert_eq!(size, 60 + 4 * (32 + 16 + 16));
    command(&tiny, line).unwrap();
    assert_eq!(std::fs::read(tiny.path("o.safetensors")).unwrap(), first);
    assert_eq!(stored(&tiny), size);

    let table = Weights::read(&tiny.path("o.safetensors")).unwrap();
    let index: Index = serde_json::from_str(table.metadata("anchors").unwrap()).unwrap();
    assert_eq!(index.images, ["a.pgm", "again.pgm", "b.pgm"]);
    assert_eq!(index.texts, ["a red thing", "blue"]);
    assert_eq!(index.space, "tiny");
    let images = table.expect("images", &[3, 4]).unwrap();
    assert_eq!(images[4..8], images[8..]);
    let grey = [(200.0 / 255.0 - 0.5) / 0.5; 12];
    assert_close(&images[..4], &unit(&linear(&grey, 4)));
    let texts = table.expect("texts", &[2, 4]).unwrap();
    assert_close(&texts[4..], &unit(&mean_of(&[1, 6, 2])));

    // Pixels count, not the file's name; a picture that is no picture is named.
    tiny.write("pictures/c.pgm", pgm(200));
    command(&tiny, line).unwrap();
    assert_eq!(stored(&tiny), size);
    tiny.write("pictures/d.png", b"no picture");
    let error = format!("{:#}", command(&tiny, line).unwrap_err());
    assert!(
        error.contains("d.png") && error.contains("not a PNG"),
        "{error}"
    );
}

#[test]
fn the_command_line_says_what_goes_together() {
    let tiny = Tiny::new();
    let refused = |line: &str, expected: &str| {
        let error = command(&tiny, line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    };
    refused("@r.toml --out @o", "--text-model");
    refused("@r.toml --texts @t --out @o", "--cache");
    refused("@r.toml --cache @c --out @o", "--images");
    refused("@r.toml --text-model @w --cache @c --out @o", "--images");
    refused("@r.toml --texts @t --cache @c --out @o", "reading");
    tiny.write("space.toml", pair());
    tiny.write("t", "# nothing\n");
    refused(
        "@space.toml --texts @t --cache @c --out @o",
        "holds no text",
    );
    let mut help = <Command as clap::CommandFactory>::command();
    assert!(help.render_help().to_string().contains("kind = \"onnx\""));
}

fn vision() -> EncoderConfig {
    EncoderConfig {
        input: InputConfig::Vision {
            frames: 2,
            side: 4,
            patch: [2, 2, 2],
        },
        dim: 8,
        blocks: 1,
        heads: 2,
        output: 4,
        ..EncoderConfig::reference(Sense::Vision)
    }
}

fn text() -> EncoderConfig {
    EncoderConfig {
        dim: 8,
        blocks: 1,
        heads: 2,
        output: 4,
        ..EncoderConfig::reference(Sense::Text)
    }
}

#[test]
fn a_checkpoint_brings_its_own_towers() {
    use burn::prelude::Tensor;
    use sensorium_core::text::ClipTokenizer;
    use sensorium_model::Input;
    use sensorium_model::backend::Inference;
    let tiny = Tiny::new();
    let device = Default::default();
    let image = vision().init::<Inference>(&device).unwrap();
    let words = text().init::<Inference>(&device).unwrap();
    let mut weights = image.to_weights();
    for (name, array) in words.to_weights().iter() {
        weights.insert(name, &array.shape, array.values.clone());
    }
    weights.write(&tiny.path("both.safetensors")).unwrap();
    let dimensions = |name: &str, config: EncoderConfig| {
        let toml = toml::to_string(&config).unwrap();
        let toml = toml.replace("[input]", &format!("[{name}.input]"));
        format!("[{name}]\n{toml}\n")
    };
    let spec = format!(
        "kind = \"checkpoint\"\nname = \"own\"\nfile = \"both.safetensors\"\n{}\n{}{}",
        IMAGE.replace("[2, 2]", "[4, 4]"),
        dimensions("vision", vision()),
        dimensions("text", text())
    );
    let space = open(&tiny, &spec).unwrap();
    assert_eq!((space.name(), space.dim()), ("own", 4));

    let (picture, _) = tiny::picture(50);
    let large = picture.resize(4, 4, sensorium_core::feature::Interpolation::Bicubic);
    let values = (0..3).flat_map(|colour| large.pixels().iter().map(move |p| p[colour]));
    let values = values.map(|v| (f32::from(v) / 255.0 - 0.5) / 0.5).collect();
    let expected = image.forward(Input::of_shape(values, &[3, 4, 4], &device));
    let expected: Vec<f32> = expected.into_data().to_vec().unwrap();
    assert_close(&space.embed_images(&[picture]).unwrap()[0], &expected);

    let ids: Vec<i64> = ClipTokenizer::new().ids("a dog").map(i64::from).to_vec();
    let ids = burn::tensor::TensorData::new(ids, [1, 77]);
    let expected = words.forward(Input::Text(Tensor::from_data(ids, &device)));
    let expected: Vec<f32> = expected.into_data().to_vec().unwrap();
    let rows = space.embed_texts(&["a cat", "a dog"]).unwrap();
    assert_close(&rows[1], &expected);

    let refused = |from: &str, to: &str| refusal(&tiny, &spec.replace(from, to));
    assert!(refused("both", "none").contains("none.safetensors"));
    assert!(refused("[4, 4]", "[6, 6]").contains("expected [3, 4, 4], the encoder's"));
    assert!(refused("blocks = 1", "blocks = 2").contains("is missing"));
    let found = refused("output = 4", "output = 0");
    assert!(found.contains("output is 0"), "{found}");
}

#[test]
fn an_earlier_training_names_pictures_by_its_words() {
    use sensorium_model::backend::Inference;
    let tiny = Tiny::new();
    std::fs::create_dir(tiny.path("run")).unwrap();
    tiny.write("run/run.json", "{}");
    let run = RunDir::open(&tiny.path("run")).unwrap();
    let recipe = include_str!("../../tests/binding/picture.toml")
        .replace("16, 16]", "4, 4]")
        .replace("output = 8", "output = 4");
    tiny.write("run/recipe.toml", &recipe);
    run.write_json("run.json", &Facts::default()).unwrap();
    let config = run.recipe().unwrap().encoder;
    let encoder = config.init::<Inference>(&Default::default()).unwrap();
    run.save_checkpoint(&encoder).unwrap();
    let anchor = Anchor {
        text_model: "tiny".to_owned(),
        prompts: vec!["a red".to_owned()],
        rows: unit(&mean_of(&[1, 4, 5, 2])),
        centre: numbers(4).iter().map(|v| v / 10.0).collect(),
    };
    let file = run.path("anchor.safetensors");
    anchor.to_weights().unwrap().write(&file).unwrap();
    let spec = "kind = \"run\"\nname = \"ours\"\ndir = \"run\"\n".to_owned();
    let space = open(&tiny, &spec).unwrap();
    let rows = space.embed_images(&[tiny::picture(1).0, tiny::picture(2).0]);
    assert_eq!(rows.unwrap().len(), 2);
    let known = anchor.class(&["a red".to_owned()]).unwrap();
    assert_close(&space.embed_texts(&["a red"]).unwrap()[0], &known);
    let error = space.embed_texts(&["blue"]).unwrap_err().to_string();
    assert!(error.contains("has no phrase \"blue\""), "{error}");

    // With the text model, any word.
    let more = spec.replace("dir = \"run\"", "dir = \"run\"\ntext_model = \"words\"");
    let space = open(&tiny, &more).unwrap();
    assert_close(&space.embed_texts(&["a red"]).unwrap()[0], &known);
    let blue: Vec<f32> = unit(&mean_of(&[1, 6, 2]));
    let blue: Vec<f32> = blue
        .iter()
        .zip(&anchor.centre)
        .map(|(a, b)| a - b)
        .collect();
    assert_close(&space.embed_texts(&["blue"]).unwrap()[0], &unit(&blue));
    // Not with another one.
    let other = Anchor {
        rows: unit(&word(6)),
        ..anchor
    };
    other.to_weights().unwrap().write(&file).unwrap();
    assert!(refusal(&tiny, &more).contains("it is not \"tiny\""));
    let nowhere = refusal(&tiny, &spec.replace("dir = \"run\"", "dir = \"no\""));
    assert!(
        nowhere.contains("is not the folder of a training"),
        "{nowhere}"
    );
}

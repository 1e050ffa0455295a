//! Models of a few numbers, for tests.

use std::path::{Path, PathBuf};

use sensorium_core::feature::Image;

use crate::onnx::{Attribute, Graph};

/// Words that the tokenizer knows, by their numbers.
pub const WORDS: [&str; 8] = [
    "[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "red", "blue", "thing",
];

/// Height and width of the pictures that the image models take.
pub const SIDE: usize = 2;

/// A folder with the files of both kinds of space.
pub struct Tiny(tempfile::TempDir);

/// Some numbers, the same every time, that are no multiples of each other.
pub fn numbers(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 37 + 11) % 29) as f32 / 7.0 - 2.0)
        .collect()
}

impl Tiny {
    /// `image.onnx` `[1, 3, 2, 2] -> [1, 4]`, `text.onnx` with a vector a token, a folder `words`
    /// with the same as a sentence encoder, and the tokenizer.
    pub fn new() -> Self {
        let tiny = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(tiny.path("words")).unwrap();
        tiny.write("image.onnx", image_model(4));
        tiny.write("text.onnx", text_model(4));
        tiny.write("words/model.onnx", text_model(4));
        tiny.write("tokenizer.json", tokenizer());
        tiny.write("words/tokenizer.json", tokenizer());
        tiny
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }
}

/// A linear model of pictures with two outputs: `rows` and, twice as large, `doubled`.
pub fn image_model(dim: usize) -> Vec<u8> {
    let len = 3 * SIDE * SIDE;
    let mut graph = Graph::new();
    let shape = graph.ints("shape", &[0, len as i64]);
    let weight = graph.floats("weight", &[len, dim], &numbers(len * dim));
    let flat = graph.node("Reshape", "flat", &["pixels", &shape], &[]);
    let rows = graph.node("MatMul", "rows", &[&flat, &weight], &[]);
    graph.to_bytes("pictures", ("pixels", &[3, SIDE, SIDE]), (&rows, &[dim]))
}

/// A table of words: `tokens` `[N, T, dim]`, of padding zeros, and `sums`, their sum over all tokens.
pub fn text_model(dim: usize) -> Vec<u8> {
    let mut graph = Graph::new();
    let table = graph.floats("table", &[WORDS.len(), dim], &table(dim));
    let axis = graph.ints("axis", &[2]);
    let over = graph.ints("over", &[1]);
    let to_float = [("to", Attribute::Int(1))];
    let mask = graph.node("Cast", "mask", &["attention_mask"], &to_float);
    let mask = graph.node("Unsqueeze", "column", &[&mask, &axis], &[]);
    let rows = graph.node("Gather", "rows", &[&table, "input_ids"], &[]);
    let tokens = graph.node("Mul", "tokens", &[&rows, &mask], &[]);
    let whole = [("keepdims", Attribute::Int(0))];
    let sums = graph.node("ReduceSum", "sums", &[&tokens, &over], &whole);
    graph.text_model(
        &["input_ids", "attention_mask"],
        &[(&tokens, &[0, dim]), (&sums, &[dim])],
    )
}

/// A row a word.
pub fn table(dim: usize) -> Vec<f32> {
    numbers(WORDS.len() * dim)
}

/// The row of a word, found by its number.
pub fn word(id: usize) -> Vec<f32> {
    table(4)[id * 4..][..4].to_vec()
}

/// Words between `[CLS]` and `[SEP]`. Like many published ones, it asks for padding that nobody
/// wants.
pub fn tokenizer() -> String {
    let vocabulary: serde_json::Map<_, _> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), id.into()))
        .collect();
    let special =
        |id: usize| serde_json::json!({"id": WORDS[id], "ids": [id], "tokens": [WORDS[id]]});
    let token = |id: usize| serde_json::json!({"SpecialToken": {"id": WORDS[id], "type_id": 0}});
    let text = serde_json::json!({"Sequence": {"id": "A", "type_id": 0}});
    let pair = serde_json::json!({"Sequence": {"id": "B", "type_id": 0}});
    serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": {
            "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"
        },
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token(1), text, token(2)],
            "pair": [token(1), text, token(2), pair, token(2)],
            "special_tokens": {WORDS[1]: special(1), WORDS[2]: special(2)}
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    })
    .to_string()
}

/// A picture of the size that the models take, and its values as they are given to them.
pub fn picture(seed: u8) -> (Image<3>, Vec<f32>) {
    let pixel = |i: u8| [seed.wrapping_mul(i + 1), 200 - i, seed];
    let pixels: Vec<[u8; 3]> = (0..4).map(pixel).collect();
    let values = (0..3).flat_map(|colour| pixels.iter().map(move |pixel| pixel[colour]));
    let values = values
        .map(|value| (f32::from(value) / 255.0 - 0.5) / 0.5)
        .collect();
    (Image::new(SIDE, SIDE, pixels.clone()).unwrap(), values)
}

/// The image front end that [`picture`] is for.
pub const IMAGE: &str = "
[image]
resize = { exact = [2, 2] }
interpolation = \"bicubic\"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
";

/// `values` times the image model's weight.
pub fn linear(values: &[f32], dim: usize) -> Vec<f32> {
    let weight = numbers(values.len() * dim);
    let column = |j: usize| (0..values.len()).map(move |i| (i, j));
    (0..dim)
        .map(|j| {
            column(j)
                .map(|(i, j)| values[i] * weight[i * dim + j])
                .sum()
        })
        .collect()
}

/// At length 1.
pub fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
    row.iter().map(|v| v / length).collect()
}

/// Whether two rows are equal up to rounding.
pub fn assert_close(actual: &[f32], expected: &[f32]) {
    let close = actual
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(
        actual.len() == expected.len() && close,
        "{actual:?}, expected {expected:?}"
    );
}

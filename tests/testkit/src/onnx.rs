//! One ONNX file, written by hand: protobuf messages with the numbers of `onnx.proto3`.

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }
}

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// An encoder `[n, …] -> [n, parts]`: Reshape, MatMul with the means of the parts, and division by
/// the length.
#[must_use]
pub fn averaging_encoder(shape: &[usize], parts: usize) -> Vec<u8> {
    let len: usize = shape.iter().product();
    let part = len / parts;
    let weight = |at: usize| {
        let inside = at / parts / part == at % parts;
        if inside { 1.0 / part as f32 } else { 0.0 }
    };
    let means: Vec<u8> = (0..len * parts)
        .flat_map(|at| weight(at).to_le_bytes())
        .collect();
    let rows: Vec<u8> = [-1, len as i64]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let axis = Message::default()
        .text(1, "axes")
        .number(8, 1)
        .number(20, 7);
    let graph = [
        node("Reshape", &["input", "rows"], "flat", None),
        node("MatMul", &["flat", "means"], "sums", None),
        node("ReduceL2", &["sums"], "length", Some(&axis)),
        node("Div", &["sums", "length"], "embedding", None),
    ]
    .iter()
    .fold(Message::default(), |graph, node| graph.bytes(1, &node.0))
    .text(2, "averages")
    .bytes(5, &tensor("rows", &[2], INT64, &rows).0)
    .bytes(5, &tensor("means", &[len, parts], FLOAT, &means).0)
    .bytes(11, &value("input", shape).0)
    .bytes(12, &value("embedding", &[parts]).0);
    Message::default()
        .number(1, 8)
        .bytes(7, &graph.0)
        .bytes(8, &Message::default().text(1, "").number(2, 17).0)
        .0
}

/// A text model `input_ids [n, t] -> [n, t, dim]` of a row a token, and its tokenizer: special tokens,
/// then the words, then `##s`. What is none of these is unknown, and has the last row.
///
/// # Panics
///
/// If there is not a row of `dim` for each word and one more.
#[must_use]
pub fn word_tower(words: &[&str], dim: usize, rows: &[f32]) -> (Vec<u8>, String) {
    assert_eq!(rows.len(), (words.len() + 1) * dim, "word_tower: rows");
    let mut tokens = vec!["[PAD]", "[CLS]", "[SEP]"];
    tokens.extend(words);
    tokens.extend(["##s", "[UNK]"]);
    let (of_words, unknown) = rows.split_at(words.len() * dim);
    let zeros = |count| vec![0.0f32; count * dim];
    let table = [&zeros(3), of_words, &zeros(1), unknown].concat();
    let raw: Vec<u8> = table.iter().flat_map(|value| value.to_le_bytes()).collect();
    let graph = Message::default()
        .bytes(1, &node("Gather", &["table", "input_ids"], "rows", None).0)
        .text(2, "words")
        .bytes(5, &tensor("table", &[tokens.len(), dim], FLOAT, &raw).0)
        .bytes(11, &value_of("input_ids", &[0], INT64).0)
        .bytes(12, &value_of("rows", &[0, dim], FLOAT).0);
    let model = Message::default()
        .number(1, 8)
        .bytes(7, &graph.0)
        .bytes(8, &Message::default().text(1, "").number(2, 17).0);
    let vocabulary: serde_json::Map<_, _> = { tokens.iter().enumerate() }
        .map(|(id, token)| ((*token).to_owned(), id.into()))
        .collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary}
    });
    (model.0, tokenizer.to_string())
}

fn node(operator: &str, inputs: &[&str], output: &str, attribute: Option<&Message>) -> Message {
    let node = inputs
        .iter()
        .fold(Message::default(), |node, input| node.text(1, input))
        .text(2, output)
        .text(3, output)
        .text(4, operator);
    match attribute {
        Some(attribute) => node.bytes(5, &attribute.0),
        None => node,
    }
}

fn tensor(name: &str, shape: &[usize], kind: u64, raw: &[u8]) -> Message {
    shape
        .iter()
        .fold(Message::default(), |m, &len| m.number(1, len as u64))
        .number(2, kind)
        .text(8, name)
        .bytes(9, raw)
}

/// A value of any number of rows of this shape.
fn value(name: &str, shape: &[usize]) -> Message {
    value_of(name, shape, FLOAT)
}

/// As [`value`], of other numbers; an axis of length 0 has any length.
fn value_of(name: &str, shape: &[usize], kind: u64) -> Message {
    let rows = Message::default().text(2, "N");
    let shape = shape
        .iter()
        .fold(Message::default().bytes(1, &rows.0), |m, &len| {
            let axis = match len {
                0 => Message::default().text(2, "T"),
                len => Message::default().number(1, len as u64),
            };
            m.bytes(1, &axis.0)
        });
    let tensor = Message::default().number(1, kind).bytes(2, &shape.0);
    Message::default()
        .text(1, name)
        .bytes(2, &Message::default().bytes(1, &tensor.0).0)
}

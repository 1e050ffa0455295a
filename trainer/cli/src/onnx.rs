//! Writes ONNX files: as much of the format as an encoder needs, and no library for it.
//!
//! A file is one protobuf message. Numbers of fields and types are those of `onnx.proto3`, which
//! never change; the operators are those of [`OPSET`], every one of which runtimes have had for
//! years.

use std::fmt;
use std::io::{self, Write};

/// Version of the operators.
const OPSET: u64 = 17;

/// Version of the file format; 8 came with opset 17's release.
const IR_VERSION: u64 = 8;

/// The first axis of inputs and outputs, whose length is up to the caller.
const BATCH_AXIS: &str = "N";

/// Any other axis whose length is.
const FREE_AXIS: &str = "T";

/// Constants of at least so many bytes are kept outside the file, if any are.
const OUTSIDE: usize = 4096;

/// Where constants begin outside, as ONNX recommends for files that are mapped into memory.
const ALIGNMENT: u64 = 4096;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const INT8: u64 = 3;
const INT64: u64 = 7;

/// A protobuf message under construction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
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

/// A setting of an operator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attribute<'a> {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A list of integers.
    Ints(&'a [i64]),
}

/// A graph under construction. Every value has the name of the node or constant that makes it.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Message>,
    outside: Option<Outside>,
}

/// What takes constants that the file itself shall not hold.
struct Outside {
    location: String,
    sink: Box<dyn Write>,
    len: u64,
    failed: Option<io::Error>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside")
            .field("location", &self.location)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Outside {
    /// Takes a constant; where it begins.
    fn take(&mut self, raw: &[u8]) -> u64 {
        let offset = self.len.next_multiple_of(ALIGNMENT);
        let room = vec![0; (offset - self.len) as usize];
        if self.failed.is_none() {
            let written = self.sink.write_all(&room);
            self.failed = written.and_then(|()| self.sink.write_all(raw)).err();
        }
        self.len = offset + raw.len() as u64;
        offset
    }
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// A graph without nodes, whose large constants go into another file, which lies at `location`
    /// beside its own: no more than one of them is in memory at a time.
    pub fn with_outside(location: &str, sink: Box<dyn Write>) -> Self {
        Self {
            outside: Some(Outside {
                location: location.to_owned(),
                sink,
                len: 0,
                failed: None,
            }),
            ..Self::default()
        }
    }

    /// Finishes the other file, if there is one; its length.
    ///
    /// # Errors
    ///
    /// The first thing that could not be written to it.
    pub fn finish_outside(&mut self) -> io::Result<u64> {
        let Some(mut outside) = self.outside.take() else {
            return Ok(0);
        };
        match outside.failed.take() {
            Some(error) => Err(error),
            None => outside.sink.flush().map(|()| outside.len),
        }
    }

    /// Adds a constant; its name.
    ///
    /// # Panics
    ///
    /// If the number of values is not the product of the shape.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "constant {name}"
        );
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name, shape, FLOAT, &raw)
    }

    /// Adds a constant of bytes with signs; its name.
    ///
    /// # Panics
    ///
    /// If the number of values is not the product of the shape.
    pub fn bytes(&mut self, name: &str, shape: &[usize], values: &[i8]) -> String {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "constant {name}"
        );
        let raw: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
        self.constant(name, shape, INT8, &raw)
    }

    /// Adds a list of integers; its name.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name, &[values.len()], INT64, &raw)
    }

    /// Adds a single integer, of no axis; its name.
    pub fn int(&mut self, name: &str, value: i64) -> String {
        self.constant(name, &[], INT64, &value.to_le_bytes())
    }

    fn constant(&mut self, name: &str, shape: &[usize], data_type: u64, raw: &[u8]) -> String {
        let tensor = shape
            .iter()
            .fold(Message::default(), |m, &len| m.number(1, len as u64));
        let tensor = tensor.number(2, data_type).text(8, name);
        let tensor = match &mut self.outside {
            Some(outside) if raw.len() >= OUTSIDE => {
                let offset = outside.take(raw).to_string();
                let length = raw.len().to_string();
                let entry = |key: &str, value: &str| Message::default().text(1, key).text(2, value);
                tensor
                    .bytes(13, &entry("location", &outside.location).0)
                    .bytes(13, &entry("offset", &offset).0)
                    .bytes(13, &entry("length", &length).0)
                    .number(14, EXTERNAL)
            }
            _ => tensor.bytes(9, raw),
        };
        self.constants.push(tensor);
        name.to_owned()
    }

    /// Adds a node with one output; its name.
    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        let node = inputs
            .iter()
            .fold(Message::default(), |m, input| m.text(1, input));
        let node = node.text(2, name).text(3, name).text(4, operator);
        let node = attributes.iter().fold(node, |m, (key, value)| {
            let attribute = Message::default().text(1, key);
            let attribute = match *value {
                Attribute::Float(value) => attribute.float(2, value).number(20, 1),
                Attribute::Int(value) => attribute.number(3, value as u64).number(20, 2),
                Attribute::Ints(values) => values
                    .iter()
                    .fold(attribute, |m, &value| m.number(8, value as u64))
                    .number(20, 7),
            };
            m.bytes(5, &attribute.0)
        });
        self.nodes.push(node);
        name.to_owned()
    }

    /// The file: a graph from one input to one output, both of floats, whose first axis has any
    /// length and the others those given.
    pub fn to_bytes(
        &self,
        name: &str,
        input: (&str, &[usize]),
        output: (&str, &[usize]),
    ) -> Vec<u8> {
        let input = value_info(input, FLOAT);
        self.file(name, &[input], &[value_info(output, FLOAT)])
    }

    /// As [`to_bytes`](Self::to_bytes), from inputs `[N, T]` of integers, as models of texts have
    /// them, to several outputs.
    pub fn text_model(&self, inputs: &[&str], outputs: &[(&str, &[usize])]) -> Vec<u8> {
        let inputs: Vec<_> = inputs
            .iter()
            .map(|input| value_info((input, &[0]), INT64))
            .collect();
        let outputs: Vec<_> = outputs
            .iter()
            .map(|output| value_info(*output, FLOAT))
            .collect();
        self.file("texts", &inputs, &outputs)
    }

    fn file(&self, name: &str, inputs: &[Message], outputs: &[Message]) -> Vec<u8> {
        let fill = |graph, field, messages: &[Message]| {
            messages
                .iter()
                .fold(graph, |m: Message, message| m.bytes(field, &message.0))
        };
        let graph = fill(Message::default(), 1, &self.nodes).text(2, name);
        let graph = fill(graph, 5, &self.constants);
        let graph = fill(fill(graph, 11, inputs), 12, outputs);
        let operators = Message::default().text(1, "").number(2, OPSET);
        Message::default()
            .number(1, IR_VERSION)
            .text(2, env!("CARGO_PKG_NAME"))
            .text(3, env!("CARGO_PKG_VERSION"))
            .bytes(7, &graph.0)
            .bytes(8, &operators.0)
            .0
    }
}

/// An axis of length 0 has any length.
fn value_info((name, axes): (&str, &[usize]), data_type: u64) -> Message {
    let batch = Message::default().text(2, BATCH_AXIS);
    let shape = Message::default().bytes(1, &batch.0);
    let shape = axes.iter().fold(shape, |m, &len| {
        let axis = match len {
            0 => Message::default().text(2, FREE_AXIS),
            len => Message::default().number(1, len as u64),
        };
        m.bytes(1, &axis.0)
    });
    let tensor = Message::default().number(1, data_type).bytes(2, &shape.0);
    let value_type = Message::default().bytes(1, &tensor.0);
    Message::default().text(1, name).bytes(2, &value_type.0)
}

#[cfg(test)]
mod tests {
    use super::{Graph, Message};
    use tract_onnx::prelude::{DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, tvec};

    /// The example of protobuf's own documentation: field 1 with the number 150.
    #[test]
    fn numbers_are_written_as_the_format_says() {
        assert_eq!(Message::default().number(1, 150).0, [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "hi").0, [0x12, 2, b'h', b'i']);
        let minus = Message::default().number(3, -1i64 as u64).0;
        assert_eq!(minus.len(), 11);
    }

    #[test]
    fn a_small_graph_runs_at_any_batch() {
        let mut graph = Graph::new();
        let w = graph.floats("w", &[2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
        let y = graph.node("MatMul", "y", &["x", &w], &[]);
        let bytes = graph.to_bytes("test", ("x", &[2]), (&y, &[3]));
        for n in 1..4usize {
            let model = tract_onnx::onnx()
                .model_for_read(&mut bytes.as_slice())
                .unwrap()
                .with_input_fact(0, f32::fact([n, 2]).into())
                .unwrap()
                .into_optimized()
                .unwrap()
                .into_runnable()
                .unwrap();
            let input = Tensor::from_shape(&[n, 2], &vec![1.0f32; 2 * n]).unwrap();
            let output = model.run(tvec!(input.into())).unwrap();
            assert_eq!(output[0].shape(), [n, 3]);
            let expected = [11.0, 22.0, 33.0].repeat(n);
            let view = output[0].to_plain_array_view::<f32>().unwrap();
            assert!(view.iter().eq(expected.iter()));
        }
    }
}

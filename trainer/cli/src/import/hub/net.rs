//! ONNX files as folders hold them, made into what packs hold.
//!
//! ```text
//! file, and those beside it ─▶ one graph ─▶ up to one output ─▶ rows of length 1
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use prost::Message;
use sensorium_pack::sha256_hex;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

mod chain;

pub use chain::Between;

use super::widen::widen;
use crate::anchor::model::Output;
use crate::export::{OnnxEncoder, normalised};
use crate::graft::{graft, prune};
use crate::onnx::{Attribute, Graph};
use crate::quantize::raise;

/// Most bytes of a protobuf message.
const MAX_BYTES: usize = i32::MAX as usize;

/// How the files begin that Git LFS leaves in the place of large ones.
const POINTER: &[u8] = b"version https://git-lfs";

/// An ONNX file, whose weights are all in memory.
#[derive(Debug)]
pub struct Net {
    path: PathBuf,
    model: ModelProto,
    graph: GraphProto,
}

impl Net {
    /// Reads a file, and those beside it that hold its weights.
    ///
    /// # Errors
    ///
    /// A file that is missing or cut, or has operators that the inference library does not know.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {path:?}"))?;
        let open = || -> anyhow::Result<Self> {
            ensure!(
                !bytes.starts_with(POINTER),
                "it only tells where the file is (Git LFS): fetch it first, as by git lfs pull"
            );
            let mut model = ModelProto::decode(&bytes[..]).context("it is not an ONNX file")?;
            raise(&mut model)?;
            let mut graph = model.graph.take().context("it holds no graph")?;
            let unknown = unknown_operators(&graph);
            ensure!(
                unknown.is_empty(),
                "it has operators that the inference library does not know: {unknown:?}"
            );
            let dir = path.parent().unwrap_or(Path::new("."));
            gather(&mut graph, dir)?;
            widen(&mut graph);
            Ok(Self {
                path: path.to_owned(),
                model,
                graph,
            })
        };
        open().with_context(|| format!("{path:?}"))
    }

    /// Names of its outputs.
    pub fn outputs(&self) -> Vec<&str> {
        let outputs = self.graph.output.iter();
        outputs.map(|output| output.name.as_str()).collect()
    }

    /// Its inputs, which the weights are not.
    fn inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        let weights: BTreeSet<&str> = { self.graph.initializer.iter() }
            .map(|tensor| tensor.name.as_str())
            .collect();
        let inputs = self.graph.input.iter();
        inputs.filter(move |input| !weights.contains(input.name.as_str()))
    }

    /// Leaves what one output needs: the first of some names that it has.
    ///
    /// # Errors
    ///
    /// None of these.
    pub fn keep(&mut self, names: &[&str]) -> anyhow::Result<()> {
        let has = |name: &&&str| self.graph.output.iter().any(|output| output.name == **name);
        let Some(name) = names.iter().find(has) else {
            bail!(
                "{:?} has no output {}, its outputs are {:?}",
                self.path,
                names.join(" or "),
                self.outputs()
            );
        };
        self.graph.output.retain(|output| output.name == *name);
        prune(&mut self.graph);
        Ok(())
    }

    /// The lengths of the axes of its only input, those that are fixed, by the input's name.
    ///
    /// # Errors
    ///
    /// None or several inputs.
    pub fn only_input(&self) -> anyhow::Result<(String, Vec<Option<usize>>)> {
        let inputs: Vec<&ValueInfoProto> = self.inputs().collect();
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let [input] = inputs[..] else {
            bail!("{:?} takes {names:?}, expected one input", self.path);
        };
        Ok((input.name.clone(), axes(input)))
    }

    /// Checks that its only input fits an encoder's features, without the axis that counts them.
    ///
    /// # Errors
    ///
    /// Several inputs, or one of another shape.
    pub fn ensure_takes(&self, shape: &[usize]) -> anyhow::Result<()> {
        let (name, axes) = self.only_input()?;
        let fits = |(axis, len): (&Option<usize>, &usize)| axis.is_none_or(|axis| axis == *len);
        let takes = axes.len() == shape.len() + 1 && axes.iter().skip(1).zip(shape).all(fits);
        ensure!(
            takes || axes.is_empty(),
            "{:?}: input {name:?} is {}, and the front end gives {shape:?}",
            self.path,
            shown(&axes)
        );
        Ok(())
    }

    /// The number of tokens that it takes, if it takes texts of one length only; a single input is the
    /// text, whatever it is called.
    ///
    /// # Errors
    ///
    /// No input of texts.
    pub fn take_texts(&mut self) -> anyhow::Result<Option<usize>> {
        const IDS: &str = "input_ids";
        let names: Vec<String> = self.inputs().map(|input| input.name.clone()).collect();
        if let [name] = &names[..]
            && name != IDS
        {
            rename_input(&mut self.graph, name, IDS);
        }
        let ids = self.inputs().find(|input| input.name == IDS);
        let ids = ids.with_context(|| {
            format!("{:?} takes {names:?}, expected {IDS} among them", self.path)
        })?;
        Ok(axes(ids).get(1).copied().flatten())
    }

    /// SHA-256 of the graph with its weights.
    pub fn digest(&self) -> String {
        sha256_hex(&self.graph.encode_to_vec())
    }

    /// As a file.
    ///
    /// # Errors
    ///
    /// More than a file can hold.
    pub fn into_bytes(mut self) -> anyhow::Result<Vec<u8>> {
        self.model.graph = Some(self.graph);
        let len = self.model.encoded_len();
        ensure!(
            len <= MAX_BYTES,
            "{:?} has {len} bytes with its weights, expected at most {MAX_BYTES}, which is all that an \
             ONNX file can hold",
            self.path
        );
        Ok(self.model.encode_to_vec())
    }

    /// As an encoder's file, for features of a shape: its only output becomes a row of length 1; and the
    /// numbers of a row.
    ///
    /// # Errors
    ///
    /// A file that cannot be run, or whose output is no vector.
    pub fn into_encoder(self, shape: &[usize]) -> anyhow::Result<(Vec<u8>, usize)> {
        let path = self.path.clone();
        let output = self.graph.output.first().cloned().unwrap_or_default();
        let rank = axes(&output).len();
        ensure!(
            rank == 0 || rank >= 2 && chain::gives_vectors(&output),
            "{path:?}: output {:?} is {}, expected [N, D]",
            output.name,
            shown(&axes(&output))
        );
        let kinds = [DataType::Undefined as i32, DataType::Float as i32];
        let is_float = tensor(&output).is_none_or(|tensor| kinds.contains(&tensor.elem_type));
        let bytes = self.into_bytes()?;
        let run = || -> anyhow::Result<(Vec<u8>, usize)> {
            // What it gives is only counted here, so any numbers will do that differ.
            let len = shape.iter().product();
            let input: Vec<f32> = (0..len).map(|at| (at * 31 % 97) as f32 / 97.0).collect();
            let dim = if is_float {
                let row = OnnxEncoder::new(&bytes, shape)?.embed(&input)?;
                ensure!(
                    row.iter().all(|value| value.is_finite()),
                    "its output is not a number, so its weights are damaged"
                );
                row.len()
            } else {
                let axis = axes(&output).get(1).copied().flatten();
                axis.context("its output is not of 32-bit floats, nor of a length that is said")?
            };
            let mut head = Graph::new();
            let mut vector = "vector".to_owned();
            if !is_float {
                const FLOAT: i64 = DataType::Float as i64;
                vector = head.node(
                    "Cast",
                    "float",
                    &[&vector],
                    &[("to", Attribute::Int(FLOAT))],
                );
            }
            if rank > 2 {
                let axis = [("axis", Attribute::Int(1))];
                vector = head.node("Flatten", "flat", &[&vector], &axis);
            }
            let row = normalised(&mut head, &vector);
            let head = head.to_bytes("head", ("vector", &[dim]), (&row, &[dim]));
            let name = Output::Name(output.name.clone());
            Ok((graft(&bytes, Some(&name), &head)?, dim))
        };
        run().with_context(|| format!("{path:?}"))
    }

    /// Makes the last two axes of its only input change places, so that `[n, samples, channels]`
    /// becomes `[n, channels, samples]`.
    ///
    /// # Errors
    ///
    /// Several inputs, or one of another rank.
    pub fn channels_first(&mut self) -> anyhow::Result<()> {
        let (name, axes) = self.only_input()?;
        ensure!(
            axes.len() == 3,
            "{:?}: input {name:?} is {}, expected [N, samples, channels]",
            self.path,
            shown(&axes)
        );
        let turned = format!("{name}.turned");
        rename_uses(&mut self.graph, &name, &turned);
        let mut graph = Graph::new();
        let order = [("perm", Attribute::Ints(&[0, 2, 1]))];
        graph.node("Transpose", &turned, &[&name], &order);
        let turning = graph.to_bytes("turned", (&name, &[]), (&turned, &[]));
        let turning = ModelProto::decode(&turning[..])?.graph.unwrap_or_default();
        self.graph.node.splice(0..0, turning.node);
        if let Some(Value::TensorType(tensor)) = { self.graph.input.iter_mut() }
            .find(|input| input.name == name)
            .and_then(|input| input.r#type.as_mut()?.value.as_mut())
            && let Some(shape) = &mut tensor.shape
        {
            shape.dim.swap(1, 2);
        }
        Ok(())
    }
}

/// Operators of a graph that the inference library does not know, each once.
fn unknown_operators(graph: &GraphProto) -> BTreeSet<String> {
    fn collect(graph: &GraphProto, operators: &mut BTreeSet<String>) {
        for node in &graph.node {
            operators.insert(node.op_type.clone());
            let attributes = node.attribute.iter();
            let graphs =
                attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
            graphs.for_each(|graph| collect(graph, operators));
        }
    }
    let mut operators = BTreeSet::new();
    collect(graph, &mut operators);
    let known = tract_onnx::onnx().op_register.0;
    operators.retain(|operator| !known.contains_key(operator));
    operators
}

/// Reads weights that are in files beside a graph's own.
fn gather(graph: &mut GraphProto, dir: &Path) -> anyhow::Result<()> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    for attribute in attributes {
        let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
        for tensor in tensors {
            fetch(tensor, dir)?;
        }
        let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
        for graph in graphs {
            gather(graph, dir)?;
        }
    }
    graph
        .initializer
        .iter_mut()
        .try_for_each(|tensor| fetch(tensor, dir))
}

fn fetch(tensor: &mut TensorProto, dir: &Path) -> anyhow::Result<()> {
    if tensor.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    let entry = |key: &str| {
        let mut entries = tensor.external_data.iter();
        entries
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    };
    let name = &tensor.name;
    let location = entry("location");
    let location = location.with_context(|| format!("weight {name:?} does not say where it is"))?;
    let beside = Path::new(location);
    ensure!(
        beside
            .components()
            .all(|part| matches!(part, Component::Normal(_))),
        "weight {name:?} is in {location:?}, expected a file beside this one"
    );
    let number = |key: &str| -> anyhow::Result<Option<u64>> {
        let value = entry(key).map(|value| value.parse());
        value
            .transpose()
            .with_context(|| format!("weight {name:?}: its {key} is no number"))
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let path = dir.join(beside);
    let read = || -> anyhow::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        let len = file.metadata()?.len();
        let length = length.unwrap_or(len.saturating_sub(offset));
        ensure!(
            offset.checked_add(length).is_some_and(|end| end <= len),
            "it has {len} bytes, expected {length} from {offset} on"
        );
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("weight {name:?} is in {path:?}"))?;
    tensor.raw_data = bytes;
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

fn rename_input(graph: &mut GraphProto, from: &str, to: &str) {
    rename_uses(graph, from, to);
    let input = graph.input.iter_mut().find(|input| input.name == from);
    if let Some(input) = input {
        to.clone_into(&mut input.name);
    }
}

/// Makes all that takes a value take another.
fn rename_uses(graph: &mut GraphProto, from: &str, to: &str) {
    for node in &mut graph.node {
        let inputs = node.input.iter_mut().filter(|input| *input == from);
        inputs.for_each(|input| to.clone_into(input));
        let attributes = node.attribute.iter_mut();
        for attribute in attributes {
            let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            graphs.for_each(|graph| rename_uses(graph, from, to));
        }
    }
}

fn tensor(value: &ValueInfoProto) -> Option<&tract_onnx::pb::type_proto::Tensor> {
    match &value.r#type.as_ref()?.value {
        Some(Value::TensorType(tensor)) => Some(tensor),
        _ => None,
    }
}

/// The lengths of a value's axes, those that are fixed; none of a value of unknown rank.
fn axes(value: &ValueInfoProto) -> Vec<Option<usize>> {
    let shape = tensor(value).and_then(|tensor| tensor.shape.as_ref());
    let axes = shape.iter().flat_map(|shape| &shape.dim);
    let axis = |axis: &tract_onnx::pb::tensor_shape_proto::Dimension| match axis.value {
        Some(dimension::Value::DimValue(len)) => usize::try_from(len).ok().filter(|len| *len > 0),
        _ => None,
    };
    axes.map(axis).collect()
}

/// Axes as people write them.
fn shown(axes: &[Option<usize>]) -> String {
    let axis = |len: &Option<usize>| len.map_or("any".to_owned(), |len| len.to_string());
    let axes: Vec<String> = axes.iter().map(axis).collect();
    format!("[{}]", axes.join(", "))
}

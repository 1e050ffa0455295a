//! ONNX files as others publish them, run by tract.
//!
//! A file may keep its weights in files beside it. Shapes are given before a model is prepared, since
//! that makes it faster; some models cannot be prepared with them, and run without.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use sensorium_core::feature::Pooling;
use serde::{Deserialize, Serialize};
use tract_onnx::pb::{GraphProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::space::{Identity, file_digest};

/// An output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Output {
    /// By its place, from 0.
    Index(usize),
    /// By its name.
    Name(String),
}

/// An ONNX file that was read.
pub struct Model {
    path: PathBuf,
    model: InferenceModel,
    digest: String,
}

/// A model, prepared to give one of its outputs.
pub struct Runner {
    path: PathBuf,
    model: Arc<TypedRunnableModel>,
    types: Vec<DatumType>,
}

impl Model {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that is missing, or no model that tract knows.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // First, so that a missing file is said to be missing.
        let digest = file_digest(path)?;
        let read = || -> anyhow::Result<_> {
            let onnx = tract_onnx::onnx();
            let proto = onnx.proto_model_for_path(path)?;
            let mut files = Vec::new();
            proto
                .graph
                .iter()
                .for_each(|graph| weight_files(graph, &mut files));
            files.sort();
            files.dedup();
            let dir = path.parent().unwrap_or(Path::new("."));
            let mut identity = Identity::new("onnx").bytes("model", &digest);
            for file in files {
                identity = identity.file(&file, &dir.join(&file))?;
            }
            let dir = dir.to_str().context("the path is not UTF-8")?;
            let parsed = onnx.parse(&proto, Some(dir))?;
            ensure!(
                parsed.unresolved_inputs.is_empty(),
                "nothing gives {:?}",
                parsed.unresolved_inputs
            );
            Ok((parsed.model, identity.finish()))
        };
        let (model, digest) = guarded(read).with_context(|| not_usable(path))?;
        Ok(Self {
            path: path.to_owned(),
            model,
            digest,
        })
    }

    /// SHA-256 of the file and those beside it that hold its weights.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Names of the inputs.
    pub fn inputs(&self) -> anyhow::Result<Vec<String>> {
        let inputs = self.model.input_outlets()?.iter();
        Ok(inputs
            .map(|o| self.model.node(o.node).name.clone())
            .collect())
    }

    /// The lengths of an input's axes as the file has them, those that are fixed.
    pub fn input_shape(&self, input: usize) -> anyhow::Result<Vec<Option<usize>>> {
        let shape = &self.model.input_fact(input)?.shape;
        let axes = shape.dims().map(|axis| axis.concretize()?.to_usize().ok());
        Ok(if shape.is_open() {
            Vec::new()
        } else {
            axes.collect()
        })
    }

    /// What an input is made of.
    pub fn input_type(&self, input: usize) -> anyhow::Result<DatumType> {
        let datum_type = self.model.input_fact(input)?.datum_type.concretize();
        datum_type.context("an input of no type")
    }

    /// Names of the outputs.
    pub fn outputs(&self) -> anyhow::Result<Vec<String>> {
        let outlets = self.model.output_outlets()?;
        Ok(outlets
            .iter()
            .map(|outlet| self.output_name(outlet))
            .collect())
    }

    fn output_name(&self, outlet: &OutletId) -> String {
        let label = self.model.outlet_label(*outlet);
        let name = label.unwrap_or(&self.model.node(outlet.node).name);
        name.to_owned()
    }

    /// The place of an output. One that is not said is the only one.
    fn output(&self, output: Option<&Output>) -> anyhow::Result<OutletId> {
        let outlets = self.model.output_outlets()?;
        let found = match output {
            None if outlets.len() == 1 => outlets.first(),
            None => None,
            Some(Output::Index(index)) => outlets.get(*index),
            Some(Output::Name(wanted)) => {
                let mut outlets = outlets.iter();
                outlets.find(|outlet| self.output_name(outlet) == *wanted)
            }
        };
        let names = self.outputs()?;
        found.copied().with_context(|| match output {
            None => format!("{:?} has several outputs, say which: {names:?}", self.path),
            Some(Output::Index(index)) => {
                format!(
                    "{:?} has no output {index}, its outputs are {names:?}",
                    self.path
                )
            }
            Some(Output::Name(name)) => {
                format!(
                    "{:?} has no output {name:?}, its outputs are {names:?}",
                    self.path
                )
            }
        })
    }

    /// Prepares it for inputs of these shapes, and an output.
    ///
    /// # Errors
    ///
    /// An output that it does not have, or a model that cannot be prepared.
    pub fn prepare(
        &self,
        shapes: Option<&[Vec<usize>]>,
        output: Option<&Output>,
    ) -> anyhow::Result<Runner> {
        let output = self.output(output)?;
        let types = (0..self.model.input_outlets()?.len())
            .map(|input| self.input_type(input))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let prepare = |shapes: Option<&[Vec<usize>]>| {
            guarded(|| {
                let mut model = self.model.clone();
                model.select_output_outlets(&[output])?;
                for (input, shape) in shapes.unwrap_or_default().iter().enumerate() {
                    let fact = InferenceFact::dt_shape(types[input], shape);
                    model.set_input_fact(input, fact)?;
                }
                model.into_optimized()?.into_runnable()
            })
        };
        let model = match shapes {
            // Some models, such as MiniLM's, can only be prepared with shapes that are open.
            Some(_) => prepare(shapes).or_else(|_| prepare(None)),
            None => prepare(None),
        };
        Ok(Runner {
            path: self.path.clone(),
            model: model.with_context(|| not_usable(&self.path))?,
            types,
        })
    }
}

impl Runner {
    /// The output for these inputs, and its shape.
    ///
    /// # Errors
    ///
    /// A model that fails on them.
    pub fn run(&self, inputs: Vec<Tensor>) -> anyhow::Result<(Vec<f32>, Vec<usize>)> {
        let run = || -> anyhow::Result<_> {
            let inputs = inputs.iter().zip(&self.types);
            let inputs = inputs.map(|(input, to)| Ok(input.cast_to_dt(*to)?.into_owned().into()));
            let outputs = self
                .model
                .run(inputs.collect::<TractResult<TVec<TValue>>>()?)?;
            let output = outputs[0].cast_to::<f32>()?;
            let values = output.to_plain_array_view::<f32>()?;
            Ok((values.iter().copied().collect(), output.shape().to_vec()))
        };
        guarded(run).with_context(|| format!("running {:?}", self.path))
    }
}

/// One vector of an output for an input of `tokens` tokens, the last of them padding from `end` on;
/// none of these for pictures.
///
/// # Errors
///
/// An output of another shape.
pub fn pooled(
    pooling: Pooling,
    values: Vec<f32>,
    shape: &[usize],
    text: Option<(usize, usize)>,
) -> anyhow::Result<Vec<f32>> {
    if pooling == Pooling::None {
        let long = shape.iter().filter(|len| **len != 1).count();
        ensure!(
            long <= 1 && !values.is_empty(),
            "the output has shape {shape:?}, expected one vector, [1, D]; if it is one a token, \
             say which pooling"
        );
        return Ok(values);
    }
    let (tokens, dim) = match *shape {
        [1, tokens, dim] if tokens > 0 && dim > 0 => (tokens, dim),
        _ => bail!("the output has shape {shape:?}, expected a vector a token, [1, tokens, D]"),
    };
    if let Some((expected, _)) = text {
        ensure!(
            tokens == expected,
            "the output has shape {shape:?}, expected [1, {expected}, D]"
        );
    }
    let end = text.map_or(tokens, |(_, end)| end);
    Ok(pooling.apply(&values, dim, end))
}

/// Files beside a model that hold weights.
fn weight_files(graph: &GraphProto, files: &mut Vec<String>) {
    let mut add = |tensor: &TensorProto| {
        let location = tensor
            .external_data
            .iter()
            .find(|entry| entry.key == "location");
        files.extend(location.map(|entry| entry.value.clone()));
    };
    graph.initializer.iter().for_each(&mut add);
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    for attribute in attributes.clone() {
        attribute
            .t
            .iter()
            .chain(&attribute.tensors)
            .for_each(&mut add);
    }
    for attribute in attributes {
        let graphs = attribute.g.iter().chain(&attribute.graphs);
        graphs.for_each(|graph| weight_files(graph, files));
    }
}

fn not_usable(path: &Path) -> String {
    format!("{path:?} is not a model that can be run")
}

/// The inference library is known to panic on some files.
fn guarded<T>(action: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(action))
        .unwrap_or_else(|_panic| Err(anyhow!("the inference library gave up")))
}

//! A pack under construction that need not fit into memory: no more than one weight is held at a time.

use std::fs::File;
use std::io::{BufWriter, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sensorium_model::EncoderConfig;
use sensorium_model::weights::WeightSource;
use sensorium_pack::{Encoder, FORMAT, Manifest, PackFile, PackWriter, Provenance, Space, VERSION};

use sensorium_engine::encode::weights::fill;
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceFact, InferenceModelExt, IntoRunnable, Tensor,
    TypedRunnableModel, tvec,
};

use crate::export::{Form, write_encoder};
use crate::onnx::Graph;

const CLASSES: &str = "classes.toml";

/// An encoder's ONNX file, and its weights in a file without a name.
#[derive(Debug)]
pub struct Written {
    onnx: Vec<u8>,
    part: File,
    outside: u64,
}

impl Written {
    /// Bytes of both.
    pub fn len(&self) -> u64 {
        self.onnx.len() as u64 + self.outside
    }

    /// What the inference library makes of inputs of a shape, one by one.
    ///
    /// # Errors
    ///
    /// What the library cannot run.
    pub fn embed(&self, shape: &[usize], inputs: &[Vec<f32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let shape = [&[1], shape].concat();
        let model = self.runnable(f32::fact(&shape).into())?;
        let inputs = inputs.iter().map(|input| Tensor::from_shape(&shape, input));
        inputs.map(|input| run(&model, input?)).collect()
    }

    /// What it makes of the numbers of texts, all of one length, one by one.
    ///
    /// # Errors
    ///
    /// What the library cannot run.
    pub fn embed_texts(&self, texts: &[Vec<i64>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let shape = [1, texts.first().map_or(0, Vec::len)];
        let model = self.runnable(i64::fact(shape).into())?;
        let texts = texts.iter().map(|text| Tensor::from_shape(&shape, text));
        texts.map(|text| run(&model, text?)).collect()
    }

    fn runnable(&self, input: InferenceFact) -> anyhow::Result<Arc<TypedRunnableModel>> {
        let mut weights = Vec::new();
        let mut part = &self.part;
        part.rewind()?;
        part.read_to_end(&mut weights)?;
        let onnx = tract_onnx::onnx();
        let mut proto = onnx.proto_model_for_read(&mut self.onnx.as_slice())?;
        let filled = fill(&mut proto, |_location| Some(weights.as_slice()));
        filled.map_err(|name| anyhow::anyhow!("weight {name:?} was not written whole"))?;
        drop(weights);
        let model = onnx.model_for_proto_model(&proto)?;
        drop(proto);
        model
            .with_input_fact(0, input)?
            .into_optimized()?
            .into_runnable()
    }
}

fn run(model: &Arc<TypedRunnableModel>, input: Tensor) -> anyhow::Result<Vec<f32>> {
    let outputs = model.run(tvec!(input.into()))?;
    let output = outputs[0].to_plain_array_view::<f32>()?;
    Ok(output.iter().copied().collect())
}

/// The member with the weights of the model of a member.
fn beside(model: &str) -> String {
    format!("{}.weights", model.strip_suffix(".onnx").unwrap_or(model))
}

/// A pack under construction.
#[derive(Debug)]
pub struct LargePack {
    path: PathBuf,
    file: PackFile,
    /// Spaces of it.
    pub spaces: Vec<Space>,
    /// Encoders of it.
    pub encoders: Vec<Encoder>,
    /// Where they come from.
    pub provenance: Vec<Provenance>,
}

impl LargePack {
    /// Begins a pack.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = PackFile::create(path).with_context(|| format!("writing {path:?}"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            spaces: Vec::new(),
            encoders: Vec::new(),
            provenance: Vec::new(),
        })
    }

    /// Adds a small member.
    ///
    /// # Errors
    ///
    /// A member of this path, or a file that cannot be written.
    pub fn add(&mut self, path: &str, mut content: &[u8]) -> anyhow::Result<()> {
        let len = content.len() as u64;
        let added = self.file.add(path, &mut content, len);
        added.with_context(|| format!("writing {:?}", self.path))
    }

    /// Adds small members.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_all(&mut self, writer: &PackWriter) -> anyhow::Result<()> {
        let mut members = writer.members();
        members.try_for_each(|(path, content)| self.add(path, content))
    }

    /// Adds an encoder's ONNX file as the member `model`, and its weights as one beside it, which are read
    /// one after the other; bytes of both.
    ///
    /// # Errors
    ///
    /// A weight that is missing or has another shape, or a file that cannot be written.
    pub fn add_model(
        &mut self,
        model: &str,
        weights: &impl WeightSource,
        config: &EncoderConfig,
        form: Form,
    ) -> anyhow::Result<u64> {
        let written = self.write(model, weights, config, form)?;
        let len = written.len();
        self.add_written(model, written)?;
        Ok(len)
    }

    /// Writes an encoder that shall be the member `model`, and does not add it yet.
    ///
    /// # Errors
    ///
    /// As [`add_model`](Self::add_model).
    pub fn write(
        &self,
        model: &str,
        weights: &impl WeightSource,
        config: &EncoderConfig,
        form: Form,
    ) -> anyhow::Result<Written> {
        let beside = beside(model);
        let location = beside.rsplit('/').next().unwrap_or(&beside);
        let writing = || format!("writing {:?}", self.path);
        // Without a name, so that nothing is left of it whatever happens.
        let part = self.part().with_context(writing)?;
        let sink = BufWriter::new(part.try_clone().with_context(writing)?);
        let mut graph = Graph::with_outside(location, Box::new(sink));
        let onnx = write_encoder(&mut graph, weights, config, form)?;
        let outside = graph.finish_outside().with_context(writing)?;
        Ok(Written {
            onnx,
            part,
            outside,
        })
    }

    /// Adds an encoder that was written, as the member `model`.
    ///
    /// # Errors
    ///
    /// A member of this path, or a file that cannot be written.
    pub fn add_written(&mut self, model: &str, mut written: Written) -> anyhow::Result<()> {
        self.add(model, &written.onnx)?;
        let writing = || format!("writing {:?}", self.path);
        written.part.rewind().with_context(writing)?;
        let added = self
            .file
            .add(&beside(model), &mut written.part, written.outside);
        added.with_context(writing)
    }

    fn part(&self) -> std::io::Result<File> {
        let folder = self.path.parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        tempfile::tempfile_in(folder.unwrap_or(Path::new(".")))
    }

    /// Puts the pack in its place.
    ///
    /// # Errors
    ///
    /// Parts that do not fit together, or a file that cannot be written.
    pub fn finish(mut self, name: String, classes: &str) -> anyhow::Result<()> {
        self.add(CLASSES, classes.as_bytes())?;
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name,
            spaces: self.spaces,
            encoders: self.encoders,
            classes: CLASSES.to_owned(),
            provenance: self.provenance,
            members: Vec::new(),
        };
        let finished = self.file.finish(manifest);
        finished.with_context(|| format!("writing {:?}", self.path))
    }
}

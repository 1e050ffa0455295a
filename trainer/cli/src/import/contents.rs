//! A pack under construction, of parts that others trained.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::FrontEnd;
use sensorium_engine::classes::Classes;
use sensorium_pack::npy::{self, Array};
use sensorium_pack::{
    DataSet, Encoder, FORMAT, Layer, Manifest, Modality, PackWriter, Provenance, Scoring, Tower,
    VERSION,
};

use super::hub::family::EncoderPart;
use super::hub::text::TextPart;
use crate::anchor::Anchor;
use crate::contained::contained;
use crate::export::{OnnxEncoder, examples_of};
use crate::pack::{add_encoder, add_words};
use crate::quantize::{Quantize, cosine, described};

/// Phrases that every imported text tower is tried on; a pack keeps what it made of them, so that
/// `pack verify` can tell whether it still does.
pub const TRIED: [&str; 6] = [
    "a dog barking",
    "a person walking up stairs",
    "glass breaking",
    "a photo of a cat",
    "rain on a tin roof, at night",
    "an engine idling",
];

/// Score at which an event begins; it ends at [`EXIT`].
pub const ENTER: f32 = 0.5;
/// See [`ENTER`].
pub const EXIT: f32 = 0.35;

/// What the least cosine to what the same part gives with float weights is called in a provenance.
pub const COSINE: &str = "least cosine of embeddings by int8 weights to those by float weights";

const CLASSES: &str = "classes.toml";

/// How weights are written, and what they may cost.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// As integers, or as they are.
    pub quantize: Quantize,
    /// The least cosine to what float weights give.
    pub min_cosine: f32,
}

/// An encoder for a pack.
#[derive(Debug)]
pub struct NewEncoder {
    /// Its name.
    pub name: String,
    /// Name of its space.
    pub space: String,
    /// Its sense.
    pub modality: Modality,
    /// How its input is made.
    pub front_end: FrontEnd,
    /// Its file, of rows of length 1.
    pub onnx: Vec<u8>,
    /// Cosines are divided by it before the softmax.
    pub temperature: f32,
}

impl NewEncoder {
    /// A part under a name, in a space.
    pub fn of(part: EncoderPart, name: &str, space: &str) -> Self {
        Self {
            name: name.to_owned(),
            space: space.to_owned(),
            modality: part.modality,
            front_end: part.front_end,
            onnx: part.onnx,
            temperature: part.temperature,
        }
    }
}

/// A pack under construction.
#[derive(Debug)]
pub struct Contents {
    weights: Weights,
    classes: Option<Classes>,
    writer: PackWriter,
    spaces: Vec<(String, Anchor, Option<Tower>)>,
    encoders: Vec<Encoder>,
    names: Vec<String>,
    provenance: Vec<Provenance>,
}

impl Contents {
    /// A pack without parts, whose default classes are these, if there are any.
    pub fn new(weights: Weights, classes: Option<Classes>) -> Self {
        Self {
            weights,
            classes,
            writer: PackWriter::new(),
            spaces: Vec::new(),
            encoders: Vec::new(),
            names: Vec::new(),
            provenance: Vec::new(),
        }
    }

    fn ensure_new(&self, space: &str) -> anyhow::Result<()> {
        let is_known = self.spaces.iter().any(|(known, ..)| known == space);
        ensure!(!is_known, "there is a space {space:?} already");
        Ok(())
    }

    /// Adds a space whose words are those of a text tower; the least cosine that integers cost.
    ///
    /// # Errors
    ///
    /// A tower that cannot be run, or that integers change too much.
    pub fn add_text(&mut self, space: &str, text: &TextPart) -> anyhow::Result<Option<f32>> {
        self.ensure_new(space)?;
        let classes = self.classes.iter().flat_map(|classes| {
            let prompts = classes.classes.iter().flat_map(|class| &class.prompts);
            prompts.chain(&classes.background.prompts)
        });
        let mut prompts: Vec<String> = TRIED.map(str::to_owned).to_vec();
        for prompt in classes {
            if !prompts.contains(prompt) {
                prompts.push(prompt.clone());
            }
        }
        let embed = |model: &[u8]| -> anyhow::Result<Vec<Vec<f32>>> {
            let rows = contained(|| {
                let tower = text.tower(model)?;
                let rows = prompts.iter().map(|prompt| Ok(tower.embed_one(prompt)?));
                rows.collect::<anyhow::Result<Vec<Vec<f32>>>>()
            });
            let rows = rows.context("the text tower")?;
            ensure!(
                rows.iter().flatten().all(|value| value.is_finite()),
                "the text tower gives what is not a number, so its weights are damaged"
            );
            Ok(rows)
        };
        let rows = embed(&text.model)?;
        let (model, summary) = self.weights.quantize.apply(text.model.clone())?;
        let mut least = None;
        let rows = match summary {
            None => rows,
            Some(summary) => {
                let line = described(&summary, text.model.len(), model.len());
                eprintln!("{space}, texts: {line}");
                let smaller = embed(&model)?;
                least = Some(self.least_cosine(&rows, &smaller, "the text tower")?);
                smaller
            }
        };
        let member = |file: &str| format!("text/{space}/{file}");
        let mut layers = Vec::new();
        for (at, (weight, bias, activation)) in text.projection.iter().enumerate() {
            let mut add = |part: &str, array: &Array| -> anyhow::Result<String> {
                let path = member(&format!("projection{at}_{part}.npy"));
                let bytes = npy::to_bytes(&array.shape, &array.values)?;
                self.writer.add(&path, bytes);
                Ok(path)
            };
            layers.push(Layer {
                weight: add("weight", weight)?,
                bias: bias.as_ref().map(|bias| add("bias", bias)).transpose()?,
                activation: *activation,
            });
        }
        let tower = Tower {
            model: member("model.onnx"),
            tokenizer: Some(member("tokenizer.json")),
            report: None,
            taught: None,
            words: Some(text.words.clone()),
            projection: layers,
        };
        self.writer.add(&tower.model, model);
        self.writer
            .add(&member("tokenizer.json"), text.tokenizer.clone());
        let dim = rows.first().map_or(0, Vec::len);
        let anchor = Anchor {
            text_model: format!("{space} ({})", &text.digest[..12]),
            prompts,
            rows: rows.concat(),
            centre: vec![0.0; dim],
        };
        self.spaces.push((space.to_owned(), anchor, Some(tower)));
        Ok(least)
    }

    /// Adds a space whose axes are the names of a classifier's outputs.
    ///
    /// # Errors
    ///
    /// A space of this name, or a name that comes twice.
    pub fn add_names(&mut self, space: &str, names: &[String]) -> anyhow::Result<()> {
        self.ensure_new(space)?;
        let mut known = std::collections::BTreeSet::new();
        let twice = names.iter().find(|name| !known.insert(name.as_str()));
        if let Some(twice) = twice {
            bail!("the name {twice:?} comes twice");
        }
        let dim = names.len();
        let axes = (0..dim * dim).map(|at| f32::from(u8::from(at % (dim + 1) == 0)));
        let anchor = Anchor {
            text_model: format!("the names of {space}'s outputs, and no text model"),
            prompts: names.to_vec(),
            rows: axes.collect(),
            centre: vec![0.0; dim],
        };
        self.spaces.push((space.to_owned(), anchor, None));
        self.names.extend(names.iter().cloned());
        Ok(())
    }

    /// Adds a space of words that are embedded already.
    ///
    /// # Errors
    ///
    /// A space of this name.
    pub fn add_anchor(&mut self, space: &str, anchor: Anchor) -> anyhow::Result<()> {
        self.ensure_new(space)?;
        self.spaces.push((space.to_owned(), anchor, None));
        Ok(())
    }

    /// Adds an encoder into a space that was added before; the least cosine that integers cost.
    ///
    /// # Errors
    ///
    /// An encoder of the same name, one that cannot be run or does not fit its space, or that integers
    /// change too much.
    pub fn add_encoder(&mut self, new: NewEncoder) -> anyhow::Result<Option<f32>> {
        let NewEncoder {
            name,
            space,
            modality,
            front_end,
            onnx,
            temperature,
        } = new;
        ensure!(
            self.encoders.iter().all(|encoder| encoder.name != name),
            "there is an encoder {name:?} already"
        );
        let shape = front_end.build()?.output_shape();
        let examples = examples_of(&front_end, modality)?;
        let embed = |onnx: &[u8]| -> anyhow::Result<Vec<Vec<f32>>> {
            let encoder = OnnxEncoder::new(onnx, &shape)?;
            let rows = examples.iter().map(|example| encoder.embed(example));
            rows.collect()
        };
        let len = onnx.len();
        let floats = match self.weights.quantize {
            Quantize::None => Vec::new(),
            Quantize::Int8 => embed(&onnx)?,
        };
        let (onnx, summary) = self.weights.quantize.apply(onnx)?;
        let mut least = None;
        if let Some(summary) = summary {
            eprintln!("{name}: {}", described(&summary, len, onnx.len()));
            least = Some(self.least_cosine(&floats, &embed(&onnx)?, &name)?);
        }
        let scoring = Scoring {
            temperature,
            enter: ENTER,
            exit: EXIT,
        };
        let sense = (modality, &front_end);
        let encoder = add_encoder(&mut self.writer, (&name, &space), sense, scoring, onnx)?;
        let (encoder, dim) = encoder;
        let mut spaces = self.spaces.iter();
        let own = spaces.find(|(known, ..)| *known == space);
        let (_, anchor, _) = own.with_context(|| format!("there is no space {space:?}"))?;
        ensure!(
            anchor.dim() == dim,
            "encoder {name:?} gives {dim} numbers, expected {}, those of space {space:?}",
            anchor.dim()
        );
        self.encoders.push(encoder);
        Ok(least)
    }

    fn least_cosine(&self, a: &[Vec<f32>], b: &[Vec<f32>], part: &str) -> anyhow::Result<f32> {
        least_of(a, b, part, self.weights.min_cosine)
    }

    /// Tells where a part comes from.
    pub fn tell(&mut self, part: &str, told: &Told, least: Option<f32>) {
        let metrics = least.map(|least| (COSINE.to_owned(), f64::from(least)));
        self.provenance.push(Provenance {
            encoder: part.to_owned(),
            binding: told.binding.clone(),
            data: vec![DataSet {
                name: told.data.clone(),
                licence: told.licence.clone(),
            }],
            split: "the publisher's own".to_owned(),
            command: told.command.clone(),
            seed: 0,
            commit: None,
            metrics: metrics.into_iter().collect::<BTreeMap<_, _>>(),
        });
    }

    /// The pack's bytes.
    ///
    /// # Errors
    ///
    /// Parts that do not fit together.
    pub fn finish(mut self, name: String) -> anyhow::Result<Vec<u8>> {
        let classes = match (self.classes, self.encoders.first()) {
            (Some(classes), _) => toml::to_string(&classes)?,
            (None, Some(encoder)) if !self.names.is_empty() => toml::to_string(
                &super::names::as_classes(&self.names, encoder.modality, |name| name.to_owned()),
            )?,
            _ => String::new(),
        };
        self.writer.add(CLASSES, classes.into_bytes());
        let mut spaces = Vec::new();
        for (name, anchor, tower) in &self.spaces {
            let mut space = add_words(&mut self.writer, name, anchor)?;
            space.tower.clone_from(tower);
            spaces.push(space);
        }
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name,
            spaces,
            encoders: self.encoders,
            classes: CLASSES.to_owned(),
            provenance: self.provenance,
            members: Vec::new(),
        };
        Ok(self.writer.to_bytes(manifest)?)
    }
}

/// The least cosine of embeddings to those by float weights.
///
/// # Errors
///
/// One that is less than wanted.
pub fn least_of(a: &[Vec<f32>], b: &[Vec<f32>], part: &str, wanted: f32) -> anyhow::Result<f32> {
    let cosines = a.iter().zip(b).map(|(a, b)| cosine(a, b));
    // A cosine that is no number is as bad as can be.
    let least = cosines.fold(1.0f32, |least, c| if c >= least { least } else { c });
    eprintln!("{part}: cosine to float weights at least {least:.6}");
    ensure!(
        least >= wanted,
        "weights as int8 turn an embedding of {part} to a cosine of {least:.6}, expected at least \
         {wanted} (--min-cosine); --quantize none keeps them as they are"
    );
    Ok(least)
}

/// Where a part comes from.
#[derive(Debug, Clone)]
pub struct Told {
    /// What it is, and what was done to it.
    pub binding: String,
    /// What it was trained on.
    pub data: String,
    /// Licence of the weights and of what they were trained on.
    pub licence: String,
    /// What made the pack.
    pub command: String,
}

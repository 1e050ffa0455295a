//! Spaces of encoders that this project trains or reads: those of an ImageBind checkpoint, and those
//! of an earlier training.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use burn::prelude::*;
use burn::tensor::TensorData;
use sensorium_core::feature::{FrontEnd, Image, ImageFrontEnd, ImageSpec};
use sensorium_core::text::{CONTEXT, ClipTokenizer, END_OF_TEXT};
use sensorium_data::{Augmentations, Extractor, Modality, Raw};
use sensorium_engine::text::TextTower;
use sensorium_model::backend::Inference;
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::{Encoder, EncoderConfig, Input, InputConfig, Sense, Tower};
use serde::{Deserialize, Serialize};

use super::Anchor;
use super::space::{AnchorSpace, Identity, centred, pictures, text_model_digest, unit};
use crate::eval::embed_windows;
use crate::recipe::Recipe;
use crate::run::RunDir;

/// The parameters of the space of a checkpoint. Paths are relative to the file that holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// Name of the space.
    pub name: String,
    /// The checkpoint, with ImageBind's names: `.pth` or `.safetensors`.
    pub file: PathBuf,
    /// Dimensions of the encoder of pictures; the published checkpoint's by default.
    #[serde(default = "vision")]
    pub vision: EncoderConfig,
    /// Dimensions of the encoder of texts; the published checkpoint's by default.
    #[serde(default = "text")]
    pub text: EncoderConfig,
    /// What the encoder of pictures is given; as ImageBind has it by default.
    #[serde(default = "ImageSpec::reference")]
    pub image: ImageSpec,
    /// What shows through transparent pixels; without it, transparency is dropped.
    pub background: Option<[u8; 3]>,
}

fn vision() -> EncoderConfig {
    EncoderConfig::reference(Sense::Vision)
}

fn text() -> EncoderConfig {
    EncoderConfig::reference(Sense::Text)
}

/// The parameters of the space of an earlier training. Paths are relative to the file that holds
/// them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Name of the space.
    pub name: String,
    /// The training's folder.
    pub dir: PathBuf,
    /// What shows through transparent pixels; without it, transparency is dropped.
    pub background: Option<[u8; 3]>,
    /// Folder with the text model, for words that are not among the training's.
    pub text_model: Option<PathBuf>,
}

/// An encoder of pictures.
struct VisionTower {
    encoder: Tower<Inference>,
    front_end: ImageFrontEnd,
}

impl VisionTower {
    fn new(encoder: Tower<Inference>, image: &ImageSpec) -> anyhow::Result<Self> {
        let front_end = ImageFrontEnd::new(image).context("image")?;
        let (sense, shape) = (encoder.config().sense(), front_end.output_shape());
        ensure!(
            sense == Sense::Vision,
            "the encoder is of {sense}, expected vision"
        );
        let taken = encoder.config().input_shape();
        ensure!(
            shape == taken,
            "the image front end makes pictures of {shape:?}, expected {taken:?}, the encoder's"
        );
        Ok(Self { encoder, front_end })
    }

    fn embed(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let values = images
            .iter()
            .flat_map(|image| self.front_end.extract(image));
        let shape = self.front_end.output_shape();
        let input = Input::of_shape(values.collect(), &shape, &Default::default());
        rows(self.encoder.embed(input))
    }
}

/// Embeddings, one a row, at length 1.
fn rows(embeddings: Tensor<Inference, 2>) -> anyhow::Result<Vec<Vec<f32>>> {
    let [_, dim] = embeddings.dims();
    let values: Vec<f32> = embeddings.into_data().convert::<f32>().iter().collect();
    values
        .chunks_exact(dim)
        .map(|row| unit(row.to_vec()))
        .collect()
}

/// Both encoders of a checkpoint.
pub struct CheckpointSpace {
    name: String,
    id: String,
    dim: usize,
    vision: VisionTower,
    text: Encoder<Inference>,
    tokenizer: ClipTokenizer,
}

impl CheckpointSpec {
    /// Loads both encoders.
    ///
    /// # Errors
    ///
    /// A file that is missing or has other weights, or dimensions that do not fit each other.
    pub fn open(&self, base: &Path) -> anyhow::Result<CheckpointSpace> {
        let senses = [
            ("vision", &self.vision, Sense::Vision),
            ("text", &self.text, Sense::Text),
        ];
        for (name, config, sense) in senses {
            ensure!(
                config.sense() == sense,
                "{name}.input.sense is {}, expected {sense}",
                config.sense()
            );
        }
        ensure!(
            self.vision.output == self.text.output,
            "vision.output is {}, text.output is {}, expected as many numbers",
            self.vision.output,
            self.text.output
        );
        let InputConfig::Text {
            vocabulary,
            context,
        } = self.text.input
        else {
            anyhow::bail!("text.input is not of texts");
        };
        let words = usize::from(END_OF_TEXT) + 1;
        ensure!(
            context == CONTEXT && vocabulary >= words,
            "text.input has a context of {context} and a vocabulary of {vocabulary}, expected \
             {CONTEXT} and at least {words}, CLIP's"
        );
        let path = base.join(&self.file);
        let load = || -> anyhow::Result<_> {
            let checkpoint = Checkpoint::open(&path)?;
            let encoder = |config: &EncoderConfig| -> anyhow::Result<Encoder<Inference>> {
                Ok(config
                    .init(&Default::default())?
                    .with_weights(&checkpoint)?)
            };
            Ok((encoder(&self.vision)?, encoder(&self.text)?))
        };
        let (vision, text) = load().with_context(|| format!("loading the checkpoint {path:?}"))?;
        let id = Identity::new("checkpoint")
            .file("file", &path)?
            .parameters("dimensions", &(&self.vision, &self.text))?
            .parameters("image", &self.image)?;
        Ok(CheckpointSpace {
            name: self.name.clone(),
            id: id.finish(),
            dim: self.text.output,
            vision: VisionTower::new(Tower::Transformer(vision), &self.image)?,
            text,
            tokenizer: ClipTokenizer::new(),
        })
    }
}

impl AnchorSpace for CheckpointSpace {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn embed_images(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        self.vision.embed(images)
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids = texts.iter().flat_map(|text| self.tokenizer.ids(text));
        let ids: Vec<i64> = ids.map(i64::from).collect();
        let data = TensorData::new(ids, [texts.len(), CONTEXT]);
        let input = Input::Text(Tensor::from_data(data, &Default::default()));
        rows(self.text.forward(input))
    }
}

/// An encoder of another sense than pictures.
struct SenseTower {
    encoder: Tower<Inference>,
    extractor: Extractor,
    sense: Modality,
}

/// What an earlier training made.
#[expect(clippy::large_enum_variant, reason = "there is one in a training")]
enum RunTower {
    Pictures(VisionTower),
    Other(Box<SenseTower>),
}

impl RunTower {
    fn new(encoder: Tower<Inference>, recipe: &Recipe) -> anyhow::Result<Self> {
        if let FrontEnd::Image(image) = &recipe.front_end {
            return Ok(Self::Pictures(VisionTower::new(encoder, image)?));
        }
        let sense = recipe.modality();
        // Nothing is augmented: what is bound to holds still.
        let augmenters = Augmentations::default().check()?;
        Ok(Self::Other(Box::new(SenseTower {
            encoder,
            extractor: Extractor::new(&recipe.front_end, sense, augmenters)?,
            sense,
        })))
    }
}

impl SenseTower {
    fn embed(&self, recordings: &[Raw]) -> anyhow::Result<Vec<Vec<f32>>> {
        let windows = recordings.iter().map(|raw| self.extractor.windows(raw));
        let windows: Vec<Vec<Vec<f32>>> = windows.collect::<Result<_, _>>()?;
        let rows = embed_windows(&self.encoder, &self.extractor.output_shape(), &windows)?;
        rows.into_iter().map(unit).collect()
    }
}

/// An encoder that was trained here, and the words it was bound to.
pub struct RunSpace {
    name: String,
    id: String,
    tower: RunTower,
    anchor: Anchor,
    texts: Option<TextTower>,
}

impl RunSpec {
    /// The space of a training's folder, with no words but its own.
    pub fn of(dir: &Path) -> Self {
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            dir: dir.to_owned(),
            background: None,
            text_model: None,
        }
    }

    /// Loads the encoder and its words.
    ///
    /// # Errors
    ///
    /// A folder of no training, or a text model that is not the training's.
    pub fn open(&self, base: &Path) -> anyhow::Result<RunSpace> {
        let dir = base.join(&self.dir);
        let run = RunDir::open(&dir)?;
        let anchor = run.anchor()?;
        let encoder = run.encoder::<Inference>(&Default::default())?;
        let recipe = run.recipe()?;
        let output = encoder.config().output();
        ensure!(
            recipe.trunk.is_none(),
            "{dir:?}: its encoder is on a trunk, expected one that is given what its front end makes"
        );
        let tower = RunTower::new(encoder, &recipe).with_context(|| format!("{dir:?}"))?;
        ensure!(
            output == anchor.dim(),
            "{dir:?}: the encoder gives {output} numbers, expected {}, its words'",
            anchor.dim()
        );
        let mut id = Identity::new("run")
            .file("weights", &run.path("checkpoint.safetensors"))?
            .parameters("front_end", &recipe.front_end)?;
        id = id.file("anchor", &run.path("anchor.safetensors"))?;
        let texts = match &self.text_model {
            None => None,
            Some(dir) => {
                let dir = base.join(dir);
                let tower = TextTower::open(&dir).context("text_model")?;
                let made = anchor.ensure_made_by(&tower);
                made.with_context(|| format!("text_model {dir:?}"))?;
                id = id.bytes("text_model", text_model_digest(&dir)?.as_bytes());
                Some(tower)
            }
        };
        Ok(RunSpace {
            name: self.name.clone(),
            id: id.finish(),
            tower,
            anchor,
            texts,
        })
    }
}

impl AnchorSpace for RunSpace {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.anchor.dim()
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn sense(&self) -> Modality {
        match &self.tower {
            RunTower::Pictures(_) => Modality::Image,
            RunTower::Other(tower) => tower.sense,
        }
    }

    fn embed_images(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        match &self.tower {
            RunTower::Pictures(vision) => vision.embed(images),
            RunTower::Other(tower) => {
                anyhow::bail!("{:?} embeds {}, not pictures", self.name, tower.sense)
            }
        }
    }

    fn embed(&self, recordings: Vec<Raw>) -> anyhow::Result<Vec<Vec<f32>>> {
        match &self.tower {
            RunTower::Pictures(vision) => vision.embed(&pictures(recordings)?),
            RunTower::Other(tower) => tower.embed(&recordings),
        }
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        let embed = |text: &&str| -> anyhow::Result<Vec<f32>> {
            match &self.texts {
                Some(tower) if !self.anchor.prompts.iter().any(|known| known == text) => {
                    centred(&tower.embed(&[text])?.remove(0), &self.anchor.centre)
                }
                _ => self.anchor.class(&[(*text).to_owned()]),
            }
        };
        texts.iter().map(embed).collect()
    }
}

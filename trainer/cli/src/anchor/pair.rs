//! Spaces of any two ONNX files, one of pictures and one of texts: exports of CLIP, OpenCLIP,
//! MobileCLIP, SigLIP and the like.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sensorium_core::feature::{Image, ImageSpec, Pooling};
use serde::{Deserialize, Serialize};

use super::model::Output;
use super::space::{AnchorSpace, Identity, unit};
use super::token::TokenizerSpec;
use super::tower::{ImageTower, WordTower};

/// The parameters of such a space. Paths are relative to the file that holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairSpec {
    /// Name of the space.
    pub name: String,
    /// The tower of pictures, ONNX.
    pub image_model: PathBuf,
    /// Which of its outputs, if it has several.
    pub image_output: Option<Output>,
    /// What is made of it.
    #[serde(default)]
    pub image_pooling: Pooling,
    /// What it is given.
    pub image: ImageSpec,
    /// What shows through transparent pixels; without it, transparency is dropped.
    pub background: Option<[u8; 3]>,
    /// The tower of texts, ONNX.
    pub text_model: PathBuf,
    /// Which of its outputs, if it has several.
    pub text_output: Option<Output>,
    /// What is made of it.
    #[serde(default)]
    pub text_pooling: Pooling,
    /// What makes numbers of texts.
    pub tokenizer: TokenizerSpec,
}

/// Two towers.
pub struct Pair {
    name: String,
    dim: usize,
    id: String,
    images: ImageTower,
    texts: WordTower,
}

impl PairSpec {
    /// Loads both towers.
    ///
    /// # Errors
    ///
    /// Files that are missing or do not fit the parameters, or each other.
    pub fn open(&self, base: &Path) -> anyhow::Result<Pair> {
        let image_model = base.join(&self.image_model);
        let text_model = base.join(&self.text_model);
        let output = self.image_output.as_ref();
        let (images, dim) = ImageTower::open(&image_model, &self.image, output, self.image_pooling)
            .context("image_model")?;
        let tokenizer = self.tokenizer.open(base).context("tokenizer")?;
        let output = self.text_output.as_ref();
        let (texts, words) = WordTower::open(&text_model, tokenizer, output, self.text_pooling)
            .context("text_model")?;
        ensure!(
            dim == words,
            "the towers do not meet: {image_model:?} gives {dim} numbers a picture, {text_model:?} \
             {words} a text, expected as many"
        );
        let identity = Identity::new("onnx")
            .bytes("image_model", images.digest().as_bytes())
            .parameters(
                "image",
                &(&self.image, &self.image_output, self.image_pooling),
            )?
            .bytes("text_model", texts.digest().as_bytes())
            .parameters("text", &(&self.text_output, self.text_pooling))?;
        Ok(Pair {
            name: self.name.clone(),
            dim,
            id: self.tokenizer.identify(identity, base)?.finish(),
            images,
            texts,
        })
    }
}

impl AnchorSpace for Pair {
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
        self.images.vectors(images)?.into_iter().map(unit).collect()
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        self.texts.vectors(texts)?.into_iter().map(unit).collect()
    }
}

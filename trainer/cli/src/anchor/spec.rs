//! The file that says what a space is made of.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sensorium_core::feature::Image;
use sensorium_engine::keys::from_toml;
use sensorium_media::picture;
use serde::{Deserialize, Serialize};

use super::cache::AnchorCache;
use super::checkpoint::{CheckpointSpec, RunSpec};
use super::conse::ConseSpec;
use super::pair::PairSpec;
use super::space::AnchorSpace;

/// Where what a space is made of lies.
#[derive(Debug, Clone, Copy)]
pub struct Folders<'a> {
    /// The folder of the file that says what it is made of.
    pub base: &'a Path,
    /// The folder with the data sets.
    pub data: Option<&'a Path>,
    /// Folder with the text model, instead of the one that the file names.
    pub text_model: Option<&'a Path>,
}

impl Folders<'_> {
    /// A file, beside the one that names it or, if it is not there, among the data sets.
    pub fn find(&self, path: &Path) -> PathBuf {
        let beside = self.base.join(path);
        let among = self.data.map(|data| data.join(path));
        among
            .filter(|among| !beside.exists() && among.exists())
            .unwrap_or(beside)
    }
}

/// The parameters of a space, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AnchorSpec {
    /// A classifier of pictures, joined to a text model by the names of its categories.
    Conse(ConseSpec),
    /// Two ONNX files, one of pictures and one of texts.
    Onnx(PairSpec),
    /// A checkpoint's own towers of pictures and texts.
    Checkpoint(CheckpointSpec),
    /// An earlier training of an encoder of pictures.
    Run(RunSpec),
}

impl AnchorSpec {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that is missing, or says something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
        from_toml(&text).with_context(|| format!("{path:?}"))
    }

    /// Loads the space; what loading has to embed is kept in the cache.
    ///
    /// # Errors
    ///
    /// A file that is missing or does not fit.
    pub fn open(
        &self,
        at: &Folders<'_>,
        cache: &AnchorCache,
    ) -> anyhow::Result<Box<dyn AnchorSpace>> {
        Ok(match self {
            Self::Conse(spec) => Box::new(spec.open(at, cache)?),
            Self::Onnx(spec) => Box::new(spec.open(at.base)?),
            Self::Checkpoint(spec) => Box::new(spec.open(at.base)?),
            Self::Run(spec) => Box::new(spec.open(at.base)?),
        })
    }

    /// Reads a picture as the space is given them.
    ///
    /// # Errors
    ///
    /// A file that is missing or no picture.
    pub fn picture(&self, path: &Path) -> anyhow::Result<Image<3>> {
        let background = match self {
            Self::Conse(spec) => spec.background,
            Self::Onnx(spec) => spec.background,
            Self::Checkpoint(spec) => spec.background,
            Self::Run(spec) => spec.background,
        };
        Ok(match background {
            Some(background) => picture::open_rgb_over(path, background)?,
            None => picture::open_rgb(path)?,
        })
    }
}

/// The space of a file that says what it is made of, or of the folder of an earlier training.
///
/// # Errors
///
/// Those of [`AnchorSpec::read`] and [`AnchorSpec::open`].
pub fn open_space(
    path: &Path,
    data: &Path,
    text_model: Option<&Path>,
    cache: &AnchorCache,
) -> anyhow::Result<Box<dyn AnchorSpace>> {
    if path.is_dir() {
        return Ok(Box::new(RunSpec::of(path).open(Path::new(""))?));
    }
    let at = Folders {
        base: path.parent().unwrap_or(Path::new("")),
        data: Some(data),
        text_model,
    };
    AnchorSpec::read(path)?
        .open(&at, cache)
        .with_context(|| format!("{path:?}"))
}

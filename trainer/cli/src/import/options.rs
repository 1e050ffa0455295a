//! What all imports of ONNX files may be told.

use std::path::PathBuf;

use anyhow::Context;
use sensorium_engine::classes::Classes;

use super::contents::Weights;
use crate::quantize::Quantize;

/// What is said of an import besides its source.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How weights are written.
    #[arg(long, value_enum, default_value_t = Quantize::None)]
    pub quantize: Quantize,
    /// The least cosine of an embedding by int8 weights to that by float weights.
    #[arg(long, value_name = "COSINE", default_value_t = 0.99)]
    pub min_cosine: f32,
    /// The pack's default classes.
    #[arg(long, value_name = "C.toml")]
    pub classes: Option<PathBuf>,
    /// What it was trained on.
    #[arg(long, value_name = "TEXT", default_value = "not stated")]
    pub data: String,
    /// Licence of the weights and of what they were trained on, as the manifest tells it [default: what
    /// the folder's README.md says].
    #[arg(long, value_name = "TEXT")]
    pub licence: Option<String>,
    /// The pack's name [default: the source's].
    #[arg(long)]
    pub name: Option<String>,
    /// Where the pack goes.
    #[arg(long, value_name = "FILE.pack")]
    pub out: PathBuf,
}

impl Options {
    /// How weights are written, and what they may cost.
    pub fn weights(&self) -> Weights {
        Weights {
            quantize: self.quantize,
            min_cosine: self.min_cosine,
        }
    }

    /// The default classes, if any are given.
    ///
    /// # Errors
    ///
    /// A file that is missing or not understood.
    pub fn classes(&self) -> anyhow::Result<Option<Classes>> {
        let Some(path) = &self.classes else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
        let classes = Classes::parse(&text).with_context(|| format!("{path:?}"))?;
        Ok(Some(classes))
    }

    /// The licence that was said, or that a source says of itself.
    pub fn licence_or(&self, own: Option<String>) -> String {
        let said = self.licence.clone().or(own);
        said.unwrap_or_else(|| "not stated: ask who published the weights".to_owned())
    }
}

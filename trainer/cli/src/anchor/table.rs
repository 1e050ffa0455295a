//! The file that embedded pictures and texts go into.

use std::path::Path;

use sensorium_model::weights::Weights;
use serde::{Deserialize, Serialize};

/// Embeddings of pictures and texts in one space.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What they are.
    pub index: Index,
    /// Numbers in an embedding.
    pub dim: usize,
    /// Of the pictures, one after the other.
    pub image_rows: Vec<f32>,
    /// Of the texts, one after the other.
    pub text_rows: Vec<f32>,
}

/// What does not fit into an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Name of the space.
    pub space: String,
    /// Its identity.
    pub id: String,
    /// The pictures, as they were named.
    pub images: Vec<String>,
    /// The texts.
    pub texts: Vec<String>,
}

const INDEX: &str = "anchors";
const IMAGE_ROWS: &str = "images";
const TEXT_ROWS: &str = "texts";

impl Table {
    /// Writes a file, all of it or nothing: `images` `[n, dim]` and `texts` `[m, dim]`, those that
    /// there are, and what they are as JSON in the metadata under `anchors`. Equal tables give equal
    /// bytes.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut weights = Weights::new();
        let arrays = [
            (IMAGE_ROWS, &self.index.images, &self.image_rows),
            (TEXT_ROWS, &self.index.texts, &self.text_rows),
        ];
        for (name, items, rows) in arrays {
            if !items.is_empty() {
                weights.insert(name, &[items.len(), self.dim], rows.clone());
            }
        }
        weights.set_metadata(INDEX, serde_json::to_string(&self.index)?);
        Ok(weights.write(path)?)
    }
}

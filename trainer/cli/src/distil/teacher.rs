//! The tower that teaches, past a cache.

use std::path::Path;

use anyhow::{Context, bail};
use rayon::prelude::*;
use sensorium_core::feature::Image;
use sensorium_engine::text::TextTower;

use crate::anchor::cache::AnchorCache;
use crate::anchor::embed::Embedder;
use crate::anchor::space::{AnchorSpace, text_model_digest, unit};

/// A sentence encoder: a space of words alone, not centred.
pub struct Teacher {
    name: String,
    id: String,
    tower: TextTower,
}

impl Teacher {
    /// Opens a folder with `model.onnx` and `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// A folder that holds no text tower.
    pub fn open(name: &str, dir: &Path) -> anyhow::Result<Self> {
        let tower = TextTower::open(dir);
        Ok(Self {
            name: name.to_owned(),
            id: text_model_digest(dir)?,
            tower: tower.with_context(|| format!("opening the text model {dir:?}"))?,
        })
    }

    /// One embedding a text, one after the other; those that the cache has are not computed.
    ///
    /// # Errors
    ///
    /// A text that cannot be embedded, or a cache that cannot be used.
    pub fn rows(&self, texts: &[&str], cache: &AnchorCache) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut embedder = Embedder::new(self, cache)?;
        let rows = embedder.texts(texts)?;
        let counts = embedder.counts();
        eprintln!(
            "{} texts by {}: {} were in the cache, {} computed",
            texts.len(),
            self.name,
            counts.hits,
            counts.misses
        );
        Ok(rows)
    }
}

impl AnchorSpace for Teacher {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.tower.dim()
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn embed_images(&self, _images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        bail!("{} embeds texts, not pictures", self.name)
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        // A part a thread, each large enough that many of its texts are of the same length.
        let part = texts.len().div_ceil(rayon::current_num_threads()).max(1);
        let rows = texts.par_chunks(part).map(|texts| {
            let rows = self.tower.embed_many(texts)?.into_iter().zip(texts);
            let rows = rows.map(|(row, text)| unit(row).with_context(|| format!("text {text:?}")));
            rows.collect::<anyhow::Result<Vec<_>>>()
        });
        Ok(rows.collect::<anyhow::Result<Vec<_>>>()?.concat())
    }
}

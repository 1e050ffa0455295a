//! Pictures and texts through a space, past the cache.

use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;
use sensorium_core::feature::Image;

use super::cache::{AnchorCache, Counts, Key, Store};
use super::space::AnchorSpace;
use crate::progress;

/// Pictures that are in memory at once; the largest that are read take 0.2 GB each.
const PICTURES: usize = 16;

/// Texts that are embedded between two writes to the cache.
const TEXTS: usize = 1024;

/// A space whose embeddings are computed once.
pub struct Embedder<'a> {
    space: &'a dyn AnchorSpace,
    store: Store,
}

impl<'a> Embedder<'a> {
    /// A space before a cache.
    ///
    /// # Errors
    ///
    /// A cache that cannot be used.
    pub fn new(space: &'a dyn AnchorSpace, cache: &AnchorCache) -> anyhow::Result<Self> {
        let store = cache.store(&space.id(), space.dim())?;
        Ok(Self { space, store })
    }

    /// What the cache was good for.
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// One embedding a picture, in their order; `read` decodes one.
    ///
    /// # Errors
    ///
    /// A picture that cannot be read or embedded; those before it are kept.
    pub fn images<P: AsRef<Path> + Sync>(
        &mut self,
        paths: &[P],
        read: impl Fn(&Path) -> anyhow::Result<Image<3>> + Sync,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let bar = progress::bar(paths.len() as u64, "pictures");
        let mut embeddings = Vec::with_capacity(paths.len());
        for batch in paths.chunks(PICTURES) {
            let pictures = batch.par_iter().map(|path| read(path.as_ref()));
            let pictures = pictures.collect::<anyhow::Result<Vec<_>>>()?;
            let keys: Vec<Key> = pictures.par_iter().map(Key::of_image).collect();
            let mut pictures: Vec<Option<Image<3>>> = pictures.into_iter().map(Some).collect();
            let space = self.space;
            let rows = self.store.complete(&keys, |missing| {
                let missing: Vec<Image<3>> = missing
                    .iter()
                    .filter_map(|place| pictures[*place].take())
                    .collect();
                space.embed_images(&missing)
            });
            let (first, last) = (batch.first(), batch.last());
            let ends = [first, last].map(|path| path.map(AsRef::as_ref));
            embeddings.extend(rows.with_context(|| format!("embedding the pictures {ends:?}"))?);
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        Ok(embeddings)
    }

    /// One embedding a text, in their order.
    ///
    /// # Errors
    ///
    /// A text that cannot be embedded; those of batches before are kept.
    pub fn texts(&mut self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        let bar = progress::bar(texts.len() as u64, "texts");
        let mut embeddings = Vec::with_capacity(texts.len());
        for batch in texts.chunks(TEXTS) {
            let keys: Vec<Key> = batch.iter().map(|text| Key::of_text(text)).collect();
            let space = self.space;
            embeddings.extend(self.store.complete(&keys, |missing| {
                let missing: Vec<&str> = missing.iter().map(|place| batch[*place]).collect();
                space.embed_texts(&missing)
            })?);
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        Ok(embeddings)
    }
}

//! The encoder of a pack, frozen: what another encoder of its sense learns from.

use std::path::Path;

use anyhow::{Context, ensure};
use rayon::prelude::*;
use sensorium_core::bank::normalize;
use sensorium_core::feature::Image;
use sensorium_data::{Augmentations, Extractor, Modality, Raw};
use sensorium_engine::encode::Encoder;
use sensorium_engine::space::Space;
use sensorium_kernels::dot_f32;
use sensorium_pack::Pack;

use super::Anchor;
use super::space::{AnchorSpace, Identity, unit};
use crate::recipe::Recipe;

/// Cosine of a phrase's vectors from which two spaces are one: text models of one kind differ by
/// rounding.
const SAME_SPACE_COSINE: f32 = 0.99;

/// An encoder of a pack, and the words that the pack knows.
#[derive(Debug)]
pub struct PackSpace {
    id: String,
    encoder: Encoder,
    extractor: Extractor,
    space: Space,
}

impl PackSpace {
    /// The encoder for a recipe's sense, which has to lie in the space of the recipe's words.
    ///
    /// # Errors
    ///
    /// A file that is no pack, has no such encoder, or whose space is another.
    pub fn open(path: &Path, recipe: &Recipe, anchor: &Anchor) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Self> {
            let pack = Pack::open(path)?;
            let sense = recipe.modality();
            let encoder = Encoder::load(&pack, sense)?;
            let space = Space::load(&pack, encoder.space())?;
            same_space(&space, anchor)?;
            let entry = pack.manifest().encoder(sense);
            let entry = entry.with_context(|| format!("there is no encoder of {sense}"))?;
            // Nothing is augmented: what is learned from holds still.
            let augmenters = Augmentations::default().check()?;
            Ok(Self {
                id: Identity::new("pack").file("pack", path)?.finish(),
                extractor: Extractor::new(&entry.front_end, sense, augmenters)?,
                encoder,
                space,
            })
        };
        open().with_context(|| format!("the teacher {path:?}"))
    }

    /// The vectors of all phrases that the pack knows, one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`Space::class_vector`].
    pub fn words(&self) -> anyhow::Result<Vec<f32>> {
        let phrases = self.space.phrases().map(str::to_owned);
        let vectors = phrases.map(|phrase| self.space.class_vector(&[phrase]));
        Ok(vectors.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn embed_one(&self, raw: &Raw) -> anyhow::Result<Vec<f32>> {
        let mut sum = vec![0.0; self.encoder.dim()];
        for features in self.extractor.windows(raw)? {
            let embedding = self.encoder.run(&features)?;
            for (sum, value) in sum.iter_mut().zip(embedding) {
                *sum += value;
            }
        }
        unit(sum)
    }
}

/// Whether the pack's words are the recipe's: a phrase that both know lies at the same place.
fn same_space(space: &Space, anchor: &Anchor) -> anyhow::Result<()> {
    ensure!(
        space.dim() == anchor.dim(),
        "its space has {} dimensions, expected {}, those of the recipe's words",
        space.dim(),
        anchor.dim()
    );
    let known = |phrase: &&str| anchor.prompts.iter().any(|prompt| prompt == phrase);
    let phrase = space.phrases().find(known);
    let phrase = phrase.context("it knows none of the recipe's phrases; make it with the same")?;
    let prompts = [phrase.to_owned()];
    let (mut own, mut other) = (anchor.class(&prompts)?, space.class_vector(&prompts)?);
    normalize(&mut own);
    normalize(&mut other);
    let cosine = dot_f32(&own, &other);
    ensure!(
        cosine >= SAME_SPACE_COSINE,
        "it lies in another space: {phrase:?} has a cosine of {cosine:.3} to the recipe's; make it \
         with the same text model and phrases"
    );
    Ok(())
}

impl AnchorSpace for PackSpace {
    fn name(&self) -> &str {
        self.space.name()
    }

    fn dim(&self) -> usize {
        self.encoder.dim()
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn embed_images(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        self.embed(images.iter().cloned().map(Raw::Image).collect())
    }

    fn sense(&self) -> Modality {
        self.encoder.modality()
    }

    fn embed(&self, recordings: Vec<Raw>) -> anyhow::Result<Vec<Vec<f32>>> {
        let rows = recordings.par_iter().map(|raw| self.embed_one(raw));
        rows.collect()
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        let vector = |text: &&str| Ok(self.space.class_vector(&[(*text).to_owned()])?);
        texts.iter().map(vector).collect()
    }
}

//! ConSE (Norouzi et al. 2014): a classifier of pictures and a model of sentences, joined without
//! training by the names of the classifier's categories.
//!
//! ```text
//! picture ─classifier─▶ k likeliest categories ─▶ sum of probability x text(name) ─▶ − centre ─▶ L2
//! text ────────────────────────────────────────────────────────▶ text(words) ─▶ − centre ─▶ L2
//! ```
//!
//! The centre is the mean over the names of all categories.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rayon::prelude::*;
use sensorium_core::feature::{Image, ImageSpec};
use sensorium_engine::text::TextTower;
use serde::{Deserialize, Serialize};

use super::cache::{AnchorCache, Key};
use super::model::{Output, Pooling};
use super::space::{AnchorSpace, Identity, centred, text_model_digest};
use super::tower::ImageTower;

/// Names of categories that are embedded between two writes to the cache.
const PROMPTS: usize = 64;

/// What stands for the name of a category in the template.
const PLACE: &str = "{}";

/// The parameters of such a space. Paths are relative to the file that holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConseSpec {
    /// Name of the space.
    pub name: String,
    /// The classifier, ONNX.
    pub image_model: PathBuf,
    /// Its logits, if it has several outputs.
    pub logits: Option<Output>,
    /// What it is given.
    pub image: ImageSpec,
    /// What shows through transparent pixels; without it, transparency is dropped.
    pub background: Option<[u8; 3]>,
    /// Names of its categories, a line each, in the order of the logits.
    pub categories: PathBuf,
    /// Folder with the text model: model.onnx and tokenizer.json.
    pub text_model: PathBuf,
    /// The sentence that names a category; `{}` is where its name goes.
    #[serde(default = "template")]
    pub template: String,
    /// Categories that a picture is made of.
    #[serde(default = "top_k")]
    pub top_k: usize,
}

fn template() -> String {
    "a photo of a {}".to_owned()
}

fn top_k() -> usize {
    10
}

/// A classifier and a model of sentences.
pub struct Conse {
    name: String,
    id: String,
    classifier: ImageTower,
    texts: TextTower,
    top_k: usize,
    /// Of the categories, one after the other, as the text model gives them.
    rows: Vec<Vec<f32>>,
    centre: Vec<f32>,
}

impl ConseSpec {
    /// Loads both models, and embeds the names of the categories unless the cache has them.
    ///
    /// # Errors
    ///
    /// Files that are missing or do not fit the parameters, or each other.
    pub fn open(&self, base: &Path, cache: &AnchorCache) -> anyhow::Result<Conse> {
        let image_model = base.join(&self.image_model);
        let path = base.join(&self.categories);
        let list = std::fs::read_to_string(&path)
            .with_context(|| format!("reading the categories {path:?}"))?;
        let categories: Vec<&str> = list.lines().map(str::trim).collect();
        if let Some(line) = categories.iter().position(|name| name.is_empty()) {
            anyhow::bail!("{path:?}, line {}: no name, expected one a line", line + 1);
        }
        ensure!(
            self.template.matches(PLACE).count() == 1,
            "template is {:?}, expected one {PLACE} where the name goes",
            self.template
        );
        let output = self.logits.as_ref();
        let (classifier, logits) =
            ImageTower::open(&image_model, &self.image, output, Pooling::None)
                .context("image_model")?;
        ensure!(
            categories.len() == logits,
            "{path:?} names {} categories, expected {logits}, the logits of {image_model:?}",
            categories.len()
        );
        ensure!(
            (1..=logits).contains(&self.top_k),
            "top_k is {}, expected 1 to {logits}, the number of categories",
            self.top_k
        );
        let dir = base.join(&self.text_model);
        let texts = TextTower::open(&dir).context("text_model")?;
        let text_model = text_model_digest(&dir)?;
        let prompts: Vec<String> = categories
            .iter()
            .map(|name| self.template.replace(PLACE, name))
            .collect();
        let mut store = cache.store(&text_model, texts.dim())?;
        let mut rows = Vec::with_capacity(prompts.len());
        // Some at a time, so that a break loses little.
        for prompts in prompts.chunks(PROMPTS) {
            let keys: Vec<Key> = prompts.iter().map(|prompt| Key::of_text(prompt)).collect();
            rows.extend(store.complete(&keys, |missing| {
                let missing = missing.par_iter();
                let rows = missing.map(|place| Ok(texts.embed(&[&prompts[*place]])?.remove(0)));
                rows.collect()
            })?);
        }
        let centre = mean(&rows, texts.dim());
        let id = Identity::new("conse")
            .bytes("classifier", classifier.digest().as_bytes())
            .parameters("image", &(&self.image, &self.logits))?
            .bytes("text_model", text_model.as_bytes())
            .parameters("categories", &prompts)?
            .parameters("top_k", &self.top_k)?;
        Ok(Conse {
            name: self.name.clone(),
            id: id.finish(),
            classifier,
            texts,
            top_k: self.top_k,
            rows,
            centre,
        })
    }
}

impl AnchorSpace for Conse {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.centre.len()
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn embed_images(&self, images: &[Image<3>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let logits = self.classifier.vectors(images)?;
        let embed = |logits: Vec<f32>| centred(&self.mixture(&logits), &self.centre);
        logits.into_iter().map(embed).collect()
    }

    fn embed_texts(&self, texts: &[&str]) -> anyhow::Result<Vec<Vec<f32>>> {
        let rows: Vec<Vec<f32>> = texts
            .par_iter()
            .map(|text| Ok(self.texts.embed(&[text])?.remove(0)))
            .collect::<anyhow::Result<_>>()?;
        rows.iter().map(|row| centred(row, &self.centre)).collect()
    }
}

impl Conse {
    /// The rows of the likeliest categories, each by its probability among all.
    fn mixture(&self, logits: &[f32]) -> Vec<f32> {
        let mut mixture = vec![0.0f64; self.centre.len()];
        for (category, probability) in likeliest(logits, self.top_k) {
            for (sum, value) in mixture.iter_mut().zip(&self.rows[category]) {
                *sum += probability * f64::from(*value);
            }
        }
        mixture.into_iter().map(|value| value as f32).collect()
    }
}

/// The `k` likeliest categories with their probabilities; of equals, the first.
fn likeliest(logits: &[f32], k: usize) -> Vec<(usize, f64)> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let weight = |logit: &f32| f64::from(logit - largest).exp();
    let sum: f64 = logits.iter().map(weight).sum();
    let mut places: Vec<usize> = (0..logits.len()).collect();
    places.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let chosen = places.into_iter().take(k);
    chosen
        .map(|place| (place, weight(&logits[place]) / sum))
        .collect()
}

fn mean(rows: &[Vec<f32>], dim: usize) -> Vec<f32> {
    let column = |i: usize| rows.iter().map(|row| f64::from(row[i])).sum::<f64>();
    (0..dim)
        .map(|i| (column(i) / rows.len() as f64) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first_with_their_share_of_all() {
        let ln = |p: f32| p.ln() + 3.0;
        let found = likeliest(&[ln(0.1), ln(0.5), ln(0.15), ln(0.25)], 2);
        assert_eq!(
            found.iter().map(|(place, _)| *place).collect::<Vec<_>>(),
            [1, 3]
        );
        assert!((found[0].1 - 0.5).abs() < 1e-6 && (found[1].1 - 0.25).abs() < 1e-6);
        let equal = likeliest(&[1.0; 4], 2);
        assert_eq!(equal, [(0, 0.25), (1, 0.25)]);
    }

    #[test]
    fn the_mean_is_that_of_each_column() {
        assert_eq!(mean(&[vec![1.0, 2.0], vec![3.0, 6.0]], 2), [2.0, 4.0]);
    }
}

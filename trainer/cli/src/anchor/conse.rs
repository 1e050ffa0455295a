//! ConSE (Norouzi et al. 2014): a classifier of pictures and a model of sentences, joined without
//! training by the names of the classifier's categories.
//!
//! ```text
//! picture ─classifier─▶ k likeliest categories ─▶ sum of probability x text(name) ─▶ − centre ─▶ L2
//! text ────────────────────────────────────────────────────────▶ text(words) ─▶ − centre ─▶ L2
//! ```
//!
//! The centre is the mean over the names of all categories or, for a space that encoders share, over
//! its phrases.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rayon::prelude::*;
use sensorium_core::feature::{Image, ImageSpec, Pooling};
use sensorium_engine::text::TextTower;
use sensorium_pack::{DataSet, Scoring};
use serde::{Deserialize, Serialize};

use super::Anchor;
use super::cache::{AnchorCache, Key, Store};
use super::list;
use super::model::Output;
use super::space::{AnchorSpace, Identity, centred, file_digest, text_model_digest};
use super::spec::Folders;
use super::tower::ImageTower;
use crate::export::normalised;
use crate::graft::{beside, graft};
use crate::onnx::{Attribute, Graph};
use crate::recipe::Class;

/// Names and phrases that are embedded between two writes to the cache.
const PROMPTS: usize = 64;

/// What stands for the name of a category in the template.
const PLACE: &str = "{}";

/// The parameters of such a space. Paths are relative to the file that holds them or, if nothing is
/// there, to the folder with the data sets.
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
    /// File with a phrase a line, whose mean embedding is the centre; by default that of the names
    /// of all categories.
    pub phrases: Option<PathBuf>,
    /// The sentence that names a category; `{}` is where its name goes.
    #[serde(default = "template")]
    pub template: String,
    /// Categories that a picture is made of.
    #[serde(default = "top_k")]
    pub top_k: usize,
    /// What a pack says of the tower of pictures, if it takes it.
    pub tower: Option<TowerSpec>,
}

/// What a pack says of a tower of pictures that nothing was trained for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerSpec {
    /// Its name.
    pub name: String,
    /// Name of the text model.
    pub text_model: String,
    /// What both nets were trained on, and their terms.
    pub data: Vec<DataSet>,
    /// How its cosines become scores.
    pub scoring: Scoring,
    /// What it tells apart without being asked.
    #[serde(rename = "class")]
    pub classes: Vec<Class>,
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
    /// The classifier's file, and its output.
    file: (PathBuf, Option<Output>),
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
    pub fn open(&self, at: &Folders<'_>, cache: &AnchorCache) -> anyhow::Result<Conse> {
        let image_model = at.find(&self.image_model);
        let path = at.find(&self.categories);
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
        let dir = match at.text_model {
            Some(dir) => dir.to_owned(),
            None => at.find(&self.text_model),
        };
        let texts = TextTower::open(&dir).context("text_model")?;
        let text_model = text_model_digest(&dir)?;
        let prompts: Vec<String> = categories
            .iter()
            .map(|name| self.template.replace(PLACE, name))
            .collect();
        let mut store = cache.store(&text_model, texts.dim())?;
        let rows = embedded(&texts, &prompts, &mut store)?;
        let (centre, phrases) = match &self.phrases {
            None => (mean(&rows, texts.dim()), None),
            Some(phrases) => {
                let path = at.find(phrases);
                let phrases = list::lines(&path)?;
                ensure!(!phrases.is_empty(), "{path:?} holds no phrase");
                let rows = embedded(&texts, &phrases, &mut store)?;
                (mean(&rows, texts.dim()), Some(phrases))
            }
        };
        let id = Identity::new("conse")
            .bytes("classifier", classifier.digest().as_bytes())
            .parameters("image", &(&self.image, &self.logits))?
            .bytes("text_model", text_model.as_bytes())
            .parameters("categories", &prompts)?
            .parameters("top_k", &self.top_k)?;
        let id = match &phrases {
            None => id,
            Some(phrases) => id.parameters("phrases", phrases)?,
        };
        Ok(Conse {
            name: self.name.clone(),
            id: id.finish(),
            classifier,
            texts,
            top_k: self.top_k,
            file: (image_model, self.logits.clone()),
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

    fn embed_inputs(&self, inputs: &[Vec<f32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let embed = |values: &Vec<f32>| {
            let logits = self.classifier.vector_of(values)?;
            centred(&self.mixture(&logits), &self.centre)
        };
        inputs.par_iter().map(embed).collect()
    }

    fn beside(&self, net: &Path, output: Option<&Output>) -> anyhow::Result<Vec<u8>> {
        let (path, logits) = &self.file;
        let bytes = std::fs::read(net).with_context(|| format!("reading {net:?}"))?;
        ensure!(
            file_digest(path)? == file_digest(net)?,
            "it is not {path:?}, which {:?} is made of",
            self.name
        );
        Ok(beside(&bytes, output, logits.as_ref(), &self.head()?)?)
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
    /// The tower of pictures as one ONNX file: the classifier, and what makes embeddings of its
    /// logits.
    ///
    /// # Errors
    ///
    /// A space whose pictures are made of some categories only, or a classifier that nothing can be
    /// added to.
    pub fn to_onnx(&self) -> anyhow::Result<Vec<u8>> {
        let (path, output) = &self.file;
        let classifier = std::fs::read(path).with_context(|| format!("reading {path:?}"))?;
        graft(&classifier, output.as_ref(), &self.head()?).with_context(|| format!("{path:?}"))
    }

    /// From logits to embeddings, as an ONNX file.
    fn head(&self) -> anyhow::Result<Vec<u8>> {
        let (categories, dim) = (self.rows.len(), self.centre.len());
        ensure!(
            self.top_k == categories,
            "top_k is {}, expected {categories}, all categories: a file mixes all of them",
            self.top_k
        );
        let mut graph = Graph::new();
        let last = [("axis", Attribute::Int(-1))];
        let shares = graph.node("Softmax", "categories", &["logits"], &last);
        // Shares sum to 1, so that the centre may as well be taken off before.
        let centred = self
            .rows
            .iter()
            .map(|row| std::iter::zip(row, &self.centre));
        let centred: Vec<f32> = centred.flatten().map(|(v, c)| v - c).collect();
        let rows = graph.floats("category_rows", &[categories, dim], &centred);
        let mixture = graph.node("MatMul", "mixture", &[&shares, &rows], &[]);
        let embedding = normalised(&mut graph, &mixture);
        Ok(graph.to_bytes("conse", ("logits", &[categories]), (&embedding, &[dim])))
    }

    /// The words of the space: some phrases as the text model has them, and the centre.
    ///
    /// # Errors
    ///
    /// A text model that fails on one.
    pub fn words(&self, text_model: &str, prompts: &[String]) -> anyhow::Result<Anchor> {
        let rows = prompts
            .iter()
            .map(|prompt| Ok(self.texts.embed(&[prompt])?.remove(0)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Anchor {
            text_model: text_model.to_owned(),
            prompts: prompts.to_vec(),
            rows: rows.concat(),
            centre: self.centre.clone(),
        })
    }

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

/// The rows of texts, which the cache keeps; some at a time, so that a break loses little.
fn embedded(
    texts: &TextTower,
    prompts: &[String],
    store: &mut Store,
) -> anyhow::Result<Vec<Vec<f32>>> {
    let mut rows = Vec::with_capacity(prompts.len());
    for prompts in prompts.chunks(PROMPTS) {
        let keys: Vec<Key> = prompts.iter().map(|prompt| Key::of_text(prompt)).collect();
        rows.extend(store.complete(&keys, |missing| {
            let missing = missing.par_iter();
            let rows = missing.map(|place| Ok(texts.embed(&[&prompts[*place]])?.remove(0)));
            rows.collect()
        })?);
    }
    Ok(rows)
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

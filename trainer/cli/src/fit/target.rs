//! What samples are bound to, and the loss of a batch of them.

use anyhow::ensure;
use burn::prelude::*;
use burn::tensor::{TensorData, activation};
use sensorium_core::bank::normalize;
use sensorium_kernels::dot_f32;
use sensorium_model::Tower;
use sensorium_model::backend::Differentiable;
use sensorium_model::loss::{InfoNce, info_nce, pair_nce, pair_sigmoid};

use crate::anchor::Anchor;
use crate::recipe::{PairLossKind, Recipe};

/// Frozen embeddings, and how a batch is held against them.
pub enum Targets<B: Differentiable> {
    /// The classes that training may use.
    Words {
        /// `[classes, dim]`.
        vectors: Tensor<B, 2>,
        /// Each class's row; none for one that is left out.
        rows: Vec<Option<usize>>,
        /// The loss.
        config: InfoNce,
        /// What one less the cosine to the own class counts beside it.
        pull: f64,
    },
    /// The pictures that samples are paired with.
    Images {
        /// `[pictures, views, dim]`, rows of length 1.
        rows: Vec<f32>,
        /// Rows of a picture.
        views: usize,
        /// Numbers in a row.
        dim: usize,
        /// Pictures that count as one have one number.
        same: Vec<usize>,
        /// The loss.
        kind: PairLossKind,
        /// One over the temperature, if the encoder has none.
        scale: Option<f64>,
    },
    /// What a teacher says of mixtures.
    Teacher {
        /// `[mixtures, dim]`, rows of length 1.
        rows: Vec<f32>,
        /// Words that both are held against, `[words, dim]`.
        words: Tensor<B, 2>,
        /// Divides cosines.
        temperature: f64,
        /// What one less the cosine to the teacher's embedding counts beside it.
        pull: f64,
    },
}

impl<B: Differentiable> Targets<B> {
    /// The words of a recipe.
    pub fn words(
        recipe: &Recipe,
        anchor: &Anchor,
        config: InfoNce,
        pull: f64,
    ) -> anyhow::Result<Self> {
        let (mut vectors, mut rows, mut count) = (Vec::new(), Vec::new(), 0);
        for (class, entry) in recipe.classes.iter().enumerate() {
            let is_seen = recipe.is_seen(class);
            rows.push(is_seen.then_some(count));
            if is_seen {
                vectors.extend(anchor.class(&entry.prompts)?);
                count += 1;
            }
        }
        let vectors = TensorData::new(vectors, [count, anchor.dim()]);
        Ok(Self::Words {
            vectors: Tensor::from_data(vectors, &Default::default()),
            rows,
            config,
            pull,
        })
    }

    /// The words that training may use, `[classes, dim]`, if it is words that samples are bound to.
    pub fn word_vectors(&self) -> Option<Tensor<B, 2>> {
        match self {
            Self::Words { vectors, .. } => Some(vectors.clone()),
            Self::Images { .. } | Self::Teacher { .. } => None,
        }
    }

    /// Pictures, by the embeddings of so many views of each.
    pub fn images(
        mut rows: Vec<f32>,
        views: usize,
        dim: usize,
        kind: PairLossKind,
        temperature: Option<f64>,
        same_above: f32,
    ) -> anyhow::Result<Self> {
        ensure!(!rows.is_empty(), "there is no picture to bind to");
        rows.chunks_exact_mut(dim).for_each(normalize);
        // What is seen first of a picture is all of it.
        let whole = rows.chunks_exact(dim).step_by(views);
        Ok(Self::Images {
            same: alike(
                &whole.flatten().copied().collect::<Vec<_>>(),
                dim,
                same_above,
            ),
            rows,
            views,
            dim,
            kind,
            scale: temperature.map(f64::recip),
        })
    }

    /// A teacher's embeddings of mixtures, and words to hold them against, one after the other.
    pub fn teacher(
        rows: Vec<f32>,
        words: Vec<f32>,
        dim: usize,
        temperature: f64,
        pull: f64,
    ) -> Self {
        let words = TensorData::new(words.clone(), [words.len() / dim, dim]);
        Self::Teacher {
            rows,
            words: Tensor::from_data(words, &Default::default()),
            temperature,
            pull,
        }
    }

    /// The loss of embeddings of length 1, `[batch, dim]`, `[1]`; `wanted` are classes, or rows of
    /// pictures or mixtures.
    pub fn loss(
        &self,
        encoder: &Tower<B>,
        embeddings: Tensor<B, 2>,
        wanted: &[usize],
    ) -> Tensor<B, 1> {
        let device = embeddings.device();
        let batch = wanted.len();
        match self {
            Self::Words {
                vectors,
                rows,
                config,
                pull,
            } => {
                let rows = wanted.iter().filter_map(|&class| rows[class]);
                let rows: Vec<i64> = rows.map(|row| row as i64).collect();
                let rows = Tensor::from_data(rows.as_slice(), &device);
                let loss = info_nce(embeddings.clone(), vectors.clone(), rows.clone(), *config);
                if *pull == 0.0 {
                    return loss;
                }
                let own = vectors.clone().select(0, rows);
                let cosine = (embeddings * own).sum_dim(1).mean();
                loss + (-cosine + 1.0) * *pull
            }
            Self::Teacher {
                rows,
                words,
                temperature,
                pull,
            } => {
                let dim = embeddings.dims()[1];
                let row = |&row: &usize| &rows[row * dim..][..dim];
                let taught: Vec<f32> = wanted.iter().flat_map(row).copied().collect();
                let taught = TensorData::new(taught, [batch, dim]);
                let taught = Tensor::<B, 2>::from_data(taught, &device);
                let words = words.clone().transpose();
                let scores = |x: Tensor<B, 2>| {
                    activation::log_softmax(x.matmul(words.clone()).div_scalar(*temperature), 1)
                };
                let (own, wanted) = (scores(embeddings.clone()), scores(taught.clone()));
                let divergence = (wanted.clone().exp() * (wanted - own)).sum_dim(1).mean();
                let cosine = (embeddings * taught).sum_dim(1).mean();
                divergence + (-cosine + 1.0) * *pull
            }
            Self::Images {
                rows,
                views,
                dim,
                same,
                kind,
                scale,
            } => {
                let row = |&row: &usize| &rows[row * dim..][..*dim];
                let anchors: Vec<f32> = wanted.iter().flat_map(row).copied().collect();
                let anchors = TensorData::new(anchors, [batch, *dim]);
                let anchors = Tensor::<B, 2>::from_data(anchors, &device);
                let embeddings = match scale {
                    Some(scale) => embeddings.mul_scalar(*scale),
                    None => encoder.scale(embeddings),
                };
                let groups: Vec<i64> = wanted.iter().map(|&row| same[row / views] as i64).collect();
                let groups = Tensor::<B, 1, Int>::from_data(groups.as_slice(), &device);
                if *kind == PairLossKind::Sigmoid {
                    let [row, column] = [0, 1].map(|axis| groups.clone().unsqueeze_dim::<2>(axis));
                    let same = row
                        .expand([batch, batch])
                        .equal(column.expand([batch, batch]));
                    // As SigLIP begins: nearly all pairs are no pairs.
                    let bias = Tensor::from_data([-((batch.max(2)) as f32).ln()], &device);
                    return pair_sigmoid(anchors, embeddings, bias, Some(same));
                }
                let loss = pair_nce(anchors, embeddings, Some(groups));
                match kind {
                    PairLossKind::FromImage => loss.from_anchor,
                    PairLossKind::ToImage => loss.from_embedding,
                    _ => loss.sum(),
                }
            }
        }
    }
}

/// A number for each row, the same for rows that count as one: a row joins the first that it is at
/// least so alike, or is the first of its own.
fn alike(rows: &[f32], dim: usize, least: f32) -> Vec<usize> {
    let row = |index: usize| &rows[index * dim..][..dim];
    let mut first: Vec<usize> = Vec::new();
    (0..rows.len() / dim)
        .map(|index| {
            let found = first.iter().position(|&other| {
                row(other) == row(index) || dot_f32(row(other), row(index)) >= least
            });
            found.unwrap_or_else(|| {
                first.push(index);
                first.len() - 1
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_are_alike_count_as_one() {
        let rows = [1.0, 0.0, 0.8, 0.6, 0.96, 0.28, 0.0, 1.0, 1.0, 0.0];
        assert_eq!(alike(&rows, 2, 0.95), [0, 1, 0, 2, 0]);
        assert_eq!(alike(&rows, 2, 0.5), [0, 0, 0, 1, 0]);
        assert_eq!(alike(&rows, 2, 1.0), [0, 1, 2, 3, 0], "copies are one");
    }
}

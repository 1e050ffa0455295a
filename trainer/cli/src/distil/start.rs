//! Where training begins: the best table that can be had in closed form.
//!
//! A row a token is looked for, so that the mean of a text's rows is the teacher's embedding of it.
//! Least squares alone knows nothing of tokens that no text has, and little of rare ones; so each row
//! is held near the teacher's embedding of the token by itself (the prior), less what all texts share,
//! and weighted by how rare the token is (SIF, Arora et al. 2017):
//!
//! ```text
//! rows = argmin |X rows − Y|² + ridge |rows − prior|²,   X [texts, tokens] shares, Y the teacher
//! ```
//! by conjugate gradients. The rows then lose the directions in which texts differ least, found by
//! subspace iteration, until they fit the table.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What holds a row near its prior, as many texts of that token alone would.
const RIDGE: f32 = 0.03;

/// Steps of conjugate gradients; more change held-out cosines by less than 0.001.
const STEPS: usize = 25;

/// Share of all texts from which a token counts as frequent.
const FREQUENT: f32 = 1e-3;

/// Steps of the subspace iteration.
const ITERATIONS: usize = 12;

/// Most texts that the directions are found from.
const SAMPLE: usize = 8192;

/// Texts as their tokens, and what the teacher says of them.
#[derive(Debug, Clone, Copy)]
pub struct Lessons<'a> {
    /// Tokens of each text.
    pub ids: &'a [Vec<u32>],
    /// `[texts, dim]`.
    pub targets: &'a [f32],
    /// Numbers in an embedding.
    pub dim: usize,
}

/// A table of low rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// `[tokens, rank]`.
    pub table: Vec<f32>,
    /// `[rank, dim]`: orthonormal rows.
    pub directions: Vec<f32>,
}

impl Lessons<'_> {
    fn mean(&self) -> Vec<f32> {
        let mut mean = vec![0.0f32; self.dim];
        for row in self.targets.chunks_exact(self.dim) {
            add(&mut mean, row, 1.0);
        }
        let count = self.ids.len().max(1) as f32;
        mean.iter_mut().for_each(|value| *value /= count);
        mean
    }

    /// `X rows`: the mean of each text's rows.
    fn means(&self, rows: &[f32]) -> Vec<f32> {
        let mut means = vec![0.0; self.targets.len()];
        for (ids, mean) in self.ids.iter().zip(means.chunks_exact_mut(self.dim)) {
            let share = 1.0 / ids.len() as f32;
            for &id in ids {
                add(mean, &rows[id as usize * self.dim..][..self.dim], share);
            }
        }
        means
    }

    /// `Xᵀ values`, for `tokens` tokens.
    fn gathered(&self, values: &[f32], tokens: usize) -> Vec<f32> {
        let mut rows = vec![0.0; tokens * self.dim];
        for (ids, value) in self.ids.iter().zip(values.chunks_exact(self.dim)) {
            let share = 1.0 / ids.len() as f32;
            for &id in ids {
                add(
                    &mut rows[id as usize * self.dim..][..self.dim],
                    value,
                    share,
                );
            }
        }
        rows
    }

    /// Rows `[tokens, dim]` from the teacher's embeddings of single tokens, of the same shape.
    pub fn rows(&self, alone: &[f32]) -> Vec<f32> {
        let tokens = alone.len() / self.dim;
        let mut rows = self.prior(alone);
        let mut residual = self.means(&rows);
        for (value, target) in residual.iter_mut().zip(self.targets) {
            *value = target - *value;
        }
        let mut gradient = self.gathered(&residual, tokens);
        let mut direction = gradient.clone();
        let mut square = dot(&gradient, &gradient);
        for _ in 0..STEPS {
            let mut curved = self.gathered(&self.means(&direction), tokens);
            add(&mut curved, &direction, RIDGE);
            let bend = dot(&direction, &curved);
            if bend <= 0.0 {
                break;
            }
            let step = (square / bend) as f32;
            add(&mut rows, &direction, step);
            add(&mut gradient, &curved, -step);
            let next = dot(&gradient, &gradient);
            let kept = (next / square) as f32;
            for (value, gradient) in direction.iter_mut().zip(&gradient) {
                *value = gradient + kept * *value;
            }
            square = next;
        }
        rows
    }

    fn prior(&self, alone: &[f32]) -> Vec<f32> {
        let (mean, tokens) = (self.mean(), alone.len() / self.dim);
        let mut texts = vec![0.0f32; tokens];
        for ids in self.ids {
            for &id in ids {
                texts[id as usize] += 1.0 / self.ids.len() as f32;
            }
        }
        let mut rows = alone.to_vec();
        for (row, share) in rows.chunks_exact_mut(self.dim).zip(texts) {
            let weight = FREQUENT / (FREQUENT + share);
            for (value, mean) in row.iter_mut().zip(&mean) {
                *value = weight * (*value - mean) + mean;
            }
        }
        rows
    }

    /// The table of rank `rank` whose texts keep most of what `rows` say of them.
    pub fn reduced(&self, rows: &[f32], rank: usize, random: &mut ChaCha8Rng) -> Start {
        let dim = self.dim;
        let sample = Lessons {
            ids: &self.ids[..self.ids.len().min(SAMPLE)],
            targets: &self.targets[..self.targets.len().min(SAMPLE * dim)],
            dim,
        };
        let means = sample.means(rows);
        // Second moments of the texts' means.
        let mut moments = vec![0.0f32; dim * dim];
        for mean in means.chunks_exact(dim) {
            for (row, &value) in moments.chunks_exact_mut(dim).zip(mean) {
                add(row, mean, value);
            }
        }
        let mut directions: Vec<f32> = (0..rank * dim)
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        orthonormalise(&mut directions, dim);
        for _ in 0..ITERATIONS {
            let mut next = vec![0.0; rank * dim];
            for (to, from) in next.chunks_exact_mut(dim).zip(directions.chunks_exact(dim)) {
                for (row, &value) in moments.chunks_exact(dim).zip(from) {
                    add(to, row, value);
                }
            }
            directions = next;
            orthonormalise(&mut directions, dim);
        }
        let project = |row: &[f32]| -> Vec<f32> {
            let along = directions.chunks_exact(dim);
            along.map(|direction| dot(direction, row) as f32).collect()
        };
        Start {
            table: rows.chunks_exact(dim).flat_map(project).collect(),
            directions,
        }
    }
}

fn add(to: &mut [f32], from: &[f32], times: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += times * from;
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0f64;
    // In parts, so that sums of millions of numbers lose nothing that matters.
    for (a, b) in a.chunks(4096).zip(b.chunks(4096)) {
        let mut sums = [0.0f32; LANES];
        for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        total += f64::from(sums.iter().sum::<f32>());
    }
    total
}

/// Gram and Schmidt's, twice, since once loses digits.
fn orthonormalise(rows: &mut [f32], dim: usize) {
    for index in 0..rows.len() / dim {
        let (before, rest) = rows.split_at_mut(index * dim);
        let row = &mut rest[..dim];
        for _ in 0..2 {
            for other in before.chunks_exact(dim) {
                let along = dot(other, row) as f32;
                add(row, other, -along);
            }
        }
        let length = dot(row, row).sqrt().max(1e-20) as f32;
        row.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Texts of two of six tokens, whose embedding is the mean of rows that the test knows.
    fn lessons() -> (Vec<Vec<u32>>, Vec<f32>, Vec<f32>) {
        let rows: Vec<f32> = (0..24)
            .map(|i| ((i * 7 + 3) % 11) as f32 / 5.0 - 1.0)
            .collect();
        let ids: Vec<Vec<u32>> = (0..6u32)
            .flat_map(|a| (0..6).map(move |b| vec![a, b]))
            .collect();
        let targets = ids.iter().flat_map(|ids| {
            let [a, b] = [ids[0] as usize * 4, ids[1] as usize * 4];
            (0..4)
                .map(|d| (rows[a + d] + rows[b + d]) / 2.0)
                .collect::<Vec<_>>()
        });
        let targets = targets.collect();
        (ids, targets, rows)
    }

    #[test]
    fn rows_that_explain_the_texts_are_found() {
        let (ids, targets, rows) = lessons();
        let lessons = Lessons {
            ids: &ids,
            targets: &targets,
            dim: 4,
        };
        let found = lessons.rows(&[0.0; 24]);
        for (found, expected) in found.iter().zip(&rows) {
            assert!((found - expected).abs() < 0.03, "{found} {expected}");
        }
    }

    #[test]
    fn a_token_without_texts_keeps_its_own_embedding() {
        let (ids, targets, _) = lessons();
        let lessons = Lessons {
            ids: &ids,
            targets: &targets,
            dim: 4,
        };
        let mut alone = vec![0.0; 28];
        alone[24..].copy_from_slice(&[0.1, 0.2, 0.3, 0.4]);
        let found = lessons.rows(&alone);
        for (found, expected) in found[24..].iter().zip([0.1, 0.2, 0.3, 0.4]) {
            assert!((found - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn directions_of_full_rank_lose_nothing_and_fewer_lose_little() {
        let (ids, targets, rows) = lessons();
        let lessons = Lessons {
            ids: &ids,
            targets: &targets,
            dim: 4,
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut errors = [4, 3, 1].map(|rank| {
            let start = lessons.reduced(&rows, rank, &mut random);
            let mut error = 0.0f32;
            for (row, coordinates) in rows.chunks(4).zip(start.table.chunks(rank)) {
                let mut back = vec![0.0; 4];
                for (direction, &along) in start.directions.chunks(4).zip(coordinates) {
                    add(&mut back, direction, along);
                }
                error += row
                    .iter()
                    .zip(&back)
                    .map(|(a, b)| (a - b).powi(2))
                    .sum::<f32>();
            }
            error
        });
        assert!(errors[0] < 1e-8, "{errors:?}");
        assert!(errors[1] < errors[2], "{errors:?}");
        errors.sort_by(f32::total_cmp);
        assert!(errors[2] < rows.iter().map(|v| v * v).sum(), "{errors:?}");
    }
}

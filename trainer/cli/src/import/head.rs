//! From the outputs of a tagger to a space of words.
//!
//! Three ways, all without training:
//!
//! - *Class space*: the standardised outputs are the embedding, in a space of their own whose axes are the
//!   names; words get into it by what they resemble among the names
//!   ([`Resemblance`](sensorium_engine::resemblance)). Nothing is lost, but no other sense is in that space.
//! - *ConSE* (Norouzi et al. 2014): the sum of the names' embeddings, each times the probability of
//!   its output.
//! - *Dual*: what a word resembles among the names is a row of weights, softmax over cosines divided
//!   by [`TEMPERATURE`]; a word's score is those weights times the standardised outputs. That is a
//!   product in as many dimensions as there are names. A matrix `M`, found by ridge regression over
//!   many words so that `t(word) M` is near the word's weights, brings it into the space of words:
//!   `t(word) · (M z)` is then near the score, and `M z`, normalised, is an embedding. `z` counts
//!   only what is heard more than usual: [`THRESHOLD`] standard deviations above the mean, and a
//!   little of the rest.
//!
//! The constants were chosen on folds 1 and 2 of ESC-10 and half of the instruments.

use sensorium_engine::resemblance::Resemblance;
use sensorium_pack::npy::Array;
use thiserror::Error;

/// Divides the cosines of words and names.
pub const TEMPERATURE: f32 = 0.03;

/// Standard deviations above the mean from which on an output counts in full.
const THRESHOLD: f64 = 1.5;

/// How much of an output counts below the threshold, or in class space below the mean.
const SLOPE: f32 = 0.15;

/// How much the size of the matrix counts beside the errors.
const RIDGE: f64 = 0.1;

/// How much a word counts in the regression: a name of the tagger's, a part of one, any phrase.
pub const NAME_WEIGHT: f64 = 6.0;
/// See [`NAME_WEIGHT`].
pub const PART_WEIGHT: f64 = 1.0;
/// See [`NAME_WEIGHT`].
pub const PHRASE_WEIGHT: f64 = 0.05;

/// What is done to an output before it is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Negative numbers are multiplied by it.
    Leaky(f32),
    /// The share of 1 that a logit stands for.
    Sigmoid,
}

/// `L2(matrix^T · activation(gains * outputs + shifts))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// One an output.
    pub gains: Vec<f32>,
    /// One an output.
    pub shifts: Vec<f32>,
    /// What is done then.
    pub activation: Activation,
    /// How many of the greatest count, if not all do.
    pub top: Option<usize>,
    /// `[outputs, dim]`.
    pub matrix: Vec<f32>,
    /// Numbers in an embedding.
    pub dim: usize,
}

/// Why there is no matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The words' embeddings are not finite.
    #[error("the words' embeddings make no system of equations that can be solved")]
    Singular,
}

impl Head {
    /// The names' embeddings, each times the probability of its output; of the `top` most probable only, if
    /// that is given.
    #[must_use]
    pub fn conse(names: &[Vec<f32>], top: Option<usize>) -> Self {
        Self {
            top,
            gains: vec![1.0; names.len()],
            shifts: vec![0.0; names.len()],
            activation: Activation::Sigmoid,
            dim: names.first().map_or(0, Vec::len),
            matrix: names.concat(),
        }
    }

    /// The outputs themselves, an axis each, and one more that is 0: in class space. `means` and `spreads`
    /// are what is usual of each output, where that is known.
    #[must_use]
    pub fn class_space(count: usize, usual: Option<(&[f64], &[f64])>) -> Self {
        let dim = count + 1;
        let mut matrix = vec![0.0; count * dim];
        (0..count).for_each(|name| matrix[name * dim + name] = 1.0);
        let (gains, shifts, slope) = match usual {
            None => (vec![1.0; count], vec![0.0; count], 1.0),
            Some((means, spreads)) => (
                spreads.iter().map(|spread| (1.0 / spread) as f32).collect(),
                { means.iter().zip(spreads) }
                    .map(|(mean, spread)| (-mean / spread) as f32)
                    .collect(),
                SLOPE,
            ),
        };
        Self {
            gains,
            shifts,
            activation: Activation::Leaky(slope),
            top: None,
            matrix,
            dim,
        }
    }

    /// The dual of the space of names: `words` are embeddings and how much each counts, `means` and
    /// `spreads` what is usual of each output.
    ///
    /// # Errors
    ///
    /// Embeddings that are not finite.
    pub fn dual(
        names: &[Vec<f32>],
        words: &[(&[f32], f64)],
        means: &[f64],
        spreads: &[f64],
    ) -> Result<Self, HeadError> {
        let (count, dim) = (names.len(), names.first().map_or(0, Vec::len));
        let resemblance = resemblance(names).ok_or(HeadError::Singular)?;
        // The normal equations: (T' W T + ridge) M = T' W S.
        let (mut square, mut sides) = (vec![0.0f64; dim * dim], vec![0.0f64; dim * count]);
        for (word, weight) in words {
            let resembled = resemblance.shares(word);
            for (row, &value) in word.iter().enumerate() {
                let factor = weight * f64::from(value);
                add(&mut square[row * dim..][..dim], factor, word);
                add(&mut sides[row * count..][..count], factor, &resembled);
            }
        }
        for row in 0..dim {
            square[row * dim + row] += RIDGE;
        }
        solve(&mut square, dim, &mut sides, count)?;
        let entry = |at: usize| sides[at % dim * count + at / dim] as f32;
        let usual = means.iter().zip(spreads);
        Ok(Self {
            gains: spreads.iter().map(|spread| (1.0 / spread) as f32).collect(),
            shifts: usual
                .map(|(mean, spread)| (-mean / spread - THRESHOLD) as f32)
                .collect(),
            activation: Activation::Leaky(SLOPE),
            top: None,
            matrix: (0..count * dim).map(entry).collect(),
            dim,
        })
    }
}

/// `sums += factor * values`.
fn add(sums: &mut [f64], factor: f64, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * f64::from(*value);
    }
}

/// What words resemble among names; none without names.
pub fn resemblance(names: &[Vec<f32>]) -> Option<Resemblance> {
    let names = Array {
        shape: vec![names.len(), names.first().map_or(0, Vec::len)],
        values: names.concat(),
    };
    Resemblance::new(names, TEMPERATURE)
}

/// Solves `square x = sides` for a positive definite matrix `[n, n]` (Cholesky), in place; `sides`
/// are `[n, columns]`.
fn solve(square: &mut [f64], n: usize, sides: &mut [f64], columns: usize) -> Result<(), HeadError> {
    for j in 0..n {
        for i in j..n {
            let (above, below) = (&square[j * n..][..j], &square[i * n..][..j]);
            let sum: f64 = above.iter().zip(below).map(|(a, b)| a * b).sum();
            let rest = square[i * n + j] - sum;
            square[i * n + j] = match i == j {
                // Written so that NaN fails, too.
                true if rest > 0.0 && rest.is_finite() => rest.sqrt(),
                true => return Err(HeadError::Singular),
                false => rest / square[j * n + j],
            };
        }
    }
    let mut eliminate =
        |row: usize, others: std::ops::Range<usize>, entry: &dyn Fn(usize) -> f64| {
            for other in others {
                let factor = entry(other);
                for column in 0..columns {
                    let known = sides[other * columns + column];
                    sides[row * columns + column] -= factor * known;
                }
            }
            let diagonal = square[row * n + row];
            for value in &mut sides[row * columns..][..columns] {
                *value /= diagonal;
            }
        };
    for row in 0..n {
        eliminate(row, 0..row, &|other| square[row * n + other]);
    }
    for row in (0..n).rev() {
        eliminate(row, row + 1..n, &|other| square[other * n + row]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sensorium_kernels::dot_f32;

    use super::*;

    #[test]
    fn equations_are_solved() {
        let mut square = [4.0, 2.0, 0.4, 2.0, 3.0, 0.5, 0.4, 0.5, 1.0];
        let known = [1.0, -2.0, 0.5, 3.0, -1.0, 0.25];
        let mut sides: Vec<f64> = (0..6)
            .map(|at| {
                (0..3)
                    .map(|k| square[at / 2 * 3 + k] * known[k * 2 + at % 2])
                    .sum()
            })
            .collect();
        solve(&mut square, 3, &mut sides, 2).unwrap();
        for (found, known) in sides.iter().zip(known) {
            assert!((found - known).abs() < 1e-12, "{found} {known}");
        }
        let singular = solve(&mut [1.0, 2.0, 2.0, 1.0], 2, &mut [0.0; 2], 1);
        assert_eq!(singular, Err(HeadError::Singular));
        assert_eq!(
            solve(&mut [f64::NAN], 1, &mut [0.0], 1),
            Err(HeadError::Singular)
        );
    }

    #[test]
    fn what_is_heard_more_than_usual_names_the_word() {
        let names = [vec![1.0, 0.0, 0.0], vec![0.0, 0.8, 0.6]];
        let words: Vec<(&[f32], f64)> = names.iter().map(|name| (&name[..], 1.0)).collect();
        let head = Head::dual(&names, &words, &[-8.0, -3.0], &[0.5, 2.0]).unwrap();
        // Usual outputs lie below the threshold, whatever they are.
        for (output, usual) in [(0, -8.0), (1, -3.0)] {
            let scaled = head.gains[output] * usual + head.shifts[output];
            assert!((scaled + THRESHOLD as f32).abs() < 1e-5);
        }
        // The second output stands for the second name: its row points there and not at the first.
        let row = &head.matrix[3..];
        assert!(dot_f32(row, &names[1]) > 0.8, "{row:?}");
        assert!(dot_f32(row, &names[0]).abs() < 1e-3, "{row:?}");
    }

    #[test]
    fn in_class_space_outputs_are_axes() {
        let head = Head::class_space(2, Some((&[-8.0, -3.0], &[0.5, 2.0])));
        assert_eq!((head.dim, head.matrix.len()), (3, 6));
        assert_eq!(head.matrix, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(head.gains, [2.0, 0.5]);
        assert_eq!(head.shifts, [16.0, 1.5]);
        let plain = Head::class_space(1, None);
        assert_eq!((plain.gains[0], plain.shifts[0]), (1.0, 0.0));
        assert_eq!(plain.activation, Activation::Leaky(1.0));
    }
}

//! A linear probe: multinomial logistic regression on embeddings that stay as they are.
//!
//! Minimises |W|²/2 + C · sum over rows of -log(share), where the share is what softmax(W x + b)
//! gives the row's label; intercepts are not regularised. That is scikit-learn's
//! `LogisticRegression(C=C)`; of two classes, for which it fits a single vector, the one with `C`
//! doubled. The optimum is unique but for a constant added to all intercepts, so how it is found
//! does not matter as long as it is found: Newton's method, each step solved by conjugate gradients.
//! Nearly all of the time goes into two products of matrices for each of those.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};

use super::scores::dot;

/// A fitted probe.
///
/// # Shapes
///
/// A row a class of `dim` weights and the intercept.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    width: usize,
    rows: Vec<f64>,
}

/// Largest entry of the gradient, over `C`, at which the optimum is found to the last digits.
#[cfg(test)]
pub const EXACTLY: f64 = 1e-11;
/// That at which it is found well enough to name by: shares of classes are then right to six digits.
pub const TO_NAME: f64 = 1e-7;
/// Newton steps; the quadratic end takes five or so.
const STEPS: usize = 100;

impl Probe {
    /// Fits rows with their labels, each below `classes`, until the gradient is so small.
    ///
    /// # Panics
    ///
    /// If there is not a label a row, or one is no class.
    pub fn fit(
        x: &[&[f64]],
        labels: &[usize],
        classes: usize,
        strength: f64,
        gradient: f64,
    ) -> Self {
        assert_eq!(x.len(), labels.len(), "labels");
        assert!(labels.iter().all(|&label| label < classes), "classes");
        let width = x.first().map_or(0, |row| row.len()) + 1;
        let mut rows = Array2::ones([x.len(), width]);
        for (mut row, values) in rows.rows_mut().into_iter().zip(x) {
            row.iter_mut()
                .zip(*values)
                .for_each(|(to, value)| *to = *value);
        }
        let problem = Problem {
            x: rows,
            labels,
            classes,
            width,
            strength,
        };
        let mut point = vec![0.0; classes * problem.width];
        for _ in 0..STEPS {
            let shares = problem.shares(&point);
            let slopes = problem.gradient(&point, &shares);
            let largest = slopes.iter().fold(0.0f64, |max, g| max.max(g.abs()));
            if largest <= gradient * strength.max(1.0) {
                break;
            }
            // Far from the optimum a rough step does as well; near it the steps get exact, so that
            // the error is squared each time.
            let exactness = (largest / strength).clamp(1e-12, 0.1);
            let step = problem.newton_step(&shares, &slopes, exactness);
            problem.descend(&mut point, &step, dot(&slopes, &step));
        }
        Self {
            width: problem.width,
            rows: point,
        }
    }

    /// A score a class; the highest is what the probe names the row.
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let classes = self.rows.chunks_exact(self.width);
        classes.map(|weights| affine(weights, row)).collect()
    }

    /// The class with the highest score, of equal ones the first.
    pub fn name(&self, row: &[f64]) -> Option<usize> {
        let scores = self.scores(row);
        (0..scores.len()).reduce(|best, c| if scores[c] > scores[best] { c } else { best })
    }
}

/// What is minimised.
struct Problem<'a> {
    /// A one behind each row, which the intercepts weigh.
    x: Array2<f64>,
    labels: &'a [usize],
    classes: usize,
    width: usize,
    strength: f64,
}

/// `weights` has one number more than `row`: the intercept.
fn affine(weights: &[f64], row: &[f64]) -> f64 {
    dot(weights, row) + weights[row.len()]
}

/// In place; the logarithm of the sum is given back.
fn softmax(scores: &mut [f64]) -> f64 {
    let peak = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - peak).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    peak + sum.ln()
}

/// Numbers as rows of a width that divides them.
fn matrix(width: usize, values: &[f64]) -> ArrayView2<'_, f64> {
    let rows = values.len() / width;
    #[expect(clippy::expect_used, reason = "all of them are rows of this width")]
    ArrayView2::from_shape([rows, width], values).expect("whole rows")
}

impl Problem<'_> {
    /// What each class's weights give for each row: a row of classes a row of `x`.
    fn scores(&self, point: &[f64]) -> Vec<f64> {
        let mut scores = Array2::zeros([self.x.nrows(), self.classes]);
        let point = matrix(self.width, point);
        general_mat_mul(1.0, &self.x, &point.t(), 0.0, &mut scores);
        scores.into_raw_vec_and_offset().0
    }

    fn shares(&self, point: &[f64]) -> Vec<f64> {
        let mut shares = self.scores(point);
        for row in shares.chunks_exact_mut(self.classes) {
            softmax(row);
        }
        shares
    }

    fn value(&self, point: &[f64]) -> f64 {
        let mut loss = 0.0;
        let mut scores = self.scores(point);
        for (row, &label) in scores.chunks_exact_mut(self.classes).zip(self.labels) {
            let score = row[label];
            loss += softmax(row) - score;
        }
        let squares = point.chunks_exact(self.width).map(|weights| {
            let weights = &weights[..self.width - 1];
            dot(weights, weights)
        });
        squares.sum::<f64>() / 2.0 + self.strength * loss
    }

    /// `C` times the sum over rows of `factor` (a number a class) times (row, 1), plus the weights
    /// of `point` without its intercepts.
    fn pull_back(&self, point: &[f64], factors: &[f64]) -> Vec<f64> {
        let mut out = matrix(self.width, point).to_owned();
        out.column_mut(self.width - 1).fill(0.0);
        let factors = matrix(self.classes, factors);
        general_mat_mul(self.strength, &factors.t(), &self.x, 1.0, &mut out);
        out.into_raw_vec_and_offset().0
    }

    fn gradient(&self, point: &[f64], shares: &[f64]) -> Vec<f64> {
        let mut factors = shares.to_vec();
        for (row, &label) in factors.chunks_exact_mut(self.classes).zip(self.labels) {
            row[label] -= 1.0;
        }
        self.pull_back(point, &factors)
    }

    /// The curvature along a direction: the Hessian times it.
    fn curvature(&self, shares: &[f64], direction: &[f64]) -> Vec<f64> {
        let mut factors = self.scores(direction);
        let rows = factors.chunks_exact_mut(self.classes);
        for (factors, shares) in rows.zip(shares.chunks_exact(self.classes)) {
            let mean = dot(factors, shares);
            for (factor, share) in factors.iter_mut().zip(shares) {
                *factor = share * (*factor - mean);
            }
        }
        self.pull_back(direction, &factors)
    }

    /// Conjugate gradients from zero, until `exactness` of the gradient is left. A constant added to all intercepts changes nothing, so the
    /// gradient has no part along it and neither has any step.
    fn newton_step(&self, shares: &[f64], gradient: &[f64], exactness: f64) -> Vec<f64> {
        let mut step = vec![0.0; gradient.len()];
        let mut residual: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut direction = residual.clone();
        let mut squares = dot(&residual, &residual);
        let enough = squares * exactness * exactness;
        for _ in 0..gradient.len().max(10) {
            if squares <= enough {
                break;
            }
            let curved = self.curvature(shares, &direction);
            let along = dot(&direction, &curved);
            if along <= 0.0 {
                break;
            }
            let length = squares / along;
            for i in 0..step.len() {
                step[i] += length * direction[i];
                residual[i] -= length * curved[i];
            }
            let next = dot(&residual, &residual);
            for (d, r) in direction.iter_mut().zip(&residual) {
                *d = r + next / squares * *d;
            }
            squares = next;
        }
        step
    }

    /// Goes along the step, halved until the value falls enough (Armijo). Near the optimum the
    /// difference is lost in rounding, and there the whole step is right.
    fn descend(&self, point: &mut Vec<f64>, step: &[f64], slope: f64) {
        let value = self.value(point);
        let mut length = 1.0;
        for _ in 0..30 {
            let next: Vec<f64> = point
                .iter()
                .zip(step)
                .map(|(p, s)| p + length * s)
                .collect();
            let rounding = 1e-13 * value.abs();
            if self.value(&next) <= value + 1e-4 * length * slope + rounding {
                *point = next;
                return;
            }
            length /= 2.0;
        }
    }
}

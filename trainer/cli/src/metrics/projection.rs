//! Two directions in which vectors differ most, to draw a map by.

use super::Rows;
use super::scores::dot;

/// The mean and the first two principal components of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
    /// Share of the variance along each axis.
    pub variance_shares: [f64; 2],
}

/// Directions that are followed at once; the more, the sooner the first two stand still.
const BLOCK: usize = 12;
/// Rounds at most, and the turn of the axes in radians at which they stand still.
const ROUNDS: usize = 1000;
const STILL: f64 = 1e-12;

impl Projection {
    /// Of vectors; none of fewer than three, of vectors of one number, or if all are the same.
    ///
    /// Block power iteration on the covariance, with Rayleigh-Ritz. An axis points to where its
    /// largest number is positive.
    pub fn fit(rows: &[&[f64]]) -> Option<Self> {
        let dim = rows.first()?.len();
        if rows.len() < 3 || dim < 2 {
            return None;
        }
        let mut mean = vec![0.0; dim];
        for row in rows {
            add(&mut mean, row, 1.0 / rows.len() as f64);
        }
        let mut covariance = vec![vec![0.0; dim]; dim];
        for row in rows {
            let centred: Vec<f64> = row.iter().zip(&mean).map(|(x, m)| x - m).collect();
            for (sums, value) in covariance.iter_mut().zip(&centred) {
                add(sums, &centred, *value);
            }
        }
        let variance: f64 = (0..dim).map(|d| covariance[d][d]).sum();
        if variance <= f64::EPSILON * rows.len() as f64 {
            return None;
        }
        let block = BLOCK.min(dim);
        let mut axes: Vec<Vec<f64>> = (0..block)
            .map(|a| (0..dim).map(|d| start(a * dim + d)).collect())
            .collect();
        orthonormalize(&mut axes);
        let mut variances = vec![0.0; block];
        for _ in 0..ROUNDS {
            let spread: Vec<Vec<f64>> =
                axes.iter().map(|axis| combine(axis, &covariance)).collect();
            let small: Vec<Vec<f64>> = axes
                .iter()
                .map(|a| spread.iter().map(|s| dot(a, s)).collect())
                .collect();
            let (values, turns) = eigen(small);
            let mut turned: Vec<Vec<f64>> =
                turns.iter().map(|turn| combine(turn, &spread)).collect();
            let kept: Vec<Vec<f64>> = turns.iter().map(|turn| combine(turn, &axes)).collect();
            orthonormalize(&mut turned);
            let still = (0..2).all(|i| turn(&kept[i], &turned[i]) < STILL);
            variances = values;
            axes = turned;
            if still {
                break;
            }
        }
        let mut axes = axes.into_iter().map(pointed);
        Some(Self {
            mean,
            axes: [axes.next()?, axes.next()?],
            variance_shares: [variances[0] / variance, variances[1] / variance],
        })
    }

    /// Where a vector is on the map.
    pub fn place(&self, row: &[f64]) -> [f64; 2] {
        let along = |axis: &Vec<f64>| dot(row, axis) - dot(&self.mean, axis);
        [along(&self.axes[0]), along(&self.axes[1])]
    }

    /// Where vectors are on the map.
    pub fn places(&self, rows: &Rows) -> Vec<[f64; 2]> {
        rows.iter().map(|row| self.place(row)).collect()
    }
}

/// The angle between two lines of unit length, if it is small.
fn turn(a: &[f64], b: &[f64]) -> f64 {
    let sign = dot(a, b).signum();
    let squares = a.iter().zip(b).map(|(a, b)| (a - sign * b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Numbers in [-1, 1] with no pattern that data could share; the same ones every time.
fn start(i: usize) -> f64 {
    (i as f64 * 12.9898 + 1.0).sin() * 0.5 + (i as f64 * 78.233 + 2.0).cos() * 0.5
}

fn add(sum: &mut [f64], row: &[f64], factor: f64) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// The sum of rows, each times its factor; for a symmetric matrix, the matrix times the factors.
fn combine(factors: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    let mut out = vec![0.0; rows[0].len()];
    for (factor, row) in factors.iter().zip(rows) {
        add(&mut out, row, *factor);
    }
    out
}

/// Gram-Schmidt, twice over, for once leaves rounding errors. A direction that vanishes, because
/// the vectors lie in fewer dimensions, becomes zeros.
fn orthonormalize(rows: &mut [Vec<f64>]) {
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(row, other);
                add(row, other, -along);
            }
        }
        let left = dot(row, row).sqrt();
        let scale = if left > 1e-12 * length {
            1.0 / left
        } else {
            0.0
        };
        row.iter_mut().for_each(|value| *value *= scale);
    }
}

/// Eigenvalues of a small symmetric matrix, largest first, and their vectors, by Jacobi's rotations.
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = matrix.len();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(unit).collect();
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                if matrix[p][q] == 0.0 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut matrix {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for k in 0..n {
                    let (a, b) = (matrix[p][k], matrix[q][k]);
                    (matrix[p][k], matrix[q][k]) = (c * a - s * b, s * a + c * b);
                    let (a, b) = (vectors[p][k], vectors[q][k]);
                    (vectors[p][k], vectors[q][k]) = (c * a - s * b, s * a + c * b);
                }
            }
        }
        let off: f64 = (0..n)
            .flat_map(|p| (p + 1..n).map(move |q| (p, q)))
            .map(|(p, q)| matrix[p][q].powi(2))
            .sum();
        let on: f64 = (0..n).map(|p| matrix[p][p].powi(2)).sum();
        if off <= 1e-32 * on {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    (
        order.iter().map(|&i| matrix[i][i]).collect(),
        order
            .into_iter()
            .map(|i| std::mem::take(&mut vectors[i]))
            .collect(),
    )
}

fn pointed(mut axis: Vec<f64>) -> Vec<f64> {
    let largest = axis
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if largest.is_some_and(|value| value < 0.0) {
        axis.iter_mut().for_each(|value| *value = -*value);
    }
    axis
}

//! The denominators of InfoNCE by their definition, in 64 bits.

use super::{Nce, Sides};

/// Similarities of row `i`, minus infinity where a column is no negative of it.
fn similarities(sizes: &Nce, sides: Sides<&[f64], &[i32]>, i: usize) -> Vec<f64> {
    let dim = sizes.dim;
    let x = &sides.x[i * dim..(i + 1) * dim];
    let similarity = |(j, y): (usize, &[f64])| {
        let same = sides.groups.is_some_and(|groups| groups[i] == groups[j]);
        if same && i != j {
            return f64::NEG_INFINITY;
        }
        x.iter().zip(y).map(|(x, y)| x * y).sum()
    };
    sides
        .y
        .chunks_exact(dim)
        .enumerate()
        .map(similarity)
        .collect()
}

/// As [`super::forward`].
#[must_use]
pub fn forward(sizes: &Nce, sides: Sides<&[f64], &[i32]>) -> Vec<f64> {
    let log = |i| {
        let similarities = similarities(sizes, sides, i);
        let largest = similarities
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        largest
            + similarities
                .iter()
                .map(|s| (s - largest).exp())
                .sum::<f64>()
                .ln()
    };
    (0..sizes.rows).map(log).collect()
}

/// As [`super::backward`].
#[must_use]
pub fn backward(sizes: &Nce, sides: Sides<&[f64], &[i32]>, gradient: &[f64]) -> [Vec<f64>; 2] {
    let dim = sizes.dim;
    let (mut of_x, mut of_y) = (vec![0.0; sides.x.len()], vec![0.0; sides.y.len()]);
    for (i, log) in forward(sizes, sides).into_iter().enumerate() {
        for (j, similarity) in similarities(sizes, sides, i).into_iter().enumerate() {
            let share = (similarity - log).exp() * gradient[i];
            for c in 0..dim {
                of_x[i * dim + c] += share * sides.y[j * dim + c];
                of_y[j * dim + c] += share * sides.x[i * dim + c];
            }
        }
    }
    [of_x, of_y]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, wide};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let sizes = Nce {
            rows: 4,
            columns: 4,
            dim: 3,
        };
        let (x, y, gradient) = (wide(1, 12), wide(2, 12), wide(3, 4));
        for groups in [None, Some(&[7, 1, 7, 2][..])] {
            let loss = |x: &[f64], y: &[f64]| {
                let logs = forward(&sizes, Sides { x, y, groups });
                logs.iter().zip(&gradient).map(|(log, g)| log * g).sum()
            };
            let [of_x, of_y] = backward(
                &sizes,
                Sides {
                    x: &x,
                    y: &y,
                    groups,
                },
                &gradient,
            );
            differences(&of_x, &x, |x| loss(x, &y));
            differences(&of_y, &y, |y| loss(&x, y));
        }
    }
}

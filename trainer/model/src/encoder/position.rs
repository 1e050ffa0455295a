//! Positions of pictures of another size than the encoder was trained on.

use burn::prelude::*;
use burn::tensor::TensorData;

/// Of the cubic convolution (Keys 1981), as PyTorch's `bicubic` has it; Pillow's has -0.5.
const A: f64 = -0.75;

/// Resizes a square table of positions by bicubic interpolation without antialiasing, its pixels
/// taken as areas; beyond the edge the table stays as it is at the edge.
///
/// # Shapes
///
/// `[side * side, dim]` to `[to * to, dim]`.
pub(super) fn resize<B: Backend>(table: Tensor<B, 2>, side: usize, to: usize) -> Tensor<B, 2> {
    let [_, dim] = table.dims();
    let weights = TensorData::new(weights(side, to), [to, side]);
    let weights = Tensor::<B, 2>::from_data(weights, (&table.device(), table.dtype()));
    let rows = weights.clone().matmul(table.reshape([side, side * dim]));
    let columns = weights
        .unsqueeze::<3>()
        .expand([to, to, side])
        .matmul(rows.reshape([to, side, dim]));
    columns.reshape([to * to, dim])
}

/// A row of weights for each new place.
fn weights(from: usize, to: usize) -> Vec<f64> {
    let mut weights = vec![0.0; from * to];
    for (place, row) in weights.chunks_exact_mut(from).enumerate() {
        let centre = (place as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = centre.floor() as isize - 1;
        for tap in first..first + 4 {
            let held = tap.clamp(0, from as isize - 1) as usize;
            row[held] += cubic(centre - tap as f64);
        }
    }
    weights
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_place_sum_to_one_and_keep_a_table_of_the_same_size() {
        for (from, to) in [(16, 20), (16, 14), (1, 5), (7, 3)] {
            for row in weights(from, to).chunks_exact(from) {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let same = weights(4, 4);
        for (i, weight) in same.iter().enumerate() {
            assert_eq!(*weight, f64::from(u8::from(i % 4 == i / 4)));
        }
    }

    #[test]
    fn a_place_between_two_takes_four() {
        // Twice the size: place 2 lies at 0.75, so -0.25, 0.25 from its neighbours.
        let row = &weights(4, 8)[3 * 4..4 * 4];
        let expected = [cubic(1.25), cubic(0.25), cubic(0.75), cubic(1.75)];
        for (actual, expected) in row.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-12, "{row:?}");
        }
    }
}

//! Convolutions by their definition, in 64 bits.

use super::Conv;

/// Calls back with the places in input, kernels and result of every product that is summed.
fn for_each_product(sizes: &Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = sizes.output();
    let depth = sizes.depth();
    let of_group = sizes.to / sizes.groups;
    for n in 0..sizes.batch {
        for to in 0..sizes.to {
            for at in 0..height * width {
                let y = (n * sizes.to + to) * height * width + at;
                for inner in 0..depth * sizes.kernel[0] * sizes.kernel[1] {
                    let across = inner % sizes.kernel[1];
                    let down = inner / sizes.kernel[1] % sizes.kernel[0];
                    let channel = inner / (sizes.kernel[0] * sizes.kernel[1]);
                    let row = (at / width * sizes.stride[0] + down).checked_sub(sizes.padding[0]);
                    let column =
                        (at % width * sizes.stride[1] + across).checked_sub(sizes.padding[1]);
                    let (Some(row), Some(column)) = (row, column) else {
                        continue;
                    };
                    if row >= sizes.input[0] || column >= sizes.input[1] {
                        continue;
                    }
                    let from = n * sizes.from + to / of_group * depth + channel;
                    let x = (from * sizes.input[0] + row) * sizes.input[1] + column;
                    visit(x, to * sizes.patch() + inner, y);
                }
            }
        }
    }
}

/// As [`super::forward_into`].
#[must_use]
pub fn forward(sizes: &Conv, x: &[f64], kernels: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; sizes.batch * sizes.lens()[1]];
    for_each_product(sizes, |from, kernel, to| y[to] += x[from] * kernels[kernel]);
    y
}

/// As [`super::backward_into`]: gradients of the inputs and of the kernels.
#[must_use]
pub fn backward(sizes: &Conv, x: &[f64], kernels: &[f64], gradient: &[f64]) -> [Vec<f64>; 2] {
    let mut of_x = vec![0.0; x.len()];
    let mut of_kernels = vec![0.0; kernels.len()];
    for_each_product(sizes, |from, kernel, to| {
        of_x[from] += gradient[to] * kernels[kernel];
        of_kernels[kernel] += gradient[to] * x[from];
    });
    [of_x, of_kernels]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, wide};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let sizes = Conv {
            batch: 2,
            from: 2,
            to: 4,
            groups: 2,
            input: [4, 3],
            kernel: [3, 1],
            stride: [2, 1],
            padding: [1, 0],
        };
        let [of_x, of_y, of_kernels] = sizes.lens();
        let (x, kernels) = (wide(1, 2 * of_x), wide(2, of_kernels));
        let gradient = wide(3, 2 * of_y);
        let loss = |x: &[f64], kernels: &[f64]| {
            let y = forward(&sizes, x, kernels);
            y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
        };
        let [actual_x, actual_kernels] = backward(&sizes, &x, &kernels, &gradient);
        differences(&actual_x, &x, |x| loss(x, &kernels));
        differences(&actual_kernels, &kernels, |kernels| loss(&x, kernels));
    }

    #[test]
    fn a_small_one_is_summed_by_hand() {
        let sizes = Conv {
            batch: 1,
            from: 1,
            to: 1,
            groups: 1,
            input: [1, 4],
            kernel: [1, 3],
            stride: [1, 2],
            padding: [0, 1],
        };
        let y = forward(&sizes, &[1.0, 2.0, 3.0, 4.0], &[10.0, 1.0, 0.1]);
        assert_eq!(y, [1.0 + 0.2, 20.0 + 3.0 + 0.4]);
    }
}

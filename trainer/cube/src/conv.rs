//! Convolutions in two dimensions, and their gradients.
//!
//! ```text
//! y[n, to, h, w] = sum over c, i, j of  x[n, c, h stride - padding + i, w stride - padding + j] k[to, c, i, j]
//! ```
//! Each input is one thread's: its patches are laid out as the columns of a matrix, which the kernels
//! multiply. A depthwise convolution has too little to multiply; it is summed tap by tap. Kernels of
//! one place read their input where it lies. Gradients of kernels are summed in parts of the batch,
//! so that the result does not depend on which thread was faster.

use std::ops::Range;

use rayon::prelude::*;

use crate::linear::{Matrix, PARTS, product, sum_of_parts};

mod depthwise;
pub mod reference;

/// Sizes of a convolution. Sides, kernels, strides and padding are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Inputs.
    pub batch: usize,
    /// Channels of an input.
    pub from: usize,
    /// Channels of a result.
    pub to: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Sides of an input.
    pub input: [usize; 2],
    /// Sides of a kernel.
    pub kernel: [usize; 2],
    /// From one place to the next.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
}

impl Conv {
    /// Sides of a result.
    ///
    /// # Panics
    ///
    /// If the kernel is larger than the input with its padding, or a stride is 0.
    #[must_use]
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let padded = self.input[axis] + 2 * self.padding[axis];
            assert!(
                padded >= self.kernel[axis],
                "conv: the kernel is larger than the input"
            );
            (padded - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// Numbers of one input, one result and all kernels.
    fn lens(&self) -> [usize; 3] {
        let area = |sides: [usize; 2]| sides[0] * sides[1];
        [
            self.from * area(self.input),
            self.to * area(self.output()),
            self.to * self.patch(),
        ]
    }

    /// Channels of an input that one group sees.
    fn depth(&self) -> usize {
        self.from / self.groups
    }

    /// Numbers that one result is made of.
    fn patch(&self) -> usize {
        self.depth() * self.kernel[0] * self.kernel[1]
    }

    fn check(&self, x: &[f32], kernels: &[f32], y: &[f32]) -> [usize; 3] {
        let groups = self.groups;
        let divides = |n: usize| n > 0 && n.is_multiple_of(groups);
        assert!(
            groups > 0 && divides(self.from) && divides(self.to),
            "conv: groups"
        );
        let [of_x, of_y, of_kernels] = self.lens();
        assert_eq!(x.len(), self.batch * of_x, "conv: inputs");
        assert_eq!(y.len(), self.batch * of_y, "conv: results");
        assert_eq!(kernels.len(), of_kernels, "conv: kernels");
        [of_x, of_y, of_kernels]
    }

    fn is_depthwise(&self) -> bool {
        self.depth() == 1 && self.to == self.from
    }

    /// Whether the patches of an input are the input.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Results along an axis that see the input through place `tap` of the kernel, and where the first
    /// of them sees it.
    fn seen(&self, axis: usize, tap: usize) -> (Range<usize>, usize) {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let first = padding.saturating_sub(tap).div_ceil(stride);
        // The last place at which the input is seen is its end.
        let last = (self.input[axis] + padding)
            .checked_sub(tap + 1)
            .map_or(0, |most| most / stride + 1);
        let end = last.min(self.output()[axis]).max(first);
        (first..end, (first * stride + tap).saturating_sub(padding))
    }

    /// Numbers of a channel of an input, and of a result.
    fn areas(&self) -> [usize; 2] {
        [self.input, self.output()].map(|sides| sides[0] * sides[1])
    }

    /// For each place of the kernel and each row of results, what of one channel they see.
    fn rows(&self) -> Vec<Row> {
        let [_, width] = self.output();
        let mut all = Vec::new();
        for down in 0..self.kernel[0] {
            let (rows, first_row) = self.seen(0, down);
            for across in 0..self.kernel[1] {
                let (columns, first_column) = self.seen(1, across);
                for (row, number) in rows.clone().zip(0..) {
                    let seen_row = first_row + number * self.stride[0];
                    all.push(Row {
                        tap: down * self.kernel[1] + across,
                        places: row * width + columns.start..row * width + columns.end,
                        seen: seen_row * self.input[1] + first_column,
                    });
                }
            }
        }
        all
    }

    /// The patches of some channels as columns, `[channels x kernel, results]`; what lies in the
    /// padding is left as it is, 0.
    fn lay_out(&self, rows: &[Row], channels: &[f32], columns: &mut [f32]) {
        let [area, len] = self.areas();
        let taps = self.kernel[0] * self.kernel[1];
        let channels = channels.chunks_exact(area);
        for (channel, columns) in channels.zip(columns.chunks_exact_mut(taps * len)) {
            for row in rows {
                let to = &mut columns[row.tap * len..][row.places.clone()];
                copy(to, &channel[row.seen..], self.stride[1]);
            }
        }
    }

    /// Adds columns to the channels that they were laid out from.
    fn gather(&self, rows: &[Row], columns: &[f32], channels: &mut [f32]) {
        let [area, len] = self.areas();
        let taps = self.kernel[0] * self.kernel[1];
        let channels = channels.chunks_exact_mut(area);
        for (channel, columns) in channels.zip(columns.chunks_exact(taps * len)) {
            for row in rows {
                let from = &columns[row.tap * len..][row.places.clone()];
                let to = &mut channel[row.seen..];
                if self.stride[1] == 1 {
                    to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
                } else {
                    let to = to.iter_mut().step_by(self.stride[1]);
                    to.zip(from).for_each(|(to, x)| *to += x);
                }
            }
        }
    }
}

/// A row of results of a channel, as it sees the input through one place of the kernel.
#[derive(Debug, Clone)]
struct Row {
    /// The place of the kernel.
    tap: usize,
    /// The results.
    places: Range<usize>,
    /// Where the first of them sees the input.
    seen: usize,
}

/// Copies every `stride`-th number.
fn copy(to: &mut [f32], from: &[f32], stride: usize) {
    if stride == 1 {
        let len = to.len();
        to.copy_from_slice(&from[..len]);
    } else {
        let from = from.iter().step_by(stride);
        to.iter_mut().zip(from).for_each(|(to, x)| *to = *x);
    }
}

/// The result, `[batch, to, height, width]`, from zeros.
///
/// # Panics
///
/// If a slice has another length than the sizes say, or sizes make no convolution.
pub fn forward_into(sizes: &Conv, x: &[f32], kernels: &[f32], y: &mut [f32]) {
    let [of_x, of_y, _] = sizes.check(x, kernels, y);
    let inputs = x.par_chunks_exact(of_x.max(1));
    let results = y.par_chunks_exact_mut(of_y.max(1));
    let columns = || vec![0.0; columns_len(sizes)];
    let rows = &sizes.rows();
    results
        .zip(inputs)
        .for_each_init(columns, |columns, (y, x)| {
            if sizes.is_depthwise() {
                depthwise::forward(sizes, rows, x, kernels, y);
                return;
            }
            let channels = x.chunks_exact(of_x / sizes.groups);
            let groups = channels.zip(kernels.chunks_exact(kernels.len() / sizes.groups));
            for (y, (x, kernels)) in y.chunks_exact_mut(of_y / sizes.groups).zip(groups) {
                let columns = patches(sizes, rows, x, columns);
                let kernels = Matrix::new(kernels, sizes.patch());
                product(kernels, columns, y, false);
            }
        });
}

/// Gradients of the inputs, if anybody wants them, into zeros, and of the kernels.
///
/// # Panics
///
/// As [`forward_into`].
#[must_use]
pub fn backward_into(
    sizes: &Conv,
    x: &[f32],
    kernels: &[f32],
    gradient: &[f32],
    of_x: Option<&mut [f32]>,
) -> Vec<f32> {
    let [of_input, of_y, of_kernels] = sizes.check(x, kernels, gradient);
    let rows = &sizes.rows();
    if let Some(to) = of_x {
        assert_eq!(to.len(), x.len(), "conv: gradient of the inputs");
        let inputs = to.par_chunks_exact_mut(of_input.max(1));
        let gradients = gradient.par_chunks_exact(of_y.max(1));
        let columns = || vec![0.0; columns_len(sizes)];
        inputs
            .zip(gradients)
            .for_each_init(columns, |columns, (to, gradient)| {
                backward_of_input(sizes, rows, kernels, gradient, columns, to);
            });
    }
    let part_len = sizes.batch.div_ceil(PARTS);
    sum_of_parts(
        of_kernels,
        std::array::from_fn(|_| Default::default()),
        |part, _, to| {
            let mut columns = vec![0.0; columns_len(sizes)];
            let inputs = x.chunks_exact(of_input).skip(part * part_len);
            let gradients = gradient.chunks_exact(of_y).skip(part * part_len);
            for (x, gradient) in inputs.zip(gradients).take(part_len) {
                backward_of_kernels(sizes, rows, x, gradient, &mut columns, to);
            }
        },
    )
}

fn backward_of_input(
    sizes: &Conv,
    rows: &[Row],
    kernels: &[f32],
    gradient: &[f32],
    columns: &mut [f32],
    to: &mut [f32],
) {
    if sizes.is_depthwise() {
        depthwise::backward_of_input(sizes, rows, kernels, gradient, to);
        return;
    }
    let [_, len] = sizes.areas();
    let group = to.len() / sizes.groups;
    let of_group = sizes.to / sizes.groups;
    let gradients = gradient.chunks_exact(of_group * len);
    let kernels = kernels.chunks_exact(of_group * sizes.patch());
    for (to, (gradient, kernels)) in to.chunks_exact_mut(group).zip(gradients.zip(kernels)) {
        let kernels = Matrix::new(kernels, sizes.patch()).transpose();
        let gradient = Matrix::new(gradient, len);
        if sizes.is_pointwise() {
            product(kernels, gradient, to, false);
        } else {
            product(kernels, gradient, columns, false);
            sizes.gather(rows, columns, to);
        }
    }
}

fn backward_of_kernels(
    sizes: &Conv,
    rows: &[Row],
    x: &[f32],
    gradient: &[f32],
    columns: &mut [f32],
    to: &mut [f32],
) {
    if sizes.is_depthwise() {
        depthwise::backward_of_kernels(sizes, rows, x, gradient, to);
        return;
    }
    let [_, len] = sizes.areas();
    let of_group = sizes.to / sizes.groups;
    let inputs = x.chunks_exact(x.len() / sizes.groups);
    let gradients = gradient.chunks_exact(of_group * len);
    let groups = to.chunks_exact_mut(of_group * sizes.patch());
    for (to, (x, gradient)) in groups.zip(inputs.zip(gradients)) {
        let columns = patches(sizes, rows, x, columns);
        product(Matrix::new(gradient, len), columns.transpose(), to, true);
    }
}

/// Numbers of the columns of one group.
fn columns_len(sizes: &Conv) -> usize {
    if sizes.is_depthwise() || sizes.is_pointwise() {
        return 0;
    }
    sizes.patch() * sizes.output().iter().product::<usize>()
}

/// The patches of the channels of one group. What lies in the padding is never written, so it stays 0.
fn patches<'a>(sizes: &Conv, rows: &[Row], x: &'a [f32], columns: &'a mut [f32]) -> Matrix<'a> {
    let [_, len] = sizes.areas();
    if sizes.is_pointwise() {
        return Matrix::new(x, len);
    }
    sizes.lay_out(rows, x, columns);
    Matrix::new(columns, len)
}

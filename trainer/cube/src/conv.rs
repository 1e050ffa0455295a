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

    /// Walks over the taps of one channel: for each place of the kernel and each row of results, its
    /// number, results, and where the first of them sees the input.
    fn for_each_row(&self, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let [_, width] = self.output();
        for down in 0..self.kernel[0] {
            let (rows, first_row) = self.seen(0, down);
            for across in 0..self.kernel[1] {
                let (columns, first_column) = self.seen(1, across);
                let tap = down * self.kernel[1] + across;
                for (row, number) in rows.clone().zip(0..) {
                    let seen = (first_row + number * self.stride[0]) * self.input[1] + first_column;
                    visit(
                        tap,
                        row * width + columns.start..row * width + columns.end,
                        seen,
                    );
                }
            }
        }
    }

    /// The patches of some channels as columns, `[channels x kernel, results]`; what lies in the
    /// padding is left as it is, 0.
    fn lay_out(&self, channels: &[f32], columns: &mut [f32]) {
        let area = self.input[0] * self.input[1];
        let taps = self.kernel[0] * self.kernel[1];
        let len = self.output().iter().product::<usize>();
        let channels = channels.chunks_exact(area);
        for (channel, columns) in channels.zip(columns.chunks_exact_mut(taps * len)) {
            self.for_each_row(|tap, places, seen| {
                let to = &mut columns[tap * len..][places];
                copy(to, &channel[seen..], self.stride[1]);
            });
        }
    }

    /// Adds columns to the channels that they were laid out from.
    fn gather(&self, columns: &[f32], channels: &mut [f32]) {
        let area = self.input[0] * self.input[1];
        let taps = self.kernel[0] * self.kernel[1];
        let len = self.output().iter().product::<usize>();
        let channels = channels.chunks_exact_mut(area);
        for (channel, columns) in channels.zip(columns.chunks_exact(taps * len)) {
            self.for_each_row(|tap, places, seen| {
                let from = &columns[tap * len..][places];
                let to = channel[seen..].iter_mut().step_by(self.stride[1]);
                to.zip(from).for_each(|(to, x)| *to += x);
            });
        }
    }
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
    results
        .zip(inputs)
        .for_each_init(columns, |columns, (y, x)| {
            if sizes.is_depthwise() {
                depthwise(sizes, x, kernels, y);
                return;
            }
            let channels = x.chunks_exact(of_x / sizes.groups);
            let groups = channels.zip(kernels.chunks_exact(kernels.len() / sizes.groups));
            for (y, (x, kernels)) in y.chunks_exact_mut(of_y / sizes.groups).zip(groups) {
                let columns = patches(sizes, x, columns);
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
    if let Some(to) = of_x {
        assert_eq!(to.len(), x.len(), "conv: gradient of the inputs");
        let inputs = to.par_chunks_exact_mut(of_input.max(1));
        let gradients = gradient.par_chunks_exact(of_y.max(1));
        let columns = || vec![0.0; columns_len(sizes)];
        inputs
            .zip(gradients)
            .for_each_init(columns, |columns, (to, gradient)| {
                backward_of_input(sizes, kernels, gradient, columns, to);
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
                backward_of_kernels(sizes, x, gradient, &mut columns, to);
            }
        },
    )
}

fn backward_of_input(
    sizes: &Conv,
    kernels: &[f32],
    gradient: &[f32],
    columns: &mut [f32],
    to: &mut [f32],
) {
    let len = sizes.output().iter().product::<usize>();
    if sizes.is_depthwise() {
        let area = sizes.input[0] * sizes.input[1];
        let kernels = kernels.chunks_exact(sizes.patch());
        let channels = to.chunks_exact_mut(area).zip(gradient.chunks_exact(len));
        for ((to, gradient), kernel) in channels.zip(kernels) {
            sizes.for_each_row(|tap, places, seen| {
                let to = to[seen..].iter_mut().step_by(sizes.stride[1]);
                let given = gradient[places].iter();
                to.zip(given).for_each(|(to, g)| *to += g * kernel[tap]);
            });
        }
        return;
    }
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
            sizes.gather(columns, to);
        }
    }
}

fn backward_of_kernels(
    sizes: &Conv,
    x: &[f32],
    gradient: &[f32],
    columns: &mut [f32],
    to: &mut [f32],
) {
    let len = sizes.output().iter().product::<usize>();
    if sizes.is_depthwise() {
        let area = sizes.input[0] * sizes.input[1];
        let channels = x.chunks_exact(area).zip(gradient.chunks_exact(len));
        for ((x, gradient), to) in channels.zip(to.chunks_exact_mut(sizes.patch())) {
            sizes.for_each_row(|tap, places, seen| {
                let x = x[seen..].iter().step_by(sizes.stride[1]);
                let products = x.zip(&gradient[places]).map(|(x, g)| x * g);
                to[tap] += products.sum::<f32>();
            });
        }
        return;
    }
    let of_group = sizes.to / sizes.groups;
    let inputs = x.chunks_exact(x.len() / sizes.groups);
    let gradients = gradient.chunks_exact(of_group * len);
    let groups = to.chunks_exact_mut(of_group * sizes.patch());
    for (to, (x, gradient)) in groups.zip(inputs.zip(gradients)) {
        let columns = patches(sizes, x, columns);
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
fn patches<'a>(sizes: &Conv, x: &'a [f32], columns: &'a mut [f32]) -> Matrix<'a> {
    let len = sizes.output().iter().product();
    if sizes.is_pointwise() {
        return Matrix::new(x, len);
    }
    sizes.lay_out(x, columns);
    Matrix::new(columns, len)
}

fn depthwise(sizes: &Conv, x: &[f32], kernels: &[f32], y: &mut [f32]) {
    let area = sizes.input[0] * sizes.input[1];
    let len = sizes.output().iter().product::<usize>();
    let kernels = kernels.chunks_exact(sizes.patch());
    let channels = y.chunks_exact_mut(len).zip(x.chunks_exact(area));
    for ((y, x), kernel) in channels.zip(kernels) {
        sizes.for_each_row(|tap, places, seen| {
            let x = x[seen..].iter().step_by(sizes.stride[1]);
            y[places]
                .iter_mut()
                .zip(x)
                .for_each(|(y, x)| *y += x * kernel[tap]);
        });
    }
}

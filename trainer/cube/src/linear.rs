//! Products with a weight, and their gradients.
//!
//! ```text
//! y[rows, to] = x[rows, from] w[from, to] + b[to]
//! ```
//! Rows are taken in chunks that stay in a second-level cache; each chunk is one thread's. What is
//! summed over all rows is summed in chunks first and then in their order, so the result does not
//! depend on which thread was faster.

use rayon::prelude::*;

pub mod reference;

/// Rows of a chunk.
pub(crate) const CHUNK: usize = 256;

/// Parts of all rows whose sums over rows are made side by side. Not the number of threads, for the
/// sake of equal results on any number of them.
pub(crate) const PARTS: usize = 8;

/// Sizes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Rows.
    pub rows: usize,
    /// Numbers in a row.
    pub from: usize,
    /// Numbers in a row of the result.
    pub to: usize,
}

impl Linear {
    fn check(&self, x: &[f32], weight: &[f32], y: &[f32]) {
        let Self { rows, from, to } = *self;
        assert!(from > 0 && to > 0, "linear: rows of no numbers");
        assert_eq!(x.len(), rows * from, "linear: rows");
        assert_eq!(weight.len(), from * to, "linear: weight");
        assert_eq!(y.len(), rows * to, "linear: result");
    }
}

/// A matrix as a product takes it: its sizes and strides.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of so many columns.
    pub(crate) fn new(data: &'a [f32], columns: usize) -> Self {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        assert_eq!(data.len(), rows * columns, "a matrix of {columns} columns");
        Self {
            data,
            rows,
            columns,
            row: columns,
            column: 1,
        }
    }

    pub(crate) fn transpose(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// `to = a b`, or `to += a b`, on this thread.
///
/// # Panics
///
/// If sizes disagree.
pub(crate) fn product(a: Matrix<'_>, b: Matrix<'_>, to: &mut [f32], add: bool) {
    assert_eq!(a.columns, b.rows, "product: inner sizes");
    assert_eq!(to.len(), a.rows * b.columns, "product: result");
    if to.is_empty() {
        return;
    }
    // SAFETY: a matrix has as many numbers as its sizes and strides say, by `new` and `transpose`,
    // which are the only makers, and the result was checked to have a.rows x b.columns, row by row.
    // It does not overlap the others, being borrowed mutably.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to.as_mut_ptr(),
            1,
            b.columns as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `to[to_columns] += sum of rows`.
pub(crate) fn add_rows(rows: &[f32], to: &mut [f32]) {
    for row in rows.chunks_exact(to.len()) {
        for (to, x) in to.iter_mut().zip(row) {
            *to += x;
        }
    }
}

/// Rows of `y`, each a copy of the bias.
pub(crate) fn fill(y: &mut [f32], bias: &[f32]) {
    for y in y.chunks_exact_mut(bias.len()) {
        y.copy_from_slice(bias);
    }
}

/// The sum of what each part of all rows gives, in the order of parts.
///
/// `work` is given a part's place, the rows it owns and where to add; all parts are worked on side by
/// side.
pub(crate) fn sum_of_parts(
    len: usize,
    owned: [&mut [f32]; PARTS],
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut parts = vec![0.0; PARTS * len];
    parts
        .par_chunks_exact_mut(len.max(1))
        .zip(owned)
        .enumerate()
        .for_each(|(part, (to, owned))| work(part, owned, to));
    let (sum, others) = parts.split_at_mut(len);
    for other in others.chunks_exact(len.max(1)) {
        for (sum, x) in sum.iter_mut().zip(other) {
            *sum += x;
        }
    }
    parts.truncate(len);
    parts
}

/// Rows of parts, so many numbers each; there may be fewer in the last, and none in some.
pub(crate) fn owned(rows: &mut [f32], len: usize) -> [&mut [f32]; PARTS] {
    let mut rows = rows.chunks_mut(len.max(1));
    std::array::from_fn(|_| rows.next().unwrap_or_default())
}

/// Chunks in a part.
pub(crate) fn chunks_of_part(rows: usize) -> usize {
    rows.div_ceil(CHUNK).div_ceil(PARTS)
}

/// Rows times a weight, and the bias added.
///
/// # Panics
///
/// If a slice has another length than the sizes say.
pub fn forward_into(sizes: &Linear, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let Linear { from, to, .. } = *sizes;
    sizes.check(x, weight, y);
    assert_eq!(bias.len(), to, "linear: bias");
    let weight = Matrix::new(weight, to);
    y.par_chunks_mut(CHUNK * to)
        .zip(x.par_chunks(CHUNK * from))
        .for_each(|(y, x)| {
            fill(y, bias);
            product(Matrix::new(x, from), weight, y, true);
        });
}

/// Gradients from that of the result. That of the rows goes to `of_x`, unless nobody wants it.
///
/// # Panics
///
/// As [`forward_into`].
#[must_use]
pub fn backward_into(
    sizes: &Linear,
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    of_x: Option<&mut [f32]>,
) -> [Vec<f32>; 2] {
    let Linear { rows, from, to } = *sizes;
    sizes.check(x, weight, gradient);
    if let Some(of_x) = of_x {
        assert_eq!(of_x.len(), x.len(), "linear: gradient of the rows");
        let weight = Matrix::new(weight, to).transpose();
        of_x.par_chunks_mut(CHUNK * from)
            .zip(gradient.par_chunks(CHUNK * to))
            .for_each(|(of_x, gradient)| product(Matrix::new(gradient, to), weight, of_x, false));
    }
    let chunks = chunks_of_part(rows);
    let mut sums = sum_of_parts((from + 1) * to, owned(&mut [], 0), |part, _, sums| {
        let (of_weight, of_bias) = sums.split_at_mut(from * to);
        let x = x.chunks(CHUNK * from).skip(part * chunks);
        let gradient = gradient.chunks(CHUNK * to).skip(part * chunks);
        for (x, gradient) in x.zip(gradient).take(chunks) {
            let x = Matrix::new(x, from).transpose();
            product(x, Matrix::new(gradient, to), of_weight, true);
            add_rows(gradient, of_bias);
        }
    });
    let bias = sums.split_off(from * to);
    [sums, bias]
}

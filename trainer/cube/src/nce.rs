//! The denominators of InfoNCE, without keeping the matrix of similarities.
//!
//! ```text
//! l_i = ln sum over j of exp(x_i y_j), j of another group than i, or i itself
//! ```
//! `x` is scaled by the temperature before. The numerators are products of row and row, which need
//! no kernel. A tile of similarities exists at a time; backward computes them anew.

use pulp::Simd;
use rayon::prelude::*;

use crate::lanes::{exp, vectorise};
use crate::linear::{Matrix, product};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
pub mod reference;

/// Rows and columns of a tile of similarities.
const TILE: usize = 256;

/// Sizes of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nce {
    /// Rows of x.
    pub rows: usize,
    /// Rows of y: columns of the similarities. Not 0, unless there are no rows.
    pub columns: usize,
    /// Numbers in each.
    pub dim: usize,
}

/// Both sides, and which are no negatives of each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sides<T, G> {
    /// `[rows, dim]`.
    pub x: T,
    /// `[columns, dim]`.
    pub y: T,
    /// The group of row and column i, `[rows]`; there are as many columns then.
    pub groups: Option<G>,
}

impl Nce {
    fn check(&self, sides: &Sides<&[f32], &[i32]>) {
        let Self { rows, columns, dim } = *self;
        assert!(dim > 0 && (columns > 0 || rows == 0), "nce: {self:?}");
        assert_eq!(sides.x.len(), rows * dim, "nce: x");
        assert_eq!(sides.y.len(), columns * dim, "nce: y");
        if let Some(groups) = sides.groups {
            assert_eq!([groups.len(); 2], [rows, columns], "nce: groups");
        }
    }
}

/// A tile of similarities: where it begins, and its sizes.
#[derive(Clone, Copy)]
struct Tile {
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}

impl Tile {
    /// Similarities, minus infinity where a row is no negative of a column.
    fn similarities<'a>(
        self,
        dim: usize,
        sides: Sides<&[f32], &[i32]>,
        to: &'a mut [f32],
    ) -> &'a mut [f32] {
        let Self {
            row,
            column,
            rows,
            columns,
        } = self;
        let to = &mut to[..rows * columns];
        let x = Matrix::new(&sides.x[row * dim..(row + rows) * dim], dim);
        let y = Matrix::new(&sides.y[column * dim..(column + columns) * dim], dim);
        product(x, y.transpose(), to, false);
        if let Some(groups) = sides.groups {
            for (i, to) in (row..).zip(to.chunks_exact_mut(columns)) {
                for (j, to) in (column..).zip(to) {
                    if i != j && groups[i] == groups[j] {
                        *to = f32::NEG_INFINITY;
                    }
                }
            }
        }
        to
    }
}

/// Tiles of up to [`TILE`] that make up a length: where each begins, and its size.
fn tiles(len: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..len)
        .step_by(TILE)
        .map(move |first| [first, TILE.min(len - first)])
}

/// The logarithm of each row's sum, `[rows]`.
///
/// # Panics
///
/// If a slice has another length than the sizes say.
#[must_use]
pub fn forward(sizes: &Nce, sides: Sides<&[f32], &[i32]>) -> Vec<f32> {
    sizes.check(&sides);
    let mut logs = vec![0.0; sizes.rows];
    logs.par_chunks_mut(TILE).enumerate().for_each_init(
        || vec![0.0; TILE * TILE],
        |scratch, (index, logs)| {
            let mut sums = vec![[f32::NEG_INFINITY, 0.0]; logs.len()];
            for [column, columns] in tiles(sizes.columns) {
                let tile = Tile {
                    row: index * TILE,
                    column,
                    rows: logs.len(),
                    columns,
                };
                let similarities = tile.similarities(sizes.dim, sides, scratch);
                add_row_sums(similarities, columns, &mut sums);
            }
            for (log, [largest, sum]) in logs.iter_mut().zip(sums) {
                *log = largest + sum.ln();
            }
        },
    );
    logs
}

/// Gradients of x and, if wanted, y, from those of the logarithms.
///
/// # Panics
///
/// As [`forward`].
#[must_use]
pub fn backward(
    sizes: &Nce,
    sides: Sides<&[f32], &[i32]>,
    logs: &[f32],
    gradient: &[f32],
    with_y: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    sizes.check(&sides);
    let Nce { rows, columns, dim } = *sizes;
    assert_eq!([logs.len(), gradient.len()], [rows; 2], "nce: logarithms");
    let shares = |tile: Tile, scratch: &mut [f32]| {
        let shares = tile.similarities(dim, sides, scratch);
        let of_rows = tile.row..tile.row + tile.rows;
        to_shares(
            shares,
            tile.columns,
            &logs[of_rows.clone()],
            &gradient[of_rows],
        );
    };
    let scratch = || vec![0.0; TILE * TILE];
    let mut of_x = vec![0.0; rows * dim];
    let parts = of_x.par_chunks_mut(TILE * dim).enumerate();
    parts.for_each_init(scratch, |scratch, (index, of_x)| {
        for [column, columns] in tiles(columns) {
            let tile = Tile {
                row: index * TILE,
                column,
                rows: of_x.len() / dim,
                columns,
            };
            shares(tile, scratch);
            let y = Matrix::new(&sides.y[column * dim..(column + columns) * dim], dim);
            product(
                Matrix::new(&scratch[..tile.rows * columns], columns),
                y,
                of_x,
                true,
            );
        }
    });
    let of_y = with_y.then(|| {
        let mut of_y = vec![0.0; columns * dim];
        let parts = of_y.par_chunks_mut(TILE * dim).enumerate();
        parts.for_each_init(scratch, |scratch, (index, of_y)| {
            let columns = of_y.len() / dim;
            for [row, rows] in tiles(rows) {
                shares(
                    Tile {
                        row,
                        column: index * TILE,
                        rows,
                        columns,
                    },
                    scratch,
                );
                let x = Matrix::new(&sides.x[row * dim..(row + rows) * dim], dim);
                let shares = Matrix::new(&scratch[..rows * columns], columns);
                product(shares.transpose(), x, of_y, true);
            }
        });
        of_y
    });
    (of_x, of_y)
}

vectorise! {
    /// Adds a tile to each row's largest similarity and sum of exponentials relative to it.
    fn add_row_sums<'a>(similarities: &'a [f32], columns: usize, sums: &'a mut [[f32; 2]]) -> ()
        = add_row_sums_generic
}

vectorise! {
    /// Makes of similarities what each adds to the gradient: its share of the sum times the row's.
    fn to_shares<'a>(
        similarities: &'a mut [f32],
        columns: usize,
        logs: &'a [f32],
        gradient: &'a [f32],
    ) -> () = to_shares_generic
}

#[inline(always)]
fn add_row_sums_generic<S: Simd>(
    simd: S,
    similarities: &[f32],
    columns: usize,
    sums: &mut [[f32; 2]],
) {
    for (row, [largest, sum]) in similarities.chunks_exact(columns).zip(sums) {
        let (body, tail) = S::as_simd_f32s(row);
        let mut most = simd.splat_f32s(f32::NEG_INFINITY);
        for x in body {
            most = simd.max_f32s(most, *x);
        }
        let most = tail
            .iter()
            .copied()
            .fold(simd.reduce_max_f32s(most), f32::max);
        if most == f32::NEG_INFINITY {
            continue;
        }
        if most > *largest {
            *sum *= (*largest - most).exp();
            *largest = most;
        }
        let shift = simd.splat_f32s(*largest);
        let mut sums = simd.splat_f32s(0.0);
        for x in body {
            sums = simd.add_f32s(sums, exp(simd, simd.sub_f32s(*x, shift)));
        }
        *sum += simd.reduce_sum_f32s(sums);
        *sum += tail.iter().map(|x| (x - *largest).exp()).sum::<f32>();
    }
}

#[inline(always)]
fn to_shares_generic<S: Simd>(
    simd: S,
    similarities: &mut [f32],
    columns: usize,
    logs: &[f32],
    gradient: &[f32],
) {
    let rows = similarities.chunks_exact_mut(columns);
    for (row, (log, gradient)) in rows.zip(logs.iter().zip(gradient)) {
        let (body, tail) = S::as_mut_simd_f32s(row);
        let (log, gradient) = (simd.splat_f32s(*log), simd.splat_f32s(*gradient));
        for x in body {
            *x = simd.mul_f32s(exp(simd, simd.sub_f32s(*x, log)), gradient);
        }
        let last = simd.sub_f32s(simd.partial_load_f32s(tail), log);
        let last = simd.mul_f32s(exp(simd, last), gradient);
        simd.partial_store_f32s(tail, last);
    }
}

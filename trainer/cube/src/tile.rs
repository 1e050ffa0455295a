//! Products of small matrices, with all that is summed kept in registers.
//!
//! ```text
//! c[m, n] (+)= a[m, k] b[k, n]
//! ```
//! `a` may have any strides, so it may be a transpose. `b` is packed in [`Panels`]: columns in groups
//! of two vectors, filled up with zeros.

use pulp::Simd;

/// Rows of a tile: 6 x 2 sums, 2 vectors of `b` and one of `a` fit the 16 registers of AVX2.
pub(crate) const TILE_ROWS: usize = 6;

/// Numbers in a row of a panel.
#[inline(always)]
pub(crate) const fn width<S: Simd>() -> usize {
    2 * S::F32_LANES
}

/// Columns after filling up the last panel.
#[inline(always)]
pub(crate) const fn padded<S: Simd>(columns: usize) -> usize {
    columns.next_multiple_of(width::<S>())
}

/// A matrix with strides.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a [f32],
    /// From a row to the next.
    pub(crate) row: usize,
    /// From a column to the next.
    pub(crate) column: usize,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(crate) fn rows(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row,
            column: 1,
        }
    }

    /// The transpose of a matrix of such rows.
    #[inline(always)]
    pub(crate) fn columns(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row: 1,
            column: row,
        }
    }
}

/// Columns in groups of two vectors: group `p` is `data[p * rows * width..]`, row by row.
pub(crate) struct Panels {
    data: Vec<f32>,
    /// Rows there is room for.
    rows: usize,
}

impl Panels {
    /// Zeros.
    pub(crate) fn new<S: Simd>(rows: usize, columns: usize) -> Self {
        Self {
            data: vec![0.0; rows * padded::<S>(columns)],
            rows,
        }
    }

    /// Puts `from[i, j] * scale` in the place of rows `first..first + rows`.
    #[inline(always)]
    pub(crate) fn pack<S: Simd>(
        &mut self,
        first: usize,
        [rows, columns]: [usize; 2],
        from: View<'_>,
        scale: f32,
    ) {
        let width = width::<S>();
        let panels = self.data.chunks_exact_mut(self.rows * width);
        for (panel, to) in panels.enumerate() {
            let begin = panel * width;
            let count = width.min(columns.saturating_sub(begin));
            let to = &mut to[first * width..(first + rows) * width];
            for (i, to) in to.chunks_exact_mut(width).enumerate() {
                let start = i * from.row + begin * from.column;
                if from.column == 1 {
                    let from = &from.data[start..start + count];
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = from * scale;
                    }
                } else {
                    for (j, to) in to[..count].iter_mut().enumerate() {
                        *to = from.data[start + j * from.column] * scale;
                    }
                }
            }
        }
    }

    /// The product with `columns` of these columns, in whole panels, and the first `k` rows.
    ///
    /// # Panics
    ///
    /// If an operand is smaller than its sizes say.
    #[inline(always)]
    pub(crate) fn product<S: Simd>(
        &self,
        simd: S,
        [m, columns, k]: [usize; 3],
        a: View<'_>,
        c: &mut [f32],
        c_row: usize,
        add: bool,
    ) {
        let width = width::<S>();
        let panels = columns.div_ceil(width);
        if m == 0 || panels == 0 {
            return;
        }
        assert!(k <= self.rows && panels * self.rows * width <= self.data.len());
        assert!(k == 0 || (m - 1) * a.row + (k - 1) * a.column < a.data.len());
        assert!(panels * width <= c_row && (m - 1) * c_row + panels * width <= c.len());
        for panel in 0..panels {
            let b = &self.data[panel * self.rows * width..];
            let mut i = 0;
            while i < m {
                let rows = TILE_ROWS.min(m - i);
                let a = View {
                    data: &a.data[(i * a.row).min(a.data.len())..],
                    ..a
                };
                let c = &mut c[i * c_row + panel * width..];
                // SAFETY: the assertions above hold for all m rows and all panels, so they do for
                // these `rows` rows from row i on and this panel.
                unsafe {
                    match rows {
                        6 => tile::<S, 6>(simd, k, a, b, c, c_row, add),
                        5 => tile::<S, 5>(simd, k, a, b, c, c_row, add),
                        4 => tile::<S, 4>(simd, k, a, b, c, c_row, add),
                        3 => tile::<S, 3>(simd, k, a, b, c, c_row, add),
                        2 => tile::<S, 2>(simd, k, a, b, c, c_row, add),
                        _ => tile::<S, 1>(simd, k, a, b, c, c_row, add),
                    }
                }
                i += rows;
            }
        }
    }
}

/// `c[M, 2 vectors] (+)= a[M, k] b[k, 2 vectors]`.
///
/// # Safety
///
/// `a` has M rows of `k` columns, `b` has `k` rows of two vectors one after the other, and `c` M rows
/// of two vectors, `c_row` numbers apart.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize>(
    simd: S,
    k: usize,
    a: View<'_>,
    b: &[f32],
    c: &mut [f32],
    c_row: usize,
    add: bool,
) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; M];
    let at = |pointer: *const f32| pointer.cast::<S::f32s>();
    let (mut from, mut row) = (a.data.as_ptr(), b.as_ptr());
    for _ in 0..k {
        // SAFETY: row `i` of `a` and of `b` exist for all i < k, as the caller promises. Vectors
        // have no stricter alignment than is read with: the reads are unaligned ones.
        unsafe {
            let b = [at(row).read_unaligned(), at(row).add(1).read_unaligned()];
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = simd.splat_f32s(*from.add(i * a.row));
                sums[0] = simd.mul_add_e_f32s(a, b[0], sums[0]);
                sums[1] = simd.mul_add_e_f32s(a, b[1], sums[1]);
            }
        }
        from = from.wrapping_add(a.column);
        row = row.wrapping_add(2 * S::F32_LANES);
    }
    for (i, sums) in sums.into_iter().enumerate() {
        // SAFETY: row i of `c` has two vectors, as the caller promises.
        unsafe {
            let to = c.as_mut_ptr().add(i * c_row).cast::<S::f32s>();
            for (j, mut sum) in sums.into_iter().enumerate() {
                if add {
                    sum = simd.add_f32s(sum, to.add(j).read_unaligned());
                }
                to.add(j).write_unaligned(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::vectorise;

    /// Both ways to have `a`, and both to leave `c`, against sums by hand; what is not in `c` stays.
    fn compare<S: Simd>(simd: S, sizes: &[usize; 3]) {
        let [m, n, k] = *sizes;
        let value = |i: usize, j: usize| (i as f32 * 0.7 - j as f32 * 1.3).sin();
        let a: Vec<f32> = (0..m * k).map(|at| value(at / k, at % k)).collect();
        let a_columns: Vec<f32> = (0..m * k).map(|at| value(at % m, at / m)).collect();
        let b: Vec<f32> = (0..k * n).map(|at| value(at / n, at % n + 3)).collect();
        let mut panels = Panels::new::<S>(k + 2, n);
        panels.pack::<S>(0, [k, n], View::rows(&b, n), 2.0);
        let c_row = padded::<S>(n);
        for a in [View::rows(&a, k), View::columns(&a_columns, m)] {
            let mut c = vec![1.0; m * c_row];
            for add in [true, false] {
                panels.product(simd, [m, n, k], a, &mut c, c_row, add);
                for (at, c) in c.iter().enumerate() {
                    let (i, j) = (at / c_row, at % c_row);
                    let mut sum = if add { 1.0 } else { 0.0 };
                    for l in 0..k {
                        let b = if j < n { b[l * n + j] } else { 0.0 };
                        sum += 2.0 * f64::from(value(i, l)) * f64::from(b);
                    }
                    assert!(
                        (f64::from(*c) - sum).abs() < 2e-5,
                        "{sizes:?} {i} {j}: {c} {sum}"
                    );
                }
            }
        }
    }
    vectorise! { fn compared<'a>(sizes: &'a [usize; 3]) -> () = compare }

    #[test]
    fn products_of_any_size_are_sums_of_products() {
        for m in [1, 2, 3, 4, 5, 6, 7, 13] {
            for n in [1, 15, 16, 17, 32, 33, 70] {
                for k in [1, 2, 33] {
                    compared(&[m, n, k]);
                    compare(pulp::Scalar, &[m, n, k]);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn operands_that_are_too_small_are_refused() {
        let panels = Panels::new::<pulp::Scalar>(4, 2);
        panels.product(
            pulp::Scalar,
            [2, 2, 4],
            View::rows(&[0.0; 7], 4),
            &mut [0.0; 4],
            2,
            false,
        );
    }
}

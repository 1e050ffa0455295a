//! Vectors, and how much each of some resembles each of others.

use rayon::prelude::*;

/// Vectors of one length, one after the other, each of unit length or all zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    dim: usize,
    values: Vec<f64>,
}

impl Rows {
    /// Vectors of `dim` numbers, brought to unit length; one of zeros stays as it is.
    ///
    /// # Panics
    ///
    /// If `dim` is 0 or does not divide the numbers.
    pub fn normalized(dim: usize, values: impl IntoIterator<Item = f64>) -> Self {
        let mut rows = Self {
            dim,
            values: values.into_iter().collect(),
        };
        assert!(
            dim > 0 && rows.values.len().is_multiple_of(dim),
            "rows of {dim} numbers"
        );
        for row in rows.values.chunks_exact_mut(dim) {
            let norm = dot(row, row).sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|value| *value /= norm);
            }
        }
        rows
    }

    /// As [`normalized`](Self::normalized), from what a file holds.
    pub fn from_f32(dim: usize, values: &[f32]) -> Self {
        Self::normalized(dim, values.iter().map(|&value| f64::from(value)))
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// A vector.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim..][..self.dim]
    }

    /// The vectors, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// Some of the vectors, in the order given.
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            dim: self.dim,
            values: places.iter().flat_map(|&i| self.row(i)).copied().collect(),
        }
    }

    /// The cosine of each vector (row of the result) to each of others (column).
    ///
    /// # Panics
    ///
    /// If the vectors differ in length.
    pub fn cosines(&self, others: &Self) -> Scores {
        assert_eq!(self.dim, others.dim, "cosines: dimensions differ");
        let row = |a| others.iter().map(move |b| dot(a, b));
        Scores {
            columns: others.len(),
            values: self
                .values
                .par_chunks_exact(self.dim)
                .flat_map_iter(row)
                .collect(),
        }
    }
}

/// The sum of products, over the length of the shorter one. Eight sums side by side, for a single
/// one would wait for itself at every step.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    let ((a, rest_a), (b, rest_b)) = (a[..len].as_chunks::<8>(), b[..len].as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(a, b)| a * b);
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

/// A table of scores: a row for what is asked, a column for each possible answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    columns: usize,
    values: Vec<f64>,
}

impl Scores {
    /// A table, row by row.
    ///
    /// # Panics
    ///
    /// If `columns` is 0 or does not divide the number of scores.
    #[cfg(test)]
    pub fn new(columns: usize, values: Vec<f64>) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns));
        Self { columns, values }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The scores of a row.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..][..self.columns]
    }

    /// The scores of a column.
    pub fn column(&self, column: usize) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.columns);
        rows.map(|row| row[column]).collect()
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        Self {
            columns: self.len(),
            values: (0..self.columns).flat_map(|c| self.column(c)).collect(),
        }
    }

    /// The column with a row's highest score; of equal ones the first, as `numpy.argmax` has it.
    pub fn best(&self, i: usize) -> Option<usize> {
        let row = self.row(i);
        (0..row.len()).reduce(|best, c| if row[c] > row[best] { c } else { best })
    }

    /// Whether any of some columns is among the `k` with a row's highest scores; of equal scores
    /// the first column counts as the higher one, so that `k` = 1 is [`best`](Self::best).
    pub fn is_among_top(&self, i: usize, k: usize, columns: &[usize]) -> bool {
        let row = self.row(i);
        columns.iter().any(|&column| {
            let is_ahead =
                |c: &usize| row[*c] > row[column] || (row[*c] == row[column] && *c < column);
            (0..row.len()).filter(is_ahead).count() < k
        })
    }
}

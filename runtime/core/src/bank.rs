//! The classes that a window is compared with, as rows in the embedding space.

use sensorium_kernels::dot_f32;

/// Shortest length that a vector is divided by when it is normalised.
const MIN_NORM: f32 = 1e-12;

/// Scales a vector to unit length; one of zeros stays as it is.
pub fn normalize(vector: &mut [f32]) {
    let norm = libm::sqrtf(dot_f32(vector, vector)).max(MIN_NORM);
    for value in vector {
        *value /= norm;
    }
}

/// The class vector of several prompts: the mean of their text embeddings, less the space's
/// `centre`, normalised.
///
/// The centre is the mean embedding of a large list of phrases. Without it all sentences resemble
/// each other, and a class would mostly say "I am a sentence".
///
/// # Panics
///
/// If the embeddings and `out` differ in length from `centre`.
pub fn class_vector<'a>(
    prompts: impl IntoIterator<Item = &'a [f32]>,
    centre: &[f32],
    out: &mut [f32],
) {
    assert_eq!(out.len(), centre.len(), "class_vector: dimensions differ");
    out.fill(0.0);
    let mut count = 0.0f32;
    for prompt in prompts {
        assert_eq!(
            prompt.len(),
            centre.len(),
            "class_vector: dimensions differ"
        );
        count += 1.0;
        for (sum, value) in out.iter_mut().zip(prompt) {
            *sum += value;
        }
    }
    for (sum, centre) in out.iter_mut().zip(centre) {
        *sum = *sum / count.max(1.0) - centre;
    }
    normalize(out);
}

/// Class vectors side by side; whoever owns the rows decides where they live.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassBank<'a> {
    dim: usize,
    rows: &'a [f32],
}

impl<'a> ClassBank<'a> {
    /// A bank of `rows.len() / dim` normalised rows; none if `dim` is 0 or does not divide them.
    #[must_use]
    pub fn new(dim: usize, rows: &'a [f32]) -> Option<Self> {
        (dim > 0 && rows.len().is_multiple_of(dim)).then_some(Self { dim, rows })
    }

    /// Number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The cosine of a normalised embedding to each class, in order.
    ///
    /// # Panics
    ///
    /// If the embedding has another dimension than the bank.
    pub fn cosines(&self, embedding: &[f32]) -> impl Iterator<Item = f32> {
        self.rows
            .chunks_exact(self.dim)
            .map(move |row| dot_f32(row, embedding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn a_class_is_the_centred_mean_of_its_prompts() {
        let mut out = [0.0; 2];
        class_vector([&[3.0, 0.0][..], &[1.0, 4.0]], &[2.0, 1.0], &mut out);
        assert_eq!(out, [0.0, 1.0]);
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut v = [0.0; 4];
        normalize(&mut v);
        assert_eq!(v, [0.0; 4]);
        class_vector([], &[0.0; 4], &mut v);
        assert_eq!(v, [0.0; 4]);
    }

    #[test]
    fn cosines_come_in_the_order_of_the_rows() {
        let bank = ClassBank::new(2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8]).unwrap();
        assert_eq!(bank.len(), 3);
        assert_eq!(
            bank.cosines(&[0.6, 0.8]).collect::<Vec<_>>(),
            [0.6, 0.8, 1.0]
        );
        assert_eq!(ClassBank::new(2, &[1.0; 3]), None);
        assert_eq!(ClassBank::new(0, &[]), None);
    }
}

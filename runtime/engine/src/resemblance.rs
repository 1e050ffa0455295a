//! Words as what they resemble among names.
//!
//! ```text
//! word ─· names / temperature─▶ cosines ─softmax─▶ shares ─and what is missing to length 1─▶ [names + 1]
//! ```
//!
//! The space of a classifier has an axis a name. How much a word says of each is a matter of words alone:
//! "puppy" says nearly all of "Dog" and of "Bark", "engine" a little of many. Positions relative to some
//! anchors are how Moschella et al. (2023, Relative representations) make spaces meet.

use sensorium_kernels::dot_f32;
use sensorium_pack::npy::Array;
use sensorium_pack::sha256_hex;

/// The shares of names that words are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Resemblance {
    names: Array,
    temperature: f32,
}

impl Resemblance {
    /// Of names `[names, D]` of length 1; their cosines are divided by a temperature above 0. None if the
    /// array is no matrix, or the temperature makes no sense.
    #[must_use]
    pub fn new(names: Array, temperature: f32) -> Option<Self> {
        let is_matrix = matches!(names.shape[..], [count, dim] if count > 0 && dim > 0);
        let makes_sense = temperature.is_finite() && temperature > 0.0;
        (is_matrix && makes_sense).then_some(Self { names, temperature })
    }

    /// Numbers that a word has where names are embedded.
    #[must_use]
    pub fn word_dim(&self) -> usize {
        self.names.shape[1]
    }

    /// Dimensions of the space: a name each and one more.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.names.shape[0] + 1
    }

    /// What tells these names from others.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let numbers = self.names.values.iter().chain([&self.temperature]);
        let bytes: Vec<u8> = numbers.flat_map(|value| value.to_le_bytes()).collect();
        sha256_hex(&bytes)
    }

    /// The share of each name that a word of length 1 resembles; their sum is 1.
    #[must_use]
    pub fn shares(&self, word: &[f32]) -> Vec<f32> {
        let cosines: Vec<f32> = { self.names.rows() }
            .map(|name| dot_f32(word, name))
            .collect();
        let most = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shares = { cosines.iter() }.map(|cosine| ((cosine - most) / self.temperature).exp());
        let shares: Vec<f32> = shares.collect();
        let sum: f32 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    }

    /// Where a word of length 1 is in the space, of length 1.
    #[must_use]
    pub fn vector(&self, word: &[f32]) -> Vec<f32> {
        let mut vector = self.shares(word);
        let missing = 1.0 - dot_f32(&vector, &vector);
        vector.push(missing.max(0.0).sqrt());
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(temperature: f32) -> Resemblance {
        let names = Array {
            shape: vec![3, 2],
            values: vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8],
        };
        Resemblance::new(names, temperature).unwrap()
    }

    #[test]
    fn a_word_is_made_of_the_names_that_it_resembles() {
        let names = of(0.1);
        assert_eq!((names.word_dim(), names.dim()), (2, 4));
        let shares = names.shares(&[1.0, 0.0]);
        // By exp((cosine - 1) / 0.1) of 1, 0 and 0.6.
        let parts = [1.0, (-10.0f32).exp(), (-4.0f32).exp()];
        let sum: f32 = parts.iter().sum();
        for (share, part) in shares.iter().zip(parts) {
            assert!((share - part / sum).abs() < 1e-6, "{shares:?}");
        }
        let vector = names.vector(&[1.0, 0.0]);
        assert_eq!(vector[..3], shares);
        assert!((dot_f32(&vector, &vector) - 1.0).abs() < 1e-6);
        // So that what a classifier says, 0 on the last axis, is weighed by the shares.
        let said = [0.5, 0.25, 0.75, 0.0];
        assert_eq!(dot_f32(&said, &vector), dot_f32(&said[..3], &shares));
    }

    #[test]
    fn a_word_that_resembles_one_name_alone_is_on_its_axis() {
        let vector = of(0.001).vector(&[0.0, 1.0]);
        assert_eq!(vector, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let flat = Array {
            shape: vec![2],
            values: vec![1.0, 0.0],
        };
        assert!(Resemblance::new(flat, 0.1).is_none());
        let names = of(0.1).names;
        for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Resemblance::new(names.clone(), temperature).is_none());
        }
    }
}

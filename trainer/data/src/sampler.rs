//! Which samples go into a batch.

use rand::Rng;

/// Draws items with replacement, each as often as its weight says.
///
/// # Examples
///
/// Samples of two sets, the second of which is to come three times as often as its size says, and
/// in each of which rare classes come more often than their share:
///
/// ```
/// use sensorium_data::{Draw, Sampler, sampler};
///
/// let (mut items, mut weights) = (Vec::new(), Vec::new());
/// for (set, (classes, repeat)) in [(vec![0, 0, 1], 1.0), (vec![0, 1], 3.0)].iter().enumerate() {
///     items.extend((0..classes.len()).map(|entry| Draw { set, entry }));
///     weights.extend(sampler::balanced(classes, 0.5).iter().map(|weight| weight * repeat));
/// }
/// let sampler = Sampler::weighted(items, &weights);
/// assert_eq!(sampler.len(), 5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler<T = usize> {
    items: Vec<T>,
    /// Sum of the weights up to and including each item.
    cumulative: Vec<f64>,
}

/// The weight of a sample of each class: one of a class with `n` samples has `n^-balance`. 0 draws
/// every sample alike, 1 every class alike.
#[must_use]
pub fn balanced(classes: &[usize], balance: f64) -> Vec<f64> {
    let mut counts = vec![0u32; classes.iter().max().map_or(0, |max| max + 1)];
    for &class in classes {
        counts[class] += 1;
    }
    let weight = |&class: &usize| f64::from(counts[class]).powf(-balance);
    classes.iter().map(weight).collect()
}

impl<T: Copy> Sampler<T> {
    /// A sampler of `items`, whose classes are `classes`, one each, weighted as [`balanced`] does.
    ///
    /// # Panics
    ///
    /// If there is no item, or not one class an item.
    #[must_use]
    pub fn new(items: Vec<T>, classes: &[usize], balance: f64) -> Self {
        Self::weighted(items, &balanced(classes, balance))
    }

    /// A sampler of `items` with these weights, one each.
    ///
    /// # Panics
    ///
    /// If there is no item, not one weight an item, or a weight is not above 0.
    #[must_use]
    pub fn weighted(items: Vec<T>, weights: &[f64]) -> Self {
        assert!(!items.is_empty(), "nothing to draw");
        assert_eq!(items.len(), weights.len(), "one weight an item");
        let mut sum = 0.0;
        let cumulative = weights
            .iter()
            .map(|weight| {
                assert!(*weight > 0.0, "a weight of {weight}");
                sum += weight;
                sum
            })
            .collect();
        Self { items, cumulative }
    }

    /// Number of items to draw from.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Never: a sampler has at least one item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// One item.
    pub fn draw(&self, rng: &mut impl Rng) -> T {
        let total = self.cumulative[self.cumulative.len() - 1];
        let point = rng.random::<f64>() * total;
        let place = self.cumulative.partition_point(|&sum| sum <= point);
        self.items[place.min(self.items.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Draws from 90 windows of class 0 and 10 of class 1; the share of the latter.
    fn share(balance: f64) -> f64 {
        let classes: Vec<usize> = (0..100).map(|i| usize::from(i >= 90)).collect();
        let sampler = Sampler::new((0..100).collect(), &classes, balance);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rare = (0..20_000).filter(|_| sampler.draw(&mut rng) >= 90).count();
        rare as f64 / 20_000.0
    }

    #[test]
    fn rare_classes_come_as_often_as_their_weight_says() {
        assert!((share(0.0) - 0.1).abs() < 0.01);
        // sqrt(10) / (sqrt(90) + sqrt(10))
        assert!((share(0.5) - 0.25).abs() < 0.01);
        assert!((share(1.0) - 0.5).abs() < 0.01);
    }

    #[test]
    fn a_seed_gives_the_same_batch_and_only_windows_of_the_sampler() {
        let sampler = Sampler::new(vec![3, 7, 9], &[0, 0, 1], 0.5);
        let draw = |seed| -> Vec<usize> {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..32).map(|_| sampler.draw(&mut rng)).collect()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        assert!(draw(5).iter().all(|window| [3, 7, 9].contains(window)));
    }
}

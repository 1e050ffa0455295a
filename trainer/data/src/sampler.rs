//! Which windows go into a batch.

use rand::Rng;

/// Draws windows with replacement, rare classes more often than their share.
///
/// A window of a class with `n` windows has weight `n^-balance`: 0 draws every window alike, 1
/// every class alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    windows: Vec<usize>,
    /// Sum of the weights up to and including each window.
    cumulative: Vec<f64>,
}

impl Sampler {
    /// A sampler of `windows`, whose classes are `classes`, one each.
    ///
    /// # Panics
    ///
    /// If there is no window, or not one class a window.
    #[must_use]
    pub fn new(windows: Vec<usize>, classes: &[usize], balance: f64) -> Self {
        assert!(!windows.is_empty(), "no window to draw");
        assert_eq!(windows.len(), classes.len(), "one class a window");
        let mut counts = vec![0u32; classes.iter().max().map_or(0, |max| max + 1)];
        for &class in classes {
            counts[class] += 1;
        }
        let mut sum = 0.0;
        let cumulative = classes
            .iter()
            .map(|&class| {
                sum += f64::from(counts[class]).powf(-balance);
                sum
            })
            .collect();
        Self {
            windows,
            cumulative,
        }
    }

    /// Number of windows to draw from.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Never: a sampler has at least one window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// One window.
    pub fn draw(&self, rng: &mut impl Rng) -> usize {
        let total = self.cumulative[self.cumulative.len() - 1];
        let point = rng.random::<f64>() * total;
        let place = self.cumulative.partition_point(|&sum| sum <= point);
        self.windows[place.min(self.windows.len() - 1)]
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

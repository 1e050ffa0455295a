//! What rows were named, against what they are.

use super::mean_of_defined;

/// The true and the named class of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Naming {
    classes: usize,
    truth: Vec<usize>,
    named: Vec<usize>,
}

impl Naming {
    /// Names of rows.
    ///
    /// # Panics
    ///
    /// If there are not as many names as truths, or one is no class.
    pub fn new(classes: usize, truth: Vec<usize>, named: Vec<usize>) -> Self {
        assert_eq!(truth.len(), named.len(), "names and truths");
        assert!(truth.iter().chain(&named).all(|&class| class < classes));
        Self {
            classes,
            truth,
            named,
        }
    }

    /// Counts: row by row what it was, column by column what it was named.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (&truth, &named) in self.truth.iter().zip(&self.named) {
            counts[truth][named] += 1;
        }
        counts
    }

    /// The share of each class's rows that are named rightly; none for a class of no rows.
    ///
    /// # Panics
    ///
    /// If there is not a weight a row.
    pub fn recalls(&self, weights: &[f64]) -> Vec<Option<f64>> {
        assert_eq!(weights.len(), self.truth.len(), "weights");
        let (mut right, mut all) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        for ((&truth, &named), weight) in self.truth.iter().zip(&self.named).zip(weights) {
            all[truth] += weight;
            if truth == named {
                right[truth] += weight;
            }
        }
        let share = |(right, all): (f64, f64)| (all > 0.0).then(|| right / all);
        right.into_iter().zip(all).map(share).collect()
    }

    /// Mean over the classes that have rows of the share that is named rightly.
    pub fn class_recall(&self, weights: &[f64]) -> Option<f64> {
        mean_of_defined(self.recalls(weights))
    }
}

/// The share of rows that are hits; none of no rows.
///
/// # Panics
///
/// If there is not a weight a row.
pub fn share(hits: &[bool], weights: &[f64]) -> Option<f64> {
    assert_eq!(hits.len(), weights.len(), "weights");
    let hit = |(&hit, &weight): (&bool, &f64)| if hit { weight } else { 0.0 };
    let right: f64 = hits.iter().zip(weights).map(hit).sum();
    let all: f64 = weights.iter().sum();
    (all > 0.0).then(|| right / all)
}

//! Samples of two sets that belong together because they are of one class: a spoken digit and a
//! picture of the same digit.

use std::collections::BTreeMap;

use rand::Rng;
use thiserror::Error;

use crate::set::Entry;

/// No sample of one set has a partner in the other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the sets have no label in common: the first has {first:?}, the second {second:?}")]
pub struct PairingError {
    /// Some labels of the first set.
    pub first: Vec<String>,
    /// Some labels of the second set.
    pub second: Vec<String>,
}

/// The partners of each sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Samples of the first set that have partners, and their class.
    first: BTreeMap<usize, usize>,
    /// Samples of the second set, by class.
    second: Vec<Vec<usize>>,
}

impl Pairing {
    /// Joins some samples of one set with some of another by their labels.
    ///
    /// # Errors
    ///
    /// No label that both have.
    ///
    /// # Panics
    ///
    /// If there are no such samples.
    pub fn by_label(
        first: (&[Entry], &[usize]),
        second: (&[Entry], &[usize]),
    ) -> Result<Self, PairingError> {
        let mut classes = BTreeMap::<&str, Vec<usize>>::new();
        for &entry in second.1 {
            if let Some(label) = &second.0[entry].label {
                classes.entry(label).or_default().push(entry);
            }
        }
        let place: BTreeMap<&str, usize> = classes
            .keys()
            .enumerate()
            .map(|(i, label)| (*label, i))
            .collect();
        let class = |&entry: &usize| {
            let label = first.0[entry].label.as_deref()?;
            Some((entry, *place.get(label)?))
        };
        let joined: BTreeMap<usize, usize> = first.1.iter().filter_map(class).collect();
        if joined.is_empty() {
            return Err(PairingError {
                first: some_labels(first),
                second: some_labels(second),
            });
        }
        Ok(Self {
            first: joined,
            second: classes.into_values().collect(),
        })
    }

    /// Samples of the first set that have a partner, in ascending order.
    pub fn first(&self) -> impl Iterator<Item = usize> {
        self.first.keys().copied()
    }

    /// A sample of the second set for one of the first, another each time; none if it has no
    /// partner.
    pub fn draw(&self, first: usize, random: &mut impl Rng) -> Option<usize> {
        let partners = &self.second[*self.first.get(&first)?];
        Some(partners[random.random_range(0..partners.len())])
    }
}

fn some_labels((entries, members): (&[Entry], &[usize])) -> Vec<String> {
    const SOME: usize = 5;
    let labels = members
        .iter()
        .filter_map(|&entry| entries[entry].label.clone());
    let labels: std::collections::BTreeSet<String> = labels.collect();
    labels.into_iter().take(SOME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;

    fn entries(labels: &[&str]) -> Vec<Entry> {
        let label = |label: &&str| Some((*label).to_owned()).filter(|label| !label.is_empty());
        let entry = |label| Entry {
            label,
            ..Entry::default()
        };
        labels.iter().map(label).map(entry).collect()
    }

    #[test]
    fn partners_are_of_the_same_class_and_all_come() {
        let spoken = entries(&["one", "two", "three", "", "one"]);
        let seen = entries(&["two", "one", "one", "", "two"]);
        let pairing =
            Pairing::by_label((&spoken, &[0, 1, 2, 3]), (&seen, &[0, 1, 2, 3, 4])).unwrap();
        assert_eq!(pairing.first().collect::<Vec<_>>(), [0, 1]);
        let mut random = random_of(1, 0, 0);
        let mut drawn = |first| {
            let mut all: Vec<_> = (0..50)
                .filter_map(|_| pairing.draw(first, &mut random))
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        assert_eq!(drawn(0), [1, 2]);
        assert_eq!(drawn(1), [0, 4]);
        assert!(drawn(2).is_empty() && drawn(4).is_empty());
    }

    #[test]
    fn sets_without_a_common_label_are_refused() {
        let (a, b) = (entries(&["0", "1"]), entries(&["zero", ""]));
        let error = Pairing::by_label((&a, &[0, 1]), (&b, &[0, 1])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the sets have no label in common: the first has [\"0\", \"1\"], the second [\"zero\"]"
        );
    }
}

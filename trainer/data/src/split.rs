//! Which windows train an encoder and which measure it: divided by person, never at random, so
//! that nobody is on both sides.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::WindowSet;

/// Why a set cannot be divided so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The set has nobody of this number.
    #[error("person {user} is to be held out, but the set has no such person")]
    Unknown {
        /// The number.
        user: u32,
    },
    /// Nobody is left to train on.
    #[error("all {people} people are held out, none is left to train on")]
    Nobody {
        /// People in the set.
        people: usize,
    },
    /// A fold that there is not.
    #[error(
        "fold {fold} of {folds} among {people} people, expected a fold below {folds}, and at least as many people"
    )]
    Fold {
        /// The fold, from 0.
        fold: usize,
        /// Number of folds.
        folds: usize,
        /// People to divide.
        people: usize,
    },
}

/// Two groups of people, and their windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSplit {
    /// People to train on, in ascending order.
    pub training_people: Vec<u32>,
    /// People to measure on, in ascending order.
    pub held_out_people: Vec<u32>,
    /// Windows of the former.
    pub training: Vec<usize>,
    /// Windows of the latter.
    pub held_out: Vec<usize>,
}

impl PersonSplit {
    /// Holds these people out.
    ///
    /// # Errors
    ///
    /// A person that the set does not have, or nobody left.
    pub fn new(set: &WindowSet, held_out: &[u32]) -> Result<Self, SplitError> {
        let people: BTreeSet<u32> = set.sources().iter().map(|source| source.user).collect();
        let held: BTreeSet<u32> = held_out.iter().copied().collect();
        if let Some(&user) = held.difference(&people).next() {
            return Err(SplitError::Unknown { user });
        }
        if held.len() == people.len() {
            return Err(SplitError::Nobody {
                people: people.len(),
            });
        }
        let (held_windows, windows) =
            (0..set.len()).partition(|&i| held.contains(&set.sources()[i].user));
        Ok(Self {
            training_people: people.difference(&held).copied().collect(),
            held_out_people: held.into_iter().collect(),
            training: windows,
            held_out: held_windows,
        })
    }

    /// Divides the training people once more, for choices that the held-out people must not see:
    /// every `folds`-th of them from number `fold` on is held out of a training on the others. The
    /// people who were held out before take no part.
    ///
    /// # Errors
    ///
    /// A fold that there is not.
    pub fn inner(&self, set: &WindowSet, fold: usize, folds: usize) -> Result<Self, SplitError> {
        let people = self.training_people.len();
        if fold >= folds || folds < 2 || people < folds {
            return Err(SplitError::Fold {
                fold,
                folds,
                people,
            });
        }
        let held: Vec<u32> = self
            .training_people
            .iter()
            .copied()
            .skip(fold)
            .step_by(folds)
            .collect();
        let (held_out, training) = self
            .training
            .iter()
            .partition(|&&i| held.contains(&set.sources()[i].user));
        let mut others = self.training_people.clone();
        others.retain(|user| !held.contains(user));
        Ok(Self {
            training_people: others,
            held_out_people: held,
            training,
            held_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn set() -> WindowSet {
        let source = |i: u32| Source {
            user: i % 5,
            recording: 0,
            start_sample: u64::from(i),
            label_id: "1".into(),
            label: "walking".into(),
        };
        WindowSet::from_parts((0..20).map(source).collect(), vec![[0.0; 6]; 20], 1)
    }

    /// Both sides together are the whole, and nobody is on both.
    fn check(set: &WindowSet, split: &PersonSplit, total: usize) {
        assert_eq!(split.training.len() + split.held_out.len(), total);
        let users = |windows: &[usize]| -> BTreeSet<u32> {
            windows.iter().map(|&i| set.sources()[i].user).collect()
        };
        let (training, held_out) = (users(&split.training), users(&split.held_out));
        assert!(training.is_disjoint(&held_out));
        assert!(training.iter().eq(&split.training_people));
        assert!(held_out.iter().eq(&split.held_out_people));
    }

    #[test]
    fn nobody_is_on_both_sides() {
        let set = set();
        let split = PersonSplit::new(&set, &[3, 1]).unwrap();
        assert_eq!(split.held_out_people, [1, 3]);
        check(&set, &split, 20);
        for fold in 0..3 {
            let inner = split.inner(&set, fold, 3).unwrap();
            check(&set, &inner, 12);
            assert!(!inner.held_out_people.contains(&1) && !inner.training_people.contains(&1));
        }
    }

    #[test]
    fn a_division_that_cannot_be_is_refused() {
        let set = set();
        let message = |held: &[u32]| PersonSplit::new(&set, held).unwrap_err().to_string();
        assert_eq!(
            message(&[9]),
            "person 9 is to be held out, but the set has no such person"
        );
        assert_eq!(
            message(&[0, 1, 2, 3, 4]),
            "all 5 people are held out, none is left to train on"
        );
        let split = PersonSplit::new(&set, &[]).unwrap();
        assert!(split.inner(&set, 5, 5).is_err() && split.inner(&set, 0, 6).is_err());
    }
}

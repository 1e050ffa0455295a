//! Which samples train an encoder and which measure it: divided by group (a person, a speaker, a
//! recording), never at random within one, so that nobody is on both sides.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::set::{ContentKey, Entry};

/// How a set is divided: `split` of a recipe's `[[data]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SplitConfig {
    /// These groups are held out.
    Group {
        /// Their names.
        held_out: Vec<String>,
    },
    /// What the set itself puts on these sides is held out.
    Column {
        /// Such as `test`.
        held_out: Vec<String>,
    },
    /// A share of the groups is held out; which ones, their names and the seed decide, not how many
    /// others there are.
    Share {
        /// From 0 to 1, both excluded.
        held_out: f64,
        /// Another one holds out others.
        #[serde(default)]
        seed: u64,
    },
}

/// Why a set cannot be divided so.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The set has no such group.
    #[error("{what} {group:?} is to be held or left out, but the set has no such {what}")]
    Unknown {
        /// The group.
        group: String,
        /// What it should be.
        what: &'static str,
    },
    /// Nobody is left to train on.
    #[error("all {groups} groups are held out, none is left to train on")]
    Nobody {
        /// Groups of the set.
        groups: usize,
    },
    /// Nobody is held out.
    #[error("none of {groups} groups is held out")]
    Everybody {
        /// Groups of the set.
        groups: usize,
    },
    /// A group is on both sides.
    #[error("{group:?} is on both sides of the set's own division")]
    Both {
        /// The group.
        group: String,
    },
    /// A share that is none.
    #[error("held_out is {share}, expected more than 0 and less than 1")]
    Share {
        /// The share.
        share: f64,
    },
    /// A fold that there is not.
    #[error(
        "fold {fold} of {folds} among {groups} groups, expected a fold below {folds}, and at least as many groups"
    )]
    Fold {
        /// The fold, from 0.
        fold: usize,
        /// Number of folds.
        folds: usize,
        /// Groups to divide.
        groups: usize,
    },
}

/// Two sides of a set, and the groups on each, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Groups to train on.
    pub training_groups: Vec<String>,
    /// Groups to measure on.
    pub held_out_groups: Vec<String>,
    /// Samples of the former.
    pub training: Vec<usize>,
    /// Samples of the latter.
    pub held_out: Vec<usize>,
}

impl SplitConfig {
    /// Divides the entries of a set. One without a group is its own.
    ///
    /// # Errors
    ///
    /// Groups that the set does not have, or nobody on a side.
    pub fn apply(&self, entries: &[Entry]) -> Result<Split, SplitError> {
        let groups: Vec<&str> = entries.iter().map(Entry::group_or_name).collect();
        match self {
            Self::Group { held_out } => Split::new(&groups, held_out),
            Self::Column { held_out } => by_column(entries, &groups, held_out),
            &Self::Share { held_out, seed } => by_share(&groups, held_out, seed),
        }
    }
}

impl Split {
    /// Holds some groups out of samples of these groups, one each.
    ///
    /// # Errors
    ///
    /// A group that there is not, or nobody left.
    pub fn new(groups: &[&str], held_out: &[String]) -> Result<Self, SplitError> {
        let all: BTreeSet<&str> = groups.iter().copied().collect();
        let held: BTreeSet<&str> = held_out.iter().map(String::as_str).collect();
        if let Some(group) = held.difference(&all).next() {
            let group = (*group).to_owned();
            let what = "group";
            return Err(SplitError::Unknown { group, what });
        }
        Self::of(groups, |group| held.contains(group))
    }

    fn of(groups: &[&str], is_held: impl Fn(&str) -> bool) -> Result<Self, SplitError> {
        let all: BTreeSet<&str> = groups.iter().copied().collect();
        let (mut held_out_groups, mut training_groups): (Vec<String>, Vec<String>) = all
            .iter()
            .map(|&group| group.to_owned())
            .partition(|group| is_held(group));
        held_out_groups.sort_by(|a, b| ascending(a, b));
        training_groups.sort_by(|a, b| ascending(a, b));
        if training_groups.is_empty() {
            return Err(SplitError::Nobody { groups: all.len() });
        }
        let (held_out, training) = (0..groups.len()).partition(|&i| is_held(groups[i]));
        Ok(Self {
            training_groups,
            held_out_groups,
            training,
            held_out,
        })
    }

    /// Takes training groups out, samples and all: nobody trains on them or measures by them.
    ///
    /// # Errors
    ///
    /// A group that is none to train on, or nobody left.
    pub fn leave_out<'a>(
        &mut self,
        left_out: &[String],
        group_of: impl Fn(usize) -> &'a str,
    ) -> Result<(), SplitError> {
        let is_known = |group: &&String| self.training_groups.contains(group);
        if let Some(group) = left_out.iter().find(|group| !is_known(group)) {
            let group = group.clone();
            let what = "training group";
            return Err(SplitError::Unknown { group, what });
        }
        let groups = self.training_groups.len();
        self.training_groups
            .retain(|group| !left_out.contains(group));
        if self.training_groups.is_empty() {
            return Err(SplitError::Nobody { groups });
        }
        let is_out = |item: usize| left_out.iter().any(|group| group == group_of(item));
        self.training.retain(|&item| !is_out(item));
        Ok(())
    }

    /// Divides the training groups once more, for choices that the held-out groups must not see:
    /// every `folds`-th of them from number `fold` on is held out of a training on the others. What
    /// was held out before takes no part.
    ///
    /// # Errors
    ///
    /// A fold that there is not.
    pub fn inner(&self, groups: &[&str], fold: usize, folds: usize) -> Result<Self, SplitError> {
        let count = self.training_groups.len();
        if fold >= folds || folds < 2 || count < folds {
            return Err(SplitError::Fold {
                fold,
                folds,
                groups: count,
            });
        }
        let held: Vec<String> = self
            .training_groups
            .iter()
            .skip(fold)
            .step_by(folds)
            .cloned()
            .collect();
        let is_held = |group: &str| held.iter().any(|held| held == group);
        let (held_out, training) = self.training.iter().partition(|&&i| is_held(groups[i]));
        let mut others = self.training_groups.clone();
        others.retain(|group| !is_held(group));
        Ok(Self {
            training_groups: others,
            held_out_groups: held,
            training,
            held_out,
        })
    }
}

fn by_column(entries: &[Entry], groups: &[&str], held_out: &[String]) -> Result<Split, SplitError> {
    let is_side = |entry: &Entry, side: &String| entry.split.as_ref() == Some(side);
    let unknown = held_out
        .iter()
        .find(|side| !entries.iter().any(|entry| is_side(entry, side)));
    if let Some(side) = unknown {
        return Err(SplitError::Unknown {
            group: side.clone(),
            what: "split",
        });
    }
    let is_held = |entry: &Entry| held_out.iter().any(|side| is_side(entry, side));
    let sides = entries.iter().zip(groups);
    let (mut held, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for (entry, group) in sides {
        let side = if is_held(entry) { &mut held } else { &mut kept };
        side.insert(*group);
    }
    if let Some(group) = held.intersection(&kept).next() {
        let group = (*group).to_owned();
        return Err(SplitError::Both { group });
    }
    Split::of(groups, |group| held.contains(group))
}

fn by_share(groups: &[&str], share: f64, seed: u64) -> Result<Split, SplitError> {
    if !(share > 0.0 && share < 1.0) {
        return Err(SplitError::Share { share });
    }
    let is_held = |group: &str| {
        let key = ContentKey::of_parts([&seed.to_le_bytes()[..], group.as_bytes()]).to_bytes();
        let [a, b, c, d, ..] = key;
        f64::from(u32::from_le_bytes([a, b, c, d])) < share * f64::from(u32::MAX)
    };
    let split = Split::of(groups, is_held)?;
    if split.held_out_groups.is_empty() {
        let groups = split.training_groups.len();
        return Err(SplitError::Everybody { groups });
    }
    Ok(split)
}

/// Numbers by their value, before words.
fn ascending(a: &str, b: &str) -> Ordering {
    let key = |text: &str| match text.parse::<u64>() {
        Ok(number) => (false, number),
        Err(_word) => (true, 0),
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;

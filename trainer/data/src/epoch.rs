//! Going through several sets, each as often as it is to be.

use crate::batch::random_of;
use rand::Rng;

/// A sample of one of several sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Draw {
    /// The set.
    pub set: usize,
    /// The sample of those that the set takes part with.
    pub entry: usize,
}

/// Every sample of every set, as often as its set is repeated, in an order that a seed decides. No
/// list is kept: any place of any epoch is found at once, so that a training goes on anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Samples of each set, and the sum of all places up to its end.
    sets: Vec<(usize, u64)>,
    keys: [u64; ROUNDS],
    /// Bits of each half that is mixed.
    half_bits: u32,
}

/// Rounds of the Feistel network, which is a permutation whatever its keys are; four make it look
/// like any (Luby, Rackoff 1988).
const ROUNDS: usize = 4;

impl Epoch {
    /// Epoch number `epoch` of sets of so many samples that are repeated so often.
    #[must_use]
    pub fn new(sets: &[(usize, u32)], seed: u64, epoch: u64) -> Self {
        let mut end = 0u64;
        let sets: Vec<(usize, u64)> = sets
            .iter()
            .map(|&(samples, repeat)| {
                end = end.saturating_add((samples as u64).saturating_mul(repeat.into()));
                (samples, end)
            })
            .collect();
        let mut random = random_of(seed, epoch, u64::MAX);
        let bits = u64::BITS - end.saturating_sub(1).leading_zeros();
        Self {
            sets,
            keys: std::array::from_fn(|_| random.random()),
            half_bits: bits.div_ceil(2).max(1),
        }
    }

    /// Number of places.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.sets.last().map_or(0, |&(_, end)| end)
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample at a place; none past the end.
    #[must_use]
    pub fn get(&self, place: u64) -> Option<Draw> {
        if place >= self.len() {
            return None;
        }
        // What lies beyond the end is mixed again, which comes back in at last.
        let mut mixed = self.mix(place);
        while mixed >= self.len() {
            mixed = self.mix(mixed);
        }
        let set = self.sets.partition_point(|&(_, end)| end <= mixed);
        let (samples, _) = self.sets[set];
        let begin = set.checked_sub(1).map_or(0, |before| self.sets[before].1);
        let entry = ((mixed - begin) % samples as u64) as usize;
        Some(Draw { set, entry })
    }

    fn mix(&self, place: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (place >> self.half_bits, place & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (split_mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn all(epoch: &Epoch) -> Vec<Draw> {
        (0..epoch.len()).filter_map(|at| epoch.get(at)).collect()
    }

    proptest! {
        #[test]
        fn every_sample_comes_as_often_as_its_set_is_repeated(
            sets in prop::collection::vec((0usize..40, 1u32..6), 0..5), seed in any::<u64>(),
        ) {
            let epoch = Epoch::new(&sets, seed, 0);
            let mut counts = BTreeMap::new();
            for draw in all(&epoch) {
                *counts.entry(draw).or_insert(0u32) += 1;
            }
            let mut expected = BTreeMap::new();
            for (set, &(samples, repeat)) in sets.iter().enumerate() {
                expected.extend((0..samples).map(|entry| (Draw { set, entry }, repeat)));
            }
            prop_assert_eq!(counts, expected);
            prop_assert_eq!(epoch.get(epoch.len()), None);
        }
    }

    #[test]
    fn seeds_and_epochs_have_orders_of_their_own() {
        let order = |seed, epoch| all(&Epoch::new(&[(50, 2), (100, 1)], seed, epoch));
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        // Both sets are everywhere: of 100 places of the first half, about 50 are of each.
        let first = order(3, 0)[..100]
            .iter()
            .filter(|draw| draw.set == 0)
            .count();
        assert!((35..=65).contains(&first), "{first}");
    }

    #[test]
    fn a_large_set_costs_nothing() {
        let epoch = Epoch::new(&[(usize::MAX >> 8, 50)], 1, 0);
        assert!(epoch.get(epoch.len() - 1).is_some());
    }
}

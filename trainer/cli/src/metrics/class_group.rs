//! Naming as a group of classes sees it: among all classes, among its own, and as one thing to be noticed.

/// What is told of a group, in the order of [`shares`].
pub const NAMES: [&str; 4] = [
    "top-1",
    "top-1 among themselves",
    "sensitivity",
    "specificity",
];

/// A sample, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Whether it is of one of the group's classes.
    pub belongs: bool,
    /// Whether it was named rightly among all classes.
    pub right: bool,
    /// Whether it was named rightly among the group's classes.
    pub right_among_own: bool,
    /// Whether it was named one of the group's classes, rightly or not.
    pub noticed: bool,
}

impl Judged {
    /// A sample that is of the classes `truths`, named `named` among all classes and `named_of_own` among
    /// `own`, the group's.
    pub fn new(
        own: &[usize],
        truths: &[usize],
        named: Option<usize>,
        named_of_own: Option<usize>,
    ) -> Self {
        let is_true = |class: Option<usize>| class.is_some_and(|class| truths.contains(&class));
        Self {
            belongs: truths.iter().any(|class| own.contains(class)),
            right: is_true(named),
            right_among_own: is_true(named_of_own),
            noticed: named.is_some_and(|class| own.contains(&class)),
        }
    }
}

/// Shares of the group's samples that are named rightly among all classes, among its own, and one of its
/// own; and of the other samples that are named none of its own. None of no samples.
///
/// # Panics
///
/// If there is not a weight a sample.
pub fn shares(judged: &[Judged], weights: &[f64]) -> [Option<f64>; 4] {
    assert_eq!(judged.len(), weights.len(), "weights");
    let (mut hits, mut own, mut others) = ([0.0; 4], 0.0, 0.0);
    for (sample, weight) in judged.iter().zip(weights) {
        let counts = match sample.belongs {
            true => [sample.right, sample.right_among_own, sample.noticed, false],
            false => [false, false, false, !sample.noticed],
        };
        *(if sample.belongs {
            &mut own
        } else {
            &mut others
        }) += weight;
        for (hits, counts) in hits.iter_mut().zip(counts) {
            *hits += if counts { *weight } else { 0.0 };
        }
    }
    let [right, right_among_own, noticed, spared] = hits;
    [
        (right, own),
        (right_among_own, own),
        (noticed, own),
        (spared, others),
    ]
    .map(|(hits, all)| (all > 0.0).then(|| hits / all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_counted_among_all_among_its_own_and_as_one() {
        let own = [0, 1];
        let judged = [
            Judged::new(&own, &[0], Some(0), Some(0)),
            // Taken for a class of others, and right among its own.
            Judged::new(&own, &[1], Some(2), Some(1)),
            // Taken for another one of the group: noticed all the same.
            Judged::new(&own, &[0], Some(1), Some(1)),
            // Of both kinds of class; either name is right.
            Judged::new(&own, &[1, 2], Some(2), Some(0)),
            Judged::new(&own, &[2], Some(2), Some(0)),
            Judged::new(&own, &[2], Some(1), Some(1)),
        ];
        let of = |weights: [f64; 6]| shares(&judged, &weights);
        assert_eq!(of([1.0; 6]), [Some(0.5), Some(0.5), Some(0.5), Some(0.5)]);
        assert_eq!(
            of([3.0, 1.0, 0.0, 0.0, 3.0, 1.0]),
            [Some(0.75), Some(1.0), Some(0.75), Some(0.75)]
        );
        assert_eq!(of([0.0, 0.0, 0.0, 0.0, 1.0, 0.0])[..3], [None; 3]);
        assert_eq!(of([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])[3], None);
    }
}

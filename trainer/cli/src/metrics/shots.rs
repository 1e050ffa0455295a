//! How well a linear probe does with a few labelled examples of each class.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Rows;
use super::probe::{Probe, TO_NAME};

/// Examples of a class that are reported.
pub const SHOTS: [usize; 5] = [1, 2, 4, 8, 16];

/// The probe's `C`. Embeddings have unit length, so that with scikit-learn's default of 1 a handful
/// of them would hardly move the weights.
pub const STRENGTH: f64 = 10.0;

/// Rows with their classes and groups.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// The embeddings.
    pub rows: &'a Rows,
    /// The class of each; rows without one are not used.
    pub classes: &'a [Option<usize>],
    /// The group of each.
    pub groups: &'a [usize],
}

/// What one draw gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Share of the tested rows that were named rightly.
    pub accuracy: f64,
    /// Examples that the probe was given, of all classes.
    pub taught: usize,
    /// Rows that it was tested on.
    pub tested: usize,
}

/// Divides rows at random into two halves. With two groups or more, whole groups are divided, so
/// that none is in both halves; the first half has the smaller number of groups.
pub fn halves(
    rows: Vec<usize>,
    groups: &[usize],
    rng: &mut ChaCha8Rng,
) -> (Vec<usize>, Vec<usize>) {
    let mut rows = rows;
    let mut present: Vec<usize> = rows.iter().map(|&i| groups[i]).collect();
    present.sort_unstable();
    present.dedup();
    present.shuffle(rng);
    rows.shuffle(rng);
    if present.len() < 2 {
        let second = rows.split_off(rows.len() / 2);
        return (rows, second);
    }
    let first = &present[..present.len() / 2];
    rows.into_iter().partition(|&i| first.contains(&groups[i]))
}

/// Draws `shots` rows a class from one of two [`halves`], fits a probe, and tests it on the rows of
/// the other half whose class it was taught. A class that has fewer rows gives all it has. None if fewer than two classes could be
/// taught, or nothing is left to test.
pub fn draw(labelled: &Labelled, classes: usize, shots: usize, seed: u64) -> Option<Draw> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = (0..labelled.rows.len()).filter(|&i| labelled.classes[i].is_some());
    let (from, tested) = halves(rows.collect(), labelled.groups, &mut rng);
    let mut given = vec![0usize; classes];
    let mut taught = Vec::new();
    for row in from {
        if let Some(class) = labelled.classes[row].filter(|&class| given[class] < shots) {
            given[class] += 1;
            taught.push((row, class));
        }
    }
    // The probe knows only the classes that it was taught.
    let known: Vec<usize> = (0..classes).filter(|&class| given[class] > 0).collect();
    let place = |class: usize| known.binary_search(&class).ok();
    let tested: Vec<(usize, usize)> = tested
        .into_iter()
        .filter_map(|row| Some((row, place(labelled.classes[row]?)?)))
        .collect();
    if known.len() < 2 || tested.is_empty() {
        return None;
    }
    let x: Vec<&[f64]> = taught.iter().map(|&(i, _)| labelled.rows.row(i)).collect();
    let labels: Vec<usize> = taught.iter().filter_map(|&(_, c)| place(c)).collect();
    let probe = Probe::fit(&x, &labels, known.len(), STRENGTH, TO_NAME);
    let right = tested
        .iter()
        .filter(|&&(row, class)| probe.name(labelled.rows.row(row)) == Some(class))
        .count();
    Some(Draw {
        accuracy: right as f64 / tested.len() as f64,
        taught: taught.len(),
        tested: tested.len(),
    })
}

/// Several draws, each with its own division and examples.
pub fn draws(
    labelled: &Labelled,
    classes: usize,
    shots: usize,
    count: usize,
    seed: u64,
) -> Vec<Draw> {
    (0..count as u64)
        .into_par_iter()
        .filter_map(|number| draw(labelled, classes, shots, seed.wrapping_add(number)))
        .collect()
}

//! Naming within groups of classes, over all tables of an experiment.

use super::measure::{ClassGroup, Number, Options};
use super::prepared::Prepared;
use crate::metrics::class_group::{Judged, NAMES, shares};
use crate::metrics::interval::{bootstrap, wilson};
use crate::table;

/// The groups of the first table, each over all tables.
pub fn class_groups(parts: &[&Prepared], options: &Options) -> Vec<ClassGroup> {
    let groups = parts[0].table.class_groups.iter();
    groups
        .filter_map(|group| class_group(group, parts, options))
        .collect()
}

/// None if no sample is of its classes.
fn class_group(
    group: &table::ClassGroup,
    parts: &[&Prepared],
    options: &Options,
) -> Option<ClassGroup> {
    let judged = parts.iter().flat_map(|part| judge(group, part));
    let (of, judged): (Vec<&str>, Vec<Judged>) = judged.unzip();
    let own = of.iter().zip(&judged);
    let own = own.filter_map(|(&person, sample)| sample.belongs.then_some(person));
    let mut people: Vec<&str> = own.collect();
    let (samples, others) = (people.len(), judged.len() - people.len());
    people.sort_unstable();
    people.dedup();
    let (mut places, mut names) = (Vec::new(), Vec::new());
    for person in of {
        let place = names.iter().position(|name| *name == person);
        places.push(place.unwrap_or_else(|| {
            names.push(person);
            names.len() - 1
        }));
    }
    let statistics = |weights: &[f64]| shares(&judged, weights);
    let values = statistics(&vec![1.0; judged.len()]);
    let intervals = bootstrap(
        &places,
        names.len(),
        options.resamples,
        options.seed,
        statistics,
    );
    let share_own = group.classes.len() as f64 / parts[0].table.classes.len() as f64;
    let among = |classes: usize| (1.0 / classes as f64, samples);
    // What chance gives, and of how many samples.
    let chances = [
        among(parts[0].table.classes.len()),
        among(group.classes.len()),
        (share_own, samples),
        (1.0 - share_own, others),
    ];
    let number = |i: usize| {
        let ((chance, count), value) = (chances[i], values[i]?);
        let by_samples = wilson(value * count as f64, count as f64);
        Some(Number::new(
            NAMES[i],
            value,
            chance,
            intervals[i],
            by_samples,
        ))
    };
    // One thing to be noticed among others; without others there is nothing to tell it from.
    let numbers = if others > 0 { 0..4 } else { 0..2 };
    (samples > 0).then(|| ClassGroup {
        name: group.name.clone(),
        classes: group.classes.len(),
        samples,
        others,
        groups: people.len(),
        numbers: numbers.filter_map(number).collect(),
    })
}

/// The labelled samples that the group is about, each behind its person, speaker, place or sequence.
fn judge<'a>(group: &table::ClassGroup, part: &Prepared<'a>) -> Vec<(&'a str, Judged)> {
    let table = part.table;
    let about = part.known.iter().copied();
    let about: Vec<usize> = about
        .filter(|&i| table.groups[i].starts_with(&group.of))
        .collect();
    let rows = part.rows.select(&about);
    let among_all = rows.cosines(&part.class_rows);
    let among_own = rows.cosines(&part.class_rows.select(&group.classes));
    let sample = |(place, &i): (usize, &usize)| {
        let named = among_all.best(place);
        let named_of_own = among_own.best(place).map(|own| group.classes[own]);
        let truths = table.classes_of(i);
        let judged = Judged::new(&group.classes, &truths, named, named_of_own);
        (&table.groups[i][..], judged)
    };
    about.iter().enumerate().map(sample).collect()
}

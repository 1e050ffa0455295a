//! Naming within groups of classes, over all tables of an experiment.

use super::measure::{ClassGroup, Number, Options};
use super::prepared::Prepared;
use crate::metrics::interval::{bootstrap, wilson};
use crate::metrics::naming::share;
use crate::table;

/// A labelled sample, judged.
struct Judged<'a> {
    /// The person, speaker, place or sequence.
    group: &'a str,
    /// Whether it is of one of the classes.
    belongs: bool,
    /// Whether it was named rightly among all classes.
    right: bool,
    /// Whether it was named rightly among the group's classes.
    right_among_own: bool,
    /// Whether it was named one of the group's classes, rightly or not.
    noticed: bool,
}

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
    let judged: Vec<Judged> = parts.iter().flat_map(|part| judge(group, part)).collect();
    let of = |keep: fn(&Judged) -> bool| judged.iter().filter(move |sample| keep(sample));
    let (samples, others) = (of(|s| s.belongs).count(), of(|s| !s.belongs).count());
    let mut people: Vec<&str> = of(|s| s.belongs).map(|sample| sample.group).collect();
    people.sort_unstable();
    people.dedup();
    let all = parts[0].table.classes.len() as f64;
    let own = group.classes.len() as f64;
    // What it is, what chance gives, of which samples, and when one of them counts.
    type Share<'a> = (&'static str, f64, bool, fn(&Judged<'a>) -> bool);
    let shares: [Share; 4] = [
        ("top-1", 1.0 / all, true, |s| s.right),
        ("top-1 among themselves", 1.0 / own, true, |s| {
            s.right_among_own
        }),
        ("sensitivity", own / all, true, |s| s.noticed),
        ("specificity", 1.0 - own / all, false, |s| !s.noticed),
    ];
    let (mut places, mut names) = (Vec::new(), Vec::new());
    for sample in &judged {
        let place = names.iter().position(|name| *name == sample.group);
        places.push(place.unwrap_or_else(|| {
            names.push(sample.group);
            names.len() - 1
        }));
    }
    let statistics = |weights: &[f64]| {
        shares.map(|(_, _, belongs, counts)| {
            let of = judged.iter().zip(weights);
            let (hits, weights): (Vec<bool>, Vec<f64>) = of
                .filter(|(sample, _)| sample.belongs == belongs)
                .map(|(sample, weight)| (counts(sample), *weight))
                .unzip();
            share(&hits, &weights)
        })
    };
    let values = statistics(&vec![1.0; judged.len()]);
    let intervals = bootstrap(
        &places,
        names.len(),
        options.resamples,
        options.seed,
        statistics,
    );
    let number = |i: usize| {
        let (name, chance, belongs, _) = shares[i];
        let value = values[i]?;
        let count = if belongs { samples } else { others } as f64;
        let by_samples = wilson(value * count, count);
        Some(Number::new(name, value, chance, intervals[i], by_samples))
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

/// The labelled samples of those that the group is about.
fn judge<'a>(group: &table::ClassGroup, part: &Prepared<'a>) -> Vec<Judged<'a>> {
    let table = part.table;
    let about = part.known.iter().copied();
    let about: Vec<usize> = about
        .filter(|&i| table.groups[i].starts_with(&group.of))
        .collect();
    let rows = part.rows.select(&about);
    let among_all = rows.cosines(&part.class_rows);
    let among_own = rows.cosines(&part.class_rows.select(&group.classes));
    let sample = |(place, &i): (usize, &usize)| {
        let truths = table.classes_of(i);
        let named = among_all.best(place);
        let named_of_own = among_own.best(place).map(|own| group.classes[own]);
        let is_true = |class: Option<usize>| class.is_some_and(|class| truths.contains(&class));
        Judged {
            group: &table.groups[i],
            belongs: truths.iter().any(|class| group.classes.contains(class)),
            right: is_true(named),
            right_among_own: is_true(named_of_own),
            noticed: named.is_some_and(|class| group.classes.contains(&class)),
        }
    };
    about.iter().enumerate().map(sample).collect()
}

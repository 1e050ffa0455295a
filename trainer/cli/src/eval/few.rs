//! A few labelled examples of each class, for groups of classes.

use std::fmt;

use serde::Serialize;

use super::Embedded;
use crate::metrics::Rows;
use crate::metrics::interval::Spread;
use crate::metrics::shots::{Labelled, draws};
use crate::recipe::Recipe;
use crate::samples::Samples;

/// Draws of examples, each from another half of the people.
const DRAWS: usize = 50;

/// What a linear probe over embeddings gets right, group by group of classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FewShots {
    shots: usize,
    groups: Vec<(String, Spread)>,
}

impl FewShots {
    /// With so many examples a class, of held-out people, tested on other held-out people.
    pub fn new(recipe: &Recipe, samples: &Samples, embedded: &Embedded, shots: usize) -> Self {
        let rows = Rows::from_f32(recipe.encoder.output(), &embedded.rows);
        let items: Vec<_> = embedded
            .items
            .iter()
            .map(|&i| &samples.items()[i])
            .collect();
        let mut people: Vec<&str> = items.iter().map(|item| &*item.group).collect();
        people.sort_unstable();
        people.dedup();
        let person = |group: &str| people.binary_search(&group).unwrap_or_default();
        let groups: Vec<usize> = items.iter().map(|item| person(&item.group)).collect();
        let of = |group: &crate::recipe::Group| {
            let members = group.classes.iter();
            let members: Vec<usize> = members.filter_map(|n| recipe.class_named(n)).collect();
            let of_group = |class: usize| members.iter().position(|&member| member == class);
            let class = |item: &&crate::samples::Item| {
                let class = item.class.filter(|_| item.group.starts_with(&group.of))?;
                of_group(class)
            };
            // Only these people, or half of the draws would be of others.
            let kept: Vec<usize> = (0..items.len())
                .filter(|&i| class(&items[i]).is_some())
                .collect();
            let labelled = Labelled {
                rows: &rows.select(&kept),
                classes: &kept.iter().map(|&i| class(&items[i])).collect::<Vec<_>>(),
                groups: &kept.iter().map(|&i| groups[i]).collect::<Vec<_>>(),
            };
            let draws = draws(&labelled, members.len(), shots, DRAWS, 0);
            let shares: Vec<f64> = draws.iter().map(|draw| draw.accuracy).collect();
            Some((group.name.clone(), Spread::of(&shares)?))
        };
        Self {
            shots,
            groups: recipe.groups.iter().filter_map(of).collect(),
        }
    }
}

impl fmt::Display for FewShots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, spread) in &self.groups {
            let deviation = spread.deviation.unwrap_or(0.0);
            writeln!(
                f,
                "{name}: {:.4} ± {deviation:.4} ({:.4} to {:.4} in {DRAWS} draws) with {} examples a class",
                spread.mean, spread.low, spread.high, self.shots
            )?;
        }
        Ok(())
    }
}

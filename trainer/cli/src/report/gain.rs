//! What a training is worth beyond the encoder it began as, sample by sample.
//!
//! The samples of both are the same, so that their differences are drawn, not the numbers themselves:
//! a paired bootstrap over groups (Efron, Tibshirani 1993, chapter 13).

use serde::Serialize;

use super::measure::Options;
use super::prepared::Prepared;
use crate::metrics::Rows;
use crate::metrics::interval::{Interval, bootstrap};
use crate::metrics::retrieval::{DEPTHS, ranks};
use crate::table::UNBOUND;

/// How often more the paired anchor is found, over all tables of a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// The encoder's name.
    pub name: String,
    /// Samples of all tables.
    pub samples: usize,
    /// Groups of all tables.
    pub groups: usize,
    /// One a depth.
    pub at: Vec<GainAt>,
}

/// At one depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GainAt {
    /// Nearest anchors that are looked at.
    pub k: usize,
    /// Share of samples whose anchor is among them.
    pub trained: f64,
    /// The same of the encoder without training.
    pub unbound: f64,
    /// By how much the first is larger, 95 %; none with a single group.
    pub interval: Option<Interval>,
}

/// Of every name that has tables with and without training, of the same samples.
pub fn gains(tables: &[Prepared<'_>], options: Options) -> Vec<Gain> {
    let mut names: Vec<&str> = Vec::new();
    for table in tables {
        let name = table.table.name.strip_suffix(UNBOUND);
        names.extend(name.filter(|name| !names.contains(name)));
    }
    let gain = |name| gain(name, tables, options);
    names.into_iter().filter_map(gain).collect()
}

fn gain(name: &str, tables: &[Prepared<'_>], options: Options) -> Option<Gain> {
    let mut hits: Vec<[[f64; DEPTHS.len()]; 2]> = Vec::new();
    let (mut names, mut groups): (Vec<&str>, Vec<usize>) = Default::default();
    let trained = { tables.iter() }.filter(|table| table.table.name == name);
    let is_unbound = |table: &&&Prepared<'_>| table.table.name.strip_suffix(UNBOUND) == Some(name);
    for trained in trained {
        let same = |table: &&Prepared<'_>| table.table.names == trained.table.names;
        let Some(unbound) = tables.iter().filter(|t| is_unbound(&t)).find(same) else {
            continue;
        };
        let pairs = found(trained)?.into_iter().zip(found(unbound)?);
        hits.extend(pairs.map(|(trained, unbound)| [trained, unbound]));
        for group in &trained.table.groups {
            let place = names.iter().position(|known| known == group);
            groups.push(place.unwrap_or_else(|| {
                names.push(group);
                names.len() - 1
            }));
        }
    }
    if hits.is_empty() {
        return None;
    }
    let mean = |weights: &[f64], of: &dyn Fn(&[[f64; DEPTHS.len()]; 2]) -> f64| {
        let sum: f64 = weights
            .iter()
            .zip(&hits)
            .map(|(w, hits)| w * of(hits))
            .sum();
        let total: f64 = weights.iter().sum();
        (total > 0.0).then(|| sum / total)
    };
    let differences = |weights: &[f64]| -> [Option<f64>; DEPTHS.len()] {
        std::array::from_fn(|i| mean(weights, &|[trained, unbound]| trained[i] - unbound[i]))
    };
    let intervals = bootstrap(
        &groups,
        names.len(),
        options.resamples,
        options.seed,
        differences,
    );
    let all = vec![1.0; hits.len()];
    let at = DEPTHS.iter().enumerate().map(|(i, &k)| {
        Some(GainAt {
            k,
            trained: mean(&all, &|[trained, _]| trained[i])?,
            unbound: mean(&all, &|[_, unbound]| unbound[i])?,
            interval: intervals[i],
        })
    });
    Some(Gain {
        name: name.to_owned(),
        samples: hits.len(),
        groups: names.len(),
        at: at.collect::<Option<_>>()?,
    })
}

/// Of each sample, 1 at the depths at which its anchor is found.
fn found(table: &Prepared<'_>) -> Option<Vec<[f64; DEPTHS.len()]>> {
    let anchors = table.table.anchors.as_ref()?;
    let rows = Rows::from_f32(table.table.dim, &anchors.rows);
    let ranks = ranks(&table.rows.cosines(&rows), |i, anchor| {
        anchors.of[i] == anchor
    });
    let hits = |rank: Option<usize>| {
        DEPTHS.map(|k| f64::from(u8::from(rank.is_some_and(|rank| rank < k))))
    };
    Some(ranks.into_iter().map(hits).collect())
}

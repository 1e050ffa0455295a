//! The numbers of an encoder whose weights are integers beside those of the same with floats.

use std::fmt;

use serde::Serialize;

use super::Report;
use crate::report;
use crate::table::Table;

/// Name of the table of embeddings by integers, in a training's folder.
pub const TABLE: &str = "held_out-int8.safetensors";

/// Points, hundredths, that no number should change by more.
const MAX_POINTS: f64 = 0.5;

/// Every number that is reported, twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    numbers: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Pair {
    name: String,
    float: f64,
    int8: f64,
}

impl Pair {
    fn points(&self) -> f64 {
        100.0 * (self.int8 - self.float)
    }
}

impl Comparison {
    /// Compares what was measured by floats, first, and by integers.
    pub fn new(reports: [&Report; 2], tables: [&Table; 2]) -> Self {
        let [float, int8] = reports.map(|report| {
            let shares = report.metrics().into_iter();
            shares
                .filter(|(_, value)| *value <= 1.0)
                .collect::<Vec<_>>()
        });
        let [more_float, more_int8] = tables.map(report::numbers);
        let pairs = float
            .into_iter()
            .chain(more_float)
            .zip(int8.into_iter().chain(more_int8));
        let numbers = pairs.map(|((name, float), (_, int8))| Pair { name, float, int8 });
        Self {
            numbers: numbers.collect(),
        }
    }

    fn furthest(&self) -> Option<&Pair> {
        let points = |pair: &&Pair| pair.points().abs();
        self.numbers
            .iter()
            .max_by(|a, b| points(a).total_cmp(&points(b)))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.numbers.iter().map(|pair| pair.name.chars().count());
        let width = width.max().unwrap_or(0);
        writeln!(f, "{:<width$}   float    int8  points", "")?;
        for pair in &self.numbers {
            let Pair { name, float, int8 } = pair;
            writeln!(
                f,
                "{name:<width$}  {float:.4}  {int8:.4}  {:+.2}",
                pair.points()
            )?;
        }
        let Some(furthest) = self.furthest() else {
            return Ok(());
        };
        let points = furthest.points().abs();
        writeln!(
            f,
            "int8 is off by at most {points:.2} points, in {:?}: {} {MAX_POINTS}",
            furthest.name,
            if points <= MAX_POINTS {
                "within"
            } else {
                "more than"
            }
        )
    }
}

//! Tables of one experiment side by side, and experiments with each other.

use std::fmt;

use anyhow::ensure;
use sensorium_pack::Modality;
use serde::Serialize;

use super::class_group::class_groups;
use super::gain::{Gain, gains};
use super::measure::{ClassGroup, Group, Measures, Number, Options};
use super::prepared::Prepared;
use super::sum::{Arithmetic, arithmetic};
use super::target::Outcome;
use crate::metrics::Rows;
use crate::metrics::arithmetic::Gallery;
use crate::metrics::interval::{Interval, Spread, wilson};
use crate::metrics::mean_of_defined;
use crate::table::Table;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of this form of JSON.
    pub format: u32,
    /// The program that measured.
    pub program: &'static str,
    /// What was random.
    pub options: Options,
    /// What was aimed at, and what came of it.
    pub targets: Vec<Outcome>,
    /// Tables by name.
    pub experiments: Vec<Experiment>,
    /// What trainings gain beyond what they began as.
    pub gains: Vec<Gain>,
    /// Sums of samples of two senses.
    pub between: Vec<Arithmetic>,
}

/// Tables of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// The name.
    pub name: String,
    /// What the encoder senses.
    pub sense: Modality,
    /// Table by table.
    pub parts: Vec<Measures>,
    /// Means over the tables, if there are several.
    pub summary: Vec<Line>,
    /// Some of the classes, over all tables together.
    pub class_groups: Vec<ClassGroup>,
    /// Names of the classes, in the order of `confusion`.
    pub classes: Vec<String>,
    /// Counts of all tables together.
    pub confusion: Vec<Vec<usize>>,
}

/// A number over the tables of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Over tables.
    pub spread: Spread,
    /// What chance would give, on average.
    pub chance: Option<f64>,
}

impl Report {
    /// Measures tables.
    pub fn new(tables: &[Table], options: Options) -> anyhow::Result<Self> {
        let mut names: Vec<&str> = Vec::new();
        for table in tables {
            if !names.contains(&table.name.as_str()) {
                names.push(&table.name);
            }
        }
        let prepared: Vec<Prepared> = tables.iter().map(Prepared::new).collect();
        let experiments = names
            .into_iter()
            .map(|name| {
                let parts = prepared.iter().filter(|part| part.table.name == name);
                Experiment::new(name, &parts.collect::<Vec<_>>(), &options)
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            format: 1,
            program: concat!("sensorium-train ", env!("CARGO_PKG_VERSION")),
            gains: gains(&prepared, options),
            options,
            targets: Vec::new(),
            experiments,
            between: between(&prepared, options.seed),
        })
    }
}

impl Experiment {
    fn new(name: &str, parts: &[&Prepared], options: &Options) -> anyhow::Result<Self> {
        let first = parts[0].table;
        let classes_of = |table: &Table| -> Vec<String> {
            table
                .classes
                .iter()
                .map(|class| class.name.clone())
                .collect()
        };
        let classes = classes_of(first);
        for Prepared { table, .. } in parts {
            ensure!(
                table.dim == first.dim,
                "two tables {name:?} differ: one has embeddings of {} numbers, another of {}",
                first.dim,
                table.dim
            );
            ensure!(
                table.sense == first.sense,
                "two tables {name:?} differ: one is of {}, another of {}",
                first.sense,
                table.sense
            );
            ensure!(
                classes_of(table) == classes,
                "two tables {name:?} differ: one has the classes {classes:?}, another {:?}",
                classes_of(table)
            );
        }
        let class_groups = class_groups(parts, options);
        let parts: Vec<Measures> = parts.iter().map(|part| part.measure(options)).collect();
        let mut confusion = vec![vec![0; classes.len()]; classes.len()];
        for zero_shot in parts.iter().filter_map(|part| part.zero_shot.as_ref()) {
            for (sums, counts) in confusion.iter_mut().zip(&zero_shot.confusion) {
                sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            sense: first.sense,
            summary: if parts.len() > 1 {
                summary(&parts)
            } else {
                Vec::new()
            },
            parts,
            class_groups,
            classes,
            confusion,
        })
    }

    /// The groups of all tables.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.parts.iter().flat_map(|part| &part.groups)
    }

    /// All numbers that have a name: of the only table, or means over the tables; and class by class.
    pub fn numbers(&self) -> Vec<Measured> {
        let mut numbers = match &self.parts[..] {
            [only] => measured(only),
            _ => self.summary.iter().map(Line::measured).collect(),
        };
        for (class, name) in self.classes.iter().enumerate() {
            let of_class = |part: &Measures| part.zero_shot.as_ref()?.classes[class].auc;
            let samples: usize = self.confusion[class].iter().sum();
            let hits = self.confusion[class][class] as f64;
            if samples > 0 {
                numbers.push(Measured {
                    name: format!("recall of {name}"),
                    value: hits / samples as f64,
                    range: wilson(hits, samples as f64),
                    chance: Some(1.0 / self.classes.len() as f64),
                });
            }
            if let Some(value) = mean_of_defined(self.parts.iter().map(of_class)) {
                numbers.push(Measured {
                    name: format!("AUC of {name}"),
                    value,
                    range: None,
                    chance: Some(0.5),
                });
            }
        }
        numbers
    }

    /// A zero-shot number of the first table.
    fn number(&self, name: &str) -> Option<&Number> {
        let numbers = self.parts.first()?.zero_shot.as_ref()?.numbers.iter();
        numbers.into_iter().find(|number| number.name == name)
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        let samples: usize = self.parts.iter().map(|part| part.samples).sum();
        if let Some(Line { spread, chance, .. }) = self.summary.iter().find(|l| l.name == "top-1") {
            write!(f, "top-1 {:.3}", spread.mean)?;
            if let Some(deviation) = spread.deviation {
                write!(f, " ± {deviation:.3}")?;
            }
            write!(f, " over {} tables", spread.count)?;
            if let Some(chance) = chance {
                write!(f, ", chance {chance:.3}")?;
            }
        } else if let Some(number) = self.number("top-1") {
            write!(f, "top-1 {:.3}", number.value)?;
            if let Some(interval) = number.interval {
                write!(f, " ({:.3} to {:.3})", interval.low, interval.high)?;
            }
            write!(f, ", chance {:.3}", number.chance)?;
        } else {
            write!(f, "no classes")?;
        }
        write!(f, ", {samples} samples")
    }
}

/// A number by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Where the truth probably is (95 %); of a mean, the least and the most.
    pub range: Option<Interval>,
    /// What random answers would give.
    pub chance: Option<f64>,
}

impl Number {
    /// The number by name.
    pub fn measured(&self) -> Measured {
        Measured {
            name: self.name.to_owned(),
            value: self.value,
            range: self.interval,
            chance: Some(self.chance),
        }
    }
}

impl Line {
    fn measured(&self) -> Measured {
        Measured {
            name: self.name.clone(),
            value: self.spread.mean,
            range: Some(Interval {
                low: self.spread.low,
                high: self.spread.high,
            }),
            chance: self.chance,
        }
    }
}

/// The numbers of a table that are averaged over tables.
fn measured(part: &Measures) -> Vec<Measured> {
    let zero_shot = part.zero_shot.iter();
    let named = zero_shot.flat_map(|zero_shot| &zero_shot.numbers);
    let mut numbers: Vec<Measured> = named.map(Number::measured).collect();
    for row in &part.few_shot {
        numbers.push(Measured {
            name: format!("probe, {} a class", row.shots),
            value: row.accuracy.mean,
            range: None,
            chance: None,
        });
    }
    for row in &part.retrieval {
        for at in &row.at {
            numbers.push(Measured {
                name: format!(
                    "{} → {}, {}, recall@{}",
                    row.query, row.item, row.truth, at.k
                ),
                value: at.recall,
                range: at.interval,
                chance: Some(at.chance),
            });
        }
    }
    numbers
}

/// Numbers that some of the tables have, in the order in which they first appear.
fn summary(parts: &[Measures]) -> Vec<Line> {
    let mut found: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    for number in parts.iter().flat_map(measured) {
        let place = found.iter().position(|(known, ..)| *known == number.name);
        let place = place.unwrap_or_else(|| {
            found.push((number.name, Vec::new(), Vec::new()));
            found.len() - 1
        });
        found[place].1.push(number.value);
        found[place].2.extend(number.chance);
    }
    let line = |(name, values, chances): (String, Vec<f64>, Vec<f64>)| {
        Some(Line {
            name,
            spread: Spread::of(&values)?,
            chance: Spread::of(&chances).map(|spread| spread.mean),
        })
    };
    found.into_iter().filter_map(line).collect()
}

/// Sums over tables of two senses in one space: those with the same classes and the same groups, or
/// the only ones of their names.
fn between(tables: &[Prepared], seed: u64) -> Vec<Arithmetic> {
    let only = |name: &str| tables.iter().filter(|t| t.table.name == name).count() == 1;
    let mut found = Vec::new();
    for (i, one) in tables.iter().enumerate() {
        for other in &tables[i + 1..] {
            let (a, b) = (one.table, other.table);
            let fit = one.group_names == other.group_names || (only(&a.name) && only(&b.name));
            if a.sense != b.sense && a.dim == b.dim && a.classes == b.classes && fit {
                found.extend(between_two(one, other, seed));
            }
        }
    }
    found
}

/// One half of the samples of each is asked with, the other halves are searched.
fn between_two(one: &Prepared, other: &Prepared, seed: u64) -> Option<Arithmetic> {
    let ((asking_a, searched_a), (asking_b, searched_b)) = (one.halves(seed), other.halves(seed));
    let searched = [(one, &searched_a), (other, &searched_b)];
    let numbers = searched.iter().flat_map(|(table, samples)| {
        samples
            .iter()
            .flat_map(|&i| table.rows.row(i).iter().copied())
    });
    let rows = Rows::normalized(one.table.dim, numbers);
    let labels: Vec<Vec<usize>> = searched
        .iter()
        .flat_map(|(table, samples)| table.labels(samples))
        .collect();
    let gallery = Gallery {
        rows: &rows,
        labels: &labels,
    };
    let items = format!("{} and {} samples", one.table.sense, other.table.sense);
    arithmetic(
        &one.side(&asking_a),
        &other.side(&asking_b),
        gallery,
        &items,
        seed,
    )
}

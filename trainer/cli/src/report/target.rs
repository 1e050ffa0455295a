//! What was aimed at: a TOML file of targets beside what was measured.
//!
//! ```text
//! targets.toml ─┬─ encoder, classes, measure ─▶ a number of the tables ─┬─▶ reached, or missed by so much
//!               └─ files, at ─▶ numbers of JSON files, their mean ───────┘
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_engine::keys::from_toml;
use serde::{Deserialize, Serialize};

use super::measure::Number;
use super::summary::{Experiment, Measured};
use crate::metrics::interval::{Interval, Spread};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Vec<Target>,
}

/// What was aimed at, as the file says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What is measured, in words.
    what: String,
    /// Name of the encoder whose tables have it.
    encoder: Option<String>,
    /// Name of one of the encoder's groups of classes.
    classes: Option<String>,
    /// Name of the number.
    measure: Option<String>,
    /// JSON files that have it, beside the page; it is their mean.
    #[serde(default)]
    files: Vec<PathBuf>,
    /// Where it is in them, as a JSON pointer (RFC 6901).
    at: Option<String>,
    /// Where they have how much each of them counts; all the same by default.
    weight_at: Option<String>,
    /// As a multiple of what chance gives.
    #[serde(default)]
    times_chance: bool,
    /// Smaller is better.
    #[serde(default)]
    at_most: bool,
    /// The least that will do.
    must: Option<f64>,
    /// What was hoped for.
    goal: Option<f64>,
    /// Numbers of others on the same samples.
    #[serde(default)]
    beside: Vec<Beside>,
    /// What was tried on the way to the goal.
    #[serde(default)]
    tried: Vec<String>,
    /// What the data would have to be.
    wants: Option<String>,
}

/// The number of another on the same samples.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Whose, and how it was measured.
    pub what: String,
    /// The number.
    pub value: f64,
}

/// A target and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What is measured, in words.
    pub what: String,
    /// Name of the encoder.
    pub encoder: Option<String>,
    /// What was measured.
    pub measured: Option<Measured>,
    /// Numbers are multiples of chance.
    pub times_chance: bool,
    /// Smaller is better.
    pub at_most: bool,
    /// The least that will do.
    pub must: Option<f64>,
    /// What was hoped for.
    pub goal: Option<f64>,
    /// How the two compare.
    pub verdict: Verdict,
    /// Numbers of others on the same samples.
    pub beside: Vec<Beside>,
    /// What was tried on the way to the goal.
    pub tried: Vec<String>,
    /// What the data would have to be.
    pub wants: Option<String>,
}

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What was hoped for.
    Goal,
    /// What will do; the goal is so far away, if there is one.
    Must {
        /// What is missing to the goal.
        to_goal: Option<f64>,
    },
    /// Less than will do, or less than a goal that stands alone.
    Missed {
        /// What is missing.
        by: f64,
    },
    /// No table or file has the number.
    Unmeasured,
}

impl Outcome {
    /// A number of the target's, as a reader sees it.
    pub fn says(&self, value: f64) -> String {
        match self.times_chance {
            true => format!("{value:.1} × chance"),
            false if value.abs() >= 1000.0 => format!("{value:.0}"),
            false => format!("{value:.3}"),
        }
    }

    /// Whether something is missing, and something is known of it.
    pub fn has_story(&self) -> bool {
        let told = !self.tried.is_empty() || self.wants.is_some() || !self.beside.is_empty();
        told && !matches!(self.verdict, Verdict::Goal | Verdict::Unmeasured)
    }

    /// What came of it, in a few words.
    pub fn verdict_in_words(&self) -> String {
        let missing = |by: f64| match (self.times_chance, self.at_most) {
            (true, _) => format!("{by:.1} × chance"),
            (false, true) => format!("{by:.3} too much"),
            (false, false) => format!("{by:.3}"),
        };
        match self.verdict {
            Verdict::Goal => "goal reached".to_owned(),
            Verdict::Must { to_goal: None } => "reached".to_owned(),
            Verdict::Must { to_goal: Some(by) } => {
                format!("must reached, goal missed by {}", missing(by))
            }
            Verdict::Missed { by } => format!("missed by {}", missing(by)),
            Verdict::Unmeasured => "not measured here".to_owned(),
        }
    }
}

/// Reads a file of targets.
///
/// # Errors
///
/// A file that cannot be read, unknown keys, and targets that say not exactly one way to a number or
/// aim at nothing.
pub fn read(path: &Path) -> anyhow::Result<Vec<Target>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    let file: File = from_toml(&text).with_context(|| format!("targets {path:?}"))?;
    for target in &file.target {
        let what = &target.what;
        match (&target.encoder, target.files.is_empty(), &target.at) {
            (Some(_), true, None) => {}
            (None, false, Some(_)) => ensure!(
                target.classes.is_none() && target.measure.is_none() && !target.times_chance,
                "targets {path:?}: {what:?} is a number of files: expected no classes, measure or times_chance"
            ),
            _ => bail!(
                "targets {path:?}: {what:?} needs either encoder, or files and at, to say where its number is"
            ),
        }
        ensure!(
            target.must.is_some() || target.goal.is_some(),
            "targets {path:?}: {what:?} has neither must nor goal"
        );
    }
    Ok(file.target)
}

/// Compares targets with what was measured. Files are looked for in `beside`.
///
/// # Errors
///
/// An encoder that has tables but not this number, and a file that is there but has it not.
pub fn compare(
    targets: Vec<Target>,
    experiments: &[Experiment],
    beside: &Path,
) -> anyhow::Result<Vec<Outcome>> {
    let outcome = |target: Target| {
        let measured = match &target.encoder {
            Some(encoder) => of_tables(&target, encoder, experiments),
            None => of_files(&target, beside),
        };
        let measured = measured.with_context(|| format!("target {:?}", target.what))?;
        let verdict = measured.as_ref().map_or(Verdict::Unmeasured, |measured| {
            verdict(measured.value, &target)
        });
        Ok(Outcome {
            what: target.what,
            encoder: target.encoder,
            measured,
            times_chance: target.times_chance,
            at_most: target.at_most,
            must: target.must,
            goal: target.goal,
            verdict,
            beside: target.beside,
            tried: target.tried,
            wants: target.wants,
        })
    };
    targets.into_iter().map(outcome).collect()
}

fn verdict(value: f64, target: &Target) -> Verdict {
    let missing = |aim: f64| match target.at_most {
        true => value - aim,
        false => aim - value,
    };
    let to_goal = target.goal.map(missing);
    match (target.must.map(missing), to_goal) {
        (_, Some(missing)) if missing <= 0.0 => Verdict::Goal,
        (Some(missing), _) if missing <= 0.0 => Verdict::Must { to_goal },
        (Some(by), _) | (None, Some(by)) => Verdict::Missed { by },
        (None, None) => Verdict::Unmeasured,
    }
}

fn of_tables(
    target: &Target,
    encoder: &str,
    experiments: &[Experiment],
) -> anyhow::Result<Option<Measured>> {
    let Some(experiment) = experiments.iter().find(|one| one.name == encoder) else {
        return Ok(None);
    };
    let measure = target.measure.as_deref().unwrap_or("top-1");
    let found = match &target.classes {
        None => experiment.numbers(),
        Some(classes) => {
            let groups = &experiment.class_groups;
            let group = groups.iter().find(|group| group.name == *classes);
            let group = group.with_context(|| {
                let names: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
                format!("encoder {encoder:?} measures no classes {classes:?}, only {names:?}")
            })?;
            group.numbers.iter().map(Number::measured).collect()
        }
    };
    let Some(mut number) = found.iter().find(|number| number.name == measure).cloned() else {
        let names: Vec<&str> = found.iter().map(|number| &*number.name).collect();
        bail!("encoder {encoder:?} has no number {measure:?}, only {names:?}");
    };
    if target.times_chance {
        let chance = number.chance.filter(|chance| *chance > 0.0);
        let chance = chance.with_context(|| format!("nobody knows the chance of {measure:?}"))?;
        number.value /= chance;
        number.range = number.range.map(|range| Interval {
            low: range.low / chance,
            high: range.high / chance,
        });
        number.chance = Some(1.0);
    }
    Ok(Some(number))
}

/// The mean over files, and the least and the most of them; none if one is missing.
fn of_files(target: &Target, beside: &Path) -> anyhow::Result<Option<Measured>> {
    let at = target.at.as_deref().unwrap_or_default();
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    for file in &target.files {
        let path = beside.join(file);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("reading {path:?}"))?;
        let number = |at: &str| {
            let number = json.pointer(at).and_then(serde_json::Value::as_f64);
            number.with_context(|| format!("{path:?} has no number at {at:?}"))
        };
        values.push(number(at)?);
        weights.push(target.weight_at.as_deref().map_or(Ok(1.0), number)?);
    }
    let weighted = values
        .iter()
        .zip(&weights)
        .map(|(value, weight)| value * weight);
    let mean = weighted.sum::<f64>() / weights.iter().sum::<f64>();
    ensure!(mean.is_finite(), "{:?} count for nothing", target.files);
    let spread = Spread::of(&values);
    Ok(spread.map(|spread| Measured {
        name: at.to_owned(),
        value: mean,
        range: (values.len() > 1).then_some(Interval {
            low: spread.low,
            high: spread.high,
        }),
        chance: None,
    }))
}

//! What `eval` says.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Predictions;
use super::calibration::{self, Fit};
use crate::metrics::class_group::{Judged, shares};
use crate::recipe::Recipe;

/// Everything that was measured on the held-out people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Held-out samples that have a class.
    pub samples: usize,
    /// Top-1 among all classes.
    pub accuracy: f64,
    /// Mean over classes of the share of a class's samples that are named rightly.
    pub mean_class_recall: f64,
    /// Person by person, speaker by speaker, sequence by sequence.
    pub held_out: Vec<HeldOut>,
    /// The recipe's groups, and the classes that training did not see.
    pub groups: Vec<GroupReport>,
    /// Names of the classes, in the order of `confusion`.
    pub classes: Vec<String>,
    /// Row: what it was; column: what it was named.
    pub confusion: Vec<Vec<u32>>,
    /// The recipe's temperature on these people.
    pub calibration: Fit,
    /// The temperature that fits these people best; a choice only if they are an inner fold.
    pub best_calibration: Fit,
}

/// One person, speaker or sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// Its name.
    pub group: String,
    /// Its samples.
    pub samples: usize,
    /// Top-1 among all classes.
    pub accuracy: f64,
}

/// Some of the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupReport {
    /// The group's name.
    pub name: String,
    /// Samples of its classes.
    pub samples: usize,
    /// Top-1 of its samples among all classes.
    pub among_all: f64,
    /// Top-1 of its samples among its own classes.
    pub among_own: f64,
    /// Share of its samples that are named any of its classes: the sensitivity, if the group is taken
    /// for one thing to be noticed.
    pub noticed: f64,
    /// Share of the other samples that are named none of its classes: the specificity.
    pub spared: f64,
}

/// Most people, speakers or sequences that are named one by one.
const MAX_NAMED: usize = 40;

/// Name of the group of classes that training did not see.
const UNSEEN: &str = "unseen";

impl Report {
    /// Measures predictions.
    pub fn new(recipe: &Recipe, predictions: &Predictions, held_out: &[String]) -> Self {
        let count = recipe.classes.len();
        let all: Vec<usize> = (0..count).collect();
        let mut confusion = vec![vec![0; count]; count];
        for window in 0..predictions.len() {
            if let Some(named) = predictions.named(window, &all) {
                confusion[predictions.classes[window]][named] += 1;
            }
        }
        let held_out = held_out
            .iter()
            .filter_map(|group| {
                let is_of = |sample: usize| predictions.groups[sample] == *group;
                Some(HeldOut {
                    group: group.clone(),
                    samples: (0..predictions.len()).filter(|&i| is_of(i)).count(),
                    accuracy: predictions.share(is_of, &all)?,
                })
            })
            .collect();
        let recalls: Vec<f64> = all
            .iter()
            .filter_map(|&class| predictions.share(|w| predictions.classes[w] == class, &all))
            .collect();
        let named = recipe.groups.iter().map(|group| {
            let places = group.classes.iter();
            let places = places.filter_map(|name| recipe.class_named(name)).collect();
            (group.name.clone(), places, &group.of[..])
        });
        let unseen: Vec<usize> = (0..count).filter(|&c| !recipe.is_seen(c)).collect();
        let groups = named
            .chain((!unseen.is_empty()).then(|| (UNSEEN.to_owned(), unseen, "")))
            .map(|(name, classes, of)| group(predictions, name, &classes, of))
            .collect();
        Self {
            samples: predictions.len(),
            accuracy: predictions.accuracy(),
            mean_class_recall: recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
            held_out,
            groups,
            classes: recipe.classes.iter().map(|c| c.name.clone()).collect(),
            confusion,
            calibration: calibration::fit_at(predictions, recipe.scoring.temperature),
            best_calibration: calibration::best(predictions),
        }
    }

    /// The people, speakers or sequences, if they are few: of many, each by itself would say little.
    fn named(&self) -> &[HeldOut] {
        if self.held_out.len() <= MAX_NAMED {
            &self.held_out
        } else {
            &[]
        }
    }

    /// The numbers that a pack's provenance carries.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("held-out top-1".to_owned(), self.accuracy),
            (
                "held-out mean class recall".to_owned(),
                self.mean_class_recall,
            ),
            ("held-out samples".to_owned(), self.samples as f64),
        ]);
        for group in &self.groups {
            let name = &group.name;
            metrics.insert(format!("held-out top-1, {name}"), group.among_all);
            metrics.insert(
                format!("held-out top-1, {name} among themselves"),
                group.among_own,
            );
            metrics.insert(format!("held-out sensitivity, {name}"), group.noticed);
            metrics.insert(format!("held-out specificity, {name}"), group.spared);
        }
        for held_out in self.named() {
            let name = format!("held-out top-1, {}", held_out.group);
            metrics.insert(name, held_out.accuracy);
        }
        metrics
    }
}

fn group(predictions: &Predictions, name: String, classes: &[usize], of: &str) -> GroupReport {
    let all: Vec<usize> = (0..predictions.class_count()).collect();
    let about = (0..predictions.len()).filter(|&sample| predictions.groups[sample].starts_with(of));
    let judge = |sample: usize| {
        let [named, named_of_own] = [&all, classes].map(|among| predictions.named(sample, among));
        Judged::new(classes, &[predictions.classes[sample]], named, named_of_own)
    };
    let judged: Vec<Judged> = about.map(judge).collect();
    let shares = shares(&judged, &vec![1.0; judged.len()]);
    let [among_all, among_own, noticed, spared] = shares.map(|share| share.unwrap_or(0.0));
    GroupReport {
        name,
        samples: judged.iter().filter(|sample| sample.belongs).count(),
        among_all,
        among_own,
        noticed,
        spared,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "all {} classes: {:.4} of {} samples (mean class recall {:.4})",
            self.classes.len(),
            self.accuracy,
            self.samples,
            self.mean_class_recall
        )?;
        for group in &self.groups {
            writeln!(
                f,
                "{}: {:.4} of {} samples, {:.4} among themselves; as one: sensitivity {:.4}, \
                 specificity {:.4}",
                group.name,
                group.among_all,
                group.samples,
                group.among_own,
                group.noticed,
                group.spared
            )?;
        }
        for HeldOut {
            group,
            samples,
            accuracy,
        } in self.named()
        {
            writeln!(f, "{group}: {accuracy:.4} of {samples} samples")?;
        }
        for (what, fit) in [
            ("recipe's", self.calibration),
            ("best here", self.best_calibration),
        ] {
            writeln!(
                f,
                "temperature {:.4} ({what}): negative log-likelihood {:.4}, overconfidence {:+.4}",
                fit.temperature, fit.negative_log_likelihood, fit.overconfidence
            )?;
        }
        writeln!(f, "\nwhat it was (row), what it was named (column):")?;
        let width = self.classes.iter().map(String::len).max().unwrap_or(0);
        write!(f, "{:>1$}", "", width + 3)?;
        for column in 1..=self.classes.len() {
            write!(f, "{column:>5}")?;
        }
        writeln!(f)?;
        for (row, (name, counts)) in self.classes.iter().zip(&self.confusion).enumerate() {
            write!(f, "{:>2} {name:<width$}", row + 1)?;
            for count in counts {
                write!(f, "{count:>5}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn shares_are_of_the_right_samples() {
        let text = include_str!("../../../recipes/imu-hapt.toml");
        let mut recipe = Recipe::parse(text, Path::new("r.toml")).unwrap();
        recipe.unseen_classes = vec!["lie to stand".into()];
        // One sample named rightly, one basic one taken for a transition, one unseen one missed.
        let cosines = |best: usize, second: usize| {
            let mut row = vec![0.0; 12];
            (row[best], row[second]) = (0.9, 0.5);
            row
        };
        let predictions = Predictions {
            groups: ["7", "7", "9"].map(String::from).to_vec(),
            classes: vec![0, 1, 11],
            cosines: vec![cosines(0, 2), cosines(6, 1), cosines(5, 11)],
            background: vec![vec![]; 3],
        };
        let report = Report::new(&recipe, &predictions, &["7".into(), "9".into()]);
        assert!((report.accuracy - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(report.held_out[0].accuracy, 0.5);
        let [basic, unseen] = &report.groups[..] else {
            panic!("{:?}", report.groups)
        };
        assert_eq!(
            (basic.samples, basic.among_all, basic.among_own),
            (2, 0.5, 1.0)
        );
        // One of the two is named a basic activity, and so is the one that is none.
        assert_eq!((basic.noticed, basic.spared), (0.5, 0.0));
        assert_eq!(
            (unseen.name.as_str(), unseen.among_all, unseen.among_own),
            (UNSEEN, 0.0, 1.0)
        );
        assert_eq!(report.confusion[1][6], 1);
        assert_eq!(report.metrics()["held-out top-1, 9"], 0.0);
        assert!(report.to_string().contains("\n7: 0.5000 of 2 samples"));
    }
}

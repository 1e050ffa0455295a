//! Trainings on all there is, for use: what was held out to measure an encoder is worth more in the next one.

use std::path::Path;

use anyhow::{Context, ensure};
use sensorium_data::Split;

use crate::eval;
use crate::recipe::Recipe;
use crate::run::{Facts, RunDir};

/// A training by the same recipe that held something out and was measured on it.
pub struct Measured {
    run: RunDir,
    facts: Facts,
}

impl Measured {
    /// `text` is the recipe's.
    ///
    /// # Errors
    ///
    /// A training of another recipe or other classes, or one that was not measured.
    pub fn open(path: &Path, recipe: &Recipe, text: &[u8]) -> anyhow::Result<Self> {
        let run = RunDir::open(path)?;
        let open = || {
            run.ended()?;
            let facts = run.facts()?;
            let copy = run.path("recipe.toml");
            let copy = std::fs::read(&copy).with_context(|| format!("reading {copy:?}"))?;
            ensure!(
                copy == text,
                "it is of another recipe, expected one by that of {:?}",
                recipe.name
            );
            ensure!(
                facts.unseen_classes == recipe.unseen_classes,
                "it never met the classes {:?}, expected {:?}",
                facts.unseen_classes,
                recipe.unseen_classes
            );
            ensure!(
                facts.measured_by.is_none(),
                "it held nothing out; name the training that measured it"
            );
            ensure!(
                run.path(eval::FILE).is_file(),
                "it is not measured yet; run `eval` first"
            );
            Ok(facts)
        };
        let facts = open().with_context(|| format!("--measured-by {path:?}"))?;
        Ok(Self { run, facts })
    }

    /// What it knew.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Gives its figures to the training that had everything.
    pub fn tell(&self, run: &RunDir) -> anyhow::Result<()> {
        for name in [eval::FILE, eval::INT8_FILE] {
            let path = self.run.path(name);
            if path.is_file() {
                let content = std::fs::read(&path).with_context(|| format!("reading {path:?}"))?;
                run.write(name, &content)?;
            }
        }
        Ok(())
    }
}

/// Nothing is held out any more.
pub fn join(split: &mut Split) {
    split.training.append(&mut split.held_out);
    split.training.sort_unstable();
    split.training_groups.append(&mut split.held_out_groups);
}

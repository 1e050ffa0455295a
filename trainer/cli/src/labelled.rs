//! A recipe's windows with the classes that their labels name.

use std::path::Path;

use anyhow::{Context, ensure};
use sensorium_core::feature::{ImuFrontEnd, ImuUnits};
use sensorium_data::window::{Sample, features};
use sensorium_data::{PersonSplit, WindowSet};

use crate::recipe::Recipe;

/// Windows, their classes, and how they become features.
#[derive(Debug)]
pub struct Labelled {
    /// The windows.
    pub set: WindowSet,
    /// Place of each window's class in the recipe; none if its label is no class's.
    pub classes: Vec<Option<usize>>,
    front_end: ImuFrontEnd,
    units: ImuUnits,
    rate_hz: f32,
}

impl Labelled {
    /// Reads the windows of a recipe.
    pub fn open(recipe: &Recipe, dir: &Path) -> anyhow::Result<Self> {
        let (windows, index) = (dir.join(&recipe.data.windows), dir.join(&recipe.data.index));
        let set = WindowSet::open(&windows, &index)?;
        let front_end = recipe.front_end().context("front_end.units")?;
        let rate_hz = recipe.data.rate_hz;
        let expected = front_end.input_len(rate_hz)?;
        ensure!(
            set.window_len() <= expected,
            "{windows:?} has windows of {} samples, expected at most {expected}, the encoder's at \
             {rate_hz} Hz",
            set.window_len()
        );
        let label = |source: &sensorium_data::Source| recipe.class_of(&source.label_id);
        let classes = set.sources().iter().map(label).collect();
        Ok(Self {
            set,
            classes,
            front_end,
            units: recipe.data.units.parse()?,
            rate_hz,
        })
    }

    /// The recipe's division, or an inner fold of it; only windows that have a class.
    pub fn split(
        &self,
        recipe: &Recipe,
        fold: Option<(usize, usize)>,
    ) -> anyhow::Result<PersonSplit> {
        let mut split = PersonSplit::new(&self.set, &recipe.split.held_out_people)?;
        if let Some((fold, folds)) = fold {
            split = split.inner(&self.set, fold, folds)?;
        }
        split.training.retain(|&i| self.classes[i].is_some());
        split.held_out.retain(|&i| self.classes[i].is_some());
        Ok(split)
    }

    /// Numbers in the features of a window.
    pub fn feature_len(&self) -> usize {
        self.front_end.output_len()
    }

    /// What the encoder is given for some samples.
    pub fn features(&self, samples: &[Sample], out: &mut [f32]) -> anyhow::Result<()> {
        Ok(features(
            samples,
            self.units,
            self.rate_hz,
            &self.front_end,
            out,
        )?)
    }

    /// What the encoder is given for some windows, one after the other.
    pub fn batch(&self, windows: &[usize]) -> anyhow::Result<Vec<f32>> {
        let len = self.feature_len();
        let mut out = vec![0.0; windows.len() * len];
        for (&window, row) in windows.iter().zip(out.chunks_exact_mut(len)) {
            self.features(self.set.samples(window), row)?;
        }
        Ok(out)
    }
}

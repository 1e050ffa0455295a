//! A recipe's samples: what its sets hold for the encoder's sense, their classes, and what the
//! encoder is given for them.

use std::error::Error;
use std::path::Path;

use anyhow::{Context, ensure};
use rand::Rng;
use sensorium_data::augment::View;
use sensorium_data::set::Fault;
use sensorium_data::{
    DataSet, Draw, Entry, Extractor, Modality, Raw, SampleError, Sampler, Split, SplitConfig,
    Tally, sampler,
};

use crate::anchor::cache::AnchorCache;
use crate::recipe::Recipe;
use crate::trunk::Trunk;

/// The samples of a recipe.
#[derive(Debug)]
pub struct Samples {
    sets: Vec<Box<dyn DataSet>>,
    /// The set with the pictures, if they are not beside the samples.
    pictures: Option<usize>,
    /// All that have the encoder's sense and a class, or any class if there is none to have.
    items: Vec<Item>,
    sense: Modality,
    extractor: Extractor,
    /// What is between the front end and the encoder.
    trunk: Option<Trunk>,
    /// Lengths of the axes of what the encoder is given.
    shape: Vec<usize>,
    /// Broken samples so far.
    pub tally: Tally,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its set and its place there.
    pub at: Draw,
    /// The place of its class in the recipe.
    pub class: Option<usize>,
    /// Further classes that are true of it.
    pub also: Vec<usize>,
    /// The person, speaker or sequence.
    pub group: String,
    /// How often its set is repeated.
    repeat: u32,
}

impl Samples {
    /// Opens the sets of a recipe, and its trunk's file; what a trunk computes is kept in the cache.
    pub fn open(
        recipe: &Recipe,
        dir: &Path,
        trunk: Option<&Path>,
        cache: &Path,
    ) -> anyhow::Result<Self> {
        let sets = recipe
            .data
            .iter()
            .map(|set| set.open(dir))
            .collect::<Result<Vec<_>, _>>()?;
        let sense = recipe.modality();
        let named = |name: &str| recipe.data.iter().position(|set| set.name == name);
        let pictures = recipe.pairing.as_ref().and_then(|p| named(&p.pictures));
        let mut items = Vec::new();
        for (set, config) in recipe.data.iter().enumerate() {
            if pictures == Some(set) && sense != Modality::Image {
                continue;
            }
            for (entry, known) in sets[set].entries().iter().enumerate() {
                if !known.senses.contains(sense) {
                    continue;
                }
                let label = known.label.iter();
                let mut classes = label.flat_map(|label| recipe.classes_of(label));
                items.push(Item {
                    at: Draw { set, entry },
                    class: classes.next(),
                    also: classes.collect(),
                    group: known.group_or_name().to_owned(),
                    repeat: config.repeat.get(),
                });
            }
        }
        ensure!(!items.is_empty(), "the data sets have no sample of {sense}");
        let augmenters = recipe.augmentation.check()?;
        let extractor = Extractor::new(&recipe.front_end, sense, augmenters)?;
        let shape = recipe.encoder.input_shape();
        let trunk = match (&recipe.trunk, trunk) {
            (Some(trunk), Some(file)) => {
                let cache = AnchorCache::open(cache)?;
                Some(trunk.open(file, &extractor.output_shape(), shape[0], &cache)?)
            }
            _ => None,
        };
        Ok(Self {
            tally: Tally::new(items.len()),
            sets,
            pictures,
            items,
            sense,
            extractor,
            trunk,
            shape,
        })
    }

    /// The samples.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// As errors and reports call a sample.
    pub fn name(&self, item: usize) -> &str {
        let Draw { set, entry } = self.items[item].at;
        &self.sets[set].entries()[entry].name
    }

    /// The recipe's division, or an inner fold of it.
    pub fn split(
        &self,
        config: &SplitConfig,
        fold: Option<(usize, usize)>,
    ) -> anyhow::Result<Split> {
        let entry = |item: &Item| self.sets[item.at.set].entries()[item.at.entry].clone();
        let entries: Vec<Entry> = self.items.iter().map(entry).collect();
        let split = config.apply(&entries).context("split")?;
        let groups: Vec<&str> = self.items.iter().map(|item| &item.group[..]).collect();
        Ok(match fold {
            None => split,
            Some((fold, folds)) => split.inner(&groups, fold, folds)?,
        })
    }

    /// The set with the pictures, if they are not beside the samples.
    pub fn picture_set(&self) -> Option<usize> {
        self.pictures
    }

    /// Number of sets.
    pub fn set_count(&self) -> usize {
        self.sets.len()
    }

    /// The entries of a set.
    pub fn entries(&self, set: usize) -> &[Entry] {
        self.sets[set].entries()
    }

    /// One sense of a sample, decoded.
    pub fn load(&self, at: Draw, sense: Modality) -> Result<Raw, SampleError> {
        self.sets[at.set].load(at.entry, sense)
    }

    /// Draws training samples, those of repeated sets and of rare classes more often.
    pub fn sampler(&self, training: &[usize], class_balance: f64) -> Sampler {
        // Samples without a class count as one.
        let of = |&item: &usize| self.items[item].class.map_or(0, |class| class + 1);
        let classes: Vec<usize> = training.iter().map(of).collect();
        let weights: Vec<f64> = sampler::balanced(&classes, class_balance)
            .into_iter()
            .zip(training)
            .map(|(weight, &item)| weight * f64::from(self.items[item].repeat))
            .collect();
        Sampler::weighted(training.to_vec(), &weights)
    }

    /// Samples that an epoch goes through, sets that are repeated as often.
    pub fn epoch_len(&self, training: &[usize]) -> usize {
        let repeats = training
            .iter()
            .map(|&item| self.items[item].repeat as usize);
        repeats.sum()
    }

    /// Lengths of the axes of what the front end makes.
    pub fn input_shape(&self) -> Vec<usize> {
        self.extractor.output_shape()
    }

    /// Lengths of the axes of what the encoder is given.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Part `number` of a picture and of what was recorded with it; the first is the whole.
    pub fn view(&self, picture: Draw, number: usize) -> View {
        let key = ((picture.set as u64) << 48) | picture.entry as u64;
        self.extractor.view(key, number)
    }

    /// An augmented window of a sample, or of the part of it that `view` shows.
    pub fn augmented(
        &self,
        item: usize,
        view: Option<View>,
        random: &mut impl Rng,
    ) -> Result<Vec<f32>, SampleError> {
        let Draw { set, entry } = self.items[item].at;
        let (set, next) = (&self.sets[set], self.sets[set].following(entry));
        let raw = set.load(entry, self.sense)?;
        let next = next.map(|next| set.load(next, self.sense)).transpose()?;
        let values = self.extractor.augmented(&raw, next.as_ref(), view, random);
        let values = values.map_err(|error| self.broken(item, error.into()))?;
        self.through_trunk(item, values)
    }

    /// Several sounds at once; see [`Extractor::mixture`].
    pub fn mixture(
        &self,
        items: &[usize],
        softer_db: [f32; 2],
        random: &mut impl Rng,
    ) -> Result<Raw, SampleError> {
        let load = |&item: &usize| self.load(self.items[item].at, self.sense);
        let parts: Vec<Raw> = items.iter().map(load).collect::<Result<_, _>>()?;
        let mixed = self.extractor.mixture(&parts, softer_db, random);
        mixed.map_err(|error| self.broken(items[0], error.into()))
    }

    /// The one window of what is as long as a window; `item` is what errors call it.
    pub fn features(&self, raw: &Raw, item: usize) -> Result<Vec<f32>, SampleError> {
        let windows = self.extractor.windows(raw);
        let mut windows = windows.map_err(|error| self.broken(item, error.into()))?;
        Ok(windows.swap_remove(0))
    }

    /// Changes features as spectrograms are changed in training.
    pub fn mask(&self, features: &mut [f32], random: &mut impl Rng) {
        self.extractor.mask(features, random);
    }

    /// All windows of a sample, as the runtime cuts them.
    pub fn windows(&self, item: usize) -> Result<Vec<Vec<f32>>, SampleError> {
        self.windows_of(item, |raw| raw)
    }

    /// All windows of what `change` makes of a sample.
    pub fn windows_of(
        &self,
        item: usize,
        change: impl FnOnce(Raw) -> Raw,
    ) -> Result<Vec<Vec<f32>>, SampleError> {
        let inputs = self.inputs_of(item, change)?.into_iter();
        inputs
            .map(|values| self.through_trunk(item, values))
            .collect()
    }

    /// What the front end makes of all windows of a sample.
    pub fn inputs(&self, item: usize) -> Result<Vec<Vec<f32>>, SampleError> {
        self.inputs_of(item, |raw| raw)
    }

    fn inputs_of(
        &self,
        item: usize,
        change: impl FnOnce(Raw) -> Raw,
    ) -> Result<Vec<Vec<f32>>, SampleError> {
        let Draw { set, entry } = self.items[item].at;
        let raw = change(self.sets[set].load(entry, self.sense)?);
        let windows = self.extractor.windows(&raw);
        windows.map_err(|error| self.broken(item, error.into()))
    }

    /// How long a sample lasts, in seconds, if it has a duration.
    pub fn seconds(&self, item: usize) -> Result<Option<f64>, SampleError> {
        let Draw { set, entry } = self.items[item].at;
        Ok(self.sets[set].load(entry, self.sense)?.seconds())
    }

    /// The trunk's features, where there is one.
    fn through_trunk(&self, item: usize, values: Vec<f32>) -> Result<Vec<f32>, SampleError> {
        match &self.trunk {
            None => Ok(values),
            Some(trunk) => {
                let features = trunk.features(&values);
                features.map_err(|error| self.broken(item, error.into()))
            }
        }
    }

    fn broken(&self, item: usize, error: Box<dyn Error + Send + Sync>) -> SampleError {
        let Draw { set, entry } = self.items[item].at;
        self.sets[set].fault(entry, self.sense, Fault::FrontEnd(error))
    }
}

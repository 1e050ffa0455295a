//! The pictures that samples are bound to, or what another sense recorded with them, and which of them
//! a sample may be drawn with.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use rand::Rng;
use sensorium_data::augment::View;
use sensorium_data::{Draw, Entry, Pairing, Raw};

use crate::anchor::cache::{AnchorCache, Key};
use crate::anchor::space::AnchorSpace;
use crate::recipe::Recipe;
use crate::samples::Samples;

/// Pictures decoded at once.
const BLOCK: usize = 256;

/// Frozen embeddings of pictures, or of recordings of another sense, one beside each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Where each is.
    pub places: Vec<Draw>,
    /// `[pictures, views, dim]`, rows of length 1.
    pub rows: Vec<f32>,
    /// Parts of each picture that are embedded, the first of them the whole.
    pub views: usize,
    partners: Partners,
}

/// One part of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The picture.
    pub picture: usize,
    /// The part.
    pub view: usize,
}

/// Which pictures belong to a sample.
#[derive(Debug, Clone, PartialEq)]
enum Partners {
    /// The one beside it.
    Own(BTreeMap<Draw, usize>),
    /// Any of its label, set by set of the samples; `first` is the number of each entry's picture.
    OfLabel {
        pairings: Vec<Option<Pairing>>,
        numbers: BTreeMap<usize, usize>,
    },
}

impl Pictures {
    /// Embeds the pictures of samples, each in so many views; of a set of pictures, those that
    /// `wanted` names. What is in the cache is not computed again.
    pub fn embed(
        recipe: &Recipe,
        samples: &Samples,
        items: &[usize],
        wanted: &[usize],
        views: usize,
        space: &dyn AnchorSpace,
        cache: &AnchorCache,
    ) -> anyhow::Result<Self> {
        let sense = space.sense();
        let places: Vec<Draw> = match samples.picture_set() {
            Some(set) => wanted.iter().map(|&entry| Draw { set, entry }).collect(),
            None => {
                let places = items.iter().map(|&item| samples.items()[item].at);
                let has = |at: &Draw| samples.entries(at.set)[at.entry].senses.contains(sense);
                places.filter(has).collect()
            }
        };
        ensure!(
            !places.is_empty(),
            "there is no {sense} to bind {} to",
            recipe.name
        );
        let (mut kept, mut rows) = (Vec::new(), Vec::new());
        let mut store = cache.store(&space.id(), space.dim())?;
        let bar = crate::progress::bar(places.len() as u64, "pictures");
        for block in places.chunks(BLOCK) {
            let (mut recordings, mut keys) = (Vec::new(), Vec::new());
            for &place in block {
                let Some(raw) = samples.tally.sift(samples.load(place, sense)) else {
                    continue;
                };
                kept.push(place);
                for view in 0..views {
                    let part = match &raw {
                        Raw::Image(image) => Raw::Image(samples.view(place, view).image(image)),
                        other => other.clone(),
                    };
                    keys.push(Key::of_recording(&part));
                    recordings.push(part);
                }
            }
            samples.tally.check()?;
            let found = store.complete(&keys, |missing| {
                let missing = missing.iter().map(|&at| recordings[at].clone());
                space.embed(missing.collect())
            })?;
            rows.extend(found.into_iter().flatten());
            bar.inc(block.len() as u64);
        }
        bar.finish_and_clear();
        let numbers = kept.iter().enumerate();
        let partners = match samples.picture_set() {
            None => Partners::Own(numbers.map(|(number, &place)| (place, number)).collect()),
            Some(set) => {
                let numbers: BTreeMap<usize, usize> = numbers
                    .map(|(number, place)| (place.entry, number))
                    .collect();
                let entries: Vec<usize> = numbers.keys().copied().collect();
                Partners::OfLabel {
                    pairings: samples.pairings(items, set, &entries)?,
                    numbers,
                }
            }
        };
        Ok(Self {
            places: kept,
            rows,
            views,
            partners,
        })
    }

    /// A part of a picture that belongs to a sample; none if it has none.
    pub fn draw(&self, at: Draw, random: &mut impl Rng) -> Option<Seen> {
        let picture = match &self.partners {
            Partners::Own(numbers) => *numbers.get(&at)?,
            Partners::OfLabel { pairings, numbers } => {
                let pairing = pairings[at.set].as_ref()?;
                *numbers.get(&pairing.draw(at.entry, random)?)?
            }
        };
        let view = random.random_range(0..self.views);
        Some(Seen { picture, view })
    }
}

impl Pictures {
    /// The place of a part among the rows.
    pub fn row(&self, seen: Seen) -> usize {
        seen.picture * self.views + seen.view
    }

    /// The part that is seen of what was recorded with a picture; none if it is all there is.
    pub fn view(&self, seen: Seen, samples: &Samples) -> Option<View> {
        (self.views > 1).then(|| samples.view(self.places[seen.picture], seen.view))
    }
}

impl Samples {
    /// Joins samples with pictures by their labels, set by set of the samples.
    fn pairings(
        &self,
        items: &[usize],
        pictures: usize,
        entries: &[usize],
    ) -> anyhow::Result<Vec<Option<Pairing>>> {
        let mut of_sets: Vec<Vec<usize>> = vec![Vec::new(); self.set_count()];
        for &item in items {
            let Draw { set, entry } = self.items()[item].at;
            of_sets[set].push(entry);
        }
        let known = |set: usize| -> &[Entry] { self.entries(set) };
        let join = |(set, members): (usize, Vec<usize>)| {
            if members.is_empty() {
                return Ok(None);
            }
            let first = (known(set), &members[..]);
            let joined = Pairing::by_label(first, (known(pictures), entries));
            joined.map(Some).context("pairing.pictures")
        };
        of_sets.into_iter().enumerate().map(join).collect()
    }
}

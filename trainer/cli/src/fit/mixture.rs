//! Mixtures of sounds, and what a teacher makes of them.
//!
//! ```text
//! parts of samples ─ speed, tilt, gain, noise ─ mixed ─▶ clip ─┬─ teacher ─▶ embedding, kept on disk
//!                                                              └─ front end ─▶ features, in memory
//! ```
//!
//! A mixture is decided by its number and the seed, so that a training that goes on makes the same
//! ones and finds their embeddings in the cache.

use half::f16;
use rand::Rng;
use sensorium_data::{Raw, Sampler, batch};

use crate::anchor::cache::{AnchorCache, Key};
use crate::anchor::packed::PackSpace;
use crate::anchor::space::AnchorSpace;
use crate::progress;
use crate::samples::Samples;

/// Mixtures made and embedded between two writes to the cache.
const BLOCK: usize = 64;

/// Of the random numbers of a training, those of mixtures begin here; steps do not come so far.
const FIRST: u64 = 1 << 48;

/// What mixtures are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// How many.
    pub count: usize,
    /// Sounds in each, at most.
    pub parts: usize,
    /// Least and most that each sound after the first is softer.
    pub softer_db: [f32; 2],
    /// Of all that is random.
    pub seed: u64,
}

/// What the encoder is given for each of them. Half precision: the features are logarithms of about
/// 1, and the error is a hundredth of a decibel.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixtures {
    features: Vec<f16>,
    width: usize,
}

impl Mixtures {
    /// Makes mixtures, and gives the teacher's embeddings of them, one after the other.
    ///
    /// # Errors
    ///
    /// Too many broken samples, or a teacher that fails.
    pub fn make(
        samples: &Samples,
        sampler: &Sampler,
        kind: Kind,
        teacher: &PackSpace,
        cache: &AnchorCache,
    ) -> anyhow::Result<(Self, Vec<f32>)> {
        let width = samples.shape().iter().product();
        let (mut features, mut rows) = (Vec::with_capacity(kind.count * width), Vec::new());
        let mut store = cache.store(&teacher.id(), teacher.dim())?;
        let bar = progress::bar(kind.count as u64, "mixtures");
        let mut made = 0;
        while made < kind.count {
            let size = BLOCK.min(kind.count - made);
            let step = FIRST + made as u64;
            let mixtures = batch(size, kind.seed, step, &samples.tally, |_, random| {
                let parts = random.random_range(1..=kind.parts);
                let items: Vec<usize> = (0..parts).map(|_| sampler.draw(random)).collect();
                let raw = samples.mixture(&items, kind.softer_db, random)?;
                let features = samples.features(&raw, items[0])?;
                Ok((raw, features))
            })?;
            let keys: Vec<Key> = mixtures
                .iter()
                .map(|(raw, _)| Key::of_recording(raw))
                .collect();
            let found = store.complete(&keys, |missing| {
                let missing = missing.iter().map(|&at| mixtures[at].0.clone());
                teacher.embed(missing.collect::<Vec<Raw>>())
            })?;
            rows.extend(found.into_iter().flatten());
            for (_, values) in mixtures {
                features.extend(values.into_iter().map(f16::from_f32));
            }
            made += size;
            bar.inc(size as u64);
        }
        bar.finish_and_clear();
        Ok((Self { features, width }, rows))
    }

    /// Number of mixtures.
    pub fn len(&self) -> usize {
        self.features.len() / self.width.max(1)
    }

    /// The features of one.
    pub fn features(&self, mixture: usize) -> Vec<f32> {
        let values = &self.features[mixture * self.width..][..self.width];
        values.iter().map(|value| value.to_f32()).collect()
    }
}

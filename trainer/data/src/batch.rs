//! Samples decoded on all threads, in an order that no thread decides.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use thiserror::Error;

use crate::set::SampleError;
use crate::tally::{Broken, Tally};

/// How often a place of a batch is drawn anew before that is given up.
const ATTEMPTS: usize = 100;

/// Why there is no batch.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Too many samples are broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// One place of the batch drew nothing but broken samples.
    #[error("{attempts} samples in a row are broken, the last of them")]
    Attempts {
        /// How many.
        attempts: usize,
        /// The last.
        source: SampleError,
    },
}

/// The random numbers of one place in one step of a training. Nothing else decides them: not where
/// the training was interrupted, and not which thread comes first.
#[must_use]
pub fn random_of(seed: u64, step: u64, place: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, step, place]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A batch of so many samples, each drawn and decoded by `draw` on any of the threads. A broken
/// sample is counted, and another is drawn in its place with the random numbers that follow.
///
/// # Errors
///
/// Too many broken samples.
pub fn batch<T, F>(
    size: usize,
    seed: u64,
    step: u64,
    tally: &Tally,
    draw: F,
) -> Result<Vec<T>, BatchError>
where
    T: Send,
    F: Fn(usize, &mut ChaCha8Rng) -> Result<T, SampleError> + Sync,
{
    let one = |place: usize| {
        let mut random = random_of(seed, step, place as u64);
        let mut attempts = 1;
        loop {
            match draw(place, &mut random) {
                Ok(sample) => return Ok(sample),
                Err(source) if attempts == ATTEMPTS => {
                    tally.note(&source);
                    return Err(BatchError::Attempts { attempts, source });
                }
                Err(broken) => tally.note(&broken),
            }
            attempts += 1;
        }
    };
    let samples: Vec<Result<T, BatchError>> = (0..size).into_par_iter().map(one).collect();
    // Checked when all are drawn, so that which error it is does not depend on who came first.
    tally.check()?;
    samples.into_iter().collect()
}

/// `map` of each item, `window` of them at a time on all threads and no more in memory, in the order
/// of the items.
///
/// # Panics
///
/// If `window` is 0.
pub fn in_order<I, T, F>(items: I, window: usize, map: F) -> impl Iterator<Item = T>
where
    I: IntoIterator<Item: Send>,
    T: Send,
    F: Fn(I::Item) -> T + Sync,
{
    assert!(window > 0, "in_order: a window of 0");
    let mut items = items.into_iter();
    let mut ready = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if ready.len() == 0 {
            let next: Vec<I::Item> = items.by_ref().take(window).collect();
            let mapped: Vec<T> = next.into_par_iter().map(&map).collect();
            ready = mapped.into_iter();
        }
        ready.next()
    })
}

/// What `make` gives for each step, made by another thread while the steps before are used: at most
/// `depth` of them wait. The thread ends when the receiver is dropped.
pub fn ahead<'scope, T, F>(
    scope: &'scope Scope<'scope, '_>,
    depth: usize,
    steps: Range<u64>,
    mut make: F,
) -> Receiver<T>
where
    T: Send + 'scope,
    F: FnMut(u64) -> T + Send + 'scope,
{
    let (sender, receiver) = sync_channel(depth);
    scope.spawn(move || {
        for step in steps {
            if sender.send(make(step)).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests;

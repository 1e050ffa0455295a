//! Broken samples: counted and named, until they are too many.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::set::SampleError;

/// Of this many samples, one may be broken.
const PER_BROKEN: usize = 100;

/// How many are named.
const NAMED: usize = 20;

/// The broken samples of a run, from any thread. A sample that is met again counts once, so what it
/// says does not depend on how often or in which order samples are drawn.
#[derive(Debug)]
pub struct Tally {
    samples: usize,
    /// What is wrong, by set and sample.
    broken: Mutex<BTreeMap<(String, String), String>>,
}

impl Tally {
    /// For a run through sets of so many samples.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self {
            samples,
            broken: Mutex::default(),
        }
    }

    /// Counts a broken sample.
    pub fn note(&self, error: &SampleError) {
        let sample = (error.set.clone(), error.name.clone());
        self.lock().entry(sample).or_insert_with(|| chain(error));
    }

    /// The sample, or none and it is counted.
    pub fn sift<T>(&self, loaded: Result<T, SampleError>) -> Option<T> {
        loaded.inspect_err(|error| self.note(error)).ok()
    }

    /// The broken samples so far.
    #[must_use]
    pub fn broken(&self) -> Broken {
        let broken = self.lock();
        Broken {
            samples: self.samples,
            broken: broken.len(),
            named: broken.values().take(NAMED).cloned().collect(),
        }
    }

    /// Whether the run may go on.
    ///
    /// # Errors
    ///
    /// More than one sample of a hundred is broken.
    pub fn check(&self) -> Result<(), Broken> {
        if self.lock().len().saturating_mul(PER_BROKEN) > self.samples {
            return Err(self.broken());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), String>> {
        // No step of a change can panic halfway.
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Broken samples, with the first of them named: as an error, that they are too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Samples of the sets.
    pub samples: usize,
    /// How many are broken.
    pub broken: usize,
    /// What is wrong with the first 20, ordered by set and name.
    pub named: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            samples, broken, ..
        } = self;
        write!(f, "{broken} of {samples} samples are broken")?;
        if broken.saturating_mul(PER_BROKEN) > *samples {
            write!(f, ", expected at most 1 in {PER_BROKEN}")?;
        }
        for sample in &self.named {
            write!(f, "\n  {sample}")?;
        }
        match broken - self.named.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl Error for Broken {}

/// An error and what it is from, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Modality;
    use crate::set::Fault;

    fn error(number: usize) -> SampleError {
        SampleError {
            set: "sounds".into(),
            name: format!("{number:03}.wav"),
            sense: Modality::Audio,
            source: Box::new(Fault::Empty),
        }
    }

    #[test]
    fn one_in_a_hundred_may_be_broken() {
        let tally = Tally::new(200);
        for number in [7, 3, 7, 3] {
            tally.note(&error(number));
        }
        assert!(tally.check().is_ok());
        assert_eq!(
            tally.broken().to_string(),
            "2 of 200 samples are broken\n  \
             sounds: audio of \"003.wav\": it is empty\n  \
             sounds: audio of \"007.wav\": it is empty"
        );
        assert_eq!(tally.sift::<()>(Err(error(1))), None);
        let broken = tally.check().unwrap_err().to_string();
        let head =
            "3 of 200 samples are broken, expected at most 1 in 100\n  sounds: audio of \"001";
        assert!(broken.starts_with(head), "{broken}");
    }

    #[test]
    fn twenty_are_named_whatever_the_order() {
        let (up, down) = (Tally::new(30), Tally::new(30));
        (0..25).for_each(|number| up.note(&error(number)));
        std::thread::scope(|scope| {
            for part in [0..9, 9..25] {
                let down = &down;
                scope.spawn(move || part.rev().for_each(|number| down.note(&error(number))));
            }
        });
        assert_eq!(up.broken(), down.broken());
        assert_eq!(up.broken().named.len(), 20);
        assert!(
            up.broken()
                .to_string()
                .ends_with("\"019.wav\": it is empty\n  and 5 more")
        );
    }
}

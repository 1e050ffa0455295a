//! The classes that streams compare with now: they may change while streams run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bank::Bank;

/// A place for one bank, which streams look at before each window.
#[derive(Debug)]
pub struct Slot(Mutex<Arc<Bank>>);

impl Slot {
    /// A place that holds a bank.
    #[must_use]
    pub fn new(bank: Bank) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(bank))))
    }

    /// The bank that it holds now.
    #[must_use]
    pub fn get(&self) -> Arc<Bank> {
        Arc::clone(&self.lock())
    }

    /// Puts another bank in its place: the next window of every stream is scored with it.
    pub fn set(&self, bank: Bank) {
        *self.lock() = Arc::new(bank);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Bank>> {
        // A panic elsewhere leaves one whole bank or the other.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

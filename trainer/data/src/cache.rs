//! Decoded samples, kept in memory up to a limit.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sensorium_pack::Modality;

use crate::Raw;
use crate::set::{ContentKey, DataSet, Entry, SampleError};

/// A set whose samples are decoded once, as far as they fit: those that are loaded first stay.
#[derive(Debug)]
pub struct Cached {
    set: Box<dyn DataSet>,
    limit_bytes: usize,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    raws: HashMap<(usize, Modality), Raw>,
}

impl Cached {
    /// Keeps samples of a set, of so many bytes together.
    #[must_use]
    pub fn new(set: Box<dyn DataSet>, limit_bytes: usize) -> Self {
        Self {
            set,
            limit_bytes,
            kept: RwLock::default(),
        }
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.bytes
    }
}

impl DataSet for Cached {
    fn name(&self) -> &str {
        self.set.name()
    }

    fn entries(&self) -> &[Entry] {
        self.set.entries()
    }

    fn load(&self, entry: usize, sense: Modality) -> Result<Raw, SampleError> {
        let place = (entry, sense);
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(raw) = kept.raws.get(&place) {
            return Ok(raw.clone());
        }
        drop(kept);
        let raw = self.set.load(entry, sense)?;
        let bytes = raw.size_bytes();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if bytes <= self.limit_bytes - kept.bytes && !kept.raws.contains_key(&place) {
            kept.bytes += bytes;
            kept.raws.insert(place, raw.clone());
        }
        Ok(raw)
    }

    fn content_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, SampleError> {
        self.set.content_key(entry, sense)
    }

    fn following(&self, entry: usize) -> Option<usize> {
        self.set.following(entry)
    }
}

//! What every data set gives, however it is kept: entries that are known at once, and the senses of
//! each, decoded when they are asked for.

use std::fmt;
use std::path::PathBuf;

use sensorium_media::array::ArrayError;
use sensorium_media::clip::{ClipError, FramesError};
use sensorium_media::{OpenError, PictureError, SoundError};
use sensorium_pack::Modality;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::Raw;

/// A set of samples.
///
/// # Examples
///
/// ```
/// use sensorium_data::{DataSet, Modality, Raw, SetConfig};
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("pairs.csv"), "text,label\na dog barks,dog\n")?;
/// let config: SetConfig = toml::from_str("name = 'words'\nkind = 'pairs'")?;
/// let set = config.open(dir.path())?;
/// assert_eq!(set.entries()[0].label.as_deref(), Some("dog"));
/// assert!(matches!(set.load(0, Modality::Text)?, Raw::Text(text) if text == "a dog barks"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DataSet: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// The samples, in an order that does not change.
    fn entries(&self) -> &[Entry];

    /// One sense of a sample, decoded.
    ///
    /// # Errors
    ///
    /// A sample that is broken or does not have the sense: the caller counts it in a
    /// [`Tally`](crate::Tally) and goes on.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    fn load(&self, entry: usize, sense: Modality) -> Result<Raw, SampleError>;

    /// What [`load`](Self::load) decodes, hashed: equal content has equal keys in every set, and
    /// whatever the set's settings are.
    ///
    /// # Errors
    ///
    /// A sample that cannot be read or does not have the sense.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    fn content_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, SampleError>;

    /// The entry that begins where this one ends, in the same recording and with the same label, so
    /// that a window can be moved on into it; none where nothing is known of such.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    fn following(&self, entry: usize) -> Option<usize> {
        let _ = &self.entries()[entry];
        None
    }

    /// The error of a sample of the set: for what a front end finds wrong with it, too.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    fn fault(&self, entry: usize, sense: Modality, fault: Fault) -> SampleError {
        SampleError {
            set: self.name().to_owned(),
            name: self.entries()[entry].name.clone(),
            sense,
            source: Box::new(fault),
        }
    }
}

/// What is known of a sample before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// What errors call it; unique in its set.
    pub name: String,
    /// The senses that it has.
    pub senses: SenseSet,
    /// Its class, as the set calls it.
    pub label: Option<String>,
    /// What must not be on both sides of a division: a person, a speaker, a sequence.
    pub group: Option<String>,
    /// The side that the set itself puts it on, such as `train` or `test`.
    pub split: Option<String>,
}

impl Entry {
    /// What the sample is divided by: its group, or, where it has none, itself.
    #[must_use]
    pub fn group_or_name(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }
}

/// Some of the senses.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SenseSet(u8);

impl SenseSet {
    /// Whether a sense is among them.
    #[must_use]
    pub fn contains(self, sense: Modality) -> bool {
        self.0 & Self::from(sense).0 != 0
    }

    /// Whether all of `others` are among them.
    #[must_use]
    pub fn contains_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds one.
    pub fn insert(&mut self, sense: Modality) {
        self.0 |= Self::from(sense).0;
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL
            .into_iter()
            .filter(move |&sense| self.contains(sense))
    }
}

impl From<Modality> for SenseSet {
    fn from(sense: Modality) -> Self {
        Self(1 << sense as u8)
    }
}

impl FromIterator<Modality> for SenseSet {
    fn from_iter<I: IntoIterator<Item = Modality>>(senses: I) -> Self {
        let mut set = Self::default();
        senses.into_iter().for_each(|sense| set.insert(sense));
        set
    }
}

impl fmt::Debug for SenseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The SHA-256 of a sample's content: what a cache of its anchor is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// The key of a file's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The key of several parts in this order. Their lengths count, so `ab, c` is not `a, bc`.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why one sense of a sample cannot be had.
#[derive(Debug, Error)]
#[error("{set}: {sense} of {name:?}")]
pub struct SampleError {
    /// The set's name.
    pub set: String,
    /// The sample's name.
    pub name: String,
    /// The sense that was asked for.
    pub sense: Modality,
    /// What is wrong.
    pub source: Box<Fault>,
}

/// What is wrong with a sample.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// It has other senses only.
    #[error("the sample has none")]
    Lacks,
    /// The file cannot be read.
    #[error("{path:?} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error(transparent)]
    File(OpenError<std::convert::Infallible>),
    /// A front end refuses it.
    #[error("it cannot be used")]
    FrontEnd(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is no sound.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// It is no picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// It holds no frames.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// It is no folder of frames.
    #[error(transparent)]
    Folder(#[from] ClipError),
    /// It is no array.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// It is no text.
    #[error("it is not UTF-8, from byte {valid} on")]
    Utf8 {
        /// Bytes that are.
        valid: usize,
    },
    /// What is said of the sample is no JSON object.
    #[error("its .json is no object of text")]
    Json(#[source] serde_json::Error),
    /// It holds nothing.
    #[error("it is empty")]
    Empty,
    /// The array has another shape than the sense has.
    #[error("it has shape {actual:?}, expected {expected}")]
    Shape {
        /// Its shape.
        actual: Vec<usize>,
        /// What the sense has.
        expected: &'static str,
    },
    /// A number is none.
    #[error("row {row} holds a value that is not finite")]
    NotFinite {
        /// The row of the sample, from 0.
        row: usize,
    },
    /// The rows are not all in the array.
    #[error("it is rows {start} to {end} of {rows}")]
    Rows {
        /// The first.
        start: u64,
        /// The one after the last.
        end: u64,
        /// Rows that there are.
        rows: u64,
    },
    /// A rate that no microphone has.
    #[error("its rate is {rate_hz} Hz, expected {} to {} Hz", crate::form::SOUND_RATES_HZ.start(), crate::form::SOUND_RATES_HZ.end())]
    Rate {
        /// The rate.
        rate_hz: u32,
    },
    /// Numbers that stand for no colour.
    #[error("it holds {actual} numbers, expected uint8")]
    Colours {
        /// The kind that it holds.
        actual: &'static str,
    },
}

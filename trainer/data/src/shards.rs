//! WebDataset: tar files, each sample being the members of one base name.
//!
//! Of `clips/0017.wav`, `clips/0017.depth.png` and `clips/0017.json`, the base name is `clips/0017`,
//! up to the first dot of the file's name; the rest says what a member is. Each file is read through
//! once, head by head, when the set is opened; a sample is then read where it lies, so any order is
//! as good as another and nothing of the whole is kept in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sensorium_media::{MAX_FILE_BYTES, OpenError};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Raw;
use crate::form::Forms;
use crate::set::{ContentKey, DataSet, Entry, Fault, SampleError};

mod braces;
mod index;
mod member;

pub use member::Member;

use index::{Part, Sample};

/// `kind = "shards"`: tar files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardsConfig {
    /// The files: `train-{0000..0003}.tar`, `{train,more}.tar`.
    pub shards: String,
    /// What members of an extension are, where it is not what [`Member::of`] says.
    #[serde(default)]
    pub extensions: BTreeMap<String, Member>,
}

/// Why shards cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The pattern is none.
    #[error(
        "shards is {pattern:?}, expected braces around first..last or around words with commas"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// The pattern stands for too many files.
    #[error("shards is {pattern:?}, expected at most {most} files")]
    Count {
        /// The pattern.
        pattern: String,
        /// How many there may be.
        most: usize,
    },
    /// A file cannot be read.
    #[error("reading {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A member's head is damaged.
    #[error("{path:?} cannot be read from byte {byte} on")]
    Head {
        /// The file.
        path: PathBuf,
        /// Where the head is.
        byte: u64,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The file breaks off.
    #[error("{path:?} breaks off at byte {actual}: {member:?} ends at byte {expected}")]
    Cut {
        /// The file.
        path: PathBuf,
        /// The member that is not all there.
        member: String,
        /// Bytes that there are.
        actual: u64,
        /// Where the member ends.
        expected: u64,
    },
    /// The file breaks off between two members.
    #[error("{path:?} breaks off at byte {actual}, expected more members or the end mark")]
    NoEnd {
        /// The file.
        path: PathBuf,
        /// Bytes that there are.
        actual: u64,
    },
    /// A sample has one thing twice.
    #[error("{path:?} has {what} of {base:?} twice, the second time as {member:?}")]
    Twice {
        /// The file.
        path: PathBuf,
        /// The sample.
        base: String,
        /// What it has twice.
        what: Member,
        /// The second member.
        member: String,
    },
}

/// Samples in tar files.
#[derive(Debug)]
pub(crate) struct ShardSet {
    name: String,
    form: Forms,
    paths: Vec<PathBuf>,
    entries: Vec<Entry>,
    places: Vec<Place>,
}

/// Where a sample is.
#[derive(Debug)]
struct Place {
    shard: usize,
    senses: Vec<(Modality, Part)>,
    /// Facts of it that could not be read, by the sense that is asked for first.
    broken: Option<Part>,
}

impl ShardSet {
    pub(crate) fn open(
        name: String,
        dir: &Path,
        config: &ShardsConfig,
        form: Forms,
    ) -> Result<Self, ShardError> {
        let files = braces::expand(&config.shards)?;
        let paths: Vec<PathBuf> = files.iter().map(|file| dir.join(file)).collect();
        let indexed: Vec<Result<Vec<Sample>, ShardError>> = paths
            .par_iter()
            .map(|path| index::read(path, &config.extensions))
            .collect();
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        for (shard, samples) in indexed.into_iter().enumerate() {
            for sample in samples? {
                entries.push(Entry {
                    name: format!("{}/{}", files[shard], sample.base),
                    senses: sample.senses.iter().map(|(sense, _)| *sense).collect(),
                    label: sample.facts.label,
                    group: sample.facts.group,
                    split: sample.facts.split,
                });
                places.push(Place {
                    shard,
                    senses: sample.senses,
                    broken: sample.broken,
                });
            }
        }
        Ok(Self {
            name,
            form,
            paths,
            entries,
            places,
        })
    }

    fn bytes(&self, entry: usize, sense: Modality) -> Result<Vec<u8>, Fault> {
        let place = &self.places[entry];
        let path = &self.paths[place.shard];
        if let Some(part) = place.broken {
            let read = read_part(path, part)?;
            index::facts_of(&read)?;
        }
        let part = place.senses.iter().find(|(other, _)| *other == sense);
        let (_, part) = part.ok_or(Fault::Lacks)?;
        read_part(path, *part)
    }
}

impl DataSet for ShardSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn load(&self, entry: usize, sense: Modality) -> Result<Raw, SampleError> {
        let bytes = self.bytes(entry, sense);
        let raw = bytes.and_then(|bytes| self.form.decode(sense, bytes));
        raw.map_err(|fault| self.fault(entry, sense, fault))
    }

    fn content_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, SampleError> {
        let bytes = self.bytes(entry, sense);
        bytes
            .map(|bytes| ContentKey::of(&bytes))
            .map_err(|fault| self.fault(entry, sense, fault))
    }
}

fn read_part(path: &Path, part: Part) -> Result<Vec<u8>, Fault> {
    if part.len > MAX_FILE_BYTES {
        let path = path.to_owned();
        return Err(Fault::File(OpenError::<Infallible>::TooLarge { path }));
    }
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(part.start))?;
        // The file may have become shorter; nothing is allocated for what it no longer has.
        let mut bytes = Vec::new();
        file.take(part.len).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < part.len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    };
    read().map_err(|source| Fault::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;

//! Embeddings that were computed before, on disk.
//!
//! A folder holds one file a space, called after the space's identity. It only grows:
//!
//! ```text
//! magic 8 | dim u32 | space 32 | check 16      the head
//! key 32 | dim x f32 | check 16                a record, as often as there are embeddings
//! ```
//!
//! All numbers are little-endian. A key is the SHA-256 of what was embedded, a check the first half
//! of the SHA-256 of what stands before it in the head or record. A record that was altered is
//! passed over, and its embedding computed anew; half a record at the end, which a crash leaves, is
//! cut off before the next one is written; a file with another head is begun anew. Writers lock the
//! file, so that two processes may fill it together, and neither computes what it sees that the
//! other has written.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sensorium_core::feature::Image;
use sensorium_data::Raw;
use sensorium_pack::write_whole;
use sha2::{Digest, Sha256};

/// What a file begins with; its last byte is the version of the form.
const MAGIC: [u8; 8] = *b"snsanch\x01";

const KEY_LEN: usize = 32;
const CHECK_LEN: usize = 16;
const HEAD_LEN: usize = MAGIC.len() + 4 + KEY_LEN + CHECK_LEN;

/// SHA-256 of what was embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// Of a picture: its size and pixels, so that a copy in another file format has the same key.
    pub fn of_image(image: &Image<3>) -> Self {
        let size = [image.width(), image.height()].map(|side| (side as u64).to_le_bytes());
        let hash = Sha256::new()
            .chain_update(b"image\0")
            .chain_update(size.as_flattened())
            .chain_update(image.pixels().as_flattened());
        Self(hash.finalize().into())
    }

    /// Of what any sense recorded: its numbers, and what they are taken for.
    pub fn of_recording(raw: &Raw) -> Self {
        let (form, shape, values) = match raw {
            Raw::Image(image) => return Self::of_image(image),
            Raw::Text(text) => return Self::of_text(text),
            Raw::Imu {
                samples,
                rate_hz,
                units,
            } => {
                let form = format!("imu, {rate_hz} Hz, {units}");
                (form, vec![samples.len()], samples.as_flattened().to_vec())
            }
            Raw::Sound { samples, rate_hz } => {
                let form = format!("sound, {rate_hz} Hz");
                (form, vec![samples.len()], samples.clone())
            }
            Raw::Frames { frames, rate_hz } => {
                let form = format!("frames of {}, {rate_hz:?} Hz", frames.numbers.kind());
                let values = frames.numbers.to_f32(0..frames.numbers.len());
                (form, frames.shape.clone(), values)
            }
        };
        let mut hash = Sha256::new().chain_update(form).chain_update(b"\0");
        for axis in shape {
            hash.update((axis as u64).to_le_bytes());
        }
        for value in values {
            hash.update(value.to_le_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Of what a front end made.
    pub fn of_values(values: &[f32]) -> Self {
        let mut hash = Sha256::new().chain_update(b"values\0");
        for value in values {
            hash.update(value.to_le_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Of a text.
    pub fn of_text(text: &str) -> Self {
        let hash = Sha256::new().chain_update(b"text\0").chain_update(text);
        Self(hash.finalize().into())
    }
}

/// A folder of embeddings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorCache(PathBuf);

impl AnchorCache {
    /// A folder, made if it is not there.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("creating the cache {dir:?}"))?;
        Ok(Self(dir.to_owned()))
    }

    /// A file of the folder, made if it is not there; its path.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to.
    pub fn file(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        if !path.exists() {
            write_whole(&path, bytes).with_context(|| format!("writing {path:?}"))?;
        }
        Ok(path)
    }

    /// The embeddings of a space, by its identity and dimensions.
    pub fn store(&self, space: &str, dim: usize) -> anyhow::Result<Store> {
        Store::open(self.0.join(format!("{space}.anchors")), space, dim)
    }
}

/// The embeddings of one space. Only their places are in memory.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    head: Vec<u8>,
    dim: usize,
    places: HashMap<Key, u64>,
    /// Where the records end that have been looked at.
    end: u64,
    counts: Counts,
}

/// What a store was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Embeddings that were there.
    pub hits: usize,
    /// Embeddings that had to be computed.
    pub misses: usize,
    /// Records that were found altered, and are not used.
    pub damaged: usize,
}

impl Store {
    fn open(path: PathBuf, space: &str, dim: usize) -> anyhow::Result<Self> {
        ensure!(dim > 0, "a space of 0 dimensions");
        let mut head = MAGIC.to_vec();
        head.extend(u32::try_from(dim)?.to_le_bytes());
        head.extend(Sha256::digest(space));
        head.extend(check(&head));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening the cache {path:?}"))?;
        let mut store = Self {
            path,
            file,
            head,
            dim,
            places: HashMap::new(),
            end: 0,
            counts: Counts::default(),
        };
        store.locked(|_| Ok(()))?;
        Ok(store)
    }

    /// What it was good for since it was opened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The embeddings of these keys, in their order. Those that are not there are computed, each
    /// once, and kept: `compute` is given their places in `keys`, and gives one embedding for each.
    ///
    /// # Errors
    ///
    /// A computation that fails, or gives embeddings of other dimensions.
    pub fn complete(
        &mut self,
        keys: &[Key],
        compute: impl FnOnce(&[usize]) -> anyhow::Result<Vec<Vec<f32>>>,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut known: HashMap<Key, Vec<f32>> = HashMap::new();
        let (mut missing, mut wanted) = (Vec::new(), HashSet::new());
        for (place, &key) in keys.iter().enumerate() {
            if known.contains_key(&key) || wanted.contains(&key) {
                continue;
            }
            match self.get(key)? {
                Some(embedding) => {
                    known.insert(key, embedding);
                }
                None => {
                    wanted.insert(key);
                    missing.push(place);
                }
            }
        }
        self.counts.misses += missing.len();
        self.counts.hits += keys.len() - missing.len();
        if !missing.is_empty() {
            let computed = compute(&missing)?;
            ensure!(
                computed.len() == missing.len()
                    && computed.iter().all(|embedding| embedding.len() == self.dim),
                "{} embeddings of {:?} numbers, expected {} of {}",
                computed.len(),
                computed.first().map(Vec::len),
                missing.len(),
                self.dim
            );
            let missing = missing.iter().map(|place| keys[*place]);
            let new: Vec<(Key, &[f32])> = missing.zip(computed.iter().map(Vec::as_slice)).collect();
            self.insert(&new)?;
            known.extend(new.into_iter().map(|(key, row)| (key, row.to_vec())));
        }
        let find = |key: &Key| known.get(key).cloned();
        let found: Option<Vec<_>> = keys.iter().map(find).collect();
        found.context("an embedding was neither found nor computed")
    }

    /// An embedding, if it is there.
    pub fn get(&mut self, key: Key) -> anyhow::Result<Option<Vec<f32>>> {
        let Some(&place) = self.places.get(&key) else {
            return Ok(None);
        };
        let mut record = vec![0; self.record_len()];
        let read = self
            .file
            .seek(SeekFrom::Start(place))
            .and_then(|_| self.file.read_exact(&mut record));
        match read {
            // Another process may have begun the file anew.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            read => read.with_context(|| format!("reading the cache {:?}", self.path))?,
        }
        if is_whole(&record) && record.starts_with(&key.0) {
            let values = record[KEY_LEN..record.len() - CHECK_LEN].as_chunks().0;
            return Ok(Some(
                values.iter().map(|v| f32::from_le_bytes(*v)).collect(),
            ));
        }
        self.places.remove(&key);
        self.counts.damaged += 1;
        Ok(None)
    }

    /// Keeps embeddings; they are on disk when this returns.
    ///
    /// # Panics
    ///
    /// If one has another number of dimensions than the space.
    pub fn insert(&mut self, embeddings: &[(Key, &[f32])]) -> anyhow::Result<()> {
        self.locked(|store| {
            let mut bytes = Vec::with_capacity(embeddings.len() * store.record_len());
            let mut places = HashMap::new();
            for &(key, values) in embeddings {
                assert_eq!(values.len(), store.dim, "Store::insert: dimensions");
                if store.places.contains_key(&key) || places.contains_key(&key) {
                    continue;
                }
                places.insert(key, store.end + bytes.len() as u64);
                let start = bytes.len();
                bytes.extend(key.0);
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                let sum = check(&bytes[start..]);
                bytes.extend(sum);
            }
            store.file.seek(SeekFrom::Start(store.end))?;
            store.file.write_all(&bytes)?;
            store.file.sync_data()?;
            store.end += bytes.len() as u64;
            store.places.extend(places);
            Ok(())
        })
    }

    /// Does something while no other process writes, after looking at what others have written.
    fn locked(
        &mut self,
        action: impl FnOnce(&mut Self) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let result = self
            .file
            .lock()
            .and_then(|()| self.catch_up())
            .and_then(|()| action(self));
        let unlocked = self.file.unlock();
        result
            .and(unlocked)
            .with_context(|| format!("using the cache {:?}", self.path))
    }

    /// Looks at the records that are new, and cuts off half a one. Whoever holds the lock may: what
    /// is half-written then will never be whole.
    fn catch_up(&mut self) -> std::io::Result<()> {
        let len = self.file.metadata()?.len();
        let mut head = vec![0; self.head.len()];
        self.file.seek(SeekFrom::Start(0))?;
        let has_head = len >= HEAD_LEN as u64 && {
            self.file.read_exact(&mut head)?;
            head == self.head
        };
        if !has_head {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&self.head)?;
            self.file.sync_data()?;
        }
        if !has_head || len < self.end || self.end == 0 {
            self.places.clear();
            self.end = HEAD_LEN as u64;
        }
        let record_len = self.record_len() as u64;
        let len = len.max(HEAD_LEN as u64);
        let count = if has_head {
            (len - self.end) / record_len
        } else {
            0
        };
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(self.end))?;
        let mut record = vec![0; self.record_len()];
        for _ in 0..count {
            reader.read_exact(&mut record)?;
            match record.first_chunk() {
                Some(key) if is_whole(&record) => {
                    self.places.insert(Key(*key), self.end);
                }
                _ => self.counts.damaged += 1,
            }
            self.end += record_len;
        }
        if has_head && self.end < len {
            self.file.set_len(self.end)?;
        }
        Ok(())
    }

    fn record_len(&self) -> usize {
        KEY_LEN + self.dim * size_of::<f32>() + CHECK_LEN
    }
}

/// The first half of a SHA-256.
fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    std::array::from_fn(|i| digest[i])
}

/// Whether a record ends in the check of what stands before it.
fn is_whole(record: &[u8]) -> bool {
    record
        .split_last_chunk()
        .is_some_and(|(body, sum)| check(body) == *sum)
}

#[cfg(test)]
mod tests;

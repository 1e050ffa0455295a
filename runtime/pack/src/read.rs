//! Opening a pack: everything is checked before anything is parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use thiserror::Error;
use zip::{CompressionMethod, ZipArchive};

use crate::{FORMAT, MANIFEST, Manifest, Modality, VERSION, sha256_hex};

/// Largest pack that is read into memory; ImageBind's six encoders as floats take 4.8 GB.
const MAX_PACK_BYTES: u64 = 16 << 30;

/// Most bytes of a manifest.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Why a file is not a pack that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file cannot be read or written.
    #[error("the file cannot be accessed")]
    Io(#[from] std::io::Error),
    /// The file is larger than any pack.
    #[error("the file has {actual} bytes, expected at most {limit}")]
    TooLarge {
        /// Its size.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// It is not a zip, or not a whole one.
    #[error("it is not a pack: no whole zip file")]
    Zip(#[source] zip::result::ZipError),
    /// It is a zip without a manifest.
    #[error("it is not a pack: the zip has no {MANIFEST}")]
    NoManifest,
    /// The manifest is not what a manifest is.
    #[error("{MANIFEST} is not understood")]
    Manifest(#[source] serde_json::Error),
    /// The manifest is of another format or version.
    #[error("{MANIFEST} says {format:?} version {version}, expected {FORMAT:?} version {VERSION}")]
    Format {
        /// The format that it names.
        format: String,
        /// The version that it names.
        version: u32,
    },
    /// A member is compressed or listed twice, so tools could disagree on what it holds.
    #[error("member {path:?} is stored in a way that packs do not use")]
    Storage {
        /// The member.
        path: String,
    },
    /// A member that the manifest does not list.
    #[error("member {path:?} is not in {MANIFEST}")]
    Foreign {
        /// The member.
        path: String,
    },
    /// A member that the manifest lists or refers to is not there.
    #[error("member {path:?} is missing")]
    Missing {
        /// The member.
        path: String,
    },
    /// A member has another size than the manifest says.
    #[error("member {path:?} has {actual} bytes, expected {expected}")]
    Size {
        /// The member.
        path: String,
        /// Its size.
        actual: u64,
        /// The manifest's.
        expected: u64,
    },
    /// A member was altered.
    #[error("member {path:?} was altered: its SHA-256 is {actual}, expected {expected}")]
    Hash {
        /// The member.
        path: String,
        /// The hash of its content.
        actual: String,
        /// The manifest's.
        expected: String,
    },
    /// Two encoders have one name.
    #[error("there are two encoders {name:?}")]
    Twice {
        /// The name.
        name: String,
    },
    /// The front end of an encoder is for another sense.
    #[error("encoder {encoder:?} is for {modality}, which no front end {kind:?} is made for")]
    FrontEnd {
        /// The encoder.
        encoder: String,
        /// Its sense.
        modality: Modality,
        /// The front end's kind.
        kind: &'static str,
    },
    /// An encoder or its provenance names something that the manifest does not have.
    #[error("{what} names {name:?}, which {MANIFEST} does not have")]
    Reference {
        /// What refers to it.
        what: String,
        /// The name.
        name: String,
    },
}

/// A pack in memory, every member checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    manifest: Manifest,
    manifest_sha256: String,
    members: BTreeMap<String, Vec<u8>>,
}

impl Pack {
    /// Reads and checks a pack.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no pack, or was cut or altered.
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let file = File::open(path)?;
        let actual = file.metadata()?.len();
        if actual > MAX_PACK_BYTES {
            return Err(PackError::TooLarge {
                actual,
                limit: MAX_PACK_BYTES,
            });
        }
        Self::read(BufReader::new(file), actual)
    }

    /// Reads and checks a pack that is in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PackError> {
        Self::read(Cursor::new(bytes), bytes.len() as u64)
    }

    fn read(reader: impl Read + Seek, len: u64) -> Result<Self, PackError> {
        let mut zip = ZipArchive::new(reader).map_err(PackError::Zip)?;
        let mut members = BTreeMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index(index).map_err(PackError::Zip)?;
            let path = entry.name().map_err(PackError::Zip)?.into_owned();
            // A stored member cannot be larger than the file: nothing here can blow up.
            let whole = entry.size() == entry.compressed_size();
            if entry.compression() != CompressionMethod::Stored || !whole {
                return Err(PackError::Storage { path });
            }
            let limit = entry.size().min(len);
            let mut content = Vec::with_capacity(limit as usize);
            let read = entry.take(limit).read_to_end(&mut content);
            // The zip's own checksum fails here; the hash below names the member.
            if read.is_err() {
                content.clear();
            }
            if members.insert(path.clone(), content).is_some() {
                return Err(PackError::Storage { path });
            }
        }
        let manifest_bytes = members.remove(MANIFEST).ok_or(PackError::NoManifest)?;
        let pack = Self {
            manifest: parse_manifest(&manifest_bytes)?,
            manifest_sha256: sha256_hex(&manifest_bytes),
            members,
        };
        pack.check_members()?;
        pack.check_references()?;
        Ok(pack)
    }

    /// What the pack says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack's name and the start of its manifest's hash, which covers every member.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.manifest.name, &self.manifest_sha256[..12])
    }

    /// The content of a member.
    ///
    /// # Errors
    ///
    /// [`PackError::Missing`] if there is no such member.
    pub fn member(&self, path: &str) -> Result<&[u8], PackError> {
        let content = self.members.get(path).map(Vec::as_slice);
        content.ok_or_else(|| PackError::Missing {
            path: path.to_owned(),
        })
    }

    fn check_members(&self) -> Result<(), PackError> {
        for listed in &self.manifest.members {
            let path = || listed.path.clone();
            let content = self.member(&listed.path)?;
            let (actual, expected) = (sha256_hex(content), listed.sha256.clone());
            if content.len() as u64 != listed.bytes && !content.is_empty() {
                let actual = content.len() as u64;
                return Err(PackError::Size {
                    path: path(),
                    actual,
                    expected: listed.bytes,
                });
            }
            if actual != expected {
                return Err(PackError::Hash {
                    path: path(),
                    actual,
                    expected,
                });
            }
        }
        let is_listed = |path: &str| self.manifest.members.iter().any(|m| m.path == path);
        match self.members.keys().find(|path| !is_listed(path)) {
            Some(path) => Err(PackError::Foreign { path: path.clone() }),
            None => Ok(()),
        }
    }

    fn check_references(&self) -> Result<(), PackError> {
        check_references(&self.manifest, |path| self.members.contains_key(path))
    }
}

/// Whether all that a manifest refers to is there, and fits together.
pub(crate) fn check_references(
    manifest: &Manifest,
    has: impl Fn(&str) -> bool,
) -> Result<(), PackError> {
    if let Some(path) = manifest.referenced().find(|path| !has(path)) {
        return Err(PackError::Missing {
            path: path.to_owned(),
        });
    }
    let mut names = BTreeSet::new();
    for encoder in &manifest.encoders {
        if !names.insert(&encoder.name) {
            return Err(PackError::Twice {
                name: encoder.name.clone(),
            });
        }
        if !encoder.modality.takes(&encoder.front_end) {
            return Err(PackError::FrontEnd {
                encoder: encoder.name.clone(),
                modality: encoder.modality,
                kind: encoder.front_end.kind(),
            });
        }
        if manifest.space(&encoder.space).is_none() {
            return Err(PackError::Reference {
                what: format!("encoder {:?}", encoder.name),
                name: encoder.space.clone(),
            });
        }
    }
    Ok(())
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest, PackError> {
    /// Only what says whether the rest can be understood.
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let actual = bytes.len() as u64;
    if actual > MAX_MANIFEST_BYTES {
        return Err(PackError::TooLarge {
            actual,
            limit: MAX_MANIFEST_BYTES,
        });
    }
    let Head { format, version } = serde_json::from_slice(bytes).map_err(PackError::Manifest)?;
    if format != FORMAT || version != VERSION {
        return Err(PackError::Format { format, version });
    }
    serde_json::from_slice(bytes).map_err(PackError::Manifest)
}

#[cfg(test)]
mod tests;

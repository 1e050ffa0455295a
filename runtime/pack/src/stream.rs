//! Making a pack that need not fit into memory.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::read::check_references;
use crate::write::{ALIGNMENT, beside};
use crate::{MANIFEST, Manifest, Member, PackError, hex};

/// Bytes of a member that are held at a time.
const CHUNK: usize = 1 << 20;

/// Bytes from which on a member needs a zip's 64-bit form.
const ZIP64_BYTES: u64 = u32::MAX as u64;

/// A pack in the making, whose members are written as they come.
///
/// The file appears under its name when it is finished, and replaces what was there. One that is dropped
/// unfinished leaves nothing behind. Equal members in the same order give equal bytes.
///
/// # Examples
///
/// ```
/// use sensorium_pack::PackFile;
///
/// let folder = tempfile::tempdir()?;
/// let mut file = PackFile::create(&folder.path().join("half.pack"))?;
/// file.add("weights.bin", &mut &[1u8, 2, 3][..], 3)?;
/// drop(file);
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackFile {
    path: PathBuf,
    zip: ZipWriter<BufWriter<NamedTempFile>>,
    members: Vec<Member>,
}

impl PackFile {
    /// Begins a pack.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to.
    pub fn create(path: &Path) -> Result<Self, PackError> {
        Ok(Self {
            path: path.to_owned(),
            zip: ZipWriter::new(BufWriter::with_capacity(CHUNK, beside(path)?)),
            members: Vec::new(),
        })
    }

    /// Writes a member of so many bytes.
    ///
    /// # Errors
    ///
    /// A member of this path, content of another length, or a file that cannot be written.
    pub fn add(
        &mut self,
        path: &str,
        content: &mut impl Read,
        bytes: u64,
    ) -> Result<(), PackError> {
        if self.members.iter().any(|member| member.path == path) {
            let path = path.to_owned();
            return Err(PackError::Storage { path });
        }
        self.begin(path, bytes)?;
        let (mut sha256, mut written) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK.min(usize::try_from(bytes).unwrap_or(CHUNK))];
        loop {
            let len = content.read(&mut chunk)?;
            if len == 0 {
                break;
            }
            sha256.update(&chunk[..len]);
            self.zip.write_all(&chunk[..len])?;
            written += len as u64;
        }
        if written != bytes {
            return Err(PackError::Size {
                path: path.to_owned(),
                actual: written,
                expected: bytes,
            });
        }
        self.members.push(Member {
            path: path.to_owned(),
            bytes,
            sha256: hex(&sha256.finalize()),
        });
        Ok(())
    }

    /// Writes the manifest, whose list of members is made here, and puts the file in its place.
    ///
    /// # Errors
    ///
    /// A manifest that refers to what was not added, or a file that cannot be written.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<(), PackError> {
        manifest.members = std::mem::take(&mut self.members);
        check_references(&manifest, |path| {
            manifest.members.iter().any(|member| member.path == path)
        })?;
        let json = serde_json::to_vec_pretty(&manifest).map_err(PackError::Manifest)?;
        self.begin(MANIFEST, json.len() as u64)?;
        self.zip.write_all(&json)?;
        let part = self.zip.finish().map_err(PackError::Zip)?;
        let file = part.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn begin(&mut self, path: &str, bytes: u64) -> Result<(), PackError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::DEFAULT)
            .large_file(bytes >= ZIP64_BYTES)
            .with_alignment(ALIGNMENT);
        self.zip.start_file(path, options).map_err(PackError::Zip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FORMAT, Pack, VERSION};

    fn manifest(classes: &str) -> Manifest {
        Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name: "streamed".to_owned(),
            spaces: Vec::new(),
            encoders: Vec::new(),
            classes: classes.to_owned(),
            provenance: Vec::new(),
            members: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_piece_by_piece_is_read_as_a_pack() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pack");
        let content: Vec<u8> = (0..3 * CHUNK + 5).map(|at| at as u8).collect();
        let mut file = PackFile::create(&path).unwrap();
        file.add("classes.toml", &mut &b""[..], 0).unwrap();
        let len = content.len() as u64;
        file.add("weights.bin", &mut content.as_slice(), len)
            .unwrap();
        file.finish(manifest("classes.toml")).unwrap();
        let pack = Pack::open(&path).unwrap();
        assert_eq!(pack.member("weights.bin").unwrap(), content);
        assert_eq!(pack.manifest().members.len(), 2);
    }

    #[test]
    fn what_does_not_fit_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pack");
        let mut file = PackFile::create(&path).unwrap();
        let error = file.add("a", &mut &b"four"[..], 5).unwrap_err();
        assert_eq!(error.to_string(), "member \"a\" has 4 bytes, expected 5");
        drop(file);
        let mut file = PackFile::create(&path).unwrap();
        file.add("a", &mut &b"four"[..], 4).unwrap();
        assert!(file.add("a", &mut &b"four"[..], 4).is_err());
        let error = file.finish(manifest("classes.toml")).unwrap_err();
        assert_eq!(error.to_string(), "member \"classes.toml\" is missing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

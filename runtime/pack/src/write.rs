//! Making a pack.

use std::io::{Cursor, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{MANIFEST, Manifest, Member, PackError, sha256_hex};

/// Where member content begins, so that an encoder can be mapped into memory as it lies.
pub(crate) const ALIGNMENT: u16 = 64;

/// Collects members and writes them with their manifest.
#[derive(Debug, Default)]
pub struct PackWriter {
    members: Vec<(String, Vec<u8>)>,
}

impl PackWriter {
    /// A writer without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member; one of the same path is replaced.
    pub fn add(&mut self, path: &str, content: Vec<u8>) {
        self.members.retain(|(known, _)| known != path);
        self.members.push((path.to_owned(), content));
    }

    /// The content of a member that was added.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        let found = self.members.iter().find(|(known, _)| known == path);
        found.map(|(_, content)| content.as_slice())
    }

    /// All members, in the order in which they were added.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let members = self.members.iter();
        members.map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The pack as bytes. The manifest's list of members is made here; equal members give equal
    /// bytes.
    ///
    /// # Errors
    ///
    /// The manifest refers to what was not added.
    pub fn to_bytes(&self, mut manifest: Manifest) -> Result<Vec<u8>, PackError> {
        manifest.members = self
            .members
            .iter()
            .map(|(path, content)| Member {
                path: path.clone(),
                bytes: content.len() as u64,
                sha256: sha256_hex(content),
            })
            .collect();
        let json = serde_json::to_vec_pretty(&manifest).map_err(PackError::Manifest)?;

        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::DEFAULT)
            .with_alignment(ALIGNMENT);
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let manifest_member = [(MANIFEST, json.as_slice())];
        let others = self
            .members
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()));
        for (path, content) in manifest_member.into_iter().chain(others) {
            zip.start_file(path, options).map_err(PackError::Zip)?;
            zip.write_all(content)?;
        }
        let bytes = zip.finish().map_err(PackError::Zip)?.into_inner();
        crate::Pack::from_bytes(&bytes)?;
        Ok(bytes)
    }

    /// Writes the pack to a file, all of it or nothing.
    ///
    /// # Errors
    ///
    /// As [`to_bytes`](Self::to_bytes), or the file cannot be written.
    pub fn write(&self, manifest: Manifest, path: &Path) -> Result<(), PackError> {
        let bytes = self.to_bytes(manifest)?;
        Ok(write_whole(path, &bytes)?)
    }
}

/// Writes a file, all of it or nothing; what was there before stays until all is written. What is
/// no regular file, such as a pipe, is written to as it stands.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return std::fs::write(path, bytes);
    }
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file without a name yet, in the folder of `path` so that it can be moved there in one step.
pub(crate) fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As any new file, less the umask; temporary ones are private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

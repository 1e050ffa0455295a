//! Writing a checkpoint, one tensor at a time.

mod pickle;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::CheckpointError;
use super::safetensors::header;

/// Folder of a torch file's members; torch itself says this if it does not know the file's name.
const FOLDER: &str = "archive";

/// Version of the torch file format.
const TORCH_VERSION: &[u8] = b"3\n";

/// What the content of a torch file's members is aligned to, as torch does it.
const ALIGNMENT: u16 = 64;

/// Bytes of a member from which on a zip needs its 64-bit form.
const ZIP64_BYTES: u64 = u32::MAX as u64;

/// Values turned into bytes at a time.
const CHUNK_VALUES: usize = 16 << 10;

/// A checkpoint in the making. All tensors are announced at first; then each is written in its turn.
///
/// The file appears under its name when it is finished, and replaces what was there. One that is
/// dropped unfinished leaves nothing behind.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use sensorium_model::checkpoint::{Checkpoint, CheckpointWriter};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("small.safetensors");
/// let tensors = vec![("bias".to_owned(), vec![2]), ("scale".to_owned(), vec![])];
/// let mut writer = CheckpointWriter::safetensors(&path, tensors, &BTreeMap::new())?;
/// writer.write("bias", &[0.5, -0.5])?;
/// writer.write("scale", &[2.0])?;
/// writer.finish()?;
/// assert_eq!(Checkpoint::open(&path)?.entries().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CheckpointWriter {
    path: PathBuf,
    tensors: Vec<(String, Vec<usize>)>,
    written: usize,
    sink: Sink,
}

type Part = BufWriter<NamedTempFile>;

#[derive(Debug)]
enum Sink {
    Safetensors(Part),
    Torch(Box<ZipWriter<Part>>),
}

impl CheckpointWriter {
    /// Begins a safetensors file of F32 tensors (name, shape), with words about them by key.
    ///
    /// # Errors
    ///
    /// A name listed twice, or a file that cannot be written.
    pub fn safetensors(
        path: &Path,
        tensors: Vec<(String, Vec<usize>)>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, CheckpointError> {
        check_names(&tensors)?;
        let shapes = tensors
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice()));
        let header = header(shapes, metadata);
        let begin = || {
            let mut part = part_beside(path)?;
            part.write_all(&header)?;
            Ok(Sink::Safetensors(part))
        };
        let sink = begin().map_err(|source| unwritable(path, source))?;
        Ok(Self::new(path, tensors, sink))
    }

    /// Begins a torch file (`.pth`) of F32 tensors (name, shape): a dictionary as
    /// `torch.load(path, weights_only=True)` gives it.
    ///
    /// # Errors
    ///
    /// A name listed twice, or a file that cannot be written.
    pub fn torch(path: &Path, tensors: Vec<(String, Vec<usize>)>) -> Result<Self, CheckpointError> {
        check_names(&tensors)?;
        let begin = || {
            let mut zip = ZipWriter::new(part_beside(path)?);
            member(&mut zip, "data.pkl", &pickle::state_dict(&tensors))?;
            member(&mut zip, "byteorder", b"little")?;
            Ok(Sink::Torch(Box::new(zip)))
        };
        let sink = begin().map_err(|source| unwritable(path, source))?;
        Ok(Self::new(path, tensors, sink))
    }

    fn new(path: &Path, tensors: Vec<(String, Vec<usize>)>, sink: Sink) -> Self {
        Self {
            path: path.to_owned(),
            tensors,
            written: 0,
            sink,
        }
    }

    /// Writes the next tensor, row-major.
    ///
    /// # Errors
    ///
    /// Another tensor's turn, a number of values that is not the product of the shape, or a file
    /// that cannot be written.
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<(), CheckpointError> {
        let Some((next, shape)) = self.tensors.get(self.written) else {
            let name = name.to_owned();
            return Err(CheckpointError::Surplus { name });
        };
        if next != name {
            return Err(CheckpointError::Turn {
                actual: name.to_owned(),
                expected: next.clone(),
            });
        }
        let expected = shape.iter().product();
        if values.len() != expected {
            return Err(CheckpointError::Values {
                name: name.to_owned(),
                actual: values.len(),
                expected,
            });
        }
        let written = match &mut self.sink {
            Sink::Safetensors(part) => put(part, values),
            Sink::Torch(zip) => {
                let path = format!("data/{}", self.written);
                begin_member(zip, &path, 4 * values.len() as u64).and_then(|()| put(zip, values))
            }
        };
        written.map_err(|source| unwritable(&self.path, source))?;
        self.written += 1;
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// Tensors that were not written, or a file that cannot be written.
    pub fn finish(self) -> Result<(), CheckpointError> {
        if self.written < self.tensors.len() {
            return Err(CheckpointError::Unfinished {
                actual: self.written,
                expected: self.tensors.len(),
            });
        }
        let (sink, path) = (self.sink, &self.path);
        let finish = || {
            let part = match sink {
                Sink::Safetensors(part) => part,
                Sink::Torch(mut zip) => {
                    member(&mut zip, "version", TORCH_VERSION)?;
                    zip.finish()?
                }
            };
            let file = part.into_inner().map_err(|error| error.into_error())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        finish().map_err(|source| unwritable(path, source))
    }
}

fn check_names(tensors: &[(String, Vec<usize>)]) -> Result<(), CheckpointError> {
    let mut names = BTreeSet::new();
    match tensors.iter().find(|(name, _)| !names.insert(name)) {
        None => Ok(()),
        Some((name, _)) => Err(CheckpointError::Duplicate { name: name.clone() }),
    }
}

fn unwritable(path: &Path, source: io::Error) -> CheckpointError {
    let path = path.to_owned();
    CheckpointError::Write { path, source }
}

/// A file without a name yet, in the folder of `path` so that it can be moved there in one step.
fn part_beside(path: &Path) -> io::Result<Part> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As any new file, less the umask; temporary ones are private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    Ok(BufWriter::with_capacity(4 * CHUNK_VALUES, file))
}

fn begin_member(zip: &mut ZipWriter<Part>, path: &str, len: u64) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::DEFAULT)
        .large_file(len >= ZIP64_BYTES)
        .with_alignment(ALIGNMENT);
    Ok(zip.start_file(format!("{FOLDER}/{path}"), options)?)
}

fn member(zip: &mut ZipWriter<Part>, path: &str, content: &[u8]) -> io::Result<()> {
    begin_member(zip, path, content.len() as u64)?;
    zip.write_all(content)
}

fn put(out: &mut impl Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * CHUNK_VALUES.min(values.len()));
    for chunk in values.chunks(CHUNK_VALUES) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Named arrays, as they lie in a checkpoint.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use thiserror::Error;

use crate::checkpoint::{self, Checkpoint, CheckpointError, CheckpointWriter};

/// One array.
///
/// # Shapes
///
/// Row-major; `values` holds the product of `shape`.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// The weights of an encoder by name, and words about them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    arrays: BTreeMap<String, Array>,
    metadata: BTreeMap<String, String>,
}

/// Anything that gives weights by name: all of them in memory, or one at a time from a file.
pub trait WeightSource {
    /// Names of all arrays.
    fn names(&self) -> Vec<&str>;

    /// The shape of the array of this name; none if there is no such array.
    fn shape(&self, name: &str) -> Option<&[usize]>;

    /// The numbers of the array of this name, row-major.
    ///
    /// # Errors
    ///
    /// An array that is missing or cannot be read.
    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError>;

    /// The numbers of the array of this name and shape.
    ///
    /// # Errors
    ///
    /// Those of [`values`](Self::values), and an array that has another shape.
    fn values_of(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        match self.shape(name) {
            None => Err(WeightsError::Missing {
                name: name.to_owned(),
            }),
            Some(actual) if actual != shape => Err(WeightsError::Shape {
                name: name.to_owned(),
                actual: actual.to_vec(),
                expected: shape.to_vec(),
            }),
            Some(_) => self.values(name),
        }
    }
}

impl WeightSource for Weights {
    fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|array| array.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing = || WeightsError::Missing {
            name: name.to_owned(),
        };
        self.get(name)
            .map(|array| array.values.clone())
            .ok_or_else(missing)
    }
}

/// Why weights could not be read, written or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file that they are in, or should go into.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An array that the encoder needs is not there.
    #[error("weight {name:?} is missing")]
    Missing {
        /// The array.
        name: String,
    },
    /// An array of the encoder's sense that it has no use for: it is for another encoder.
    #[error("weight {name:?} is none of the encoder's")]
    Extra {
        /// The array.
        name: String,
    },
    /// An array has another shape than the encoder's.
    #[error("weight {name:?} has shape {actual:?}, expected {expected:?}")]
    Shape {
        /// The array.
        name: String,
        /// Its shape.
        actual: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
}

impl Weights {
    /// No weights yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces an array.
    ///
    /// # Panics
    ///
    /// If the number of values is not the product of the shape.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        let name = name.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "weight {name}: length"
        );
        self.arrays.insert(
            name,
            Array {
                shape: shape.to_vec(),
                values,
            },
        );
    }

    /// The array of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// The numbers of the array of this name and shape.
    ///
    /// # Errors
    ///
    /// An array that is missing or has another shape.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<&[f32], WeightsError> {
        let array = self.get(name).ok_or_else(|| WeightsError::Missing {
            name: name.to_owned(),
        })?;
        if array.shape != shape {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                actual: array.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        Ok(&array.values)
    }

    /// All arrays in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.arrays
            .iter()
            .map(|(name, array)| (name.as_str(), array))
    }

    /// Words kept with the weights.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Keeps words with the weights.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// The bytes of a safetensors file; equal weights give equal bytes.
    ///
    /// # Errors
    ///
    /// None: what is in memory can be written to memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WeightsError> {
        let shapes = self
            .iter()
            .map(|(name, array)| (name, array.shape.as_slice()));
        let mut bytes = checkpoint::header(shapes, &self.metadata);
        for (_, array) in self.iter() {
            bytes.extend(array.values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// The weights of a checkpoint in memory, of any format that [`Checkpoint`] reads.
    ///
    /// # Errors
    ///
    /// Bytes that are not such a file, or arrays that are not floats.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::collect(&Checkpoint::from_reader(Cursor::new(bytes))?)
    }

    /// Reads all of a checkpoint, of any format that [`Checkpoint`] reads.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        Self::collect(&Checkpoint::open(path)?)
    }

    fn collect<R: Read + Seek>(checkpoint: &Checkpoint<R>) -> Result<Self, WeightsError> {
        let mut weights = Self::new();
        for (name, entry) in checkpoint.entries() {
            weights.insert(name, entry.shape(), checkpoint.values(name)?);
        }
        weights.metadata = checkpoint.metadata().clone();
        Ok(weights)
    }

    /// Writes a safetensors file, in one step: never half of it.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let shapes = self
            .iter()
            .map(|(name, array)| (name.to_owned(), array.shape.clone()));
        let mut writer = CheckpointWriter::safetensors(path, shapes.collect(), &self.metadata)?;
        for (name, array) in self.iter() {
            writer.write(name, &array.values)?;
        }
        Ok(writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Weights {
        let mut weights = Weights::new();
        weights.insert("b.bias", &[2], vec![0.5, -0.0]);
        weights.insert(
            "a.weight",
            &[2, 3],
            vec![1.0, f32::MIN_POSITIVE, -3.5, 4.0, 5.0, 6.0],
        );
        weights.set_metadata("config", "{\"dim\":2}");
        weights
    }

    #[test]
    fn a_file_reads_back_as_written() {
        let path = tempfile::tempdir().unwrap().keep().join("w.safetensors");
        small().write(&path).unwrap();
        let read = Weights::read(&path).unwrap();
        assert_eq!(read, small());
        assert_eq!(read.metadata("config"), Some("{\"dim\":2}"));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn bytes_cut_anywhere_are_refused() {
        let bytes = small().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(
                Weights::from_bytes(&bytes[..len]).is_err(),
                "{len} of {}",
                bytes.len()
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let weights = small();
        assert_eq!(weights.expect("b.bias", &[2]).unwrap(), [0.5, -0.0]);
        assert_eq!(
            weights.expect("c", &[1]).unwrap_err().to_string(),
            "weight \"c\" is missing"
        );
        assert_eq!(
            weights.expect("a.weight", &[3, 2]).unwrap_err().to_string(),
            "weight \"a.weight\" has shape [2, 3], expected [3, 2]"
        );
        let missing = Weights::read(Path::new("/nonexistent/w")).unwrap_err();
        assert_eq!(missing.to_string(), "reading \"/nonexistent/w\"");
    }
}

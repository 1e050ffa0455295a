//! Named arrays, as they lie in a safetensors file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, serialize};
use thiserror::Error;

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
    /// The file cannot be read.
    #[error("reading {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("writing {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file")]
    Format {
        /// What the parser said.
        source: SafeTensorError,
    },
    /// An array holds something else than 32-bit floats.
    #[error("weight {name:?} holds {actual:?}, expected F32")]
    Type {
        /// The array.
        name: String,
        /// Its type.
        actual: Dtype,
    },
    /// An array that the encoder needs is not there.
    #[error("weight {name:?} is missing")]
    Missing {
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

    /// The bytes of a safetensors file.
    ///
    /// # Errors
    ///
    /// None for weights that fit into memory; the format's own checks are passed on.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WeightsError> {
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .iter()
            .map(|(name, array)| {
                let bytes = array.values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, array.shape.as_slice(), bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                TensorView::new(Dtype::F32, shape.to_vec(), bytes).map(|view| (*name, view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| WeightsError::Format { source })?;
        let metadata =
            (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect());
        serialize(views, metadata).map_err(|source| WeightsError::Format { source })
    }

    /// The weights of a safetensors file.
    ///
    /// # Errors
    ///
    /// Bytes that are not such a file, or arrays that are not 32-bit floats.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let format = |source| WeightsError::Format { source };
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let mut weights = Self::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::Type {
                    name: name.to_owned(),
                    actual: view.dtype(),
                });
            }
            let values = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect();
            weights.insert(name, view.shape(), values);
        }
        weights.metadata = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        Ok(weights)
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes)
    }

    /// Writes a safetensors file, in one step: never half of it.
    ///
    /// # Errors
    ///
    /// Those of [`to_bytes`](Self::to_bytes), and a file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let bytes = self.to_bytes()?;
        let beside = path.with_extension("part");
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|source| WeightsError::Write {
                path: path.to_owned(),
                source,
            })
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

//! A set of labelled IMU windows.
//!
//! Two files: an array `[windows, samples, 6]` (acceleration x, y, z, angular rate x, y, z), and a
//! CSV file with a row a window in the same order and the columns `user, recording, start_sample,
//! label_id, label`.

use std::path::{Path, PathBuf};

use sensorium_core::feature::{FeatureError, IMU_CHANNELS, ImuFrontEnd, ImuUnits};
use sensorium_pack::npy::{Array, NpyError};
use thiserror::Error;

pub use crate::raw::Sample;

/// Why a set cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The array cannot be read.
    #[error("{path:?}")]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The array has another shape than windows have.
    #[error("{path:?} has shape {actual:?}, expected [windows, samples, 6]")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        actual: Vec<usize>,
    },
    /// A number of the array is none.
    #[error("{path:?}: window {row} holds a value that is not finite")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The window, from 0.
        row: usize,
    },
    /// The CSV file cannot be read.
    #[error("reading {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: csv::Error,
    },
    /// A row of the CSV file is not one of a window.
    #[error("{path:?}: row {row} is not a window's")]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, from 0, the heading not counted.
        row: usize,
        /// What the parser said.
        source: csv::Error,
    },
    /// The files do not have one row a window.
    #[error("{path:?} has {actual} rows, expected {expected}, one a window")]
    Rows {
        /// The CSV file.
        path: PathBuf,
        /// Its rows.
        actual: usize,
        /// Windows in the array.
        expected: usize,
    },
}

/// What a window is of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Source {
    /// The person who wore the sensor.
    pub user: u32,
    /// The recording that the window was cut from.
    pub recording: u32,
    /// Where it begins in the recording, in samples.
    pub start_sample: u64,
    /// The label's number, as text.
    pub label_id: String,
    /// The label in words.
    pub label: String,
}

/// Labelled windows in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSet {
    sources: Vec<Source>,
    samples: Vec<Sample>,
    window_len: usize,
    next: Vec<Option<usize>>,
}

impl WindowSet {
    /// Reads a set from its array and its CSV file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is of another form, or does not fit the other.
    pub fn open(array: &Path, index: &Path) -> Result<Self, WindowError> {
        let path = || array.to_owned();
        let read = Array::open(array).map_err(|source| WindowError::Array {
            path: path(),
            source,
        })?;
        let Array { shape, values } = read;
        let window_len = match shape[..] {
            [_, len, IMU_CHANNELS] if len > 0 => len,
            _ => {
                return Err(WindowError::Shape {
                    path: path(),
                    actual: shape,
                });
            }
        };
        let size = window_len * IMU_CHANNELS;
        if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
            return Err(WindowError::NotFinite {
                path: path(),
                row: bad / size,
            });
        }
        let sources = read_index(index)?;
        if sources.len() != shape[0] {
            return Err(WindowError::Rows {
                path: index.to_owned(),
                actual: sources.len(),
                expected: shape[0],
            });
        }
        Ok(Self::from_parts(
            sources,
            values.as_chunks().0.to_vec(),
            window_len,
        ))
    }

    /// A set from parts that fit each other.
    ///
    /// # Panics
    ///
    /// If there are not `window_len` samples a source.
    #[must_use]
    pub fn from_parts(sources: Vec<Source>, samples: Vec<Sample>, window_len: usize) -> Self {
        assert_eq!(
            sources.len() * window_len,
            samples.len(),
            "a window has {window_len} samples"
        );
        let follows = |a: &Source, b: &Source| {
            (a.user, a.recording, &a.label_id) == (b.user, b.recording, &b.label_id)
                && b.start_sample == a.start_sample + window_len as u64
        };
        let next = (0..sources.len())
            .map(|i| {
                let neighbour = sources.get(i + 1)?;
                follows(&sources[i], neighbour).then_some(i + 1)
            })
            .collect();
        Self {
            sources,
            samples,
            window_len,
            next,
        }
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Samples in a window.
    #[must_use]
    pub fn window_len(&self) -> usize {
        self.window_len
    }

    /// What each window is of.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The samples of a window.
    ///
    /// # Panics
    ///
    /// If there is no such window.
    #[must_use]
    pub fn samples(&self, window: usize) -> &[Sample] {
        &self.samples[window * self.window_len..][..self.window_len]
    }

    /// The window that begins where this one ends, in the same recording and with the same label.
    ///
    /// # Panics
    ///
    /// If there is no such window.
    #[must_use]
    pub fn next(&self, window: usize) -> Option<usize> {
        self.next[window]
    }
}

/// What the encoder is given for a window: the runtime's front end, applied to samples in `units`
/// at `rate_hz`.
///
/// # Errors
///
/// A window or rate that the front end refuses.
pub fn features(
    samples: &[Sample],
    units: ImuUnits,
    rate_hz: f32,
    front_end: &ImuFrontEnd,
    out: &mut [f32],
) -> Result<(), FeatureError> {
    let window: Vec<_> = samples.iter().map(|&sample| units.to_si(sample)).collect();
    front_end.extract(&window, rate_hz, out)
}

fn read_index(path: &Path) -> Result<Vec<Source>, WindowError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|source| WindowError::Open {
            path: path.to_owned(),
            source,
        })?;
    reader
        .deserialize()
        .enumerate()
        .map(|(row, parsed)| {
            parsed.map_err(|source| WindowError::Row {
                path: path.to_owned(),
                row,
                source,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;

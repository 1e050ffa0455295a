//! Files of inertial samples that are embedded whole: recordings as CSV, and arrays of them.

use std::path::{Path, PathBuf};

use sensorium_core::ImuSample;
use sensorium_core::feature::{IMU_CHANNELS, ImuUnits};
use thiserror::Error;

use crate::source::csv::{CsvError, Recording};
use sensorium_pack::npy::{Array, NpyError};

/// Why a file holds nothing that can be embedded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InputError {
    /// It is no recording.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// It is no array.
    #[error("{path:?}")]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The array has another form than samples of six channels.
    #[error("{path:?} has shape {actual:?}, expected [rows, samples, 6] or [samples, 6]")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        actual: Vec<usize>,
    },
    /// A number that is none.
    #[error("{path:?}: row {row}, sample {sample} holds a value that is not finite")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The sample in the row, from 0.
        sample: usize,
    },
}

/// Reads the recordings of a file: one of a CSV file or an array `[samples, 6]`, one a row of an
/// array `[rows, samples, 6]`.
///
/// `units` are those of an array's columns, and of CSV columns that name none.
///
/// # Errors
///
/// A file that holds no samples of six finite numbers.
pub fn read_imu(path: &Path, units: Option<ImuUnits>) -> Result<Vec<Vec<ImuSample>>, InputError> {
    if path.extension().is_none_or(|extension| extension != "npy") {
        return Ok(vec![Recording::open(path, units)?.samples]);
    }
    let array = Array::open(path).map_err(|source| InputError::Npy {
        path: path.to_owned(),
        source,
    })?;
    let (rows, samples) = match array.shape[..] {
        [rows, samples, IMU_CHANNELS] if samples > 0 => (rows, samples),
        [samples, IMU_CHANNELS] if samples > 0 => (1, samples),
        _ => {
            return Err(InputError::Shape {
                path: path.to_owned(),
                actual: array.shape,
            });
        }
    };
    let units = units.unwrap_or(ImuUnits::SI);
    let read_row = |row: usize| {
        let values = &array.values[row * samples * IMU_CHANNELS..][..samples * IMU_CHANNELS];
        let (channels, _) = values.as_chunks::<IMU_CHANNELS>();
        let read_sample = |(sample, channels): (usize, &[f32; IMU_CHANNELS])| {
            let value = units.to_si(*channels);
            if value.is_finite() {
                return Ok(value);
            }
            Err(InputError::NotFinite {
                path: path.to_owned(),
                row,
                sample,
            })
        };
        channels.iter().enumerate().map(read_sample).collect()
    };
    (0..rows).map(read_row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(shape: &[usize], values: Vec<f32>) -> tempfile::TempPath {
        let array = Array {
            shape: shape.to_vec(),
            values,
        };
        let file = tempfile::Builder::new().suffix(".npy").tempfile().unwrap();
        std::fs::write(&file, array.to_bytes().unwrap()).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn arrays_have_a_recording_a_row() {
        let values: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let file = npy(&[2, 2, 6], values.clone());
        let rows = read_imu(&file, None).unwrap();
        assert_eq!((rows.len(), rows[1].len()), (2, 2));
        assert_eq!(rows[1][0].gyro_radps, [15.0, 16.0, 17.0]);
        let rows = read_imu(&npy(&[4, 6], values), None).unwrap();
        assert_eq!((rows.len(), rows[0].len()), (1, 4));
    }

    #[test]
    fn other_arrays_are_refused() {
        let error = |path: &Path| read_imu(path, None).unwrap_err().to_string();
        assert!(error(&npy(&[2, 3], vec![0.0; 6])).contains("has shape [2, 3], expected [rows,"));
        assert!(error(&npy(&[2, 0, 6], vec![])).contains("has shape [2, 0, 6]"));
        let mut values = vec![0.0; 12];
        values[9] = f32::NAN;
        let message = error(&npy(&[1, 2, 6], values));
        assert!(
            message.ends_with("row 0, sample 1 holds a value that is not finite"),
            "{message}"
        );
    }
}

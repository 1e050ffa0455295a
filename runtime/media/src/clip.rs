//! Frames of one channel, such as a clip of depth or thermal pictures.

use std::path::{Path, PathBuf};

use sensorium_pack::npy::{NumberArray, Numbers};
use thiserror::Error;

use crate::array::{self, ArrayError};
use crate::file::OpenError;
use crate::picture::{PictureError, Plane};

/// Why there are no frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The array cannot be had.
    #[error(transparent)]
    Array(OpenError<ArrayError>),
    /// A picture cannot be had.
    #[error(transparent)]
    Picture(OpenError<PictureError>),
    /// The folder cannot be read.
    #[error("reading {path:?}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds no pictures.
    #[error("{path:?} holds no .png, .pgm, .jpg or .jpeg file")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The array has another shape than frames have.
    #[error("{path:?} has shape {actual:?}, expected [frames, height, width] or [height, width]")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        actual: Vec<usize>,
    },
    /// A picture of a folder does not have the form of the first.
    #[error("{path:?} has {actual}, expected {expected} as the first of the folder")]
    Frame {
        /// The file.
        path: PathBuf,
        /// Its form.
        actual: String,
        /// The first one's.
        expected: String,
    },
}

/// Reads frames `[frames, height, width]`: those of an array `.npy` or `.npz`, one from a picture,
/// or all pictures of a folder, in the order of their names.
///
/// # Units
///
/// Those of the file: pictures become `uint8` or `uint16`.
///
/// # Errors
///
/// A file or folder that cannot be read, or holds no frames of one form.
pub fn open(path: &Path) -> Result<NumberArray, ClipError> {
    if path.is_dir() {
        return folder(path);
    }
    let array = path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("npy") || extension.eq_ignore_ascii_case("npz")
    });
    if array {
        let array = array::open(path, None).map_err(ClipError::Array)?;
        return frames(array).map_err(|actual| ClipError::Shape {
            path: path.to_owned(),
            actual,
        });
    }
    Plane::open(path).map(frame).map_err(ClipError::Picture)
}

/// The frames of an array; its shape, if they are none.
///
/// # Errors
///
/// The shape, if it is not that of one frame or several.
pub fn frames(mut array: NumberArray) -> Result<NumberArray, Vec<usize>> {
    if array.shape.len() == 2 {
        array.shape.insert(0, 1);
    }
    if array.shape.len() != 3 || array.numbers.is_empty() {
        return Err(array.shape);
    }
    Ok(array)
}

/// One frame `[1, height, width]`, of `uint8` where that is what the file held.
#[must_use]
pub fn frame(plane: Plane) -> NumberArray {
    let numbers = if plane.max <= 255 {
        Numbers::U8(plane.values.iter().map(|&value| value as u8).collect())
    } else {
        Numbers::U16(plane.values)
    };
    NumberArray {
        shape: vec![1, plane.height, plane.width],
        numbers,
    }
}

fn folder(folder: &Path) -> Result<NumberArray, ClipError> {
    let paths = pictures(folder).map_err(|source| ClipError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let mut clip: Option<NumberArray> = None;
    for path in paths {
        let next = Plane::open(&path).map(frame).map_err(ClipError::Picture)?;
        let Some(clip) = &mut clip else {
            clip = Some(next);
            continue;
        };
        let (actual, expected) = (form(&next), form(clip));
        if actual != expected || !clip.numbers.append(next.numbers) {
            return Err(ClipError::Frame {
                path,
                actual,
                expected,
            });
        }
        clip.shape[0] += 1;
    }
    clip.ok_or_else(|| ClipError::Empty {
        path: folder.to_owned(),
    })
}

/// Size and kind of a frame, in words.
fn form(frame: &NumberArray) -> String {
    let (height, width) = (frame.shape[1], frame.shape[2]);
    format!("{width} x {height} {}", frame.numbers.kind())
}

fn pictures(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["png", "pgm", "jpg", "jpeg"]
            .iter()
            .any(|&known| extension == known)
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;

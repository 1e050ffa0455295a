//! Frames of one channel, such as a clip of depth or thermal pictures.

use std::path::{Path, PathBuf};

use sensorium_pack::npy::{NumberArray, Numbers};
use thiserror::Error;

use crate::array::{self, ArrayError};
use crate::file::{self, OpenError};
use crate::picture::{PictureError, Plane};

/// Why bytes hold no frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FramesError {
    /// The array is none that can be used.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// The picture is none that can be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The array has another shape than frames have.
    #[error("it has shape {actual:?}, expected [frames, height, width] or [height, width]")]
    Shape {
        /// Its shape.
        actual: Vec<usize>,
    },
}

/// Why a file or folder holds no frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClipError {
    /// A file cannot be had.
    #[error(transparent)]
    File(#[from] OpenError<FramesError>),
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
    Ok(file::open(path, from_bytes)?)
}

/// Whether a path holds more than one frame, or may: a folder, or an array of several.
///
/// # Errors
///
/// An array that cannot be read, or holds no frames.
pub fn is_clip(path: &Path) -> Result<bool, ClipError> {
    let is_array = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        extension == "npy" || extension == "npz"
    };
    Ok(path.is_dir() || is_array(path) && open(path)?.shape[0] > 1)
}

/// As [`open`], from the bytes of a file.
///
/// # Errors
///
/// Bytes that are no array of frames and no picture.
pub fn from_bytes(bytes: Vec<u8>) -> Result<NumberArray, FramesError> {
    if !array::is_array(&bytes) {
        return Ok(frame(Plane::from_bytes(&bytes)?));
    }
    let mut array = array::from_bytes(bytes, None)?;
    if array.shape.len() == 2 {
        array.shape.insert(0, 1);
    }
    if array.shape.len() != 3 || array.numbers.is_empty() {
        return Err(FramesError::Shape {
            actual: array.shape,
        });
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
        let next = file::open(&path, from_bytes)?;
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

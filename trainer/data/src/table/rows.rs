//! Which rows of an array are a sample's.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

use super::between::Between;
use super::read::Table;
use super::{Place, TableError};
use crate::set::Fault;

/// The arrays of a set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowsOf {
    /// `[rows, 6]`, or `[samples, length, 6]`.
    pub imu: Option<Rows>,
    /// `[rows]`, or `[samples, length]`.
    pub audio: Option<Rows>,
    /// `[frames, height, width]`, or `[samples, height, width]`, or `[samples, frames, height, width]`.
    pub thermal: Option<Rows>,
    /// As `thermal`.
    pub depth: Option<Rows>,
    /// `[samples, height, width]`, or `[samples, height, width, 3]`.
    pub image: Option<Rows>,
}

/// An array, and how samples lie in it: those of the table's columns, or a row a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// File `.npy` or `.npz`.
    pub file: PathBuf,
    /// Name of the array in a `.npz` that holds several.
    pub array: Option<String>,
    /// Column with a sample's first row.
    pub start: Option<String>,
    /// Column with the number of its rows.
    pub length: Option<String>,
    /// Instead of `length`: column with the row after its last.
    pub end: Option<String>,
}

/// Where recordings begin in the arrays: the table's rows count from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recordings {
    /// CSV file with a row a recording.
    pub index: PathBuf,
    /// Column with a recording's name, in both tables.
    #[serde(default = "recording")]
    pub recording: String,
    /// Column with its first row.
    #[serde(default = "start")]
    pub start: String,
    /// Column with the number of its rows.
    #[serde(default = "length")]
    pub length: String,
    /// Rows before and after a listed stretch that are its sample's as well, as far as its recording goes.
    /// What is embedded while it runs seldom begins and ends with what somebody does.
    #[serde(default)]
    pub margin: u64,
    /// Samples of what the table does not list, if they are wanted.
    #[serde(default)]
    pub between: Option<Between>,
}

fn recording() -> String {
    "recording".into()
}

fn start() -> String {
    "start".into()
}

fn length() -> String {
    "length".into()
}

impl RowsOf {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Modality, &Rows)> {
        let all = [
            (Modality::Imu, &self.imu),
            (Modality::Audio, &self.audio),
            (Modality::Thermal, &self.thermal),
            (Modality::Depth, &self.depth),
            (Modality::Image, &self.image),
        ];
        all.into_iter()
            .filter_map(|(sense, rows)| Some((sense, rows.as_ref()?)))
    }
}

/// A recording's first row and number of rows.
pub(super) type Extents = HashMap<String, (u64, u64)>;

/// The name of the column that both tables have, and the recordings.
pub(super) struct Found {
    pub(super) column: String,
    pub(super) extents: Extents,
    pub(super) margin: u64,
    /// Rows of the table that it listed itself. What is found between them has no margin.
    listed: usize,
}

impl Recordings {
    /// The recordings in which so many rows of a table lie.
    pub(super) fn open(&self, dir: &Path, listed: usize) -> Result<Found, TableError> {
        let table = Table::open(&dir.join(&self.index))?;
        let name = table.column(&self.recording)?;
        let start = table.column(&self.start)?;
        let length = table.column(&self.length)?;
        let mut extents = Extents::new();
        for row in 0..table.rows.len() {
            let extent = (table.number(row, start)?, table.number(row, length)?);
            extents.insert(table.cell(row, name).to_owned(), extent);
        }
        Ok(Found {
            column: self.recording.clone(),
            extents,
            margin: self.margin,
            listed,
        })
    }
}

/// Some rows of an array or, if there is one, of a recording in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    recording: Option<(u64, u64)>,
}

impl Span {
    /// With so many rows more on both sides, as far as the recording goes. A span that is not all within it
    /// stays as it is.
    fn widened(mut self, margin: u64) -> Self {
        if let Some((_, len)) = self.recording.filter(|(_, len)| self.end <= *len) {
            self.start = self.start.saturating_sub(margin);
            self.end = self.end.saturating_add(margin).min(len);
        }
        self
    }

    /// Its rows in an array that has so many.
    pub(super) fn within(&self, rows: usize) -> Result<Range<usize>, Fault> {
        let (base, len) = self.recording.unwrap_or((0, rows as u64));
        let outside = |rows: u64| Fault::Rows {
            start: self.start,
            end: self.end,
            rows,
        };
        if self.end > len {
            return Err(outside(len));
        }
        // Both ends are at most the array's rows, which fit.
        let place = |row: u64| {
            let place = base.checked_add(row).filter(|&place| place <= rows as u64);
            place.map(|place| place as usize)
        };
        match (place(self.start), place(self.end)) {
            (Some(start), Some(end)) => Ok(start..end),
            _ => Err(outside(rows as u64)),
        }
    }
}

/// The columns that say which rows are whose.
pub(super) enum RowCells<'a> {
    /// None do: a row a sample.
    Each,
    Spans {
        start: usize,
        second: usize,
        is_length: bool,
        /// Column of the recording's name.
        recording: Option<(usize, &'a Found)>,
    },
}

impl<'a> RowCells<'a> {
    pub(super) fn find(
        sense: Modality,
        rows: &Rows,
        table: &Table,
        recordings: Option<&'a Found>,
    ) -> Result<Self, TableError> {
        let (start, second, is_length) = match (&rows.start, &rows.length, &rows.end) {
            (None, None, None) => return Ok(Self::Each),
            (Some(start), Some(length), None) => (start, length, true),
            (Some(start), None, Some(end)) => (start, end, false),
            (start, length, end) => {
                let given = [
                    start.as_ref().map(|_| "start"),
                    length.as_ref().map(|_| "length"),
                    end.as_ref().map(|_| "end"),
                ];
                let given = given.into_iter().flatten().collect();
                return Err(TableError::Settings { sense, given });
            }
        };
        let recording = match recordings {
            Some(found) => Some((table.column(&found.column)?, found)),
            None => None,
        };
        Ok(Self::Spans {
            start: table.column(start)?,
            second: table.column(second)?,
            is_length,
            recording,
        })
    }

    /// Where the sample of a row of the table is.
    pub(super) fn place(&self, table: &Table, row: usize) -> Result<Place, TableError> {
        let Self::Spans {
            start,
            second,
            is_length,
            recording,
        } = self
        else {
            return Ok(Place::Row);
        };
        let start = table.number(row, *start)?;
        let second = table.number(row, *second)?;
        let end = if *is_length {
            start.saturating_add(second)
        } else {
            second
        };
        if end <= start {
            return Err(TableError::Order {
                path: table.path.clone(),
                row: row + 1,
                start,
                end,
            });
        }
        let span = |recording| Span {
            start,
            end,
            recording,
        };
        let Some((column, found)) = recording else {
            return Ok(Place::Span(span(None)));
        };
        let name = table.cell(row, *column);
        let extent = found
            .extents
            .get(name)
            .ok_or_else(|| TableError::Recording {
                path: table.path.clone(),
                row: row + 1,
                name: name.to_owned(),
            })?;
        let margin = if row < found.listed { found.margin } else { 0 };
        Ok(Place::Span(span(Some(*extent)).widened(margin)))
    }
}

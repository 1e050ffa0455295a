//! Sets with a table: a row a sample, whose senses are files beside it or rows of arrays.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use sensorium_media::{NumberArray, array, clip};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::SetFault;
use crate::form::Forms;
use crate::set::{ContentKey, DataSet, Entry, Fault, SampleError};
use crate::{Raw, key};

mod between;
mod columns;
mod follow;
mod read;
mod rows;

pub use between::Between;
pub use columns::Columns;
pub use follow::Follow;
pub use rows::{Recordings, Rows, RowsOf};

use columns::Cells;
use read::Table;
use rows::RowCells;

/// `kind = "pairs"`: files, listed by a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairsConfig {
    /// The CSV file.
    pub index: PathBuf,
    /// Instead of a CSV file: the files of a folder, such as `visible/*.jpg`. What the star stands
    /// for is the column `name`.
    pub list: Option<String>,
    /// What its columns are.
    pub columns: Columns,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self {
            index: "pairs.csv".into(),
            list: None,
            columns: Columns::default(),
        }
    }
}

/// `kind = "arrays"`: arrays of all samples, and a table that says which rows are whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArraysConfig {
    /// The CSV file, a row a sample.
    pub index: PathBuf,
    /// What its columns are. Senses that are no arrays may be files.
    #[serde(default)]
    pub columns: Columns,
    /// The arrays.
    pub rows: RowsOf,
    /// Where recordings begin, if the table counts from there.
    #[serde(default)]
    pub recordings: Option<Recordings>,
    /// Which samples follow each other.
    #[serde(default)]
    pub follow: Option<Follow>,
}

/// Why a table cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// It cannot be read.
    #[error("reading {path:?}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: csv::Error,
    },
    /// A folder cannot be listed.
    #[error("reading {path:?}")]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pattern is none.
    #[error("list is {pattern:?}, expected one star, in the name of the file")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// It has no such column.
    #[error("{path:?} has no column {name:?}, only {known:?}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// What makes a cell is not well formed.
    #[error("columns.{column} is {text:?}, expected a column's name, or text with names in {{}}")]
    Template {
        /// The setting.
        column: &'static str,
        /// Its value.
        text: String,
    },
    /// A cell is no number.
    #[error("{path:?}, row {row}: {column} is {actual:?}, expected a whole number")]
    Number {
        /// The file.
        path: PathBuf,
        /// The row, from 1, the heading not counted.
        row: usize,
        /// The column.
        column: String,
        /// What is there.
        actual: String,
    },
    /// A row ends before it begins.
    #[error("{path:?}, row {row}: it ends at {end}, expected a number above its start, {start}")]
    Order {
        /// The file.
        path: PathBuf,
        /// The row, from 1, the heading not counted.
        row: usize,
        /// Where the sample begins.
        start: u64,
        /// Where it ends.
        end: u64,
    },
    /// The settings of an array's rows do not fit each other.
    #[error(
        "rows.{sense} has start, length and end {given:?}, expected none of them, or start and one other"
    )]
    Settings {
        /// The array's sense.
        sense: Modality,
        /// Those that are given.
        given: Vec<&'static str>,
    },
    /// A recording that the list of them lacks.
    #[error("{path:?}, row {row}: there is no recording {name:?}")]
    Recording {
        /// The file.
        path: PathBuf,
        /// The row, from 1, the heading not counted.
        row: usize,
        /// The recording.
        name: String,
    },
    /// What lies between rows has one array to lie in.
    #[error("recordings.between needs one array under rows, whose start and end are given")]
    Between,
    /// There is not one row a sample of an array.
    #[error("{path:?} has {actual} rows, expected {expected}, as {array:?} has")]
    Count {
        /// The file.
        path: PathBuf,
        /// Its rows.
        actual: usize,
        /// The array's file.
        array: PathBuf,
        /// The array's rows.
        expected: usize,
    },
}

/// Where one sense of a sample is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In a file, within the set's folder.
    File(String),
    /// In the table itself.
    Text(String),
    /// In some rows of an array.
    Span(rows::Span),
    /// In the row of an array that has the sample's number.
    Row,
}

/// Samples that a table lists.
#[derive(Debug)]
pub(crate) struct TableSet {
    name: String,
    dir: PathBuf,
    form: Forms,
    entries: Vec<Entry>,
    places: Vec<Vec<(Modality, Place)>>,
    arrays: Vec<(Modality, NumberArray)>,
    following: Vec<Option<usize>>,
}

impl TableSet {
    pub(crate) fn pairs(
        name: String,
        dir: &Path,
        config: &PairsConfig,
        form: Forms,
    ) -> Result<Self, SetFault> {
        let table = match &config.list {
            Some(pattern) => Table::list(dir, pattern)?,
            None => Table::open(&dir.join(&config.index))?,
        };
        let cells = config.columns.find(&table)?;
        Ok(Self::new(name, dir, form, &table, &cells, &[])?)
    }

    pub(crate) fn arrays(
        name: String,
        dir: &Path,
        config: &ArraysConfig,
        form: Forms,
    ) -> Result<Self, SetFault> {
        let mut table = Table::open(&dir.join(&config.index))?;
        let recordings = match &config.recordings {
            Some(recordings) => Some(recordings.open(dir, table.rows.len())?),
            None => None,
        };
        if let Some((config_of, found)) = config.recordings.as_ref().zip(recordings.as_ref())
            && let Some(between) = &config_of.between
        {
            let mut arrays = config.rows.iter();
            let (Some((_, rows)), None) = (arrays.next(), arrays.next()) else {
                return Err(TableError::Between.into());
            };
            between.add(&mut table, &config.columns, rows, found)?;
        }
        let cells = config.columns.find(&table)?;
        let mut arrays = Vec::new();
        let mut row_cells = Vec::new();
        for (sense, rows) in config.rows.iter() {
            row_cells.push((
                sense,
                RowCells::find(sense, rows, &table, recordings.as_ref())?,
            ));
            let path = dir.join(&rows.file);
            let array = array::open(&path, rows.array.as_deref())?;
            let expected = array.shape.first().copied().unwrap_or(0);
            if rows.start.is_none() && table.rows.len() != expected {
                let error = TableError::Count {
                    path: table.path,
                    actual: table.rows.len(),
                    array: path,
                    expected,
                };
                return Err(error.into());
            }
            if sense == Modality::Audio && form.audio.rate_hz.is_none() {
                let setting = "form.audio.rate_hz";
                return Err(SetFault::Setting { sense, setting });
            }
            arrays.push((sense, array));
        }
        let mut set = Self::new(name, dir, form, &table, &cells, &row_cells)?;
        set.arrays = arrays;
        if let Some(follow) = &config.follow {
            let lens: Vec<Option<u64>> = (0..set.entries.len()).map(|i| set.rows(i)).collect();
            set.following = follow.find(&table, &set.entries, &lens)?;
        }
        Ok(set)
    }

    fn new(
        name: String,
        dir: &Path,
        form: Forms,
        table: &Table,
        cells: &Cells,
        rows: &[(Modality, RowCells)],
    ) -> Result<Self, TableError> {
        let mut names = HashSet::new();
        let (mut entries, mut places) = (Vec::new(), Vec::new());
        for row in 0..table.rows.len() {
            let mut found = Vec::new();
            for (sense, cells) in rows {
                found.push((*sense, cells.place(table, row)?));
            }
            for sense in Modality::ALL {
                let is_array = found.iter().any(|(other, _)| *other == sense);
                if let Some(cell) = cells.sense(sense, table, row).filter(|_| !is_array) {
                    let place = match sense {
                        Modality::Text => Place::Text(cell),
                        _ => Place::File(cell),
                    };
                    found.push((sense, place));
                }
            }
            let entry = Entry {
                name: entry_name(cells.name(table, row), &found, row, &mut names),
                senses: found.iter().map(|(sense, _)| *sense).collect(),
                label: cells.label(table, row),
                group: cells.group(table, row),
                split: cells.split(table, row),
            };
            entries.push(entry);
            places.push(found);
        }
        Ok(Self {
            name,
            dir: dir.to_owned(),
            form,
            entries,
            places,
            arrays: Vec::new(),
            following: Vec::new(),
        })
    }

    fn place(&self, entry: usize, sense: Modality) -> Result<&Place, Fault> {
        let mut places = self.places[entry].iter();
        let place = places.find(|(other, _)| *other == sense);
        place.map(|(_, place)| place).ok_or(Fault::Lacks)
    }

    fn array(&self, sense: Modality) -> Result<&NumberArray, Fault> {
        let array = self.arrays.iter().find(|(other, _)| *other == sense);
        array.map(|(_, array)| array).ok_or(Fault::Lacks)
    }

    /// Length of a sample's first axis, if it is in an array.
    fn rows(&self, entry: usize) -> Option<u64> {
        let (sense, place) = self.places[entry].first()?;
        match place {
            Place::Span(span) => Some(span.end - span.start),
            Place::Row => self.array(*sense).ok()?.shape.get(1).map(|&len| len as u64),
            _ => None,
        }
    }

    /// The numbers of a sample, and their shape.
    fn numbers(
        &self,
        entry: usize,
        sense: Modality,
        place: &Place,
    ) -> Result<(&NumberArray, std::ops::Range<usize>, Vec<usize>), Fault> {
        let array = self.array(sense)?;
        let (rows, shape) = match place {
            Place::Span(span) => {
                let rows = span.within(array.shape.first().copied().unwrap_or(0))?;
                let mut shape = array.shape.clone();
                shape[0] = rows.len();
                (rows, shape)
            }
            _ => (entry..entry + 1, array.shape[1..].to_vec()),
        };
        let len = array.row_len();
        Ok((array, rows.start * len..rows.end * len, shape))
    }

    fn try_load(&self, entry: usize, sense: Modality) -> Result<Raw, Fault> {
        match self.place(entry, sense)? {
            Place::Text(text) => self.form.text(text),
            Place::File(file) => {
                let path = self.dir.join(file);
                if path.is_dir() && matches!(sense, Modality::Thermal | Modality::Depth) {
                    return self.form.frames(sense, clip::open(&path)?);
                }
                self.form.decode(sense, read(&path)?)
            }
            place => {
                let (array, range, shape) = self.numbers(entry, sense, place)?;
                self.form.array(sense, &array.numbers, range, &shape)
            }
        }
    }

    fn try_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, Fault> {
        match self.place(entry, sense)? {
            Place::Text(text) => Ok(ContentKey::of(text.as_bytes())),
            Place::File(file) => {
                let path = self.dir.join(file);
                if path.is_dir() {
                    return folder_key(&path);
                }
                Ok(ContentKey::of(&read(&path)?))
            }
            place => {
                let (array, range, shape) = self.numbers(entry, sense, place)?;
                Ok(key::of_numbers(&array.numbers, range, &shape))
            }
        }
    }
}

impl DataSet for TableSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn load(&self, entry: usize, sense: Modality) -> Result<Raw, SampleError> {
        self.try_load(entry, sense)
            .map_err(|fault| self.fault(entry, sense, fault))
    }

    fn content_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, SampleError> {
        self.try_key(entry, sense)
            .map_err(|fault| self.fault(entry, sense, fault))
    }

    fn following(&self, entry: usize) -> Option<usize> {
        self.following.get(entry).copied().flatten()
    }
}

/// A name that no other entry has: the one that is given, or that of its first file, or its row.
fn entry_name(
    given: Option<String>,
    found: &[(Modality, Place)],
    row: usize,
    names: &mut HashSet<String>,
) -> String {
    let file = || {
        found.iter().find_map(|(_, place)| match place {
            Place::File(file) => Some(file.clone()),
            _ => None,
        })
    };
    let name = match given.or_else(file) {
        Some(name) if names.contains(&name) => format!("{name} (row {})", row + 1),
        Some(name) => name,
        None => format!("row {}", row + 1),
    };
    names.insert(name.clone());
    name
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    sensorium_media::read::<Infallible>(path).map_err(Fault::File)
}

/// The key of all files of a folder, with their names.
fn folder_key(folder: &Path) -> Result<ContentKey, Fault> {
    let broken = |source| Fault::Read {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut parts = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap_or_default();
        parts.push(name.as_encoded_bytes().to_vec());
        parts.push(ContentKey::of(&read(file)?).to_bytes().to_vec());
    }
    Ok(ContentKey::of_parts(parts.iter().map(Vec::as_slice)))
}

#[cfg(test)]
mod tests;

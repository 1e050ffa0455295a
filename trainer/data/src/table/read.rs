//! A table of text: a CSV file, or the names of a folder's files.

use std::path::{Path, PathBuf};

use super::TableError;

/// Rows of cells, all as long as the heading.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) heading: Vec<String>,
    pub(super) rows: Vec<csv::StringRecord>,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let broken = |source| TableError::Csv {
            path: path.to_owned(),
            source,
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(broken)?;
        let heading = reader.headers().map_err(broken)?;
        let heading = heading.iter().map(str::to_owned).collect();
        let rows = reader.records().collect::<Result<_, _>>().map_err(broken)?;
        Ok(Self {
            path: path.to_owned(),
            heading,
            rows,
        })
    }

    /// A table with the column `name`: what the star of a pattern stands for in the files of a
    /// folder, in ascending order.
    pub(super) fn list(dir: &Path, pattern: &str) -> Result<Self, TableError> {
        let wrong = || TableError::Pattern {
            pattern: pattern.to_owned(),
        };
        let (folder, file) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let (before, after) = file.split_once('*').ok_or_else(wrong)?;
        if folder.contains('*') || after.contains('*') {
            return Err(wrong());
        }
        let path = dir.join(folder);
        let broken = |source| TableError::List {
            path: path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(broken)? {
            let name = entry.map_err(broken)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(before));
            let name = name.and_then(|name| name.strip_suffix(after));
            names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
        }
        names.sort();
        Ok(Self {
            path,
            heading: vec!["name".to_owned()],
            rows: names.iter().map(|name| vec![name].into()).collect(),
        })
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize, TableError> {
        let place = self.heading.iter().position(|column| column == name);
        place.ok_or_else(|| TableError::Column {
            path: self.path.clone(),
            name: name.to_owned(),
            known: self.heading.clone(),
        })
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        self.rows[row].get(column).unwrap_or_default()
    }

    pub(super) fn number(&self, row: usize, column: usize) -> Result<u64, TableError> {
        let cell = self.cell(row, column);
        cell.parse().map_err(|_not_a_number| TableError::Number {
            path: self.path.clone(),
            row: row + 1,
            column: self.heading[column].clone(),
            actual: cell.to_owned(),
        })
    }
}

//! What recordings hold between the stretches that a table lists.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::read::Table;
use super::rows::{Found, Rows};
use super::{Columns, TableError};

/// Samples of what nobody labelled: pieces of the recordings before, between and after the listed
/// stretches and their margins. An encoder that never met them takes an empty room, or somebody who
/// comes in, for one of its classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// Their label.
    pub label: String,
    /// Rows a piece. What is left of a gap is left out.
    pub rows: u64,
}

impl Between {
    /// Adds them to the table, recording by recording. Other cells are those of the listed stretch before
    /// the gap, or, at the start of a recording, after it.
    pub(super) fn add(
        &self,
        table: &mut Table,
        columns: &Columns,
        rows: &Rows,
        recordings: &Found,
    ) -> Result<(), TableError> {
        let label = table.column(columns.label.as_deref().unwrap_or("label"))?;
        let start = table.column(rows.start.as_deref().unwrap_or("start"))?;
        let (end, is_length) = match (&rows.end, &rows.length) {
            (Some(end), _) => (table.column(end)?, false),
            (None, length) => (table.column(length.as_deref().unwrap_or("length"))?, true),
        };
        let name = table.column(&recordings.column)?;
        let mut names = Vec::new();
        let mut listed: HashMap<String, Vec<(Range<u64>, usize)>> = HashMap::new();
        for row in 0..table.rows.len() {
            let first = table.number(row, start)?;
            let second = table.number(row, end)?;
            let last = match is_length {
                true => first.saturating_add(second),
                false => second,
            };
            let recording = table.cell(row, name).to_owned();
            let stretches = listed.entry(recording.clone()).or_default();
            if stretches.is_empty() {
                names.push(recording);
            }
            let margin = recordings.margin;
            let stretch = first.saturating_sub(margin)..last.saturating_add(margin);
            stretches.push((stretch, row));
        }
        for recording in names {
            let Some(&(_, len)) = recordings.extents.get(&recording) else {
                continue; // It is named when the listed rows are placed.
            };
            let mut stretches = listed.remove(&recording).unwrap_or_default();
            stretches.sort_by_key(|(stretch, _)| stretch.start);
            for (piece, like) in self.pieces(&stretches, len) {
                let second = match is_length {
                    true => piece.end - piece.start,
                    false => piece.end,
                };
                let cell = |column: usize| match column {
                    column if column == label => self.label.clone(),
                    column if column == start => piece.start.to_string(),
                    column if column == end => second.to_string(),
                    column => table.cell(like, column).to_owned(),
                };
                let record = (0..table.heading.len()).map(cell).collect::<Vec<_>>();
                table.rows.push(record.into());
            }
        }
        Ok(())
    }

    /// Pieces of a recording of `len` rows, and the stretch whose other cells each has.
    fn pieces(&self, stretches: &[(Range<u64>, usize)], len: u64) -> Vec<(Range<u64>, usize)> {
        let mut pieces = Vec::new();
        let mut from = 0;
        let ends = stretches.iter().map(|(stretch, _)| stretch.start);
        for (at, until) in ends.chain([len]).enumerate() {
            let like = stretches[at.saturating_sub(1)].1;
            while from + self.rows <= until {
                pieces.push((from..from + self.rows, like));
                from += self.rows;
            }
            from = stretches
                .get(at)
                .map_or(from, |(stretch, _)| from.max(stretch.end));
        }
        pieces
    }
}

//! Which samples of a recording follow each other.

use serde::{Deserialize, Serialize};

use super::TableError;
use super::read::Table;
use crate::set::Entry;

/// Columns by which a sample is known to begin where the one before it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// Column with the recording; samples of different groups are of different ones.
    pub recording: String,
    /// Column with a sample's first row in its recording.
    pub start: String,
}

impl Follow {
    /// The entry that follows each, which is the next of the table or none; `lens` are their rows.
    pub(super) fn find(
        &self,
        table: &Table,
        entries: &[Entry],
        lens: &[Option<u64>],
    ) -> Result<Vec<Option<usize>>, TableError> {
        let recording = table.column(&self.recording)?;
        let start = table.column(&self.start)?;
        let mut starts = Vec::with_capacity(entries.len());
        for row in 0..entries.len() {
            starts.push(table.number(row, start)?);
        }
        let same = |a: usize, b: usize| {
            table.cell(a, recording) == table.cell(b, recording)
                && entries[a].group == entries[b].group
                && entries[a].label == entries[b].label
        };
        let next = |entry: usize| {
            let next = entry + 1;
            let end = starts[entry].checked_add(lens[entry]?)?;
            (next < entries.len() && starts[next] == end && same(entry, next)).then_some(next)
        };
        Ok((0..entries.len()).map(next).collect())
    }
}

//! Which columns of a table are what.

use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

use super::TableError;
use super::read::Table;

/// What the columns of a table are called.
///
/// Each is the name of a column, or text with such names in braces: `thermal/{file}`; of
/// `{recording:8}`, the first eight characters of the cell, such as a date. What is not given is the
/// column of the same name, if there is one; what is given as `""` is none. Where a cell is empty,
/// the sample does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// File with a picture.
    pub image: Option<String>,
    /// File with sound.
    pub audio: Option<String>,
    /// Array `[samples, 6]`.
    pub imu: Option<String>,
    /// Picture, array or folder of pictures of heat.
    pub thermal: Option<String>,
    /// Picture, array or folder of pictures of distances.
    pub depth: Option<String>,
    /// Words.
    pub text: Option<String>,
    /// The class.
    pub label: Option<String>,
    /// What must not be on both sides of a division.
    pub group: Option<String>,
    /// The side that the set puts it on.
    pub split: Option<String>,
    /// What errors call the sample; without it, the first of its files.
    pub name: Option<String>,
}

impl Columns {
    /// Finds them in a table.
    pub(super) fn find(&self, table: &Table) -> Result<Cells, TableError> {
        let find = |column, given: &Option<String>| match given.as_deref() {
            Some("") => Ok(None),
            Some(text) => Template::parse(column, text, table).map(Some),
            None if table.heading.iter().any(|known| known == column) => {
                Template::parse(column, column, table).map(Some)
            }
            None => Ok(None),
        };
        let mut senses = Vec::new();
        for (sense, given) in [
            (Modality::Image, &self.image),
            (Modality::Audio, &self.audio),
            (Modality::Imu, &self.imu),
            (Modality::Thermal, &self.thermal),
            (Modality::Depth, &self.depth),
            (Modality::Text, &self.text),
        ] {
            if let Some(template) = find(sense.name(), given)? {
                senses.push((sense, template));
            }
        }
        Ok(Cells {
            senses,
            label: find("label", &self.label)?,
            group: find("group", &self.group)?,
            split: find("split", &self.split)?,
            name: find("name", &self.name)?,
        })
    }
}

/// The columns of a table, found.
#[derive(Debug)]
pub(super) struct Cells {
    senses: Vec<(Modality, Template)>,
    label: Option<Template>,
    group: Option<Template>,
    split: Option<Template>,
    name: Option<Template>,
}

impl Cells {
    pub(super) fn sense(&self, sense: Modality, table: &Table, row: usize) -> Option<String> {
        let template = self.senses.iter().find(|(other, _)| *other == sense);
        template?.1.fill(table, row)
    }

    pub(super) fn label(&self, table: &Table, row: usize) -> Option<String> {
        self.label.as_ref()?.fill(table, row)
    }

    pub(super) fn group(&self, table: &Table, row: usize) -> Option<String> {
        self.group.as_ref()?.fill(table, row)
    }

    pub(super) fn split(&self, table: &Table, row: usize) -> Option<String> {
        self.split.as_ref()?.fill(table, row)
    }

    pub(super) fn name(&self, table: &Table, row: usize) -> Option<String> {
        self.name.as_ref()?.fill(table, row)
    }
}

/// What makes a cell of one or more columns.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    /// A cell, or as many of its first characters.
    Column(usize, Option<usize>),
}

impl Template {
    pub(super) fn parse(
        setting: &'static str,
        text: &str,
        table: &Table,
    ) -> Result<Self, TableError> {
        let wrong = || TableError::Template {
            column: setting,
            text: text.to_owned(),
        };
        if !text.contains(['{', '}']) {
            return Ok(Self(vec![Part::Column(table.column(text)?, None)]));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(wrong)?;
            if literal.contains('}') || name.contains('{') {
                return Err(wrong());
            }
            parts.push(Part::Literal(literal.to_owned()));
            let (name, first) = match name.rsplit_once(':') {
                // A column may have a colon in its own name.
                Some((column, first)) if !table.heading.iter().any(|known| known == name) => {
                    (column, Some(first.parse().map_err(|_no_number| wrong())?))
                }
                _ => (name, None),
            };
            parts.push(Part::Column(table.column(name)?, first));
            rest = after;
        }
        if rest.contains('}') {
            return Err(wrong());
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The cell of a row; none if one of its columns is empty there.
    pub(super) fn fill(&self, table: &Table, row: usize) -> Option<String> {
        let mut filled = String::new();
        for part in &self.0 {
            filled.push_str(match part {
                Part::Literal(text) => text,
                Part::Column(column, first) => match (table.cell(row, *column), first) {
                    ("", _) => return None,
                    (cell, None) => cell,
                    (cell, Some(first)) => {
                        let end = cell.char_indices().nth(*first).map(|(at, _)| at);
                        &cell[..end.unwrap_or(cell.len())]
                    }
                },
            });
        }
        Some(filled)
    }
}

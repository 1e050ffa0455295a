//! Pictures and labels as MNIST comes.

use std::path::{Path, PathBuf};

use sensorium_media::{NumberArray, Numbers, idx};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

use crate::config::SetFault;
use crate::form::Forms;
use crate::set::{ContentKey, DataSet, Entry, Fault, SampleError};
use crate::{Raw, key};

/// `kind = "idx"`: a file of grey pictures `[samples, height, width]` and one of their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdxConfig {
    /// File with the pictures, packed by gzip or not.
    pub images: PathBuf,
    /// File with their labels `[samples]`.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// What the labels 0, 1, … are called; without it, their numbers.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Pictures in memory.
#[derive(Debug)]
pub(crate) struct IdxSet {
    name: String,
    images: NumberArray,
    entries: Vec<Entry>,
}

impl IdxSet {
    pub(crate) fn open(name: String, dir: &Path, config: &IdxConfig) -> Result<Self, SetFault> {
        let path = dir.join(&config.images);
        let images = idx::open(&path)?;
        let is_pictures = images.shape.len() == 3 && matches!(images.numbers, Numbers::U8(_));
        if !is_pictures {
            return Err(SetFault::Shape {
                path,
                actual: images.shape,
                expected: "[samples, height, width] of bytes".into(),
            });
        }
        let samples = images.shape[0];
        let labels = match &config.labels {
            None => vec![None; samples],
            Some(labels) => read_labels(&dir.join(labels), samples, &config.names)?,
        };
        let file = config.images.file_name().unwrap_or_default();
        let file = file.to_string_lossy();
        let entry = |(row, label)| Entry {
            name: format!("{file}[{row}]"),
            senses: Modality::Image.into(),
            label,
            ..Entry::default()
        };
        Ok(Self {
            name,
            entries: labels.into_iter().enumerate().map(entry).collect(),
            images,
        })
    }

    fn numbers(
        &self,
        entry: usize,
        sense: Modality,
    ) -> Result<std::ops::Range<usize>, SampleError> {
        if sense == Modality::Image {
            let len = self.images.row_len();
            return Ok(entry * len..(entry + 1) * len);
        }
        Err(self.fault(entry, sense, Fault::Lacks))
    }
}

impl DataSet for IdxSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn load(&self, entry: usize, sense: Modality) -> Result<Raw, SampleError> {
        let range = self.numbers(entry, sense)?;
        let shape = &self.images.shape[1..];
        Forms::default()
            .array(sense, &self.images.numbers, range, shape)
            .map_err(|fault| self.fault(entry, sense, fault))
    }

    fn content_key(&self, entry: usize, sense: Modality) -> Result<ContentKey, SampleError> {
        let range = self.numbers(entry, sense)?;
        let shape = &self.images.shape[1..];
        Ok(key::of_numbers(&self.images.numbers, range, shape))
    }
}

fn read_labels(
    path: &Path,
    samples: usize,
    names: &[String],
) -> Result<Vec<Option<String>>, SetFault> {
    let labels = idx::open(path)?;
    let numbers: Option<Vec<i64>> = match &labels.numbers {
        Numbers::U8(numbers) => Some(numbers.iter().map(|&n| n.into()).collect()),
        Numbers::I16(numbers) => Some(numbers.iter().map(|&n| n.into()).collect()),
        Numbers::I32(numbers) => Some(numbers.iter().map(|&n| n.into()).collect()),
        _ => None,
    };
    let numbers = numbers.filter(|_| labels.shape == [samples]);
    let numbers = numbers.ok_or_else(|| SetFault::Shape {
        path: path.to_owned(),
        actual: labels.shape,
        expected: format!("[{samples}] of whole numbers"),
    })?;
    let name = |number: i64| {
        let place = usize::try_from(number).ok();
        let name = place.and_then(|place| names.get(place)).cloned();
        name.unwrap_or_else(|| number.to_string())
    };
    Ok(numbers
        .into_iter()
        .map(|number| Some(name(number)))
        .collect())
}

#[cfg(test)]
mod tests;

//! The folder, and all that is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_model::checkpoint::{Checkpoint, Dtype};
use sensorium_model::weights::{WeightSource, WeightsError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::report::Report;

/// A folder of vectors.
pub struct Folder(PathBuf);

/// Named arrays of a file.
#[derive(Debug, Default)]
pub struct Vectors(BTreeMap<String, Vector>);

/// An array of whatever numbers, exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub values: Vec<f64>,
}

impl Vector {
    /// The numbers in 32 bits.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|value| *value as f32).collect()
    }

    /// The only number.
    pub fn scalar(&self) -> anyhow::Result<f64> {
        match *self.values {
            [value] => Ok(value),
            _ => bail!("{} numbers, expected 1", self.values.len()),
        }
    }
}

impl Vectors {
    /// The array of this name.
    pub fn get(&self, name: &str) -> anyhow::Result<&Vector> {
        self.0
            .get(name)
            .with_context(|| format!("there is no {name:?}"))
    }

    /// All arrays.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Vector)> {
        self.0.iter().map(|(name, vector)| (name.as_str(), vector))
    }

    /// What precedes `suffix` in the names that end so.
    pub fn stems(&self, suffix: &str) -> Vec<&str> {
        let names = self.0.keys();
        names.filter_map(|name| name.strip_suffix(suffix)).collect()
    }
}

impl WeightSource for Vectors {
    fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|vector| vector.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing = || WeightsError::Missing {
            name: name.to_owned(),
        };
        self.0.get(name).map(Vector::to_f32).ok_or_else(missing)
    }
}

impl Folder {
    /// The folder at a path.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether it has a file.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Names of its files, or of those of a folder in it, in order.
    pub fn files(&self, dir: &str) -> anyhow::Result<Vec<String>> {
        let path = self.path(dir);
        let entries = std::fs::read_dir(&path).with_context(|| format!("reading {path:?}"))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Reads a file of JSON.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        serde_json::from_str(&text).with_context(|| format!("reading {path:?}"))
    }

    /// Reads a file of arrays.
    pub fn vectors(&self, name: &str) -> anyhow::Result<Vectors> {
        let path = self.path(name);
        let read = || -> anyhow::Result<Vectors> {
            let file = Checkpoint::open(&path)?;
            let mut vectors = BTreeMap::new();
            for (name, entry) in file.entries() {
                let values = match entry.dtype() {
                    Dtype::F32 | Dtype::F64 => file.doubles(name)?,
                    _ => file.integers(name)?.into_iter().map(|v| v as f64).collect(),
                };
                let shape = entry.shape().to_vec();
                ensure!(
                    values.iter().all(|v| !v.is_nan()),
                    "{name:?} holds what is no number"
                );
                vectors.insert(name.to_owned(), Vector { shape, values });
            }
            Ok(Vectors(vectors))
        };
        read().with_context(|| format!("reading {path:?}"))
    }

    /// Announces every array, case and picture.
    pub fn announce(&self, report: &mut Report) -> anyhow::Result<()> {
        for name in self.files("")? {
            if name == "README.md" || name.ends_with("_f32_vs_f64.json") || name == "config.json" {
                // Words, measurements of the reference's own rounding, and dimensions.
                continue;
            }
            if name == "images" {
                for picture in self.files("images")? {
                    report.announce(format!("images/{picture}"));
                }
            } else if name.ends_with(".safetensors") {
                let names = self
                    .vectors(&name)
                    .with_context(|| format!("announcing {name}"))?;
                for (array, _) in names.iter() {
                    report.announce(format!("{name}: {array}"));
                }
            } else if name.ends_with(".json") {
                announce_json(report, &name, &self.json(&name)?);
            } else {
                // Weights in another form, or something that nobody here knows.
                report.announce(name);
            }
        }
        Ok(())
    }
}

/// A list is one of cases, and some objects hold such; any other file is one item.
fn announce_json(report: &mut Report, name: &str, value: &Value) {
    match value {
        Value::Array(cases) => {
            (0..cases.len()).for_each(|case| report.announce(format!("{name}: {case}")));
        }
        Value::Object(fields) if ["cases", "tensors"].iter().any(|k| fields.contains_key(*k)) => {
            for (key, field) in fields {
                match (key.as_str(), field) {
                    ("cases" | "tensors", Value::Array(cases)) => (0..cases.len())
                        .for_each(|case| report.announce(format!("{name}: {key} {case}"))),
                    ("inputs", Value::Object(inputs)) => inputs
                        .keys()
                        .for_each(|input| report.announce(format!("{name}: {key} {input}"))),
                    _ => {}
                }
            }
        }
        _ => report.announce(name),
    }
}

//! A data set as a recipe has it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use sensorium_media::OpenError;
use sensorium_media::array::ArrayError;
use sensorium_media::idx::IdxError;
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::form::Forms;
use crate::idx::IdxConfig;
use crate::set::DataSet;
use crate::setting::SettingError;
use crate::shards::{ShardError, ShardsConfig};
use crate::split::SplitConfig;
use crate::table::{ArraysConfig, PairsConfig, TableError};
use crate::{idx, shards, table};

/// A data set: `[[data]]` of a recipe.
///
/// # Examples
///
/// ```
/// let config: sensorium_data::SetConfig = toml::from_str(
///     r#"
///     name = "UTD-MHAD"
///     licence = "research use"
///     kind = "arrays"
///     dir = "utd_mhad"
///     index = "sequences.csv"
///     repeat = 50
///     columns = { label = "action", group = "subject" }
///     rows.imu = { file = "imu.npy", start = "imu_start", length = "imu_samples" }
///     rows.depth = { file = "depth.npz", start = "depth_start", length = "depth_frames" }
///     form.imu = { rate_hz = 50.0, units = "g,rad/s" }
///     form.depth = { scale = 20.0, rate_hz = 9.5 }
///     "#,
/// )?;
/// assert_eq!(config.repeat.get(), 50);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetConfig {
    /// Its name, which errors begin with.
    pub name: String,
    /// Its terms, and where it is from.
    #[serde(default)]
    pub licence: String,
    /// Its folder, within the folder of all data.
    #[serde(default)]
    pub dir: PathBuf,
    /// How often an epoch goes through it.
    #[serde(default = "once")]
    pub repeat: NonZeroU32,
    /// Bytes of decoded samples that are kept in memory, in MiB, until the set is dropped.
    #[serde(default)]
    pub cache_mib: u32,
    /// How it is divided; without it, none of it is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// What its files do not say of themselves.
    #[serde(default)]
    pub form: Forms,
    /// How it is kept. What is no key of these either is refused.
    #[serde(flatten)]
    pub kind: Kind,
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// How a data set is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A folder with files and a CSV file that lists them, or files of the same names.
    Pairs(Box<PairsConfig>),
    /// WebDataset tar files.
    Shards(ShardsConfig),
    /// Arrays `.npy` or `.npz`, and a CSV file with a row a sample.
    Arrays(Box<ArraysConfig>),
    /// Pictures and labels as MNIST comes.
    Idx(IdxConfig),
}

/// Why a data set cannot be opened.
#[derive(Debug, Error)]
#[error("data set {name:?}")]
pub struct SetError {
    /// The set.
    pub name: String,
    /// What is wrong.
    pub source: Box<SetFault>,
}

/// What is wrong with a data set as a whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetFault {
    /// A setting is out of range.
    #[error("form.{0}")]
    Form(SettingError),
    /// A setting is missing.
    #[error("it has {sense}, but not the setting {setting}")]
    Setting {
        /// What it has.
        sense: Modality,
        /// What is needed for it.
        setting: &'static str,
    },
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An array cannot be read.
    #[error(transparent)]
    Array(#[from] OpenError<ArrayError>),
    /// An IDX file cannot be read.
    #[error(transparent)]
    Idx(#[from] OpenError<IdxError>),
    /// IDX files do not hold what they should.
    #[error("{path:?} has shape {actual:?}, expected {expected}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        actual: Vec<usize>,
        /// What it should be.
        expected: String,
    },
    /// A shard cannot be read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// There is no sample.
    #[error("it has no sample")]
    Empty,
}

impl SetConfig {
    /// Opens the set: what its entries are becomes known, nothing is decoded.
    ///
    /// # Errors
    ///
    /// Settings, a table, an array or a shard that cannot be used.
    pub fn open(&self, data: &Path) -> Result<Box<dyn DataSet>, SetError> {
        let set = self.open_kind(&data.join(&self.dir));
        let set = set.map_err(|fault| SetError {
            name: self.name.clone(),
            source: Box::new(fault),
        })?;
        Ok(match self.cache_mib {
            0 => set,
            mib => Box::new(crate::cache::Cached::new(set, (mib as usize) << 20)),
        })
    }

    fn open_kind(&self, dir: &Path) -> Result<Box<dyn DataSet>, SetFault> {
        self.form.check().map_err(SetFault::Form)?;
        let name = self.name.clone();
        let set: Box<dyn DataSet> = match &self.kind {
            Kind::Pairs(config) => Box::new(table::TableSet::pairs(name, dir, config, self.form)?),
            Kind::Arrays(config) => {
                Box::new(table::TableSet::arrays(name, dir, config, self.form)?)
            }
            Kind::Shards(config) => Box::new(shards::ShardSet::open(name, dir, config, self.form)?),
            Kind::Idx(config) => Box::new(idx::IdxSet::open(name, dir, config)?),
        };
        if set.entries().is_empty() {
            return Err(SetFault::Empty);
        }
        let has_imu = |set: &dyn DataSet| {
            let mut entries = set.entries().iter();
            entries.any(|entry| entry.senses.contains(Modality::Imu))
        };
        if self.form.imu.is_none() && has_imu(&*set) {
            return Err(SetFault::Setting {
                sense: Modality::Imu,
                setting: "form.imu, its rate_hz and units",
            });
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests;

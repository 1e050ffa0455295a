//! Recordings of an inertial sensor as CSV files.
//!
//! ```text
//! acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads,label
//! 0.25556,0.05139,0.99722,-0.22510,0.07789,-0.00336,walking
//! ```
//!
//! The header names axis and unit: `acc_x_g` or `acc_x_mps2`, `gyro_x_rads` or `gyro_x_dps`; where
//! the caller says the units, `acc_x` and `ax`, `gyro_x` and `gx` will do. Columns may come in any
//! order. A `label` and a time (`t_s`, `t_ms`, `t_us`) are optional; other columns are not read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::csv::{ReaderBuilder, StringRecord, Trim};
use sensorium_core::ImuSample;
use sensorium_core::feature::{AccelUnit, GyroUnit, IMU_CHANNELS, ImuUnits};
use thiserror::Error;

/// What a label column holds where nobody labelled.
const UNLABELLED: [&str; 2] = ["", "-1"];

/// The six axes, as the columns are called without their units.
const AXES: [[&str; 2]; IMU_CHANNELS] = [
    ["acc_x", "ax"],
    ["acc_y", "ay"],
    ["acc_z", "az"],
    ["gyro_x", "gx"],
    ["gyro_y", "gy"],
    ["gyro_z", "gz"],
];

/// Why a file is no recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The file cannot be opened.
    #[error("cannot open {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The rows cannot be read: bytes that are not text, or rows of different lengths.
    #[error("{path:?} is not a CSV file")]
    Rows {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: ::csv::Error,
    },
    /// An axis has no column.
    #[error(
        "{path:?}, line 1: no column for {axis}; the header is {header:?}, expected for instance \
         \"acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads\""
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The axis.
        axis: &'static str,
        /// What the first line holds.
        header: String,
    },
    /// Neither the header nor the caller says the units.
    #[error("{path:?}, line 1: column {column:?} has no unit; say it as --units g,rad/s")]
    Units {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// The header and the caller, or two columns, say different units.
    #[error("{path:?}, line 1: column {column:?} is not in the same unit as the rest")]
    UnitsDiffer {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A field that should hold a number does not.
    #[error("{path:?}, line {line}: {column} is {found:?}, expected a finite number")]
    Number {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What the field holds.
        found: String,
    },
    /// A sample is not later than the one before.
    #[error("{path:?}, line {line}: time {found:?} is negative or not after the one before")]
    Time {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What the field holds.
        found: String,
    },
    /// There is a header and nothing else.
    #[error("{path:?} holds no sample")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// What was recorded, in SI units.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    /// The samples in order.
    pub samples: Vec<ImuSample>,
    /// Time of each sample in microseconds, if the file says.
    pub times_us: Option<Vec<u64>>,
    /// What was going on, if the file says.
    pub labels: Option<Labels>,
}

/// What was going on at each sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    names: Vec<String>,
    /// Index into `names` for each sample.
    of_sample: Vec<Option<u32>>,
}

impl Labels {
    /// The label of a sample; none if nobody labelled it.
    #[must_use]
    pub fn at(&self, sample: usize) -> Option<&str> {
        let name = (*self.of_sample.get(sample)?)?;
        self.names.get(name as usize).map(String::as_str)
    }

    /// The label that most of these samples have, if more than half of them have it.
    #[must_use]
    pub fn majority(&self, samples: std::ops::Range<usize>) -> Option<&str> {
        let within = self.of_sample.get(samples)?;
        let count = |name| within.iter().filter(|&&label| label == Some(name)).count();
        let most = (0..self.names.len() as u32).max_by_key(|&name| count(name))?;
        (2 * count(most) > within.len()).then(|| self.names[most as usize].as_str())
    }

    /// All labels, in the order of their appearance.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads stretches in the order of time: a CSV file with the columns `start_s`, `end_s` and
    /// `label`, as samples of `rate_hz`.
    ///
    /// # Errors
    ///
    /// A line that is no such stretch.
    pub fn of_stretches(input: impl Read, path: &Path, rate_hz: f64) -> Result<Self, CsvError> {
        let rows = |source| CsvError::Rows {
            path: path.to_owned(),
            source,
        };
        let mut labels = Self::default();
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        for row in reader.deserialize() {
            let (start_s, end_s, label): (f64, f64, String) = row.map_err(rows)?;
            let sample = |seconds: f64| (seconds * rate_hz).round() as usize;
            let index = labels.index(&label);
            let len = sample(start_s).max(labels.of_sample.len());
            labels.of_sample.resize(len, None);
            labels.of_sample.resize(sample(end_s).max(len), Some(index));
        }
        Ok(labels)
    }

    fn push(&mut self, field: &str) {
        let label = (!UNLABELLED.contains(&field)).then(|| self.index(field));
        self.of_sample.push(label);
    }

    /// The place of a name.
    fn index(&mut self, field: &str) -> u32 {
        let known = self.names.iter().position(|name| name == field);
        let index = known.unwrap_or_else(|| {
            self.names.push(field.to_owned());
            self.names.len() - 1
        });
        index as u32
    }
}

impl Recording {
    /// Reads a whole file; `units` are those of columns that name none.
    ///
    /// # Errors
    ///
    /// The first line that is not as it should be.
    pub fn open(path: &Path, units: Option<ImuUnits>) -> Result<Self, CsvError> {
        let file = File::open(path).map_err(|source| CsvError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::read(file, path, units)
    }

    /// As [`open`](Self::open), from any reader; errors call it `path`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read(input: impl Read, path: &Path, units: Option<ImuUnits>) -> Result<Self, CsvError> {
        let rows = |source| CsvError::Rows {
            path: path.to_owned(),
            source,
        };
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        let header = reader.headers().map_err(rows)?;
        let columns = Columns::find(header, path, units)?;
        let names = header.clone();
        let mut recording = Self {
            times_us: columns.time.map(|_| Vec::new()),
            labels: columns.label.map(|_| Labels::default()),
            ..Self::default()
        };
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(rows)? {
            let row = Row {
                path,
                names: &names,
                record: &record,
            };
            recording.push(&columns, &row)?;
        }
        if recording.samples.is_empty() {
            return Err(CsvError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(recording)
    }

    /// The rate that the times tell, in millihertz: that of the median step.
    #[must_use]
    pub fn rate_mhz(&self) -> Option<u32> {
        let times_us = self.times_us.as_ref()?;
        let mut steps: Vec<u64> = times_us.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        let median = *steps.get(steps.len() / 2)?;
        u32::try_from(1_000_000_000_u64.checked_div(median)?).ok()
    }

    fn push(&mut self, columns: &Columns, row: &Row<'_>) -> Result<(), CsvError> {
        let mut channels = [0.0; IMU_CHANNELS];
        for (channel, &column) in channels.iter_mut().zip(&columns.axes) {
            *channel = row.number(column)? as f32;
        }
        let sample = columns.units.to_si(channels);
        if !sample.is_finite() {
            return Err(row.not_a_number(columns.axes[0]));
        }
        if let (Some(times_us), Some((column, us_per_unit))) = (&mut self.times_us, columns.time) {
            let t_us = (row.number(column)? * us_per_unit).round();
            let after = times_us.last().is_none_or(|&last| t_us > last as f64);
            if !(0.0..=MAX_TIME_US).contains(&t_us) || !after {
                return Err(row.bad_time(column));
            }
            times_us.push(t_us as u64);
        }
        if let (Some(labels), Some(column)) = (&mut self.labels, columns.label) {
            labels.push(row.field(column));
        }
        self.samples.push(sample);
        Ok(())
    }
}

/// Times are kept where an `f64` is exact to the microsecond, until the year 2255.
const MAX_TIME_US: f64 = 9.0e15;

/// Where the header puts everything.
#[derive(Debug)]
struct Columns {
    axes: [usize; IMU_CHANNELS],
    units: ImuUnits,
    /// Column, and microseconds in one of its units.
    time: Option<(usize, f64)>,
    label: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord, path: &Path, units: Option<ImuUnits>) -> Result<Self, CsvError> {
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        let mut axes = [0; IMU_CHANNELS];
        let (mut accel, mut gyro) = (units.map(|u| u.accel), units.map(|u| u.gyro));
        for (channel, aliases) in AXES.iter().enumerate() {
            let found = names.iter().enumerate().find_map(|(column, name)| {
                let unit = aliases.iter().find_map(|alias| name.strip_prefix(alias))?;
                (unit.is_empty() || unit.starts_with('_'))
                    .then(|| (column, unit.trim_start_matches('_').to_owned()))
            });
            let Some((column, unit)) = found else {
                return Err(CsvError::Header {
                    path: path.to_owned(),
                    axis: aliases[0],
                    header: header.iter().collect::<Vec<_>>().join(","),
                });
            };
            let agrees = if channel < 3 {
                agree(&mut accel, accel_unit(&unit))
            } else {
                agree(&mut gyro, gyro_unit(&unit))
            };
            if !agrees || (!unit.is_empty() && !is_unit(channel, &unit)) {
                return Err(CsvError::UnitsDiffer {
                    path: path.to_owned(),
                    column: names[column].clone(),
                });
            }
            axes[channel] = column;
        }
        let unknown = |channel: usize| CsvError::Units {
            path: path.to_owned(),
            column: names[axes[channel]].clone(),
        };
        let position = |name: &str| names.iter().position(|known| known == name);
        let time = [("t_s", 1e6), ("t_ms", 1e3), ("t_us", 1.0)]
            .into_iter()
            .find_map(|(name, us_per_unit)| Some((position(name)?, us_per_unit)));
        Ok(Self {
            axes,
            units: ImuUnits {
                accel: accel.ok_or_else(|| unknown(0))?,
                gyro: gyro.ok_or_else(|| unknown(3))?,
            },
            time,
            label: position("label"),
        })
    }
}

/// Takes note of a unit that a column names; whether it is the one known before.
fn agree<T: Copy + PartialEq>(known: &mut Option<T>, named: Option<T>) -> bool {
    match (*known, named) {
        (_, None) => true,
        (Some(known), Some(named)) => known == named,
        (None, Some(_)) => {
            *known = named;
            true
        }
    }
}

fn accel_unit(name: &str) -> Option<AccelUnit> {
    match name {
        "g" => Some(AccelUnit::G),
        "mps2" | "ms2" | "m/s2" => Some(AccelUnit::Mps2),
        _ => None,
    }
}

fn gyro_unit(name: &str) -> Option<GyroUnit> {
    match name {
        "rads" | "radps" | "rad/s" => Some(GyroUnit::Radps),
        "dps" | "degps" | "degs" | "deg/s" => Some(GyroUnit::Degps),
        _ => None,
    }
}

fn is_unit(channel: usize, name: &str) -> bool {
    if channel < 3 {
        accel_unit(name).is_some()
    } else {
        gyro_unit(name).is_some()
    }
}

/// One row and where it stands.
struct Row<'a> {
    path: &'a Path,
    names: &'a StringRecord,
    record: &'a StringRecord,
}

impl Row<'_> {
    fn field(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default()
    }

    fn number(&self, column: usize) -> Result<f64, CsvError> {
        match self.field(column).parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.not_a_number(column)),
        }
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, ::csv::Position::line)
    }

    fn not_a_number(&self, column: usize) -> CsvError {
        CsvError::Number {
            path: self.path.to_owned(),
            line: self.line(),
            column: self.names.get(column).unwrap_or_default().to_owned(),
            found: self.field(column).to_owned(),
        }
    }

    fn bad_time(&self, column: usize) -> CsvError {
        CsvError::Time {
            path: self.path.to_owned(),
            line: self.line(),
            found: self.field(column).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

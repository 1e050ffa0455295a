//! What an inertial encoder loses where the sensor is worn, or sampled, unlike in the training.

use std::fmt;

use rand::Rng;
use sensorium_core::feature::Resampler;
use sensorium_data::batch::random_of;
use sensorium_data::raw::Raw;
use sensorium_data::{SampleError, augment::imu::turned};
use serde::Serialize;

use super::{Embedder, Report};
use crate::samples::Samples;

/// What the axes of rotations are drawn from.
const SEED: u64 = 0;

/// One difference from the recordings as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// None.
    None,
    /// Turned by so many degrees about an axis that is another for each recording.
    Turned(f32),
    /// Mounted with other axes: turned about this axis by so many degrees.
    Axes([f32; 3], f32),
    /// Sampled so many times a second.
    RateHz(f32),
}

/// All that are measured.
pub const CHANGES: [Change; 13] = [
    Change::None,
    Change::Turned(5.0),
    Change::Turned(10.0),
    Change::Turned(20.0),
    Change::Turned(30.0),
    Change::Turned(45.0),
    Change::Turned(90.0),
    Change::Axes([0.0, 0.0, 1.0], 90.0),
    Change::Axes([0.0, 0.0, 1.0], 180.0),
    Change::Axes([1.0, 1.0, 1.0], 120.0),
    Change::RateHz(25.0),
    Change::RateHz(100.0),
    Change::RateHz(200.0),
];

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("as recorded"),
            Self::Turned(degrees) => write!(f, "turned by {degrees}°"),
            Self::Axes([0.0, 0.0, _], degrees) => write!(f, "turned about z by {degrees}°"),
            Self::Axes(..) => f.write_str("x, y, z as y, z, x"),
            Self::RateHz(hz) => write!(f, "sampled at {hz} Hz"),
        }
    }
}

impl Change {
    fn apply(self, raw: Raw, item: usize) -> Raw {
        let Raw::Imu {
            samples,
            rate_hz,
            units,
        } = raw
        else {
            return raw;
        };
        let about = |axis: [f32; 3], degrees: f32| {
            let length = axis.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
            axis.map(|v| v / length * degrees.to_radians())
        };
        let (samples, rate_hz) = match self {
            Self::None => (samples, rate_hz),
            Self::Turned(degrees) => {
                let mut random = random_of(SEED, 0, item as u64);
                // Of the cube's directions, those in the ball, so that all are as likely.
                let axis = loop {
                    let axis: [f32; 3] = std::array::from_fn(|_| random.random_range(-1.0..=1.0));
                    let square: f32 = axis.iter().map(|v| v * v).sum();
                    if (0.01..=1.0).contains(&square) {
                        break axis;
                    }
                };
                (turned(&samples, about(axis, degrees)), rate_hz)
            }
            Self::Axes(axis, degrees) => (turned(&samples, about(axis, degrees)), rate_hz),
            Self::RateHz(to_hz) => {
                let resampler = Resampler::new(rate_hz, to_hz);
                let len = samples.len();
                let count = (len as f32 * to_hz / rate_hz) as usize;
                let at = |index| resampler.at(index, len, |sample| samples[sample]);
                ((0..count.max(1)).map(at).collect(), to_hz)
            }
        };
        Raw::Imu {
            samples,
            rate_hz,
            units,
        }
    }
}

/// An encoder that is given changed recordings.
pub struct Mounted<'a, E> {
    /// The encoder.
    pub encoder: &'a E,
    /// What is changed.
    pub change: Change,
}

impl<E: Embedder> Embedder for Mounted<'_, E> {
    fn windows(&self, samples: &Samples, item: usize) -> Result<Vec<Vec<f32>>, SampleError> {
        samples.windows_of(item, |raw| self.change.apply(raw, item))
    }

    fn embed(&self, shape: &[usize], windows: &[&Vec<f32>]) -> anyhow::Result<Vec<f32>> {
        self.encoder.embed(shape, windows)
    }
}

/// What was measured, change by change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mountings(Vec<Mounting>);

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Mounting {
    change: String,
    /// Top-1 among all classes, then of each group of classes among its own.
    shares: Vec<(String, f64)>,
}

impl Mountings {
    /// Of the reports of [`CHANGES`].
    pub fn new(reports: &[Report]) -> Self {
        let row = |(change, report): (&Change, &Report)| {
            let groups = report.groups.iter();
            let groups = groups.map(|group| (group.name.clone(), group.among_own));
            Mounting {
                change: change.to_string(),
                shares: [("all".to_owned(), report.accuracy)]
                    .into_iter()
                    .chain(groups)
                    .collect(),
            }
        };
        Self(CHANGES.iter().zip(reports).map(row).collect())
    }
}

impl fmt::Display for Mountings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        write!(f, "| the sensor |")?;
        for (name, _) in &first.shares {
            write!(f, " {name} |")?;
        }
        write!(f, "\n|---|{}\n", "---|".repeat(first.shares.len()))?;
        for Mounting { change, shares } in &self.0 {
            write!(f, "| {change} |")?;
            for (_, share) in shares {
                write!(f, " {share:.3} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sensorium_core::feature::ImuUnits;

    use super::*;

    fn changed(change: Change) -> (Vec<[f32; 6]>, f32) {
        let samples = (0..100).map(|i| [1.0, 0.0, 0.0, 0.0, i as f32, 0.0]);
        let raw = Raw::Imu {
            samples: samples.collect(),
            rate_hz: 50.0,
            units: "g,rad/s".parse::<ImuUnits>().unwrap(),
        };
        match change.apply(raw, 3) {
            Raw::Imu {
                samples, rate_hz, ..
            } => (samples, rate_hz),
            other => panic!("{}", other.kind()),
        }
    }

    #[test]
    fn vectors_are_turned_and_keep_their_length() {
        let (samples, _) = changed(Change::Axes([0.0, 0.0, 1.0], 90.0));
        let [x, y, z, gx, gy, gz] = samples[7];
        assert!(x.abs() < 1e-6 && (y - 1.0).abs() < 1e-6 && z == 0.0);
        assert!((gx + 7.0).abs() < 1e-5 && gy.abs() < 1e-5 && gz == 0.0);
        let (samples, _) = changed(Change::Turned(30.0));
        let [x, y, z, ..] = samples[0];
        assert!((x * x + y * y + z * z - 1.0).abs() < 1e-5);
        // At most by the angle, exactly if the axis is across.
        assert!(x >= 30_f32.to_radians().cos() - 1e-5 && x < 0.9999, "{x}");
    }

    #[test]
    fn another_rate_is_the_same_time() {
        let (samples, rate_hz) = changed(Change::RateHz(100.0));
        assert_eq!((samples.len(), rate_hz), (200, 100.0));
        assert!((samples[100][4] - 50.0).abs() < 0.05);
        assert_eq!(changed(Change::RateHz(25.0)).0.len(), 50);
        assert_eq!(changed(Change::None).0.len(), 100);
    }
}

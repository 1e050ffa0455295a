//! What a labelled recording says, beside what was recognised.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use sensorium_engine::bank::Bank;
use sensorium_engine::source::csv::{Labels, Recording};
use sensorium_engine::stream::Scored;

/// How finely stretches are kept.
const STRETCH_RATE_MHZ: u32 = 100_000;

/// The labels of a recording, by time.
#[derive(Debug)]
pub struct Timeline {
    labels: Labels,
    times_us: Option<Vec<u64>>,
    rate_mhz: u32,
}

impl Timeline {
    /// None of a recording that has no labels.
    pub fn of(recording: &Recording, rate_mhz: u32) -> Option<Self> {
        Some(Self {
            labels: recording.labels.clone()?,
            times_us: recording.times_us.clone(),
            rate_mhz,
        })
    }

    /// Of a CSV file with the columns `start_s`, `end_s` and `label`, in the order of time.
    pub fn of_stretches(text: &str, path: &Path) -> anyhow::Result<Self> {
        let rate_hz = f64::from(STRETCH_RATE_MHZ) / 1e3;
        Ok(Self {
            labels: Labels::of_stretches(text.as_bytes(), path, rate_hz)?,
            times_us: None,
            rate_mhz: STRETCH_RATE_MHZ,
        })
    }

    /// The label of the greater part of a stretch, if it has one.
    fn majority(&self, (from_us, to_us): (u64, u64)) -> Option<&str> {
        let samples = self.sample_at(from_us)..self.sample_at(to_us);
        self.labels.majority(samples)
    }

    /// The classes that the labels name anywhere in a stretch, by their place in the bank.
    pub fn classes_in(&self, (from_us, to_us): (u64, u64), bank: &Bank) -> Vec<usize> {
        let mut present = Vec::new();
        let mut last = None;
        for sample in self.sample_at(from_us)..self.sample_at(to_us) {
            let label = self.labels.at(sample);
            let Some(label) = label.filter(|_| label != last) else {
                continue;
            };
            last = Some(label);
            let classes = bank.classes().iter().enumerate();
            let named = classes.filter(|(_, class)| class.is_labelled(label));
            present.extend(named.map(|(index, _)| index));
        }
        present.sort_unstable();
        present.dedup();
        present
    }

    /// Index of the first sample at or after a time.
    fn sample_at(&self, t_us: u64) -> usize {
        match &self.times_us {
            Some(times_us) => times_us.partition_point(|&time_us| time_us < t_us),
            // Window times are rounded down to the microsecond; a sample is never that short.
            None => (u128::from(t_us + 1) * u128::from(self.rate_mhz) / 1_000_000_000) as usize,
        }
    }
}

/// Compares scored windows with the labels of their recording.
#[derive(Debug)]
pub struct Truth {
    timeline: Option<Timeline>,
    bank: Arc<Bank>,
    /// Windows of each class by their label, and how many of them were named right.
    windows: BTreeMap<usize, (u64, u64)>,
    /// Windows whose label is none of the classes, or that have no label for their greater part.
    others: u64,
}

impl Truth {
    /// Labels, if there are any; nothing compared yet.
    pub fn new(timeline: Option<Timeline>, bank: Arc<Bank>) -> Self {
        Self {
            timeline,
            bank,
            windows: BTreeMap::new(),
            others: 0,
        }
    }

    /// Takes note of a window: right if its best class is the label of its greater part.
    pub fn compare(&mut self, scored: &Scored) {
        let Some(timeline) = &self.timeline else {
            return;
        };
        let label = timeline.majority((scored.t_start_us, scored.t_end_us));
        let expected = label.and_then(|label| {
            let mut classes = self.bank.classes().iter();
            classes.position(|class| class.is_labelled(label))
        });
        let Some(expected) = expected else {
            self.others += 1;
            return;
        };
        let (windows, right) = self.windows.entry(expected).or_default();
        *windows += 1;
        let named = self.bank.best(&scored.scores).map(|(class, _)| class);
        if named == Some(&self.bank.classes()[expected].name) {
            *right += 1;
        }
    }

    /// Says how many were right.
    pub fn summarise(&self, stream: &str, out: &mut impl Write) -> io::Result<()> {
        if self.timeline.is_none() {
            return writeln!(
                out,
                "sensorium: {stream}: the recording has no labels to compare with"
            );
        }
        let sum = |of: fn(&(u64, u64)) -> u64| self.windows.values().map(of).sum::<u64>();
        let (windows, right) = (sum(|counts| counts.0), sum(|counts| counts.1));
        writeln!(
            out,
            "sensorium: {stream}: {right} of {windows} labelled windows named right ({:.1} %); {} more \
             have no label of a class",
            100.0 * right as f64 / windows.max(1) as f64,
            self.others
        )?;
        for (class, (windows, right)) in &self.windows {
            let name = &self.bank.classes()[*class].name;
            writeln!(out, "  {name:18} {right:4} of {windows}")?;
        }
        Ok(())
    }
}

//! An event as everyone outside sees it: one JSON object a line.

use sensorium_core::event::{Phase, Report};
use sensorium_pack::{Modality, sha256_hex};
use serde::Serialize;

use crate::fuse::Part;

/// Digits of scores that mean anything.
const SCORE_STEPS: f64 = 1e4;

/// One report about an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The same in all reports about one event: from stream, class and start.
    pub id: String,
    /// `start`, `update` or `end`.
    pub phase: &'static str,
    /// Name of the class.
    pub class: String,
    /// Mean score so far, 0 to 1.
    pub score: f64,
    /// Mean distance to the best other class.
    pub margin: f64,
    /// The sense that it was recognised with.
    pub modality: Modality,
    /// Name of the stream.
    pub stream: String,
    /// Where it began, in nanoseconds: since 1970 by the host's clock, or since the first sample.
    pub t_start_ns: i64,
    /// How far it reaches by now.
    pub t_end_ns: i64,
    /// How far off these times may be, either way.
    pub t_uncertainty_ns: u64,
    /// `unsynced`, `holdover` or `synced`.
    pub clock: &'static str,
    /// The pack that it was recognised with.
    pub pack: String,
    /// The classes that it was compared with.
    pub bank: String,
    /// Fraction of its samples that arrived.
    pub coverage: f64,
    /// The streams that tell of it, if several do; `modality` and `stream` are the first's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fusion: Vec<Part>,
}

impl Event {
    /// Whether the event is over.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.phase == Phase::End.name()
    }
}

/// The id of an event: the same in every run that finds it.
#[must_use]
pub fn event_id(stream: &str, class: &str, t_start_ns: i64) -> String {
    let text = format!("{stream}\0{class}\0{t_start_ns}");
    sha256_hex(text.as_bytes())[..16].to_owned()
}

/// A score, or another number of this size, with the digits that mean anything.
#[must_use]
pub fn rounded(score: f32) -> f64 {
    (f64::from(score) * SCORE_STEPS).round() / SCORE_STEPS
}

/// What several reports about one event share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Where it began, as it was first told.
    pub t_start_ns: i64,
}

/// Names in the events of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Of the stream.
    pub stream: String,
    /// Of the pack, with its hash.
    pub pack: String,
    /// Of the class bank.
    pub bank: String,
    /// The sense.
    pub modality: Modality,
}

/// Times of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How far the event reaches.
    pub t_end_ns: i64,
    /// How far off the times may be.
    pub uncertainty_ns: u64,
    /// State of the clock.
    pub clock: &'static str,
}

impl Names {
    /// The event of a report about `class`.
    #[must_use]
    pub fn event(&self, class: &str, report: &Report, told: &Told, times: Times) -> Event {
        Event {
            id: told.id.clone(),
            phase: report.phase.name(),
            class: class.to_owned(),
            score: rounded(report.score),
            margin: rounded(report.margin),
            modality: self.modality,
            stream: self.stream.clone(),
            t_start_ns: told.t_start_ns,
            t_end_ns: times.t_end_ns,
            t_uncertainty_ns: times.uncertainty_ns,
            clock: times.clock,
            pack: self.pack.clone(),
            bank: self.bank.clone(),
            coverage: rounded(report.coverage),
            fusion: Vec::new(),
        }
    }
}

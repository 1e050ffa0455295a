//! Thresholds that hold a number of false alarms an hour, from recordings in which nothing of a class
//! happens.
//!
//! ```text
//! windows of the recordings ─▶ the event policy itself ─▶ alarms at a threshold ─▶ lower it while
//!                              (median, duration, merging)                        few enough ring
//! ```
//!
//! Alarms are counted as whoever listens would count them: by the [`EventTracker`] that streams use.
//! Were windows counted, a threshold would pay for what the policy does not tell, and three windows of
//! one noise would be three. But an alarm that does not end is no single one: it counts again for each
//! minute that it goes on.
//!
//! # What is promised
//!
//! The threshold is a conformal quantile: of the alarms of the background, in order of the score up
//! to which they ring, so many ring at it that with 95 % confidence (Poisson's limit of their number)
//! background of this kind has no more than the budget. That takes hours: none in `T` hours
//! promises `3 / T` an hour. With fewer, the threshold lets none of the background ring, and
//! [`Threshold::more_hours`] says what is missing. Two assumptions are left: that the background to
//! come is of the kind that was recorded, and that one alarm does not bring the next. Policy,
//! classes and pack must be those that are calibrated: scores share 1 among all classes.

pub mod file;
pub mod poisson;

use sensorium_core::event::{EventPolicy, EventTracker, Observation, Phase, Report};

use crate::stream::Scored;
use poisson::{interval, most_allowed, upper_mean};

/// Confidence of a promise.
pub const CONFIDENCE: f64 = 0.95;

/// An alarm that goes on counts again after so long.
const AGAIN_US: u64 = 60_000_000;

const US_PER_HOUR: f64 = 3.6e9;

/// Thresholds are tried from here down, as the logarithm of their odds: `1 - 1.1e-7`, next to the last
/// number below 1 that a score can be.
const HIGHEST_LOGIT: f64 = 16.0;

/// Distance of the thresholds that are tried first.
const LOGIT_STEP: f64 = 0.25;

/// Halvings of that distance where the limit lies.
const HALVINGS: usize = 8;

/// A window of background.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    t_start_us: u64,
    t_end_us: u64,
    scores: Vec<f32>,
    /// Classes that do happen in it, for which it is no background.
    present: Vec<usize>,
}

/// Recordings of what shall not be an alarm, as scored windows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Background {
    recordings: Vec<Vec<Heard>>,
}

/// What shall be held, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// False alarms an hour, at most.
    pub per_hour: f64,
    /// The threshold is not lowered below this score, however quiet the background is.
    pub lowest: f32,
}

/// A threshold of one class, and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Score at which an event begins.
    pub enter: f32,
    /// Score below which it is over.
    pub exit: f32,
    /// False alarms an hour that it shall hold.
    pub budget_per_hour: f64,
    /// False alarms of the background at this threshold.
    pub alarms: u64,
    /// Hours of background.
    pub hours: f64,
}

impl Threshold {
    /// False alarms an hour of the background.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        self.alarms as f64 / self.hours
    }

    /// The interval of 95 % for the rate of false alarms that this background is a sample of.
    #[must_use]
    pub fn interval_per_hour(&self) -> (f64, f64) {
        let (low, high) = interval(self.alarms);
        (low / self.hours, high / self.hours)
    }

    /// Whether the budget is kept with a confidence of 95 %.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        upper_mean(self.alarms, CONFIDENCE) <= self.budget_per_hour * self.hours
    }

    /// Hours of background without a further alarm that the promise would take; none if no time is
    /// enough, for a budget of 0.
    #[must_use]
    pub fn more_hours(&self) -> Option<f64> {
        let needed = upper_mean(self.alarms, CONFIDENCE) / self.budget_per_hour;
        needed.is_finite().then(|| (needed - self.hours).max(0.0))
    }
}

impl Background {
    /// No background yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A recording begins: what was going on before is over.
    pub fn begin_recording(&mut self) {
        self.recordings.push(Vec::new());
    }

    /// Takes the next window. It is no background for classes that are `present` in it, by their
    /// place in the bank.
    pub fn push(&mut self, scored: &Scored, present: Vec<usize>) {
        if self.recordings.is_empty() {
            self.begin_recording();
        }
        let heard = Heard {
            t_start_us: scored.speaks_from_us,
            t_end_us: scored.speaks_to_us,
            scores: scored.scores.clone(),
            present,
        };
        if let Some(recording) = self.recordings.last_mut() {
            recording.push(heard);
        }
    }

    /// Hours of background for a class: what the windows speak for, each moment once.
    #[must_use]
    pub fn hours(&self, class: usize) -> f64 {
        let windows = self.recordings.iter().flatten();
        let background = windows.filter(|heard| !heard.present.contains(&class));
        let micros: u64 = background
            .map(|heard| heard.t_end_us.saturating_sub(heard.t_start_us))
            .sum();
        micros as f64 / US_PER_HOUR
    }

    /// How often this policy would tell of a class, and once more for each minute that it goes on.
    ///
    /// # Panics
    ///
    /// If windows have no score for the class.
    #[must_use]
    pub fn alarms(&self, class: usize, policy: EventPolicy) -> u64 {
        let mut alarms = 0;
        let mut tracker = EventTracker::new(policy);
        for recording in &self.recordings {
            for heard in recording {
                if heard.present.contains(&class) {
                    alarms += tracker.finish().map_or(0, |report| alarms_in(&report));
                    continue;
                }
                let reports = tracker.observe(Observation {
                    t_start_us: heard.t_start_us,
                    t_end_us: heard.t_end_us,
                    score: heard.scores[class],
                    margin: 0.0,
                    coverage: 1.0,
                });
                alarms += reports.iter().map(alarms_in).sum::<u64>();
            }
            alarms += tracker.finish().map_or(0, |report| alarms_in(&report));
        }
        alarms
    }

    /// The lowest threshold that holds the goal; none if even the highest score rings too often, or
    /// there is no background.
    ///
    /// All of `policy` but its scores is kept, and `exit` stays in proportion to `enter`.
    ///
    /// # Panics
    ///
    /// As [`alarms`](Self::alarms).
    #[must_use]
    pub fn threshold(&self, class: usize, policy: EventPolicy, goal: Goal) -> Option<Threshold> {
        let hours = self.hours(class);
        // Without hours enough for any promise, none of the background may ring.
        let allowed = most_allowed(goal.per_hour * hours, CONFIDENCE).unwrap_or(0);
        let at = |logit: f64| with_enter(policy, (1.0 / (1.0 + (-logit).exp())) as f32);
        let holds = |logit: f64| self.alarms(class, at(logit)) <= allowed;
        if hours == 0.0 || !holds(HIGHEST_LOGIT) {
            return None;
        }
        // From above, and no further than the first that fails: further down, alarms run together.
        let lowest = f64::from(goal.lowest);
        let lowest_logit = (lowest / (1.0 - lowest)).ln().min(HIGHEST_LOGIT);
        let mut holding = HIGHEST_LOGIT;
        while holding > lowest_logit {
            let next = (holding - LOGIT_STEP).max(lowest_logit);
            if !holds(next) {
                let mut failing = next;
                for _ in 0..HALVINGS {
                    let middle = f64::midpoint(holding, failing);
                    if holds(middle) {
                        holding = middle;
                    } else {
                        failing = middle;
                    }
                }
                break;
            }
            holding = next;
        }
        let policy = at(holding);
        Some(Threshold {
            enter: policy.enter,
            exit: policy.exit,
            budget_per_hour: goal.per_hour,
            alarms: self.alarms(class, policy),
            hours,
        })
    }
}

/// How many alarms a report adds: one that is over, and has been told of, counts for its length.
fn alarms_in(report: &Report) -> u64 {
    let lasted_us = report.t_end_us.saturating_sub(report.t_start_us);
    match report.phase {
        Phase::End => 1 + lasted_us / AGAIN_US,
        Phase::Start | Phase::Update => 0,
    }
}

/// The policy with another threshold, its lower one in proportion.
fn with_enter(mut policy: EventPolicy, enter: f32) -> EventPolicy {
    let ratio = if policy.enter > 0.0 {
        policy.exit / policy.enter
    } else {
        1.0
    };
    policy.enter = enter;
    policy.exit = (enter * ratio).min(enter);
    policy
}

#[cfg(test)]
mod tests;

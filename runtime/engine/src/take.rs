//! Takes: stretches of a live stream in which somebody does, when told to, what shall be recognised.
//!
//! ```text
//! samples ─▶ countdown ─▶ take ─▶ is it whole, and the sensor well? ─▶ kept, or once more
//!            3, 2, 1      3 s
//! ```
//!
//! Seconds are those of the samples, so that what waited in a pipe is not taken for what is done now:
//! it goes by in the countdown.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sensorium_pack::Modality;
use thiserror::Error;

use crate::encode::{EncodeError, Encoder, Excerpt};
use crate::health::{Fault, Monitor};
use crate::pipeline::Closing;
use crate::queue::{Popped, Queue};
use crate::sense::joined;
use crate::source::{Block, Feed, Samples, Signal, Source, SourceError};
use crate::stream::MIN_COVERAGE;

/// Samples that wait to be looked at, in microseconds.
const QUEUE_US: u64 = 1_000_000;

/// After a take it is listened on for so long, in microseconds, until a fault in it would be known.
const SETTLE_US: u64 = 1_800_000;

/// How long a sample is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Nothing comes of a sensor that gives nothing for so many times [`PATIENCE`].
const PATIENCES: u32 = 10;

/// Takes that are not used, in a row, until it is given up.
const REJECTIONS: usize = 10;

/// What is to be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How many takes.
    pub takes: usize,
    /// Length of one, in seconds.
    pub seconds: f32,
    /// Seconds that are counted down before each.
    pub countdown_s: u32,
}

/// What whoever acts is to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cue {
    /// A take begins in so many seconds.
    Countdown {
        /// Which, from 1.
        take: usize,
        /// Seconds left.
        seconds: u32,
    },
    /// It begins now.
    Begin {
        /// Which, from 1.
        take: usize,
    },
    /// It is kept.
    Taken {
        /// Which, from 1.
        take: usize,
    },
    /// It is not, and begins anew.
    Rejected {
        /// Which, from 1.
        take: usize,
        /// Why.
        why: Rejection,
    },
}

/// Why a take is not used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rejection {
    /// The sensor was degraded.
    Fault(Fault),
    /// Samples are missing.
    Missing {
        /// The share of them that came.
        coverage: f32,
    },
    /// The device went away, or began anew.
    Interrupted,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Missing { coverage } => {
                write!(f, "only {:.0} % of its samples came", 100.0 * coverage)
            }
            Self::Interrupted => f.write_str("the device went away or began anew"),
        }
    }
}

/// Why there are no takes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The source is gone.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source ended before all takes were there.
    #[error("it ended after {taken} of {takes} takes")]
    Ended {
        /// Takes that were kept.
        taken: usize,
        /// How many there should be.
        takes: usize,
    },
    /// Nothing comes.
    #[error("nothing came of it for {seconds} s")]
    Absent {
        /// For how long.
        seconds: u64,
    },
    /// One take after the other was not used.
    #[error("{times} takes in a row could not be used, the last because {why}")]
    Rejected {
        /// How many.
        times: usize,
        /// Why the last was not.
        why: Rejection,
    },
    /// Whoever called wants no more.
    #[error("stopped by a signal")]
    Stopped,
    /// A thread failed: a bug.
    #[error("a thread of the stream failed")]
    Thread,
}

/// What was recorded of one take.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The samples.
    pub samples: Samples,
    /// How often they were taken, in millihertz.
    pub rate_mhz: u32,
}

impl Taken {
    /// Its embedding: that of a file of the same samples.
    ///
    /// # Errors
    ///
    /// An encoder of another sense, or that has no embedding for what was recorded.
    pub fn embed(&self, encoder: &Encoder) -> Result<Vec<f32>, EncodeError> {
        match &self.samples {
            Samples::Imu(samples) => encoder.embed_imu(samples, self.rate_mhz as f32 / 1000.0),
            Samples::Sound(samples) => {
                encoder.embed_excerpt(Excerpt::Sound(samples, self.rate_mhz / 1000))
            }
            Samples::Frames(frames) => {
                let rate_hz = f64::from(self.rate_mhz) / 1000.0;
                let clip = joined(frames.iter()).unwrap_or_else(no_frames);
                encoder.embed_excerpt(Excerpt::Frames(&clip, rate_hz))
            }
        }
    }
}

fn no_frames() -> sensorium_media::NumberArray {
    sensorium_media::NumberArray {
        shape: vec![0, 0, 0],
        numbers: sensorium_media::Numbers::U16(Vec::new()),
    }
}

/// Takes what a live source gives, as planned; `cue` is told what whoever acts is to know.
///
/// # Errors
///
/// The source is gone, ends too soon or gives nothing that can be used; or `stop` was set.
pub fn take(
    source: Box<dyn Source>,
    modality: Modality,
    plan: Plan,
    stop: &AtomicBool,
    cue: &mut dyn FnMut(Cue),
) -> Result<Vec<Taken>, TakeError> {
    let queue = Queue::new(QUEUE_US);
    let mut director = Director::new(modality, plan);
    let (directed, read) = thread::scope(|scope| {
        let (queue, feed) = (&queue, Feed::new(&queue, stop, false));
        let reader = scope.spawn(move || {
            // Closed however the source ends, or it would be waited for.
            let _closing = Closing(queue);
            source.run(feed)
        });
        let directed = {
            let _closing = Closing(queue);
            direct(queue, &mut director, stop, cue)
        };
        (directed, reader.join())
    });
    read.map_err(|_panic| TakeError::Thread)??;
    directed?;
    Ok(director.taken)
}

fn direct(
    queue: &Queue<Signal>,
    director: &mut Director,
    stop: &AtomicBool,
    cue: &mut dyn FnMut(Cue),
) -> Result<(), TakeError> {
    let mut patiences = 0;
    while !director.is_done() {
        let (popped, _) = queue.pop(PATIENCE);
        if stop.load(Ordering::Relaxed) {
            return Err(TakeError::Stopped);
        }
        match popped {
            Popped::Item(signal) => {
                patiences = 0;
                director.hear(&signal, cue);
            }
            Popped::Nothing => {
                patiences += 1;
                if patiences >= PATIENCES {
                    let seconds = PATIENCE.as_secs() * u64::from(PATIENCES);
                    return Err(TakeError::Absent { seconds });
                }
            }
            Popped::End => {
                // What a fault of the end would still have told is not waited for.
                director.judge(cue);
                if !director.is_done() {
                    let (taken, takes) = (director.taken.len(), director.plan.takes);
                    return Err(TakeError::Ended { taken, takes });
                }
            }
        }
        if let Some((times, why)) = director.rejected.filter(|(times, _)| *times >= REJECTIONS) {
            return Err(TakeError::Rejected { times, why });
        }
    }
    Ok(())
}

/// Says when a take begins, and whether it can be used.
struct Director {
    plan: Plan,
    monitor: Monitor,
    phase: Phase,
    taken: Vec<Taken>,
    /// Takes in a row that were not used, and why the last was not.
    rejected: Option<(usize, Rejection)>,
}

enum Phase {
    /// Since the first sample that came, and the seconds that were told last.
    Countdown {
        began_us: Option<u64>,
        told: Option<u32>,
    },
    /// From this time on.
    Taking(Roll),
    /// It is over, and it is waited for whether a fault becomes known.
    Judging(Roll),
}

/// What was taken so far.
struct Roll {
    from_us: u64,
    taken: Taken,
    /// The last fault that was known while it was taken.
    fault: Option<Fault>,
}

impl Director {
    fn new(modality: Modality, plan: Plan) -> Self {
        Self {
            plan,
            monitor: Monitor::new(modality),
            phase: Phase::countdown(),
            taken: Vec::new(),
            rejected: None,
        }
    }

    fn is_done(&self) -> bool {
        self.taken.len() >= self.plan.takes
    }

    /// The number of the take that is being made, from 1.
    fn number(&self) -> usize {
        self.taken.len() + 1
    }

    fn hear(&mut self, signal: &Signal, cue: &mut dyn FnMut(Cue)) {
        match signal {
            Signal::Block(block) => {
                self.monitor.take(block);
                for at in 0..block.samples.len() {
                    if self.is_done() {
                        return;
                    }
                    self.step(block, at, cue);
                }
            }
            Signal::Reboot { .. } => {
                self.monitor.restart();
                self.interrupt(cue);
            }
            Signal::Gone => {
                self.monitor.fail(Fault::Gone);
                self.interrupt(cue);
            }
            Signal::NotFinite => self.monitor.fail(Fault::NotFinite),
            Signal::Boot { .. }
            | Signal::NodeCounts { .. }
            | Signal::Frames(_)
            | Signal::Origin { .. } => {}
        }
    }

    /// What was being taken is not whole.
    fn interrupt(&mut self, cue: &mut dyn FnMut(Cue)) {
        match self.phase {
            Phase::Countdown { .. } => self.phase = Phase::countdown(),
            Phase::Taking(_) | Phase::Judging(_) => self.reject(Rejection::Interrupted, cue),
        }
    }

    /// Takes sample `at` of a block.
    fn step(&mut self, block: &Block, at: usize, cue: &mut dyn FnMut(Cue)) {
        let (t_us, take) = (block.time_us(at), self.number());
        let fault = self.monitor.fault();
        match &mut self.phase {
            Phase::Countdown { began_us, told } => {
                let since_us = t_us.saturating_sub(*began_us.get_or_insert(t_us));
                let countdown_us = u64::from(self.plan.countdown_s) * 1_000_000;
                let left_us = countdown_us.saturating_sub(since_us);
                if left_us > 0 {
                    let seconds = left_us.div_ceil(1_000_000) as u32;
                    if *told != Some(seconds) {
                        *told = Some(seconds);
                        cue(Cue::Countdown { take, seconds });
                    }
                    return;
                }
                cue(Cue::Begin { take });
                self.phase = Phase::Taking(Roll {
                    from_us: t_us,
                    taken: Taken {
                        samples: sample(&block.samples, at),
                        rate_mhz: block.rate_mhz,
                    },
                    fault,
                });
            }
            Phase::Taking(roll) => {
                roll.fault = fault.or(roll.fault);
                if t_us.saturating_sub(roll.from_us) < micros(self.plan.seconds) {
                    push(&mut roll.taken.samples, &block.samples, at);
                    return;
                }
                if let Phase::Taking(roll) = std::mem::replace(&mut self.phase, Phase::countdown())
                {
                    self.phase = Phase::Judging(roll);
                }
            }
            Phase::Judging(roll) => {
                roll.fault = fault.or(roll.fault);
                let since_us = t_us.saturating_sub(roll.from_us);
                if since_us >= micros(self.plan.seconds) + SETTLE_US {
                    self.judge(cue);
                }
            }
        }
    }

    /// Keeps the take that is over, or not.
    fn judge(&mut self, cue: &mut dyn FnMut(Cue)) {
        let Phase::Judging(roll) = &self.phase else {
            return;
        };
        let to_us = roll.from_us + micros(self.plan.seconds);
        let bad = self.monitor.bad().share_of(roll.from_us, to_us);
        let expected = f64::from(self.plan.seconds) * f64::from(roll.taken.rate_mhz) / 1000.0;
        let coverage = (roll.taken.samples.len() as f64 / expected) as f32;
        let why = match (roll.fault, stands_still(&roll.taken.samples)) {
            (Some(fault), _) if 1.0 - bad < MIN_COVERAGE => Some(Rejection::Fault(fault)),
            (_, Some(fault)) => Some(Rejection::Fault(fault)),
            _ if coverage < MIN_COVERAGE => Some(Rejection::Missing { coverage }),
            _ => None,
        };
        if let Some(why) = why {
            self.reject(why, cue);
            return;
        }
        let take = self.number();
        if let Phase::Judging(roll) = std::mem::replace(&mut self.phase, Phase::countdown()) {
            self.taken.push(roll.taken);
            self.rejected = None;
            cue(Cue::Taken { take });
        }
    }

    fn reject(&mut self, why: Rejection, cue: &mut dyn FnMut(Cue)) {
        let take = self.number();
        cue(Cue::Rejected { take, why });
        let times = self.rejected.map_or(0, |(times, _)| times);
        self.rejected = Some((times + 1, why));
        self.phase = Phase::countdown();
    }
}

impl Phase {
    fn countdown() -> Self {
        Self::Countdown {
            began_us: None,
            told: None,
        }
    }
}

fn micros(seconds: f32) -> u64 {
    (f64::from(seconds) * 1e6) as u64
}

/// Sound in which nothing moves, however short.
fn stands_still(samples: &Samples) -> Option<Fault> {
    let Samples::Sound(samples) = samples else {
        return None;
    };
    let first = *samples.first()?;
    let fault = match first == 0.0 {
        true => Fault::Silent,
        false => Fault::Stuck { what: "sound" },
    };
    samples
        .iter()
        .all(|sample| *sample == first)
        .then_some(fault)
}

fn sample(samples: &Samples, at: usize) -> Samples {
    match samples {
        Samples::Imu(samples) => Samples::Imu(vec![samples[at]]),
        Samples::Sound(samples) => Samples::Sound(vec![samples[at]]),
        Samples::Frames(frames) => Samples::Frames(vec![frames[at].clone()]),
    }
}

/// Appends a sample of the same sense.
fn push(taken: &mut Samples, samples: &Samples, at: usize) {
    match (taken, samples) {
        (Samples::Imu(taken), Samples::Imu(samples)) => taken.push(samples[at]),
        (Samples::Sound(taken), Samples::Sound(samples)) => taken.push(samples[at]),
        (Samples::Frames(taken), Samples::Frames(frames)) => taken.push(frames[at].clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests;

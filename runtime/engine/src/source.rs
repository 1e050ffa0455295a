//! Where samples come from.
//!
//! ```text
//! csv ──▶ replay ─┐
//! tty ──▶ serial ─┴▶ Feed ─▶ queue ─▶ stream
//! ```
//!
//! A source runs in a thread of its own and says what it meets as [`Signal`]s. Samples carry the
//! number that they have had since the sensor began, and their own time, so that nothing
//! downstream depends on when they came.

pub mod csv;
pub mod node;
pub mod replay;
pub mod serial;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use sensorium_core::ImuSample;
use sensorium_wire::DecodeCounts;
use thiserror::Error;

use crate::queue::{Item, Queue};

/// Why a source had to stop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The recording cannot be used.
    #[error(transparent)]
    Csv(#[from] csv::CsvError),
    /// The port cannot be opened.
    #[error("cannot open the port {port:?}")]
    Open {
        /// Its path.
        port: PathBuf,
        /// What the driver said.
        source: serialport::Error,
    },
    /// The port cannot be read any more: it was unplugged.
    #[error("the port {port:?} is gone")]
    Unplugged {
        /// Its path.
        port: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a source says.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// Samples that follow each other.
    Block(Block),
    /// The node began anew: numbers and times start again.
    Reboot {
        /// What tells this boot from the last.
        boot_id: u32,
    },
    /// A boot has told its number for the first time.
    Boot {
        /// What tells this boot from others.
        boot_id: u32,
    },
    /// The node's own counts.
    NodeCounts {
        /// When it counted, in microseconds since its boot.
        t_dev_us: u64,
        /// Samples taken since boot.
        sampled: u64,
        /// Samples that it could not send.
        dropped: u64,
    },
    /// What the link has carried so far.
    Frames(DecodeCounts),
}

/// Samples that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Number of the first one.
    pub index: u64,
    /// Its time, in microseconds of the source's clock.
    pub t_us: u64,
    /// How often the sensor samples, in millihertz.
    pub rate_mhz: u32,
    /// Time of each sample after that of the first, in microseconds.
    pub offsets_us: Vec<u64>,
    /// The samples.
    pub samples: Vec<ImuSample>,
    /// When the block arrived, in nanoseconds of the host's clock; none in a replay.
    pub t_host_ns: Option<i64>,
}

impl Item for Signal {
    fn droppable(&self) -> Option<u64> {
        match self {
            Self::Block(block) => Some(block.samples.len() as u64),
            _ => None,
        }
    }
}

/// What a source writes to.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    queue: &'a Queue<Signal>,
    stop: &'a AtomicBool,
    live: bool,
}

impl<'a> Feed<'a> {
    /// A feed into `queue`. In a `live` one, where now matters most, the oldest blocks are dropped
    /// and counted when the stream is too slow; else the source waits. `stop` ends the source.
    #[must_use]
    pub fn new(queue: &'a Queue<Signal>, stop: &'a AtomicBool, live: bool) -> Self {
        Self { queue, stop, live }
    }

    /// Passes a signal on. Returns whether the source shall go on.
    pub fn push(&self, signal: Signal) -> bool {
        let taken = if self.live {
            self.queue.push_or_drop(signal)
        } else {
            self.queue.push_or_wait(signal)
        };
        taken && !self.is_stopped()
    }

    /// Whether the source shall end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Where samples come from.
pub trait Source: Send + std::fmt::Debug {
    /// Reads until the source ends or [`Feed::push`] says so.
    ///
    /// # Errors
    ///
    /// The source is gone.
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError>;
}

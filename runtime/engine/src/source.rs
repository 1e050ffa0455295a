//! Where samples come from.
//!
//! ```text
//! csv, wav, frames ──▶ replay ─┐
//! mcap ──────────────▶ replay ─┤
//! tty ───────────────▶ serial ─┤
//! stdin, fifo ───────▶ pipe ───┤
//! alsa ──────────────▶ microphone
//! i2c, v4l2 ─────────▶ camera ─┴▶ Feed ─▶ queue ─▶ stream
//! ```
//!
//! A source runs in a thread of its own and says what it meets as [`Signal`]s. Samples carry the
//! number that they have had since the sensor began, and their own time, so that nothing
//! downstream depends on when they came.

pub mod camera;
pub mod csv;
pub mod i2c;
pub mod microphone;
pub mod node;
pub mod pipe;
pub mod replay;
pub mod retry;
pub mod serial;
pub mod v4l2;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use sensorium_core::ImuSample;
use sensorium_media::Numbers;
use sensorium_pack::Modality;
use sensorium_wire::{DecodeCounts, sample_time_us};
use thiserror::Error;

use crate::queue::{Item, Queue};
use crate::recording::ReadError;
use crate::vitals::Pulse;

/// Longest time that a block is held to span: an hour.
const MAX_SPAN_US: u64 = 3_600_000_000;

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
    /// The pipe cannot be opened.
    #[error("cannot open {path:?}")]
    OpenPipe {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody writes a WAV file where raw samples are wanted.
    #[error(
        "{path:?} begins as a WAV file does, expected raw samples, such as `arecord -t raw` writes"
    )]
    NotRaw {
        /// Its path.
        path: PathBuf,
    },
    /// The pipe cannot be read any more.
    #[error("cannot read {path:?}")]
    Pipe {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The recording cannot be read any further.
    #[error("{path:?}")]
    Mcap {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// A thermal array on a bus.
    #[error(transparent)]
    I2c(#[from] i2c::I2cError),
    /// A thermal or depth camera.
    #[error(transparent)]
    V4l2(#[from] v4l2::V4l2Error),
    /// A microphone.
    #[error(transparent)]
    Microphone(#[from] microphone::MicrophoneError),
    /// The port cannot be read any more: it was unplugged.
    #[error("the port {port:?} is gone")]
    Unplugged {
        /// Its path.
        port: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SourceError {
    /// Whether waiting does not help.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::I2c(i2c::I2cError::TooFast { .. }))
    }
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
    /// The device was unplugged, or its writer left; it is waited for.
    Gone,
    /// Samples came that are no numbers, and are not passed on.
    NotFinite,
    /// A recording of several streams says when the clock of this one was at 0.
    Origin {
        /// In microseconds since the recording began.
        at_us: i64,
    },
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
    /// Time of each sample after that of the first, in microseconds; none where they follow each
    /// other at the rate.
    pub offsets_us: Option<Vec<u64>>,
    /// The samples.
    pub samples: Samples,
    /// When the block arrived, in nanoseconds of the host's clock; none in a replay.
    pub t_host_ns: Option<i64>,
}

impl Block {
    /// When sample `at` of the block was taken, in microseconds of the source's clock.
    #[must_use]
    pub fn time_us(&self, at: usize) -> u64 {
        let offset_us = match &self.offsets_us {
            Some(offsets_us) => offsets_us.get(at).copied().unwrap_or(0),
            None => {
                let time_us = |index| sample_time_us(index, self.rate_mhz);
                let index = self.index.saturating_add(at as u64);
                time_us(index).saturating_sub(time_us(self.index))
            }
        };
        self.t_us.saturating_add(offset_us)
    }
}

/// Samples of one sense.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Inertial, in m/s² and rad/s.
    Imu(Vec<ImuSample>),
    /// Amplitudes of one channel of sound, full scale being -1 to 1.
    Sound(Vec<f32>),
    /// Frames of a thermal or depth camera.
    Frames(Vec<Frame>),
}

impl Samples {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Imu(samples) => samples.len(),
            Self::Sound(samples) => samples.len(),
            Self::Frames(frames) => frames.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One frame of a camera.
///
/// # Units
///
/// Depth in millimetres of 16 bits; thermal as the encoder's front end takes it: whole numbers are
/// counts, others degrees Celsius.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// The pixels, row by row.
    pub pixels: Numbers,
}

/// In what a stream of a sense is measured.
#[must_use]
pub fn unit(modality: Modality) -> &'static str {
    match modality {
        Modality::Imu => "m/s2 and rad/s",
        Modality::Audio => "amplitude, full scale 1",
        Modality::Depth => "millimetres",
        Modality::Thermal => "counts, or degrees Celsius where frames hold fractions",
        Modality::Image => "levels of grey",
        Modality::Text => "words",
    }
}

impl Item for Signal {
    fn droppable(&self) -> Option<u64> {
        match self {
            Self::Block(block) => Some(block.samples.len() as u64),
            _ => None,
        }
    }

    fn span_us(&self) -> u64 {
        match self {
            Self::Block(block) => {
                let span_us = sample_time_us(block.samples.len() as u64, block.rate_mhz);
                // A rate of next to nothing is refused later; sums must not overflow before.
                span_us.min(MAX_SPAN_US)
            }
            _ => 0,
        }
    }
}

/// What a source writes to.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    queue: &'a Queue<Signal>,
    stop: &'a AtomicBool,
    live: bool,
    pulse: Option<&'a Pulse>,
}

impl<'a> Feed<'a> {
    /// A feed into `queue`. In a `live` one, where now matters most, the oldest blocks are dropped
    /// and counted when the stream is too slow; else the source waits. `stop` ends the source.
    #[must_use]
    pub fn new(queue: &'a Queue<Signal>, stop: &'a AtomicBool, live: bool) -> Self {
        Self {
            queue,
            stop,
            live,
            pulse: None,
        }
    }

    /// The same; the source's thread beats whenever it pushes, or looks whether to stop.
    #[must_use]
    pub fn with_pulse(mut self, pulse: &'a Pulse) -> Self {
        self.pulse = Some(pulse);
        self
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

    /// Whether the source shall end. A source that waits looks several times a second: that is how it is
    /// known not to hang.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        if let Some(pulse) = self.pulse {
            pulse.beat();
        }
        self.stop.load(Ordering::Relaxed)
    }
}

/// Where samples come from.
pub trait Source: Send + std::fmt::Debug {
    /// Whether it plays what was recorded, so that it has no time but its samples'.
    fn is_recording(&self) -> bool {
        false
    }

    /// Whether, as a recording, it tells when its samples once arrived.
    fn tells_arrivals(&self) -> bool {
        false
    }

    /// In what its samples are measured, where the sense alone does not say; see [`unit()`].
    fn unit(&self) -> Option<String> {
        None
    }

    /// Reads until the source ends or [`Feed::push`] says so.
    ///
    /// # Errors
    ///
    /// The source is gone.
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError>;
}

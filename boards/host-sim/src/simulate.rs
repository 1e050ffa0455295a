use std::cell::Cell;
use std::convert::Infallible;
use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use embedded_io::{Write, WriteReady};
use sensorium_node::{Config, Identity, Node, Progress, Reading, SampleSource};
use sensorium_wire::{ImuBlock, ImuSample, Status, sample_time_us};
use serde::Serialize;

use crate::{DamageCounts, Destroyer};

/// How simulated time goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as the link takes bytes.
    Max,
    /// So many times as fast as it did. Must be positive.
    Times(f64),
}

/// How a node is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How often the sensor samples, in millihertz.
    pub rate_mhz: u32,
    /// How simulated time goes by.
    pub speed: Speed,
    /// Fraction of the frames to damage, 0 to 1.
    pub destroy: f64,
    /// Decides which frames are damaged and how.
    pub seed: u64,
    /// What the node says of itself.
    pub identity: Identity,
    /// How the node behaves.
    pub node: Config,
}

impl Settings {
    /// A node on a perfect link, as fast as it goes.
    pub fn at_rate_mhz(rate_mhz: u32) -> Self {
        Self {
            rate_mhz,
            speed: Speed::Max,
            destroy: 0.0,
            seed: 0,
            identity: Identity {
                firmware: [0, 1, 0],
                unique_id: *b"host-sim\0\0\0\0",
                boot_id: 1,
            },
            node: Config::default(),
        }
    }
}

/// What became of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Report {
    /// The node's own ledger. `sampled = sent + dropped`.
    pub status: Status,
    /// What was done to the frames that the node sent.
    pub damage: DamageCounts,
}

/// Runs a node over `samples` and stops it in order, or when `stop` is set.
pub fn simulate<I, L>(samples: I, settings: &Settings, link: L, stop: &AtomicBool) -> Report
where
    I: IntoIterator<Item = ImuSample>,
    L: Write + WriteReady,
{
    let clock_us = Cell::new(0);
    let rate_mhz = settings.rate_mhz;
    let replay = Replay {
        samples: samples.into_iter().peekable(),
        rate_mhz,
        index: 0,
    };
    let link = Destroyer::new(link, settings.destroy, settings.seed);
    let now_us = || clock_us.get();
    let mut node: Node<_, _, _> = Node::new(replay, link, now_us, settings.identity, settings.node);

    let pace = Pace::new(settings.speed);
    while !stop.load(Ordering::Relaxed)
        && let Some(next_us) = node.source().next_us()
    {
        pace.wait_until(next_us, stop);
        clock_us.set(next_us);
        while node.poll() == Progress::LinkFull
            && settings.speed == Speed::Max
            && !stop.load(Ordering::Relaxed)
        {
            std::thread::sleep(POLL);
        }
    }
    node.stop();
    while node.poll() != Progress::Finished {
        // Time goes on for a link that is full or broken, so that the node gives up in the end.
        std::thread::sleep(POLL);
        clock_us.set(clock_us.get() + pace.simulated_us(POLL));
    }
    Report {
        status: node.status(),
        damage: node.link().counts(),
    }
}

/// Between two tries of a link that is full.
const POLL: Duration = Duration::from_millis(2);
/// Longest sleep before `stop` is looked at again.
const NAP: Duration = Duration::from_millis(50);

/// Wall time by simulated time.
struct Pace {
    start: Instant,
    speed: Speed,
}

impl Pace {
    fn new(speed: Speed) -> Self {
        Self {
            start: Instant::now(),
            speed,
        }
    }

    fn wait_until(&self, simulated_us: u64, stop: &AtomicBool) {
        let Speed::Times(times) = self.speed else {
            return;
        };
        // A wait too long for a Duration is one that only `stop` ends.
        let wall = Duration::try_from_secs_f64(simulated_us as f64 / 1e6 / times);
        let wall = wall.unwrap_or(Duration::MAX);
        loop {
            let left = wall.saturating_sub(self.start.elapsed());
            if left.is_zero() || stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    fn simulated_us(&self, wall: Duration) -> u64 {
        let times = match self.speed {
            Speed::Max => 1.0,
            Speed::Times(times) => times,
        };
        // Truncation is meant; at least a microsecond, so that time goes on.
        ((wall.as_secs_f64() * times * 1e6) as u64).max(1)
    }
}

/// A sensor that takes the samples of a recording, evenly spaced.
struct Replay<I: Iterator> {
    samples: Peekable<I>,
    rate_mhz: u32,
    index: u64,
}

impl<I: Iterator<Item = ImuSample>> Replay<I> {
    /// When the next sample is due; `None` at the end.
    fn next_us(&mut self) -> Option<u64> {
        self.samples.peek()?;
        Some(sample_time_us(self.index, self.rate_mhz))
    }
}

impl<I: Iterator<Item = ImuSample>> SampleSource for Replay<I> {
    type Block = ImuBlock;
    type Error = Infallible;

    fn rate_mhz(&self) -> u32 {
        self.rate_mhz
    }

    fn scale(&self) {}

    fn read(&mut self, now_us: u64) -> Result<Reading<ImuSample>, Infallible> {
        let t_us = sample_time_us(self.index, self.rate_mhz);
        if t_us > now_us {
            return Ok(Reading::Nothing);
        }
        Ok(match self.samples.next() {
            Some(sample) => {
                self.index += 1;
                Reading::Sample { t_us, sample }
            }
            None => Reading::Nothing,
        })
    }
}

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

/// Runs a node over `samples` and stops it in order, at the end or when `stop` is set; at
/// [`Speed::Max`] also when the link fails, since nobody takes what is still to come.
///
/// A node that has stopped sees real time go by, whatever the speed, and so a link that is full or
/// broken holds it up for no longer than three times its
/// [`stop_timeout_us`](Config::stop_timeout_us).
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

    let (pace, mut failed) = (Pace::new(settings.speed), false);
    while !stop.load(Ordering::Relaxed)
        && let Some(next_us) = node.source().next_us()
    {
        pace.wait_until(next_us, stop);
        clock_us.set(next_us);
        let mut progress = node.poll();
        if settings.speed == Speed::Max {
            while progress == Progress::LinkFull && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(POLL);
                progress = node.poll();
            }
            failed = progress == Progress::LinkFailed;
            if failed {
                break;
            }
        }
    }

    node.stop();
    let timeout_us = u64::from(settings.node.stop_timeout_us);
    let mut looked = Instant::now();
    while node.poll() != Progress::Finished {
        std::thread::sleep(POLL);
        let waited_us = u64::try_from(looked.elapsed().as_micros()).unwrap_or(u64::MAX);
        looked = Instant::now();
        // What has been given up is not waited for again.
        let step_us = if failed { timeout_us } else { waited_us };
        clock_us.set(clock_us.get().saturating_add(step_us));
    }
    // The node is done, but the last of its frames may still wait for room in the link.
    let done = Instant::now();
    while let Ok(false) = node.link().write_ready()
        && done.elapsed() < Duration::from_micros(timeout_us)
    {
        std::thread::sleep(POLL);
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

//! A recording, played.

use std::time::{Duration, Instant};

use sensorium_wire::sample_time_us;

use super::csv::Recording;
use super::{Block, Feed, Signal, Source, SourceError};

/// Samples that are passed on together.
const BLOCK_LEN: usize = 16;

/// Longest sleep before looking whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// Plays a recording, as fast as it can or so many times as fast as it was.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    rate_mhz: u32,
    speed: Option<f64>,
}

impl Replay {
    /// A replay of samples taken `rate_mhz` millihertz apart, where the recording does not say
    /// their times. Without `speed` it does not wait.
    #[must_use]
    pub fn new(recording: Recording, rate_mhz: u32, speed: Option<f64>) -> Self {
        Self {
            recording,
            rate_mhz,
            speed,
        }
    }

    fn time_us(&self, index: usize) -> u64 {
        match &self.recording.times_us {
            Some(times_us) => times_us[index],
            None => sample_time_us(index as u64, self.rate_mhz),
        }
    }
}

impl Source for Replay {
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let began = Instant::now();
        let origin_us = self.time_us(0);
        let len = self.recording.samples.len();
        for start in (0..len).step_by(BLOCK_LEN) {
            let end = (start + BLOCK_LEN).min(len);
            let t_us = self.time_us(start);
            if let Some(speed) = self.speed {
                let since_us = self.time_us(end - 1) - origin_us;
                let due = Duration::from_secs_f64(since_us as f64 / 1e6 / speed);
                if !sleep_until(began, due, feed) {
                    break;
                }
            }
            let block = Block {
                index: start as u64,
                t_us,
                rate_mhz: self.rate_mhz,
                offsets_us: (start..end).map(|i| self.time_us(i) - t_us).collect(),
                samples: self.recording.samples[start..end].to_vec(),
                t_host_ns: None,
            };
            if !feed.push(Signal::Block(block)) {
                break;
            }
        }
        Ok(())
    }
}

/// Sleeps until `due` has passed since `began`. Returns whether to go on.
fn sleep_until(began: Instant, due: Duration, feed: Feed<'_>) -> bool {
    while let Some(left) = due.checked_sub(began.elapsed()) {
        if feed.is_stopped() {
            return false;
        }
        std::thread::sleep(left.min(NAP));
    }
    true
}

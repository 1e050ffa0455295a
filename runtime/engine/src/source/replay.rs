//! A recording, played.

use std::time::{Duration, Instant};

use sensorium_media::{NumberArray, Sound};
use sensorium_wire::sample_time_us;

use super::csv::Recording;
use super::{Block, Feed, Frame, Samples, Signal, Source, SourceError};

/// Inertial samples that are passed on together.
const IMU_BLOCK: usize = 16;

/// Samples of sound that are passed on together: 32 ms at 16 kHz.
const SOUND_BLOCK: usize = 512;

/// Longest sleep before looking whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// Plays a recording, as fast as it can or so many times as fast as it was.
#[derive(Debug)]
pub struct Replay {
    played: Played,
    times_us: Option<Vec<u64>>,
    rate_mhz: u32,
    speed: Option<f64>,
}

/// What was recorded.
#[derive(Debug)]
enum Played {
    Imu(Recording),
    Sound(Vec<f32>),
    Frames(NumberArray),
}

impl Replay {
    /// A replay of samples taken `rate_mhz` millihertz apart, where the recording does not say
    /// their times. Without `speed` it does not wait.
    #[must_use]
    pub fn new(mut recording: Recording, rate_mhz: u32, speed: Option<f64>) -> Self {
        Self {
            times_us: recording.times_us.take(),
            played: Played::Imu(recording),
            rate_mhz,
            speed,
        }
    }

    /// As [`new`](Self::new), of the mean of a sound's channels.
    #[must_use]
    pub fn of_sound(sound: &Sound, speed: Option<f64>) -> Self {
        Self {
            played: Played::Sound(sound.mono()),
            times_us: None,
            rate_mhz: sound.rate_hz.saturating_mul(1000),
            speed,
        }
    }

    /// As [`new`](Self::new), of frames `[frames, height, width]`.
    #[must_use]
    pub fn of_frames(frames: NumberArray, rate_mhz: u32, speed: Option<f64>) -> Self {
        Self {
            played: Played::Frames(frames),
            times_us: None,
            rate_mhz,
            speed,
        }
    }

    fn time_us(&self, index: usize) -> u64 {
        match &self.times_us {
            Some(times_us) => times_us[index],
            None => sample_time_us(index as u64, self.rate_mhz),
        }
    }
}

impl Played {
    fn len(&self) -> usize {
        match self {
            Self::Imu(recording) => recording.samples.len(),
            Self::Sound(samples) => samples.len(),
            Self::Frames(array) => array.shape.first().copied().unwrap_or(0),
        }
    }

    /// Samples that are passed on together.
    fn block_len(&self) -> usize {
        match self {
            Self::Imu(_) => IMU_BLOCK,
            Self::Sound(_) => SOUND_BLOCK,
            Self::Frames(_) => 1,
        }
    }

    fn samples(&self, start: usize, end: usize) -> Samples {
        match self {
            Self::Imu(recording) => Samples::Imu(recording.samples[start..end].to_vec()),
            Self::Sound(samples) => Samples::Sound(samples[start..end].to_vec()),
            Self::Frames(array) => {
                let frame = |at: usize| {
                    let row = array.rows(at..at + 1)?;
                    let &[_, height, width] = &row.shape[..] else {
                        return None;
                    };
                    Some(Frame {
                        height,
                        width,
                        pixels: row.numbers,
                    })
                };
                Samples::Frames((start..end).filter_map(frame).collect())
            }
        }
    }
}

impl Source for Replay {
    fn is_recording(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let began = Instant::now();
        let len = self.played.len();
        let origin_us = if len > 0 { self.time_us(0) } else { 0 };
        for start in (0..len).step_by(self.played.block_len()) {
            let end = (start + self.played.block_len()).min(len);
            let t_us = self.time_us(start);
            if let Some(speed) = self.speed {
                let since_us = self.time_us(end - 1) - origin_us;
                let due = Duration::from_secs_f64(since_us as f64 / 1e6 / speed);
                if !sleep_until(began, due, feed) {
                    break;
                }
            }
            let told = self.times_us.as_ref().map(|times_us| &times_us[start..end]);
            let block = Block {
                index: start as u64,
                t_us,
                rate_mhz: self.rate_mhz,
                offsets_us: told.map(|told| told.iter().map(|time| time - t_us).collect()),
                samples: self.played.samples(start, end),
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
pub(crate) fn sleep_until(began: Instant, due: Duration, feed: Feed<'_>) -> bool {
    while let Some(left) = due.checked_sub(began.elapsed()) {
        if feed.is_stopped() {
            return false;
        }
        std::thread::sleep(left.min(NAP));
    }
    true
}

//! Cameras: devices that give frames when they have them, with the time at which they were taken.
//!
//! Frames have the times that the system's monotonic clock had. Where a device counts its frames, its
//! count tells how many did not come; else it is what the time since the last one would have held.

use std::fmt::Debug;

use rustix::time::{ClockId, clock_gettime};

use super::retry::Retry;
use super::serial::now_ns;
use super::{Block, Feed, Frame, Samples, Signal, Source, SourceError};

/// A gap of less than so many frames holds none: no camera and no host keeps time to a hair.
const LEAST_GAP: f64 = 1.75;

/// A device that gives frames.
pub trait Camera: Send + Debug {
    /// Waits a little for the next frame; none if there is none yet.
    ///
    /// # Errors
    ///
    /// The device is gone, or gives what it must not.
    fn next(&mut self) -> Result<Option<Shot>, SourceError>;

    /// Frames a second, in millihertz.
    fn rate_mhz(&self) -> u32;

    /// A frame of nothing, in the form of all others.
    fn blank(&self) -> Frame;
}

/// A frame, as a camera gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// The frame.
    pub frame: Frame,
    /// When it was taken, in nanoseconds of the monotonic clock.
    pub taken_ns: i64,
    /// Its number since the camera was opened, where that counts those that did not come.
    pub number: Option<u32>,
}

/// What opens a camera, again and again.
pub trait Opener: Send + Debug {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// There is none, or it is not what it is held to be.
    fn open(&self) -> Result<Box<dyn Camera>, SourceError>;
}

/// The frames of a camera.
#[derive(Debug)]
pub struct Frames<O> {
    opener: O,
    camera: Box<dyn Camera>,
    unit: String,
    retry: Retry,
}

impl<O: Opener> Frames<O> {
    /// Opens a camera whose pixels are of a `unit`. One that goes away later is not waited for.
    ///
    /// # Errors
    ///
    /// As of [`Opener::open`].
    pub fn open(opener: O, unit: String) -> Result<Self, SourceError> {
        Ok(Self {
            camera: opener.open()?,
            opener,
            unit,
            retry: Retry::For(std::time::Duration::ZERO),
        })
    }

    /// The same, waited for when it goes away.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The camera.
    #[must_use]
    pub fn camera(&self) -> &dyn Camera {
        &*self.camera
    }

    /// Waits until the camera is back. Returns whether it is.
    fn wait(&mut self, feed: Feed<'_>) -> bool {
        let mut backoff = self.retry.begin();
        while backoff.wait(feed) {
            if let Ok(camera) = self.opener.open() {
                self.camera = camera;
                return true;
            }
        }
        false
    }
}

impl<O: Opener> Source for Frames<O> {
    fn unit(&self) -> Option<String> {
        Some(self.unit.clone())
    }

    fn run(mut self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let mut count = Count::default();
        while !feed.is_stopped() {
            let shot = match self.camera.next() {
                Ok(None) => continue,
                Ok(Some(shot)) => shot,
                Err(error) => {
                    count.reopen();
                    if error.is_lasting() {
                        return Err(error);
                    }
                    if !feed.push(Signal::Gone) || !self.wait(feed) {
                        return if feed.is_stopped() {
                            Ok(())
                        } else {
                            Err(error)
                        };
                    }
                    continue;
                }
            };
            let rate_mhz = self.camera.rate_mhz();
            let (index, t_us) = count.take(&shot, rate_mhz);
            let age_ns = monotonic_ns().saturating_sub(shot.taken_ns).max(0);
            let block = Block {
                index,
                t_us,
                rate_mhz,
                offsets_us: None,
                samples: Samples::Frames(vec![shot.frame]),
                t_host_ns: Some(now_ns().saturating_sub(age_ns)),
            };
            if !feed.push(Signal::Block(block)) {
                break;
            }
        }
        Ok(())
    }
}

/// Numbers the frames of a camera, and those that did not come.
#[derive(Debug, Clone, Default)]
struct Count {
    /// When the first frame was taken.
    first_ns: Option<i64>,
    last: Option<Last>,
}

/// The frame before.
#[derive(Debug, Clone, Copy)]
struct Last {
    index: u64,
    taken_ns: i64,
    number: Option<u32>,
}

impl Count {
    /// The camera counts anew.
    fn reopen(&mut self) {
        if let Some(last) = &mut self.last {
            last.number = None;
        }
    }

    /// The number of a frame, and its time since the first in microseconds.
    fn take(&mut self, shot: &Shot, rate_mhz: u32) -> (u64, u64) {
        let first_ns = *self.first_ns.get_or_insert(shot.taken_ns);
        let index = self
            .last
            .map_or(0, |last| last.index + last.step(shot, rate_mhz));
        self.last = Some(Last {
            index,
            taken_ns: shot.taken_ns,
            number: shot.number,
        });
        let since_ns = shot.taken_ns.saturating_sub(first_ns);
        (index, u64::try_from(since_ns).unwrap_or(0) / 1000)
    }
}

impl Last {
    /// How many frames later another one is.
    fn step(self, shot: &Shot, rate_mhz: u32) -> u64 {
        if let (Some(last), Some(number)) = (self.number, shot.number) {
            return u64::from(number.wrapping_sub(last)).max(1);
        }
        let gap_s = shot.taken_ns.saturating_sub(self.taken_ns) as f64 / 1e9;
        let frames = gap_s * f64::from(rate_mhz) / 1e3;
        if frames < LEAST_GAP {
            1
        } else {
            frames.round() as u64
        }
    }
}

/// Nanoseconds of the clock that nobody sets.
pub(super) fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec)
}

#[cfg(test)]
mod tests;

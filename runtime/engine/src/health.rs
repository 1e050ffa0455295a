//! Whether a sensor still senses: stuck, clipped, saturated, silent, blind, or giving no numbers.
//!
//! ```text
//! samples ─▶ half a second ─▶ half a second ─▶ …      each is sound, or has a fault
//!                 │ fault: told at its end, within 2 s of its beginning
//!                 ▼
//!            what was bad counts as missing from every window that it lies in
//! ```
//!
//! A dead sensor gives numbers, too, and the encoder an embedding for them; the events that would come
//! of it are what nobody can tell from real ones.

use std::fmt;

use sensorium_core::ImuSample;
use sensorium_media::Numbers;
use sensorium_pack::Modality;

use crate::source::{Block, Frame, Samples};

/// Faults are told at the end of such stretches, in microseconds.
const STRETCH_US: u64 = 500_000;

/// What does not change for this long is stuck. With a stretch more it is told within 2 s. No sensor
/// of this kind is so quiet: a microphone, an accelerometer, a thermal array each have noise of more
/// than a step.
const STUCK_US: u64 = 1_250_000;

/// Frames that have to be the same to be stuck.
const STUCK_FRAMES: u64 = 3;

/// Full scale of sound, a step below 1 of 16 bits.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// Share of a stretch's samples at full scale from which sound is clipped. Loud music has some.
const CLIPPED: f32 = 0.05;

/// Least full scale of inertial sensors, ±2 g and ±125 °/s, less 1 %: no axis that reads less is at
/// its end.
const IMU_FULL_SCALE: [f32; 2] = [19.4, 2.15];

/// Share of a stretch's samples at one axis' largest value from which it is saturated: measured values
/// do not repeat to the last bit.
const SATURATED: f32 = 0.2;

/// Share of a frame's pixels that may be without a measurement, or at the end of their range.
const BLIND: f32 = 0.99;
const BRIGHT: f32 = 0.5;

/// What is wrong with a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It was unplugged, or its writer left.
    Gone,
    /// Nothing comes of it.
    Absent,
    /// What comes does not change.
    Stuck {
        /// What does not.
        what: &'static str,
    },
    /// Sound of zeros.
    Silent,
    /// Sound is cut off at full scale.
    Clipped,
    /// Values lie at the end of their range.
    Saturated {
        /// Which.
        what: &'static str,
    },
    /// Values are no numbers.
    NotFinite,
    /// Frames hold no measurement.
    Blind,
}

impl Fault {
    /// In one word, as metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Absent => "absent",
            Self::Stuck { .. } => "stuck",
            Self::Silent => "silent",
            Self::Clipped => "clipped",
            Self::Saturated { .. } => "saturated",
            Self::NotFinite => "not-finite",
            Self::Blind => "blind",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is gone"),
            Self::Absent => f.write_str("nothing comes"),
            Self::Stuck { what } => write!(f, "{what} is stuck at one value"),
            Self::Silent => f.write_str("nothing but zeros comes"),
            Self::Clipped => f.write_str("it is clipped at full scale"),
            Self::Saturated { what } => write!(f, "{what} is at the end of its range"),
            Self::NotFinite => f.write_str("values are no numbers"),
            Self::Blind => f.write_str("no pixel holds a measurement"),
        }
    }
}

/// Watches the samples of one stream.
#[derive(Debug)]
pub(crate) struct Monitor {
    modality: Modality,
    /// End of the stretch that is being watched; none before the first sample.
    ends_us: Option<u64>,
    newest_us: u64,
    /// Samples of the stretch, and how many of them have which fault.
    seen: Seen,
    repeats: [Repeat; 2],
    last_frame: Option<Frame>,
    fault: Option<Fault>,
    bad: Bad,
}

/// What was bad, in microseconds of the source's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bad {
    from_us: u64,
    to_us: u64,
}

impl Bad {
    /// The share of a window that was bad.
    pub(crate) fn share_of(self, t_start_us: u64, t_end_us: u64) -> f32 {
        let (from_us, to_us) = (self.from_us.max(t_start_us), self.to_us.min(t_end_us));
        let window_us = t_end_us.saturating_sub(t_start_us).max(1);
        to_us.saturating_sub(from_us) as f32 / window_us as f32
    }
}

/// Counts of one stretch.
#[derive(Debug, Clone, Default)]
struct Seen {
    samples: u32,
    not_finite: u32,
    clipped: u32,
    blind: u32,
    bright: u32,
    /// The values of each inertial axis.
    axes: [Vec<f32>; 6],
}

/// How long something has been the same.
#[derive(Debug, Clone, Copy, Default)]
struct Repeat {
    value: Option<[f32; 3]>,
    since_us: u64,
    times: u64,
}

impl Repeat {
    fn see(&mut self, t_us: u64, value: [f32; 3]) {
        self.see_same(t_us, self.value == Some(value));
        self.value = Some(value);
    }

    fn see_same(&mut self, t_us: u64, is_same: bool) {
        if is_same {
            self.times += 1;
        } else {
            (self.since_us, self.times) = (t_us, 1);
        }
    }

    fn is_stuck(&self, t_us: u64) -> bool {
        self.times >= STUCK_FRAMES && t_us.saturating_sub(self.since_us) >= STUCK_US
    }
}

impl Monitor {
    pub(crate) fn new(modality: Modality) -> Self {
        Self {
            modality,
            ends_us: None,
            newest_us: 0,
            seen: Seen::default(),
            repeats: [Repeat::default(); 2],
            last_frame: None,
            fault: None,
            bad: Bad::default(),
        }
    }

    /// What is wrong, if anything.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The newest stretch of time that was bad.
    pub(crate) fn bad(&self) -> Bad {
        self.bad
    }

    /// Forgets what it saw: the clock begins anew.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            fault: self.fault,
            ..Self::new(self.modality)
        };
    }

    /// Something other than its samples says what is wrong.
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.begin(fault, self.newest_us);
        self.seen = Seen::default();
        self.ends_us = None;
    }

    /// Takes samples.
    pub(crate) fn take(&mut self, block: &Block) {
        match &block.samples {
            Samples::Imu(samples) => {
                for (at, sample) in samples.iter().enumerate() {
                    self.step(block.time_us(at));
                    self.see_imu(sample);
                }
            }
            Samples::Sound(samples) => {
                for (at, sample) in samples.iter().enumerate() {
                    self.step(block.time_us(at));
                    self.see_sound(*sample);
                }
            }
            Samples::Frames(frames) => {
                for (at, frame) in frames.iter().enumerate() {
                    self.step(block.time_us(at));
                    self.see_frame(frame);
                }
            }
        }
    }

    /// Moves on to the time of the next sample, and judges the stretch that ends before it.
    fn step(&mut self, t_us: u64) {
        let ends_us = *self.ends_us.get_or_insert(t_us.saturating_add(STRETCH_US));
        if t_us >= ends_us {
            self.judge();
            self.seen = Seen::default();
            self.ends_us = Some(t_us.saturating_add(STRETCH_US));
        }
        self.newest_us = self.newest_us.max(t_us);
        self.seen.samples += 1;
    }

    fn judge(&mut self) {
        let stretch_us = self.newest_us.saturating_sub(STRETCH_US);
        match self.found() {
            Some((fault, since_us)) => self.begin(fault, since_us.unwrap_or(stretch_us)),
            None if self.fault.is_some() => {
                self.fault = None;
                self.bad.to_us = self.bad.to_us.min(stretch_us);
            }
            None => {}
        }
    }

    fn begin(&mut self, fault: Fault, since_us: u64) {
        if self.fault.is_none() {
            self.bad.from_us = since_us;
        }
        self.bad.to_us = u64::MAX;
        self.fault = Some(fault);
    }

    /// What is wrong with the stretch, and since when, where that is known.
    fn found(&self) -> Option<(Fault, Option<u64>)> {
        let seen = &self.seen;
        let share = |count: u32| count as f32 / seen.samples.max(1) as f32;
        let stuck = |at: usize, what| {
            let repeat = self.repeats[at];
            let fault = (Fault::Stuck { what }, Some(repeat.since_us));
            repeat.is_stuck(self.newest_us).then_some(fault)
        };
        if seen.not_finite > 0 {
            return Some((Fault::NotFinite, None));
        }
        match self.modality {
            Modality::Imu => stuck(0, "the accelerometer")
                .or_else(|| stuck(1, "the gyroscope"))
                .or_else(|| Some((self.saturated()?, None))),
            Modality::Audio => {
                let is_zero = self.repeats[0].value == Some([0.0; 3]);
                match stuck(0, "sound") {
                    Some((_, since_us)) if is_zero => Some((Fault::Silent, since_us)),
                    None if share(seen.clipped) > CLIPPED => Some((Fault::Clipped, None)),
                    stuck => stuck,
                }
            }
            _ if share(seen.blind) > 0.5 => Some((Fault::Blind, None)),
            _ if share(seen.bright) > 0.5 => {
                let what = "the greater part of the picture";
                Some((Fault::Saturated { what }, None))
            }
            _ => stuck(0, "the picture"),
        }
    }

    fn see_imu(&mut self, sample: &ImuSample) {
        let parts = [sample.accel_mps2, sample.gyro_radps];
        for (repeat, value) in self.repeats.iter_mut().zip(parts) {
            repeat.see(self.newest_us, value);
        }
        self.seen.not_finite += u32::from(!sample.is_finite());
        for (axis, value) in self.seen.axes.iter_mut().zip(parts.concat()) {
            axis.push(value);
        }
    }

    /// Whether an axis lies at one end for a good part of the stretch.
    fn saturated(&self) -> Option<Fault> {
        const NAMES: [&str; 6] = [
            "acceleration x",
            "acceleration y",
            "acceleration z",
            "angular rate x",
            "angular rate y",
            "angular rate z",
        ];
        let at_end = |values: &[f32], end: f32| values.iter().filter(|v| **v == end).count();
        let is_saturated = |axis: usize| {
            let values = &self.seen.axes[axis];
            let ends = [
                values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                values.iter().copied().fold(f32::INFINITY, f32::min),
            ];
            ends.into_iter().any(|end| {
                let share = at_end(values, end) as f32 / values.len().max(1) as f32;
                end.abs() >= IMU_FULL_SCALE[axis / 3] && share >= SATURATED
            })
        };
        let axis = (0..6).find(|axis| is_saturated(*axis))?;
        Some(Fault::Saturated { what: NAMES[axis] })
    }

    fn see_sound(&mut self, sample: f32) {
        self.repeats[0].see(self.newest_us, [sample; 3]);
        self.seen.not_finite += u32::from(!sample.is_finite());
        self.seen.clipped += u32::from(sample.abs() >= FULL_SCALE);
    }

    fn see_frame(&mut self, frame: &Frame) {
        let is_same = self.last_frame.as_ref() == Some(frame);
        self.repeats[0].see_same(self.newest_us, is_same);
        if !is_same {
            self.last_frame = Some(frame.clone());
        }
        let pixels = frame.pixels.len().max(1) as f32;
        let is_depth = self.modality == Modality::Depth;
        let (empty, bright) = match &frame.pixels {
            Numbers::U8(pixels) => (0, pixels.iter().filter(|v| **v == u8::MAX).count()),
            Numbers::U16(pixels) if is_depth => {
                let is_empty = |mm: &&u16| [0, u16::MAX].contains(*mm);
                (pixels.iter().filter(is_empty).count(), 0)
            }
            Numbers::U16(pixels) => (0, pixels.iter().filter(|v| **v == u16::MAX).count()),
            Numbers::F32(pixels) => (pixels.iter().filter(|v| !v.is_finite()).count(), 0),
            Numbers::F64(pixels) => (pixels.iter().filter(|v| !v.is_finite()).count(), 0),
            _ => (0, 0),
        };
        self.seen.blind += u32::from(empty as f32 / pixels > BLIND);
        self.seen.bright += u32::from(bright as f32 / pixels > BRIGHT);
    }
}

#[cfg(test)]
mod tests;

//! Overlapping windows over a stream of samples, gaps kept as gaps.
//!
//! Samples are put into the slots of a regular grid by their time, so a lost block leaves empty
//! slots and never joins what lay on both sides of it.
//!
//! ```text
//! slots     ▮▮▮▮▮▮▯▯▮▮▮▮▮▮▮▮▮▮      ▯ lost
//! window 0  └────────┘              coverage 0.8
//! window 1      └────────┘
//! ```

use thiserror::Error;

/// A value that can stand for a missing one between two others.
pub trait Interpolate: Copy {
    /// The value at `fraction` (0 to 1) of the way from `self` to `other`.
    #[must_use]
    fn interpolate(self, other: Self, fraction: f32) -> Self;
}

impl Interpolate for f32 {
    fn interpolate(self, other: Self, fraction: f32) -> Self {
        self + (other - self) * fraction
    }
}

impl Interpolate for crate::ImuSample {
    fn interpolate(self, other: Self, fraction: f32) -> Self {
        let mix =
            |a: [f32; 3], b: [f32; 3]| core::array::from_fn(|i| a[i] + (b[i] - a[i]) * fraction);
        Self {
            accel_mps2: mix(self.accel_mps2, other.accel_mps2),
            gyro_radps: mix(self.gyro_radps, other.gyro_radps),
        }
    }
}

/// Length and spacing of windows, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowShape {
    /// Samples in a window.
    pub len: usize,
    /// Samples from the start of one window to the start of the next.
    pub hop: usize,
    /// Sample rate, in millihertz.
    pub rate_mhz: u32,
}

/// Why windows of a shape cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WindowError {
    /// A window without samples, or one that would not fit.
    #[error("a window of {len} samples, expected 1 to {capacity}")]
    Len {
        /// Samples asked for.
        len: usize,
        /// Samples that there is room for.
        capacity: usize,
    },
    /// The hop is zero, or would skip samples.
    #[error("a hop of {hop} samples, expected 1 to the window's {len}")]
    Hop {
        /// Samples asked for.
        hop: usize,
        /// Samples in a window.
        len: usize,
    },
    /// The rate is zero.
    #[error("a rate of 0 Hz")]
    Rate,
}

/// One complete window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window<'a, T> {
    /// Time of the first slot, in microseconds of the stream's own clock.
    pub t_start_us: u64,
    /// Time at which the last slot ends.
    pub t_end_us: u64,
    /// The samples in order; missing ones are interpolated between their neighbours, or hold the
    /// nearest one at either end.
    pub samples: &'a [T],
    /// Fraction of the slots that a sample arrived for, more than 0.
    pub coverage: f32,
}

/// What became of the samples and windows of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowCounts {
    /// Windows given out.
    pub made: u64,
    /// Windows in which no sample arrived at all, so none was given out.
    pub empty: u64,
    /// Samples refused because their slot had passed or was taken.
    pub late: u64,
}

/// Where a windower keeps its samples, and the window that it gives out.
pub trait Slots {
    /// A sample.
    type Sample;

    /// Slot `n` of a stream is kept at `n` modulo their number.
    fn ring(&mut self) -> &mut [Option<Self::Sample>];

    /// As many places as the ring has, beside it.
    fn ring_and_scratch(&mut self) -> (&mut [Option<Self::Sample>], &mut [Self::Sample]);
}

/// Slots in the windower itself: fixed memory.
#[derive(Debug)]
pub struct Inline<T, const SLOTS: usize> {
    ring: [Option<T>; SLOTS],
    scratch: [T; SLOTS],
}

impl<T: Copy + Default, const SLOTS: usize> Default for Inline<T, SLOTS> {
    fn default() -> Self {
        Self {
            ring: [None; SLOTS],
            scratch: [T::default(); SLOTS],
        }
    }
}

impl<T, const SLOTS: usize> Slots for Inline<T, SLOTS> {
    type Sample = T;

    fn ring(&mut self) -> &mut [Option<T>] {
        &mut self.ring
    }

    fn ring_and_scratch(&mut self) -> (&mut [Option<T>], &mut [T]) {
        (&mut self.ring, &mut self.scratch)
    }
}

/// Slots on the heap, for windows of seconds of sound: as many as are asked for, and no more.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct OnHeap<T> {
    ring: alloc::vec::Vec<Option<T>>,
    scratch: alloc::vec::Vec<T>,
}

#[cfg(feature = "alloc")]
impl<T: Copy + Default> OnHeap<T> {
    /// So many empty slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            ring: alloc::vec![None; slots],
            scratch: alloc::vec![T::default(); slots],
        }
    }
}

#[cfg(feature = "alloc")]
impl<T> Slots for OnHeap<T> {
    type Sample = T;

    fn ring(&mut self) -> &mut [Option<T>] {
        &mut self.ring
    }

    fn ring_and_scratch(&mut self) -> (&mut [Option<T>], &mut [T]) {
        (&mut self.ring, &mut self.scratch)
    }
}

/// Cuts one stream into windows; holds as many samples as there are slots.
#[derive(Debug)]
pub struct Windower<S> {
    shape: WindowShape,
    slots: S,
    /// Number of slots.
    len: u64,
    /// Time of slot 0; none before the first sample.
    origin_us: Option<u64>,
    /// The slot after the newest one.
    next_slot: u64,
    /// First slot of the next window to give out.
    next_window: u64,
    counts: WindowCounts,
}

impl<S: Slots<Sample: Interpolate>> Windower<S> {
    /// A windower waiting for its first sample.
    ///
    /// # Errors
    ///
    /// A shape without samples, hop or rate, or one longer than there are slots.
    pub fn new(shape: WindowShape, mut slots: S) -> Result<Self, WindowError> {
        let WindowShape { len, hop, rate_mhz } = shape;
        let capacity = slots.ring().len();
        if len == 0 || len > capacity {
            return Err(WindowError::Len { len, capacity });
        }
        if hop == 0 || hop > len {
            return Err(WindowError::Hop { hop, len });
        }
        if rate_mhz == 0 {
            return Err(WindowError::Rate);
        }
        Ok(Self {
            shape,
            slots,
            len: capacity as u64,
            origin_us: None,
            next_slot: 0,
            next_window: 0,
            counts: WindowCounts::default(),
        })
    }

    /// The shape that this windower was made with.
    #[must_use]
    pub fn shape(&self) -> WindowShape {
        self.shape
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> WindowCounts {
        self.counts
    }

    /// Forgets the samples held, so that the next one starts a new grid (after a reboot).
    pub fn restart(&mut self) {
        self.slots.ring().fill(None);
        (self.origin_us, self.next_slot, self.next_window) = (None, 0, 0);
    }

    /// Takes one sample and calls `emit` for each window that is complete with it. Returns whether
    /// the sample was taken: not if it is older than the newest one or falls into its slot.
    pub fn push(
        &mut self,
        t_us: u64,
        sample: S::Sample,
        mut emit: impl FnMut(Window<'_, S::Sample>),
    ) -> bool {
        let origin_us = *self.origin_us.get_or_insert(t_us);
        let slot = match t_us.checked_sub(origin_us) {
            Some(since_us) => self.nearest_slot(since_us),
            None => {
                self.counts.late += 1;
                return false;
            }
        };
        if slot < self.next_slot {
            self.counts.late += 1;
            return false;
        }
        // Windows that end before this sample are complete, with whatever gap it leaves.
        self.advance(slot, &mut emit);
        self.put(slot, Some(sample));
        self.next_slot = slot + 1;
        self.emit_complete(&mut emit);
        true
    }

    /// Leaves every slot up to `slot` empty, giving out the windows that are complete thereby.
    fn advance(&mut self, slot: u64, emit: &mut impl FnMut(Window<'_, S::Sample>)) {
        // Past a whole ring of missing slots nothing is left to give out but empty windows.
        let walk_end = slot.min(self.next_slot + self.len);
        while self.next_slot < walk_end {
            self.put(self.next_slot, None);
            self.next_slot += 1;
            self.emit_complete(emit);
        }
        if self.next_slot < slot {
            let hop = self.shape.hop as u64;
            let skipped = (slot - self.shape.len as u64).saturating_sub(self.next_window) / hop;
            self.counts.empty += skipped;
            self.next_window += skipped * hop;
            self.next_slot = slot;
            self.emit_complete(emit);
        }
    }

    fn emit_complete(&mut self, emit: &mut impl FnMut(Window<'_, S::Sample>)) {
        while self.next_window + self.shape.len as u64 <= self.next_slot {
            let first = self.next_window;
            self.next_window += self.shape.hop as u64;
            let present = self.fill_scratch(first);
            if present == 0 {
                self.counts.empty += 1;
                continue;
            }
            self.counts.made += 1;
            let (t_start_us, t_end_us) = (
                self.slot_time_us(first),
                self.slot_time_us(first + self.shape.len as u64),
            );
            emit(Window {
                t_start_us,
                t_end_us,
                samples: &self.slots.ring_and_scratch().1[..self.shape.len],
                coverage: present as f32 / self.shape.len as f32,
            });
        }
    }

    /// Copies the window into the scratch space, closing its gaps; returns the samples present.
    fn fill_scratch(&mut self, first: u64) -> usize {
        let (ring, scratch) = self.slots.ring_and_scratch();
        let mut present = 0;
        let mut last: Option<(usize, S::Sample)> = None;
        for i in 0..self.shape.len {
            let Some(sample) = ring[((first + i as u64) % self.len) as usize] else {
                continue;
            };
            present += 1;
            match last {
                None => scratch[..i].fill(sample),
                Some((from, before)) => {
                    for (nth, missing) in scratch[from + 1..i].iter_mut().enumerate() {
                        let fraction = (nth + 1) as f32 / (i - from) as f32;
                        *missing = before.interpolate(sample, fraction);
                    }
                }
            }
            scratch[i] = sample;
            last = Some((i, sample));
        }
        if let Some((from, sample)) = last {
            scratch[from + 1..self.shape.len].fill(sample);
        }
        present
    }

    fn put(&mut self, slot: u64, sample: Option<S::Sample>) {
        let at = (slot % self.len) as usize;
        self.slots.ring()[at] = sample;
    }

    fn nearest_slot(&self, since_us: u64) -> u64 {
        let rate_mhz = u128::from(self.shape.rate_mhz);
        ((u128::from(since_us) * rate_mhz + 500_000_000) / 1_000_000_000) as u64
    }

    fn slot_time_us(&self, slot: u64) -> u64 {
        let since_us = u128::from(slot) * 1_000_000_000 / u128::from(self.shape.rate_mhz);
        self.origin_us.unwrap_or(0).saturating_add(since_us as u64)
    }
}

#[cfg(test)]
mod tests;

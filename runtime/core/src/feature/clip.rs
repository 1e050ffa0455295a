//! Where the clips of a recording begin.
//!
//! A long recording is embedded as a few clips of equal length, the first at its start, the last at
//! its end, the others evenly between. The reference divides the recording's length into seconds in
//! floating point and goes on from there in exact fractions, so a length that binary floats cannot
//! hold, such as 3.3 s, moves clips one sample forward; another sample is another spectrogram.

/// First sample of clip `index` of `clips`, each `clip_samples` long, in a recording of `samples` at
/// a rate. All begin at 0 where the recording is no longer than a clip.
///
/// # Panics
///
/// If the rate is 0.
#[must_use]
pub fn first_sample(samples: u64, rate_hz: u32, clip_samples: u64, index: u64, clips: u64) -> u64 {
    assert!(rate_hz > 0, "first_sample: a rate of 0");
    let duration_s = samples as f64 / f64::from(rate_hz);
    ClipTimes::new(duration_s, rate_hz, clip_samples, clips).first_sample(index)
}

/// First samples of the windows that a recording is embedded by: half a window apart, and one at its
/// end; 0 alone if the recording is no longer than a window.
pub fn windows(samples: usize, window: usize) -> impl Iterator<Item = usize> {
    let last = samples.saturating_sub(window);
    (0..last).step_by((window / 2).max(1)).chain([last])
}

/// Clips of a recording whose length is known in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipTimes {
    /// What the recording is longer than a clip, in samples over `unit`.
    spare: u128,
    /// Parts that a sample is counted in: a power of two.
    unit: u128,
    gaps: u128,
    rate_hz: u32,
}

impl ClipTimes {
    /// Clips of so many samples in a recording of a length that is taken as the exact fraction which
    /// the float is.
    #[must_use]
    pub fn new(duration_s: f64, rate_hz: u32, clip_samples: u64, clips: u64) -> Self {
        let gaps = u128::from(clips.max(2) - 1);
        let (mantissa, halvings) = fraction(duration_s);
        let unit = 1u128 << halvings;
        let len = u128::from(mantissa) * u128::from(rate_hz);
        let spare = len.saturating_sub(u128::from(clip_samples) * unit);
        Self {
            spare,
            unit,
            gaps,
            rate_hz,
        }
    }

    /// When a clip begins, in seconds.
    #[must_use]
    pub fn start_s(&self, index: u64) -> f64 {
        let start = (self.spare * u128::from(index)) as f64;
        start / (self.unit * self.gaps) as f64 / f64::from(self.rate_hz)
    }

    /// First sample of a clip.
    #[must_use]
    pub fn first_sample(&self, index: u64) -> u64 {
        let start = self.spare * u128::from(index) / (self.unit * self.gaps);
        u64::try_from(start).unwrap_or(u64::MAX)
    }
}

/// A float as a whole number that is halved so many times, at most 63: what is smaller is nothing.
fn fraction(value: f64) -> (u64, u32) {
    const MANTISSA_BITS: u32 = 52;
    if !(value.is_finite() && value > 0.0) {
        return (0, 0);
    }
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 - 1023 - MANTISSA_BITS as i32;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1) | 1 << MANTISSA_BITS;
    match exponent {
        // Beyond all recordings.
        1.. => (u64::MAX, 0),
        -63..=0 => (mantissa, exponent.unsigned_abs()),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    const RATE_HZ: u32 = 16_000;

    #[test]
    fn clips_reach_from_start_to_end() {
        let starts = |samples| [0, 1, 2].map(|i| first_sample(samples, RATE_HZ, 32_000, i, 3));
        assert_eq!(starts(80_000), [0, 24_000, 48_000]);
        assert_eq!(
            starts(32_001),
            [0, 0, 0],
            "half of a sample, and not quite one"
        );
        assert_eq!(starts(20_000), [0, 0, 0]);
        assert_eq!(starts(0), [0, 0, 0]);
        assert_eq!(first_sample(80_000, RATE_HZ, 32_000, 0, 1), 0);
    }

    #[test]
    fn windows_overlap_by_half_and_reach_the_end() {
        let starts = |samples, window| windows(samples, window).collect::<std::vec::Vec<_>>();
        assert_eq!(starts(100, 100), [0]);
        assert_eq!(starts(3, 100), [0]);
        assert_eq!(starts(0, 1), [0]);
        assert_eq!(starts(230, 100), [0, 50, 100, 130]);
        assert_eq!(starts(200, 100), [0, 50, 100]);
        assert_eq!(starts(3, 1), [0, 1, 2]);
    }

    /// In Python: `int(Fraction(7.3 - 2) / 2 * 16000)` with the length as a `Fraction` throughout.
    #[test]
    fn lengths_are_what_floats_make_of_them() {
        assert_eq!(first_sample(116_800, RATE_HZ, 32_000, 1, 3), 42_399);
        assert_eq!(first_sample(52_800, RATE_HZ, 32_000, 2, 3), 20_799);
        let third = ClipTimes::new(7.0 / 3.0, RATE_HZ, 32_000, 3);
        assert_eq!([0, 1, 2].map(|i| third.first_sample(i)), [0, 2_666, 5_333]);
    }

    #[test]
    fn no_length_overflows() {
        for duration in [f64::NAN, f64::INFINITY, -1.0, 1e-300, f64::MIN_POSITIVE] {
            assert_eq!(ClipTimes::new(duration, u32::MAX, 1, 3).first_sample(2), 0);
        }
        let long = ClipTimes::new(1e15, u32::MAX, u64::MAX, u64::MAX);
        assert!(long.first_sample(7) < u64::MAX);
        assert_eq!(
            ClipTimes::new(1e300, u32::MAX, 0, 2).first_sample(1),
            u64::MAX
        );
    }
}

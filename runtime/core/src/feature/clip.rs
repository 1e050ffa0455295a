//! Where the clips of a recording begin.
//!
//! A long recording is embedded as a few clips of equal length, the first at its start, the last at
//! its end, the others evenly between. Their first samples are floors of exact fractions: computed
//! in floating point some would come out one sample off, and another spectrogram with them.

/// First sample of clip `index` of `clips`, each `clip_samples` long, in a recording of `samples`.
/// All begin at 0 where the recording is no longer than a clip.
#[must_use]
pub fn first_sample(samples: u64, clip_samples: u64, index: u64, clips: u64) -> u64 {
    let spare = samples.saturating_sub(clip_samples);
    let start = u128::from(spare) * u128::from(index) / u128::from(clips.max(2) - 1);
    // Less than `spare` for any clip of the recording.
    u64::try_from(start).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::first_sample;

    #[test]
    fn clips_reach_from_start_to_end() {
        let starts = |samples| [0, 1, 2].map(|i| first_sample(samples, 32_000, i, 3));
        assert_eq!(starts(80_000), [0, 24_000, 48_000]);
        assert_eq!(starts(32_001), [0, 0, 1]);
        assert_eq!(starts(20_000), [0, 0, 0]);
        assert_eq!(first_sample(80_000, 32_000, 0, 1), 0);
    }

    #[test]
    fn floors_are_exact() {
        // 0.1 * 3 in floating point is more than 0.3; 7 / 49 * 49 is less than 7.
        assert_eq!(first_sample(32_007, 32_000, 49, 50), 7);
        assert_eq!(first_sample(u64::MAX, 0, 4, 5), u64::MAX);
    }
}

//! Spectrograms: parts that are missing (SpecAugment: Park and others 2019), and voices that are
//! higher or lower.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::around;
use crate::setting::{self, SettingError};

/// How strongly a spectrogram is changed; 0 everywhere leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrogramAugmentation {
    /// Stretches of time that are masked.
    pub time_masks: usize,
    /// The most frames of each.
    pub time_frames: usize,
    /// Bands that are masked.
    pub frequency_masks: usize,
    /// The most filters of each.
    pub frequency_filters: usize,
    /// Largest shift to higher or lower filters.
    pub mel_shift: f32,
    /// Largest relative stretch away from the lowest filter, below 1.
    pub mel_warp: f32,
    /// Largest relative change of the tempo, at most 1: 0.3 is from 1 / 1.3 to 1.3. The middle stays
    /// where it is; what comes in at the ends is as the first or last frame.
    pub tempo: f32,
}

/// A [`SpectrogramAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrogramAugmenter {
    config: SpectrogramAugmentation,
}

impl SpectrogramAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: SpectrogramAugmentation) -> Result<Self, SettingError> {
        setting::strength("mel_shift", config.mel_shift)?;
        setting::below_one("mel_warp", config.mel_warp)?;
        setting::share("tempo", config.tempo)?;
        Ok(Self { config })
    }

    /// Changes a spectrogram in place. What is masked becomes the mean of all.
    ///
    /// # Shapes
    ///
    /// `[filters, frames]`.
    ///
    /// # Panics
    ///
    /// If there are not `filters` rows of one length.
    pub fn apply(&self, spectrogram: &mut [f32], filters: usize, rng: &mut impl Rng) {
        let config = self.config;
        assert!(
            filters > 0 && spectrogram.len().is_multiple_of(filters),
            "spectrogram: {} numbers in {filters} filters",
            spectrogram.len()
        );
        let frames = spectrogram.len() / filters;
        if frames == 0 {
            return;
        }
        if config.mel_shift > 0.0 || config.mel_warp > 0.0 {
            let shift = around(config.mel_shift, rng);
            let warp = 1.0 + around(config.mel_warp, rng);
            move_filters(spectrogram, frames, shift, warp);
        }
        if config.tempo > 0.0 {
            let tempo = around((1.0 + config.tempo).ln(), rng).exp();
            let middle = (frames - 1) as f32 / 2.0;
            for row in spectrogram.chunks_exact_mut(frames) {
                stretch(row, middle, tempo);
            }
        }
        let mean = spectrogram.iter().sum::<f32>() / spectrogram.len() as f32;
        for _ in 0..config.time_masks {
            let mask = part(frames, config.time_frames, rng);
            for row in spectrogram.chunks_exact_mut(frames) {
                row[mask.clone()].fill(mean);
            }
        }
        for _ in 0..config.frequency_masks {
            let mask = part(filters, config.frequency_filters, rng);
            spectrogram[mask.start * frames..mask.end * frames].fill(mean);
        }
    }
}

/// A part of at most `most`, somewhere in `len`.
fn part(len: usize, most: usize, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let width = rng.random_range(0..=most.min(len));
    let start = rng.random_range(0..=len - width);
    start..start + width
}

/// Each number becomes what was `tempo` times as far from `middle`, between two in proportion.
fn stretch(row: &mut [f32], middle: f32, tempo: f32) {
    let old = row.to_vec();
    let last = old.len().saturating_sub(1);
    for (at, value) in row.iter_mut().enumerate() {
        let place = (middle + (at as f32 - middle) * tempo).clamp(0.0, last as f32);
        let below = place as usize;
        let above = (below + 1).min(last);
        let share = place - below as f32;
        *value = old[below] + share * (old[above] - old[below]);
    }
}

/// Filter `i` becomes what was at `i / warp - shift`, between two filters in proportion; beyond the
/// ends, the lowest or the highest.
fn move_filters(spectrogram: &mut [f32], frames: usize, shift: f32, warp: f32) {
    let old = spectrogram.to_vec();
    let last = old.len() / frames - 1;
    for (filter, row) in spectrogram.chunks_exact_mut(frames).enumerate() {
        let place = (filter as f32 / warp - shift).clamp(0.0, last as f32);
        let below = place as usize;
        let above = (below + 1).min(last);
        let share = place - below as f32;
        let (below, above) = (&old[below * frames..], &old[above * frames..]);
        for ((value, below), above) in row.iter_mut().zip(below).zip(above) {
            *value = below + share * (above - below);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_faster_tempo_brings_the_ends_nearer() {
        let ramp = |len: usize| (0..len).map(|i| i as f32).collect::<Vec<_>>();
        let (mut faster, mut slower, mut same) = (ramp(9), ramp(9), ramp(9));
        super::stretch(&mut faster, 4.0, 2.0);
        assert_eq!(faster, [0.0, 0.0, 0.0, 2.0, 4.0, 6.0, 8.0, 8.0, 8.0]);
        super::stretch(&mut slower, 4.0, 0.5);
        assert_eq!(slower, [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]);
        super::stretch(&mut same, 4.0, 1.0);
        assert_eq!(same, ramp(9));
        super::stretch(&mut [], 0.0, 1.0);
    }

    use super::*;
    use crate::batch::random_of;

    const FILTERS: usize = 8;
    const FRAMES: usize = 20;

    /// Each number is its filter, and a hundredth of its frame.
    fn spectrogram() -> Vec<f32> {
        let value = |i: usize| (i / FRAMES) as f32 + (i % FRAMES) as f32 / 100.0;
        (0..FILTERS * FRAMES).map(value).collect()
    }

    fn draw(config: SpectrogramAugmentation, seed: u64) -> Vec<f32> {
        let mut values = spectrogram();
        let augmenter = SpectrogramAugmenter::new(config).unwrap();
        augmenter.apply(&mut values, FILTERS, &mut random_of(seed, 0, 0));
        values
    }

    #[test]
    fn nothing_asked_for_changes_nothing_and_a_seed_decides() {
        assert_eq!(draw(SpectrogramAugmentation::default(), 1), spectrogram());
        let all = SpectrogramAugmentation {
            time_masks: 2,
            time_frames: 5,
            frequency_masks: 2,
            frequency_filters: 3,
            mel_shift: 1.0,
            mel_warp: 0.1,
            tempo: 0.3,
        };
        assert_eq!(draw(all, 1), draw(all, 1));
        assert_ne!(draw(all, 1), draw(all, 2));
    }

    /// Frames and filters of which every number was masked.
    fn masked(values: &[f32]) -> (usize, usize) {
        let is_masked = |i: usize| values[i] != spectrogram()[i];
        let frame = |t: &usize| (0..FILTERS).all(|f| is_masked(f * FRAMES + t));
        let filter = |f: &usize| (0..FRAMES).all(|t| is_masked(f * FRAMES + t));
        (
            (0..FRAMES).filter(frame).count(),
            (0..FILTERS).filter(filter).count(),
        )
    }

    #[test]
    fn masks_are_as_wide_as_they_may_be() {
        let time = SpectrogramAugmentation {
            time_masks: 1,
            time_frames: 5,
            ..SpectrogramAugmentation::default()
        };
        let widths: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| {
                let values = draw(time, seed);
                let (frames, filters) = masked(&values);
                let changed = values.iter().zip(spectrogram()).filter(|(a, b)| **a != *b);
                assert_eq!((changed.count(), filters), (frames * FILTERS, 0));
                frames
            })
            .collect();
        assert!(widths.into_iter().eq(0..=5));
        let frequency = SpectrogramAugmentation {
            frequency_masks: 1,
            frequency_filters: 99,
            ..SpectrogramAugmentation::default()
        };
        let widths: std::collections::BTreeSet<_> = (0..200)
            .map(|seed| masked(&draw(frequency, seed)).1)
            .collect();
        assert!(widths.into_iter().eq(0..=FILTERS));
    }

    #[test]
    fn filters_are_moved_between_neighbours() {
        let moved = |shift, warp| {
            let mut values = spectrogram();
            move_filters(&mut values, FRAMES, shift, warp);
            let column: Vec<f32> = values.iter().step_by(FRAMES).copied().collect();
            column
        };
        assert_eq!(moved(0.0, 1.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(moved(1.5, 1.0), [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
        assert_eq!(moved(-2.0, 1.0), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 7.0]);
        assert_eq!(moved(0.0, 2.0), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
        assert_eq!(moved(0.0, 0.5), [0.0, 2.0, 4.0, 6.0, 7.0, 7.0, 7.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "spectrogram: 7 numbers in 2 filters")]
    fn rows_have_one_length() {
        let augmenter = SpectrogramAugmenter::new(SpectrogramAugmentation::default()).unwrap();
        augmenter.apply(&mut [0.0; 7], 2, &mut random_of(1, 0, 0));
    }
}

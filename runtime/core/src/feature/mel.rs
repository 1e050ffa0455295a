//! Banks of triangular filters, equally spaced on a scale of pitch.
//!
//! Three traditions differ in the scale, and in where the triangles are straight:
//!
//! | scale | mel | straight in | used by |
//! |---|---|---|---|
//! | `kaldi` | 1127 ln(1 + f / 700) | mel | kaldi, ImageBind, AST |
//! | `htk` | 2595 log10(1 + f / 700) | hertz | HTK, torchaudio |
//! | `slaney` | linear up to 1 kHz, then logarithmic | hertz | librosa, CLAP, Whisper |

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// A scale of pitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// O'Shaughnessy 1987 with the natural logarithm; triangles are straight in mel.
    Kaldi,
    /// The same scale by the common logarithm; triangles are straight in hertz.
    Htk,
    /// Slaney's Auditory Toolbox (1998); triangles are straight in hertz.
    Slaney,
}

/// What a filter is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelNorm {
    /// Nothing: its peak is 1.
    #[default]
    None,
    /// 2 / its width in hertz, so that all have the same area (librosa's default).
    Slaney,
}

impl MelScale {
    /// Where Slaney's scale turns from a line into a logarithm.
    const BEND_HZ: f64 = 1000.0;
    const BEND_MEL: f64 = Self::BEND_HZ / Self::HZ_PER_MEL;
    const HZ_PER_MEL: f64 = 200.0 / 3.0;

    /// 27 steps of Slaney's scale from its bend are a factor of 6.4.
    fn slaney_step() -> f64 {
        libm::log(6.4) / 27.0
    }

    /// Hertz to mel.
    #[must_use]
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Kaldi => 1127.0 * libm::log(1.0 + hz / 700.0),
            Self::Htk => 2595.0 * libm::log10(1.0 + hz / 700.0),
            Self::Slaney if hz < Self::BEND_HZ => hz / Self::HZ_PER_MEL,
            Self::Slaney => Self::BEND_MEL + libm::log(hz / Self::BEND_HZ) / Self::slaney_step(),
        }
    }

    /// Mel to hertz.
    #[must_use]
    pub fn hz(self, mel: f64) -> f64 {
        match self {
            Self::Kaldi => 700.0 * (libm::exp(mel / 1127.0) - 1.0),
            Self::Htk => 700.0 * (libm::pow(10.0, mel / 2595.0) - 1.0),
            Self::Slaney if mel < Self::BEND_MEL => mel * Self::HZ_PER_MEL,
            Self::Slaney => Self::BEND_HZ * libm::exp((mel - Self::BEND_MEL) * Self::slaney_step()),
        }
    }

    fn is_straight_in_mel(self) -> bool {
        self == Self::Kaldi
    }
}

/// Triangular filters over the bins of a spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct MelBank {
    filters: Vec<Filter>,
    bins: usize,
}

/// The bins that a filter takes, and how much of each. There may be none: narrow filters can lie
/// between two bins.
#[derive(Debug, Clone, PartialEq)]
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl MelBank {
    /// So many filters from one frequency to another, over a spectrum of so many bins from 0 Hz,
    /// `bin_hz` apart.
    #[must_use]
    pub fn new(
        filters: usize,
        range_hz: [f64; 2],
        (scale, norm): (MelScale, MelNorm),
        (bins, bin_hz): (usize, f64),
    ) -> Self {
        let [low, high] = range_hz.map(|hz| scale.mel(hz));
        let edge = |n: usize| low + (high - low) * n as f64 / (filters as f64 + 1.0);
        let filter = |n: usize| {
            let edges = [edge(n), edge(n + 1), edge(n + 2)];
            let edges_hz = edges.map(|mel| scale.hz(mel));
            let height = match norm {
                MelNorm::None => 1.0,
                MelNorm::Slaney => 2.0 / (edges_hz[2] - edges_hz[0]),
            };
            Filter::new(bins, |bin| {
                let hz = bin as f64 * bin_hz;
                let share = if scale.is_straight_in_mel() {
                    triangle(scale.mel(hz), edges)
                } else {
                    triangle(hz, edges_hz)
                };
                share * height
            })
        };
        Self {
            filters: (0..filters).map(filter).collect(),
            bins,
        }
    }

    /// Numbers that a spectrum gives.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.filters.len()
    }

    /// How much of each bin of the spectrum a filter takes.
    ///
    /// # Panics
    ///
    /// If there is no such filter.
    #[must_use]
    pub fn weights(&self, filter: usize) -> Vec<f64> {
        let filter = &self.filters[filter];
        let mut weights = vec![0.0; self.bins];
        weights[filter.first..][..filter.weights.len()].copy_from_slice(&filter.weights);
        weights
    }

    /// What each filter, from low to high, gathers from a spectrum.
    pub fn apply<'a>(&'a self, spectrum: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.filters.iter().map(|filter| {
            let bins = spectrum.iter().skip(filter.first);
            bins.zip(&filter.weights).map(|(bin, w)| bin * w).sum()
        })
    }
}

impl Filter {
    fn new(bins: usize, weight: impl Fn(usize) -> f64) -> Self {
        let taken = |bin: &usize| weight(*bin) > 0.0;
        let first = (0..bins).find(taken).unwrap_or(0);
        Self {
            first,
            weights: (first..bins).take_while(taken).map(&weight).collect(),
        }
    }
}

/// 1 at the middle edge, 0 at and beyond the outer ones.
fn triangle(at: f64, [low, peak, high]: [f64; 3]) -> f64 {
    let (rising, falling) = ((at - low) / (peak - low), (high - at) / (high - peak));
    rising.min(falling).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scales_agree_with_their_definitions() {
        // librosa.hz_to_mel(4000), with and without htk.
        assert!((MelScale::Slaney.mel(4000.0) - 35.163_760).abs() < 1e-5);
        assert!((MelScale::Htk.mel(4000.0) - 2_146.064_5).abs() < 1e-3);
        assert!((MelScale::Slaney.mel(500.0) - 7.5).abs() < 1e-12);
        assert!((MelScale::Kaldi.mel(700.0) - 1127.0 * core::f64::consts::LN_2).abs() < 1e-9);
    }

    #[test]
    fn a_filter_between_two_bins_takes_nothing() {
        let bank = MelBank::new(
            128,
            [20.0, 8000.0],
            (MelScale::Kaldi, MelNorm::None),
            (257, 31.25),
        );
        // No bin lies between 111 and 116 Hz.
        assert!(bank.weights(3).iter().all(|w| *w == 0.0));
        assert!(bank.weights(4).iter().any(|w| *w > 0.0));
        assert_eq!(bank.apply(&[1.0; 257]).nth(3), Some(0.0));
    }

    #[test]
    fn filters_of_one_area_weigh_less_where_they_are_wide() {
        let bank = |norm| {
            let kind = (MelScale::Slaney, norm);
            MelBank::new(40, [0.0, 8000.0], kind, (2049, 8000.0 / 2048.0))
        };
        let area =
            |bank: &MelBank, filter| bank.weights(filter).iter().sum::<f64>() * 8000.0 / 2048.0;
        let equal = bank(MelNorm::Slaney);
        for filter in 0..40 {
            assert!((area(&equal, filter) - 1.0).abs() < 0.02, "{filter}");
        }
        let plain = bank(MelNorm::None);
        assert!(area(&plain, 39) > 3.0 * area(&plain, 0));
    }

    proptest! {
        #[test]
        fn hertz_and_mel_turn_into_each_other(hz in 0.0f64..24_000.0) {
            for scale in [MelScale::Kaldi, MelScale::Htk, MelScale::Slaney] {
                prop_assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-6);
                prop_assert!(scale.mel(hz + 1.0) > scale.mel(hz));
            }
        }

        #[test]
        fn neighbouring_triangles_of_kaldi_add_up_to_one(filters in 2usize..60) {
            let bank = MelBank::new(
                filters,
                [0.0, 8000.0],
                (MelScale::Kaldi, MelNorm::None),
                (513, 15.625),
            );
            let peak = |n: usize| {
                let high = MelScale::Kaldi.mel(8000.0);
                MelScale::Kaldi.hz(high * n as f64 / (filters as f64 + 1.0)) / 15.625
            };
            let weights: Vec<Vec<f64>> = (0..filters).map(|n| bank.weights(n)).collect();
            for bin in 0..513 {
                let sum: f64 = weights.iter().map(|w| w[bin]).sum();
                let within = bin as f64 > peak(1) && (bin as f64) < peak(filters);
                prop_assert!(!within || (sum - 1.0).abs() < 1e-9, "bin {bin}: {sum}");
            }
        }
    }
}

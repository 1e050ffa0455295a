//! Spectra of the frames of a sound.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::f64::consts::PI;

use realfft::num_complex::Complex64;
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

/// What the samples of a frame are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowKind {
    /// Hann, symmetric: 0 at both ends.
    Hann,
    /// Hann, periodic: the sample after the last would be the first (SciPy's and PyTorch's default).
    HannPeriodic,
    /// Hamming, symmetric.
    Hamming,
    /// Kaldi's default: symmetric Hann to the power of 0.85.
    Povey,
}

/// What a bin of a spectrum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectrum {
    /// The square of the magnitude.
    #[default]
    Power,
    /// The magnitude.
    Magnitude,
}

impl WindowKind {
    /// The weights of a frame.
    #[must_use]
    pub fn weights(self, len: usize) -> Vec<f64> {
        let gaps = match self {
            Self::HannPeriodic => len,
            _ => len - 1,
        };
        let weight = |n: usize| {
            let wave = libm::cos(2.0 * PI * n as f64 / gaps as f64);
            match self {
                Self::Hann | Self::HannPeriodic => 0.5 - 0.5 * wave,
                Self::Hamming => 0.54 - 0.46 * wave,
                Self::Povey => libm::pow(0.5 - 0.5 * wave, 0.85),
            }
        };
        (0..len).map(weight).collect()
    }
}

/// What turns frames into spectra, in 64 bits: logarithms tell of bins a million times weaker than
/// their neighbours, which 32 bits would drown.
#[derive(Clone)]
pub(super) struct Analyser {
    transform: Arc<dyn RealToComplex<f64>>,
    kind: Spectrum,
}

impl core::fmt::Debug for Analyser {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Analyser")
            .field("points", &self.transform.len())
            .field("kind", &self.kind)
            .finish()
    }
}

/// Room for one frame at a time.
pub(super) struct Room {
    samples: Vec<f64>,
    bins: Vec<Complex64>,
    scratch: Vec<Complex64>,
    spectrum: Vec<f64>,
}

impl Analyser {
    pub(super) fn new(points: usize, kind: Spectrum) -> Self {
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(points),
            kind,
        }
    }

    pub(super) fn room(&self) -> Room {
        Room {
            samples: self.transform.make_input_vec(),
            bins: self.transform.make_output_vec(),
            scratch: self.transform.make_scratch_vec(),
            spectrum: vec![0.0; self.transform.len() / 2 + 1],
        }
    }

    /// The spectrum of a frame, which is followed by silence up to the points of the transform.
    pub(super) fn spectrum<'a>(&self, frame: &[f64], room: &'a mut Room) -> &'a [f64] {
        room.samples.fill(0.0);
        room.samples[..frame.len()].copy_from_slice(frame);
        // Fails for buffers of other lengths only, and these are its own.
        let done = self.transform.process_with_scratch(
            &mut room.samples,
            &mut room.bins,
            &mut room.scratch,
        );
        debug_assert!(done.is_ok(), "{done:?}");
        for (value, bin) in room.spectrum.iter_mut().zip(&room.bins) {
            *value = match self.kind {
                Spectrum::Power => bin.norm_sqr(),
                Spectrum::Magnitude => bin.norm(),
            };
        }
        &room.spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_are_those_of_their_definitions() {
        let close = |kind: WindowKind, expected: &[f64]| {
            let weights = kind.weights(expected.len());
            let mut pairs = weights.iter().zip(expected);
            assert!(pairs.all(|(a, e)| (a - e).abs() < 1e-12), "{weights:?}");
        };
        close(WindowKind::Hann, &[0.0, 0.5, 1.0, 0.5, 0.0]);
        close(WindowKind::HannPeriodic, &[0.0, 0.5, 1.0, 0.5]);
        close(WindowKind::Hamming, &[0.08, 0.54, 1.0, 0.54, 0.08]);
        let half = libm::pow(0.5, 0.85);
        close(WindowKind::Povey, &[0.0, half, 1.0, half, 0.0]);
    }

    proptest! {
        #[test]
        fn a_spectrum_is_the_sum_that_defines_it(
            frame in proptest::collection::vec(-1.0f64..1.0, 1..60), bin in 0usize..31,
            points in proptest::sample::select(vec![64usize, 60, 62]),
        ) {
            let sum = |wave: fn(f64) -> f64| -> f64 {
                let turn = 2.0 * PI * bin as f64 / points as f64;
                let term = |(n, v): (usize, &f64)| v * wave(turn * n as f64);
                frame.iter().enumerate().map(term).sum()
            };
            let power = sum(libm::cos).powi(2) + sum(libm::sin).powi(2);
            for (kind, expected) in [(Spectrum::Power, power), (Spectrum::Magnitude, power.sqrt())] {
                let analyser = Analyser::new(points, kind);
                let mut room = analyser.room();
                let actual = analyser.spectrum(&frame, &mut room)[bin];
                prop_assert!((actual - expected).abs() < 1e-9);
            }
        }
    }
}

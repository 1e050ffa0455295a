//! Log-mel spectrogram of sound at 16 kHz, in kaldi's form.
//!
//! ```text
//! 400 samples ─ mean ─▶ pre-emphasis ─▶ Hann ─▶ 512-point spectrum ─▶ power ─▶ triangles ─▶ ln
//! ```
//!
//! This is `compute-fbank-feats` as ImageBind and AST call it (Povey et al. 2011; Gong et al. 2021):
//! no dither, no energy column, frames only where they fit whole, amplitudes from -1 to 1. With 128
//! filters the fourth spans no bin of the spectrum at all and always gives the floor.

use core::f64::consts::PI;

use libm::{cos, logf};

/// Samples in a frame: 25 ms at 16 kHz.
pub const MEL_FRAME: usize = 400;

/// Samples from one frame to the next: 10 ms.
pub const MEL_HOP: usize = 160;

/// The rate that the filters are made for, in hertz.
const RATE_HZ: f64 = 16_000.0;

/// Points of the spectrum.
const FFT: usize = 512;

/// Bins of the spectrum that filters take; the one at the Nyquist rate is left out.
pub const MEL_BINS: usize = FFT / 2;

/// Lowest edge of the filters, in hertz; the highest is the Nyquist rate.
const LOW_HZ: f64 = 20.0;

/// How much of the sample before is taken from each.
const PRE_EMPHASIS: f32 = 0.97;

/// Least energy that is told: the machine epsilon of `f32`, as kaldi has it.
const FLOOR: f32 = f32::EPSILON;

/// A bank of triangular filters, equally spaced on the mel scale.
#[derive(Debug, Clone, PartialEq)]
pub struct LogMel {
    filters: usize,
    window: [f32; MEL_FRAME],
    /// Where each bin lies among the filters: filter `n` has its peak at `n + 1`, and is 0 at `n`
    /// and `n + 2`.
    place: [f32; MEL_BINS],
}

impl LogMel {
    /// A bank of so many filters between 20 Hz and 8 kHz.
    #[must_use]
    pub fn new(filters: usize) -> Self {
        let (low, high) = (mel(LOW_HZ), mel(RATE_HZ / 2.0));
        let spacing = (high - low) / (filters as f64 + 1.0);
        let hann = |n: usize| 0.5 - 0.5 * cos(2.0 * PI * n as f64 / (MEL_FRAME as f64 - 1.0));
        let bin_hz = RATE_HZ / FFT as f64;
        Self {
            filters,
            window: core::array::from_fn(|n| hann(n) as f32),
            place: core::array::from_fn(|bin| ((mel(bin as f64 * bin_hz) - low) / spacing) as f32),
        }
    }

    /// Numbers that a frame gives.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.filters
    }

    /// What the samples of a frame are multiplied by.
    #[must_use]
    pub fn window(&self) -> &[f32; MEL_FRAME] {
        &self.window
    }

    /// Writes how much of each bin of the spectrum a filter takes.
    ///
    /// # Panics
    ///
    /// If there is no such filter.
    pub fn weights(&self, filter: usize, out: &mut [f32; MEL_BINS]) {
        assert!(filter < self.filters, "LogMel::weights: filter {filter}");
        for (weight, place) in out.iter_mut().zip(self.place) {
            let distance = libm::fabsf(place - (filter as f32 + 1.0));
            *weight = (1.0 - distance).max(0.0);
        }
    }

    /// Frames of a sound of so many samples.
    #[must_use]
    pub fn frames(samples: usize) -> usize {
        samples
            .checked_sub(MEL_FRAME)
            .map_or(0, |rest| rest / MEL_HOP + 1)
    }

    /// Writes the logarithm of each filter's energy in one frame.
    ///
    /// # Shapes
    ///
    /// `out` holds [`filters`](Self::filters) numbers, from low to high.
    ///
    /// # Panics
    ///
    /// If it holds another number of them.
    pub fn frame(&self, samples: &[f32; MEL_FRAME], out: &mut [f32]) {
        assert_eq!(out.len(), self.filters, "LogMel::frame: filters");
        let mean = samples.iter().sum::<f32>() / MEL_FRAME as f32;
        let mut buffer = [0.0; FFT];
        // The first sample has none before it, and takes itself.
        let mut before = samples[0] - mean;
        for ((value, sample), weight) in buffer.iter_mut().zip(samples).zip(&self.window) {
            let sample = sample - mean;
            *value = (sample - PRE_EMPHASIS * before) * weight;
            before = sample;
        }
        let spectrum = microfft::real::rfft_512(&mut buffer);
        // The Nyquist rate's value comes packed beside that of 0 Hz.
        spectrum[0].im = 0.0;
        out.fill(0.0);
        for (bin, place) in spectrum.iter().zip(self.place) {
            self.spread(bin.norm_sqr(), place, out);
        }
        for energy in out {
            *energy = logf(energy.max(FLOOR));
        }
    }

    /// Adds the energy of one bin to the two filters that it lies in.
    fn spread(&self, energy: f32, place: f32, out: &mut [f32]) {
        if place < 0.0 {
            return;
        }
        let rising = place as usize;
        let fraction = place - rising as f32;
        if let Some(filter) = out.get_mut(rising) {
            *filter += fraction * energy;
        }
        if let Some(filter) = rising
            .checked_sub(1)
            .and_then(|falling| out.get_mut(falling))
        {
            *filter += (1.0 - fraction) * energy;
        }
    }
}

/// Hertz to mel (O'Shaughnessy 1987, with the natural logarithm).
fn mel(hz: f64) -> f64 {
    1127.0 * libm::log(1.0 + hz / 700.0)
}

#[cfg(test)]
mod tests;

//! Rate conversion of one window by a windowed-sinc filter.

use core::f64::consts::PI;

/// Zero crossings of the sinc on each side of its centre.
const ZERO_CROSSINGS: f64 = 12.0;

/// Where the pass band ends, as a fraction of the lower of the two Nyquist rates. With the Hann
/// taper's transition of about `2 / ZERO_CROSSINGS` around it, the stop band begins near 1.
const ROLL_OFF: f64 = 0.90;

/// Rates closer than this, as a fraction, are the same rate: samples pass unchanged.
const SAME_RATE: f64 = 1e-6;

/// Converts windows from one sample rate to another (J. O. Smith, *Digital Audio Resampling*:
/// a Hann-tapered sinc whose cut-off is that of the lower rate, so nothing aliases).
///
/// The first output sample falls on the first input sample. Beyond its ends a window is taken to
/// stay at its first and last value. Constants (gravity) pass exactly: taps are normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampler {
    /// Input samples per output sample.
    step: f64,
    /// Cut-off in cycles per input sample, times two.
    cutoff: f64,
}

impl Resampler {
    /// A converter between two positive, finite rates in hertz.
    #[must_use]
    pub fn new(from_hz: f32, to_hz: f32) -> Self {
        let step = f64::from(from_hz) / f64::from(to_hz);
        let cutoff = ROLL_OFF * if step > 1.0 { 1.0 / step } else { 1.0 };
        Self { step, cutoff }
    }

    /// Whether both rates are the same, so that [`at`](Self::at) would only copy.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        libm::fabs(self.step - 1.0) < SAME_RATE
    }

    /// The `C` channels of the output sample `index` of a window `len` long, whose samples `sample`
    /// gives. `len` must not be 0.
    #[must_use]
    pub fn at<const C: usize>(
        &self,
        index: usize,
        len: usize,
        sample: impl Fn(usize) -> [f32; C],
    ) -> [f32; C] {
        if self.is_identity() {
            return sample(index.min(len - 1));
        }
        let centre = index as f64 * self.step;
        let half_width = ZERO_CROSSINGS / self.cutoff;
        let first = libm::ceil(centre - half_width) as i64;
        let last = libm::floor(centre + half_width) as i64;

        let mut distance = first as f64 - centre;
        let mut wave = Angle::new(PI * self.cutoff * distance, PI * self.cutoff);
        let mut taper = Angle::new(PI * distance / half_width, PI / half_width);
        let (mut sums, mut weight_sum) = ([0.0f64; C], 0.0f64);
        for tap in first..=last {
            let x = PI * self.cutoff * distance;
            let sinc = if libm::fabs(x) < 1e-9 {
                1.0
            } else {
                wave.sin / x
            };
            let weight = sinc * (0.5 + 0.5 * taper.cos);
            let held = sample(tap.clamp(0, len as i64 - 1) as usize);
            weight_sum += weight;
            for (sum, value) in sums.iter_mut().zip(held) {
                *sum += weight * f64::from(value);
            }
            distance += 1.0;
            wave.turn();
            taper.turn();
        }
        sums.map(|sum| (sum / weight_sum) as f32)
    }
}

/// An angle that grows by the same step each time. Its sine and cosine follow from those before, which
/// costs far less than to ask for them; over a filter's taps they stay true to 1e-14.
struct Angle {
    sin: f64,
    cos: f64,
    step_sin: f64,
    step_cos: f64,
}

impl Angle {
    fn new(angle: f64, step: f64) -> Self {
        Self {
            sin: libm::sin(angle),
            cos: libm::cos(angle),
            step_sin: libm::sin(step),
            step_cos: libm::cos(step),
        }
    }

    fn turn(&mut self) {
        let (sin, cos) = (self.sin, self.cos);
        self.sin = sin * self.step_cos + cos * self.step_sin;
        self.cos = cos * self.step_cos - sin * self.step_sin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn convert(from_hz: f32, to_hz: f32, input: &[f32], outputs: usize) -> Vec<f32> {
        let resampler = Resampler::new(from_hz, to_hz);
        (0..outputs)
            .map(|i| resampler.at(i, input.len(), |n| [input[n]])[0])
            .collect()
    }

    fn tone(hz: f64, rate_hz: f32, len: usize) -> Vec<f32> {
        let step = 2.0 * PI * hz / f64::from(rate_hz);
        (0..len)
            .map(|n| libm::sin(step * n as f64) as f32)
            .collect()
    }

    fn peak(x: &[f32]) -> f32 {
        x.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn constants_pass_exactly() {
        for (from, to) in [(25.0, 50.0), (33.3, 50.0), (104.0, 50.0), (400.0, 50.0)] {
            for y in convert(from, to, &[0.998; 300], 128) {
                assert!(
                    (y - 0.998).abs() <= f32::EPSILON,
                    "{from} to {to} Hz gave {y}"
                );
            }
        }
    }

    #[test]
    fn an_angle_that_is_turned_stays_true() {
        for step in [PI * ROLL_OFF, 0.113, 1e-3] {
            let mut angle = Angle::new(-7.3, step);
            for n in 0..300 {
                let true_angle = -7.3 + step * f64::from(n);
                assert!((angle.sin - libm::sin(true_angle)).abs() < 1e-12);
                assert!((angle.cos - libm::cos(true_angle)).abs() < 1e-12);
                angle.turn();
            }
        }
    }

    #[test]
    fn the_same_rate_copies() {
        let x = tone(3.0, 50.0, 128);
        assert_eq!(convert(50.0, 50.0, &x, 128), x);
    }

    /// Away from the window's ends a tone below both Nyquist rates comes out as itself.
    #[test]
    fn a_tone_in_the_pass_band_survives() {
        for (from, to) in [
            (25.0f32, 50.0f32),
            (100.0, 50.0),
            (104.0, 50.0),
            (400.0, 50.0),
        ] {
            let x = tone(5.0, from, (from * 5.12) as usize);
            let y = convert(from, to, &x, 256);
            let expected = tone(5.0, to, 256);
            for i in 64..192 {
                assert!(
                    (y[i] - expected[i]).abs() < 0.01,
                    "{from} to {to} Hz at {i}"
                );
            }
        }
    }

    /// What the lower rate cannot carry is removed, not folded down: 40 dB.
    #[test]
    fn a_tone_above_the_new_nyquist_is_removed() {
        for (from, hz) in [
            (100.0f32, 30.0),
            (200.0, 40.0),
            (400.0, 60.0),
            (400.0, 180.0),
        ] {
            let x = tone(hz, from, (from * 5.12) as usize);
            let y = convert(from, 50.0, &x, 256);
            assert!(
                peak(&y[64..192]) < 0.01,
                "{hz} Hz at {from} Hz left {}",
                peak(&y[64..192])
            );
        }
    }
}

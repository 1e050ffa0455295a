//! Rate conversion of a whole recording of sound.
//!
//! A sinc tapered by a squared cosine, cut off a little below the lower Nyquist rate (J. O. Smith,
//! *Digital Audio Resampling*), with the constants of torchaudio, by which encoders of sound were
//! trained: six zero crossings on each side and a roll-off of 0.99. Rates are whole numbers, so the
//! weights repeat after as many output samples as the reduced target rate says.

use alloc::vec::Vec;
use core::f64::consts::PI;

/// Zero crossings of the sinc on each side of its centre.
const ZERO_CROSSINGS: f64 = 6.0;

/// Cut-off as a fraction of the lower Nyquist rate.
const ROLL_OFF: f64 = 0.99;

/// A recording at another rate. Beyond its ends it is silent.
///
/// # Shapes
///
/// The result has `ceil(samples * to_hz / from_hz)` samples, the first at the time of the first.
///
/// # Panics
///
/// If a rate is 0.
#[must_use]
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
    assert!(from_hz > 0 && to_hz > 0, "resample: a rate of 0");
    if from_hz == to_hz {
        return samples.to_vec();
    }
    let divisor = gcd(from_hz, to_hz);
    let (from, to) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
    // Zero crossings a reduced second.
    let cutoff = from.min(to) as f64 * ROLL_OFF;
    let phases: Vec<Phase> = (0..to)
        .map(|phase| Phase::new(phase, from, to, cutoff))
        .collect();
    let len = (samples.len() as u64 * to as u64).div_ceil(from as u64) as usize;
    (0..len)
        .map(|n| phases[n % to].apply(samples, (n / to * from) as isize))
        .collect()
}

/// The weights of every `to`th output sample.
struct Phase {
    /// Place of the first weight, from the block's first input sample.
    first: isize,
    weights: Vec<f32>,
}

impl Phase {
    fn new(phase: usize, from: usize, to: usize, cutoff: f64) -> Self {
        let centre = phase as f64 / to as f64;
        let reach = ZERO_CROSSINGS / cutoff;
        let first = libm::ceil((centre - reach) * from as f64) as isize;
        let last = libm::floor((centre + reach) * from as f64) as isize;
        let weight = |tap: isize| {
            let t = (tap as f64 / from as f64 - centre) * cutoff;
            let taper = libm::cos(t * PI / ZERO_CROSSINGS / 2.0);
            let sinc = if t == 0.0 {
                1.0
            } else {
                libm::sin(PI * t) / (PI * t)
            };
            (sinc * taper * taper * cutoff / from as f64) as f32
        };
        Self {
            first,
            weights: (first..=last).map(weight).collect(),
        }
    }

    fn apply(&self, samples: &[f32], block: isize) -> f32 {
        let first = block + self.first;
        // Weights that lie before the recording meet silence.
        let skipped = first.min(0).unsigned_abs().min(self.weights.len());
        let held = samples.get(first.max(0) as usize..).unwrap_or_default();
        sum_of_products(&self.weights[skipped..], held) as f32
    }
}

/// Sum of products of two rows, as far as both go.
fn sum_of_products(a: &[f32], b: &[f32]) -> f64 {
    /// Sums that are made side by side, since each would wait for its last product.
    const SUMS: usize = 4;
    let product = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
    let len = a.len().min(b.len());
    let (a, b) = (a[..len].chunks_exact(SUMS), b[..len].chunks_exact(SUMS));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(product).sum();
    let mut sums = [0.0; SUMS];
    for (a, b) in a.zip(b) {
        for (sum, pair) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += product(pair);
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate_hz: u32, len: usize) -> Vec<f32> {
        let step = 2.0 * PI * hz / f64::from(rate_hz);
        (0..len)
            .map(|n| libm::sin(step * n as f64) as f32)
            .collect()
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for (from, to) in [
            (44_100, 16_000),
            (8_000, 16_000),
            (48_000, 16_000),
            (16_000, 11_025),
        ] {
            let len = from as usize / 5;
            let resampled = resample(&tone(440.0, from, len), from, to);
            assert_eq!(resampled.len(), (len * to as usize).div_ceil(from as usize));
            let expected = tone(440.0, to, resampled.len());
            let middle = 200..resampled.len() - 200;
            for (n, (a, e)) in resampled.iter().zip(&expected).enumerate() {
                assert!(
                    !middle.contains(&n) || (a - e).abs() < 4e-3,
                    "{from} {to} {n}: {a} {e}"
                );
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_gone() {
        let high = resample(&tone(11_000.0, 44_100, 8_820), 44_100, 16_000);
        let loudest = high[200..high.len() - 200]
            .iter()
            .fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(loudest < 0.02, "{loudest}");
    }

    #[test]
    fn sums_side_by_side_are_the_sum() {
        let row = |step: f32| {
            (0..23)
                .map(|n| (n as f32 * step) - 3.0)
                .collect::<Vec<f32>>()
        };
        let (a, b) = (row(0.7), row(-0.3));
        for len in 0..a.len() {
            let products = a[..len].iter().zip(&b);
            let expected: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let sums = [
                sum_of_products(&a[..len], &b),
                sum_of_products(&b, &a[..len]),
            ];
            for sum in sums {
                assert!((sum - expected).abs() < 1e-12 * expected.abs().max(1.0));
            }
        }
    }

    #[test]
    fn lengths_and_extremes() {
        assert!(resample(&[], 8_000, 16_000).is_empty());
        assert_eq!(resample(&[1.0], 8_000, 16_000).len(), 2);
        assert_eq!(resample(&[0.5, -0.5], 7, 7), [0.5, -0.5]);
        assert_eq!(resample(&[0.0; 441], 44_100, 16_000), [0.0; 160]);
    }
}

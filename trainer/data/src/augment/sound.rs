//! Sound: when it begins, how fast, how loud, through what, and in which noise.

use rand::Rng;
use sensorium_core::feature::resample;
use serde::{Deserialize, Serialize};

use super::{around, normal};
use crate::setting::{self, SettingError};

/// Where a tilt turns, in hertz: what is lower is made louder, or softer, than what is higher.
const PIVOT_HZ: f32 = 1_000.0;

/// How much of a sample of noise is in the next, at most: from white noise to the hum of a room.
const MOST_COLOUR: f32 = 0.95;

/// Mean power that counts as none: 120 decibels below full scale, less than any microphone's noise.
/// What a decoder or a filter leaves of silence would be made as loud as the sound it is added to.
const SILENCE: f64 = 1e-12;

/// How strongly sound is changed; 0 everywhere leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundAugmentation {
    /// Largest shift, earlier or later, in seconds; what comes in is silence.
    pub time_shift_s: f32,
    /// Largest relative change of the speed, and with it of the pitch, at most 1: 0.15 is from
    /// 1 / 1.15 to 1.15. The sound becomes longer or shorter.
    pub speed: f32,
    /// Largest difference made between high and low sound, in decibels.
    pub tilt_db: f32,
    /// Largest change of the level, in decibels.
    pub gain_db: f32,
    /// Least and largest level of the sound over that of the added noise, in decibels; none adds
    /// no noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_snr_db: Option<[f32; 2]>,
}

/// A [`SoundAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoundAugmenter {
    config: SoundAugmentation,
}

impl SoundAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: SoundAugmentation) -> Result<Self, SettingError> {
        setting::strength("time_shift_s", config.time_shift_s)?;
        setting::share("speed", config.speed)?;
        setting::strength("tilt_db", config.tilt_db)?;
        setting::strength("gain_db", config.gain_db)?;
        if let Some([least, most]) = config.noise_snr_db {
            let finite = least.is_finite() && most.is_finite();
            setting::fits("noise_snr_db", least, "finite numbers", finite)?;
            let expected = "at most the end of the range";
            setting::fits("noise_snr_db", least, expected, least <= most)?;
        }
        Ok(Self { config })
    }

    /// How much more of a sound is needed than is heard of it in the end, at most.
    #[must_use]
    pub fn longest(&self) -> f32 {
        1.0 + self.config.speed
    }

    /// A changed copy of sound. Samples may go beyond -1 and 1.
    ///
    /// # Panics
    ///
    /// If the rate is 0.
    pub fn apply(&self, samples: &[f32], rate_hz: u32, rng: &mut impl Rng) -> Vec<f32> {
        let config = self.config;
        let mut samples = if config.speed > 0.0 {
            faster(samples, around((1.0 + config.speed).ln(), rng).exp())
        } else {
            samples.to_vec()
        };
        if config.time_shift_s > 0.0 {
            let shift = around(config.time_shift_s, rng) * rate_hz as f32;
            shift_by(&mut samples, shift.round() as isize);
        }
        if config.tilt_db > 0.0 {
            tilt(&mut samples, rate_hz, around(config.tilt_db, rng));
        }
        if config.gain_db > 0.0 {
            let gain = amplitude(around(config.gain_db, rng));
            samples.iter_mut().for_each(|sample| *sample *= gain);
        }
        if let Some([least, most]) = config.noise_snr_db {
            let noise = noise(samples.len(), rng);
            mix(&mut samples, &noise, rng.random_range(least..=most));
        }
        samples
    }
}

/// Adds another sound, as much softer than the first as `over_db` says, both by their mean power; it
/// is repeated or cut off to the first one's length. Nothing is added to silence.
pub fn mix(samples: &mut [f32], other: &[f32], over_db: f32) {
    let (own, others) = (power(samples), power(other));
    if own < SILENCE || others < SILENCE {
        return;
    }
    let gain = (own / others).sqrt() as f32 / amplitude(over_db);
    for (sample, other) in samples.iter_mut().zip(other.iter().cycle()) {
        *sample += gain * other;
    }
}

fn power(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    sum / samples.len().max(1) as f64
}

fn amplitude(decibels: f32) -> f32 {
    10f32.powf(decibels / 20.0)
}

/// Speeds are whole hundredths, so that a hundred sets of filter weights are enough.
fn faster(samples: &[f32], speed: f32) -> Vec<f32> {
    const PARTS: u32 = 100;
    let from = (speed * PARTS as f32).round().max(1.0) as u32;
    resample(samples, from, PARTS)
}

/// Later by so many samples, or earlier.
fn shift_by(samples: &mut [f32], shift: isize) {
    let len = samples.len();
    let by = shift.unsigned_abs().min(len);
    if shift >= 0 {
        samples.copy_within(..len - by, by);
        samples[..by].fill(0.0);
    } else {
        samples.copy_within(by.., 0);
        samples[len - by..].fill(0.0);
    }
}

/// Divides the sound by a filter of first order (bilinear, so that the highest sound is none of the
/// low part) and puts it together again, one part louder and the other softer, each by half of it.
fn tilt(samples: &mut [f32], rate_hz: u32, tilt_db: f32) {
    let rate_hz = rate_hz as f32;
    let pivot = (std::f32::consts::PI * (PIVOT_HZ / rate_hz).min(0.25)).tan();
    let (take, keep) = (pivot / (1.0 + pivot), (1.0 - pivot) / (1.0 + pivot));
    let (high, low) = (amplitude(tilt_db / 2.0), amplitude(-tilt_db / 2.0));
    let (mut before, mut slow) = (0.0, 0.0);
    for sample in samples {
        slow = take * (*sample + before) + keep * slow;
        before = *sample;
        *sample = low * slow + high * (before - slow);
    }
}

/// Noise of a colour that is drawn first.
fn noise(len: usize, rng: &mut impl Rng) -> Vec<f32> {
    let colour = rng.random_range(0.0..=MOST_COLOUR);
    let mut last = 0.0;
    let next = |_| {
        last = colour * last + normal(rng);
        last
    };
    (0..len).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;

    const RATE_HZ: u32 = 16_000;

    fn tone(hz: f32, len: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * hz / RATE_HZ as f32;
        (0..len).map(|n| (step * n as f32).sin()).collect()
    }

    fn draw(config: SoundAugmentation, samples: &[f32], seed: u64) -> Vec<f32> {
        let augmenter = SoundAugmenter::new(config).unwrap();
        augmenter.apply(samples, RATE_HZ, &mut random_of(seed, 0, 0))
    }

    fn decibels(power: f64) -> f64 {
        10.0 * power.log10()
    }

    const NONE: SoundAugmentation = SoundAugmentation {
        time_shift_s: 0.0,
        speed: 0.0,
        tilt_db: 0.0,
        gain_db: 0.0,
        noise_snr_db: None,
    };

    #[test]
    fn nothing_asked_for_changes_nothing_and_a_seed_decides() {
        let sound = tone(440.0, 2000);
        assert_eq!(draw(NONE, &sound, 1), sound);
        let all = SoundAugmentation {
            time_shift_s: 0.05,
            speed: 0.15,
            tilt_db: 6.0,
            gain_db: 6.0,
            noise_snr_db: Some([10.0, 30.0]),
        };
        assert_eq!(draw(all, &sound, 1), draw(all, &sound, 1));
        assert_ne!(draw(all, &sound, 1), draw(all, &sound, 2));
        for seed in 0..20 {
            assert!(draw(all, &[], seed).is_empty());
            assert_eq!(
                draw(all, &[0.0; 10], seed).iter().find(|s| **s != 0.0),
                None
            );
        }
    }

    #[test]
    fn gains_reach_both_ends_and_no_further() {
        let config = SoundAugmentation {
            gain_db: 6.0,
            ..NONE
        };
        let gains: Vec<f64> = (0..200)
            .map(|seed| 2.0 * decibels(draw(config, &[1.0], seed)[0].into()))
            .collect();
        let (least, most) = (
            gains.iter().copied().fold(0.0, f64::min),
            gains.iter().copied().fold(0.0, f64::max),
        );
        assert!((-6.001..-5.5).contains(&least) && (5.5..6.001).contains(&most));
    }

    #[test]
    fn noise_is_as_loud_as_asked_for() {
        let config = SoundAugmentation {
            noise_snr_db: Some([20.0, 20.0]),
            ..NONE
        };
        let sound = tone(440.0, 16_000);
        for seed in 0..10 {
            let noisy = draw(config, &sound, seed);
            let noise: Vec<f32> = noisy.iter().zip(&sound).map(|(a, b)| a - b).collect();
            let over = decibels(power(&sound)) - decibels(power(&noise));
            assert!((over - 20.0).abs() < 0.01, "{over}");
        }
    }

    #[test]
    fn a_shorter_sound_is_repeated_when_it_is_mixed_in() {
        let mut sound = vec![1.0, -1.0, 1.0, -1.0, 1.0];
        mix(&mut sound, &[1.0, 1.0], 0.0);
        assert_eq!(sound, [2.0, 0.0, 2.0, 0.0, 2.0]);
        mix(&mut sound, &[0.0], 0.0);
        assert_eq!(sound, [2.0, 0.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn a_shift_brings_silence_in() {
        let shifted = |by| {
            let mut samples = vec![1.0, 2.0, 3.0, 4.0];
            shift_by(&mut samples, by);
            samples
        };
        assert_eq!(shifted(1), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(shifted(-3), [4.0, 0.0, 0.0, 0.0]);
        assert_eq!(shifted(9), [0.0; 4]);
        assert_eq!(shifted(-9), [0.0; 4]);
    }

    #[test]
    fn faster_is_higher_and_shorter() {
        let fast = faster(&tone(400.0, 16_000), 1.25);
        assert_eq!(fast.len(), 12_800);
        let expected = tone(500.0, 12_800);
        for (n, (a, b)) in fast
            .iter()
            .zip(&expected)
            .enumerate()
            .skip(100)
            .take(12_600)
        {
            assert!((a - b).abs() < 0.01, "{n}: {a} {b}");
        }
    }

    #[test]
    fn what_is_left_of_silence_is_silence() {
        let sound: Vec<f32> = (0..100).map(|n| (n as f32).sin()).collect();
        let mut mixed = sound.clone();
        mix(&mut mixed, &[1e-30; 100], 0.0);
        assert_eq!(mixed, sound);
        let mut silent = [1e-30; 100];
        mix(&mut silent, &sound, 0.0);
        assert_eq!(silent, [1e-30; 100]);
    }

    #[test]
    fn a_tilt_makes_high_sound_louder_than_low() {
        let change = |hz, db| {
            let (before, mut after) = (tone(hz, 16_000), tone(hz, 16_000));
            tilt(&mut after, RATE_HZ, db);
            decibels(power(&after)) - decibels(power(&before))
        };
        assert!((change(50.0, 6.0) + 3.0).abs() < 0.1);
        assert!((change(6_000.0, 6.0) - 3.0).abs() < 0.1);
        assert!((change(50.0, -6.0) - 3.0).abs() < 0.1);
        assert!(change(700.0, 0.0).abs() < 1e-4);
    }
}

//! The values of heat and distances: how exact the sensor is.

use rand::Rng;
use sensorium_media::{NumberArray, Numbers};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

use super::{around, normal};
use crate::setting::{self, SettingError};

/// How strongly the values of pictures are changed; 0 everywhere leaves them as they are.
///
/// # Units
///
/// Those of the values: millimetres, degrees Celsius, or counts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaneAugmentation {
    /// Largest relative change of all values, below 1.
    pub gain: f32,
    /// Largest relative change, below 1, of what values differ from their mean: what is seen is warmer, or
    /// nearer, in one room than in another.
    pub contrast: f32,
    /// Largest number added to all values: another room's temperature, another place of the sensor.
    pub offset: f32,
    /// Standard deviation of the noise added to each value.
    pub noise: f32,
    /// Largest share of the pixels that are lost.
    pub holes: f32,
}

/// A [`PlaneAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaneAugmenter {
    config: PlaneAugmentation,
}

impl PlaneAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: PlaneAugmentation) -> Result<Self, SettingError> {
        setting::below_one("gain", config.gain)?;
        setting::below_one("contrast", config.contrast)?;
        setting::strength("offset", config.offset)?;
        setting::strength("noise", config.noise)?;
        setting::share("holes", config.holes)?;
        Ok(Self { config })
    }

    /// A changed copy of frames. A hole stays one, and distances stay distances: of `uint16`, 0 and
    /// 65535 are holes where they are depth, and new holes are 0. Floats that are no number are
    /// holes. What is no hole stays in the range of its kind of number.
    pub fn apply(&self, frames: &NumberArray, sense: Modality, rng: &mut impl Rng) -> NumberArray {
        if self.config == PlaneAugmentation::default() {
            return frames.clone();
        }
        let is_depth = sense == Modality::Depth;
        let mut of_clip = Change {
            gain: 1.0 + around(self.config.gain, rng),
            offset: around(self.config.offset, rng),
            noise: self.config.noise,
            holes: self.config.holes * rng.random::<f32>(),
        };
        if self.config.contrast > 0.0 {
            let contrast = 1.0 + around(self.config.contrast, rng);
            of_clip.offset += of_clip.gain * (1.0 - contrast) * mean(&frames.numbers, is_depth);
            of_clip.gain *= contrast;
        }
        let numbers = match &frames.numbers {
            Numbers::U16(values) if is_depth => {
                let (hole, least, most) = (0, 1.0, f32::from(u16::MAX - 1));
                let change = |&value: &u16| match value {
                    0 | u16::MAX => value,
                    _ => match of_clip.of(value.into(), rng) {
                        Some(value) => value.round().clamp(least, most) as u16,
                        None => hole,
                    },
                };
                Numbers::U16(values.iter().map(change).collect())
            }
            // Counts have no number for a hole, so none is made.
            Numbers::U8(values) => Numbers::U8(
                (values.iter())
                    .map(|&value| of_clip.value(value.into(), rng).round() as u8)
                    .collect(),
            ),
            Numbers::U16(values) => Numbers::U16(
                (values.iter())
                    .map(|&value| of_clip.value(value.into(), rng).round() as u16)
                    .collect(),
            ),
            others => {
                let change = |value: f32| of_clip.of(value, rng).unwrap_or(f32::NAN);
                let values = others.to_f32(0..others.len());
                Numbers::F32(values.into_iter().map(change).collect())
            }
        };
        NumberArray {
            shape: frames.shape.clone(),
            numbers,
        }
    }
}

/// The mean of what is no hole; 0 of nothing.
fn mean(numbers: &Numbers, is_depth: bool) -> f32 {
    let is_hole = |value: f32| !value.is_finite() || is_depth && [0.0, 65535.0].contains(&value);
    let values = numbers.to_f32(0..numbers.len()).into_iter();
    let (sum, count) = values
        .filter(|&value| !is_hole(value))
        .fold((0.0, 0u32), |(sum, count), value| {
            (sum + f64::from(value), count + 1)
        });
    (sum / f64::from(count.max(1))) as f32
}

/// What was drawn for a clip.
struct Change {
    gain: f32,
    offset: f32,
    noise: f32,
    holes: f32,
}

impl Change {
    fn value(&self, value: f32, rng: &mut impl Rng) -> f32 {
        self.gain * value + self.offset + self.noise * normal(rng)
    }

    /// The value, or none if it is lost.
    fn of(&self, value: f32, rng: &mut impl Rng) -> Option<f32> {
        let is_lost = rng.random::<f32>() < self.holes;
        let value = self.value(value, rng);
        (!is_lost).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;

    fn frames(numbers: Numbers) -> NumberArray {
        NumberArray {
            shape: vec![1, 2, numbers.len() / 2],
            numbers,
        }
    }

    fn augmenter(config: PlaneAugmentation) -> PlaneAugmenter {
        PlaneAugmenter::new(config).unwrap()
    }

    const ALL: PlaneAugmentation = PlaneAugmentation {
        gain: 0.2,
        contrast: 0.5,
        offset: 50.0,
        noise: 10.0,
        holes: 0.5,
    };

    #[test]
    fn holes_stay_and_distances_stay_distances() {
        let values = [0u16, u16::MAX, 1, 65_534, 2000, 3000, 4000, 5000].repeat(50);
        let clip = frames(Numbers::U16(values.clone()));
        let (mut lost, mut random) = (0, random_of(1, 0, 0));
        for _ in 0..20 {
            let changed = augmenter(ALL).apply(&clip, Modality::Depth, &mut random);
            assert_eq!(changed.shape, clip.shape);
            let Numbers::U16(changed) = changed.numbers else {
                panic!("another kind")
            };
            for (new, old) in changed.iter().zip(&values) {
                match old {
                    0 | &u16::MAX => assert_eq!(new, old),
                    _ if *new == 0 => lost += 1,
                    _ => assert_ne!(*new, u16::MAX),
                }
            }
        }
        // A quarter of 6000, on average.
        assert!((700..2300).contains(&lost), "{lost}");
    }

    #[test]
    fn counts_stay_counts() {
        let clip = frames(Numbers::U8(vec![0, 255, 100, 200]));
        let strong = augmenter(PlaneAugmentation {
            offset: 1000.0,
            ..PlaneAugmentation::default()
        });
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let changed = strong.apply(&clip, Modality::Thermal, &mut random_of(seed, 0, 0));
            let Numbers::U8(values) = changed.numbers else {
                panic!("another kind")
            };
            assert!(values[0] <= values[2] && values[2] <= values[3] && values[3] <= values[1]);
            ends.insert((values[0], values[1]));
        }
        assert!(
            ends.contains(&(0, 0)) && ends.contains(&(255, 255)),
            "{ends:?}"
        );
    }

    #[test]
    fn a_clip_has_one_gain_and_one_offset() {
        let clip = frames(Numbers::F32(vec![20.0, 30.0, f32::NAN, 40.0]));
        let change = augmenter(PlaneAugmentation {
            gain: 0.1,
            offset: 5.0,
            ..PlaneAugmentation::default()
        });
        let changed = change.apply(&clip, Modality::Thermal, &mut random_of(3, 0, 0));
        let Numbers::F32(values) = changed.numbers else {
            panic!("another kind")
        };
        assert!(values[2].is_nan());
        let (a, b) = (values[1] - values[0], values[3] - values[1]);
        assert!((a - b).abs() < 1e-4 && (9.0..11.0).contains(&a) && a != 10.0);
    }

    #[test]
    fn contrast_keeps_the_mean_of_what_is_no_hole() {
        let clip = frames(Numbers::F32(vec![20.0, 30.0, f32::NAN, 40.0]));
        let change = augmenter(PlaneAugmentation {
            contrast: 0.5,
            ..PlaneAugmentation::default()
        });
        let spread = |seed| {
            let changed = change.apply(&clip, Modality::Thermal, &mut random_of(seed, 0, 0));
            let Numbers::F32(values) = changed.numbers else {
                panic!("another kind")
            };
            assert!(
                (values[1] - 30.0).abs() < 1e-4 && values[2].is_nan(),
                "{values:?}"
            );
            values[3] - values[0]
        };
        let spreads: Vec<f32> = (0..20).map(spread).collect();
        assert!(spreads.iter().all(|spread| (10.0..=30.0).contains(spread)));
        assert!(spreads.iter().any(|&s| s < 17.0) && spreads.iter().any(|&s| s > 23.0));
    }

    #[test]
    fn nothing_asked_for_changes_nothing_and_a_seed_decides() {
        let clip = frames(Numbers::U16(vec![0, 1, 65_534, u16::MAX]));
        let draw = |config, seed| {
            augmenter(config).apply(&clip, Modality::Depth, &mut random_of(seed, 0, 0))
        };
        assert_eq!(draw(PlaneAugmentation::default(), 1), clip);
        assert_eq!(draw(ALL, 1), draw(ALL, 1));
    }
}

//! What training does to samples so that an encoder does not learn them by heart.
//!
//! Every change is a pure function of a sample and of random numbers, whose seed the caller knows.
//! All settings at their defaults change nothing.

pub mod clip;
pub mod imu;
pub mod moment;
pub mod plane;
pub mod sound;
pub mod spectrogram;
pub mod view;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

pub use clip::{ClipAugmentation, ClipAugmenter};
pub use imu::{ImuAugmentation, ImuAugmenter};
pub use moment::Moment;
pub use plane::{PlaneAugmentation, PlaneAugmenter};
pub use sound::{SoundAugmentation, SoundAugmenter};
pub use spectrogram::{SpectrogramAugmentation, SpectrogramAugmenter};
pub use view::{View, ViewAugmentation, ViewAugmenter};

use crate::setting::SettingError;

/// What is done to the samples of each sense: `[augmentation]` of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentations {
    /// To windows of an IMU.
    pub imu: ImuAugmentation,
    /// To sound.
    pub audio: SoundAugmentation,
    /// To the spectrograms of sound.
    pub spectrogram: SpectrogramAugmentation,
    /// To the values of heat.
    pub thermal: PlaneAugmentation,
    /// To the values of distances.
    pub depth: PlaneAugmentation,
    /// To what is seen of a picture, and, the same part of it, of heat and distances.
    pub view: ViewAugmentation,
    /// To which part of a clip of frames is looked at, and when.
    pub clip: ClipAugmentation,
}

/// [`Augmentations`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmenters {
    /// Of windows of an IMU.
    pub imu: ImuAugmenter,
    /// Of sound.
    pub audio: SoundAugmenter,
    /// Of spectrograms.
    pub spectrogram: SpectrogramAugmenter,
    /// Of the values of heat.
    pub thermal: PlaneAugmenter,
    /// Of the values of distances.
    pub depth: PlaneAugmenter,
    /// Of what is seen.
    pub view: ViewAugmenter,
    /// Of the part of a clip that is looked at.
    pub clip: ClipAugmenter,
}

/// A setting of a sense that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{sense}.{setting}")]
pub struct AugmentationError {
    /// The table of settings.
    pub sense: &'static str,
    /// The setting.
    pub setting: SettingError,
}

impl Augmentations {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn check(self) -> Result<Augmenters, AugmentationError> {
        let of = |sense| move |setting| AugmentationError { sense, setting };
        Ok(Augmenters {
            imu: ImuAugmenter::new(self.imu).map_err(of("imu"))?,
            audio: SoundAugmenter::new(self.audio).map_err(of("audio"))?,
            spectrogram: SpectrogramAugmenter::new(self.spectrogram).map_err(of("spectrogram"))?,
            thermal: PlaneAugmenter::new(self.thermal).map_err(of("thermal"))?,
            depth: PlaneAugmenter::new(self.depth).map_err(of("depth"))?,
            view: ViewAugmenter::new(self.view).map_err(of("view"))?,
            clip: ClipAugmenter::new(self.clip).map_err(of("clip"))?,
        })
    }
}

fn normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
}

/// A number from `-most` to `most`.
fn around(most: f32, rng: &mut impl Rng) -> f32 {
    most * rng.random_range(-1.0f32..=1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_for_is_in_range() {
        assert!(Augmentations::default().check().is_ok());
        let empty: Augmentations = toml::from_str("").unwrap();
        assert_eq!(empty, Augmentations::default());
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_table() {
        let message = |text: &str| {
            let parsed: Augmentations = toml::from_str(text).unwrap();
            parsed.check().unwrap_err().to_string()
        };
        for (text, expected) in [
            (
                "imu.gain = 1.0",
                "imu.gain is 1, expected at least 0 and below 1",
            ),
            (
                "audio.gain_db = -1",
                "audio.gain_db is -1, expected a number from 0 on",
            ),
            ("audio.speed = nan", "audio.speed is NaN, expected 0 to 1"),
            (
                "audio.noise_snr_db = [20, 10]",
                "audio.noise_snr_db is 20, expected at most the end of the range",
            ),
            (
                "spectrogram.mel_warp = 2",
                "spectrogram.mel_warp is 2, expected at least 0 and below 1",
            ),
            ("thermal.holes = 2", "thermal.holes is 2, expected 0 to 1"),
            (
                "depth.noise = inf",
                "depth.noise is inf, expected a number from 0 on",
            ),
            (
                "clip.trim = 0.5",
                "clip.trim is 0.5, expected at least 0 and below 0.5",
            ),
            (
                "view.smallest = 0",
                "view.smallest is 0, expected more than 0, and at most 1",
            ),
        ] {
            assert_eq!(message(text), expected);
        }
        assert!(toml::from_str::<Augmentations>("audio.pitch = 1").is_err());
        assert!(toml::from_str::<Augmentations>("smell.gain = 1").is_err());
    }
}

//! Clips of depth or heat: when they begin and end, and where what moves in them is.

use std::ops::Range;

use rand::Rng;
use sensorium_core::feature::Placement;
use serde::{Deserialize, Serialize};

use super::around;
use crate::setting::{self, SettingError};

/// How strongly clips are changed before their front end; 0 everywhere leaves them as they are.
///
/// A front end that centres a clip on its foreground undoes whatever was done to the pictures; this
/// is done to what it settled on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClipAugmentation {
    /// Largest share of a recording that is cut off at each end, below a half; only where all of a
    /// recording is one clip.
    pub trim: f32,
    /// Largest shift to any side, as a share of what is looked at.
    pub shift: f32,
    /// Largest relative change of the size of what is looked at, below 1.
    pub zoom: f32,
    /// Largest relative change of the ratio of its sides, below 1.
    pub stretch: f32,
}

/// A [`ClipAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipAugmenter {
    config: ClipAugmentation,
}

impl ClipAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: ClipAugmentation) -> Result<Self, SettingError> {
        let trims = (0.0..0.5).contains(&config.trim);
        setting::fits("trim", config.trim, "at least 0 and below 0.5", trims)?;
        setting::share("shift", config.shift)?;
        setting::below_one("zoom", config.zoom)?;
        setting::below_one("stretch", config.stretch)?;
        Ok(Self { config })
    }

    /// The frames of a recording of so many that are kept: at least one.
    pub fn trim(&self, frames: usize, rng: &mut impl Rng) -> Range<usize> {
        let mut cut = || (self.config.trim * rng.random::<f32>() * frames as f32) as usize;
        let (start, end) = (cut(), frames.saturating_sub(cut()));
        if start < end { start..end } else { 0..frames }
    }

    /// Where to look.
    pub fn place(&self, rng: &mut impl Rng) -> Placement {
        let ClipAugmentation {
            shift,
            zoom,
            stretch,
            ..
        } = self.config;
        let size = f64::from(1.0 + around(zoom, rng));
        let ratio = f64::from(1.0 + around(stretch, rng)).sqrt();
        Placement {
            right: f64::from(around(shift, rng)),
            down: f64::from(around(shift, rng)),
            width: size * ratio,
            height: size / ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let augmenter = ClipAugmenter::new(ClipAugmentation::default()).unwrap();
        let mut random = random_of(0, 0, 0);
        assert_eq!(augmenter.trim(20, &mut random), 0..20);
        assert_eq!(augmenter.place(&mut random), Placement::OWN);
    }

    #[test]
    fn what_is_drawn_stays_in_its_bounds() {
        let augmenter = ClipAugmenter::new(ClipAugmentation {
            trim: 0.49,
            shift: 0.1,
            zoom: 0.2,
            stretch: 0.3,
        })
        .unwrap();
        let mut seen = [f64::INFINITY, 0.0];
        for n in 0..1000 {
            let mut random = random_of(7, n, 0);
            let kept = augmenter.trim(1 + n as usize % 30, &mut random);
            assert!(!kept.is_empty() && kept.end <= 1 + n as usize % 30);
            let Placement {
                right,
                down,
                width,
                height,
            } = augmenter.place(&mut random);
            assert!(right.abs() <= 0.1001 && down.abs() <= 0.1001);
            let size = (width * height).sqrt();
            assert!((0.799..1.201).contains(&size), "{size}");
            assert!((0.699..1.301).contains(&(width / height)));
            seen = [seen[0].min(size), seen[1].max(size)];
        }
        assert!(seen[0] < 0.85 && seen[1] > 1.15, "{seen:?}");
    }
}

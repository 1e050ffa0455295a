//! What an encoder is given for a decoded sample: the runtime's front ends, with or without
//! augmentation before and after them.

use std::ops::Range;

use rand::Rng;
use sensorium_core::feature::clip;
use sensorium_core::feature::{
    Clip, FeatureError, FramesError, FrontEnd, FrontEndError, Image, ImuFrontEnd, ImuUnits,
    Padding, Placement, PlaneError, Processor, SoundError, depth_m,
};
use sensorium_media::{NumberArray, Numbers};
use sensorium_pack::Modality;
use thiserror::Error;

use crate::augment::sound::mix;
use crate::augment::{Moment, View};
use crate::batch::random_of;
use crate::{Augmenters, Raw, Sample};

/// A front end, and what is done to samples in training.
#[derive(Debug, Clone)]
pub struct Extractor {
    processor: Processor,
    sense: Modality,
    augmenters: Augmenters,
}

/// Why a sample gives no features.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// An inertial window.
    #[error(transparent)]
    Imu(#[from] FeatureError),
    /// A sound.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// A thermal or depth picture.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A clip of such pictures.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// The sample is of another sense than the front end.
    #[error("it is {found}, which a front end of kind {kind} does not take")]
    Kind {
        /// What it is.
        found: &'static str,
        /// The front end.
        kind: &'static str,
    },
}

impl Extractor {
    /// The front end of an encoder of a sense.
    ///
    /// # Errors
    ///
    /// Parameters that make no front end.
    pub fn new(
        front_end: &FrontEnd,
        sense: Modality,
        augmenters: Augmenters,
    ) -> Result<Self, FrontEndError> {
        Ok(Self {
            processor: front_end.build()?,
            sense,
            augmenters,
        })
    }

    /// Part `number` of what belongs to a picture: the first is the whole, the others are drawn, the
    /// same ones for the same `key`.
    #[must_use]
    pub fn view(&self, key: u64, number: usize) -> View {
        if number == 0 {
            return View::WHOLE;
        }
        let mut random = random_of(key, number as u64, u64::MAX);
        self.augmenters.view.draw(&mut random)
    }

    /// Lengths of the axes of the features of one window.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        self.processor.output_shape()
    }

    /// One augmented window of a sample, anywhere in it. `following` is what comes after it in the
    /// same recording; `view` the part of pictures that is seen, which otherwise is drawn.
    ///
    /// # Errors
    ///
    /// A sample that gives no features.
    pub fn augmented(
        &self,
        raw: &Raw,
        following: Option<&Raw>,
        view: Option<View>,
        random: &mut impl Rng,
    ) -> Result<Vec<f32>, ExtractError> {
        let mut seen = || view.unwrap_or_else(|| self.augmenters.view.draw(random));
        match (&self.processor, raw) {
            (
                Processor::Imu(front_end, _),
                Raw::Imu {
                    samples,
                    rate_hz,
                    units,
                },
            ) => {
                let next = following.and_then(|raw| match raw {
                    Raw::Imu { samples, .. } => Some(&samples[..]),
                    _ => None,
                });
                // What happens at another pace is as if sampled at another rate, within what the
                // front end takes.
                let paced = rate_hz * self.augmenters.imu.pace(random);
                let taken = next.is_none() && front_end.input_len(paced).is_ok();
                let rate_hz = if taken { paced } else { *rate_hz };
                let len = front_end.input_len(rate_hz)?;
                let part = Moment::draw(random).range(samples.len(), len);
                // What follows the part that is looked at follows in the sample itself.
                let next = next.filter(|_| part.end == samples.len());
                let samples = self.augmenters.imu.apply(&samples[part], next, random);
                self.imu(front_end, &samples, rate_hz, *units)
            }
            (Processor::Sound(front_end), Raw::Sound { samples, rate_hz }) => {
                let samples = self.augmenters.audio.apply(samples, *rate_hz, random);
                let samples = front_end.resample(&samples, *rate_hz)?;
                let clip = front_end.clip_samples();
                let part = Moment::draw(random).range(samples.len(), clip);
                let mut placed = Vec::new();
                if samples.len() < clip && front_end.padding() == Padding::Zero {
                    // Live, a sound is not always at the start of a window.
                    placed.resize(random.random_range(0..=clip - samples.len()), 0.0);
                }
                placed.extend(&samples[part]);
                let mut out = vec![0.0; front_end.output_len()];
                front_end.clip(&placed, &mut out)?;
                self.mask(&mut out, random);
                Ok(out)
            }
            (Processor::Image(front_end), Raw::Image(image)) => {
                Ok(front_end.extract(&seen().image(image)))
            }
            (Processor::Image(front_end), Raw::Frames { frames, .. }) => {
                let seen = seen().frames(frames);
                let at = random.random_range(0..frames.shape[0]);
                let changed = self.changed(&seen, random);
                Ok(front_end.extract(&self.grey(raw, &changed, at)?))
            }
            (Processor::Thermal(_) | Processor::Depth(_), Raw::Frames { frames, rate_hz }) => {
                let seen = seen().frames(frames);
                let at = random.random_range(0..frames.shape[0]);
                let changed = self.changed(&seen, random);
                self.clip(&changed, *rate_hz, at..at + 1, Placement::OWN)
            }
            (Processor::Frames(front_end), Raw::Frames { frames, rate_hz }) => {
                let count = frames.shape[0];
                let clip = front_end.clip_frames(rate_hz.map(f64::from))?;
                let seen = seen().frames(frames);
                let part = match clip {
                    Some(clip) => Moment::draw(random).range(count, clip),
                    None => self.augmenters.clip.trim(count, random),
                };
                let placement = self.augmenters.clip.place(random);
                let changed = self.changed(&seen, random);
                self.clip(&changed, *rate_hz, part, placement)
            }
            _ => Err(self.other_kind(raw)),
        }
    }

    /// One clip of several sounds at once, at the front end's rate: a part of each, changed, and each
    /// after the first softer than what is there by as many decibels as `softer_db` says, from least
    /// to most.
    ///
    /// # Errors
    ///
    /// What is no sound, or a front end of another sense.
    pub fn mixture(
        &self,
        parts: &[Raw],
        softer_db: [f32; 2],
        random: &mut impl Rng,
    ) -> Result<Raw, ExtractError> {
        let mut mixed = Vec::new();
        let mut rate = 0;
        for raw in parts {
            let (Processor::Sound(front_end), Raw::Sound { samples, rate_hz }) =
                (&self.processor, raw)
            else {
                return Err(self.other_kind(raw));
            };
            rate = front_end.rate_hz();
            let clip = front_end.clip_samples();
            // What is heard in the end is no longer, so the rest need not be changed.
            let longest = clip as f32 / rate as f32 * self.augmenters.audio.longest();
            let needed = (longest * *rate_hz as f32).ceil() as usize;
            let part = Moment::draw(random).range(samples.len(), needed);
            let changed = self
                .augmenters
                .audio
                .apply(&samples[part], *rate_hz, random);
            let changed = front_end.resample(&changed, *rate_hz)?;
            let part = Moment::draw(random).range(changed.len(), clip);
            let start = random.random_range(0..=clip - part.len());
            let mut placed = vec![0.0; clip];
            placed[start..start + part.len()].copy_from_slice(&changed[part]);
            if mixed.is_empty() {
                mixed = placed;
            } else {
                let over_db = random.random_range(softer_db[0]..=softer_db[1]);
                mix(&mut mixed, &placed, over_db);
            }
        }
        Ok(Raw::Sound {
            samples: mixed,
            rate_hz: rate,
        })
    }

    /// Changes features as spectrograms are changed in training, if that is what they are.
    pub fn mask(&self, features: &mut [f32], random: &mut impl Rng) {
        if let Processor::Sound(front_end) = &self.processor
            && let Some(log_mel) = front_end.log_mel()
            && !log_mel.spec().axes.frames_first()
        {
            let mels = log_mel.spec().mels;
            self.augmenters.spectrogram.apply(features, mels, random);
        }
    }

    /// All windows of a sample, as the runtime cuts them: half a window apart and one at its end.
    ///
    /// # Errors
    ///
    /// A sample that gives no features.
    pub fn windows(&self, raw: &Raw) -> Result<Vec<Vec<f32>>, ExtractError> {
        match (&self.processor, raw) {
            (
                Processor::Imu(front_end, _),
                Raw::Imu {
                    samples,
                    rate_hz,
                    units,
                },
            ) => parts(samples.len(), front_end.input_len(*rate_hz)?)
                .map(|part| self.imu(front_end, &samples[part], *rate_hz, *units))
                .collect(),
            (Processor::Sound(front_end), Raw::Sound { samples, rate_hz }) => {
                let samples = front_end.resample(samples, *rate_hz)?;
                let views = front_end.views(&samples);
                Ok(views.collect::<Result<_, _>>()?)
            }
            (Processor::Image(front_end), Raw::Image(image)) => Ok(vec![front_end.extract(image)]),
            (Processor::Image(front_end), Raw::Frames { frames, .. }) => (0..frames.shape[0])
                .map(|at| Ok(front_end.extract(&self.grey(raw, frames, at)?)))
                .collect(),
            (Processor::Thermal(_) | Processor::Depth(_), Raw::Frames { frames, rate_hz }) => (0
                ..frames.shape[0])
                .map(|at| self.clip(frames, *rate_hz, at..at + 1, Placement::OWN))
                .collect(),
            (Processor::Frames(front_end), Raw::Frames { frames, rate_hz }) => {
                let count = frames.shape[0];
                let clip = front_end.clip_frames(rate_hz.map(f64::from))?;
                parts(count, clip.unwrap_or(count))
                    .map(|part| self.clip(frames, *rate_hz, part, Placement::OWN))
                    .collect()
            }
            _ => Err(self.other_kind(raw)),
        }
    }

    /// A thermal frame of 8 bits as a picture in colours, as the runtime reads its file.
    fn grey(&self, raw: &Raw, frames: &NumberArray, at: usize) -> Result<Image<3>, ExtractError> {
        let (&[_, height, width], Numbers::U8(levels), Modality::Thermal) =
            (&frames.shape[..], &frames.numbers, self.sense)
        else {
            return Err(self.other_kind(raw));
        };
        let len = height * width;
        let levels = &levels[at * len..][..len];
        let pixels = levels.iter().map(|&level| [level; 3]).collect();
        Image::new(width, height, pixels).ok_or_else(|| self.other_kind(raw))
    }

    fn other_kind(&self, raw: &Raw) -> ExtractError {
        ExtractError::Kind {
            found: raw.kind(),
            kind: self.processor.kind(),
        }
    }

    fn imu(
        &self,
        front_end: &ImuFrontEnd,
        samples: &[Sample],
        rate_hz: f32,
        units: ImuUnits,
    ) -> Result<Vec<f32>, ExtractError> {
        let window: Vec<_> = samples.iter().map(|&sample| units.to_si(sample)).collect();
        let mut out = vec![0.0; front_end.output_len()];
        front_end.extract(&window, rate_hz, &mut out)?;
        if let Processor::Imu(_, order) = &self.processor {
            order.arrange(&mut out);
        }
        Ok(out)
    }

    /// Other values.
    fn changed(&self, frames: &NumberArray, random: &mut impl Rng) -> NumberArray {
        let values = match self.sense {
            Modality::Thermal => self.augmenters.thermal,
            _ => self.augmenters.depth,
        };
        values.apply(frames, self.sense, random)
    }

    /// The features of some frames, which are one clip.
    fn clip(
        &self,
        frames: &NumberArray,
        rate_hz: Option<f32>,
        part: Range<usize>,
        placement: Placement,
    ) -> Result<Vec<f32>, ExtractError> {
        let [_, height, width] = frames.shape[..] else {
            unreachable!("decoded frames have three axes");
        };
        let pixels = height * width;
        let range = part.start * pixels..part.end * pixels;
        Ok(match &self.processor {
            Processor::Thermal(front_end) => {
                let values = self.values(&frames.numbers, range, |count| front_end.value_of(count));
                front_end.extract(&values, width)?
            }
            Processor::Depth(front_end) => {
                let values = self.values(&frames.numbers, range, |count| count as f32);
                front_end.extract(&values, width)?
            }
            Processor::Frames(front_end) => {
                let values = self.values(&frames.numbers, range, |count| front_end.value_of(count));
                let clip = Clip {
                    values: &values,
                    height,
                    width,
                };
                let whole = front_end.clip_frames(rate_hz.map(f64::from))?;
                front_end.extract_at(clip, whole, placement)?
            }
            _ => unreachable!("only front ends of frames cut clips"),
        })
    }

    /// Distances in metres, or temperatures; whole numbers of the latter mean what the front end says.
    fn values(
        &self,
        numbers: &Numbers,
        range: Range<usize>,
        thermal: impl Fn(f64) -> f32,
    ) -> Vec<f32> {
        match (self.sense, numbers) {
            (Modality::Depth, Numbers::U16(values)) => {
                values[range].iter().map(|&mm| depth_m(mm)).collect()
            }
            (Modality::Thermal, Numbers::U8(values)) => values[range]
                .iter()
                .map(|&v| thermal(f64::from(v)))
                .collect(),
            (Modality::Thermal, Numbers::U16(values)) => values[range]
                .iter()
                .map(|&v| thermal(f64::from(v)))
                .collect(),
            (_, numbers) => numbers.to_f32(range),
        }
    }
}

/// The windows of `len` samples that a recording is embedded by, or all of one that is no longer.
fn parts(samples: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
    clip::windows(samples, len).map(move |start| start..(start + len).min(samples))
}

#[cfg(test)]
mod tests {
    use sensorium_core::feature::{Image, LogMelSpec};

    use super::*;
    use crate::Augmentations;

    fn extractor() -> Extractor {
        let front_end = FrontEnd::LogMel(LogMelSpec {
            clip_s: 0.1,
            frames: 8,
            ..LogMelSpec::reference()
        });
        let augmenters = Augmentations::default().check().unwrap();
        Extractor::new(&front_end, Modality::Audio, augmenters).unwrap()
    }

    fn tone(len: usize, step: f32) -> Raw {
        Raw::Sound {
            samples: (0..len).map(|n| 0.5 * (n as f32 * step).sin()).collect(),
            rate_hz: 16_000,
        }
    }

    fn samples(raw: Raw) -> Vec<f32> {
        match raw {
            Raw::Sound {
                samples,
                rate_hz: 16_000,
            } => samples,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mixture_is_one_clip_of_all_its_parts() {
        let extractor = extractor();
        let (long, short) = (tone(8000, 0.3), tone(400, 1.1));
        let mix = |parts: &[Raw], db: f32, seed| {
            let mut random = random_of(seed, 0, 0);
            samples(extractor.mixture(parts, [db, db], &mut random).unwrap())
        };
        let power = |s: &[f32]| s.iter().map(|v| v * v).sum::<f32>();
        let alone = mix(std::slice::from_ref(&long), 0.0, 1);
        assert_eq!(alone.len(), 1600);
        // A short sound lies somewhere in silence.
        let placed = mix(std::slice::from_ref(&short), 0.0, 1);
        let sounding = placed.iter().filter(|v| **v != 0.0).count();
        assert!(placed.len() == 1600 && (390..=400).contains(&sounding));
        // What is added is as much softer as asked for: 10 decibels are a tenth of the power.
        let both = mix(&[long.clone(), short], 10.0, 1);
        let added: Vec<f32> = both.iter().zip(&alone).map(|(a, b)| a - b).collect();
        let share = power(&added) / power(&alone);
        assert!((share - 0.1).abs() < 1e-3, "{share}");
        assert_eq!(both, mix(&[long.clone(), tone(400, 1.1)], 10.0, 1));
        assert_ne!(alone, mix(&[long], 0.0, 2));
    }

    #[test]
    fn only_sounds_are_mixed() {
        let text = Raw::Text("a tone".to_owned());
        let mixed = extractor().mixture(&[text], [0.0, 0.0], &mut random_of(0, 0, 0));
        assert!(matches!(mixed, Err(ExtractError::Kind { .. })), "{mixed:?}");
    }

    #[test]
    fn thermal_frames_of_8_bits_may_be_taken_for_pictures() {
        let spec = toml::from_str(
            "kind = 'image'
             resize = { exact = [2, 3] }
             interpolation = 'bicubic'
             mean = [0.5, 0.4, 0.3]
             std = [0.5, 0.5, 0.5]",
        );
        let front_end: FrontEnd = spec.unwrap();
        let extractor = |sense| {
            let augmenters = Augmentations::default().check().unwrap();
            Extractor::new(&front_end, sense, augmenters).unwrap()
        };
        let levels = vec![0u8, 50, 100, 150, 200, 250, 9, 8, 7, 6, 5, 4];
        let frames = |numbers| Raw::Frames {
            frames: NumberArray {
                shape: vec![2, 2, 3],
                numbers,
            },
            rate_hz: None,
        };
        let raw = frames(Numbers::U8(levels.clone()));
        let windows = extractor(Modality::Thermal).windows(&raw).unwrap();
        let picture = |levels: &[u8]| {
            let pixels = levels.iter().map(|&level| [level; 3]).collect();
            Raw::Image(Image::new(3, 2, pixels).unwrap())
        };
        for (window, levels) in windows.iter().zip(levels.chunks_exact(6)) {
            let expected = extractor(Modality::Image).windows(&picture(levels));
            assert_eq!(*window, expected.unwrap()[0]);
        }
        assert_eq!(windows.len(), 2);
        let drawn =
            extractor(Modality::Thermal).augmented(&raw, None, None, &mut random_of(1, 0, 0));
        assert!(windows.contains(&drawn.unwrap()));

        let refused = |sense, raw| extractor(sense).windows(&raw).unwrap_err().to_string();
        let expected = "which a front end of kind image does not take";
        let counts = frames(Numbers::U16(vec![3; 12]));
        assert!(refused(Modality::Thermal, counts).ends_with(expected));
        assert!(refused(Modality::Depth, raw).ends_with(expected));
    }
}

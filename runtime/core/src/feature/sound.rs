//! From a recording of sound to normalised log-mel spectrograms of its clips.
//!
//! ```text
//! recording ─resample─▶ 16 kHz ─clips of 2 s─▶ less its mean ─log-mel─▶ [filters, frames], normalised
//! ```

use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

use super::clip::first_sample;
use super::mel::{LogMel, MEL_FRAME, MEL_HOP};

/// The rate that spectrograms are made of, in hertz.
pub const SOUND_RATE_HZ: u32 = 16_000;

/// What turns sound into the numbers an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundFrontEnd {
    mel: LogMel,
    frames: usize,
    clip_samples: usize,
    mean: f32,
    std: f32,
}

/// Why a recording gives no spectrogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SoundError {
    /// Less than one frame.
    #[error("the sound is {samples} samples long at 16 kHz, expected at least 400")]
    Short {
        /// Samples of the shortest clip.
        samples: usize,
    },
    /// There is no channel, or they are of different lengths.
    #[error("the channels of the sound differ in length, or there is none")]
    Channels,
    /// A sample is not a number.
    #[error("sample {index} of the sound is not a number")]
    NotFinite {
        /// Its place.
        index: usize,
    },
}

impl SoundFrontEnd {
    /// A front end of clips of so many samples at 16 kHz, each a spectrogram of so many filters and
    /// frames, from which `mean` is taken and which is divided by `std`.
    #[must_use]
    pub fn new(filters: usize, frames: usize, clip_samples: usize, mean: f32, std: f32) -> Self {
        Self {
            mel: LogMel::new(filters),
            frames,
            clip_samples,
            mean,
            std,
        }
    }

    /// The reference's: 2 s, 128 filters, 204 frames, of which 2 s fill 198.
    #[must_use]
    pub fn reference() -> Self {
        Self::new(128, 204, 32_000, -4.268, 9.138)
    }

    /// Numbers of a clip.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.mel.filters() * self.frames
    }

    /// Filters of the bank.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.mel.filters()
    }

    /// Samples of a clip, at 16 kHz.
    #[must_use]
    pub fn clip_samples(&self) -> usize {
        self.clip_samples
    }

    /// The spectrogram of one clip, its own mean taken off.
    ///
    /// # Shapes
    ///
    /// `samples` at 16 kHz, amplitudes from -1 to 1, of which those that fill the frames are used;
    /// `out` `[filters, frames]`.
    ///
    /// # Errors
    ///
    /// A clip shorter than a frame, or with what is no number.
    ///
    /// # Panics
    ///
    /// If `out` has another length.
    pub fn clip(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        let mean = mean(&[samples]);
        let centred: Vec<f32> = samples.iter().map(|s| s - mean).collect();
        self.spectrogram(&centred, out)
    }

    /// The spectrograms of evenly spaced clips of a recording, as the reference makes them.
    ///
    /// Its mean is that of all channels, though only the first is heard; and it is taken off in
    /// place, so where clips overlap, the later ones find sound that was shifted already.
    ///
    /// # Shapes
    ///
    /// `channels` at 16 kHz, of one length; `[clips, filters, frames]` come back.
    ///
    /// # Errors
    ///
    /// Channels that differ in length, or a recording shorter than a frame.
    pub fn clips(&self, channels: &[&[f32]], clips: usize) -> Result<Vec<f32>, SoundError> {
        let len = channels.first().ok_or(SoundError::Channels)?.len();
        if channels.iter().any(|channel| channel.len() != len) {
            return Err(SoundError::Channels);
        }
        let mut shifted: Vec<Vec<f32>> = channels.iter().map(|c| c.to_vec()).collect();
        let mut out = vec![0.0; clips * self.output_len()];
        for (index, out) in out.chunks_exact_mut(self.output_len()).enumerate() {
            let [samples, clip, index, clips] =
                [len, self.clip_samples, index, clips].map(|n| n as u64);
            let first = first_sample(samples, SOUND_RATE_HZ, clip, index, clips) as usize;
            let end = len.min(first + self.clip_samples);
            let views: Vec<&[f32]> = shifted.iter().map(|c| &c[first..end]).collect();
            let mean = mean(&views);
            for channel in &mut shifted {
                channel[first..end].iter_mut().for_each(|s| *s -= mean);
            }
            self.spectrogram(&shifted[0][first..end], out)?;
        }
        Ok(out)
    }

    fn spectrogram(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        assert_eq!(out.len(), self.output_len(), "SoundFrontEnd: output");
        if let Some(index) = samples.iter().position(|s| !s.is_finite()) {
            return Err(SoundError::NotFinite { index });
        }
        if samples.len() < MEL_FRAME {
            return Err(SoundError::Short {
                samples: samples.len(),
            });
        }
        // Frames that the sound does not fill are 0 before normalisation, which is no silence.
        out.fill((0.0 - self.mean) / self.std);
        let mut row = vec![0.0; self.mel.filters()];
        let frames = samples
            .windows(MEL_FRAME)
            .step_by(MEL_HOP)
            .take(self.frames);
        for (index, frame) in frames.enumerate() {
            if let Ok(frame) = frame.try_into() {
                self.mel.frame(frame, &mut row);
            }
            for (filter, value) in row.iter().enumerate() {
                out[filter * self.frames + index] = (value - self.mean) / self.std;
            }
        }
        Ok(())
    }
}

/// Of all samples of all channels.
fn mean(channels: &[&[f32]]) -> f32 {
    let samples = || channels.iter().flat_map(|channel| channel.iter());
    let count = samples().count().max(1);
    (samples().map(|s| f64::from(*s)).sum::<f64>() / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, len: usize) -> Vec<f32> {
        let step = core::f32::consts::TAU * hz / SOUND_RATE_HZ as f32;
        (0..len)
            .map(|n| 0.5 * libm::sinf(step * n as f32))
            .collect()
    }

    fn front_end() -> SoundFrontEnd {
        SoundFrontEnd::new(16, 12, 1600, -4.0, 2.0)
    }

    #[test]
    fn a_clip_fills_its_frames_and_the_rest_is_zero_before_normalisation() {
        let front_end = front_end();
        let mut out = vec![f32::NAN; front_end.output_len()];
        front_end.clip(&tone(440.0, 1600), &mut out).unwrap();
        // 1600 samples are 8 frames of 12.
        for row in out.chunks_exact(12) {
            assert!(row[8..].iter().all(|v| *v == 2.0));
            assert!(row[..8].iter().all(|v| v.is_finite() && *v != 2.0));
        }
    }

    #[test]
    fn a_constant_is_nothing() {
        let front_end = front_end();
        let mut silence = vec![0.0; front_end.output_len()];
        front_end.clip(&[0.0; 1600], &mut silence).unwrap();
        let mut constant = silence.clone();
        front_end.clip(&[0.25; 1600], &mut constant).unwrap();
        assert_eq!(silence, constant);
    }

    #[test]
    fn overlapping_clips_find_sound_that_was_shifted() {
        let front_end = front_end();
        let sound: Vec<f32> = tone(300.0, 2400).iter().map(|s| s + 0.3).collect();
        let clips = front_end.clips(&[&sound], 3).unwrap();
        assert_eq!(clips.len(), 3 * front_end.output_len());
        let mut first = vec![0.0; front_end.output_len()];
        front_end.clip(&sound[..1600], &mut first).unwrap();
        assert_eq!(&clips[..front_end.output_len()], first);
        // Half of the second clip has no constant left, so its step is heard.
        let mut second = first;
        front_end.clip(&sound[400..2000], &mut second).unwrap();
        let second_clip = &clips[front_end.output_len()..2 * front_end.output_len()];
        let apart = second_clip
            .iter()
            .zip(&second)
            .any(|(a, b)| (a - b).abs() > 0.1);
        assert!(apart, "the reference's way is not a clip's own mean");
        // The second channel is not heard, but its mean is.
        let both = front_end.clips(&[&sound, &vec![0.0; 2400]], 1).unwrap();
        assert_ne!(both, clips[..front_end.output_len()]);
    }

    #[test]
    fn sound_that_gives_no_frame_is_refused() {
        let front_end = front_end();
        let refused = |channels: &[&[f32]]| front_end.clips(channels, 2).unwrap_err();
        assert_eq!(refused(&[&[0.0; 399]]), SoundError::Short { samples: 399 });
        assert_eq!(refused(&[]), SoundError::Channels);
        assert_eq!(refused(&[&[0.0; 500], &[0.0; 499]]), SoundError::Channels);
        let mut bad = [0.0; 500];
        bad[7] = f32::NAN;
        assert!(matches!(refused(&[&bad]), SoundError::NotFinite { .. }));
    }
}

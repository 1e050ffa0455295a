//! Log-mel spectrograms of clips of sound.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::spec::{Extent, Log, LogMelSpec, Padding};
use super::spectrum::{Analyser, Spectrum};
use super::{SoundError, ensure_finite, padded};
use crate::feature::clip::first_sample;
use crate::feature::front_end::FrontEndError;
use crate::feature::mel::MelBank;

/// What makes log-mel spectrograms, by what [`LogMelSpec`] says.
#[derive(Debug, Clone)]
pub struct LogMel {
    spec: LogMelSpec,
    window: Vec<f64>,
    analyser: Analyser,
    bank: MelBank,
}

impl LogMel {
    /// Of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &LogMelSpec) -> Result<Self, FrontEndError> {
        spec.check()?;
        Ok(Self::of(spec))
    }

    /// The reference's, [`LogMelSpec::reference`].
    #[must_use]
    pub fn reference() -> Self {
        Self::of(&LogMelSpec::reference())
    }

    /// Of parameters that make sense.
    fn of(spec: &LogMelSpec) -> Self {
        let bins = (spec.fft / 2 + 1, f64::from(spec.rate_hz) / spec.fft as f64);
        let range_hz = [spec.f_min_hz, spec.f_max_hz];
        Self {
            window: spec.window_kind.weights(spec.window),
            analyser: Analyser::new(spec.fft, spec.spectrum),
            bank: MelBank::new(spec.mels, range_hz, (spec.mel_scale, spec.mel_norm), bins),
            spec: spec.clone(),
        }
    }

    /// Its parameters.
    #[must_use]
    pub fn spec(&self) -> &LogMelSpec {
        &self.spec
    }

    /// What the samples of a frame are multiplied by.
    #[must_use]
    pub fn window(&self) -> &[f64] {
        &self.window
    }

    /// Its filters.
    #[must_use]
    pub fn bank(&self) -> &MelBank {
        &self.bank
    }

    fn output_len(&self) -> usize {
        self.spec.channels() * self.spec.mels * self.spec.frames
    }

    fn clip_samples(&self) -> usize {
        self.spec.clip_samples()
    }

    /// The spectrogram of one clip; see [`SoundFrontEnd::clip`](super::SoundFrontEnd::clip).
    pub(super) fn clip(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        let clip = self.clip_samples();
        let heard = if self.spec.thirds {
            samples.len()
        } else {
            clip
        };
        let samples = &samples[..samples.len().min(heard)];
        let mut centred = Cow::Borrowed(samples);
        if self.spec.remove_mean.contains(&Extent::Clip) {
            let mean = mean(&[samples]);
            centred.to_mut().iter_mut().for_each(|s| *s -= mean);
        }
        if !self.spec.thirds {
            return self.spectrogram(&centred, out);
        }
        assert_eq!(out.len(), self.output_len(), "LogMel: output");
        let len = self.output_len() / self.spec.channels();
        for (third, out) in out.chunks_exact_mut(len).enumerate() {
            let part = &centred[self.third(samples.len(), third)..];
            self.spectrogram(&part[..part.len().min(clip)], out)?;
        }
        Ok(())
    }

    /// First sample of the part from the middle of a third of the places where a part of a recording can
    /// begin, in frames; the first thirds have one place more where they cannot be equal.
    fn third(&self, samples: usize, third: usize) -> usize {
        let spec = &self.spec;
        let frames = samples.checked_sub(spec.window);
        let frames = frames.map_or(0, |spare| spare / spec.hop + 1);
        let Some(places) = frames.checked_sub(spec.frames).map(|spare| spare + 1) else {
            return 0;
        };
        let len = |third: usize| places / 3 + usize::from(third < places % 3);
        if len(third) == 0 {
            return 0;
        }
        let before: usize = (0..third).map(len).sum();
        (before + len(third) / 2) * spec.hop
    }

    /// The spectrograms of evenly spaced clips of a recording, as the reference makes them.
    ///
    /// Its mean is that of all channels, though only the first is heard; and it is taken off in
    /// place, so where clips overlap, the later ones find sound that was shifted already.
    ///
    /// # Shapes
    ///
    /// `channels` at the encoder's rate, of one length; `[clips, …]` come back.
    ///
    /// # Errors
    ///
    /// Channels that differ in length, or a recording shorter than a frame.
    pub fn clips(&self, channels: &[&[f32]], clips: usize) -> Result<Vec<f32>, SoundError> {
        let len = channels.first().ok_or(SoundError::Channels)?.len();
        if channels.iter().any(|channel| channel.len() != len) {
            return Err(SoundError::Channels);
        }
        let clip = self.clip_samples();
        let mut shifted: Vec<Vec<f32>> = channels.iter().map(|c| c.to_vec()).collect();
        let mut out = vec![0.0; clips * self.output_len()];
        for (index, out) in out.chunks_exact_mut(self.output_len()).enumerate() {
            let [samples, clip_len, index, clips] = [len, clip, index, clips].map(|n| n as u64);
            let first = first_sample(samples, self.spec.rate_hz, clip_len, index, clips) as usize;
            let end = len.min(first + clip);
            let views: Vec<&[f32]> = shifted.iter().map(|c| &c[first..end]).collect();
            let mean = mean(&views);
            for channel in &mut shifted {
                channel[first..end].iter_mut().for_each(|s| *s -= mean);
            }
            self.spectrogram(&shifted[0][first..end], out)?;
        }
        Ok(out)
    }

    /// The logarithms of each filter's energy, frame by frame, of a sound as it is: no mean but that
    /// of frames is taken off, nothing padded or normalised, no frame cut off or added.
    #[must_use]
    pub fn log_mel(&self, samples: &[f32]) -> Vec<f64> {
        let samples: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
        self.log_mel_of(self.emphasised(samples), usize::MAX)
    }

    fn spectrogram(&self, samples: &[f32], out: &mut [f32]) -> Result<(), SoundError> {
        let spec = &self.spec;
        let len = spec.mels * spec.frames;
        assert_eq!(out.len(), len, "LogMel: output");
        ensure_finite(samples)?;
        if samples.len() < spec.least_samples() {
            return Err(SoundError::Short {
                samples: samples.len(),
                rate_hz: spec.rate_hz,
                expected: spec.least_samples(),
            });
        }
        let padded = padded(samples, spec.padding, self.clip_samples());
        let padded = padded.iter().map(|s| f64::from(*s)).collect();
        let mut values = self.log_mel_of(self.emphasised(padded), spec.frames);
        if spec.padding == Padding::Frames && values.len() < len {
            values = values.iter().copied().cycle().take(len).collect();
        }
        if let Some(range) = spec.log_range {
            let largest = values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            values.iter_mut().for_each(|v| *v = v.max(largest - range));
        }
        let normal = |value: f64| ((value + spec.offset) / spec.scale) as f32;
        // Frames that the sound does not fill are 0 before normalisation, which is no silence.
        out.fill(normal(0.0));
        for (frame, row) in values.chunks_exact(spec.mels).enumerate() {
            for (mel, value) in row.iter().enumerate() {
                let at = if spec.axes.frames_first() {
                    frame * spec.mels + mel
                } else {
                    mel * spec.frames + frame
                };
                out[at] = normal(*value);
            }
        }
        Ok(())
    }

    /// Pre-emphasis over the whole sound, if it is done so.
    fn emphasised(&self, samples: Vec<f64>) -> Vec<f64> {
        let spec = &self.spec;
        if spec.pre_emphasis == 0.0 || spec.pre_emphasis_of == Extent::Frame {
            return samples;
        }
        let pairs = samples.windows(2);
        pairs
            .map(|pair| pair[1] - spec.pre_emphasis * pair[0])
            .collect()
    }

    /// `[frames, mels]` of at most so many frames.
    fn log_mel_of(&self, samples: Vec<f64>, most: usize) -> Vec<f64> {
        let spec = &self.spec;
        let frames = if spec.centred {
            usize::from(!samples.is_empty()) * (samples.len() / spec.hop + 1)
        } else {
            let spare = samples.len().checked_sub(spec.window);
            spare.map_or(0, |spare| spare / spec.hop + 1)
        };
        // A centred frame lies in the middle of the transform's points.
        let lead = if spec.centred {
            spec.fft / 2 - (spec.fft - spec.window) / 2
        } else {
            0
        };
        let (mut room, mut frame) = (self.analyser.room(), vec![0.0; spec.window]);
        let mut values = Vec::with_capacity(frames.min(most) * spec.mels);
        for index in 0..frames.min(most) {
            let first = (index * spec.hop) as isize - lead as isize;
            match samples
                .get(first.max(0) as usize..)
                .and_then(|s| s.get(..spec.window))
            {
                Some(whole) if first >= 0 => frame.copy_from_slice(whole),
                _ => (first..).zip(&mut frame).for_each(|(at, value)| {
                    *value = samples[mirrored(at, samples.len())];
                }),
            }
            self.weigh(&mut frame);
            let spectrum = self.analyser.spectrum(&frame, &mut room);
            values.extend(self.bank.apply(spectrum).map(|energy| self.log(energy)));
        }
        values
    }

    /// Takes the mean and pre-emphasis off a frame, as far as they are a frame's, and weighs it.
    fn weigh(&self, frame: &mut [f64]) {
        let spec = &self.spec;
        if spec.remove_mean.contains(&Extent::Frame) {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            frame.iter_mut().for_each(|sample| *sample -= mean);
        }
        let of_frame = spec.pre_emphasis_of == Extent::Frame;
        let factor = if of_frame { spec.pre_emphasis } else { 0.0 };
        // The first sample has none before it, and takes itself.
        let mut before = frame[0];
        for (value, weight) in frame.iter_mut().zip(&self.window) {
            let sample = *value;
            *value = (sample - factor * before) * weight;
            before = sample;
        }
    }

    fn log(&self, energy: f64) -> f64 {
        let spec = &self.spec;
        let energy = energy + spec.log_offset.unwrap_or(0.0);
        let energy = spec.log_floor.map_or(energy, |floor| energy.max(floor));
        match (spec.log, spec.spectrum) {
            (Log::Ln, _) => libm::log(energy),
            (Log::Log10, _) => libm::log10(energy),
            (Log::Db, Spectrum::Power) => 10.0 * libm::log10(energy),
            (Log::Db, Spectrum::Magnitude) => 20.0 * libm::log10(energy),
        }
    }
}

/// A place in a sound that goes on as its mirror image at both ends, which are not repeated.
pub(super) fn mirrored(at: isize, len: usize) -> usize {
    if len == 1 {
        return 0;
    }
    let period = 2 * (len as isize - 1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// Of all samples of all channels.
fn mean(channels: &[&[f32]]) -> f32 {
    let samples = || channels.iter().flat_map(|channel| channel.iter());
    let count = samples().count().max(1);
    (samples().map(|s| f64::from(*s)).sum::<f64>() / count as f64) as f32
}

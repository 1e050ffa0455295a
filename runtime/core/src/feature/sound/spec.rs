//! What a log-mel front end is, in a manifest's words.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::spectrum::{Spectrum, WindowKind};
use crate::feature::front_end::{FrontEndError, ascending, finite, holdable, in_range, positive};
use crate::feature::mel::{MelNorm, MelScale};

/// Lowest and highest rate of sound, in hertz.
pub(super) const RATES_HZ: core::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Longest clip, in samples: 10 minutes at 48 kHz.
pub(super) const MAX_CLIP: usize = 28_800_000;

/// The parameters of a log-mel spectrogram.
///
/// ```text
/// clip ─ less its mean ─ padding ─ pre-emphasis ─▶ frames ─ less their mean ─ pre-emphasis ─ window
///      ─▶ spectrum ─ mel filters ─ log ─ range ─▶ (value + offset) / scale
/// ```
///
/// # Examples
///
/// What ImageBind's encoder of sound takes is [`LogMelSpec::reference`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMelSpec {
    /// Samples a second; sound at other rates is converted.
    pub rate_hz: u32,
    /// Length of a clip, in seconds; rounded to samples.
    pub clip_s: f64,
    /// What follows a sound that is shorter than a clip.
    #[serde(default)]
    pub padding: Padding,
    /// What becomes of a recording that is longer than a clip, when it is embedded as a whole.
    #[serde(default, skip_serializing_if = "Longer::is_windows")]
    pub longer: Longer,
    /// Whose mean is taken off: that of the clip, before padding, that of each frame, or both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_mean: Vec<Extent>,
    /// How much of the sample before is taken from each; 0 for none.
    #[serde(default)]
    pub pre_emphasis: f64,
    /// Whether pre-emphasis is done frame by frame, where the first sample takes itself for the one
    /// before it (kaldi), or once over the clip, which loses its first sample.
    #[serde(default)]
    pub pre_emphasis_of: Extent,
    /// Points of the spectrum: an even number.
    pub fft: usize,
    /// Samples of a frame.
    pub window: usize,
    /// What they are multiplied by.
    pub window_kind: WindowKind,
    /// Samples from one frame to the next.
    pub hop: usize,
    /// Whether frame `n` has its centre at sample `n * hop`, the sound being mirrored at its ends.
    /// If not, frame `n` begins there, and only whole frames count.
    #[serde(default)]
    pub centred: bool,
    /// What the filters gather.
    #[serde(default)]
    pub spectrum: Spectrum,
    /// Number of filters.
    pub mels: usize,
    /// Lower edge of the first filter.
    pub f_min_hz: f64,
    /// Upper edge of the last filter. Filters beyond half of `rate_hz`, where no bin is, gather nothing.
    pub f_max_hz: f64,
    /// The scale on which filters are equally spaced.
    pub mel_scale: MelScale,
    /// What filters are multiplied by.
    #[serde(default)]
    pub mel_norm: MelNorm,
    /// The logarithm.
    pub log: Log,
    /// Least value of which it is taken: log(max(x, floor)). Either this or `log_offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_floor: Option<f64>,
    /// What is added before: log(x + offset).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_offset: Option<f64>,
    /// How far below the clip's largest logarithm values may lie; lower ones are raised to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_range: Option<f64>,
    /// Frames of the result. What a sound gives beyond them is cut off; what it does not fill is 0
    /// before `offset` and `scale`.
    pub frames: usize,
    /// Added to the logarithm.
    pub offset: f64,
    /// Divides the sum.
    pub scale: f64,
    /// Axes of the result.
    #[serde(default)]
    pub axes: SoundAxes,
    /// Whether a recording becomes three channels: parts of a longer one, from the middle of each third
    /// of the places where a part can begin, and three times the same of a shorter one (LanguageBind,
    /// which takes them at random from each third).
    #[serde(default, skip_serializing_if = "is_false")]
    pub thirds: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// What follows a sound that is shorter than a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Nothing: there are fewer frames.
    #[default]
    None,
    /// Silence.
    Zero,
    /// The sound again and again, the last time cut.
    Repeat,
    /// The sound as often as it fits whole, then silence.
    RepeatPad,
    /// Nothing, but its frames come again and again.
    Frames,
}

/// What becomes of a recording that is longer than a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Longer {
    /// It is embedded clip by clip, and the mean is what it is.
    #[default]
    Windows,
    /// Only its first clip is heard.
    Cut,
    /// Three clips are heard, at its start, in its middle and at its end, and the mean is what it is
    /// (ImageBind).
    ThreeClips,
}

impl Longer {
    fn is_windows(&self) -> bool {
        *self == Self::Windows
    }
}

/// A part of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// Each frame by itself.
    #[default]
    Frame,
    /// The clip as a whole.
    Clip,
}

/// A logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Log {
    /// Natural.
    Ln,
    /// Common.
    Log10,
    /// Decibels: ten times the common logarithm of power, twenty times that of magnitude.
    Db,
}

/// Axes of a spectrogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoundAxes {
    /// `[1, mels, frames]`.
    #[default]
    ChannelMelFrame,
    /// `[1, frames, mels]`.
    ChannelFrameMel,
    /// `[mels, frames]`.
    MelFrame,
    /// `[frames, mels]`.
    FrameMel,
}

impl SoundAxes {
    /// Whether the filters of a frame lie side by side.
    pub fn frames_first(self) -> bool {
        matches!(self, Self::ChannelFrameMel | Self::FrameMel)
    }
}

impl LogMelSpec {
    /// ImageBind's: clips of 2 s at 16 kHz, kaldi's filter bank of 128, 204 frames, of which 2 s
    /// fill 198 (Girdhar et al. 2023; Gong et al. 2021 for the bank and its normalisation).
    #[must_use]
    pub fn reference() -> Self {
        Self {
            rate_hz: 16_000,
            clip_s: 2.0,
            padding: Padding::None,
            longer: Longer::Windows,
            remove_mean: vec![Extent::Clip, Extent::Frame],
            pre_emphasis: 0.97,
            pre_emphasis_of: Extent::Frame,
            fft: 512,
            window: 400,
            window_kind: WindowKind::Hann,
            hop: 160,
            centred: false,
            spectrum: Spectrum::Power,
            mels: 128,
            f_min_hz: 20.0,
            f_max_hz: 8_000.0,
            mel_scale: MelScale::Kaldi,
            mel_norm: MelNorm::None,
            log: Log::Ln,
            // The machine epsilon of 32 bits, as kaldi has it.
            log_floor: Some(f64::from(f32::EPSILON)),
            log_offset: None,
            log_range: None,
            frames: 204,
            offset: 4.268,
            scale: 9.138,
            axes: SoundAxes::ChannelMelFrame,
            thirds: false,
        }
    }

    /// Spectrograms of a recording that lie side by side as channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.thirds { 3 } else { 1 }
    }

    /// Samples of a clip.
    #[must_use]
    pub fn clip_samples(&self) -> usize {
        libm::round(self.clip_s * f64::from(self.rate_hz)) as usize
    }

    /// Shape of the result.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        let (mels, frames) = (self.mels, self.frames);
        match self.axes {
            SoundAxes::ChannelMelFrame => vec![self.channels(), mels, frames],
            SoundAxes::ChannelFrameMel => vec![self.channels(), frames, mels],
            SoundAxes::MelFrame => vec![mels, frames],
            SoundAxes::FrameMel => vec![frames, mels],
        }
    }

    /// Least number of samples that give a frame.
    #[must_use]
    pub fn least_samples(&self) -> usize {
        if !matches!(self.padding, Padding::None | Padding::Frames) {
            return 1;
        }
        let lost = usize::from(self.pre_emphasis != 0.0 && self.pre_emphasis_of == Extent::Clip);
        lost + if self.centred { 1 } else { self.window }
    }

    /// Whether the parameters make sense.
    pub(super) fn check(&self) -> Result<(), FrontEndError> {
        let rate_hz = self.rate_hz as usize;
        in_range("rate_hz", rate_hz, 1_000, 768_000, "1000 to 768000")?;
        positive("clip_s", self.clip_s)?;
        in_range(
            "clip_s in samples",
            self.clip_samples(),
            self.least_samples().max(2),
            MAX_CLIP,
            "a frame to 28800000",
        )?;
        in_range("fft", self.fft, 16, 1 << 16, "16 to 65536")?;
        if !self.fft.is_multiple_of(2) {
            return Err(FrontEndError::Range {
                name: "fft",
                value: self.fft as f64,
                expected: "an even number",
            });
        }
        in_range("window", self.window, 2, self.fft, "2 to fft")?;
        in_range("hop", self.hop, 1, 1 << 20, "1 to 1048576")?;
        in_range("mels", self.mels, 1, 4096, "1 to 4096")?;
        in_range("frames", self.frames, 1, 1 << 20, "1 to 1048576")?;
        holdable(&self.output_shape())?;
        ascending("f_min_hz", [self.f_min_hz, self.f_max_hz])?;
        if self.f_min_hz < 0.0 || self.f_max_hz > rate_hz as f64 {
            return Err(FrontEndError::Together(
                "f_min_hz and f_max_hz are expected within 0 to rate_hz",
            ));
        }
        if !(0.0..=1.0).contains(&self.pre_emphasis) {
            return Err(FrontEndError::Range {
                name: "pre_emphasis",
                value: self.pre_emphasis,
                expected: "0 to 1",
            });
        }
        self.check_thirds()?;
        self.check_log()
    }

    fn check_thirds(&self) -> Result<(), FrontEndError> {
        let has_channels = matches!(
            self.axes,
            SoundAxes::ChannelMelFrame | SoundAxes::ChannelFrameMel
        );
        if self.thirds && (!has_channels || self.centred || self.log_range.is_some()) {
            return Err(FrontEndError::Together(
                "thirds is expected with axes that have a channel, and without centred and log_range",
            ));
        }
        Ok(())
    }

    fn check_log(&self) -> Result<(), FrontEndError> {
        match (self.log_floor, self.log_offset) {
            (Some(floor), None) => positive("log_floor", floor)?,
            (None, Some(offset)) => positive("log_offset", offset)?,
            _ => {
                return Err(FrontEndError::Together(
                    "either log_floor or log_offset is expected",
                ));
            }
        }
        if let Some(range) = self.log_range {
            positive("log_range", range)?;
        }
        finite("offset", self.offset)?;
        positive("scale", self.scale)
    }
}

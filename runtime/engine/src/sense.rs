//! How a stream of any sense is cut into windows for its encoder.
//!
//! | sense | a window is | where samples are missing |
//! |---|---|---|
//! | imu | as long as the encoder's | a line between their neighbours |
//! | audio | as long as the encoder's clip, at the microphone's rate | the same |
//! | thermal, depth: clips | as long as the encoder's, or as the stream says | the nearest frame |
//! | thermal, depth: stills | the frames of one hop, of which the middle one is looked at | the same |

use std::collections::VecDeque;

use sensorium_core::ImuSample;
use sensorium_core::feature::{FrontEnd, Processor, SoundError};
use sensorium_core::window::{
    Interpolate, OnHeap, Window, WindowCounts, WindowError, WindowShape, Windower,
};
use sensorium_media::NumberArray;
use sensorium_pack::{Encoder as Entry, Modality, Pack};
use thiserror::Error;

use crate::embed::entries;
use crate::encode::{EncodeError, Encoder, Excerpt};
use crate::source::{Block, Frame, Samples};

/// Length of a clip whose encoder takes any, in seconds.
const CLIP_S: f32 = 2.0;

/// A stream may be this many samples long in one window: a minute of sound at 48 kHz.
const MAX_SLOTS: usize = 1 << 22;

/// Rates of microphones that are listened to live, in hertz: at higher ones, a microsecond is no
/// longer shorter than a sample.
const SOUND_RATES_HZ: std::ops::RangeInclusive<u32> = 1_000..=192_000;

/// Why a sense cannot be streamed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SenseError {
    /// The pack has no encoder that can be used.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Windows of this length and rate cannot be made.
    #[error("at {rate_hz} Hz: {source}")]
    Window {
        /// Rate of the samples.
        rate_hz: f32,
        /// What does not fit.
        source: WindowError,
    },
    /// The encoder says how long its window is.
    #[error(
        "window_s is for encoders of clips of any length; encoder {encoder:?} has {window_s} s"
    )]
    Length {
        /// The encoder.
        encoder: String,
        /// Its window.
        window_s: f32,
    },
}

/// An encoder, and how a stream is windowed for it.
#[derive(Debug, Clone)]
pub struct Sense {
    encoder: Encoder,
    /// Length of a window in seconds; none if it is a still.
    window_s: Option<f32>,
}

impl Sense {
    /// Loads the pack's encoder for a sense; that of clips, where there is one of stills too; in the
    /// first of several spaces.
    ///
    /// # Errors
    ///
    /// The pack has none that can be used.
    pub fn load(pack: &Pack, modality: Modality) -> Result<Self, EncodeError> {
        let mut senses = Self::load_all(pack, modality, None)?;
        Ok(senses.swap_remove(0))
    }

    /// As [`load`](Self::load), one in each space that has an encoder for the sense, or in the one that is
    /// named.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), or the space has none.
    pub fn load_all(
        pack: &Pack,
        modality: Modality,
        space: Option<&str>,
    ) -> Result<Vec<Self>, EncodeError> {
        let entries = entries(pack, modality, space)?;
        let mut spaces: Vec<&str> = Vec::new();
        for entry in &entries {
            if !spaces.contains(&entry.space.as_str()) {
                spaces.push(&entry.space);
            }
        }
        // What is not streamed is not loaded: it would take as much memory as what is.
        let in_space = |space: &str| {
            let all = entries.iter().filter(|entry| entry.space == space);
            let is_of_clips = |entry: &&&Entry| matches!(entry.front_end, FrontEnd::Frames(_));
            let entry = all.clone().find(is_of_clips).or_else(|| all.clone().next());
            entry.map(|entry| Ok(Self::new(Encoder::load_entry(pack, entry)?)))
        };
        spaces.into_iter().filter_map(in_space).collect()
    }

    /// Windows as long as an encoder's.
    #[must_use]
    pub fn new(encoder: Encoder) -> Self {
        let window_s = match encoder.processor() {
            Processor::Imu(front_end, _) => Some(front_end.window_s()),
            Processor::Sound(front_end) => {
                Some(front_end.clip_samples() as f32 / front_end.rate_hz() as f32)
            }
            Processor::Frames(front_end) => Some(
                front_end
                    .spec()
                    .clip_s
                    .map_or(CLIP_S, |clip_s| clip_s as f32),
            ),
            Processor::Image(_) | Processor::Thermal(_) | Processor::Depth(_) => None,
        };
        Self { encoder, window_s }
    }

    /// The same with windows of another length, where the encoder takes any.
    ///
    /// # Errors
    ///
    /// An encoder whose window has a length.
    pub fn with_window_s(mut self, window_s: f32) -> Result<Self, SenseError> {
        match self.encoder.processor() {
            Processor::Frames(front_end) if front_end.spec().clip_s.is_none() => {
                self.window_s = Some(window_s);
                Ok(self)
            }
            _ => Err(SenseError::Length {
                encoder: self.encoder.name().to_owned(),
                window_s: self.window_s.unwrap_or(0.0),
            }),
        }
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The sense.
    #[must_use]
    pub fn modality(&self) -> Modality {
        self.encoder.modality()
    }

    /// Length of a window, in seconds; none if the encoder looks at single pictures.
    #[must_use]
    pub fn window_s(&self) -> Option<f32> {
        self.window_s
    }

    /// From the start of one window to the start of the next, in seconds, where nobody says: a
    /// quarter of a window, from 0.1 s to 1 s; half a second for single pictures.
    #[must_use]
    pub fn default_hop_s(&self) -> f32 {
        self.window_s
            .map_or(0.5, |window_s| (window_s / 4.0).clamp(0.1, 1.0))
    }

    /// Length and spacing of windows in samples.
    ///
    /// # Errors
    ///
    /// A rate that the encoder's front end does not take, or windows that nobody can hold.
    pub fn shape(&self, rate_mhz: u32, hop_s: f32) -> Result<WindowShape, SenseError> {
        let rate_hz = rate_mhz as f32 / 1000.0;
        let hop = ((f64::from(hop_s) * f64::from(rate_mhz) / 1000.0).round() as usize).max(1);
        let len = match self.encoder.processor() {
            Processor::Imu(front_end, _) => {
                front_end.input_len(rate_hz).map_err(EncodeError::from)?
            }
            Processor::Sound(front_end) => {
                let hz = whole_hertz(rate_mhz)?;
                // Rounded down, so that at the encoder's rate it is never more than one clip.
                let clip = front_end.clip_samples() as u64 * u64::from(hz);
                (clip / u64::from(front_end.rate_hz())).max(1) as usize
            }
            Processor::Frames(front_end) => {
                let rate_hz = f64::from(rate_mhz) / 1000.0;
                let clip = front_end.clip_frames(Some(rate_hz));
                let any = (f64::from(self.window_s.unwrap_or(CLIP_S)) * rate_hz).round();
                let clip = clip.map_err(EncodeError::from)?;
                clip.unwrap_or((any as usize).max(1))
            }
            Processor::Image(_) | Processor::Thermal(_) | Processor::Depth(_) => hop,
        };
        let shape = WindowShape {
            len,
            hop: hop.min(len),
            rate_mhz,
        };
        if len > MAX_SLOTS {
            let capacity = MAX_SLOTS;
            let source = WindowError::Len { len, capacity };
            return Err(SenseError::Window { rate_hz, source });
        }
        Ok(shape)
    }

    /// Windows of a shape, over samples of this sense.
    pub(crate) fn windows(&self, shape: WindowShape) -> Result<Windows, SenseError> {
        let kind = match self.encoder.processor() {
            Processor::Imu(..) => Kind::Imu(windower(shape)?),
            Processor::Sound(_) => Kind::Sound(windower(shape)?),
            Processor::Frames(_) => Kind::Frames(Film::new(shape, true)?),
            Processor::Image(_) | Processor::Thermal(_) | Processor::Depth(_) => {
                Kind::Frames(Film::new(shape, false)?)
            }
        };
        Ok(Windows { shape, kind })
    }
}

fn whole_hertz(rate_mhz: u32) -> Result<u32, EncodeError> {
    let rate_hz = rate_mhz / 1000;
    if rate_mhz.is_multiple_of(1000) && SOUND_RATES_HZ.contains(&rate_hz) {
        return Ok(rate_hz);
    }
    Err(SoundError::Rate { rate_hz }.into())
}

fn windower<T: Interpolate + Default>(
    shape: WindowShape,
) -> Result<Windower<OnHeap<T>>, SenseError> {
    Windower::new(shape, OnHeap::new(shape.len)).map_err(|source| SenseError::Window {
        rate_hz: shape.rate_mhz as f32 / 1000.0,
        source,
    })
}

/// A window of a stream.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// As [`Window::t_start_us`].
    pub(crate) t_start_us: u64,
    /// As [`Window::t_end_us`].
    pub(crate) t_end_us: u64,
    /// As [`Window::coverage`].
    pub(crate) coverage: f32,
    /// What it holds.
    pub(crate) excerpt: Excerpt<'a>,
}

impl<'a> View<'a> {
    fn of<T>(window: &Window<'_, T>, excerpt: Excerpt<'a>) -> Self {
        Self {
            t_start_us: window.t_start_us,
            t_end_us: window.t_end_us,
            coverage: window.coverage,
            excerpt,
        }
    }
}

/// Cuts the samples of one sense into windows.
#[derive(Debug)]
pub(crate) struct Windows {
    shape: WindowShape,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Imu(Windower<OnHeap<ImuSample>>),
    Sound(Windower<OnHeap<f32>>),
    Frames(Film),
}

impl Windows {
    pub(crate) fn shape(&self) -> WindowShape {
        self.shape
    }

    pub(crate) fn counts(&self) -> WindowCounts {
        match &self.kind {
            Kind::Imu(windower) => windower.counts(),
            Kind::Sound(windower) => windower.counts(),
            Kind::Frames(film) => film.windower.counts(),
        }
    }

    /// Forgets what it holds.
    pub(crate) fn restart(&mut self) {
        match &mut self.kind {
            Kind::Imu(windower) => windower.restart(),
            Kind::Sound(windower) => windower.restart(),
            Kind::Frames(film) => film.restart(),
        }
    }

    /// Takes samples and calls `each` for every window that is complete with them. Returns how many
    /// of them were taken: not those that are older than what came before, nor those of another
    /// sense.
    pub(crate) fn push(&mut self, mut block: Block, mut each: impl FnMut(View<'_>)) -> u64 {
        let rate_hz = self.shape.rate_mhz as f32 / 1000.0;
        let samples = std::mem::replace(&mut block.samples, Samples::Sound(Vec::new()));
        let mut taken = 0;
        match (&mut self.kind, samples) {
            (Kind::Imu(windower), Samples::Imu(samples)) => {
                for (at, sample) in samples.into_iter().enumerate() {
                    taken += u64::from(windower.push(block.time_us(at), sample, |window| {
                        each(View::of(&window, Excerpt::Imu(window.samples, rate_hz)));
                    }));
                }
            }
            (Kind::Sound(windower), Samples::Sound(samples)) => {
                let rate_hz = self.shape.rate_mhz / 1000;
                for (at, sample) in samples.into_iter().enumerate() {
                    taken += u64::from(windower.push(block.time_us(at), sample, |window| {
                        each(View::of(&window, Excerpt::Sound(window.samples, rate_hz)));
                    }));
                }
            }
            (Kind::Frames(film), Samples::Frames(frames)) => {
                for (at, frame) in frames.into_iter().enumerate() {
                    taken += u64::from(film.push(block.time_us(at), frame, &mut each));
                }
            }
            _ => {}
        }
        taken
    }
}

/// Frames, of which the windower holds the numbers only.
#[derive(Debug)]
struct Film {
    windower: Windower<OnHeap<Number>>,
    frames: VecDeque<Frame>,
    /// Number of the first frame held.
    first: u64,
    shape: WindowShape,
    /// Whether all frames of a window are looked at, or the middle one.
    whole: bool,
}

/// The number of a frame. Between two frames lies the nearer one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Number(u64);

impl Interpolate for Number {
    fn interpolate(self, other: Self, fraction: f32) -> Self {
        if fraction < 0.5 { self } else { other }
    }
}

impl Film {
    fn new(shape: WindowShape, whole: bool) -> Result<Self, SenseError> {
        Ok(Self {
            windower: windower(shape)?,
            frames: VecDeque::new(),
            first: 0,
            shape,
            whole,
        })
    }

    fn restart(&mut self) {
        self.first += self.frames.len() as u64;
        self.frames.clear();
        self.windower.restart();
    }

    fn push(&mut self, t_us: u64, frame: Frame, each: &mut impl FnMut(View<'_>)) -> bool {
        // Frames of another form do not make a clip with those before.
        if self
            .frames
            .back()
            .is_some_and(|last| !is_alike(last, &frame))
        {
            self.restart();
        }
        let number = Number(self.first + self.frames.len() as u64);
        self.frames.push_back(frame);
        let (first, frames, whole) = (self.first, &self.frames, self.whole);
        let rate_hz = f64::from(self.shape.rate_mhz) / 1000.0;
        let taken = self.windower.push(t_us, number, |window| {
            let looked_at = match whole {
                true => window.samples,
                false => &window.samples[window.samples.len() / 2..][..1],
            };
            let at = |number: &Number| frames.get((number.0 - first) as usize);
            if let Some(clip) = joined(looked_at.iter().filter_map(at)) {
                each(View::of(&window, Excerpt::Frames(&clip, rate_hz)));
            }
        });
        if !taken {
            self.frames.pop_back();
        }
        // The newest window's, and one that waits for the next.
        while self.frames.len() > self.shape.len + 1 {
            self.frames.pop_front();
            self.first += 1;
        }
        taken
    }
}

fn is_alike(one: &Frame, other: &Frame) -> bool {
    let form = |frame: &Frame| (frame.height, frame.width, frame.pixels.kind());
    form(one) == form(other)
}

/// Frames of one form as a clip.
pub(crate) fn joined<'a>(mut frames: impl Iterator<Item = &'a Frame>) -> Option<NumberArray> {
    let first = frames.next()?;
    let mut clip = NumberArray {
        shape: vec![1, first.height, first.width],
        numbers: first.pixels.clone(),
    };
    for frame in frames {
        if clip.numbers.append(frame.pixels.clone()) {
            clip.shape[0] += 1;
        }
    }
    Some(clip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensorium_media::Numbers;

    fn film(len: usize, hop: usize, whole: bool) -> Film {
        let rate_mhz = 10_000;
        Film::new(WindowShape { len, hop, rate_mhz }, whole).unwrap()
    }

    /// The frames, by their single pixel, of each window that frames at these tenths of a second
    /// complete.
    fn windows(film: &mut Film, tenths: &[u64]) -> Vec<Vec<u16>> {
        let mut seen = Vec::new();
        for &tenth in tenths {
            let frame = Frame {
                height: 1,
                width: 1,
                pixels: Numbers::U16(vec![tenth as u16]),
            };
            film.push(tenth * 100_000, frame, &mut |view| {
                let Excerpt::Frames(
                    NumberArray {
                        shape,
                        numbers: Numbers::U16(pixels),
                    },
                    10.0,
                ) = view.excerpt
                else {
                    panic!("{view:?}");
                };
                assert_eq!(shape[..], [pixels.len(), 1, 1]);
                seen.push(pixels.clone());
            });
        }
        seen
    }

    #[test]
    fn a_missing_frame_is_its_nearest_neighbour() {
        let seen = windows(&mut film(4, 2, true), &[0, 1, 2, 5, 4, 6, 7]);
        assert_eq!(seen, [vec![0, 1, 2, 2], vec![2, 2, 5, 5], vec![5, 5, 6, 7]]);
    }

    #[test]
    fn of_stills_the_middle_frame_of_a_hop_is_seen() {
        let seen = windows(&mut film(3, 3, false), &[0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(seen, [[1], [5], [7]]);
    }

    #[test]
    fn memory_holds_one_window_however_long_the_stream() {
        let mut film = film(4, 2, true);
        let tenths: Vec<u64> = (0..1000).collect();
        assert_eq!(windows(&mut film, &tenths).len(), 499);
        assert!(film.frames.len() <= 5, "{}", film.frames.len());
    }

    #[test]
    fn frames_of_another_size_begin_anew() {
        let mut film = film(2, 1, true);
        assert_eq!(windows(&mut film, &[0, 1]).len(), 1);
        let frame = Frame {
            height: 2,
            width: 1,
            pixels: Numbers::U16(vec![7, 7]),
        };
        assert!(film.push(200_000, frame, &mut |view| panic!("{view:?}")));
        assert_eq!(film.frames.len(), 1);
    }
}

//! Windows, and recordings of any length, to one embedding, sense by sense.
//!
//! What is longer than the encoder's window is embedded window by window, half a window apart and
//! once at its end; the mean is normalised. What is shorter is continued as the front end says, which
//! may also say that of a longer sound only the start is heard.

use sensorium_core::ImuSample;
use sensorium_core::feature::clip::windows;
use sensorium_core::feature::{
    Clip, FramesError, FramesFrontEnd, FramesOf, Image, ImuFrontEnd, ImuOrder, PlaneError,
    Processor, SoundFrontEnd, depth_m,
};
use sensorium_media::{NumberArray, Numbers};

use super::{EncodeError, Encoder};

/// What a window of a stream holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Excerpt<'a> {
    /// Inertial samples at a rate.
    Imu(&'a [ImuSample], f32),
    /// Sound at a rate.
    Sound(&'a [f32], u32),
    /// Frames `[frames, height, width]` at a rate.
    Frames(&'a NumberArray, f64),
}

impl Encoder {
    /// Of a window of a stream: what a file of the same samples is given.
    pub(crate) fn embed_excerpt(&self, excerpt: Excerpt<'_>) -> Result<Vec<f32>, EncodeError> {
        let actual = match (&self.processor, excerpt) {
            (Processor::Imu(front_end, order), Excerpt::Imu(samples, rate_hz)) => {
                return self.embed_window((front_end, *order), samples, rate_hz);
            }
            (Processor::Sound(front_end), Excerpt::Sound(samples, rate_hz)) => {
                return self.embed_sound(front_end, samples, rate_hz);
            }
            (Processor::Imu(..) | Processor::Sound(_), Excerpt::Frames(..)) => "frames",
            (_, Excerpt::Frames(frames, rate_hz)) => {
                return self.embed_frames(frames, Some(rate_hz));
            }
            (_, Excerpt::Imu(..)) => "inertial samples",
            (_, Excerpt::Sound(..)) => "sound",
        };
        Err(self.not_for(actual))
    }

    fn not_for(&self, actual: &'static str) -> EncodeError {
        EncodeError::Sense {
            encoder: self.name.clone(),
            expected: self.modality,
            actual,
        }
    }

    /// Whether frames `[frames, height, width]` are of a kind that this encoder takes, by the first
    /// of them, measured or not.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check_frames(&self, frames: &NumberArray) -> Result<(), EncodeError> {
        let Some(first) = frames.rows(0..1) else {
            return Ok(());
        };
        match self.embed_frames(&first, Some(1.0)) {
            Err(error) if !error.is_of_measurement() => Err(error),
            _ => Ok(()),
        }
    }

    /// Of frames `[frames, height, width]` of a camera.
    pub(crate) fn embed_frames(
        &self,
        array: &NumberArray,
        rate_hz: Option<f64>,
    ) -> Result<Vec<f32>, EncodeError> {
        match &self.processor {
            Processor::Thermal(front_end) => {
                let values = thermal(array, |count| front_end.value_of(count));
                self.embed_planes(clip(array, &values), |frame, width| {
                    front_end.extract(frame, width)
                })
            }
            Processor::Depth(front_end) => {
                let values = depth(array)?;
                self.embed_planes(clip(array, &values), |frame, width| {
                    front_end.extract(frame, width)
                })
            }
            Processor::Frames(front_end) => {
                let values = match front_end.spec().of {
                    FramesOf::Depth => depth(array)?,
                    FramesOf::Thermal => thermal(array, |count| front_end.value_of(count)),
                };
                self.embed_clip(front_end, clip(array, &values), rate_hz)
            }
            Processor::Image(front_end) => {
                let Numbers::U8(levels) = &array.numbers else {
                    let actual = array.numbers.kind();
                    return Err(EncodeError::Grey { actual });
                };
                let (height, width) = (array.shape[1], array.shape[2]);
                let embed = |frame: &[u8]| {
                    let pixels = frame.iter().map(|level| [*level; 3]).collect();
                    let picture = Image::new(width, height, pixels).ok_or(PlaneError::Empty)?;
                    self.run(&front_end.extract(&picture))
                };
                self.mean(levels.chunks_exact((height * width).max(1)).map(embed))
            }
            Processor::Imu(..) | Processor::Sound(_) => Err(self.not_for("frames")),
        }
    }

    fn embed_window(
        &self,
        (front_end, order): (&ImuFrontEnd, ImuOrder),
        window: &[ImuSample],
        rate_hz: f32,
    ) -> Result<Vec<f32>, EncodeError> {
        let mut features = vec![0.0; front_end.output_len()];
        front_end.extract(window, rate_hz, &mut features)?;
        order.arrange(&mut features);
        self.run(&features)
    }

    /// The embedding of inertial samples: that of their window if they are no more than one; else the
    /// mean over windows half a window apart and one at the end, normalised.
    ///
    /// # Errors
    ///
    /// Samples that the front end refuses, or an encoder that is for others.
    pub fn embed_imu(&self, samples: &[ImuSample], rate_hz: f32) -> Result<Vec<f32>, EncodeError> {
        let Processor::Imu(front_end, order) = &self.processor else {
            return Err(self.not_for("inertial samples"));
        };
        let front_end = (front_end, *order);
        let len = front_end.0.input_len(rate_hz)?;
        let embed = |start: usize| {
            let window = &samples[start..samples.len().min(start + len)];
            self.embed_window(front_end, window, rate_hz)
        };
        self.mean(windows(samples.len(), len).map(embed))
    }

    /// Of one channel of sound at any rate.
    pub(crate) fn embed_sound(
        &self,
        front_end: &SoundFrontEnd,
        samples: &[f32],
        rate_hz: u32,
    ) -> Result<Vec<f32>, EncodeError> {
        let sound = front_end.resample(samples, rate_hz)?;
        let views = front_end.views(&sound);
        self.mean(views.map(|features| self.run(&features?)))
    }

    /// Of measured pictures, one by one; those that hold no measurement have no share, unless none
    /// does.
    fn embed_planes(
        &self,
        clip: Clip<'_>,
        extract: impl Fn(&[f32], usize) -> Result<Vec<f32>, PlaneError>,
    ) -> Result<Vec<f32>, EncodeError> {
        let frames = clip.values.chunks_exact((clip.height * clip.width).max(1));
        self.mean_of_measured(frames.map(|frame| Ok(extract(frame, clip.width)?)))
    }

    /// Of a clip of measured pictures; parts that hold no measurement have no share, unless none
    /// does.
    fn embed_clip(
        &self,
        front_end: &FramesFrontEnd,
        clip: Clip<'_>,
        rate_hz: Option<f64>,
    ) -> Result<Vec<f32>, EncodeError> {
        let pixels = (clip.height * clip.width).max(1);
        let count = clip.values.len() / pixels;
        let len = front_end.clip_frames(rate_hz)?;
        let extract = |start: usize| {
            let end = count.min(start + len.unwrap_or(count));
            let values = &clip.values[start * pixels..end * pixels];
            Ok(front_end.extract(Clip { values, ..clip }, len)?)
        };
        let starts = windows(count, len.unwrap_or(count));
        self.mean_of_measured(starts.map(extract))
    }

    fn mean_of_measured(
        &self,
        features: impl Iterator<Item = Result<Vec<f32>, EncodeError>>,
    ) -> Result<Vec<f32>, EncodeError> {
        let mut embeddings = Vec::new();
        for features in features {
            match features {
                Err(error) if is_empty(&error) => {}
                features => embeddings.push(self.run(&features?)?),
            }
        }
        if embeddings.is_empty() {
            return Err(PlaneError::Empty.into());
        }
        self.mean(embeddings.into_iter().map(Ok))
    }
}

/// Thermal values: whole numbers are counts, others are what they are.
fn thermal(array: &NumberArray, value_of: impl Fn(f64) -> f32) -> Vec<f32> {
    let values = array.numbers.to_f32(0..array.numbers.len());
    match array.numbers {
        Numbers::F32(_) | Numbers::F64(_) => values,
        _ => values
            .into_iter()
            .map(|count| value_of(f64::from(count)))
            .collect(),
    }
}

/// Distances in metres, from whole millimetres of enough bits to hold a room.
fn depth(array: &NumberArray) -> Result<Vec<f32>, EncodeError> {
    let numbers = &array.numbers;
    match numbers {
        Numbers::U16(values) => Ok(values.iter().map(|mm| depth_m(*mm)).collect()),
        Numbers::I16(_) | Numbers::I32(_) | Numbers::I64(_) => {
            let values = numbers.to_f32(0..numbers.len()).into_iter();
            // Conversions saturate: what is negative or beyond 16 bits is no measurement.
            Ok(values.map(|mm| depth_m(mm as u16)).collect())
        }
        _ => Err(EncodeError::Depth {
            actual: numbers.kind(),
        }),
    }
}

fn clip<'a>(array: &NumberArray, values: &'a [f32]) -> Clip<'a> {
    Clip {
        values,
        height: array.shape[1],
        width: array.shape[2],
    }
}

/// Whether there was nothing to measure.
fn is_empty(error: &EncodeError) -> bool {
    matches!(
        error,
        EncodeError::Plane(PlaneError::Empty)
            | EncodeError::Frames(FramesError::Plane(PlaneError::Empty))
    )
}

//! Recordings of any length to one embedding, sense by sense.
//!
//! What is longer than the encoder's window is embedded window by window, half a window apart and
//! once at its end; the mean is normalised. What is shorter is continued as the front end says, which
//! may also say that of a longer sound only the start is heard.

use sensorium_core::ImuSample;
use sensorium_core::feature::clip::windows;
use sensorium_core::feature::{
    Clip, FramesError, FramesFrontEnd, ImuFrontEnd, ImuOrder, PlaneError, SoundFrontEnd,
};

use super::{EncodeError, Encoder};

impl Encoder {
    pub(super) fn embed_window(
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

    /// Of inertial samples.
    pub(crate) fn embed_imu(
        &self,
        front_end: (&ImuFrontEnd, ImuOrder),
        samples: &[ImuSample],
        rate_hz: f32,
    ) -> Result<Vec<f32>, EncodeError> {
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
        let mut features = vec![0.0; front_end.output_len()];
        let embed = |start: usize| {
            front_end.clip(&sound[start..], &mut features)?;
            self.run(&features)
        };
        self.mean(front_end.starts(sound.len()).map(embed))
    }

    /// Of measured pictures, one by one; those that hold no measurement have no share, unless none
    /// does.
    pub(crate) fn embed_planes(
        &self,
        clip: Clip<'_>,
        extract: impl Fn(&[f32], usize) -> Result<Vec<f32>, PlaneError>,
    ) -> Result<Vec<f32>, EncodeError> {
        let frames = clip.values.chunks_exact((clip.height * clip.width).max(1));
        self.mean_of_measured(frames.map(|frame| Ok(extract(frame, clip.width)?)))
    }

    /// Of a clip of measured pictures; parts that hold no measurement have no share, unless none
    /// does.
    pub(crate) fn embed_clip(
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

/// Whether there was nothing to measure.
fn is_empty(error: &EncodeError) -> bool {
    matches!(
        error,
        EncodeError::Plane(PlaneError::Empty)
            | EncodeError::Frames(FramesError::Plane(PlaneError::Empty))
    )
}

//! The encoder of inertial windows, as streams use it.

use sensorium_core::ImuSample;
use sensorium_core::feature::{ImuFrontEnd, ImuOrder, Processor};
use sensorium_pack::{Modality, Pack, Scoring};

use super::{EncodeError, Encoder};

/// An IMU encoder of a pack, ready to run and self-tested.
#[derive(Debug, Clone)]
pub struct ImuEncoder {
    encoder: Encoder,
    front_end: ImuFrontEnd,
    order: ImuOrder,
}

impl ImuEncoder {
    /// Loads the pack's IMU encoder and checks it against the pack's golden output.
    ///
    /// # Errors
    ///
    /// The pack has none, or it does not do here what it did where it was made.
    pub fn load(pack: &Pack) -> Result<Self, EncodeError> {
        let encoder = Encoder::load(pack, Modality::Imu)?;
        // A pack is refused where an encoder has the front end of another sense.
        let Processor::Imu(front_end, order) = *encoder.processor() else {
            return Err(EncodeError::NoEncoder {
                pack: pack.manifest().name.clone(),
                modality: Modality::Imu,
            });
        };
        Ok(Self {
            encoder,
            front_end,
            order,
        })
    }

    /// Its name in the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        self.encoder.name()
    }

    /// The space that it embeds into.
    #[must_use]
    pub fn space(&self) -> &str {
        self.encoder.space()
    }

    /// Dimensions of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.encoder.dim()
    }

    /// What its input is.
    #[must_use]
    pub fn front_end(&self) -> ImuFrontEnd {
        self.front_end
    }

    /// How its cosines become scores.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        self.encoder.scoring()
    }

    /// The embedding of one window: `dim` numbers of length 1.
    ///
    /// # Errors
    ///
    /// A window that the front end refuses, or an encoder that gives no embedding for it.
    pub fn embed(&self, window: &[ImuSample], rate_hz: f32) -> Result<Vec<f32>, EncodeError> {
        let front_end = (&self.front_end, self.order);
        self.encoder.embed_window(front_end, window, rate_hz)
    }

    /// The embedding of a recording of any length: that of its window if it is no longer than one;
    /// else the mean over windows half a window apart and one at its end, normalised.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed).
    pub fn embed_recording(
        &self,
        samples: &[ImuSample],
        rate_hz: f32,
    ) -> Result<Vec<f32>, EncodeError> {
        let front_end = (&self.front_end, self.order);
        self.encoder.embed_imu(front_end, samples, rate_hz)
    }
}

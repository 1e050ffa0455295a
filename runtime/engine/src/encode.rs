//! Encoders: a window's features to one embedding.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sensorium_core::ImuSample;
use sensorium_core::feature::{FeatureError, FrontEndError, ImuFrontEnd, ImuOrder, Processor};
use sensorium_pack::{Modality, Pack, PackError, Scoring};
use thiserror::Error;
use tract_onnx::prelude::*;

use sensorium_pack::npy::{Array, NpyError};

/// Largest deviation from length 1 that an embedding may have.
const NORM_TOLERANCE: f32 = 1e-3;

/// Why an encoder cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The pack has no encoder for this sense.
    #[error("pack {pack} has no encoder for {modality}")]
    NoEncoder {
        /// The pack's name.
        pack: String,
        /// The sense.
        modality: Modality,
    },
    /// The pack lacks what its manifest refers to.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The front end cannot be made.
    #[error("encoder {encoder:?}: its front end")]
    FrontEnd {
        /// The encoder.
        encoder: String,
        /// What is wrong with it.
        source: FrontEndError,
    },
    /// The front end is none that this sense has.
    #[error("encoder {encoder:?} is for {modality}, its front end for {kind}")]
    OtherFrontEnd {
        /// The encoder.
        encoder: String,
        /// The sense.
        modality: Modality,
        /// The front end's kind.
        kind: &'static str,
    },
    /// The ONNX file cannot be run.
    #[error("encoder {encoder:?} is not a model that can be run")]
    Model {
        /// The encoder.
        encoder: String,
        /// What the inference library said.
        source: TractError,
    },
    /// The inference library gave up on the ONNX file.
    #[error("encoder {encoder:?} is not a model that can be run: its parser failed")]
    Parser {
        /// The encoder.
        encoder: String,
    },
    /// A golden array cannot be read.
    #[error("member {path:?} of the pack")]
    Golden {
        /// The member.
        path: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The golden arrays do not fit each other or the encoder.
    #[error("encoder {encoder:?}: golden input {input:?} and output {output:?} do not fit")]
    GoldenShape {
        /// The encoder.
        encoder: String,
        /// Shape of the input.
        input: Vec<usize>,
        /// Shape of the output.
        output: Vec<usize>,
    },
    /// The encoder gives other numbers here than where the pack was made.
    #[error(
        "encoder {encoder:?} failed its self-test: golden output differs by {actual:.2e}, expected \
         at most {expected:.0e}"
    )]
    SelfTest {
        /// The encoder.
        encoder: String,
        /// The largest difference.
        actual: f32,
        /// The largest that the pack allows.
        expected: f32,
    },
    /// The encoder gave something that is no embedding.
    #[error("encoder {encoder:?} gave {found}, expected {dim} finite numbers of length 1")]
    Output {
        /// The encoder.
        encoder: String,
        /// What it gave.
        found: String,
        /// Dimensions of its space.
        dim: usize,
    },
    /// A window cannot be turned into features.
    #[error(transparent)]
    Feature(#[from] FeatureError),
}

/// An IMU encoder of a pack, ready to run and self-tested.
#[derive(Clone)]
pub struct ImuEncoder {
    name: String,
    space: String,
    dim: usize,
    front_end: ImuFrontEnd,
    order: ImuOrder,
    scoring: Scoring,
    model: Arc<TypedRunnableModel>,
}

impl std::fmt::Debug for ImuEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImuEncoder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ImuEncoder {
    /// Loads the pack's IMU encoder and checks it against the pack's golden output.
    ///
    /// # Errors
    ///
    /// The pack has none, or it does not do here what it did where it was made.
    pub fn load(pack: &Pack) -> Result<Self, EncodeError> {
        let manifest = pack.manifest();
        let no_encoder = || EncodeError::NoEncoder {
            pack: manifest.name.clone(),
            modality: Modality::Imu,
        };
        let entry = manifest.encoder(Modality::Imu).ok_or_else(no_encoder)?;
        let space = manifest.space(&entry.space).ok_or_else(no_encoder)?;
        let front_end = entry.front_end.build();
        let front_end = front_end.map_err(|source| EncodeError::FrontEnd {
            encoder: entry.name.clone(),
            source,
        })?;
        let Processor::Imu(front_end, order) = front_end else {
            return Err(EncodeError::OtherFrontEnd {
                encoder: entry.name.clone(),
                modality: entry.modality,
                kind: entry.front_end.kind(),
            });
        };
        let encoder = Self {
            name: entry.name.clone(),
            space: space.name.clone(),
            dim: space.dim,
            front_end,
            order,
            scoring: entry.scoring,
            model: load_model(&entry.name, pack.member(&entry.model)?, front_end.samples)?,
        };
        let golden = |path: &str| -> Result<Array, EncodeError> {
            Array::from_bytes(pack.member(path)?).map_err(|source| EncodeError::Golden {
                path: path.to_owned(),
                source,
            })
        };
        let (input, output) = (golden(&entry.golden.input)?, golden(&entry.golden.output)?);
        encoder.self_test(&input, &output, entry.golden.max_abs)?;
        Ok(encoder)
    }

    /// Its name in the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The space that it embeds into.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.space
    }

    /// Dimensions of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What its input is.
    #[must_use]
    pub fn front_end(&self) -> ImuFrontEnd {
        self.front_end
    }

    /// How its cosines become scores.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        self.scoring
    }

    /// The embedding of one window: `dim` numbers of length 1.
    ///
    /// # Errors
    ///
    /// A window that the front end refuses, or an encoder that gives no embedding for it.
    pub fn embed(&self, window: &[ImuSample], rate_hz: f32) -> Result<Vec<f32>, EncodeError> {
        let mut features = vec![0.0; self.front_end.output_len()];
        self.front_end.extract(window, rate_hz, &mut features)?;
        self.order.arrange(&mut features);
        self.run(&features)
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
        let len = self.front_end.input_len(rate_hz)?;
        if samples.len() <= len {
            return self.embed(samples, rate_hz);
        }
        let last = samples.len() - len;
        let mut mean = vec![0.0; self.dim];
        let starts = (0..last).step_by((len / 2).max(1)).chain([last]);
        for start in starts {
            let embedding = self.embed(&samples[start..start + len], rate_hz)?;
            for (sum, value) in mean.iter_mut().zip(embedding) {
                *sum += value;
            }
        }
        sensorium_core::bank::normalize(&mut mean);
        Ok(mean)
    }

    fn run(&self, features: &[f32]) -> Result<Vec<f32>, EncodeError> {
        let shape = [1, 6, self.front_end.samples];
        let inference = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&shape, features)?;
            let outputs = self.model.run(tvec!(input.into()))?;
            let output = outputs[0].to_plain_array_view::<f32>()?;
            Ok(output.iter().copied().collect())
        };
        let embedding = inference().map_err(|source| EncodeError::Model {
            encoder: self.name.clone(),
            source,
        })?;
        let norm = sensorium_kernels::dot_f32(&embedding, &embedding).sqrt();
        // Written so that NaN fails, too.
        let is_unit = (norm - 1.0).abs() <= NORM_TOLERANCE;
        if embedding.len() != self.dim || !is_unit {
            return Err(EncodeError::Output {
                encoder: self.name.clone(),
                found: format!("{} numbers of length {norm}", embedding.len()),
                dim: self.dim,
            });
        }
        Ok(embedding)
    }

    fn self_test(&self, input: &Array, output: &Array, max_abs: f32) -> Result<(), EncodeError> {
        let rows = input.shape.first().copied().unwrap_or(0);
        if rows == 0
            || input.shape != [rows, 6, self.front_end.samples]
            || output.shape != [rows, self.dim]
        {
            return Err(EncodeError::GoldenShape {
                encoder: self.name.clone(),
                input: input.shape.clone(),
                output: output.shape.clone(),
            });
        }
        let mut worst = 0.0f32;
        for (features, expected) in input.rows().zip(output.rows()) {
            for (actual, expected) in self.run(features)?.into_iter().zip(expected) {
                let difference = (actual - expected).abs();
                // A NaN in the golden output must not pass.
                worst = if difference > worst || difference.is_nan() {
                    difference
                } else {
                    worst
                };
            }
        }
        if worst <= max_abs {
            return Ok(());
        }
        Err(EncodeError::SelfTest {
            encoder: self.name.clone(),
            actual: worst,
            expected: max_abs,
        })
    }
}

/// The pack's hashes are right, so the file is what the pack's maker wrote; but the inference
/// library is known to panic on some files, and a pack must not bring the program down.
fn load_model(
    encoder: &str,
    onnx: &[u8],
    samples: usize,
) -> Result<Arc<TypedRunnableModel>, EncodeError> {
    let parse = || -> TractResult<_> {
        let mut reader = onnx;
        tract_onnx::onnx()
            .model_for_read(&mut reader)?
            .with_input_fact(0, f32::fact([1, 6, samples]).into())?
            .into_optimized()?
            .into_runnable()
    };
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(Ok(model)) => Ok(model),
        Ok(Err(source)) => Err(EncodeError::Model {
            encoder: encoder.to_owned(),
            source,
        }),
        Err(_panic) => Err(EncodeError::Parser {
            encoder: encoder.to_owned(),
        }),
    }
}

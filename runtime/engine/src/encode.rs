//! Encoders: features to one embedding.
//!
//! ```text
//! window, sound, picture, clip ─ front end ─▶ features ─ ONNX ─▶ embedding of length 1
//! ```
//!
//! [`Encoder`] runs any encoder of a pack, whatever its sense, on files and on the windows of streams.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sensorium_core::feature::{
    FeatureError, FramesError, FrontEndError, PlaneError, Processor, SoundError,
};
use sensorium_pack::{Encoder as Entry, Modality, Pack, PackError, Scoring};
use thiserror::Error;
use tract_onnx::prelude::*;

use sensorium_pack::npy::{Array, NpyError};

mod idle;
mod senses;
pub mod weights;

pub(crate) use senses::Excerpt;

/// Largest deviation from length 1 that an embedding may have.
const NORM_TOLERANCE: f32 = 1e-3;

/// Why an encoder cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The pack has no encoder for this sense.
    #[error("pack {pack} has no encoder for {modality}, it has {known}")]
    NoEncoder {
        /// The pack's name.
        pack: String,
        /// The sense.
        modality: Modality,
        /// The senses that it has encoders for.
        known: String,
    },
    /// The pack has no encoder for this sense in a space.
    #[error(
        "pack {pack} has no encoder for {modality} in space {space:?}, it has some in {known:?}"
    )]
    NoSpace {
        /// The pack's name.
        pack: String,
        /// The sense.
        modality: Modality,
        /// The space.
        space: String,
        /// Spaces in which it has.
        known: Vec<String>,
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
    /// The ONNX file cannot be run.
    #[error("encoder {encoder:?} is not a model that can be run")]
    Model {
        /// The encoder.
        encoder: String,
        /// What the inference library said.
        source: TractError,
    },
    /// The inference library gave up on the ONNX file.
    #[error("encoder {encoder:?} is not a model that can be run: the inference library failed")]
    Panicked {
        /// The encoder.
        encoder: String,
    },
    /// A weight lies in another member, which is not there or too short.
    #[error("encoder {encoder:?}: weight {tensor:?} lies in no member of the pack, or outside it")]
    Weight {
        /// The encoder.
        encoder: String,
        /// The weight.
        tensor: String,
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
    /// An inertial window cannot be turned into features.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// A sound cannot.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// A picture cannot.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A clip of pictures cannot.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// Distances are told in whole millimetres.
    #[error("it holds {actual}, expected depth in millimetres as uint16")]
    Depth {
        /// The numbers' kind.
        actual: &'static str,
    },
    /// Colours, or levels of grey, are bytes.
    #[error("it holds {actual}, expected levels of grey as uint8")]
    Grey {
        /// The numbers' kind.
        actual: &'static str,
    },
    /// The encoder is for samples of another kind.
    #[error("encoder {encoder:?} is for {expected}, not for {actual}")]
    Sense {
        /// The encoder.
        encoder: String,
        /// Its sense.
        expected: Modality,
        /// What it was given.
        actual: &'static str,
    },
}

impl EncodeError {
    /// A pack has no encoder for a sense.
    pub(crate) fn none_in(pack: &Pack, modality: Modality) -> Self {
        let manifest = pack.manifest();
        let has = |sense: &Modality| manifest.encoder(*sense).is_some();
        let known: Vec<_> = Modality::ALL.into_iter().filter(has).collect();
        let names: Vec<_> = known.iter().map(|sense| sense.name()).collect();
        Self::NoEncoder {
            pack: manifest.name.clone(),
            modality,
            known: names.join(", "),
        }
    }

    /// Whether only what was sensed is at fault: the next window may be well.
    #[must_use]
    pub fn is_of_measurement(&self) -> bool {
        matches!(
            self,
            Self::Plane(PlaneError::Empty | PlaneError::OutOfRange { .. })
                | Self::Frames(FramesError::Plane(PlaneError::Empty))
                | Self::Sound(SoundError::NotFinite { .. })
        )
    }
}

/// An encoder of a pack, ready to run and self-tested.
#[derive(Clone)]
pub struct Encoder {
    name: String,
    modality: Modality,
    space: String,
    dim: usize,
    processor: Processor,
    scoring: Scoring,
    model: Arc<TypedRunnableModel>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("name", &self.name)
            .field("modality", &self.modality)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// Loads the pack's encoder for a sense and checks it against the pack's golden output.
    ///
    /// # Errors
    ///
    /// The pack has none, or it does not do here what it did where it was made.
    pub fn load(pack: &Pack, modality: Modality) -> Result<Self, EncodeError> {
        let manifest = pack.manifest();
        let entry = manifest.encoder(modality);
        let entry = entry.ok_or_else(|| EncodeError::none_in(pack, modality))?;
        Self::load_entry(pack, entry)
    }

    /// As [`load`](Self::load), of an encoder of the pack's manifest.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_entry(pack: &Pack, entry: &Entry) -> Result<Self, EncodeError> {
        let space = pack.manifest().space(&entry.space);
        let space = space.ok_or_else(|| EncodeError::none_in(pack, entry.modality))?;
        let processor = entry.front_end.build();
        let processor = processor.map_err(|source| EncodeError::FrontEnd {
            encoder: entry.name.clone(),
            source,
        })?;
        let encoder = Self {
            name: entry.name.clone(),
            modality: entry.modality,
            space: space.name.clone(),
            dim: space.dim,
            model: load_model(pack, entry, &batch_of_one(&processor))?,
            processor,
            scoring: entry.scoring,
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

    /// The sense that it is for.
    #[must_use]
    pub fn modality(&self) -> Modality {
        self.modality
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

    /// Its front end.
    #[must_use]
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// How its cosines become scores.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        self.scoring
    }

    /// The embedding of features that its front end gave: `dim` numbers of length 1.
    ///
    /// # Errors
    ///
    /// Features of another length, or an encoder that gives no embedding for them.
    pub fn run(&self, features: &[f32]) -> Result<Vec<f32>, EncodeError> {
        let inference = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&batch_of_one(&self.processor), features)?;
            let outputs = self.model.run(tvec!(input.into()))?;
            let output = outputs[0].to_plain_array_view::<f32>()?;
            Ok(output.iter().copied().collect())
        };
        let embedding = contained(&self.name, inference)?;
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

    /// The mean of embeddings, normalised; that of one is itself.
    fn mean(
        &self,
        embeddings: impl Iterator<Item = Result<Vec<f32>, EncodeError>>,
    ) -> Result<Vec<f32>, EncodeError> {
        let (mut sum, mut count) = (vec![0.0; self.dim], 0);
        for embedding in embeddings {
            for (sum, value) in sum.iter_mut().zip(embedding?) {
                *sum += value;
            }
            count += 1;
        }
        if count > 1 {
            sensorium_core::bank::normalize(&mut sum);
        }
        Ok(sum)
    }

    fn self_test(&self, input: &Array, output: &Array, max_abs: f32) -> Result<(), EncodeError> {
        let rows = input.shape.first().copied().unwrap_or(0);
        let fits = input.shape.get(1..) == Some(&self.processor.output_shape()[..]);
        if rows == 0 || !fits || output.shape != [rows, self.dim] {
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

/// Shape of the encoder's input for one window, clip or picture.
fn batch_of_one(processor: &Processor) -> Vec<usize> {
    [&[1], &processor.output_shape()[..]].concat()
}

/// The pack's hashes are right, so the file is what the pack's maker wrote; but the inference
/// library is known to panic on some files, and a pack must not bring the program down.
fn contained<T>(encoder: &str, run: impl FnOnce() -> TractResult<T>) -> Result<T, EncodeError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(EncodeError::Model {
            encoder: encoder.to_owned(),
            source,
        }),
        Err(_panic) => Err(EncodeError::Panicked {
            encoder: encoder.to_owned(),
        }),
    }
}

fn load_model(
    pack: &Pack,
    entry: &Entry,
    shape: &[usize],
) -> Result<Arc<TypedRunnableModel>, EncodeError> {
    let mut reader = pack.member(&entry.model)?;
    let onnx = tract_onnx::onnx();
    let mut model = contained(&entry.name, || onnx.proto_model_for_read(&mut reader))?;
    weights::gather(pack, &entry.name, &entry.model, &mut model)?;
    weights::widen(&mut model);
    contained(&entry.name, || {
        let model = onnx.model_for_proto_model(&model)?;
        let typed = model
            .with_input_fact(0, f32::fact(shape).into())?
            .into_typed()?;
        let mut model = typed.into_decluttered()?;
        idle::skip_idle(&mut model)?;
        model.into_optimized()?.into_runnable()
    })
}

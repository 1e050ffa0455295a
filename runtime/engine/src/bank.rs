//! Classes as vectors, ready to be compared with.

use std::path::Path;

use sensorium_core::bank::ClassBank;
use sensorium_core::event::EventPolicy;
use sensorium_core::score::{best, softmax};
use sensorium_pack::{Modality, sha256_hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::calibrate::file::{ClassThreshold, SenseCalibration};
use crate::classes::{Class, Classes, ClassesError};
use crate::space::{Space, SpaceError};

/// What a compiled class file says it is.
const FORMAT: &str = "sensorium-classes";

/// The version of that format.
const VERSION: u32 = 1;

/// Why there are no classes to compare with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BankError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// The class file is not understood.
    #[error(transparent)]
    Classes(#[from] ClassesError),
    /// The compiled class file is not understood.
    #[error("the compiled classes are not understood")]
    Compiled(#[source] serde_json::Error),
    /// The compiled class file is of another format or version.
    #[error("it says {format:?} version {version}, expected {FORMAT:?} version {VERSION}")]
    Format {
        /// The format that it names.
        format: String,
        /// The version that it names.
        version: u32,
    },
    /// The compiled classes were made for another space.
    #[error(
        "the classes were compiled for the space {found:?} ({found_fingerprint}), expected \
         {expected:?} ({expected_fingerprint}): build them again with this pack"
    )]
    OtherSpace {
        /// Name of the space that they were made for.
        found: String,
        /// Its fingerprint.
        found_fingerprint: String,
        /// Name of the encoder's space.
        expected: String,
        /// Its fingerprint.
        expected_fingerprint: String,
    },
    /// The compiled file holds vectors that do not fit its classes.
    #[error(
        "the compiled classes hold {rows} vectors of which one has {len} numbers, expected {expected_rows} of {dim}"
    )]
    Vectors {
        /// Vectors in the file.
        rows: usize,
        /// Length of the worst of them.
        len: usize,
        /// Classes and background prompts in the file.
        expected_rows: usize,
        /// Dimensions of the space.
        dim: usize,
    },
    /// No class is for this sense.
    #[error("none of the classes is for {modality}")]
    NoClass {
        /// The sense.
        modality: Modality,
    },
    /// Words have no embedding.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

/// A class file with the vectors of its words: what `classes build` writes, so that the device
/// needs no text model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompiledClasses {
    format: String,
    version: u32,
    /// Name of the space that the vectors lie in.
    pub space: String,
    /// Its [`Space::fingerprint`].
    pub fingerprint: String,
    /// The class file.
    pub classes: Classes,
    /// A vector for each class, then one for each background prompt.
    pub vectors: Vec<Vec<f32>>,
}

impl CompiledClasses {
    /// Embeds the words of a class file.
    ///
    /// # Errors
    ///
    /// Words that the space cannot embed.
    pub fn build(classes: Classes, space: &Space) -> Result<Self, SpaceError> {
        let of_classes = classes.classes.iter().map(|class| class.prompts.as_slice());
        let of_background = classes.background.prompts.chunks(1);
        let vectors = of_classes
            .chain(of_background)
            .map(|prompts| space.class_vector(prompts))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            space: space.name().to_owned(),
            fingerprint: space.fingerprint(),
            classes,
            vectors,
        })
    }

    /// Reads `classes.toml` or what was compiled from one, whichever the file holds.
    ///
    /// # Errors
    ///
    /// A file that is neither, is for another space, or holds words that the space cannot embed.
    pub fn open(path: &Path, space: &Space) -> Result<Self, BankError> {
        Self::parse(&std::fs::read_to_string(path)?, space)
    }

    /// As [`parse`](Self::parse), but of `classes.toml` only the classes for one sense: the words of
    /// others may be known in other spaces only.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse_for(text: &str, space: &Space, modality: Modality) -> Result<Self, BankError> {
        if text.trim_start().starts_with('{') {
            return Self::parse(text, space);
        }
        let mut classes = Classes::parse(text)?;
        classes
            .classes
            .retain(|class| class.modalities.is_empty() || class.modalities.contains(&modality));
        Ok(Self::build(classes, space)?)
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str, space: &Space) -> Result<Self, BankError> {
        if !text.trim_start().starts_with('{') {
            return Ok(Self::build(Classes::parse(text)?, space)?);
        }
        /// Only what says whether the rest can be understood.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let Head { format, version } = serde_json::from_str(text).map_err(BankError::Compiled)?;
        if format != FORMAT || version != VERSION {
            return Err(BankError::Format { format, version });
        }
        let compiled: Self = serde_json::from_str(text).map_err(BankError::Compiled)?;
        compiled.check(space)?;
        Ok(compiled)
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// None for vectors made by [`build`](Self::build); the writer's own are passed on.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|json| json + "\n")
    }

    fn check(&self, space: &Space) -> Result<(), BankError> {
        let expected_fingerprint = space.fingerprint();
        if self.fingerprint != expected_fingerprint {
            return Err(BankError::OtherSpace {
                found: self.space.clone(),
                found_fingerprint: self.fingerprint.clone(),
                expected: space.name().to_owned(),
                expected_fingerprint,
            });
        }
        let expected_rows = self.classes.classes.len() + self.classes.background.prompts.len();
        let dim = space.dim();
        let wrong = self.vectors.iter().map(Vec::len).find(|&len| len != dim);
        if wrong.is_some() || self.vectors.len() != expected_rows {
            return Err(BankError::Vectors {
                rows: self.vectors.len(),
                len: wrong.unwrap_or(dim),
                expected_rows,
                dim,
            });
        }
        Ok(())
    }
}

/// The classes of one sense as rows, those of the background last.
#[derive(Debug, Clone, PartialEq)]
pub struct Bank {
    classes: Vec<Class>,
    rows: Vec<f32>,
    dim: usize,
    id: String,
    /// Of each class, if it was calibrated.
    thresholds: Vec<Option<ClassThreshold>>,
}

impl Bank {
    /// The classes that can be recognised with this sense.
    ///
    /// # Errors
    ///
    /// [`BankError::NoClass`] if there is none.
    pub fn new(compiled: &CompiledClasses, modality: Modality) -> Result<Self, BankError> {
        let all = &compiled.classes.classes;
        let wanted: Vec<&Class> = compiled.classes.of(modality).collect();
        let mut classes = Vec::new();
        let mut rows = Vec::new();
        for (class, vector) in all.iter().zip(&compiled.vectors) {
            if wanted.contains(&class) {
                classes.push(class.clone());
                rows.extend_from_slice(vector);
            }
        }
        if classes.is_empty() {
            return Err(BankError::NoClass { modality });
        }
        let background = compiled.vectors.iter().skip(all.len());
        rows.extend(background.flatten());
        let dim = compiled.vectors.first().map_or(0, Vec::len);
        let mut bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        for class in &classes {
            bytes.extend(class.name.as_bytes());
            bytes.push(0);
        }
        let id = sha256_hex(&bytes)[..12].to_owned();
        Ok(Self {
            thresholds: vec![None; classes.len()],
            classes,
            rows,
            dim,
            id,
        })
    }

    /// The same classes with the thresholds that `calibrate` found, where it knows their names.
    #[must_use]
    pub fn with_calibration(mut self, calibration: &SenseCalibration) -> Self {
        let find = |class: &Class| {
            let mut known = calibration.classes.iter();
            known
                .find(|threshold| threshold.name == class.name)
                .cloned()
        };
        self.thresholds = self.classes.iter().map(find).collect();
        self
    }

    /// With the thresholds that another bank's classes have, where they are the same ones. Scores
    /// share 1 among all classes, so nothing is promised any more.
    #[must_use]
    pub fn with_thresholds_of(mut self, other: &Self) -> Self {
        let find = |class: &Class| {
            let at = other.classes.iter().position(|known| known == class)?;
            let threshold = other.threshold(at)?.clone();
            Some(ClassThreshold {
                promised: false,
                ..threshold
            })
        };
        self.thresholds = self.classes.iter().map(find).collect();
        self
    }

    /// What `calibrate` found for a class.
    #[must_use]
    pub fn threshold(&self, class: usize) -> Option<&ClassThreshold> {
        self.thresholds.get(class)?.as_ref()
    }

    /// When the score of a class makes an event: as `policy` says, but for what the class file or
    /// calibration say of this class.
    #[must_use]
    pub fn policy(&self, class: usize, mut policy: EventPolicy) -> EventPolicy {
        if let Some(seconds) = self.classes.get(class).and_then(|c| c.min_duration_s) {
            policy.min_duration_us = (f64::from(seconds) * 1e6) as u64;
        }
        if let Some(threshold) = self.threshold(class) {
            (policy.enter, policy.exit) = (threshold.enter, threshold.exit);
        }
        policy
    }

    /// The classes, in the order of the scores.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// What tells this bank from others: a hash of its names and vectors.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name and score of the best class; background prompts are none.
    #[must_use]
    pub fn best(&self, scores: &[f32]) -> Option<(&str, f32)> {
        let best = best(scores.get(..self.classes.len())?)?;
        Some((&self.classes[best.class].name, best.score))
    }

    /// The score of each class, then of each background prompt; all sum to 1.
    ///
    /// # Panics
    ///
    /// If the embedding is of another space.
    #[must_use]
    pub fn scores(&self, embedding: &[f32], temperature: f32) -> Vec<f32> {
        let mut scores: Vec<f32> = ClassBank::new(self.dim, &self.rows)
            .map(|bank| bank.cosines(embedding).collect())
            .unwrap_or_default();
        softmax(&mut scores, temperature);
        scores
    }
}

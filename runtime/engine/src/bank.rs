//! Classes as vectors, ready to be compared with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sensorium_core::bank::ClassBank;
use sensorium_core::event::EventPolicy;
use sensorium_core::score::{against, best, softmax};
use sensorium_kernels::dot_f32;
use sensorium_pack::npy::{Array, NpyError};
use sensorium_pack::{Modality, Pack, sha256_hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::calibrate::file::{ClassThreshold, SenseCalibration};
use crate::classes::{Class, Classes, ClassesError};
use crate::example::{ClassFile, ExampleError, embed_example, is_class_file, mean_vector};
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
        /// Classes, background prompts and prompts of `not` in the file.
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
    /// Examples have none.
    #[error("class {class:?}")]
    Example {
        /// The class.
        class: String,
        /// What is wrong with them.
        source: Box<ExampleError>,
    },
    /// The mean of the background cannot be read.
    #[error("[background] means, {path:?}")]
    Mean {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The mean of the background is not of this space.
    #[error(
        "[background] means, {path:?} has shape {actual:?}, expected [rows, {dim}] of finite numbers"
    )]
    MeanShape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        actual: Vec<usize>,
        /// Dimensions of the space.
        dim: usize,
    },
}

/// Where a class file is, and what can be made there of what it refers to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where the files are that it names.
    pub folder: &'a Path,
    /// Whose encoders embed examples; without one, these must be class files.
    pub pack: Option<&'a Pack>,
    /// The one sense that the classes are wanted for; all of them, if none: the words of others may
    /// be known in other spaces only.
    pub modality: Option<Modality>,
}

impl Default for Place<'_> {
    fn default() -> Self {
        Self {
            folder: Path::new(""),
            pack: None,
            modality: None,
        }
    }
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
    /// A vector for each class, then one for each background prompt, then one for each prompt of
    /// `not`, class by class.
    pub vectors: Vec<Vec<f32>>,
    /// What is subtracted from the embeddings of each sense.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub means: BTreeMap<Modality, Vec<f32>>,
    /// The same classes in other spaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<CompiledClasses>,
}

impl CompiledClasses {
    /// Embeds the words and examples of a class file.
    ///
    /// # Errors
    ///
    /// Words that the space cannot embed, or files that cannot be used.
    pub fn build(mut classes: Classes, space: &Space, place: Place<'_>) -> Result<Self, BankError> {
        if let Some(modality) = place.modality {
            classes.classes.retain(|class| class.is_for(modality));
            if let Some(pack) = place.pack.filter(|_| modality == Modality::Text) {
                let of_space = { pack.manifest().encoders.iter() }
                    .filter(|encoder| encoder.space == space.name());
                let senses: Vec<Modality> = of_space
                    .map(|encoder| encoder.modality)
                    .chain([Modality::Text])
                    .collect();
                let is_here = |class: &Class| {
                    class.modalities.is_empty()
                        || senses.iter().any(|sense| class.modalities.contains(sense))
                };
                classes.classes.retain(is_here);
            }
            let means = &mut classes.background.means;
            means.retain(|of, _| *of == modality);
        }
        if let Some(pack) = place.pack.filter(|pack| pack.manifest().spaces.len() > 1) {
            leave_to_others(&mut classes, space, pack);
        }
        let of_classes = classes.classes.iter();
        let of_classes = of_classes.map(|class| class_vector(class, space, place));
        let word = |prompt: &String| space.class_vector(std::slice::from_ref(prompt));
        let against = classes.classes.iter().flat_map(|class| &class.not);
        let others = classes.background.prompts.iter().chain(against);
        let others = others.map(|prompt| word(prompt).map_err(BankError::from));
        let vectors = of_classes.chain(others).collect::<Result<_, _>>()?;
        let mean = |(modality, path): (&Modality, &PathBuf)| {
            Ok::<_, BankError>((*modality, background_mean(path, space)?))
        };
        let means = classes.background.means.iter().map(mean);
        let means = means.collect::<Result<_, _>>()?;
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            space: space.name().to_owned(),
            fingerprint: space.fingerprint(),
            classes,
            vectors,
            means,
            others: Vec::new(),
        })
    }

    /// Reads `classes.toml` or what was compiled from one, whichever the file holds; what it refers
    /// to is in its folder.
    ///
    /// # Errors
    ///
    /// A file that is neither, is for another space, or holds words that the space cannot embed.
    pub fn open(
        path: &Path,
        space: &Space,
        pack: &Pack,
        modality: Option<Modality>,
    ) -> Result<Self, BankError> {
        let place = Place {
            folder: path.parent().unwrap_or(Path::new("")),
            pack: Some(pack),
            modality,
        };
        Self::parse_in(&std::fs::read_to_string(path)?, space, place)
    }

    /// As [`open`](Self::open), from memory, without a pack for examples.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str, space: &Space) -> Result<Self, BankError> {
        Self::parse_in(text, space, Place::default())
    }

    /// As [`open`](Self::open), from memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse_in(text: &str, space: &Space, place: Place<'_>) -> Result<Self, BankError> {
        if !is_compiled(text) {
            let classes = Classes::parse_in(text, place.folder)?;
            return Self::build(classes, space, place);
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
        let mut compiled: Self = serde_json::from_str(text).map_err(BankError::Compiled)?;
        let fingerprint = space.fingerprint();
        let others = std::mem::take(&mut compiled.others);
        let fits = |other: &Self| other.fingerprint == fingerprint;
        if !fits(&compiled)
            && let Some(other) = others.into_iter().find(fits)
        {
            compiled = other;
        }
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
        let against: usize = { self.classes.classes.iter() }
            .map(|class| class.not.len())
            .sum();
        let expected_rows =
            self.classes.classes.len() + self.classes.background.prompts.len() + against;
        let dim = space.dim();
        let all = self.vectors.iter().chain(self.means.values());
        let wrong = all.map(Vec::len).find(|&len| len != dim);
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

/// Takes out the classes that only another space of the pack can know: those by examples of another one
/// and, where words have no place, those by words. What is left of none stays as it was, to be refused.
fn leave_to_others(classes: &mut Classes, space: &Space, pack: &Pack) {
    let fingerprint = space.fingerprint();
    let is_of_another = |path: &PathBuf| {
        let made_for = is_class_file(path).then(|| ClassFile::made_for(path));
        let made_for = made_for.and_then(Result::ok);
        made_for
            .is_some_and(|(name, of)| of != fingerprint && pack.manifest().space(&name).is_some())
    };
    let is_known = |class: &Class| {
        (class.prompts.is_empty() || space.knows_words())
            && !class.examples.iter().any(is_of_another)
    };
    if classes.classes.iter().any(is_known) {
        classes.classes.retain(is_known);
        if !space.knows_words() {
            classes.background.prompts.clear();
        }
    }
}

/// Whether a class file is a compiled one.
#[must_use]
pub fn is_compiled(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The vector of a class: of its words, of its examples, or of both in equal parts.
fn class_vector(class: &Class, space: &Space, place: Place<'_>) -> Result<Vec<f32>, BankError> {
    let in_words = match class.prompts[..] {
        [] => None,
        _ => Some(space.class_vector(&class.prompts)?),
    };
    let by_example = || -> Result<Vec<f32>, ExampleError> {
        let mut rows = Vec::new();
        // A class with examples has one sense: that was checked.
        for (path, modality) in class.examples.iter().zip(class.modalities.iter().cycle()) {
            rows.extend(embed_example(path, *modality, space, place.pack)?);
        }
        let mean = mean_vector(rows.iter().map(Vec::as_slice))?;
        mean_vector(in_words.iter().chain([&mean]).map(Vec::as_slice))
    };
    match (&in_words, class.examples.is_empty()) {
        (Some(words), true) => Ok(words.clone()),
        _ => by_example().map_err(|source| BankError::Example {
            class: class.name.clone(),
            source: Box::new(source),
        }),
    }
}

/// The mean of the rows of an array of embeddings.
fn background_mean(path: &Path, space: &Space) -> Result<Vec<f32>, BankError> {
    let array = Array::open(path).map_err(|source| BankError::Mean {
        path: path.to_owned(),
        source,
    })?;
    let dim = space.dim();
    let is_finite = array.values.iter().all(|value| value.is_finite());
    let rows = match array.shape[..] {
        [rows, columns] if rows > 0 && columns == dim && is_finite => rows,
        _ => {
            return Err(BankError::MeanShape {
                path: path.to_owned(),
                actual: array.shape,
                dim,
            });
        }
    };
    let mut mean = vec![0.0; dim];
    for row in array.rows() {
        let share = row.iter().map(|value| value / rows as f32);
        mean.iter_mut()
            .zip(share)
            .for_each(|(sum, share)| *sum += share);
    }
    Ok(mean)
}

/// The classes of one sense as rows, those of the background last.
#[derive(Debug, Clone, PartialEq)]
pub struct Bank {
    classes: Vec<Class>,
    rows: Vec<f32>,
    dim: usize,
    id: String,
    /// The part of each cosine that is the local background's; of none, if nothing is subtracted.
    offsets: Vec<f32>,
    /// What speaks against one class: its place, the row, the offset.
    against: Vec<(usize, Vec<f32>, f32)>,
    something_else: Option<f32>,
    temperature: Option<f32>,
    /// Of each class, if it was calibrated.
    thresholds: Vec<Option<ClassThreshold>>,
    /// What else makes an event, where that has changed since streams began.
    policy: Option<EventPolicy>,
}

impl Bank {
    /// The classes that can be recognised with this sense.
    ///
    /// # Errors
    ///
    /// [`BankError::NoClass`] if there is none.
    pub fn new(compiled: &CompiledClasses, modality: Modality) -> Result<Self, BankError> {
        let file = &compiled.classes;
        let mean = compiled.means.get(&modality);
        let offset = |row: &[f32]| mean.map_or(0.0, |mean| dot_f32(mean, row));
        let (of_classes, others) = compiled.vectors.split_at(file.classes.len());
        let (of_background, of_not) = others.split_at(file.background.prompts.len());
        let mut of_not = of_not.iter();
        let (mut classes, mut rows, mut against) = (Vec::new(), Vec::new(), Vec::new());
        for (class, vector) in file.classes.iter().zip(of_classes) {
            let not = of_not.by_ref().take(class.not.len());
            if !class.is_for(modality) {
                not.for_each(drop);
                continue;
            }
            let place = classes.len();
            against.extend(not.map(|row| (place, row.clone(), offset(row))));
            classes.push(class.clone());
            rows.extend_from_slice(vector);
        }
        if classes.is_empty() {
            return Err(BankError::NoClass { modality });
        }
        rows.extend(of_background.iter().flatten());
        let dim = compiled.vectors.first().map_or(0, Vec::len);
        let offsets = match mean {
            Some(_) => rows.chunks_exact(dim.max(1)).map(offset).collect(),
            None => Vec::new(),
        };
        let mut bank = Self {
            thresholds: vec![None; classes.len()],
            classes,
            rows,
            dim,
            id: String::new(),
            offsets,
            against,
            something_else: file.something_else.get(&modality).copied(),
            temperature: file.temperature.get(&modality).copied(),
            policy: None,
        };
        bank.id = bank.hash();
        Ok(bank)
    }

    /// Of all that scores are made of.
    fn hash(&self) -> String {
        let against = self.against.iter().flat_map(|(place, row, offset)| {
            let numbers = row.iter().chain([offset]).copied();
            numbers.chain([*place as f32])
        });
        let scales = [self.something_else, self.temperature];
        let scales = scales.iter().enumerate();
        let scales = scales.filter_map(|(n, value)| value.map(|value| [n as f32, value]));
        let rows = self.rows.iter().chain(&self.offsets).copied();
        let numbers = rows.chain(against).chain(scales.flatten());
        let mut bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        for class in &self.classes {
            bytes.extend(class.name.as_bytes());
            bytes.push(0);
        }
        sha256_hex(&bytes)[..12].to_owned()
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

    /// With the policy of another bank, and the thresholds that its classes have, where they are the
    /// same ones. Scores share 1 among all classes, so nothing is promised any more.
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
        self.policy = other.policy;
        self
    }

    /// With another policy than streams began with.
    #[must_use]
    pub fn with_policy(mut self, policy: EventPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// What `calibrate` found for a class.
    #[must_use]
    pub fn threshold(&self, class: usize) -> Option<&ClassThreshold> {
        self.thresholds.get(class)?.as_ref()
    }

    /// When the score of a class makes an event: as `policy` says, unless that has changed since, but
    /// for what the class file or calibration say of this class.
    #[must_use]
    pub fn policy(&self, class: usize, policy: EventPolicy) -> EventPolicy {
        let mut policy = self.policy.unwrap_or(policy);
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

    /// The score of each class, then of each background prompt, then of something else if the class
    /// file has it; all sum to 1, less what prompts of `not` take. The class file's temperature goes
    /// before the one given.
    ///
    /// # Panics
    ///
    /// If the embedding is of another space.
    #[must_use]
    pub fn scores(&self, embedding: &[f32], temperature: f32) -> Vec<f32> {
        let temperature = self.temperature.unwrap_or(temperature);
        let mut cosines: Vec<f32> = ClassBank::new(self.dim, &self.rows)
            .map(|bank| bank.cosines(embedding).collect())
            .unwrap_or_default();
        for (cosine, offset) in cosines.iter_mut().zip(&self.offsets) {
            *cosine -= offset;
        }
        cosines.extend(self.something_else);
        let mut scores = cosines.clone();
        softmax(&mut scores, temperature);
        let Some(top) = best(&scores) else {
            return scores;
        };
        let rest = (top.score, cosines[top.class]);
        for (class, score) in scores.iter_mut().take(self.classes.len()).enumerate() {
            let mine = self.against.iter().filter(|(of, _, _)| *of == class);
            let cosines = mine.map(|(_, row, offset)| dot_f32(row, embedding) - offset);
            *score = against(*score, rest, cosines, temperature);
        }
        scores
    }
}

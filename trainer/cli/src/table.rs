//! Embeddings of held-out samples and what is known of them: what `eval` keeps and `report` reads.
//!
//! One safetensors file: the arrays below, and all the rest as JSON under the metadata key `table`.
//!
//! | array | shape | what it is |
//! |---|---|---|
//! | `embeddings` | samples, dim | a row a sample |
//! | `class_vectors` | classes, dim | the vector of each class |
//! | `prompt_vectors` | prompts of all classes, dim | optional: each prompt's own vector |
//! | `anchor_rows` | anchors, dim | optional: what samples are paired with |

use std::path::Path;

use sensorium_model::weights::{Weights, WeightsError};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) mod tests;

/// What the name of a table ends with that is of an encoder before its training.
pub const UNBOUND: &str = ", unbound";

/// The name of the file in the folder of a training.
pub const FILE: &str = "held_out.safetensors";

/// Embeddings of held-out samples and what is known of them.
///
/// # Shapes
///
/// `n` samples: `names`, `groups` and `labels` have `n` entries, `also` and `seconds` `n` or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Name of the encoder. Tables of one name are parts of one experiment, such as folds.
    pub name: String,
    /// What the encoder senses.
    pub sense: Modality,
    /// Numbers in an embedding.
    pub dim: usize,
    /// A row a sample, of any length: only directions count.
    pub embeddings: Vec<f32>,
    /// A name a sample.
    pub names: Vec<String>,
    /// The class of each sample; none if it is of none of them.
    pub labels: Vec<Option<usize>>,
    /// Further classes that are true of each sample as well; empty if none is of any.
    pub also: Vec<Vec<usize>>,
    /// The person, speaker, place or sequence that each sample is of.
    pub groups: Vec<String>,
    /// How long each sample lasts; empty if samples have no duration.
    pub seconds: Vec<f64>,
    /// What samples may be named.
    pub classes: Vec<Class>,
    /// Classes that are measured on their own as well.
    pub class_groups: Vec<ClassGroup>,
    /// What samples are paired with, in another sense.
    pub anchors: Option<Anchors>,
    /// How training went, an entry an epoch.
    pub training: Vec<Epoch>,
    /// Where all this comes from: data, recipe, command.
    pub provenance: String,
}

/// A class.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What stands for it in words, such as templates filled in.
    pub prompts: Vec<String>,
    /// Its vector: the mean over the prompts, as `sensorium_core::bank::class_vector` makes it.
    pub vector: Vec<f32>,
    /// The vector that each prompt alone would give; empty if they are not known.
    pub prompt_vectors: Vec<f32>,
}

/// Some of the classes, measured on their own as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassGroup {
    /// As reports name it.
    pub name: String,
    /// Only samples of people, speakers or sequences whose names begin so.
    pub of: String,
    /// Its classes.
    pub classes: Vec<usize>,
}

/// What samples are paired with.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchors {
    /// The sense that they are of.
    pub sense: Modality,
    /// A row an anchor.
    pub rows: Vec<f32>,
    /// A name an anchor.
    pub names: Vec<String>,
    /// The anchor of each sample.
    pub of: Vec<usize>,
    /// The class of each anchor.
    pub labels: Vec<Option<usize>>,
}

/// An epoch of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its number.
    pub epoch: u32,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Share of the held-out samples that were named rightly after it, if that was measured.
    pub held_out: Option<f64>,
}

/// Why a table cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file, or an array in it.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A safetensors file of something else.
    #[error("it is no table of held-out samples: it has no metadata \"{WORDS}\"")]
    NoTable,
    /// The metadata is not what it should be.
    #[error("metadata \"{WORDS}\"")]
    Words(#[from] serde_json::Error),
    /// The array of embeddings is not made of rows.
    #[error("\"{EMBEDDINGS}\" has shape {actual:?}, expected [samples, dim], at least one of each")]
    Embeddings {
        /// The shape it has.
        actual: Vec<usize>,
    },
    /// A list has an entry too many or too few.
    #[error("{list} has {actual} entries, expected {expected}, one for each {of}")]
    Length {
        /// The list.
        list: &'static str,
        /// Its entries.
        actual: usize,
        /// The right number.
        expected: usize,
        /// What there should be an entry for.
        of: &'static str,
    },
    /// A number that stands for a class or an anchor stands for none.
    #[error("{list}[{place}] is {actual}, but there are {count} {of}")]
    Place {
        /// The list.
        list: &'static str,
        /// The entry.
        place: usize,
        /// The number.
        actual: usize,
        /// How many there are.
        count: usize,
        /// Of what.
        of: &'static str,
    },
    /// A number that is none, or infinite.
    #[error("\"{array}\" has a number that is not finite in row {row}")]
    NotFinite {
        /// The array.
        array: &'static str,
        /// The row.
        row: usize,
    },
    /// A sample of no class that is of further ones.
    #[error("sample {sample} has no label, but also[{sample}] has classes")]
    AlsoAlone {
        /// The sample.
        sample: usize,
    },
    /// Two classes that could not be told apart.
    #[error("there are two classes {name:?}")]
    TwoClasses {
        /// Their name.
        name: String,
    },
}

const WORDS: &str = "table";
const EMBEDDINGS: &str = "embeddings";
const CLASS_VECTORS: &str = "class_vectors";
const PROMPT_VECTORS: &str = "prompt_vectors";
const ANCHOR_ROWS: &str = "anchor_rows";

/// What does not fit into an array.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    name: String,
    sense: Modality,
    samples: Vec<String>,
    labels: Vec<Option<usize>>,
    #[serde(default)]
    also: Vec<Vec<usize>>,
    groups: Vec<String>,
    #[serde(default)]
    seconds: Vec<f64>,
    classes: Vec<ClassWords>,
    #[serde(default)]
    class_groups: Vec<ClassGroup>,
    anchors: Option<AnchorWords>,
    #[serde(default)]
    training: Vec<Epoch>,
    #[serde(default)]
    provenance: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassWords {
    name: String,
    prompts: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorWords {
    sense: Modality,
    names: Vec<String>,
    of: Vec<usize>,
    labels: Vec<Option<usize>>,
}

impl Table {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// All classes that are true of a sample.
    pub fn classes_of(&self, sample: usize) -> Vec<usize> {
        let also = self.also.get(sample).into_iter().flatten().copied();
        self.labels[sample].into_iter().chain(also).collect()
    }

    /// Writes a file, all of it or nothing.
    ///
    /// # Errors
    ///
    /// A table that does not fit together, or a file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TableError> {
        self.check()?;
        let mut weights = Weights::new();
        let mut insert = |name, count, values: Vec<f32>| {
            weights.insert(name, &[count, self.dim], values);
        };
        let classes = &self.classes;
        insert(EMBEDDINGS, self.len(), self.embeddings.clone());
        let vectors = classes.iter().flat_map(|class| class.vector.clone());
        insert(CLASS_VECTORS, classes.len(), vectors.collect());
        let prompts = classes
            .iter()
            .flat_map(|class| class.prompt_vectors.clone());
        let prompts: Vec<f32> = prompts.collect();
        if !prompts.is_empty() {
            insert(PROMPT_VECTORS, prompts.len() / self.dim, prompts);
        }
        if let Some(anchors) = &self.anchors {
            insert(ANCHOR_ROWS, anchors.names.len(), anchors.rows.clone());
        }
        // One entry, so that equal tables are equal files.
        weights.set_metadata(WORDS, serde_json::to_string(&self.words())?);
        Ok(weights.write(path)?)
    }

    fn words(&self) -> Words {
        Words {
            name: self.name.clone(),
            sense: self.sense,
            samples: self.names.clone(),
            labels: self.labels.clone(),
            also: self.also.clone(),
            groups: self.groups.clone(),
            seconds: self.seconds.clone(),
            classes: self
                .classes
                .iter()
                .map(|class| ClassWords {
                    name: class.name.clone(),
                    prompts: class.prompts.clone(),
                })
                .collect(),
            class_groups: self.class_groups.clone(),
            anchors: self.anchors.as_ref().map(|anchors| AnchorWords {
                sense: anchors.sense,
                names: anchors.names.clone(),
                of: anchors.of.clone(),
                labels: anchors.labels.clone(),
            }),
            training: self.training.clone(),
            provenance: self.provenance.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no table, or whose parts do not fit together.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let weights = Weights::read(path)?;
        let words: Words =
            serde_json::from_str(weights.metadata(WORDS).ok_or(TableError::NoTable)?)?;
        let shape = weights
            .get(EMBEDDINGS)
            .map_or(&[][..], |array| &array.shape);
        let (samples, dim) = match *shape {
            [samples, dim] if samples > 0 && dim > 0 => (samples, dim),
            _ => {
                return Err(TableError::Embeddings {
                    actual: shape.to_vec(),
                });
            }
        };
        let array = |name, count| weights.expect(name, &[count, dim]);
        let vectors = array(CLASS_VECTORS, words.classes.len())?;
        let prompts: usize = words.classes.iter().map(|class| class.prompts.len()).sum();
        let mut prompt_rows = match weights.get(PROMPT_VECTORS) {
            Some(_) => array(PROMPT_VECTORS, prompts)?,
            None => &[],
        };
        let class = |(words, vector): (ClassWords, &[f32])| {
            let own = (words.prompts.len() * dim).min(prompt_rows.len());
            let (own, rest) = prompt_rows.split_at(own);
            prompt_rows = rest;
            Class {
                name: words.name,
                prompts: words.prompts,
                vector: vector.to_vec(),
                prompt_vectors: own.to_vec(),
            }
        };
        let anchors = |words: AnchorWords| -> Result<Anchors, TableError> {
            Ok(Anchors {
                sense: words.sense,
                rows: array(ANCHOR_ROWS, words.names.len())?.to_vec(),
                names: words.names,
                of: words.of,
                labels: words.labels,
            })
        };
        let table = Self {
            name: words.name,
            sense: words.sense,
            dim,
            embeddings: array(EMBEDDINGS, samples)?.to_vec(),
            names: words.samples,
            labels: words.labels,
            also: words.also,
            groups: words.groups,
            seconds: words.seconds,
            classes: std::iter::zip(words.classes, vectors.chunks_exact(dim))
                .map(class)
                .collect(),
            class_groups: words.class_groups,
            anchors: words.anchors.map(anchors).transpose()?,
            training: words.training,
            provenance: words.provenance,
        };
        table.check()?;
        Ok(table)
    }

    /// Whether the parts fit together.
    fn check(&self) -> Result<(), TableError> {
        let (n, classes) = (self.len(), self.classes.len());
        if n == 0 || self.dim == 0 {
            return Err(TableError::Embeddings {
                actual: vec![n, self.dim],
            });
        }
        length("embeddings", self.embeddings.len(), n * self.dim, "number")?;
        length("labels", self.labels.len(), n, "sample")?;
        length("groups", self.groups.len(), n, "sample")?;
        if !self.seconds.is_empty() {
            length("seconds", self.seconds.len(), n, "sample")?;
        }
        places("labels", "classes", self.labels.iter().copied(), classes)?;
        if !self.also.is_empty() {
            length("also", self.also.len(), n, "sample")?;
        }
        for row in &self.also {
            places("also", "classes", row.iter().copied().map(Some), classes)?;
        }
        for group in &self.class_groups {
            let of = group.classes.iter().copied().map(Some);
            places("class_groups.classes", "classes", of, classes)?;
        }
        let pairs = self.labels.iter().zip(&self.also);
        let mut alone = pairs.map(|(label, also)| label.is_none() && !also.is_empty());
        if let Some(sample) = alone.position(|alone| alone) {
            return Err(TableError::AlsoAlone { sample });
        }
        finite(EMBEDDINGS, self.dim, &self.embeddings)?;
        for (place, class) in self.classes.iter().enumerate() {
            length("a class's vector", class.vector.len(), self.dim, "number")?;
            finite(CLASS_VECTORS, self.dim, &class.vector)?;
            finite(PROMPT_VECTORS, self.dim, &class.prompt_vectors)?;
            if !class.prompt_vectors.is_empty() {
                let expected = class.prompts.len() * self.dim;
                length(
                    "a class's prompt vectors",
                    class.prompt_vectors.len(),
                    expected,
                    "number",
                )?;
            }
            if self.classes[..place].iter().any(|c| c.name == class.name) {
                return Err(TableError::TwoClasses {
                    name: class.name.clone(),
                });
            }
        }
        if let Some(anchors) = &self.anchors {
            let count = anchors.names.len();
            length(
                "anchor rows",
                anchors.rows.len(),
                count * self.dim,
                "number",
            )?;
            length("anchors.of", anchors.of.len(), n, "sample")?;
            length("anchors.labels", anchors.labels.len(), count, "anchor")?;
            places(
                "anchors.of",
                "anchors",
                anchors.of.iter().copied().map(Some),
                count,
            )?;
            places(
                "anchors.labels",
                "classes",
                anchors.labels.iter().copied(),
                classes,
            )?;
            finite(ANCHOR_ROWS, self.dim, &anchors.rows)?;
        }
        Ok(())
    }
}

fn length(
    list: &'static str,
    actual: usize,
    expected: usize,
    of: &'static str,
) -> Result<(), TableError> {
    if actual == expected {
        return Ok(());
    }
    Err(TableError::Length {
        list,
        actual,
        expected,
        of,
    })
}

fn places(
    list: &'static str,
    of: &'static str,
    places: impl Iterator<Item = Option<usize>>,
    count: usize,
) -> Result<(), TableError> {
    let bad = places
        .enumerate()
        .find_map(|(place, entry)| Some((place, entry.filter(|&entry| entry >= count)?)));
    bad.map_or(Ok(()), |(place, actual)| {
        Err(TableError::Place {
            list,
            place,
            actual,
            count,
            of,
        })
    })
}

fn finite(array: &'static str, dim: usize, values: &[f32]) -> Result<(), TableError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(TableError::NotFinite {
            array,
            row: place / dim,
        }),
        None => Ok(()),
    }
}

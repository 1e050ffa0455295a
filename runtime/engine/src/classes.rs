//! `classes.toml`: what shall be recognised, in words or by examples.
//!
//! ```toml
//! [[class]]
//! name = "falling"
//! prompts = ["a person falling down", "someone slips and falls"]
//! not = ["a person lying down"] # takes from this class what resembles it more
//! modalities = ["imu"]          # default: all that the pack has
//! labels = ["fall", "7"]        # what recordings call it, where that is not its name
//! min_duration_s = 0.5
//! false_alarms_per_hour = 0.2   # what `calibrate` shall hold
//!
//! [[class]]
//! name = "my gate"
//! modalities = ["audio"]
//! examples = ["gate1.wav", "gate2.wav", "gate.json"] # files of the sense, or classes exported
//!
//! [[class]]
//! name = "glass breaking"
//! all = ["audio", "imu"]        # an event only where both say so,
//! within_s = 1.0                # no further apart than this
//!
//! [background]
//! prompts = ["nothing happening"] # each takes part in the scores as a class of its own
//! means = { imu = "room.npy" }  # of embeddings, as `embed` writes them; subtracted
//!
//! [something_else]              # takes part as a class of this cosine: "nothing fits"
//! imu = 0.3
//!
//! [temperature]                 # cosines are divided by it; default: the pack's
//! imu = 0.07
//! ```
//!
//! Files are looked for where the class file is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys::{TomlError, from_toml};

/// Why a class file is not understood.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ClassesError {
    /// It is not TOML of the right form.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// It holds no class.
    #[error("it holds no [[class]]")]
    Empty,
    /// Two classes have one name.
    #[error("class {name:?} comes twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A name or prompt is empty.
    #[error("class {name:?} has an empty {what}")]
    EmptyText {
        /// The class.
        name: String,
        /// What is empty.
        what: &'static str,
    },
    /// A key out of its range.
    #[error("class {name:?}: {key} is {found}, expected 0 or more")]
    Range {
        /// The class.
        name: String,
        /// The key.
        key: &'static str,
        /// Its value.
        found: f32,
    },
    /// A number of a sense out of its range.
    #[error("[{table}]: {modality} is {found}, expected {expected}")]
    OfSense {
        /// The table.
        table: &'static str,
        /// The sense.
        modality: Modality,
        /// Its value.
        found: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// Senses shall agree on a class, and there are not two that can.
    #[error(
        "class {name:?}: all is {found:?}, expected two senses or more, each once, of its modalities"
    )]
    All {
        /// The class.
        name: String,
        /// The senses.
        found: Vec<Modality>,
    },
    /// A time between senses, and none that shall agree.
    #[error("class {name:?} has within_s but no all = [\"…\", \"…\"] of senses that shall agree")]
    Within {
        /// The class.
        name: String,
    },
    /// Nobody knows which sense the examples are of.
    #[error(
        "class {name:?} has examples, so its modalities must be their one sense, such as [\"audio\"]"
    )]
    ExamplesOf {
        /// The class.
        name: String,
    },
}

/// One thing to recognise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What events call it.
    pub name: String,
    /// Ways to say it; their mean is the class. Its name, if there is none and no example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Ways to say what it is not, though it may seem so. Each takes from this class alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<String>,
    /// Files in which it happens, or classes that were exported; their mean is the class, in equal
    /// parts with its prompts, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<PathBuf>,
    /// Senses that it can be recognised with; all, if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// What the labels of recordings call it, besides its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Shorter events are not told, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_duration_s: Option<f32>,
    /// False alarms that calibration shall hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms_per_hour: Option<f32>,
    /// Senses that must agree; any of them is enough by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Modality>,
    /// How far apart the events of these senses may be, in seconds; [`WITHIN_S`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_s: Option<f32>,
}

/// How far apart the events of senses that shall agree may be, unless the class says.
pub const WITHIN_S: f32 = 1.0;

impl Class {
    /// Whether a recording that says `label` says this class.
    #[must_use]
    pub fn is_labelled(&self, label: &str) -> bool {
        let same = |name: &str| name.replace('_', " ") == label.replace('_', " ");
        same(&self.name) || self.labels.iter().any(|name| same(name))
    }
}

/// What is going on when none of the classes is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Each of them takes part in the scores as a class of its own.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// Of each sense, an array `.npy` of embeddings of this place when nothing happens, a row each.
    /// Their mean is subtracted from every embedding, so that a class is what differs from it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub means: BTreeMap<Modality, PathBuf>,
}

/// A class file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// The classes in order.
    #[serde(rename = "class", default)]
    pub classes: Vec<Class>,
    /// What is none of them.
    #[serde(default)]
    pub background: Background,
    /// Cosine of each sense that a window must have with a class, or it is rather "something else":
    /// this takes part in the scores as a class that every window has this cosine with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub something_else: BTreeMap<Modality, f32>,
    /// What the cosines of each sense are divided by, where it is not the pack's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub temperature: BTreeMap<Modality, f32>,
}

impl Classes {
    /// Reads and checks a class file whose files are where the program was started.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ClassesError> {
        Self::parse_in(text, Path::new(""))
    }

    /// Reads and checks a class file whose files are in `folder`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse_in(text: &str, folder: &Path) -> Result<Self, ClassesError> {
        let mut file: Self = from_toml(text)?;
        for class in &mut file.classes {
            for example in &mut class.examples {
                *example = folder.join(&example);
            }
        }
        for mean in file.background.means.values_mut() {
            *mean = folder.join(&mean);
        }
        file.checked()
    }

    /// The same, checked; a class with neither prompts nor examples is prompted by its name.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn checked(mut self) -> Result<Self, ClassesError> {
        for class in &mut self.classes {
            if class.prompts.is_empty() && class.examples.is_empty() {
                class.prompts = vec![class.name.clone()];
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The classes that can be recognised with this sense.
    pub fn of(&self, modality: Modality) -> impl Iterator<Item = &Class> {
        { self.classes.iter() }.filter(move |class| class.is_for(modality))
    }

    fn check(&self) -> Result<(), ClassesError> {
        if self.classes.is_empty() {
            return Err(ClassesError::Empty);
        }
        for (index, class) in self.classes.iter().enumerate() {
            class.check()?;
            let mut earlier = self.classes[..index].iter();
            if earlier.any(|other| other.name == class.name) {
                return Err(ClassesError::Twice {
                    name: class.name.clone(),
                });
            }
        }
        if self.background.prompts.iter().any(|text| is_blank(text)) {
            return Err(ClassesError::EmptyText {
                name: "background".to_owned(),
                what: "prompt",
            });
        }
        let of_sense =
            |table, values: &BTreeMap<Modality, f32>, fits: fn(f32) -> bool, expected| {
                let wrong = values.iter().find(|(_, value)| !fits(**value));
                match wrong {
                    Some((&modality, &found)) => Err(ClassesError::OfSense {
                        table,
                        modality,
                        found,
                        expected,
                    }),
                    None => Ok(()),
                }
            };
        let is_cosine = |value| (-1.0..=1.0).contains(&value);
        let is_temperature = |value| (1e-4..=100.0).contains(&value);
        of_sense("something_else", &self.something_else, is_cosine, "-1 to 1")?;
        of_sense(
            "temperature",
            &self.temperature,
            is_temperature,
            "0.0001 to 100",
        )
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

impl Class {
    /// Whether it can be recognised with this sense. Words are compared with classes of any.
    #[must_use]
    pub fn is_for(&self, modality: Modality) -> bool {
        modality == Modality::Text
            || self.modalities.is_empty()
            || self.modalities.contains(&modality)
    }

    fn check(&self) -> Result<(), ClassesError> {
        let name = || self.name.clone();
        let texts = [
            ("name", std::slice::from_ref(&self.name)),
            ("prompt", &self.prompts),
            ("prompt of not", &self.not),
        ];
        for (what, texts) in texts {
            if texts.iter().any(|text| is_blank(text)) {
                return Err(ClassesError::EmptyText { name: name(), what });
            }
        }
        let numbers = [
            ("min_duration_s", self.min_duration_s),
            ("false_alarms_per_hour", self.false_alarms_per_hour),
            ("within_s", self.within_s),
        ];
        for (key, value) in numbers {
            if let Some(found) = value.filter(|v| !(v.is_finite() && *v >= 0.0)) {
                return Err(ClassesError::Range {
                    name: name(),
                    key,
                    found,
                });
            }
        }
        if !self.examples.is_empty() && self.modalities.len() != 1 {
            return Err(ClassesError::ExamplesOf { name: name() });
        }
        if self.all.is_empty() {
            return match self.within_s {
                Some(_) => Err(ClassesError::Within { name: name() }),
                None => Ok(()),
            };
        }
        let once = |sense: &Modality| self.all.iter().filter(|other| *other == sense).count() == 1;
        let is_sense = |sense: Modality| sense != Modality::Text && self.is_for(sense);
        let fits = |sense: &Modality| once(sense) && is_sense(*sense);
        if self.all.len() < 2 || !self.all.iter().all(fits) {
            return Err(ClassesError::All {
                name: name(),
                found: self.all.clone(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[class]]
        name = "falling"
        prompts = ["a person falling down"]
        modalities = ["thermal"]
        labels = ["7"]
        min_duration_s = 0.5
        [[class]]
        name = "walking upstairs"
        [background]
        prompts = ["nothing happening"]
    "#;

    #[test]
    fn a_class_without_prompts_is_prompted_by_its_name() {
        let file = Classes::parse(FILE).unwrap();
        assert_eq!(file.classes[1].prompts, ["walking upstairs"]);
        assert_eq!(file.background.prompts, ["nothing happening"]);
        let names: Vec<_> = file.of(Modality::Imu).map(|class| &class.name).collect();
        assert_eq!(names, ["walking upstairs"]);
    }

    #[test]
    fn examples_stand_for_prompts_and_lie_where_the_class_file_does() {
        let text = "[[class]]\nname = 'gate'\nmodalities = ['audio']\nexamples = ['a.wav']\n\
                    [background]\nmeans = { audio = '/b/room.npy' }";
        let file = Classes::parse_in(text, Path::new("/a")).unwrap();
        assert!(file.classes[0].prompts.is_empty());
        assert_eq!(file.classes[0].examples, [Path::new("/a/a.wav")]);
        assert_eq!(
            file.background.means[&Modality::Audio],
            Path::new("/b/room.npy")
        );
    }

    #[test]
    fn labels_of_recordings_are_recognised() {
        let file = Classes::parse(FILE).unwrap();
        assert!(file.classes[0].is_labelled("7") && file.classes[0].is_labelled("falling"));
        assert!(file.classes[1].is_labelled("walking_upstairs"));
        assert!(!file.classes[1].is_labelled("walking"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| Classes::parse(text).unwrap_err().to_string();
        assert_eq!(error(""), "it holds no [[class]]");
        assert_eq!(
            error("[[class]]\nname = 'a'\npromts = ['b']"),
            "line 3: unknown key \"promts\", did you mean \"prompts\"?"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\n[[class]]\nname = 'a'"),
            "class \"a\" comes twice"
        );
        assert_eq!(
            error("[[class]]\nname = ''"),
            "class \"\" has an empty name"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\nprompts = [' ']"),
            "class \"a\" has an empty prompt"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\nmin_duration_s = -1"),
            "class \"a\": min_duration_s is -1, expected 0 or more"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\nnot = ['']"),
            "class \"a\" has an empty prompt of not"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\nall = ['imu']"),
            "class \"a\": all is [Imu], expected two senses or more, each once, of its modalities"
        );
        let all = "[[class]]\nname = 'a'\nmodalities = ['imu']\nall = ['imu', 'audio']";
        assert!(error(all).contains("all is [Imu, Audio]"));
        assert_eq!(
            error("[[class]]\nname = 'a'\nwithin_s = 1"),
            "class \"a\" has within_s but no all = [\"…\", \"…\"] of senses that shall agree"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\nexamples = ['a.wav']"),
            "class \"a\" has examples, so its modalities must be their one sense, such as \
             [\"audio\"]"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\n[temperature]\nimu = 0"),
            "[temperature]: imu is 0, expected 0.0001 to 100"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\n[something_else]\nimu = 1.5"),
            "[something_else]: imu is 1.5, expected -1 to 1"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\n[temperature]\nimo = 0.1"),
            "line 4: unknown value \"imo\", did you mean \"imu\"?"
        );
        assert_eq!(
            error("[[class]]\nname = 'a'\n[background]\nprompts = ['']"),
            "class \"background\" has an empty prompt"
        );
    }
}

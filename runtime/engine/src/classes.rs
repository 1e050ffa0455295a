//! `classes.toml`: what shall be recognised, in words.
//!
//! ```toml
//! [[class]]
//! name = "falling"
//! prompts = ["a person falling down", "someone slips and falls"]
//! modalities = ["imu"]      # default: all that the pack has
//! labels = ["fall", "7"]    # what recordings call it, where that is not its name
//! min_duration_s = 0.5
//!
//! [background]
//! prompts = ["nothing happening"]
//! ```

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
}

/// One thing to recognise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What events call it.
    pub name: String,
    /// Ways to say it; their mean is the class. Its name, if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
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
}

impl Class {
    /// Whether it can be recognised with this sense.
    #[must_use]
    pub fn is_for(&self, modality: Modality) -> bool {
        self.modalities.is_empty() || self.modalities.contains(&modality)
    }

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
}

impl Classes {
    /// Reads and checks a class file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ClassesError> {
        from_toml::<Self>(text)?.checked()
    }

    /// The same, checked; a class without prompts is prompted by its name.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn checked(mut self) -> Result<Self, ClassesError> {
        for class in &mut self.classes {
            if class.prompts.is_empty() {
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
            let name = || class.name.clone();
            let is_empty = |text: &String| text.trim().is_empty();
            if is_empty(&class.name) {
                return Err(ClassesError::EmptyText {
                    name: name(),
                    what: "name",
                });
            }
            if class.prompts.iter().any(is_empty) {
                return Err(ClassesError::EmptyText {
                    name: name(),
                    what: "prompt",
                });
            }
            if self.classes[..index]
                .iter()
                .any(|other| other.name == class.name)
            {
                return Err(ClassesError::Twice { name: name() });
            }
            let numbers = [
                ("min_duration_s", class.min_duration_s),
                ("false_alarms_per_hour", class.false_alarms_per_hour),
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
        }
        if self
            .background
            .prompts
            .iter()
            .any(|prompt| prompt.trim().is_empty())
        {
            let name = "background".to_owned();
            return Err(ClassesError::EmptyText {
                name,
                what: "prompt",
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
            error("[[class]]\nname = 'a'\n[background]\nprompts = ['']"),
            "class \"background\" has an empty prompt"
        );
    }
}

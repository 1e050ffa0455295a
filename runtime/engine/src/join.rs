//! Several packs made one, and one made smaller.
//!
//! Spaces stay apart: what is embedded into one is never compared with what is in another. Members keep
//! their paths, so a part is the same, byte by byte, in the pack that it came from; but for weights that
//! several encoders of a pack share, where another pack has other weights at that path.

use std::collections::{BTreeMap, BTreeSet};

use sensorium_pack::{Manifest, Modality, Pack, PackError, PackWriter};
use thiserror::Error;
use tract_onnx::prelude::TractError;

use crate::classes::{Class, Classes, ClassesError};
use crate::encode::weights;

/// Why packs cannot be made one, or smaller.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no pack.
    #[error("there is no pack to join")]
    None,
    /// Two packs have a part of one name.
    #[error("{what} {name:?} is in two of the packs: a part is joined once")]
    Twice {
        /// Space, encoder or member.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Two packs say a class in different words.
    #[error("class {name:?} is said as {first:?} in one pack, and as {second:?} in another")]
    Class {
        /// The class.
        name: String,
        /// Its prompts in the first.
        first: Vec<String>,
        /// Its prompts in the other.
        second: Vec<String>,
    },
    /// A pack's classes are not understood.
    #[error("the classes of pack {pack:?}")]
    Classes {
        /// The pack.
        pack: String,
        /// What is wrong with them.
        source: ClassesError,
    },
    /// The classes cannot be written.
    #[error("the classes cannot be written")]
    Write(#[from] toml::ser::Error),
    /// There is no encoder of this name.
    #[error("the pack has no encoder {name:?}, its encoders are {known:?}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A model of the pack is none.
    #[error("member {path:?} is not a model")]
    Model {
        /// The member.
        path: String,
        /// What the inference library said.
        source: TractError,
    },
    /// A part of the pack cannot be had.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// What is left out of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strip {
    /// Names of encoders.
    pub encoders: Vec<String>,
    /// Text towers; the phrases that a pack holds keep their embeddings.
    pub towers: bool,
}

/// One pack of several.
///
/// # Errors
///
/// Packs that have a part of one name, or say a class differently.
pub fn join(packs: &[Pack], name: &str) -> Result<Vec<u8>, JoinError> {
    let mut packs_left = packs.iter();
    let first = packs_left.next().ok_or(JoinError::None)?;
    let mut manifest = first.manifest().clone();
    let mut classes = classes_of(first)?;
    let mut members = Members::default();
    members.add(first)?;
    for pack in packs_left {
        let other = pack.manifest();
        let known = manifest.spaces.iter().map(|space| &space.name);
        unique("space", known, other.spaces.iter().map(|space| &space.name))?;
        let known = manifest.encoders.iter().map(|encoder| &encoder.name);
        let names = other.encoders.iter().map(|encoder| &encoder.name);
        unique("encoder", known, names)?;
        members.add(pack)?;
        manifest.spaces.extend(other.spaces.iter().cloned());
        manifest.encoders.extend(other.encoders.iter().cloned());
        manifest.provenance.extend(other.provenance.iter().cloned());
        merge(&mut classes, classes_of(pack)?)?;
    }
    name.clone_into(&mut manifest.name);
    let mut writer = PackWriter::new();
    for (path, content) in members.0 {
        writer.add(&path, content);
    }
    let text = match classes.classes.is_empty() && classes.background.prompts.is_empty() {
        true => String::new(),
        false => toml::to_string(&classes)?,
    };
    writer.add(&manifest.classes, text.into_bytes());
    Ok(writer.to_bytes(manifest)?)
}

/// A pack without some of its parts. A space stays as long as an encoder is left in it, or none ever
/// was.
///
/// # Errors
///
/// An encoder that the pack does not have.
pub fn strip(pack: &Pack, strip: &Strip) -> Result<Vec<u8>, JoinError> {
    let mut manifest = pack.manifest().clone();
    let known: Vec<String> = { manifest.encoders.iter() }
        .map(|encoder| encoder.name.clone())
        .collect();
    if let Some(name) = strip.encoders.iter().find(|name| !known.contains(name)) {
        let name = name.clone();
        return Err(JoinError::Unknown { name, known });
    }
    let had: BTreeSet<String> = spaces_of(&manifest);
    let goes = |name: &String| strip.encoders.contains(name);
    manifest.encoders.retain(|encoder| !goes(&encoder.name));
    manifest.provenance.retain(|told| !goes(&told.encoder));
    let left = spaces_of(&manifest);
    let stays = |name: &String| left.contains(name) || !had.contains(name);
    let gone = manifest.spaces.iter().filter(|space| !stays(&space.name));
    let told_of: BTreeSet<String> = gone.map(|space| text_part(&space.name)).collect();
    manifest.spaces.retain(|space| stays(&space.name));
    manifest
        .provenance
        .retain(|told| !told_of.contains(&told.encoder));
    if strip.towers {
        manifest
            .spaces
            .iter_mut()
            .for_each(|space| space.tower = None);
    }
    let mut classes = classes_of(pack)?;
    let senses: BTreeSet<&str> = { manifest.encoders.iter() }
        .map(|encoder| encoder.modality.name())
        .collect();
    classes.classes.retain_mut(|class| {
        let for_all = class.modalities.is_empty();
        let is_left = |sense: &Modality| senses.contains(sense.name());
        class.modalities.retain(is_left);
        for_all || !class.modalities.is_empty()
    });
    let mut writer = PackWriter::new();
    for path in manifest.referenced() {
        if path != manifest.classes {
            writer.add(path, pack.member(path)?.to_vec());
        }
    }
    for path in weights_elsewhere(pack, &manifest)? {
        writer.add(&path, pack.member(&path)?.to_vec());
    }
    let text = match classes.classes.is_empty() {
        true => String::new(),
        false => toml::to_string(&classes)?,
    };
    writer.add(&manifest.classes, text.into_bytes());
    Ok(writer.to_bytes(manifest)?)
}

/// What a provenance calls the text tower of a space.
#[must_use]
pub fn text_part(space: &str) -> String {
    format!("{space}-text")
}

/// Members of the packs that become one, but for their classes, which are merged.
#[derive(Debug, Default)]
struct Members(BTreeMap<String, Vec<u8>>);

impl Members {
    /// Adds those of a pack. One that is there already is not added again; weights that lie outside their
    /// models' files get a path of their own if other ones are at theirs.
    fn add(&mut self, pack: &Pack) -> Result<(), JoinError> {
        let models = models_with_weights_elsewhere(pack, pack.manifest())?;
        let weights: BTreeSet<&String> = models.values().flatten().collect();
        let mut moved: BTreeMap<&String, String> = BTreeMap::new();
        for path in &weights {
            let content = pack.member(path)?;
            if self.has_other(path, content) {
                let free = |path: &String| match self.0.get(path) {
                    None => pack.member(path).is_err(),
                    Some(known) => known == content,
                };
                let other = (2..).map(|number| numbered(path, number)).find(free);
                moved.insert(path, other.unwrap_or_default());
            }
        }
        for path in member_paths(pack) {
            let mut content = pack.member(&path)?.to_vec();
            let lies_elsewhere = models.get(&path);
            if lies_elsewhere.is_some_and(|at| at.iter().any(|at| moved.contains_key(at))) {
                let relocated = weights::relocate(&content, &path, |at| moved.get(&at).cloned());
                content = relocated.map_err(|source| JoinError::Model {
                    path: path.clone(),
                    source,
                })?;
            }
            let path = moved.get(&path).cloned().unwrap_or(path);
            if self.has_other(&path, &content) {
                return Err(JoinError::Twice {
                    what: "member",
                    name: path,
                });
            }
            self.0.insert(path, content);
        }
        Ok(())
    }

    fn has_other(&self, path: &str, content: &[u8]) -> bool {
        self.0.get(path).is_some_and(|known| known != content)
    }
}

/// A path with a number before its extension.
fn numbered(path: &str, number: usize) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => {
            format!("{stem}-{number}.{extension}")
        }
        _ => format!("{path}-{number}"),
    }
}

/// Members with weights that models of a manifest keep outside their own files.
fn weights_elsewhere(pack: &Pack, manifest: &Manifest) -> Result<BTreeSet<String>, JoinError> {
    let models = models_with_weights_elsewhere(pack, manifest)?;
    Ok(models.into_values().flatten().collect())
}

/// The models of a manifest that keep weights outside their own files, with the members that have them.
fn models_with_weights_elsewhere(
    pack: &Pack,
    manifest: &Manifest,
) -> Result<BTreeMap<String, BTreeSet<String>>, JoinError> {
    let encoders = manifest.encoders.iter().map(|encoder| &encoder.model);
    let towers = { manifest.spaces.iter() }.filter_map(|space| space.tower.as_ref());
    let mut models = BTreeMap::new();
    for path in encoders.chain(towers.map(|tower| &tower.model)) {
        let locations = weights::locations(pack.member(path)?);
        let locations = locations.map_err(|source| JoinError::Model {
            path: path.clone(),
            source,
        })?;
        let members = { locations.iter() }.map(|location| weights::member(path, location));
        let members: BTreeSet<String> = members.collect();
        if !members.is_empty() {
            models.insert(path.clone(), members);
        }
    }
    Ok(models)
}

fn spaces_of(manifest: &Manifest) -> BTreeSet<String> {
    let encoders = manifest.encoders.iter();
    encoders.map(|encoder| encoder.space.clone()).collect()
}

/// Paths of a pack's members but for its classes, which are merged.
fn member_paths(pack: &Pack) -> impl Iterator<Item = String> + '_ {
    let manifest = pack.manifest();
    let members = manifest.members.iter().map(|member| member.path.clone());
    members.filter(|path| *path != manifest.classes)
}

fn unique<'a>(
    what: &'static str,
    known: impl Iterator<Item = &'a String>,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), JoinError> {
    let known: BTreeSet<&String> = known.collect();
    match names.find(|name| known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(JoinError::Twice {
            what,
            name: name.clone(),
        }),
    }
}

/// A pack's own classes, of which imported ones may have none.
fn classes_of(pack: &Pack) -> Result<Classes, JoinError> {
    let manifest = pack.manifest();
    let text = String::from_utf8_lossy(pack.member(&manifest.classes)?);
    if text.trim().is_empty() {
        return Ok(Classes::default());
    }
    Classes::parse(&text).map_err(|source| JoinError::Classes {
        pack: manifest.name.clone(),
        source,
    })
}

/// A class that both have is one class of all its senses.
fn merge(classes: &mut Classes, others: Classes) -> Result<(), JoinError> {
    for other in others.classes {
        let same = |known: &&mut Class| known.name == other.name;
        match classes.classes.iter_mut().find(same) {
            None => classes.classes.push(other),
            Some(known) if known.prompts != other.prompts => {
                return Err(JoinError::Class {
                    name: other.name,
                    first: known.prompts.clone(),
                    second: other.prompts,
                });
            }
            Some(known) if known.modalities.is_empty() || other.modalities.is_empty() => {
                known.modalities.clear();
            }
            Some(known) => {
                for modality in other.modalities {
                    if !known.modalities.contains(&modality) {
                        known.modalities.push(modality);
                    }
                }
            }
        }
    }
    for prompt in others.background.prompts {
        if !classes.background.prompts.contains(&prompt) {
            classes.background.prompts.push(prompt);
        }
    }
    Ok(())
}

//! What a tar file holds, and where.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sensorium_pack::Modality;
use serde::Deserialize;
use tar::Archive;

use super::{Member, ShardError};
use crate::set::Fault;

/// Bytes of a tar file's blocks.
const BLOCK: u64 = 512;

/// Largest label or JSON object, in bytes.
const MAX_FACTS_BYTES: u64 = 1 << 16;

/// A member's content in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// The members of one base name.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) base: String,
    pub(super) senses: Vec<(Modality, Part)>,
    pub(super) facts: Facts,
    /// A JSON object that is none.
    pub(super) broken: Option<Part>,
    /// Whether it has a member of its own for the label, the group, the split, and JSON.
    has: [bool; 4],
}

/// What is said of a sample.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) label: Option<String>,
    pub(super) group: Option<String>,
    pub(super) split: Option<String>,
}

/// Reads a file head by head; the samples are in the order of their first members.
pub(super) fn read(
    path: &Path,
    extensions: &BTreeMap<String, Member>,
) -> Result<Vec<Sample>, ShardError> {
    let opened = |source| ShardError::Open {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(opened)?;
    let file_len = file.metadata().map_err(opened)?.len();
    let mut archive = Archive::new(file);
    let (mut samples, mut places) = (Vec::<Sample>::new(), HashMap::new());
    let mut end = 0;
    for member in archive.entries_with_seek().map_err(opened)? {
        let head = |source| ShardError::Head {
            path: path.to_owned(),
            byte: end,
            source,
        };
        let mut member = member.map_err(head)?;
        let part = Part {
            start: member.raw_file_position(),
            len: member.size(),
        };
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let expected = part.start.saturating_add(part.len);
        if expected > file_len {
            return Err(ShardError::Cut {
                path: path.to_owned(),
                member: name,
                actual: file_len,
                expected,
            });
        }
        if member.header().entry_type().is_file() {
            let (base, extension) = divide(&name);
            let what = extensions.get(extension).copied();
            let what = what.unwrap_or_else(|| Member::of(extension));
            if what != Member::Ignored {
                let place = *places.entry(base.to_owned()).or_insert(samples.len());
                if place == samples.len() {
                    samples.push(Sample {
                        base: base.to_owned(),
                        ..Sample::default()
                    });
                }
                let is_new = samples[place].add(what, part, &mut member).map_err(head)?;
                if !is_new {
                    return Err(ShardError::Twice {
                        path: path.to_owned(),
                        base: base.to_owned(),
                        what,
                        member: name,
                    });
                }
            }
        }
        end = expected.next_multiple_of(BLOCK);
    }
    if file_len < end + BLOCK {
        return Err(ShardError::NoEnd {
            path: path.to_owned(),
            actual: file_len,
        });
    }
    samples.retain(|sample| !sample.senses.is_empty());
    Ok(samples)
}

/// The base name and the extension, which begins after the first dot of the file's name.
fn divide(name: &str) -> (&str, &str) {
    let name = name.strip_prefix("./").unwrap_or(name);
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].find('.') {
        Some(dot) => (&name[..file + dot], &name[file + dot + 1..]),
        None => (name, ""),
    }
}

impl Sample {
    /// Adds a member; says whether it is the first of its kind.
    fn add(&mut self, what: Member, part: Part, content: &mut impl Read) -> std::io::Result<bool> {
        if let Some(sense) = what.sense() {
            let is_new = self.senses.iter().all(|(other, _)| *other != sense);
            self.senses.push((sense, part));
            return Ok(is_new);
        }
        let place = match what {
            Member::Label => 0,
            Member::Group => 1,
            Member::Split => 2,
            _ => 3,
        };
        let mut bytes = Vec::new();
        content.take(MAX_FACTS_BYTES + 1).read_to_end(&mut bytes)?;
        if what == Member::Json {
            match facts_of(&bytes) {
                // What has a member of its own stands above.
                Ok(facts) => {
                    self.facts.label = self.facts.label.take().or(facts.label);
                    self.facts.group = self.facts.group.take().or(facts.group);
                    self.facts.split = self.facts.split.take().or(facts.split);
                }
                Err(_broken) => self.broken = Some(part),
            }
        } else {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            let text = Some(text).filter(|text| !text.is_empty());
            match what {
                Member::Label => self.facts.label = text,
                Member::Group => self.facts.group = text,
                _ => self.facts.split = text,
            }
        }
        Ok(!std::mem::replace(&mut self.has[place], true))
    }
}

/// What a JSON object says.
pub(super) fn facts_of(bytes: &[u8]) -> Result<Facts, Fault> {
    /// Text, or a number as such.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Word {
        Text(String),
        Number(serde_json::Number),
    }
    #[derive(Deserialize)]
    struct Object {
        label: Option<Word>,
        group: Option<Word>,
        split: Option<Word>,
    }
    let text = |word: Option<Word>| {
        let text = match word? {
            Word::Text(text) => text,
            Word::Number(number) => number.to_string(),
        };
        Some(text).filter(|text| !text.is_empty())
    };
    let object: Object = serde_json::from_slice(bytes).map_err(Fault::Json)?;
    Ok(Facts {
        label: text(object.label),
        group: text(object.group),
        split: text(object.split),
    })
}

//! A folder as model hubs publish it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::keys::{Keys, read_json};
use super::net::Net;

/// A folder, and which of its ONNX files are wanted.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub dir: PathBuf,
    /// Its name, as members and encoders of packs may have it.
    pub name: String,
    /// What `config.json` says; the ONNX files are what it describes, so most of it says nothing new.
    pub config: Value,
    variant: Option<String>,
}

impl Folder {
    /// Reads a folder's `config.json`.
    ///
    /// # Errors
    ///
    /// A folder that is missing, or without that file.
    pub fn open(dir: &Path, variant: Option<&str>) -> anyhow::Result<Self> {
        ensure!(dir.is_dir(), "{dir:?} is not a folder");
        Ok(Self {
            name: name(dir)?,
            config: read_json(&dir.join("config.json"))?,
            dir: dir.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// The path of a file of it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// A word of the configuration, by the names on the way to it.
    pub fn word(&self, way: &[&str]) -> Option<&str> {
        self.at(way)?.as_str()
    }

    /// A number of the configuration, by the names on the way to it.
    pub fn number(&self, way: &[&str]) -> Option<f64> {
        self.at(way)?.as_f64()
    }

    fn at(&self, way: &[&str]) -> Option<&Value> {
        way.iter()
            .try_fold(&self.config, |value, key| value.get(key))
    }

    /// Opens the ONNX file of one of some names, the first that there is.
    ///
    /// # Errors
    ///
    /// None of them, or a file that cannot be used.
    pub fn net(&self, stems: &[&str]) -> anyhow::Result<Net> {
        Net::open(&self.onnx(stems)?)
    }

    /// The path of the ONNX file of one of some names, the first that there is.
    ///
    /// # Errors
    ///
    /// None of them.
    pub fn onnx(&self, stems: &[&str]) -> anyhow::Result<PathBuf> {
        let suffix = match &self.variant {
            Some(variant) => format!("_{variant}"),
            None => String::new(),
        };
        let places = stems.iter().flat_map(|stem| {
            let file = format!("{stem}{suffix}.onnx");
            [self.dir.join("onnx").join(&file), self.dir.join(file)]
        });
        let places: Vec<PathBuf> = places.collect();
        match places.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => {
                let wanted: Vec<String> = { stems.iter() }
                    .map(|stem| format!("onnx/{stem}{suffix}.onnx"))
                    .collect();
                bail!(
                    "{:?} has no {}, its ONNX files are {:?}",
                    self.dir,
                    wanted.join(" or "),
                    self.onnx_files()
                )
            }
        }
    }

    fn onnx_files(&self) -> Vec<String> {
        let list = |dir: PathBuf, prefix: &str| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let names = names.filter(|name| name.ends_with(".onnx"));
            names
                .map(|name| format!("{prefix}{name}"))
                .collect::<Vec<_>>()
        };
        let mut files = list(self.dir.join("onnx"), "onnx/");
        files.extend(list(self.dir.clone(), ""));
        files.sort();
        files
    }

    /// What makes inputs of pictures or sounds: the first of some parts of `processor_config.json` that it
    /// has, or `preprocessor_config.json`.
    ///
    /// # Errors
    ///
    /// Neither of these, or other keys beside the parts.
    pub fn processor(&self, parts: &[&str]) -> anyhow::Result<Keys> {
        let path = self.path("preprocessor_config.json");
        let single = Keys::open_if(path.clone())?;
        let all = Keys::open_if(self.path("processor_config.json"))?;
        let Some(mut all) = all else {
            return single.with_context(|| format!("{path:?} is missing"));
        };
        for part in parts {
            if let Some(within) = all.within(part)? {
                all.pass(&[
                    "image_processor",
                    "feature_extractor",
                    "tokenizer",
                    "processor_class",
                ]);
                all.finish()?;
                return Ok(within);
            }
        }
        let place = all.place();
        single.with_context(|| {
            format!(
                "{place} has no {}, and {path:?} is missing",
                parts.join(" or ")
            )
        })
    }

    /// The names of a classifier's outputs, in their order. A name that others had before gets a number,
    /// as the second crane of ImageNet, which is a machine.
    ///
    /// # Errors
    ///
    /// No names, or numbers that are not those from 0 on.
    pub fn labels(&self) -> anyhow::Result<Vec<String>> {
        let path = self.path("config.json");
        let labels = self.at(&["id2label"]).and_then(Value::as_object);
        let labels = labels.with_context(|| format!("{path:?} has no \"id2label\""))?;
        let mut names: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for id in 0..labels.len() {
            let label = labels.get(&id.to_string()).and_then(Value::as_str);
            let label = label.filter(|label| !label.trim().is_empty());
            let label =
                label.with_context(|| format!("{path:?}: \"id2label\" has no name for {id}"))?;
            let mut name = label.to_owned();
            let mut count = 1;
            while !known.insert(name.clone()) {
                count += 1;
                name = format!("{label} ({count})");
            }
            names.push(name);
        }
        Ok(names)
    }

    /// The licence that the folder's `README.md` tells of in its head.
    pub fn licence(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path("README.md")).ok()?;
        let (head, _) = text.strip_prefix("---\n")?.split_once("\n---")?;
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("license:"))?;
        let licence = line.trim().trim_matches(['"', '\'']);
        (!licence.is_empty()).then(|| licence.to_owned())
    }
}

/// The last part of a folder's path, in letters that members may have.
///
/// # Errors
///
/// A folder that is missing.
pub fn name(dir: &Path) -> anyhow::Result<String> {
    let whole = dir.canonicalize().with_context(|| format!("{dir:?}"))?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let letter = |c: char| match c {
        c if c.is_alphanumeric() => c,
        '.' | '_' | '-' => c,
        _ => '-',
    };
    let name: String = name.chars().map(letter).collect();
    Ok(match name.is_empty() {
        true => "model".to_owned(),
        false => name,
    })
}

//! The folder of a training: all that later commands need, so that none has to be told twice.
//!
//! | file | what it is |
//! |---|---|
//! | `recipe.toml` | a copy of the recipe |
//! | `run.json` | [`Facts`]: what the command line added, and how the data were divided |
//! | `commit.txt` | the commit of the recipe when it was begun, if it is in a git repository |
//! | `anchor.safetensors` | the words |
//! | `trunk.onnx` | the trunk, if the encoder is on one |
//! | `checkpoint.safetensors` | the weights after the last whole epoch |
//! | `metrics.jsonl` | one object an epoch |
//! | `state.bin` | what the next step depends on, to go on after a break |
//! | `eval.json` | what `eval` measured |
//! | `eval-int8.json` | the same of the weights as integers, if it did |
//! | `held_out.safetensors` | what `report` makes a page of |

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use burn::prelude::Backend;
use sensorium_data::SplitConfig;
use sensorium_model::weights::Weights;
use sensorium_model::{Tower, TowerConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::anchor::Anchor;
use crate::commit::commit_of;
use crate::recipe::Recipe;

/// A training's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(PathBuf);

/// What is not in the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The command, without the machine's paths.
    pub command: String,
    /// The seed of all that is random.
    pub seed: u64,
    /// Epochs that were asked for.
    pub epochs: usize,
    /// Groups that were held out instead of those of the recipe.
    #[serde(default)]
    pub hold_out: Vec<String>,
    /// Inner fold and number of folds, if the held-out groups are training groups of the recipe.
    pub fold: Option<(usize, usize)>,
    /// Classes that training did not see.
    #[serde(default)]
    pub unseen_classes: Vec<String>,
    /// What it was computed on.
    pub backend: String,
    /// The weights that it began with, by the hash of their file; random ones if none.
    #[serde(default)]
    pub from: Option<String>,
    /// The space of the pictures that it was bound to, by its identity.
    #[serde(default)]
    pub images: Option<String>,
    /// People, speakers or sequences that were trained on.
    pub training_groups: Vec<String>,
    /// Those that were not.
    pub held_out_groups: Vec<String>,
    /// Samples that were trained on.
    pub training_samples: usize,
    /// Samples of the held-out groups.
    pub held_out_samples: usize,
    /// If nothing was held out: the training by the same recipe whose figures stand for this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_by: Option<Box<Facts>>,
}

/// The trunk of an encoder.
pub const TRUNK: &str = "trunk.onnx";

/// What a training was begun at.
const COMMIT: &str = "commit.txt";

/// Metadata key of a checkpoint.
const ENCODER: &str = "encoder";

impl RunDir {
    /// The folder of a training that was begun.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let run = Self(path.to_owned());
        ensure!(
            run.path("run.json").is_file(),
            "{path:?} is not the folder of a training: it has no run.json"
        );
        Ok(run)
    }

    /// Refuses a training that was stopped before its last epoch.
    ///
    /// # Errors
    ///
    /// How far it is, or what it wrote that cannot be read.
    pub fn ended(&self) -> anyhow::Result<()> {
        let path = self.path("metrics.jsonl");
        let lines = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        let epochs = self.facts()?.epochs;
        let done = lines.lines().count();
        ensure!(
            done >= epochs,
            "it was stopped after epoch {done} of {epochs}; the same `fit` goes on"
        );
        Ok(())
    }

    /// The folder of a training by a recipe, with these files and facts: one that was begun in it already,
    /// unless it shall be begun anew, or a new one.
    pub fn begin<F: Serialize + DeserializeOwned + PartialEq>(
        path: &Path,
        recipe: &Path,
        files: &[(&str, &[u8])],
        facts: &F,
        anew: bool,
    ) -> anyhow::Result<Self> {
        let run = Self(path.to_owned());
        let is_same = |(name, content): &(&str, &[u8])| {
            std::fs::read(run.path(name)).is_ok_and(|known| known == *content)
        };
        let known = run.read_json::<F>("run.json");
        let begun = known.is_ok_and(|known| known == *facts) && files.iter().all(is_same);
        if begun && !anew {
            return Ok(run);
        }
        let run = Self::create(path)?;
        for (name, content) in files {
            run.write(name, content)?;
        }
        if let Some(commit) = commit_of(recipe) {
            run.set_commit(&commit)?;
        }
        // Last, for it is by this file that a training's folder is known.
        run.write_json("run.json", facts)?;
        Ok(run)
    }

    /// A new folder, or an old one to train into anew.
    fn create(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("creating {path:?}"))?;
        let run = Self(path.to_owned());
        // What an earlier training left would otherwise pass for this one's.
        for stale in [
            "run.json",
            COMMIT,
            TRUNK,
            "state.bin",
            "checkpoint.safetensors",
            "metrics.jsonl",
            crate::eval::FILE,
            crate::eval::INT8_FILE,
            "tower.json",
            crate::distil::TAUGHT,
            crate::table::FILE,
        ] {
            match std::fs::remove_file(run.path(stale)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {:?}", run.path(stale)));
                }
                _ => {}
            }
        }
        Ok(run)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, all of it or nothing.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        sensorium_pack::write_whole(&path, content).with_context(|| format!("writing {path:?}"))
    }

    /// Writes a file as JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Reads a file of JSON.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        serde_json::from_str(&text).with_context(|| format!("reading {path:?}"))
    }

    /// What is not in the recipe.
    pub fn facts(&self) -> anyhow::Result<Facts> {
        self.read_json("run.json")
    }

    /// The commit that it was begun at, if that is known.
    pub fn commit(&self) -> anyhow::Result<Option<String>> {
        let path = self.path(COMMIT);
        match std::fs::read_to_string(&path) {
            Ok(commit) => Ok(Some(commit.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {path:?}")),
        }
    }

    /// Says what it was begun at.
    pub fn set_commit(&self, commit: &str) -> anyhow::Result<()> {
        self.write(COMMIT, format!("{commit}\n").as_bytes())
    }

    /// The recipe as this training used it: less the classes that it left out, and with the groups
    /// that it held out.
    pub fn recipe(&self) -> anyhow::Result<Recipe> {
        let (path, facts) = (self.path("recipe.toml"), self.facts()?);
        let mut recipe = Recipe::open(&path)?;
        recipe.leave_out(&facts.unseen_classes, &path)?;
        if !facts.hold_out.is_empty() {
            recipe.split = SplitConfig::Group {
                held_out: facts.hold_out,
            };
        }
        Ok(recipe)
    }

    /// The words.
    pub fn anchor(&self) -> anyhow::Result<Anchor> {
        Anchor::open(&self.path("anchor.safetensors"))
    }

    /// Keeps weights, in the place of those kept before.
    pub fn save_checkpoint<B: Backend>(&self, encoder: &Tower<B>) -> anyhow::Result<()> {
        let mut weights = encoder.to_weights();
        weights.set_metadata(ENCODER, serde_json::to_string(&encoder.config())?);
        self.write("checkpoint.safetensors", &weights.to_bytes()?)
    }

    /// The weights, and the dimensions that they are for.
    pub fn checkpoint(&self) -> anyhow::Result<(Weights, TowerConfig)> {
        let path = self.path("checkpoint.safetensors");
        let read = || -> anyhow::Result<_> {
            let weights = Weights::read(&path)?;
            let config = weights.metadata(ENCODER).context("it holds no encoder")?;
            let config = serde_json::from_str(config)?;
            Ok((weights, config))
        };
        read().with_context(|| format!("reading the checkpoint {path:?}"))
    }

    /// The encoder with its weights.
    pub fn encoder<B: Backend>(&self, device: &B::Device) -> anyhow::Result<Tower<B>> {
        let (weights, config) = self.checkpoint()?;
        Ok(config.init(device)?.with_weights(&weights)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        run.write_json("eval.json", &[1, 2]).unwrap();
        run.write_json("eval.json", &[3]).unwrap();
        assert_eq!(run.read_json::<Vec<u32>>("eval.json").unwrap(), [3]);
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing half-written is left: {names:?}");
    }

    #[test]
    fn a_training_that_was_stopped_is_not_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let facts = Facts {
            epochs: 3,
            ..Facts::default()
        };
        let run = RunDir::begin(dir.path(), Path::new("r.toml"), &[], &facts, false).unwrap();
        run.write("metrics.jsonl", b"{}\n{}\n").unwrap();
        let error = run.ended().unwrap_err().to_string();
        assert_eq!(
            error,
            "it was stopped after epoch 2 of 3; the same `fit` goes on"
        );
        run.write("metrics.jsonl", b"{}\n{}\n{}\n").unwrap();
        run.ended().unwrap();
    }

    #[test]
    fn a_new_training_does_not_inherit_results() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        run.write("checkpoint.safetensors", b"old").unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        assert!(!run.path("checkpoint.safetensors").exists());
        let error = RunDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is not the folder of a training: it has no run.json"));
    }
}

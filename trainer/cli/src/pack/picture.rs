//! The tower of pictures of a space, for a pack: a classifier, and what makes embeddings of what it
//! says.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use sensorium_core::feature::FrontEnd;
use sensorium_pack::Provenance;

use super::Args;
use crate::anchor::Anchor;
use crate::anchor::cache::AnchorCache;
use crate::anchor::conse::TowerSpec;
use crate::anchor::spec::{AnchorSpec, Folders};
use crate::commit::commit_of;

/// All that a pack needs of it.
pub struct PictureTower {
    /// What its space's file says of it.
    pub spec: TowerSpec,
    /// Name of the space.
    pub space: String,
    /// What it is given.
    pub front_end: FrontEnd,
    /// Its file.
    pub onnx: Vec<u8>,
    /// The words of its classes.
    pub words: Anchor,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl PictureTower {
    /// Makes the tower of a space's file.
    ///
    /// # Errors
    ///
    /// A space of another kind, or one that says nothing of its tower.
    pub fn open(args: &Args, path: &Path) -> anyhow::Result<Self> {
        let AnchorSpec::Conse(conse) = AnchorSpec::read(path)? else {
            bail!("it is of another kind, expected conse");
        };
        let spec = conse.tower.clone();
        let spec = spec.context("it has no [tower], which says what a pack calls it")?;
        let at = Folders {
            base: path.parent().unwrap_or(Path::new("")),
            data: args.data.as_deref(),
            text_model: args.text_model.as_deref(),
        };
        let beside = args.out.with_file_name("anchors");
        let cache = AnchorCache::open(args.cache.as_deref().unwrap_or(&beside))?;
        let space = conse.open(&at, &cache)?;
        let prompts = spec.classes.iter().flat_map(|class| class.prompts.clone());
        let name = path.file_name().unwrap_or(path.as_os_str());
        let provenance = Provenance {
            encoder: spec.name.clone(),
            binding: format!(
                "A classifier of pictures and a model of sentences ({}), joined by the names of the \
                 categories (ConSE, Norouzi et al. 2014): an embedding is the sum of all categories' \
                 sentences, each by its probability, less the centre of the space. Nothing was \
                 trained for it.",
                spec.text_model
            ),
            data: spec.data.clone(),
            split: "none: both nets are used as they were published".to_owned(),
            command: format!("sensorium-train pack --images {}", name.to_string_lossy()),
            seed: 0,
            commit: commit_of(path),
            metrics: BTreeMap::new(),
        };
        Ok(Self {
            onnx: space.to_onnx()?,
            words: space.words(&spec.text_model, &prompts.collect::<Vec<_>>())?,
            space: conse.name,
            front_end: FrontEnd::Image(conse.image),
            provenance,
            spec,
        })
    }
}

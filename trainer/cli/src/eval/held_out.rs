//! What a training is measured on, kept for `report`.

use anyhow::Context;
use sensorium_core::bank::normalize;
use sensorium_data::batch::random_of;

use super::Embedded;
use crate::anchor::Anchor;
use crate::anchor::cache::AnchorCache;
use crate::anchor::space::AnchorSpace;
use crate::fit::{Pictures, picture_split};
use crate::recipe::Recipe;
use crate::run::RunDir;
use crate::samples::Samples;
use crate::table::{Anchors, Class, ClassGroup, Epoch, Table, UNBOUND};

/// Which held-out picture a sample is measured against, where several are of its label.
const SEED: u64 = 0;

/// The embeddings of held-out samples, and the pictures that belong to them.
pub fn table(
    run: &RunDir,
    images: Option<(&dyn AnchorSpace, &AnchorCache)>,
    recipe: &Recipe,
    anchor: &Anchor,
    samples: &Samples,
    embedded: &Embedded,
) -> anyhow::Result<Table> {
    let item = |&item: &usize| &samples.items()[item];
    let of = |item: &usize| samples.name(*item).to_owned();
    let classes = recipe.classes.iter().map(|class| {
        let prompts = class.prompts.iter();
        let vectors = prompts.map(|prompt| anchor.class(std::slice::from_ref(prompt)));
        Ok(Class {
            name: class.name.clone(),
            prompts: class.prompts.clone(),
            vector: anchor.class(&class.prompts)?,
            prompt_vectors: vectors.collect::<anyhow::Result<Vec<_>>>()?.concat(),
        })
    });
    Ok(Table {
        name: recipe.name.clone(),
        sense: recipe.modality(),
        dim: recipe.encoder.output(),
        embeddings: embedded.rows.clone(),
        names: embedded.items.iter().map(of).collect(),
        labels: embedded.items.iter().map(item).map(|i| i.class).collect(),
        also: also(samples, embedded),
        groups: embedded
            .items
            .iter()
            .map(item)
            .map(|i| i.group.clone())
            .collect(),
        seconds: seconds(samples, embedded)?,
        classes: classes.collect::<anyhow::Result<_>>()?,
        class_groups: class_groups(recipe),
        anchors: pictures(images, recipe, samples, embedded)?,
        training: curve(run)?,
        provenance: match run.commit()? {
            Some(commit) => format!("{}\nat commit {commit}", run.facts()?.command),
            None => run.facts()?.command,
        },
    })
}

/// The recipe's groups of classes.
fn class_groups(recipe: &Recipe) -> Vec<ClassGroup> {
    let groups = recipe.groups.iter().map(|group| {
        let classes = group.classes.iter();
        ClassGroup {
            name: group.name.clone(),
            of: group.of.clone(),
            classes: classes
                .filter_map(|name| recipe.class_named(name))
                .collect(),
        }
    });
    groups.collect()
}

/// The same samples as the space of the pictures has them: what the front end makes of them, taken
/// for pictures.
pub fn unbound(
    table: &Table,
    space: &dyn AnchorSpace,
    samples: &Samples,
    items: &[usize],
) -> anyhow::Result<Table> {
    let mut embeddings = Vec::with_capacity(table.embeddings.len());
    for &item in items {
        let rows = space.embed_inputs(&samples.inputs(item)?)?;
        let mut mean = vec![0.0; space.dim()];
        for row in &rows {
            mean.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
        normalize(&mut mean);
        embeddings.extend(mean);
    }
    Ok(Table {
        name: format!("{}{UNBOUND}", table.name),
        embeddings,
        training: Vec::new(),
        provenance: format!("{}, taken for pictures, without training", table.sense),
        ..table.clone()
    })
}

/// Further classes of each sample; nothing if none has any.
fn also(samples: &Samples, embedded: &Embedded) -> Vec<Vec<usize>> {
    let of = |&item: &usize| samples.items()[item].also.clone();
    let also: Vec<Vec<usize>> = embedded.items.iter().map(of).collect();
    match also.iter().all(Vec::is_empty) {
        true => Vec::new(),
        false => also,
    }
}

/// How long each sample lasts; nothing if one has no duration.
fn seconds(samples: &Samples, embedded: &Embedded) -> anyhow::Result<Vec<f64>> {
    let of = |&item: &usize| Ok(samples.seconds(item)?);
    let seconds: anyhow::Result<Option<Vec<f64>>> = embedded.items.iter().map(of).collect();
    Ok(seconds?.unwrap_or_default())
}

/// The held-out pictures, embedded, and the one that belongs to each sample.
fn pictures(
    images: Option<(&dyn AnchorSpace, &AnchorCache)>,
    recipe: &Recipe,
    samples: &Samples,
    embedded: &Embedded,
) -> anyhow::Result<Option<Anchors>> {
    let Some((space, cache)) = images else {
        return Ok(None);
    };
    let wanted = picture_split(recipe, samples)?.map_or_else(Vec::new, |split| split.held_out);
    let pictures = Pictures::embed(recipe, samples, &embedded.items, &wanted, 1, space, cache)?;
    let of = embedded.items.iter().map(|&item| {
        let mut random = random_of(SEED, 0, item as u64);
        let picture = pictures.draw(samples.items()[item].at, &mut random);
        let picture = picture.map(|seen| seen.picture);
        picture.with_context(|| format!("{:?} has no held-out picture", samples.name(item)))
    });
    let of = of.collect::<anyhow::Result<Vec<_>>>()?;
    let entry = |at: &sensorium_data::Draw| &samples.entries(at.set)[at.entry];
    let label = |at| recipe.class_of(entry(at).label.as_deref()?);
    Ok(Some(Anchors {
        sense: space.sense(),
        names: pictures
            .places
            .iter()
            .map(|at| entry(at).name.clone())
            .collect(),
        labels: pictures.places.iter().map(label).collect(),
        rows: pictures.rows,
        of,
    }))
}

/// How the training went, as `metrics.jsonl` has it.
fn curve(run: &RunDir) -> anyhow::Result<Vec<Epoch>> {
    #[derive(serde::Deserialize)]
    struct Line {
        epoch: u32,
        loss: f64,
        held_out_accuracy: Option<f64>,
    }
    let path = run.path("metrics.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
    let lines = text.lines().map(|line| {
        let line: Line = serde_json::from_str(line).with_context(|| format!("reading {path:?}"))?;
        Ok(Epoch {
            epoch: line.epoch,
            loss: line.loss,
            held_out: line.held_out_accuracy,
        })
    });
    lines.collect()
}

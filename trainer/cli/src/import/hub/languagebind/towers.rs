//! The weights of a LanguageBind folder under ImageBind's names.
//!
//! Both have the same structure: what CLIP calls `pre_layrnorm` is the norm before the trunk, and
//! `post_layernorm` with the projection the head. Queries, keys and values are joined here, and LoRA's
//! products are added: `W + (alpha / r) B A`.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use sensorium_core::feature::{Crop, Interpolation, resize_floats};
use sensorium_model::Sense;
use sensorium_model::encoder::Names;
use sensorium_model::weights::{WeightSource, WeightsError};

/// Where the encoder's layers are, alone and wrapped for LoRA.
const ENCODER: [&str; 2] = [
    "vision_model.encoder.layers",
    "vision_model.encoder.base_model.model.layers",
];
const TEXT_ENCODER: &str = "text_model.encoder.layers";

/// The linear layers that queries, keys and values are made by.
const PARTS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// How a weight is made of those of a folder.
#[derive(Debug)]
enum Recipe {
    /// It is one of them, perhaps with other axes of length 1.
    One(String),
    /// Vectors or matrices one after the other, each perhaps with LoRA's product.
    Joined(Vec<Linear>),
    /// A table of places, resized from so many rows and columns to others.
    Places(String, [usize; 2], [usize; 2]),
}

/// A weight of a linear layer.
#[derive(Debug)]
struct Linear {
    name: String,
    /// Names of `A` `[r, in]` and `B` `[out, r]`.
    lora: Option<[String; 2]>,
}

/// The weights of two towers, made when they are asked for.
#[derive(Debug)]
pub struct Towers<'a, S> {
    source: &'a S,
    scale: f32,
    weights: BTreeMap<String, (Vec<usize>, Recipe)>,
}

impl<'a, S: WeightSource> Towers<'a, S> {
    /// Of a folder; `scale` is what LoRA's products are multiplied by, if it has any, and `grid` the rows
    /// and columns of patches of the encoder that is no text's.
    ///
    /// # Errors
    ///
    /// A weight that is missing, or LoRA's where none is expected.
    pub fn new(source: &'a S, scale: Option<f32>, grid: [usize; 2]) -> anyhow::Result<Self> {
        let mut towers = Self {
            source,
            scale: scale.unwrap_or(1.0),
            weights: BTreeMap::new(),
        };
        let wrapped = source
            .names()
            .iter()
            .any(|name| name.starts_with(ENCODER[1]));
        let has_lora = source.names().iter().any(|name| name.contains(".lora_"));
        ensure!(
            has_lora == scale.is_some(),
            "it has {} weights of LoRA, and config.json says \"lora_r\" is {}",
            if has_lora { "some" } else { "no" },
            if scale.is_some() { "above 0" } else { "0" }
        );
        let encoder = ENCODER[usize::from(wrapped)];
        towers.vision(grid)?;
        towers.blocks(Names(Sense::Vision), encoder)?;
        towers.text()?;
        towers.blocks(Names(Sense::Text), TEXT_ENCODER)?;
        Ok(towers)
    }

    fn vision(&mut self, grid: [usize; 2]) -> anyhow::Result<()> {
        let names = Names(Sense::Vision);
        let within = |part: &str| format!("vision_model.embeddings.{part}");
        let patch = within("patch_embedding.weight");
        let shape = self.shape_of(&patch)?;
        let [dim, colours, height, width] = shape[..] else {
            anyhow::bail!("weight {patch:?} has shape {shape:?}, expected 4 axes");
        };
        let stem = vec![dim, colours, 1, height, width];
        self.put(names.stem(), stem, Recipe::One(patch));
        let token = Recipe::One(within("class_embedding"));
        self.put(names.class_token(), vec![1, 1, dim], token);
        let places = within("position_embedding.weight");
        let shape = self.shape_of(&places)?;
        let [count, _] = shape[..] else {
            anyhow::bail!("weight {places:?} has shape {shape:?}, expected 2 axes");
        };
        let [rows, columns] = grid;
        let wanted = vec![1, rows * columns + 1, dim];
        let side = count.saturating_sub(1).isqrt();
        let recipe = if count == rows * columns + 1 {
            Recipe::One(places)
        } else {
            ensure!(
                side > 0 && side * side + 1 == count,
                "weight {places:?} is of {count} places, expected {} or a square and one",
                rows * columns + 1
            );
            Recipe::Places(places, [side; 2], grid)
        };
        self.put(names.positions(), wanted, recipe);
        self.norm(&names.trunk_norm(), "vision_model.pre_layrnorm")?;
        self.norm(&names.head_norm(), "vision_model.post_layernorm")?;
        self.one(names.head(), "visual_projection.weight")
    }

    fn text(&mut self) -> anyhow::Result<()> {
        let names = Names(Sense::Text);
        self.one(names.stem(), "text_model.embeddings.token_embedding.weight")?;
        let places = "text_model.embeddings.position_embedding.weight";
        let shape = [vec![1], self.shape_of(places)?].concat();
        self.put(names.positions(), shape, Recipe::One(places.to_owned()));
        self.norm(&names.head_norm(), "text_model.final_layer_norm")?;
        self.one(names.head(), "text_projection.weight")
    }

    fn blocks(&mut self, names: Names, layers: &str) -> anyhow::Result<()> {
        let count = block_count(self.source, layers);
        ensure!(count > 0, "it has no weight {layers:?}");
        for index in 0..count {
            let (ours, theirs) = (names.block(index), format!("{layers}.{index}"));
            self.norm(&format!("{ours}.norm_1"), &format!("{theirs}.layer_norm1"))?;
            self.norm(&format!("{ours}.norm_2"), &format!("{theirs}.layer_norm2"))?;
            for (part, joint) in [("weight", "_weight"), ("bias", "_bias")] {
                let linears = PARTS.map(|kind| self.linear(&theirs, kind, part));
                let linears = linears.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
                let mut shape = self.shape_of(&linears[0].name)?;
                if let Some(rows) = shape.first_mut() {
                    *rows *= PARTS.len();
                }
                let name = format!("{ours}.attn.in_proj{joint}");
                self.put(name, shape, Recipe::Joined(linears));
                let linear = self.linear(&theirs, "out_proj", part)?;
                let shape = self.shape_of(&linear.name)?;
                let name = format!("{ours}.attn.out_proj.{part}");
                self.put(name, shape, Recipe::Joined(vec![linear]));
                for layer in ["fc1", "fc2"] {
                    let name = format!("{ours}.mlp.{layer}.{part}");
                    self.one(name, &format!("{theirs}.mlp.{layer}.{part}"))?;
                }
            }
        }
        Ok(())
    }

    /// A weight of attention: as it is, or where newer versions of peft have it.
    fn linear(&self, layer: &str, kind: &str, part: &str) -> anyhow::Result<Linear> {
        let within = |part: &str| format!("{layer}.self_attn.{kind}.{part}");
        let newer = within(&format!("base_layer.{part}"));
        let name = match self.source.shape(&newer) {
            Some(_) => newer,
            None => within(part),
        };
        self.shape_of(&name)?;
        let lora = ["lora_A", "lora_B"].map(|kind| within(&format!("{kind}.default.weight")));
        let has = lora.iter().any(|name| self.source.shape(name).is_some());
        let lora = (has && part == "weight").then_some(lora);
        Ok(Linear { name, lora })
    }

    fn norm(&mut self, ours: &str, theirs: &str) -> anyhow::Result<()> {
        for part in ["weight", "bias"] {
            self.one(format!("{ours}.{part}"), &format!("{theirs}.{part}"))?;
        }
        Ok(())
    }

    fn one(&mut self, ours: String, theirs: &str) -> anyhow::Result<()> {
        let shape = self.shape_of(theirs)?;
        self.put(ours, shape, Recipe::One(theirs.to_owned()));
        Ok(())
    }

    fn put(&mut self, name: String, shape: Vec<usize>, recipe: Recipe) {
        self.weights.insert(name, (shape, recipe));
    }

    fn shape_of(&self, name: &str) -> anyhow::Result<Vec<usize>> {
        let shape = self.source.shape(name);
        let shape = shape.with_context(|| format!("weight {name:?} is missing"))?;
        Ok(shape.to_vec())
    }

    fn merged(&self, linear: &Linear) -> Result<Vec<f32>, WeightsError> {
        let mut values = self.source.values(&linear.name)?;
        let Some([a, b]) = &linear.lora else {
            return Ok(values);
        };
        let shape = self.source.shape(&linear.name).unwrap_or_default();
        let &[outputs, inputs] = shape else {
            return Ok(values);
        };
        let rank = self
            .source
            .shape(a)
            .and_then(|shape| shape.first())
            .copied();
        let rank = rank.unwrap_or(0);
        let down = self.source.values_of(a, &[rank, inputs])?;
        let up = self.source.values_of(b, &[outputs, rank])?;
        let rows = values.chunks_exact_mut(inputs.max(1));
        for (row, up) in rows.zip(up.chunks_exact(rank.max(1))) {
            for (share, down) in up.iter().zip(down.chunks_exact(inputs.max(1))) {
                let share = self.scale * share;
                row.iter_mut()
                    .zip(down)
                    .for_each(|(sum, value)| *sum += share * value);
            }
        }
        Ok(values)
    }
}

impl<S: WeightSource> WeightSource for Towers<'_, S> {
    fn names(&self) -> Vec<&str> {
        self.weights.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.get(name).map(|(shape, _)| shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing = || WeightsError::Missing {
            name: name.to_owned(),
        };
        let (shape, recipe) = self.weights.get(name).ok_or_else(missing)?;
        match recipe {
            Recipe::One(own) => self.source.values(own),
            Recipe::Joined(linears) => {
                let parts = linears.iter().map(|linear| self.merged(linear));
                Ok(parts.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Recipe::Places(own, from, to) => {
                let dim = shape.last().copied().unwrap_or(1).max(1);
                Ok(resized(&self.source.values(own)?, dim, *from, *to))
            }
        }
    }
}

/// Blocks of the text tower and of the other one.
pub fn block_counts(source: &impl WeightSource) -> [usize; 2] {
    let vision = ENCODER.map(|layers| block_count(source, layers));
    [block_count(source, TEXT_ENCODER), vision[0].max(vision[1])]
}

/// One more than the largest number of a block; one that is missing is told of by its weights.
fn block_count(source: &impl WeightSource, layers: &str) -> usize {
    /// More than any encoder has.
    const MOST: usize = 1024;
    let number = |name: &str| {
        let rest = name.strip_prefix(layers)?.strip_prefix('.')?;
        rest.split_once('.')?.0.parse::<usize>().ok()
    };
    let numbers = source.names().into_iter().filter_map(number);
    numbers
        .max()
        .map_or(0, |last| last.saturating_add(1).min(MOST))
}

/// A table of places, the class token's first, of another number of rows and columns: by cubic
/// interpolation with antialiasing.
fn resized(table: &[f32], dim: usize, from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let (token, places) = table.split_at(dim.min(table.len()));
    let places: Vec<f64> = places.iter().map(|value| f64::from(*value)).collect();
    let [height, width] = to;
    let crop = Crop {
        width,
        height,
        left: 0,
        top: 0,
    };
    let size = (width, height);
    let places = resize_floats(&places, (from[1], dim), crop, size, Interpolation::Bicubic);
    let places = places.into_iter().map(|value| value as f32);
    token.iter().copied().chain(places).collect()
}

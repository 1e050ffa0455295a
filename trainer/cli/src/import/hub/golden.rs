//! What a folder says its towers give for some inputs, against what the pack gives end to end.
//!
//! `golden/golden.json` lists `strings`, `pictures` (files beside it) and `waves`;
//! `golden/golden.safetensors` holds the waves, what the processor made of all (`input_ids`,
//! `attention_mask`, `pixel_values`, `input_features` or `input_values`) and what the towers gave
//! (`text_embeds`, `sentence_embedding`, `image_embeds`, `audio_embeds`, `logits`, `embedding`).

use std::path::Path;

use anyhow::{Context, ensure};
use sensorium_core::bank::normalize;
use sensorium_core::feature::IMU_CHANNELS;
use sensorium_data::{Augmentations, Extractor, Modality, Raw};
use sensorium_engine::encode::Encoder;
use sensorium_engine::space::Space;
use sensorium_media::picture;
use sensorium_model::checkpoint::Checkpoint;
use sensorium_model::weights::WeightSource;
use sensorium_pack::{FrontEnd, Pack};
use serde::Deserialize;

use super::keys::read_json;
use super::text::TextPart;
use crate::quantize::cosine;

/// Largest difference of an embedding by float weights.
const MAX_ABS: f32 = 1e-4;

/// Differences of features that count.
const FEATURE: f32 = 1e-5;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    #[serde(default)]
    strings: Vec<String>,
    #[serde(default)]
    pictures: Vec<String>,
    #[serde(default)]
    waves: Vec<String>,
}

/// What a folder gives as golden.
pub struct Golden {
    dir: std::path::PathBuf,
    index: Index,
    arrays: Checkpoint,
}

/// How near embeddings have to be: by float weights, or, by integers, this cosine.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// At most 1e-4 off in every number.
    Float,
    /// At least this cosine.
    Cosine(f32),
}

/// The worst of some differences.
#[derive(Debug, Clone, Copy)]
struct Worst {
    abs: f32,
    cosine: f32,
}

impl Golden {
    /// What a folder has, if it has any.
    ///
    /// # Errors
    ///
    /// Files that cannot be read.
    pub fn open(folder: &Path) -> anyhow::Result<Option<Self>> {
        let dir = folder.join("golden");
        let path = dir.join("golden.safetensors");
        if !path.is_file() {
            return Ok(None);
        }
        let list = dir.join("golden.json");
        let index = match list.is_file() {
            true => {
                serde_json::from_value(read_json(&list)?).with_context(|| format!("{list:?}"))?
            }
            false => Index::default(),
        };
        let arrays = Checkpoint::open(&path).with_context(|| format!("{path:?}"))?;
        Ok(Some(Self { dir, index, arrays }))
    }

    /// The array of the first of some names that there is: the length of a row, and all numbers.
    fn rows(&self, names: &[&str]) -> anyhow::Result<Option<(usize, Vec<f32>)>> {
        let Some(name) = names.iter().find(|name| self.arrays.shape(name).is_some()) else {
            return Ok(None);
        };
        let values = self.arrays.values(name)?;
        let rows = { self.arrays.shape(name) }.and_then(|shape| shape.first());
        let rows = rows.copied().filter(|rows| *rows > 0);
        let rows = rows.with_context(|| format!("golden {name:?} has no row"))?;
        Ok(Some((values.len() / rows, values)))
    }

    /// Compares the words of a space.
    ///
    /// # Errors
    ///
    /// Other numbers of tokens, or embeddings that are too far off.
    pub fn check_words(
        &self,
        pack: &Pack,
        space: &str,
        text: &TextPart,
        limit: Limit,
    ) -> anyhow::Result<()> {
        let embeddings = self.rows(&["text_embeds", "sentence_embedding"])?;
        let Some((dim, expected)) = embeddings.filter(|_| !self.index.strings.is_empty()) else {
            return Ok(());
        };
        if let Some(shape) = self.arrays.shape("input_ids") {
            let len = shape.last().copied().unwrap_or(1).max(1);
            let ids = self.arrays.integers("input_ids")?;
            let tower = text.tower(&text.model)?;
            for (words, expected) in self.index.strings.iter().zip(ids.chunks_exact(len)) {
                let found = tower.ids(words)?;
                let rest = expected.get(found.len()..).unwrap_or_default();
                let is_padding = rest.windows(2).all(|pair| pair[0] == pair[1]);
                let fills = text
                    .words
                    .pad
                    .is_none_or(|pad| rest.iter().all(|id| *id == i64::from(pad)));
                ensure!(
                    expected.starts_with(&found) && is_padding && fills,
                    "golden: {words:?} becomes {found:?}, expected {expected:?}"
                );
            }
        }
        let space = Space::load(pack, space)?;
        let rows = self.index.strings.iter().map(|words| {
            let row = space.class_vector(std::slice::from_ref(words));
            Ok(row?)
        });
        let rows = rows.collect::<anyhow::Result<Vec<Vec<f32>>>>()?;
        tell(
            "texts",
            rows.len(),
            "numbers exact",
            worst(&rows, &expected, dim),
            limit,
        )
    }

    /// Compares what an encoder of the pack makes of what there is for its sense.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or embeddings that are too far off.
    pub fn check_encoder(&self, pack: &Pack, name: &str, limit: Limit) -> anyhow::Result<()> {
        let mut entries = pack.manifest().encoders.iter();
        let entry = entries.find(|entry| entry.name == name);
        let entry = entry.with_context(|| format!("the pack has no encoder {name:?}"))?;
        let encoder = Encoder::load_entry(pack, entry)?;
        let outputs: &[&str] = match entry.modality {
            Modality::Image => &["image_embeds", "logits", "embedding"],
            Modality::Audio => &["audio_embeds", "logits", "embedding"],
            _ => &["embedding"],
        };
        let Some((dim, expected)) = self.rows(outputs)? else {
            return Ok(());
        };
        let extractor = Extractor::new(
            &entry.front_end,
            entry.modality,
            Augmentations::default().check()?,
        )?;
        let raws = match entry.modality {
            Modality::Image => self.pictures(&entry.front_end)?,
            Modality::Audio => self.waves(&entry.front_end)?,
            _ => Vec::new(),
        };
        let windows = raws.iter().map(|raw| Ok(extractor.windows(raw)?));
        let mut windows = windows.collect::<anyhow::Result<Vec<Vec<Vec<f32>>>>>()?;
        if let Some((len, inputs)) = self.rows(&["imu"])?
            && entry.modality == Modality::Imu
        {
            // The front end gives channel by channel what some encoders take sample by sample.
            let samples = len / IMU_CHANNELS;
            let is_turned = self.arrays.shape("imu").and_then(|shape| shape.get(1..))
                == Some(&[samples, IMU_CHANNELS])
                && samples != IMU_CHANNELS;
            let place = |at: usize| match is_turned {
                true => at % samples * IMU_CHANNELS + at / samples,
                false => at,
            };
            let rows = inputs.chunks_exact(len);
            windows = rows
                .map(|row| vec![(0..len).map(|at| row[place(at)]).collect()])
                .collect();
        }
        if windows.is_empty() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some((len, features)) =
            self.rows(&["pixel_values", "input_features", "input_values"])?
        {
            let pairs = windows.iter().zip(features.chunks_exact(len));
            let pairs = pairs.flat_map(|(own, expected)| own[0].iter().zip(expected));
            let off: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
            let most = off.iter().fold(0.0f32, |most, off| most.max(*off));
            let over = off.iter().filter(|off| **off > FEATURE).count();
            said = format!(
                "features differ by {most:.1e}, {over} of {} over {FEATURE:.0e}",
                off.len()
            );
        }
        let rows = windows.iter().map(|windows| {
            let mut sum = vec![0.0; dim];
            for window in windows {
                let embedding = encoder.run(window)?;
                sum.iter_mut()
                    .zip(embedding)
                    .for_each(|(sum, value)| *sum += value);
            }
            normalize(&mut sum);
            Ok(sum)
        });
        let rows = rows.collect::<anyhow::Result<Vec<Vec<f32>>>>()?;
        tell(name, rows.len(), &said, worst(&rows, &expected, dim), limit)
    }

    fn pictures(&self, front_end: &FrontEnd) -> anyhow::Result<Vec<Raw>> {
        let FrontEnd::Image(spec) = front_end else {
            return Ok(Vec::new());
        };
        let files = self.index.pictures.iter();
        files
            .map(|file| {
                let path = self.dir.join(file);
                Ok(Raw::Image(match spec.background {
                    Some(background) => picture::open_rgb_over(&path, background)?,
                    None => picture::open_rgb(&path)?,
                }))
            })
            .collect()
    }

    fn waves(&self, front_end: &FrontEnd) -> anyhow::Result<Vec<Raw>> {
        let rate_hz = match front_end {
            FrontEnd::LogMel(spec) => spec.rate_hz,
            FrontEnd::Wave(spec) => spec.rate_hz,
            _ => return Ok(Vec::new()),
        };
        let waves = self.index.waves.iter();
        waves
            .map(|wave| {
                Ok(Raw::Sound {
                    samples: self.arrays.values(wave)?,
                    rate_hz,
                })
            })
            .collect()
    }
}

/// The largest difference and the least cosine of rows to those expected, which are normalised first.
fn worst(rows: &[Vec<f32>], expected: &[f32], dim: usize) -> Worst {
    let mut worst = Worst {
        abs: 0.0,
        cosine: 1.0,
    };
    for (row, expected) in rows.iter().zip(expected.chunks_exact(dim)) {
        let mut expected = expected.to_vec();
        normalize(&mut expected);
        let same = row.len() == expected.len();
        let own = if same {
            cosine(row, &expected)
        } else {
            f32::NAN
        };
        for (a, b) in row.iter().zip(&expected) {
            let off = (a - b).abs();
            worst.abs = if off <= worst.abs { worst.abs } else { off };
        }
        worst.cosine = if own >= worst.cosine {
            worst.cosine
        } else {
            own
        };
    }
    worst
}

fn tell(what: &str, count: usize, said: &str, worst: Worst, limit: Limit) -> anyhow::Result<()> {
    let Worst { abs, cosine } = worst;
    let said = if said.is_empty() {
        ""
    } else {
        &format!("{said}; ")
    };
    eprintln!(
        "golden, {what}: {count}; {said}embeddings differ by {abs:.1e}, cosine at least {cosine:.7}"
    );
    match limit {
        Limit::Float => ensure!(
            abs <= MAX_ABS,
            "golden, {what}: embeddings differ by {abs:.2e}, expected at most {MAX_ABS:.0e}"
        ),
        Limit::Cosine(least) => ensure!(
            cosine >= least,
            "golden, {what}: an embedding has a cosine of {cosine:.6}, expected at least {least}"
        ),
    }
    Ok(())
}

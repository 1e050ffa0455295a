//! Names, phrases and classes in words, embedded, and the head that they make.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use sensorium_core::bank::normalize;
use sensorium_engine::classes::Classes;
use sensorium_engine::text::TextTower;
use sensorium_pack::Modality;

use super::{Args, Method, PLACE};
use crate::anchor::{Anchor, list};
use crate::import::head::{Head, NAME_WEIGHT, PART_WEIGHT, PHRASE_WEIGHT};
use crate::import::names;
use crate::import::sounds::Statistics;
use crate::progress;

/// Texts embedded at once.
const TEXTS: usize = 16;

/// All that is put into words.
pub struct Words {
    /// The pack's default classes.
    pub classes: Classes,
    /// All that is embedded.
    pub anchor: Anchor,
    /// Names in the sentence, and as they are where that counts, parts of names in the sentence, phrases
    /// as they are: places among the anchor's.
    names: Vec<usize>,
    bare: Vec<usize>,
    parts: Vec<usize>,
    phrases: Vec<usize>,
}

impl Words {
    /// Embeds what the arguments and the names say.
    pub fn embed(args: &Args, names: &[String]) -> anyhow::Result<Self> {
        let phrases = match &args.phrases {
            None => Vec::new(),
            Some(path) => {
                let phrases = list::lines(path)?;
                ensure!(!phrases.is_empty(), "{path:?} holds no phrase");
                phrases
            }
        };
        let said = |name: &str| args.template.replace(PLACE, name);
        let classes = match &args.classes {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("reading {path:?}"))?;
                Classes::parse(&text).with_context(|| format!("{path:?}"))?
            }
            None => names::as_classes(names, Modality::Audio, |name| said(&name.to_lowercase())),
        };
        let mut prompts = Vec::new();
        let mut places = BTreeMap::new();
        let mut place = |text: String| {
            *places.entry(text.clone()).or_insert_with(|| {
                prompts.push(text);
                prompts.len() - 1
            })
        };
        let named = names.iter().map(|name| place(said(&name.to_lowercase())));
        let named: Vec<usize> = named.collect();
        let parts = names.iter().flat_map(|name| names::parts(name));
        let parts: Vec<usize> = parts.map(|part| place(said(&part))).collect();
        let bare: Vec<usize> = match args.method {
            Method::ClassSpace => { names.iter() }
                .map(|name| place(name.to_lowercase()))
                .collect(),
            Method::Dual | Method::Conse => Vec::new(),
        };
        let phrases: Vec<usize> = phrases.into_iter().map(&mut place).collect();
        let classes_said = classes.classes.iter().flat_map(|class| &class.prompts);
        for prompt in classes_said.chain(&classes.background.prompts) {
            place(prompt.clone());
        }
        let tower = TextTower::open(&args.text_model)
            .with_context(|| format!("opening the text model {:?}", args.text_model))?;
        let bar = progress::bar(prompts.len() as u64, "texts");
        let mut rows = Vec::with_capacity(prompts.len());
        for texts in prompts.chunks(TEXTS) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            rows.extend(tower.embed(&texts)?);
            bar.inc(texts.len() as u64);
        }
        bar.finish_and_clear();
        let mut sums = vec![0.0f64; tower.dim()];
        let centred_by = if phrases.is_empty() { &named } else { &phrases };
        for &phrase in centred_by {
            for (sum, value) in sums.iter_mut().zip(&rows[phrase]) {
                *sum += f64::from(*value);
            }
        }
        let mean = |sum: f64| (sum / centred_by.len() as f64) as f32;
        Ok(Self {
            anchor: Anchor {
                text_model: args.text_model_name.clone(),
                prompts,
                rows: rows.concat(),
                centre: sums.into_iter().map(mean).collect(),
            },
            classes,
            names: named,
            bare,
            parts,
            phrases,
        })
    }

    /// The direction of a text.
    fn direction(&self, place: usize) -> Vec<f32> {
        let dim = self.anchor.dim();
        let row = &self.anchor.rows[place * dim..][..dim];
        let mut direction: Vec<f32> = row
            .iter()
            .zip(&self.anchor.centre)
            .map(|(value, centre)| value - centre)
            .collect();
        normalize(&mut direction);
        direction
    }

    /// The names for words to resemble, typed alone or in the sentence.
    pub fn resembled(&self) -> Vec<Vec<f32>> {
        let both = self.names.iter().zip(&self.bare).map(|(&said, &bare)| {
            let (said, bare) = (self.direction(said), self.direction(bare));
            let mut both: Vec<f32> = said.iter().zip(&bare).map(|(a, b)| a + b).collect();
            normalize(&mut both);
            both
        });
        both.collect()
    }

    /// What is put behind the tagger.
    pub fn head(&self, args: &Args, usual: Option<&Statistics>) -> anyhow::Result<Head> {
        if args.method == Method::ClassSpace {
            let usual = usual.map(|usual| (&usual.means[..], &usual.spreads[..]));
            return Ok(Head::class_space(self.names.len(), usual));
        }
        let directions = |places: &[usize]| -> Vec<Vec<f32>> {
            places.iter().map(|&place| self.direction(place)).collect()
        };
        let named = directions(&self.names);
        let Some(usual) = usual else {
            return Ok(Head::conse(&named, args.top));
        };
        let (parts, phrases) = (directions(&self.parts), directions(&self.phrases));
        let weighted = [
            (&named, NAME_WEIGHT),
            (&parts, PART_WEIGHT),
            (&phrases, PHRASE_WEIGHT),
        ];
        let words: Vec<(&[f32], f64)> = weighted
            .into_iter()
            .flat_map(|(rows, weight)| rows.iter().map(move |row| (&row[..], weight)))
            .collect();
        Ok(Head::dual(&named, &words, &usual.means, &usual.spreads)?)
    }
}

//! What commands recognise with: a pack, its encoder, and classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sensorium_engine::bank::{Bank, BankError, CompiledClasses, Place, is_compiled};
use sensorium_engine::calibrate::file::Calibration;
use sensorium_engine::encode::Encoder;
use sensorium_engine::sense::Sense;
use sensorium_engine::slot::Slot;
use sensorium_engine::space::Space;
use sensorium_engine::stream::Settings;
use sensorium_pack::{Encoder as Entry, Modality, Pack};

/// The pack that every build carries.
const BUILT_IN: &[u8] = include_bytes!("../../engine/packs/sense-1.pack");

/// Which pack and words to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The pack; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pub pack: Option<PathBuf>,
    /// The classes, as classes.toml or compiled by `classes build`; the pack's by default.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Folder with the text model of the pack (model.onnx, tokenizer.json), for words that the
    /// pack does not know.
    #[arg(long, value_name = "DIR")]
    pub text_model: Option<PathBuf>,
    /// The space, where the pack has encoders of a sense in several; all of them by default.
    #[arg(long, value_name = "NAME")]
    pub space: Option<String>,
}

/// Opens a pack, or the built-in one.
pub fn open_pack(path: Option<&Path>) -> anyhow::Result<Pack> {
    match path {
        Some(path) => Pack::open(path).with_context(|| format!("pack {path:?}")),
        None => Pack::from_bytes(BUILT_IN).context("the built-in pack"),
    }
}

/// Loads a space of the pack, with the text model if there is one.
pub fn load_space(pack: &Pack, name: &str, text_model: Option<&Path>) -> anyhow::Result<Space> {
    let space = Space::load(pack, name)?;
    // A space of examples beside others: the text model is meant for those.
    let is_beside = pack.manifest().spaces.len() > 1;
    let text_model = text_model.filter(|_| space.knows_words() || !is_beside);
    match text_model {
        Some(dir) => space
            .with_text_model(dir)
            .with_context(|| format!("text model {dir:?}")),
        None => Ok(space),
    }
}

/// The classes of a file, or the pack's own, as far as they are for a sense.
pub fn load_classes(
    pack: &Pack,
    space: &Space,
    modality: Modality,
    path: Option<&Path>,
) -> anyhow::Result<CompiledClasses> {
    match path {
        Some(path) => {
            let place = Place {
                folder: path.parent().unwrap_or(Path::new("")),
                pack: Some(pack),
                modality: Some(modality),
            };
            let text = std::fs::read_to_string(path).map_err(BankError::from);
            let parsed = text.and_then(|text| {
                let compiled = CompiledClasses::parse_in(&text, space, place)?;
                Ok((compiled, is_compiled(&text)))
            });
            let (compiled, is_compiled) = parsed.with_context(|| format!("classes {path:?}"))?;
            if !is_compiled {
                warn_of_doubts(space, &compiled)?;
            }
            Ok(compiled)
        }
        None => {
            let member = &pack.manifest().classes;
            let text = std::str::from_utf8(pack.member(member)?);
            text.map_err(anyhow::Error::from)
                .and_then(|text| {
                    let place = Place {
                        pack: Some(pack),
                        modality: Some(modality),
                        ..Place::default()
                    };
                    Ok(CompiledClasses::parse_in(text, space, place)?)
                })
                .with_context(|| format!("member {member:?} of the pack"))
        }
    }
}

/// Whether a pack has no classes of its own, as imported ones may.
fn has_no_class(pack: &Pack) -> anyhow::Result<bool> {
    Ok(pack
        .member(&pack.manifest().classes)?
        .trim_ascii()
        .is_empty())
}

/// An encoder that passed its self-test.
#[derive(Debug)]
pub struct Tested {
    /// Its name.
    pub encoder: String,
    /// How many of the classes are for its sense.
    pub classes: usize,
}

/// Loads and self-tests every encoder of a pack, and embeds the classes of its sense.
pub fn test_all(
    pack: &Pack,
    text_model: Option<&Path>,
    classes: Option<&Path>,
) -> anyhow::Result<Vec<Tested>> {
    let known = |entry: &Entry| -> anyhow::Result<usize> {
        if classes.is_none() && has_no_class(pack)? {
            return Ok(0);
        }
        let space = load_space(pack, &entry.space, text_model)?;
        let compiled = load_classes(pack, &space, entry.modality, classes)?;
        match Bank::new(&compiled, entry.modality) {
            Ok(bank) => Ok(bank.classes().len()),
            Err(BankError::NoClass { .. }) => Ok(0),
            Err(error) => Err(error.into()),
        }
    };
    let mut tested = Vec::new();
    for entry in &pack.manifest().encoders {
        Encoder::load_entry(pack, entry)?;
        tested.push((entry, known(entry)));
    }
    // Words that a space does not know may be those of another, in which the same sense is known.
    let elsewhere: Vec<(Modality, &str)> = { tested.iter() }
        .filter(|(_, counted)| counted.is_ok())
        .map(|(entry, _)| (entry.modality, entry.space.as_str()))
        .collect();
    let has_other = |entry: &Entry| {
        let mut elsewhere = elsewhere.iter();
        elsewhere.any(|(sense, space)| *sense == entry.modality && *space != entry.space)
    };
    let tested = tested.into_iter().map(|(entry, counted)| {
        let classes = match counted {
            Err(_) if has_other(entry) => 0,
            counted => counted?,
        };
        Ok(Tested {
            encoder: entry.name.clone(),
            classes,
        })
    });
    tested.collect()
}

/// All that the windows of one sense are recognised with.
#[derive(Debug, Clone)]
pub struct Recognition {
    /// As events name the pack.
    pub pack_id: String,
    /// The encoder.
    pub sense: Sense,
    /// The classes, which may change.
    pub slot: Arc<Slot>,
    /// Where their words lie.
    pub space: Arc<Space>,
    /// The pack, for its own classes.
    pub pack: Arc<Pack>,
}

/// What several streams are recognised with; each is loaded once.
#[derive(Debug)]
pub struct Senses<'a> {
    options: &'a Options,
    calibration: Option<(PathBuf, Calibration)>,
    loaded: Vec<Loaded>,
}

/// What a sense is recognised with, in one space or several.
#[derive(Debug)]
struct Loaded {
    pack: Option<PathBuf>,
    modality: Modality,
    space: Option<String>,
    recognitions: Vec<Recognition>,
}

impl<'a> Senses<'a> {
    /// Nothing loaded yet.
    pub fn new(options: &'a Options) -> Self {
        Self {
            options,
            calibration: None,
            loaded: Vec::new(),
        }
    }

    /// With the thresholds that `calibrate` wrote to a file, if any.
    pub fn calibrated(mut self, path: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = path {
            let calibration = Calibration::open(path);
            let calibration = calibration.with_context(|| format!("calibration {path:?}"))?;
            self.calibration = Some((path.to_owned(), calibration));
        }
        Ok(self)
    }

    /// Says so if the thresholds of a stream's sense are for others than its windows.
    pub fn warn_if_stale(&self, recognition: &Recognition, settings: &Settings) {
        let Some((path, calibration)) = &self.calibration else {
            return;
        };
        let (pack_id, bank) = (&recognition.pack_id, recognition.slot.get());
        let sense = calibration.sense(recognition.sense.modality());
        let stale = sense.and_then(|s| s.stale(pack_id, &bank, settings.hop_s, settings.policy));
        if let Some(stale) = stale {
            say!(
                "warning: {}: calibration {path:?} promises nothing: {stale}; run \
                 `sensorium calibrate` again",
                settings.name
            );
        }
    }

    /// Loads and self-tests the encoder of a sense, and embeds the classes for it; in the first of
    /// several spaces that know them. `pack` is another pack than that of the options.
    pub fn load(&mut self, modality: Modality, pack: Option<&Path>) -> anyhow::Result<Recognition> {
        let mut all = self.load_all(modality, pack, None)?;
        Ok(all.swap_remove(0))
    }

    /// As [`load`](Self::load), in every space that has an encoder of the sense and knows the classes, or
    /// in the one that is named. What `calibrate` found holds in one space, so with it there is but one.
    pub fn load_all(
        &mut self,
        modality: Modality,
        pack: Option<&Path>,
        space: Option<&str>,
    ) -> anyhow::Result<Vec<Recognition>> {
        let path = pack.or(self.options.pack.as_deref());
        let space = space.or(self.options.space.as_deref());
        let is_same = |known: &&Loaded| {
            let same_place = known.pack.as_deref() == path && known.space.as_deref() == space;
            same_place && known.modality == modality
        };
        if let Some(known) = self.loaded.iter().find(is_same) {
            return Ok(known.recognitions.clone());
        }
        let pack = Arc::new(open_pack(path)?);
        let senses = Sense::load_all(&pack, modality, space)?;
        let mut recognitions = each_in_its_space(senses, |sense: Sense| {
            let space = sense.encoder().space().to_owned();
            (space, self.recognition(&pack, sense))
        })?;
        if self.calibration.is_some() {
            recognitions.truncate(1);
        }
        self.loaded.push(Loaded {
            pack: path.map(Path::to_owned),
            modality,
            space: space.map(str::to_owned),
            recognitions: recognitions.clone(),
        });
        Ok(recognitions)
    }

    fn recognition(&self, pack: &Arc<Pack>, sense: Sense) -> anyhow::Result<Recognition> {
        let modality = sense.modality();
        let text_model = self.options.text_model.as_deref();
        let space = load_space(pack, sense.encoder().space(), text_model)?;
        let compiled = load_classes(pack, &space, modality, self.options.classes.as_deref())?;
        let mut bank = Bank::new(&compiled, modality)?;
        if let Some((path, calibration)) = &self.calibration {
            let calibration = calibration.sense(modality);
            let missing = || format!("calibration {path:?}: it holds nothing of {modality}");
            bank = bank.with_calibration(calibration.with_context(missing)?);
        }
        warn_of_unheld_promises(&bank);
        Ok(Recognition {
            pack_id: pack.id(),
            sense,
            slot: Slot::new(bank),
            space: Arc::new(space),
            pack: Arc::clone(pack),
        })
    }

    /// Everything loaded, to be given other classes.
    pub fn into_loaded(self) -> Vec<Recognition> {
        let loaded = self.loaded.into_iter();
        loaded.flat_map(|loaded| loaded.recognitions).collect()
    }
}

/// What can be made in each of several spaces. One in which it cannot, since its words or examples are
/// those of another, is left out and told of; if it can in none, that is the first one's error.
pub fn each_in_its_space<T, U>(
    parts: Vec<T>,
    mut make: impl FnMut(T) -> (String, anyhow::Result<U>),
) -> anyhow::Result<Vec<U>> {
    let alone = parts.len() < 2;
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for part in parts {
        match make(part) {
            (_, Ok(one)) => made.push(one),
            (_, Err(error)) if alone => return Err(error),
            (space, Err(error)) => refused.push((space, error)),
        }
    }
    if made.is_empty() && !refused.is_empty() {
        return Err(refused.swap_remove(0).1);
    }
    for (space, error) in refused {
        say!("note: space {space:?} is left out: {error:#}");
    }
    Ok(made)
}

/// Says of which typed words the pack's text tower cannot know much, and of a class that has nothing to be told
/// from.
pub fn warn_of_doubts(space: &Space, compiled: &CompiledClasses) -> anyhow::Result<()> {
    let all = &compiled.classes;
    if let [class] = &all.classes[..]
        && class.not.is_empty()
        && all.background.prompts.is_empty()
        && all.something_else.is_empty()
    {
        say!(
            "note: {:?} is alone in the space {:?}, so it scores 1 whatever is sensed; give other classes, \
             background prompts or something_else",
            class.name,
            space.name()
        );
    }
    let classes = compiled.classes.classes.iter();
    let prompts = classes.flat_map(|class| class.prompts.iter().chain(&class.not));
    for prompt in prompts.chain(&compiled.classes.background.prompts) {
        warn_of_doubt(space, prompt)?;
    }
    Ok(())
}

/// Says of words that the pack's text tower cannot know much of them, if so.
pub fn warn_of_doubt(space: &Space, prompt: &str) -> anyhow::Result<()> {
    if let Some(doubt) = space.doubt(prompt)? {
        say!("note: {prompt:?}: {doubt}");
    }
    Ok(())
}

fn warn_of_unheld_promises(bank: &Bank) {
    for (index, class) in bank.classes().iter().enumerate() {
        let Some(budget) = class.false_alarms_per_hour else {
            continue;
        };
        let why = match bank.threshold(index) {
            Some(threshold) if threshold.promised => continue,
            Some(_) => "calibration had too few hours to promise it",
            None => "nothing holds it; see `sensorium calibrate`",
        };
        say!(
            "warning: class {:?} has false_alarms_per_hour = {budget}: {why}",
            class.name
        );
    }
}

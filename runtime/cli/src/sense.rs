//! What commands recognise with: a pack, its encoder, and classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sensorium_core::event::EventPolicy;
use sensorium_engine::bank::{Bank, BankError, CompiledClasses, Place, is_compiled};
use sensorium_engine::calibrate::file::Calibration;
use sensorium_engine::encode::{Encoder, ImuEncoder};
use sensorium_engine::space::Space;
use sensorium_pack::{Modality, Pack};

/// The pack that every build carries.
const BUILT_IN: &[u8] = include_bytes!("../../engine/packs/imu-hapt.pack");

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
    let entries = pack.manifest().encoders.iter();
    entries
        .map(|entry| {
            let encoder = Encoder::load_entry(pack, entry)?;
            let space = load_space(pack, encoder.space(), text_model)?;
            let modality = encoder.modality();
            let compiled = load_classes(pack, &space, modality, classes)?;
            let classes = match Bank::new(&compiled, modality) {
                Ok(bank) => bank.classes().len(),
                Err(BankError::NoClass { .. }) => 0,
                Err(error) => return Err(error.into()),
            };
            Ok(Tested {
                encoder: encoder.name().to_owned(),
                classes,
            })
        })
        .collect()
}

/// All that inertial windows are recognised with.
#[derive(Debug)]
pub struct ImuSense {
    /// As events name the pack.
    pub pack_id: String,
    /// The encoder.
    pub encoder: ImuEncoder,
    /// The classes.
    pub bank: Arc<Bank>,
}

impl ImuSense {
    /// Loads and self-tests what the options name.
    pub fn load(options: &Options) -> anyhow::Result<Self> {
        let pack = open_pack(options.pack.as_deref())?;
        let encoder = ImuEncoder::load(&pack)?;
        let space = load_space(&pack, encoder.space(), options.text_model.as_deref())?;
        let compiled = load_classes(&pack, &space, Modality::Imu, options.classes.as_deref())?;
        let bank = Bank::new(&compiled, Modality::Imu)?;
        Ok(Self {
            pack_id: pack.id(),
            encoder,
            bank: Arc::new(bank),
        })
    }

    /// The same with the thresholds that `calibrate` wrote, for windows of these hops under `policy`.
    /// Says which of the class file's budgets nothing promises.
    pub fn calibrated(
        mut self,
        path: Option<&Path>,
        hops_s: &[f32],
        policy: EventPolicy,
    ) -> anyhow::Result<Self> {
        if let Some(path) = path {
            let named = || format!("calibration {path:?}");
            let calibration = Calibration::open(path).with_context(named)?;
            let sense = calibration.sense(Modality::Imu);
            let sense = sense
                .context("it holds nothing of imu")
                .with_context(named)?;
            let stale = |hop_s: &f32| sense.stale(&self.pack_id, &self.bank, *hop_s, policy);
            if let Some(stale) = hops_s.iter().find_map(stale) {
                eprintln!(
                    "sensorium: warning: calibration {path:?} promises nothing: {stale}; run \
                     `sensorium calibrate` again"
                );
            }
            self.bank = Arc::new(Bank::clone(&self.bank).with_calibration(sense));
        }
        self.warn_of_unheld_promises();
        Ok(self)
    }

    fn warn_of_unheld_promises(&self) {
        for (index, class) in self.bank.classes().iter().enumerate() {
            let Some(budget) = class.false_alarms_per_hour else {
                continue;
            };
            let why = match self.bank.threshold(index) {
                Some(threshold) if threshold.promised => continue,
                Some(_) => "calibration had too few hours to promise it",
                None => "nothing holds it; see `sensorium calibrate`",
            };
            eprintln!(
                "sensorium: warning: class {:?} has false_alarms_per_hour = {budget}: {why}",
                class.name
            );
        }
    }
}

/// Says of which typed words the pack's text tower cannot know much.
pub fn warn_of_doubts(space: &Space, compiled: &CompiledClasses) -> anyhow::Result<()> {
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
        eprintln!("sensorium: note: {prompt:?}: {doubt}");
    }
    Ok(())
}

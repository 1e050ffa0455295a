//! The classes of running streams, and how they change: by their file, or one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sensorium_engine::bank::{Bank, CompiledClasses};
use sensorium_engine::calibrate::file::Calibration;
use sensorium_engine::classes::Class;
use sensorium_engine::config::EventsConfig;

use crate::sense::{Recognition, load_classes};

/// What all streams recognise, sense by sense.
#[derive(Debug)]
pub struct Roster {
    loaded: Vec<Recognition>,
    state: Mutex<State>,
}

/// What classes come from.
#[derive(Debug, Clone, Default)]
struct State {
    path: Option<PathBuf>,
    changes: Changes,
}

/// What decides on events, besides classes that come one by one.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The class file; the packs' classes, if none.
    pub classes: Option<&'a Path>,
    /// Thresholds; the packs', if none.
    pub calibration: Option<&'a Calibration>,
    /// When a score makes an event.
    pub events: &'a EventsConfig,
}

/// Classes that were put in the place of the file's, or taken out, by name. They hold until the
/// program ends, whatever becomes of the file.
type Changes = BTreeMap<String, Option<Class>>;

impl Roster {
    /// The classes of a file, or those of the packs.
    pub fn new(path: Option<PathBuf>, loaded: Vec<Recognition>) -> Self {
        Self {
            loaded,
            state: Mutex::new(State {
                path,
                changes: Changes::new(),
            }),
        }
    }

    /// The class file.
    pub fn path(&self) -> Option<PathBuf> {
        self.lock().path.clone()
    }

    /// What each sense is recognised with.
    pub fn loaded(&self) -> &[Recognition] {
        &self.loaded
    }

    /// Reads the file again.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.apply(&self.lock(), as_running)
    }

    /// Goes by other rules. What was put in or taken out stays so.
    pub fn rule(&self, rules: Rules<'_>) -> anyhow::Result<()> {
        let mut state = self.lock();
        let wanted = State {
            path: rules.classes.map(Path::to_owned),
            changes: state.changes.clone(),
        };
        self.apply(&wanted, |bank, recognition| {
            let encoder = recognition.sense.encoder();
            let sense = rules.calibration.map(|c| c.sense(encoder.modality()));
            let bank = match sense.flatten() {
                Some(sense) => bank.with_calibration(sense),
                None => bank,
            };
            bank.with_policy(rules.events.policy(encoder.scoring()))
        })?;
        *state = wanted;
        Ok(())
    }

    /// Adds a class, or puts it in the place of the one of its name.
    pub fn put(&self, class: Class) -> anyhow::Result<()> {
        self.change(class.name.clone(), Some(class))
    }

    /// Takes a class out. Returns whether there was one.
    pub fn remove(&self, name: &str) -> anyhow::Result<bool> {
        let is_known = |recognition: &Recognition| {
            let bank = recognition.slot.get();
            bank.classes().iter().any(|class| class.name == name)
        };
        if !self.loaded.iter().any(is_known) {
            return Ok(false);
        }
        self.change(name.to_owned(), None)?;
        Ok(true)
    }

    fn change(&self, name: String, class: Option<Class>) -> anyhow::Result<()> {
        let mut state = self.lock();
        let mut wanted = state.clone();
        wanted.changes.insert(name, class);
        self.apply(&wanted, as_running)?;
        *state = wanted;
        Ok(())
    }

    /// Gives every sense its classes, or none if one cannot be had.
    fn apply(
        &self,
        state: &State,
        ruled: impl Fn(Bank, &Recognition) -> Bank,
    ) -> anyhow::Result<()> {
        let banks = { self.loaded.iter() }
            .map(|recognition| Ok(ruled(bank(recognition, state)?, recognition)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (recognition, bank) in self.loaded.iter().zip(banks) {
            recognition.slot.set(bank);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the changes before or after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With the thresholds that classes have now.
fn as_running(bank: Bank, recognition: &Recognition) -> Bank {
    bank.with_thresholds_of(&recognition.slot.get())
}

fn bank(recognition: &Recognition, state: &State) -> anyhow::Result<Bank> {
    let modality = recognition.sense.modality();
    let Recognition { pack, space, .. } = recognition;
    let mut compiled = load_classes(pack, space, modality, state.path.as_deref())?;
    for (name, class) in &state.changes {
        let known = &compiled.classes.classes;
        let at = known.iter().position(|class| class.name == *name);
        match (at, class) {
            (None, None) => {}
            (Some(at), None) => remove(&mut compiled, at),
            (at, Some(class)) => {
                if let Some(at) = at {
                    remove(&mut compiled, at);
                }
                // The words of other senses may be known in other spaces only.
                if class.is_for(modality) {
                    let vector = space.class_vector(&class.prompts)?;
                    let end = compiled.classes.classes.len();
                    compiled.vectors.insert(end, vector);
                    compiled.classes.classes.push(class.clone());
                }
            }
        }
    }
    Ok(Bank::new(&compiled, modality)?)
}

fn remove(compiled: &mut CompiledClasses, at: usize) {
    compiled.classes.classes.remove(at);
    compiled.vectors.remove(at);
}

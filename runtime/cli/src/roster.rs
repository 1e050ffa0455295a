//! The classes of running streams, and how they change: by their file, or one by one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sensorium_engine::bank::{Bank, CompiledClasses};
use sensorium_engine::classes::Class;

use crate::sense::{Recognition, load_classes};

/// What all streams recognise, sense by sense.
#[derive(Debug)]
pub struct Roster {
    path: Option<PathBuf>,
    loaded: Vec<Recognition>,
    changes: Mutex<Changes>,
}

/// Classes that were put in the place of the file's, or taken out, by name. They hold until the
/// program ends, whatever becomes of the file.
type Changes = BTreeMap<String, Option<Class>>;

impl Roster {
    /// The classes of a file, or those of the packs.
    pub fn new(path: Option<PathBuf>, loaded: Vec<Recognition>) -> Self {
        Self {
            path,
            loaded,
            changes: Mutex::default(),
        }
    }

    /// What each sense is recognised with.
    pub fn loaded(&self) -> &[Recognition] {
        &self.loaded
    }

    /// Reads the file again.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.apply(&self.lock())
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
        let mut changes = self.lock();
        let mut wanted = changes.clone();
        wanted.insert(name, class);
        self.apply(&wanted)?;
        *changes = wanted;
        Ok(())
    }

    /// Gives every sense its classes, or none if one cannot be had.
    fn apply(&self, changes: &Changes) -> anyhow::Result<()> {
        let bank = |recognition: &Recognition| self.bank(recognition, changes);
        let banks = self
            .loaded
            .iter()
            .map(bank)
            .collect::<Result<Vec<_>, _>>()?;
        for (recognition, bank) in self.loaded.iter().zip(banks) {
            let calibrated = bank.with_thresholds_of(&recognition.slot.get());
            recognition.slot.set(calibrated);
        }
        Ok(())
    }

    fn bank(&self, recognition: &Recognition, changes: &Changes) -> anyhow::Result<Bank> {
        let modality = recognition.sense.modality();
        let Recognition { pack, space, .. } = recognition;
        let mut compiled = load_classes(pack, space, modality, self.path.as_deref())?;
        for (name, class) in changes {
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

    fn lock(&self) -> MutexGuard<'_, Changes> {
        // A panic elsewhere leaves the changes before or after it.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(compiled: &mut CompiledClasses, at: usize) {
    compiled.classes.classes.remove(at);
    compiled.vectors.remove(at);
}

//! A class file that is changed while streams run.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::roster::Roster;

/// Between two looks at the file. It is looked into rather than watched, which works on any file
/// system, and for editors that put another file in its place.
const LOOK: Duration = Duration::from_millis(250);

/// Gives streams the classes of a file whenever it changes, until the program ends. A file that cannot
/// be used leaves the classes as they are.
pub fn classes(path: PathBuf, roster: Arc<Roster>) {
    let mut known = fs::read(&path).ok();
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK);
            let now = fs::read(&path).ok();
            // An editor may be in the middle of putting it in its place.
            if now.is_none() || now == known {
                continue;
            }
            known = now;
            match roster.reload() {
                Ok(()) => {
                    for recognition in roster.loaded() {
                        let bank = recognition.slot.get();
                        let names = bank.classes().iter().map(|class| class.name.as_str());
                        eprintln!(
                            "sensorium: {path:?} changed: listening by {} for {} (bank {})",
                            recognition.sense.modality(),
                            names.collect::<Vec<_>>().join(", "),
                            bank.id()
                        );
                    }
                }
                Err(error) => {
                    eprintln!("sensorium: {path:?} changed, the classes did not: {error:#}");
                }
            }
        }
    });
}

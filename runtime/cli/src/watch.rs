//! A class file that is changed while streams run.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::roster::Roster;

/// Between two looks at the file. It is looked into rather than watched, which works on any file
/// system, and for editors that put another file in its place.
const LOOK: Duration = Duration::from_millis(250);

/// Gives streams the classes of their file, if there is one, whenever it changes, until the program ends.
/// A file that cannot be used leaves the classes as they are.
pub fn classes(roster: Arc<Roster>) {
    let look = |roster: &Roster| {
        let path = roster.path();
        let content = path.as_ref().and_then(|path| fs::read(path).ok());
        (path, content)
    };
    let mut known = look(&roster);
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK);
            let now = look(&roster);
            // An editor may be in the middle of putting it in its place.
            if now.1.is_none() || now == known {
                continue;
            }
            let is_another_file = now.0 != known.0;
            known = now;
            let (Some(path), false) = (&known.0, is_another_file) else {
                continue;
            };
            match roster.reload() {
                Ok(()) => {
                    for recognition in roster.loaded() {
                        let bank = recognition.slot.get();
                        let names = bank.classes().iter().map(|class| class.name.as_str());
                        say!(
                            "{path:?} changed: listening by {} for {} (bank {})",
                            recognition.sense.modality(),
                            names.collect::<Vec<_>>().join(", "),
                            bank.id()
                        );
                    }
                }
                Err(error) => {
                    say!("{path:?} changed, the classes did not: {error:#}");
                }
            }
        }
    });
}

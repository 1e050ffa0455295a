//! Whether the threads of running streams get on, so that a watchdog can tell a program that works from
//! one that hangs.
//!
//! A thread beats whenever it comes round: a source each time it looks whether to stop, a stream before
//! each signal that it takes and several times a second while none comes. One that hangs in a driver, in
//! an encoder or on a reader that does not read does not beat.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pulses of a program.
#[derive(Debug, Default)]
pub struct Vitals {
    pulses: Mutex<Vec<Known>>,
    is_complete: AtomicBool,
}

/// The pulse of one thread; dropped when the thread has done its work.
#[derive(Debug)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    /// What the thread is for.
    of: String,
    count: AtomicU64,
}

/// A pulse, and how often it had beaten when it was last looked at.
#[derive(Debug)]
struct Known {
    beats: Arc<Beats>,
    seen: u64,
}

impl Vitals {
    /// The pulse of a thread that is about to start.
    pub fn pulse(&self, of: String) -> Pulse {
        let beats = Arc::new(Beats {
            of,
            count: AtomicU64::new(0),
        });
        self.lock().push(Known {
            beats: Arc::clone(&beats),
            seen: 0,
        });
        Pulse(beats)
    }

    /// All threads there will be have their pulse.
    pub fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// Whether every thread has begun.
    #[must_use]
    pub fn are_up(&self) -> bool {
        let has_begun = |known: &Known| known.is_over() || known.count() > 0;
        self.is_complete.load(Ordering::Acquire) && self.lock().iter().all(has_begun)
    }

    /// What the threads are for that have not come round since the last look.
    pub fn stuck(&self) -> Vec<String> {
        let mut pulses = self.lock();
        pulses.retain(|known| !known.is_over());
        let mut stuck = Vec::new();
        for known in pulses.iter_mut() {
            let count = known.count();
            if std::mem::replace(&mut known.seen, count) == count {
                stuck.push(known.beats.of.clone());
            }
        }
        stuck
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        // A panic elsewhere leaves counts that are as good as any.
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn count(&self) -> u64 {
        self.beats.count.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        Arc::strong_count(&self.beats) == 1
    }
}

impl Pulse {
    /// The thread has come round.
    pub fn beat(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_beat_is_named() {
        let vitals = Vitals::default();
        let (mic, door) = (vitals.pulse("mic".into()), vitals.pulse("door".into()));
        vitals.complete();
        mic.beat();
        assert!(!vitals.are_up());
        door.beat();
        assert!(vitals.are_up() && vitals.stuck().is_empty());
        mic.beat();
        assert_eq!(vitals.stuck(), ["door"]);
        assert_eq!(vitals.stuck(), ["mic", "door"]);
        door.beat();
        assert_eq!(vitals.stuck(), ["mic"]);
    }

    #[test]
    fn who_has_done_its_work_need_not_beat() {
        let vitals = Vitals::default();
        let pulse = vitals.pulse("mic".into());
        assert!(!vitals.are_up());
        drop(pulse);
        vitals.complete();
        assert!(vitals.are_up() && vitals.stuck().is_empty());
    }
}

//! How far a command is: a bar where somebody looks at it, else a line a minute.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// From one line to the next, where stderr is a file or a pipe.
const A_LINE: Duration = Duration::from_secs(60);

/// A bar, or lines.
pub struct Progress {
    bar: ProgressBar,
    of_what: String,
    /// When the last line was written; none on a terminal.
    told: Option<Mutex<Instant>>,
}

/// So many of something are to be done.
pub fn bar(len: u64, of_what: &str) -> Progress {
    let bar = ProgressBar::new(len);
    let template = format!("{{bar:30}} {{pos}}/{{len}} {of_what}, {{per_sec}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    Progress {
        bar,
        of_what: of_what.to_owned(),
        told: (!stderr().is_terminal()).then(|| Mutex::new(Instant::now())),
    }
}

impl Progress {
    /// So many were done before.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// So many more are done.
    pub fn inc(&self, more: u64) {
        self.bar.inc(more);
        let Some(told) = &self.told else { return };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= A_LINE {
            *told = Instant::now();
            eprintln!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        format!(
            "{} of {} {}, {:.1} a second, {} left",
            self.bar.position(),
            self.bar.length().unwrap_or_default(),
            self.of_what,
            self.bar.per_sec(),
            HumanDuration(self.bar.eta()),
        )
    }

    /// Writes something else meanwhile.
    pub fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// All is done, or no more will be.
    pub fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_will_take() {
        let progress = bar(400, "steps");
        progress.set_position(100);
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..20 {
            progress.inc(1);
        }
        let line = progress.line();
        assert!(line.starts_with("120 of 400 steps, "), "{line}");
        assert!(line.ends_with(" left"), "{line}");
    }
}

//! A configuration that is read again while streams run: what changes at once, and what takes a restart.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use sensorium_engine::budget::Budget;
use sensorium_engine::calibrate::file::Calibration;
use sensorium_engine::config::{Config, StreamConfig};

use crate::roster::{Roster, Rules};

/// What changes with the configuration of a running program.
pub struct Running {
    /// What it was started with.
    pub started: Config,
    /// Its classes.
    pub roster: Arc<Roster>,
    /// Its processor time.
    pub budget: Arc<Budget>,
}

impl Running {
    /// Goes by another configuration as far as that can be done now, and says what cannot. If any of it
    /// cannot be used, nothing changes.
    pub fn reload(&self, config: &Config, cores: f64) -> anyhow::Result<()> {
        let calibration = config.calibration.as_deref().map(open).transpose()?;
        self.roster.rule(Rules {
            classes: config.classes.as_deref(),
            calibration: calibration.as_ref(),
            events: &config.events,
        })?;
        self.budget.set_cores(cores);
        for what in fixed(&self.started, config) {
            say!("SIGHUP: {what} is another now, which takes a restart");
        }
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<Calibration> {
    Calibration::open(path).with_context(|| format!("calibration {path:?}"))
}

/// What differs and cannot change while streams run.
fn fixed(old: &Config, new: &Config) -> Vec<String> {
    let keys = [
        ("pack", old.pack != new.pack),
        ("text_model", old.text_model != new.text_model),
        ("clock", old.clock != new.clock),
        ("http", old.http != new.http),
        (
            "merge_within_s",
            old.events.merge_within_s != new.events.merge_within_s,
        ),
    ];
    let differs = keys.into_iter().filter(|(_, differs)| *differs);
    let mut what: Vec<String> = differs.map(|(key, _)| key.to_owned()).collect();
    let named = |streams: &[StreamConfig], name: &str| -> Option<StreamConfig> {
        streams.iter().find(|stream| stream.name == name).cloned()
    };
    let mut names: Vec<&str> = Vec::new();
    for stream in old.streams.iter().chain(&new.streams) {
        if !names.contains(&stream.name.as_str()) {
            names.push(&stream.name);
        }
    }
    for name in names {
        if named(&old.streams, name) != named(&new.streams, name) {
            what.push(format!("stream {name:?}"));
        }
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_change_is_named() {
        let stream = |name: &str, port: &str| {
            format!(
                "[[stream]]\nname = '{name}'\nsource = {{ kind = 'serial', port = '{port}' }}\n"
            )
        };
        let parse = |text: String| Config::parse(&text).unwrap();
        let old = parse(stream("a", "x") + &stream("b", "x") + &stream("c", "x"));
        let new = parse(
            "pack = 'p'\ncores = 0.5\n".to_owned()
                + &stream("d", "x")
                + &stream("a", "x")
                + &stream("b", "y"),
        );
        assert!(fixed(&old, &old).is_empty());
        assert_eq!(
            fixed(&old, &new),
            ["pack", "stream \"b\"", "stream \"c\"", "stream \"d\""]
        );
    }
}

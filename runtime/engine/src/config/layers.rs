//! A configuration in layers: one file, the files of `conf.d` beside it, and the environment.
//!
//! ```text
//! robot.toml ─▶ conf.d/10-mic.toml ─▶ conf.d/20-site.toml ─▶ SENSORIUM_CORES=1.5 ─▶ command line
//! ```
//!
//! What comes later is in the place of what came before, key by key: of the top level, of `[events]`, and
//! of the `[[stream]]` of the same name, whose `source` is one value. A stream of another name is one more.
//! Files of `conf.d` are those that end in `.toml`, but for hidden ones, in the order of the bytes of their
//! names. A variable is `SENSORIUM_` and the key in capitals, `SENSORIUM_EVENTS_` before those of
//! `[events]`; streams have none. An empty variable is as none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Config, ConfigError, EventsConfig, SourceConfig, StreamConfig};
use crate::keys::{from_toml, in_our_words};

/// Folder beside the file.
const FOLDER: &str = "conf.d";

/// What every variable of the environment begins with.
const PREFIX: &str = "SENSORIUM_";

/// And those of a table.
const EVENTS: &str = "events_";

/// Variables of that kind that builds and tests use, and are no settings.
const OF_BUILDS: [&str; 2] = ["target_dir", "train"];

/// Keys whose value is text: the value of a variable is taken as it stands.
const TEXTS: [&str; 6] = [
    "pack",
    "classes",
    "calibration",
    "text_model",
    "clock",
    "http",
];

/// One layer: a configuration that says as much as it likes.
type Layer = Config<Option<SourceConfig>>;

impl Layer {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse_layer(&std::fs::read_to_string(path)?)
    }

    fn parse_layer(text: &str) -> Result<Self, ConfigError> {
        let layer: Self = from_toml(text)?;
        for (index, stream) in layer.streams.iter().enumerate() {
            let mut before = layer.streams[..index].iter();
            if before.any(|other| other.name == stream.name) {
                let name = stream.name.clone();
                return Err(ConfigError::Twice { name });
            }
            stream.check_numbers()?;
            if let Some(source) = &stream.source {
                source.check(&stream.name)?;
            }
        }
        layer.check_numbers()?;
        Ok(layer)
    }

    /// The layer of the variables of an environment.
    fn of_variables(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut whole = toml::Table::new();
        let mut events = toml::Table::new();
        let mut layer = Self::new(Vec::new());
        for (name, value) in variables {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let key = key.to_lowercase();
            if value.is_empty() || OF_BUILDS.contains(&key.as_str()) {
                continue;
            }
            let variable = |message: String| ConfigError::Variable {
                name: name.to_string_lossy().into_owned(),
                message,
            };
            let Some(text) = value.to_str() else {
                return Err(variable("its value is not UTF-8".to_owned()));
            };
            let (table, key) = match key.strip_prefix(EVENTS) {
                Some(key) => (&mut events, key.to_owned()),
                None => (&mut whole, key),
            };
            table.insert(key.clone(), value_of(&key, text));
            // One by one, so that an error is of this variable.
            let read = || -> Result<Self, toml::de::Error> {
                let mut whole = whole.clone();
                if !events.is_empty() {
                    whole.insert("events".to_owned(), events.clone().into());
                }
                Self::deserialize(whole)
            };
            layer = read().map_err(|error| variable(in_our_words(error.message())))?;
            if !layer.streams.is_empty() {
                return Err(variable("streams are named in files".to_owned()));
            }
            layer
                .check_numbers()
                .map_err(|error| variable(error.to_string()))?;
        }
        Ok(layer)
    }

    /// This layer with a later one above it.
    fn under(self, later: Self) -> Self {
        let mut streams = self.streams;
        for stream in later.streams {
            match streams.iter_mut().find(|known| known.name == stream.name) {
                Some(known) => *known = known.clone().under(stream),
                None => streams.push(stream),
            }
        }
        Self {
            pack: later.pack.or(self.pack),
            classes: later.classes.or(self.classes),
            calibration: later.calibration.or(self.calibration),
            text_model: later.text_model.or(self.text_model),
            clock: later.clock.or(self.clock),
            http: later.http.or(self.http),
            cores: later.cores.or(self.cores),
            streams,
            events: self.events.under(later.events),
        }
    }

    /// The configuration of all layers.
    fn whole(mut self) -> Result<Config, ConfigError> {
        let mut streams = Vec::new();
        for mut stream in std::mem::take(&mut self.streams) {
            let Some(source) = stream.source.take() else {
                let name = stream.name;
                return Err(ConfigError::NoSource { name });
            };
            let stream = stream.with_source(source);
            let modality = stream.modality()?;
            if let SourceConfig::V4l2(config) = &stream.source {
                config.video(modality)?;
            }
            streams.push(stream);
        }
        Ok(self.with_streams(streams))
    }
}

impl StreamConfig<Option<SourceConfig>> {
    fn under(self, later: Self) -> Self {
        Self {
            name: self.name,
            modality: later.modality.or(self.modality),
            source: later.source.or(self.source),
            hop_s: later.hop_s.or(self.hop_s),
            window_s: later.window_s.or(self.window_s),
            frame_id: later.frame_id.or(self.frame_id),
            priority: later.priority.or(self.priority),
            retry_s: later.retry_s.or(self.retry_s),
            pack: later.pack.or(self.pack),
            space: later.space.or(self.space),
        }
    }
}

impl EventsConfig {
    fn under(self, later: Self) -> Self {
        Self {
            median_windows: later.median_windows.or(self.median_windows),
            enter: later.enter.or(self.enter),
            exit: later.exit.or(self.exit),
            min_duration_s: later.min_duration_s.or(self.min_duration_s),
            cool_down_s: later.cool_down_s.or(self.cool_down_s),
            update_every_s: later.update_every_s.or(self.update_every_s),
            max_gap_s: later.max_gap_s.or(self.max_gap_s),
            merge_within_s: later.merge_within_s.or(self.merge_within_s),
        }
    }
}

impl Config {
    /// Reads and checks a configuration file, with the files of `conf.d` beside it and the variables
    /// that are given.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with them, and where.
    pub fn open(
        path: &Path,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let within = |path: &Path| {
            let path = path.to_owned();
            move |source| ConfigError::In {
                path,
                source: Box::new(source),
            }
        };
        let mut layer = Layer::read(path).map_err(within(path))?;
        for path in files_beside(path)? {
            layer = layer.under(Layer::read(&path).map_err(within(&path))?);
        }
        let config = layer.under(Layer::of_variables(variables)?).whole();
        let config = config.map_err(within(path))?;
        if config.streams.is_empty() {
            return Err(within(path)(ConfigError::NoStream));
        }
        Ok(config)
    }

    /// As [`open`](Self::open), of one file in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config = Layer::parse_layer(text)?.whole()?;
        if config.streams.is_empty() {
            return Err(ConfigError::NoStream);
        }
        Ok(config)
    }

    /// The same with the variables of an environment above it.
    ///
    /// # Errors
    ///
    /// The first of them that is no setting.
    pub fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let streams = std::mem::take(&mut self.streams);
        let layer = self.with_streams(Vec::new());
        let layer = layer.under(Layer::of_variables(variables)?);
        Ok(layer.with_streams(streams))
    }
}

/// The files of `conf.d` beside a file, in order; none if there is no such folder.
///
/// # Errors
///
/// It cannot be read.
pub fn files_beside(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new("")).join(FOLDER);
    let unread = |source: std::io::Error| ConfigError::In {
        path: folder.clone(),
        source: Box::new(source.into()),
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(unread)?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            files.push(name);
        }
    }
    files.sort();
    Ok(files.into_iter().map(|name| folder.join(name)).collect())
}

/// What a variable says of a key: a number where the key takes one.
fn value_of(key: &str, text: &str) -> toml::Value {
    let as_text = || toml::Value::String(text.to_owned());
    if TEXTS.contains(&key) {
        return as_text();
    }
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => toml::Value::Integer(whole),
        (_, Ok(number)) => toml::Value::Float(number),
        _ => as_text(),
    }
}

#[cfg(test)]
mod tests;

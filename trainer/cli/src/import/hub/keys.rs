//! JSON files whose every key has to be understood: one that is not may change numbers.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The keys of a JSON object that nobody has asked for yet.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What errors call it.
    place: String,
    left: Map<String, Value>,
}

/// Reads a JSON file.
///
/// # Errors
///
/// A file that is missing, or none of JSON.
pub fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    serde_json::from_str(&text).with_context(|| format!("{path:?} is not JSON"))
}

impl Keys {
    /// Those of a file.
    ///
    /// # Errors
    ///
    /// A file that is missing, or holds no JSON object.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::of(format!("{path:?}"), read_json(path)?)
    }

    /// Those of a file, if there is one.
    ///
    /// # Errors
    ///
    /// A file that holds no JSON object.
    pub fn open_if(path: PathBuf) -> anyhow::Result<Option<Self>> {
        if path.is_file() {
            Self::open(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Those of a value, which errors call by its place.
    ///
    /// # Errors
    ///
    /// A value that is no object.
    pub fn of(place: String, value: Value) -> anyhow::Result<Self> {
        match value {
            Value::Object(left) => Ok(Self { place, left }),
            _ => bail!("{place} is not a JSON object"),
        }
    }

    /// What errors call it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether a key is there that nobody has asked for yet.
    pub fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// A word that stays there to be asked for.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.left.get(key)?.as_str()
    }

    /// Whether a key is true, which stays there to be asked for.
    pub fn is_true(&self, key: &str) -> bool {
        self.left.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// The value of a key; none if it is not there, or null.
    ///
    /// # Errors
    ///
    /// A value of another kind.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> anyhow::Result<Option<T>> {
        let value = self.left.remove(key).filter(|value| !value.is_null());
        let parse = |value: Value| {
            let shown = value.to_string();
            serde_json::from_value(value)
                .with_context(|| format!("{}: {key:?} is {shown}", self.place))
        };
        value.map(parse).transpose()
    }

    /// As [`take`](Self::take), of a key that has to be there.
    ///
    /// # Errors
    ///
    /// None, or a value of another kind.
    pub fn expect<T: DeserializeOwned>(&mut self, key: &str) -> anyhow::Result<T> {
        let value = self.take(key)?;
        value.with_context(|| format!("{} has no {key:?}", self.place))
    }

    /// The value of a key that is an object, as keys of its own.
    ///
    /// # Errors
    ///
    /// A value of another kind.
    pub fn within(&mut self, key: &str) -> anyhow::Result<Option<Self>> {
        let value = self.left.remove(key).filter(|value| !value.is_null());
        let place = format!("{}: {key:?}", self.place);
        value.map(|value| Self::of(place, value)).transpose()
    }

    /// A key that may only have one value, or be left out.
    ///
    /// # Errors
    ///
    /// Another value.
    pub fn only(&mut self, key: &str, expected: impl Into<Value>) -> anyhow::Result<()> {
        let expected = expected.into();
        match self.take::<Value>(key)? {
            Some(found) if found != expected => bail!(
                "{}: {key:?} is {found}, expected {expected}: nothing else is known here",
                self.place
            ),
            _ => Ok(()),
        }
    }

    /// Keys that change no number.
    pub fn pass(&mut self, keys: &[&str]) {
        self.left.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Whether all keys were asked for; those that are null, or ask to `do_` nothing, do not count.
    ///
    /// # Errors
    ///
    /// The first that was not.
    pub fn finish(self) -> anyhow::Result<()> {
        let asks_nothing = |(key, value): &(&String, &Value)| {
            value.is_null() || (key.starts_with("do_") && **value == Value::Bool(false))
        };
        let unknown = self.left.iter().find(|entry| !asks_nothing(entry));
        ensure!(
            unknown.is_none(),
            "{}: key {:?} is not understood, and may change numbers",
            self.place,
            unknown.map_or("", |(key, _)| key.as_str())
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(value: Value) -> Keys {
        Keys::of("here".to_owned(), value).unwrap()
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_refused_by_name() {
        let mut all = keys(json!({"a": 1, "b": null, "do_c": false, "d": {"e": 2}, "name": "x"}));
        assert_eq!(all.take::<u32>("a").unwrap(), Some(1));
        assert_eq!(all.take::<u32>("b").unwrap(), None);
        let mut within = all.within("d").unwrap().unwrap();
        assert_eq!(within.expect::<u32>("e").unwrap(), 2);
        within.finish().unwrap();
        let error = all.clone().finish().unwrap_err().to_string();
        assert_eq!(
            error,
            "here: key \"name\" is not understood, and may change numbers"
        );
        all.pass(&["name"]);
        all.finish().unwrap();
    }

    #[test]
    fn values_are_what_is_expected() {
        let mut all = keys(json!({"a": "x", "b": true}));
        let error = format!("{:#}", all.take::<u32>("a").unwrap_err());
        assert!(error.starts_with("here: \"a\" is \"x\": "), "{error}");
        let error = all.expect::<u32>("c").unwrap_err().to_string();
        assert_eq!(error, "here has no \"c\"");
        assert!(keys(json!({"b": true})).only("b", true).is_ok());
        let error = all.only("b", false).unwrap_err().to_string();
        assert!(error.starts_with("here: \"b\" is true, expected false"));
        assert!(Keys::of("here".to_owned(), json!([1])).is_err());
    }
}

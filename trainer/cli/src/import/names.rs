//! The names of a tagger's outputs.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use sensorium_engine::classes::{Class, Classes};
use sensorium_pack::Modality;

/// Columns that hold names, the best first; AudioSet's file has the first of them.
const COLUMNS: [&str; 4] = ["display_name", "name", "label", "class"];

/// The names in a file, in the order of the outputs: a CSV file with a column of names, or a text
/// file with a name a line.
///
/// # Errors
///
/// A file that cannot be read or holds no name, or an empty name.
pub fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    let is_csv = path.extension().is_some_and(|extension| extension == "csv");
    let names = if is_csv {
        column(&text).with_context(|| format!("{path:?}"))?
    } else {
        text.lines().map(|line| line.trim().to_owned()).collect()
    };
    ensure!(!names.is_empty(), "{path:?} holds no name");
    match names.iter().position(String::is_empty) {
        None => Ok(names),
        Some(at) => bail!("{path:?}: name {} is empty", at + 1),
    }
}

fn column(text: &str) -> anyhow::Result<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let places = COLUMNS.iter();
    let mut places = places.filter_map(|name| header.iter().position(|column| column == *name));
    let place = places.next().with_context(|| {
        let found: Vec<&str> = header.iter().collect();
        format!("its columns are {found:?}, expected one of {COLUMNS:?}")
    })?;
    let name = |row: csv::Result<csv::StringRecord>| Ok(row?[place].trim().to_owned());
    reader.records().map(name).collect()
}

/// The name as words, and what it is made of: `Baby cry, infant cry` is also a baby cry, and an
/// infant cry.
pub fn parts(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let mut parts: Vec<String> = Vec::new();
    let pieces = name.split(['(', ')']).flat_map(|piece| piece.split(", "));
    for piece in pieces.map(|piece| piece.trim().trim_matches(',').trim()) {
        if !piece.is_empty() && piece != name && !parts.iter().any(|part| part == piece) {
            parts.push(piece.to_owned());
        }
    }
    parts
}

/// Each name is a class, said as `said` has it.
pub fn as_classes(names: &[String], modality: Modality, said: impl Fn(&str) -> String) -> Classes {
    let mut known = std::collections::BTreeSet::new();
    let names = names.iter().filter(|name| known.insert(name.as_str()));
    let class = |name: &String| Class {
        name: name.clone(),
        prompts: vec![said(name)],
        modalities: vec![modality],
        ..Class::default()
    };
    Classes {
        classes: names.map(class).collect(),
        ..Classes::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(file: &str, text: &str) -> anyhow::Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn names_come_from_a_column_or_from_lines() {
        let csv = "index,mid,display_name\n0,/m/1,Speech\n1,/m/2,\"Male speech, man\"\n";
        assert_eq!(
            read_text("a.csv", csv).unwrap(),
            ["Speech", "Male speech, man"]
        );
        assert_eq!(read_text("a.txt", "dog\n cat \n").unwrap(), ["dog", "cat"]);
        let error = |file, text| format!("{:#}", read_text(file, text).unwrap_err());
        assert!(error("a.csv", "a,b\n1,2\n").contains("its columns are [\"a\", \"b\"]"));
        assert!(error("a.csv", "name\n").contains("holds no name"));
        assert!(error("a.txt", "dog\n\ncat\n").contains("name 2 is empty"));
    }

    #[test]
    fn a_name_of_several_is_each_of_them() {
        assert_eq!(parts("Speech"), [""; 0]);
        assert_eq!(parts("Baby cry, infant cry"), ["baby cry", "infant cry"]);
        assert_eq!(parts("Cluck (hen, cock)"), ["cluck", "hen", "cock"]);
    }
}

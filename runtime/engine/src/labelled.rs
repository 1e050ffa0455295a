//! Tables of files that somebody labelled, to measure classes on recordings of one's own.
//!
//! ```text
//! file,label
//! dogs/one.flac,dog bark
//! ```
//!
//! The first line names the columns: `label`, and `file` or the name of the sense. Other columns are not
//! read. Paths count from the folder of the table.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use sensorium_pack::Modality;
use thiserror::Error;

/// The column of labels.
const LABEL: &str = "label";

/// The column of files, unless it has the name of the sense.
const FILE: &str = "file";

/// A file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledFile {
    /// The file.
    pub path: PathBuf,
    /// Its label.
    pub label: String,
}

/// Why a file is no such table.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabelledError {
    /// The file cannot be opened.
    #[error("cannot open {path:?}")]
    Open {
        /// The table.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The rows cannot be read: bytes that are not text, or rows of different lengths.
    #[error("{path:?} is not a CSV file")]
    Rows {
        /// The table.
        path: PathBuf,
        /// What the parser said.
        source: csv::Error,
    },
    /// A column is missing.
    #[error("{path:?}, line 1: no column {expected}; the header is {header:?}")]
    Header {
        /// The table.
        path: PathBuf,
        /// The names that the column may have.
        expected: String,
        /// What the first line holds.
        header: String,
    },
    /// A row leaves its file or label open.
    #[error("{path:?}, line {line}: no {column}")]
    Field {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// There is a header and nothing else.
    #[error("{path:?} holds no file")]
    Empty {
        /// The table.
        path: PathBuf,
    },
}

impl LabelledFile {
    /// All files of a table, in its order.
    ///
    /// # Errors
    ///
    /// The first line that is not as it should be.
    pub fn table(path: &Path, sense: Modality) -> Result<Vec<Self>, LabelledError> {
        let rows = |source| LabelledError::Rows {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(|source| LabelledError::Open {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(file);
        let header = reader.headers().map_err(rows)?.clone();
        let sense = sense.to_string();
        let column = |names: &[&str]| {
            let column = header.iter().position(|name| names.contains(&name));
            column.ok_or_else(|| LabelledError::Header {
                path: path.to_owned(),
                expected: names.join(" or "),
                header: header.iter().collect::<Vec<_>>().join(","),
            })
        };
        let (file, label) = (column(&[FILE, &sense])?, column(&[LABEL])?);
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(rows)? {
            let field = |column: usize, name| match record.get(column) {
                Some(field) if !field.is_empty() => Ok(field),
                _ => Err(LabelledError::Field {
                    path: path.to_owned(),
                    line: record.position().map_or(0, csv::Position::line),
                    column: name,
                }),
            };
            files.push(Self {
                path: folder.join(field(file, FILE)?),
                label: field(label, LABEL)?.to_owned(),
            });
        }
        if files.is_empty() {
            return Err(LabelledError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

    use super::*;

    fn table(text: &[u8]) -> Result<Vec<LabelledFile>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let files = LabelledFile::table(&path, Modality::Audio).map_err(|error| error.to_string());
        let near = format!("{:?}", folder.path().to_str().unwrap());
        let near = near.trim_matches('"');
        files
            .map(|mut files| {
                for file in &mut files {
                    file.path = file.path.strip_prefix(folder.path()).unwrap().to_owned();
                }
                files
            })
            .map_err(|error| error.replace(near, ""))
    }

    #[test]
    fn files_lie_beside_their_table() {
        let expected = LabelledFile {
            path: "a/b.wav".into(),
            label: "dog, bark".into(),
        };
        for text in [
            "file,label\na/b.wav,\"dog, bark\"\n",
            "seconds,label,audio\n3,\"dog, bark\", a/b.wav\n",
        ] {
            assert_eq!(table(text.as_bytes()), Ok(vec![expected.clone()]));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &[u8]| table(text).unwrap_err();
        assert_eq!(
            error(b"image,label\na,b\n"),
            "\"/t.csv\", line 1: no column file or audio; the header is \"image,label\""
        );
        assert_eq!(
            error(b"file,name\na,b\n"),
            "\"/t.csv\", line 1: no column label; the header is \"file,name\""
        );
        assert_eq!(
            error(b"file,label\na,b\n ,b\n"),
            "\"/t.csv\", line 3: no file"
        );
        assert_eq!(error(b"file,label\na,\n"), "\"/t.csv\", line 2: no label");
        assert_eq!(error(b"file,label\n"), "\"/t.csv\" holds no file");
        assert_eq!(
            error(b""),
            "\"/t.csv\", line 1: no column file or audio; the header is \"\""
        );
        assert_eq!(error(b"file,label\na\n"), "\"/t.csv\" is not a CSV file");
        assert_eq!(
            error(b"file,label\na,\xff\n"),
            "\"/t.csv\" is not a CSV file"
        );
    }
}

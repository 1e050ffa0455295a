//! Writing that lasts as long as sensing does: a disk that is full or read-only ends neither.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// Where whole lines are written to, one at a time. What cannot be written is counted, and told when it
/// begins and when it is over.
#[derive(Debug)]
pub struct Lasting<W> {
    to: W,
    name: String,
    /// Whether it lasts; else what cannot be written is an error.
    lasts: bool,
    /// Writes that failed.
    lost: u64,
    /// Why the last one did, if it did.
    failed: Option<io::Error>,
}

/// A file that is made when it can be.
#[derive(Debug)]
pub struct LateFile {
    path: PathBuf,
    file: Option<File>,
}

impl LateFile {
    /// Makes a file in the place of another.
    ///
    /// # Errors
    ///
    /// It cannot be made, for another reason than a disk that is full or read-only now.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = match File::create(path) {
            Err(error) if is_of_disk(error.kind()) => None,
            created => Some(created?),
        };
        let path = path.to_owned();
        Ok(Self { path, file })
    }
}

impl Write for LateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => self.file.insert(File::create(&self.path)?).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Lasting<W> {
    /// Lines to `to`, which is called `name`. What is only recorded can be played again: its writing need
    /// not last.
    pub fn new(to: W, name: String, lasts: bool) -> Self {
        Self {
            to,
            name,
            lasts,
            lost: 0,
            failed: None,
        }
    }

    /// Says at the end what is lacking.
    ///
    /// # Errors
    ///
    /// Anything is.
    pub fn end(&mut self) -> anyhow::Result<()> {
        let lost = self.lost;
        let told = match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        };
        told.with_context(|| format!("{}: {lost} writes failed", self.name))?;
        ensure!(lost == 0, "{}: {lost} writes failed", self.name);
        Ok(())
    }

    /// Takes note of a failure that does not end anything.
    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        // Who reads no more wants no more.
        if !self.lasts || error.kind() == ErrorKind::BrokenPipe {
            return Err(error);
        }
        self.lost += 1;
        if self.failed.is_none() {
            say!("{}: {error}; sensing goes on without it", self.name);
        }
        self.failed = Some(error);
        Ok(())
    }
}

impl<W: Write> Write for Lasting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // What was cut short is a line of its own.
        let separator: &[u8] = if self.failed.is_some() { b"\n" } else { b"" };
        let written = self.to.write_all(separator);
        match written.and_then(|()| self.to.write_all(line)) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    say!("{}: it can be written again", self.name);
                }
            }
            Err(error) => self.fail(error)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.to.flush() {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }
}

/// Whether a disk says so that may be well later.
fn is_of_disk(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull | ErrorKind::ReadOnlyFilesystem | ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for some bytes.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend(&bytes[..fits]);
            match fits {
                0 if !bytes.is_empty() => Err(ErrorKind::StorageFull.into()),
                fits => Ok(fits),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_go_on_once_there_is_room() {
        let disk = Disk {
            bytes: Vec::new(),
            room: 6,
        };
        let mut lines = Lasting::new(disk, "the log".to_owned(), true);
        for line in ["one\n", "two\n", "three\n"] {
            lines.write_all(line.as_bytes()).unwrap();
        }
        lines.to.room = 100;
        lines.write_all(b"four\n").unwrap();
        lines.write_all(b"five\n").unwrap();
        assert_eq!(lines.to.bytes, b"one\ntw\nfour\nfive\n");
        let error = lines.end().unwrap_err().to_string();
        assert_eq!(error, "the log: 2 writes failed");
    }

    #[test]
    fn who_reads_no_more_ends_it() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = Lasting::new(writer, "the log".to_owned(), true).write(b"x\n");
        assert_eq!(error.unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_file_that_cannot_be_is_an_error_at_once() {
        let error = LateFile::create("/nonexistent/events".as_ref()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

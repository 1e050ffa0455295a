//! A node on a serial port: a tty of the system, or a pty.

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serialport::SerialPort;

use super::node::NodeReader;
use super::retry::Retry;
use super::{Feed, Signal, Source, SourceError};

/// Longest wait for a byte before looking whether to stop.
const TIMEOUT: Duration = Duration::from_millis(50);

/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// A serial port that a node talks on.
pub struct Serial {
    port: Box<dyn SerialPort>,
    path: PathBuf,
    baud: u32,
    retry: Retry,
}

impl std::fmt::Debug for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serial")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Serial {
    /// Opens a port. One that goes away later is not waited for.
    ///
    /// # Errors
    ///
    /// There is none, it may not be used, or it is no serial port.
    pub fn open(path: &Path, baud: u32) -> Result<Self, SourceError> {
        Ok(Self {
            port: open(path, baud)?,
            path: path.to_owned(),
            baud,
            retry: Retry::For(Duration::ZERO),
        })
    }

    /// The same, waited for when it goes away.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Reads until the node says that it has ended, or nobody listens any more.
    fn read(&mut self, reader: &mut NodeReader, feed: Feed<'_>) -> Result<(), std::io::Error> {
        let mut bytes = [0; CHUNK];
        let mut go_on = true;
        while go_on && !feed.is_stopped() && !reader.has_ended() {
            let len = match self.port.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if is_momentary(error.kind()) => continue,
                read => read?,
            };
            reader.read(&bytes[..len], now_ns(), |signal| go_on &= feed.push(signal));
        }
        Ok(())
    }
}

fn open(path: &Path, baud: u32) -> Result<Box<dyn SerialPort>, SourceError> {
    let opened = serialport::new(path.to_string_lossy(), baud)
        .timeout(TIMEOUT)
        .open();
    let mut port = opened.map_err(|source| SourceError::Open {
        port: path.to_owned(),
        source,
    })?;
    // A node that waits for its reader begins at the first byte. One that does not listen loses
    // nothing; neither does this side, so an error shows when reading.
    let _ = port.write_all(&[0]);
    Ok(port)
}

impl Source for Serial {
    fn run(mut self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        // The node's numbers go on where they were, unless it began anew.
        let mut reader = NodeReader::new();
        'plugged: while let Err(source) = self.read(&mut reader, feed) {
            let mut backoff = self.retry.begin();
            if !feed.push(Signal::Gone) {
                break;
            }
            while backoff.wait(feed) {
                if let Ok(port) = open(&self.path, self.baud) {
                    self.port = port;
                    continue 'plugged;
                }
            }
            if feed.is_stopped() {
                break;
            }
            let port = self.path;
            return Err(SourceError::Unplugged { port, source });
        }
        Ok(())
    }
}

fn is_momentary(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock
    )
}

/// Nanoseconds of the host's clock since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

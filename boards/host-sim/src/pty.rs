use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

/// How long a write waits for room before it looks around.
const WRITE_TIMEOUT: Duration = Duration::from_millis(50);
/// Between two looks at what the reader has left.
const LOOK: Duration = Duration::from_millis(10);
/// The kernel moves bytes from one end to the other in the background; when the reader's end is
/// empty so many times in a row, nothing is under way any more.
const LOOKS: u32 = 10;

/// Patience with the reader once somebody wants an end.
const STOPPED_PATIENCE: Duration = Duration::from_secs(1);

/// A serial port without hardware: the simulator holds one end, and a reader opens the other by its
/// path as it would a device.
///
/// # How no byte is lost
///
/// The reader's end is raw (no echo, no line discipline) and the simulator keeps it open itself, so
/// what is written before a reader comes is kept, some tens of kilobytes of it; then the pty is
/// full, which is back-pressure or, at a finite [`Speed`](crate::Speed), loss that the node counts.
/// A reader that discards its input when it opens a port (pyserial does, the serialport crate and
/// `cat` do not) would lose the beginning; for such, [`wait_for_reader`](Self::wait_for_reader)
/// holds the node back until the reader has written a byte, for which a single `0x00` will do.
///
/// At the end [`wait_until_drained`](Self::wait_until_drained) waits until the reader has taken
/// everything, because closing the pty discards what it has not. After that the reader sees the port
/// hang up, well behind the node's last [`End`](sensorium_wire::End).
#[derive(Debug)]
pub struct Pty {
    node_end: TTYPort,
    reader_end: TTYPort,
    path: String,
}

impl Pty {
    /// A new pair of ends.
    ///
    /// # Errors
    ///
    /// If the system has no pty to give.
    pub fn open() -> serialport::Result<Self> {
        let (node_end, reader_end) = TTYPort::pair()?;
        // Copies that no process started from here inherits, or the reader would not see the port
        // hang up while one of those runs.
        let (mut node_end, reader_end) =
            (node_end.try_clone_native()?, reader_end.try_clone_native()?);
        node_end.set_timeout(WRITE_TIMEOUT)?;
        let path = reader_end.name().ok_or_else(|| {
            serialport::Error::new(serialport::ErrorKind::NoDevice, "the pty has no name")
        })?;
        Ok(Self {
            node_end,
            reader_end,
            path,
        })
    }

    /// The path that a reader opens.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// The node's end, for writing. Times out after a moment when the pty is full.
    ///
    /// # Errors
    ///
    /// If the system has no file descriptor to give.
    pub fn writer(&self) -> serialport::Result<TTYPort> {
        self.node_end.try_clone_native()
    }

    /// Waits until a reader has written something, or `stop` is set; returns whether one has.
    ///
    /// # Errors
    ///
    /// If the pty cannot be read.
    pub fn wait_for_reader(&mut self, stop: &AtomicBool) -> std::io::Result<bool> {
        while !stop.load(Ordering::Relaxed) {
            match self.node_end.read(&mut [0; 64]) {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error)
                    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Waits until the reader has taken everything, as long as it takes something every `patience`;
    /// returns whether it has.
    ///
    /// # Errors
    ///
    /// If the pty cannot be asked.
    pub fn wait_until_drained(&self, patience: Duration) -> serialport::Result<bool> {
        self.wait_until_drained_or_stopped(patience, &AtomicBool::new(false))
    }

    /// As [`wait_until_drained`](Self::wait_until_drained), with at most a second of patience once
    /// `stop` is set.
    ///
    /// # Errors
    ///
    /// If the pty cannot be asked.
    pub fn wait_until_drained_or_stopped(
        &self,
        patience: Duration,
        stop: &AtomicBool,
    ) -> serialport::Result<bool> {
        let (mut empty, mut left_before, mut moved) = (0, 0, Instant::now());
        loop {
            let left = self.reader_end.bytes_to_read()?;
            empty = if left == 0 { empty + 1 } else { 0 };
            if empty == LOOKS {
                return Ok(true);
            }
            if left != left_before {
                (left_before, moved) = (left, Instant::now());
            }
            let patience = match stop.load(Ordering::Relaxed) {
                true => patience.min(STOPPED_PATIENCE),
                false => patience,
            };
            if left != 0 && moved.elapsed() > patience {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }
}

//! Links for the node that end in a [`std::io::Write`].

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use embedded_io::{ErrorType, Write, WriteReady};

/// How long a [`Blocking`] link waits unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// A link that waits until the writer has room: back-pressure instead of loss.
#[derive(Debug)]
pub struct Blocking<'a, W> {
    writer: W,
    stop: &'a AtomicBool,
    patience: Duration,
    /// When the writer was found full, if it has taken nothing since.
    full_since: Option<Instant>,
}

impl<'a, W: io::Write> Blocking<'a, W> {
    /// A link into `writer`. A writer that has no room may block or time out; it is asked again
    /// until it takes something, `stop` is set, or a minute has passed. Then the link fails.
    pub fn new(writer: W, stop: &'a AtomicBool) -> Self {
        Self {
            writer,
            stop,
            patience: PATIENCE,
            full_since: None,
        }
    }

    /// Waits for so long instead for a writer that takes nothing. Once that has passed, the writer
    /// is asked just once a write until it takes something again.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

impl<W> ErrorType for Blocking<'_, W> {
    type Error = io::Error;
}

impl<W: io::Write> Write for Blocking<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            let error = match take(&mut self.writer, buf) {
                Ok(took) => {
                    self.full_since = None;
                    return Ok(took);
                }
                Err(error) => error,
            };
            let since = *self.full_since.get_or_insert_with(Instant::now);
            let goes_on = since.elapsed() < self.patience && !self.stop.load(Ordering::Relaxed);
            if !(is_full(&error) && goes_on) {
                return Err(error);
            }
            std::thread::sleep(MOMENT);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W: io::Write> WriteReady for Blocking<'_, W> {
    fn write_ready(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

/// Writes that wait for the thread at most: some seconds of one inertial sensor.
const WRITES_QUEUED: usize = 32;

/// A link that never waits, like a UART with a buffer: a thread does the writing, and when it falls
/// behind, the link is full.
#[derive(Debug)]
pub struct Buffered {
    /// `None` once nothing more will come.
    queue: Option<SyncSender<Vec<u8>>>,
    /// A write that found the queue full.
    refused: Option<Vec<u8>>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What the two sides of a [`Buffered`] link tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// Nobody waits any more for what is unwritten.
    abandoned: AtomicBool,
    /// The writer has failed, or was abandoned with something unwritten.
    broken: AtomicBool,
    /// Bytes that the writer has taken.
    written: AtomicU64,
}

impl Buffered {
    /// A link into `writer`. The writer may block or time out; it should do the latter after a
    /// moment if [`finish`](Self::finish) is to end the thread when nobody reads.
    pub fn new(writer: impl io::Write + Send + 'static) -> Self {
        let (queue, writes) = sync_channel(WRITES_QUEUED);
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || write_all(writer, &writes, &shared))
        };
        Self {
            queue: Some(queue),
            refused: None,
            shared,
            thread,
        }
    }

    /// Waits until all is written, as long as the writer takes something every `patience`; returns
    /// whether it is. Nothing can be written after that.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let (mut written, mut moved) = (0, Instant::now());
        while !self.thread.is_finished() && moved.elapsed() < patience {
            if self.is_ready() {
                self.queue = None;
            }
            let now = self.shared.written.load(Ordering::Relaxed);
            if now != written {
                (written, moved) = (now, Instant::now());
            }
            std::thread::sleep(MOMENT);
        }
        self.queue = None;
        self.shared.abandoned.store(true, Ordering::Relaxed);
        self.refused.is_none()
            && self.thread.is_finished()
            && !self.shared.broken.load(Ordering::Relaxed)
    }

    /// Hands over the write that was refused; returns whether there is none left.
    fn is_ready(&mut self) -> bool {
        let Some(bytes) = self.refused.take() else {
            return true;
        };
        self.enqueue(bytes);
        self.refused.is_none()
    }

    fn enqueue(&mut self, bytes: Vec<u8>) {
        let refused = match &self.queue {
            Some(queue) => queue.try_send(bytes),
            None => Err(TrySendError::Disconnected(bytes)),
        };
        self.refused = match refused {
            Ok(()) => None,
            Err(TrySendError::Full(bytes) | TrySendError::Disconnected(bytes)) => Some(bytes),
        };
    }
}

impl ErrorType for Buffered {
    type Error = io::Error;
}

impl Write for Buffered {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        while !self.write_ready()? {
            std::thread::sleep(MOMENT);
        }
        self.enqueue(buf.to_vec());
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteReady for Buffered {
    fn write_ready(&mut self) -> io::Result<bool> {
        if self.queue.is_none() || self.thread.is_finished() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        Ok(self.is_ready())
    }
}

/// Between two looks at something that another thread changes.
const MOMENT: Duration = Duration::from_millis(1);

fn write_all(mut writer: impl io::Write, writes: &Receiver<Vec<u8>>, shared: &Shared) {
    while let Ok(bytes) = writes.recv() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match take(&mut writer, rest) {
                Ok(took) => {
                    rest = rest.get(took..).unwrap_or_default();
                    shared.written.fetch_add(took as u64, Ordering::Relaxed);
                }
                Err(error) if is_full(&error) && !shared.abandoned.load(Ordering::Relaxed) => {
                    std::thread::sleep(MOMENT);
                }
                // Nobody reads: the node finds the link broken.
                Err(_) => {
                    shared.broken.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

/// One write, which takes something or fails.
fn take(writer: &mut impl io::Write, buf: &[u8]) -> io::Result<usize> {
    match writer.write(buf) {
        Ok(0) if !buf.is_empty() => Err(ErrorKind::WriteZero.into()),
        wrote => wrote,
    }
}

fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A writer that has room for a while, takes three bytes at a time, and is full otherwise.
    #[derive(Debug, Clone, Default)]
    struct Slow {
        taken: Arc<Mutex<Vec<u8>>>,
        room: Arc<Mutex<usize>>,
    }

    impl io::Write for Slow {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let took = buf.len().min(3).min(*room);
            if took == 0 {
                return Err(ErrorKind::TimedOut.into());
            }
            *room -= took;
            self.taken.lock().unwrap().extend(&buf[..took]);
            Ok(took)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn buffered_is_full_rather_than_slow() {
        let slow = Slow::default();
        let mut link = Buffered::new(slow.clone());
        let mut wrote = 0;
        while link.write_ready().unwrap() {
            wrote += link.write(b"0123456789").unwrap();
        }
        // The queue, the write that found it full, and the one in the thread's hands.
        assert!((330..=340).contains(&wrote), "{wrote}");
        assert!(!link.finish(Duration::from_millis(20)));

        let slow = Slow::default();
        let mut link = Buffered::new(slow.clone());
        link.write(b"0123456789").unwrap();
        *slow.room.lock().unwrap() = 5;
        while *slow.room.lock().unwrap() > 0 {
            std::thread::sleep(MOMENT);
        }
        *slow.room.lock().unwrap() = 5;
        assert!(link.finish(Duration::from_secs(10)));
        assert!(link.write(b"more").is_err());
        assert_eq!(*slow.taken.lock().unwrap(), b"0123456789");
    }

    #[test]
    fn blocking_waits_until_told_to_stop() {
        let (slow, stop) = (Slow::default(), AtomicBool::new(false));
        *slow.room.lock().unwrap() = 2;
        let mut link = Blocking::new(slow.clone(), &stop);
        assert!(link.write_ready().unwrap());
        assert_eq!(link.write(b"abc").unwrap(), 2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| link.write(b"c").unwrap());
            *slow.room.lock().unwrap() = 1;
            assert_eq!(waits.join().unwrap(), 1);
        });
        stop.store(true, Ordering::Relaxed);
        assert_eq!(link.write(b"d").unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(*slow.taken.lock().unwrap(), b"abc");
    }

    #[test]
    fn blocking_gives_up_on_a_writer_that_takes_nothing() {
        let (slow, stop) = (Slow::default(), AtomicBool::new(false));
        let mut link = Blocking::new(slow.clone(), &stop).with_patience(Duration::from_millis(30));
        let start = Instant::now();
        assert_eq!(link.write(b"a").unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(30));
        let again = Instant::now();
        assert!(link.write(b"a").is_err());
        assert!(again.elapsed() < Duration::from_secs(10));
        *slow.room.lock().unwrap() = 1;
        assert_eq!(link.write(b"a").unwrap(), 1);
    }

    /// A writer that is full for good says so by taking nothing.
    #[test]
    fn a_full_slice_is_an_error_and_no_endless_loop() {
        let (mut room, stop) = ([0; 4], AtomicBool::new(false));
        let mut link = Blocking::new(&mut room[..], &stop);
        assert_eq!(link.write(b"abcdef").unwrap(), 4);
        let error = link.write(b"ef").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);

        struct Never;
        impl io::Write for Never {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Ok(0)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut link = Buffered::new(Never);
        link.write(b"lost").unwrap();
        while link.write_ready().is_ok() {
            std::thread::sleep(MOMENT);
        }
        assert!(link.write(b"more").is_err());
        assert!(!link.finish(Duration::from_secs(10)));
    }
}

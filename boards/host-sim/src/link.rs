//! Links for the node that end in a [`std::io::Write`].

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use embedded_io::{ErrorType, Write, WriteReady};

/// A link that waits until the writer has room: back-pressure instead of loss.
#[derive(Debug)]
pub struct Blocking<'a, W> {
    writer: W,
    stop: &'a AtomicBool,
}

impl<'a, W: io::Write> Blocking<'a, W> {
    /// A link into `writer`. A writer that has no room may block or time out; it is asked again
    /// until it takes something or `stop` is set.
    pub fn new(writer: W, stop: &'a AtomicBool) -> Self {
        Self { writer, stop }
    }
}

impl<W> ErrorType for Blocking<'_, W> {
    type Error = io::Error;
}

impl<W: io::Write> Write for Blocking<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            match self.writer.write(buf) {
                Err(error) if is_full(&error) && !self.stop.load(Ordering::Relaxed) => {}
                wrote => return wrote,
            }
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
    abandoned: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Buffered {
    /// A link into `writer`. The writer may block or time out; it should do the latter after a
    /// moment if [`finish`](Self::finish) is to end the thread when nobody reads.
    pub fn new(writer: impl io::Write + Send + 'static) -> Self {
        let (queue, writes) = sync_channel(WRITES_QUEUED);
        let abandoned = Arc::new(AtomicBool::new(false));
        let thread = {
            let abandoned = Arc::clone(&abandoned);
            std::thread::spawn(move || write_all(writer, &writes, &abandoned))
        };
        Self {
            queue: Some(queue),
            refused: None,
            abandoned,
            thread,
        }
    }

    /// Waits until all is written, for `patience` at most; returns whether it is.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.is_ready() && Instant::now() < until {
            std::thread::sleep(MOMENT);
        }
        self.queue = None;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(MOMENT);
        }
        self.abandoned.store(true, Ordering::Relaxed);
        self.refused.is_none() && self.thread.is_finished()
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
        if self.thread.is_finished() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        while !self.is_ready() {
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
        Ok(self.is_ready())
    }
}

/// Between two looks at something that another thread changes.
const MOMENT: Duration = Duration::from_millis(1);

fn write_all(mut writer: impl io::Write, writes: &Receiver<Vec<u8>>, abandoned: &AtomicBool) {
    while let Ok(bytes) = writes.recv() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(took) => rest = rest.get(took..).unwrap_or_default(),
                Err(error) if is_full(&error) && !abandoned.load(Ordering::Relaxed) => {}
                // Nobody reads: the node finds the link broken.
                Err(_) => return,
            }
        }
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
}

//! Patience with a device that went away.

use std::time::{Duration, Instant};

use super::Feed;

/// First wait before looking whether a device is back.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait; each is twice the one before.
const LONGEST: Duration = Duration::from_secs(5);

/// Longest sleep before looking whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// How long a device that went away is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// Until it is back.
    #[default]
    Ever,
    /// So long; not at all if that is nothing.
    For(Duration),
}

/// One time of waiting.
#[derive(Debug)]
pub(super) struct Backoff {
    retry: Retry,
    began: Instant,
    next: Duration,
}

impl Retry {
    /// Begins to wait.
    pub(super) fn begin(self) -> Backoff {
        Backoff {
            retry: self,
            began: Instant::now(),
            next: FIRST,
        }
    }
}

impl Backoff {
    /// Waits before the next look. Returns whether to look: not if patience or the program is at its
    /// end.
    pub(super) fn wait(&mut self, feed: Feed<'_>) -> bool {
        let waits = match self.retry {
            Retry::Ever => self.next,
            Retry::For(limit) => match limit.checked_sub(self.began.elapsed()) {
                None | Some(Duration::ZERO) => return false,
                Some(left) => self.next.min(left),
            },
        };
        self.next = (2 * self.next).min(LONGEST);
        let until = Instant::now() + waits;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if feed.is_stopped() {
                return false;
            }
            std::thread::sleep(left.min(NAP));
        }
        !feed.is_stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    use crate::queue::Queue;

    #[test]
    fn patience_ends_and_so_does_the_program() {
        let (queue, stop) = (Queue::new(1), AtomicBool::new(false));
        let feed = Feed::new(&queue, &stop, true);
        assert!(!Retry::For(Duration::ZERO).begin().wait(feed));
        let mut backoff = Retry::For(Duration::from_millis(250)).begin();
        // 100 ms, 150 ms of the 200 that would follow, and no more.
        assert!(backoff.wait(feed) && backoff.wait(feed) && !backoff.wait(feed));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!Retry::Ever.begin().wait(feed));
    }
}

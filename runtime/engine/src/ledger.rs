//! What became of every sample: `sampled = received + lost + dropped`.
//!
//! A silent sensor and a quiet hour look alike unless someone keeps count. A node numbers every
//! sample since boot whether it could send it or not, and tells how many it dropped, so the host
//! knows of each one that did not come.

use std::fmt;
use std::ops::AddAssign;

use sensorium_wire::DecodeCounts;
use serde::Serialize;

/// A node that is met this soon after its boot is held to have been watched since then.
const FROM_BOOT_US: u64 = 5_000_000;

/// What became of the samples of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ledger {
    /// Taken by the sensor.
    pub sampled: u64,
    /// Arrived and went into windows.
    pub received: u64,
    /// Sent and did not arrive, or arrived damaged.
    pub lost: u64,
    /// Given up where they were, at the node or here, because what follows was too slow.
    pub dropped: u64,
    /// Link frames that arrived whole.
    pub frames: u64,
    /// Link frames that were refused.
    pub frames_refused: u64,
    /// How often the node began anew.
    pub reboots: u64,
    /// How often the device went away.
    pub disconnects: u64,
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        self.sampled += other.sampled;
        self.received += other.received;
        self.lost += other.lost;
        self.dropped += other.dropped;
        self.frames += other.frames;
        self.frames_refused += other.frames_refused;
        self.reboots += other.reboots;
        self.disconnects += other.disconnects;
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sampled = {} received + {} lost + {} dropped",
            self.sampled, self.received, self.lost, self.dropped
        )?;
        if self.frames_refused > 0 {
            let all = self.frames + self.frames_refused;
            write!(f, "; {} of {all} frames refused", self.frames_refused)?;
        }
        if self.reboots > 0 {
            write!(f, "; {} reboots", self.reboots)?;
        }
        if self.disconnects > 0 {
            write!(f, "; {} disconnects", self.disconnects)?;
        }
        Ok(())
    }
}

/// The counts of one boot of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Boot {
    /// Number of the first sample that this reader is accountable for; none before anything came.
    first: Option<u64>,
    /// Samples that the node had dropped before.
    dropped_before: u64,
    /// One past the highest sample known of.
    sampled: u64,
    /// Samples that the node has dropped.
    dropped_by_node: u64,
    received: u64,
    dropped_here: u64,
}

impl Boot {
    fn ledger(&self) -> Ledger {
        let sampled = self.sampled.saturating_sub(self.first.unwrap_or(0));
        let by_node = self.dropped_by_node.saturating_sub(self.dropped_before);
        let gone = sampled.saturating_sub(self.received + self.dropped_here);
        // What the node has dropped is missing here; until a block or status shows the rest of the
        // samples, no more can be missing than that.
        let dropped_by_node = by_node.min(gone);
        Ledger {
            sampled,
            received: self.received,
            lost: gone - dropped_by_node,
            dropped: self.dropped_here + dropped_by_node,
            ..Ledger::default()
        }
    }
}

/// Keeps the ledger of one stream.
#[derive(Debug, Clone, Default)]
pub struct Accountant {
    past: Ledger,
    boot: Boot,
    frames: DecodeCounts,
}

impl Accountant {
    /// An accountant who has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The node said how many samples it has taken and dropped by `t_dev_us`.
    pub fn node_counts(&mut self, t_dev_us: u64, sampled: u64, dropped: u64) {
        self.meet(t_dev_us, sampled, dropped);
        self.boot.sampled = self.boot.sampled.max(sampled);
        self.boot.dropped_by_node = self.boot.dropped_by_node.max(dropped);
    }

    /// A block of samples arrived.
    pub fn arrived(&mut self, t_dev_us: u64, index: u64, samples: usize) {
        self.meet(t_dev_us, index, 0);
        let end = index.saturating_add(samples as u64);
        self.boot.sampled = self.boot.sampled.max(end);
    }

    /// Samples that arrived went into windows.
    pub fn received(&mut self, samples: u64) {
        self.boot.received += samples;
    }

    /// Samples that arrived were given up here.
    pub fn dropped_here(&mut self, samples: u64) {
        self.boot.dropped_here += samples;
    }

    /// The node began anew.
    pub fn reboot(&mut self) {
        self.past += self.boot.ledger();
        self.past.reboots += 1;
        self.boot = Boot {
            first: Some(0),
            ..Boot::default()
        };
    }

    /// The device went away.
    pub fn disconnect(&mut self) {
        self.past.disconnects += 1;
    }

    /// The link's counts so far.
    pub fn frames(&mut self, counts: DecodeCounts) {
        self.frames = counts;
    }

    /// The ledger so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.past;
        ledger += self.boot.ledger();
        ledger.frames = self.frames.frames_ok;
        ledger.frames_refused = self.frames.refused();
        ledger
    }

    fn meet(&mut self, t_dev_us: u64, sampled: u64, dropped: u64) {
        if self.boot.first.is_some() {
            return;
        }
        if t_dev_us <= FROM_BOOT_US {
            self.boot.first = Some(0);
        } else {
            (self.boot.first, self.boot.dropped_before) = (Some(sampled), dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adds_up(ledger: Ledger) -> bool {
        ledger.sampled == ledger.received + ledger.lost + ledger.dropped
    }

    #[test]
    fn every_sample_has_one_fate() {
        let mut books = Accountant::new();
        books.arrived(0, 0, 16);
        books.received(16);
        // The block from 16 is lost; that from 32 is dropped here; the node drops 10 more.
        books.arrived(640_000, 32, 16);
        books.dropped_here(16);
        books.node_counts(1_000_000, 60, 10);
        let ledger = books.ledger();
        assert!(adds_up(ledger));
        assert_eq!(
            ledger.to_string(),
            "60 sampled = 16 received + 18 lost + 26 dropped"
        );
    }

    #[test]
    fn a_node_that_was_on_before_is_counted_from_when_it_was_met() {
        let mut books = Accountant::new();
        books.node_counts(3_600_000_000, 180_000, 500);
        books.arrived(3_600_000_000, 180_000, 16);
        books.received(16);
        books.node_counts(3_601_000_000, 180_020, 502);
        let ledger = books.ledger();
        assert_eq!((ledger.sampled, ledger.received), (20, 16));
        assert_eq!((ledger.lost, ledger.dropped), (2, 2));
    }

    #[test]
    fn boots_add_up() {
        let mut books = Accountant::new();
        books.node_counts(0, 100, 0);
        books.received(100);
        books.reboot();
        books.arrived(9_000_000, 50, 50);
        books.received(50);
        let ledger = books.ledger();
        assert!(adds_up(ledger));
        assert_eq!((ledger.sampled, ledger.lost, ledger.reboots), (200, 50, 1));
    }
}

use heapless::Vec;

use crate::{Packet, Payload};

/// Streams that one [`StreamTable`] follows.
pub const MAX_STREAMS: usize = 8;

/// How far device time may go back from one frame of a stream to the next. Frames are sent in order,
/// but a block carries the time of its first sample and may have waited in the node's queue behind
/// a full link while a status went ahead.
const LATE_US: u64 = 10_000_000;

/// What a frame's sequence number says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Arrival {
    /// The first frame of its stream since the reader joined or the node booted.
    First,
    /// The one after the last.
    Next,
    /// Newer, with frames missing in between.
    Gap {
        /// Number of frames missing, modulo 65536.
        lost: u16,
    },
    /// Seen before, or left from before a reboot whose [`Hello`](crate::Hello) has yet to arrive: a
    /// serial link does not reorder. To be ignored.
    Old,
    /// A [`Hello`](crate::Hello) with another boot id: sequence numbers, sample indices and device
    /// time of every stream began anew.
    Reboot,
    /// One stream more than the table has room for; not followed.
    Untracked,
}

impl Arrival {
    /// Whether the packet says something new.
    pub fn is_new(self) -> bool {
        self != Self::Old
    }
}

/// How many frames of one stream arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SeqCounts {
    /// Frames that said something new.
    pub received: u64,
    /// Frames that were sent and did not arrive. Those before the first one to arrive are unknown.
    pub lost: u64,
    /// Frames that were ignored as old.
    pub old: u64,
}

/// Follows the sequence numbers of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeqTracker {
    newest: Option<Newest>,
    counts: SeqCounts,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    seq: u16,
    t_dev_us: u64,
}

impl SeqTracker {
    /// A tracker that has seen nothing.
    pub const fn new() -> Self {
        Self {
            newest: None,
            counts: SeqCounts {
                received: 0,
                lost: 0,
                old: 0,
            },
        }
    }

    /// Takes note of a frame.
    ///
    /// Half of the sequence numbers are ahead and half behind. Device time decides where that fails:
    /// after an outage of more than half of the numbers, and after a reboot.
    pub fn observe(&mut self, seq: u16, t_dev_us: u64) -> Arrival {
        let Some(newest) = self.newest else {
            self.newest = Some(Newest { seq, t_dev_us });
            self.counts.received += 1;
            return Arrival::First;
        };
        let lost = seq.wrapping_sub(newest.seq).wrapping_sub(1);
        let ahead = lost < 0x8000 && t_dev_us.saturating_add(LATE_US) >= newest.t_dev_us;
        if !ahead && t_dev_us <= newest.t_dev_us {
            self.counts.old += 1;
            return Arrival::Old;
        }
        self.newest = Some(Newest {
            seq,
            t_dev_us: t_dev_us.max(newest.t_dev_us),
        });
        self.counts.received += 1;
        self.counts.lost += u64::from(lost);
        match lost {
            0 => Arrival::Next,
            _ => Arrival::Gap { lost },
        }
    }

    /// Forgets where the sequence stood, as after a reboot. The counts stay.
    pub fn restart(&mut self) {
        self.newest = None;
    }

    /// What has arrived so far.
    pub fn counts(&self) -> SeqCounts {
        self.counts
    }
}

/// Follows the sequence numbers of every stream of one node, over reboots.
#[derive(Debug, Clone, Default)]
pub struct StreamTable {
    trackers: Vec<(u8, SeqTracker), MAX_STREAMS>,
    boot_id: Option<u32>,
    reboots: u32,
}

impl StreamTable {
    /// A table that has seen nothing.
    pub const fn new() -> Self {
        Self {
            trackers: Vec::new(),
            boot_id: None,
            reboots: 0,
        }
    }

    /// Takes note of a packet.
    pub fn observe(&mut self, packet: &Packet) -> Arrival {
        let mut rebooted = false;
        if let Payload::Hello(hello) = &packet.payload {
            rebooted = self.boot_id.is_some_and(|known| known != hello.boot_id);
            self.boot_id = Some(hello.boot_id);
        }
        if rebooted {
            self.reboots = self.reboots.saturating_add(1);
            for (_, tracker) in &mut self.trackers {
                tracker.restart();
            }
        }
        let arrival = match self.tracker(packet.stream) {
            Some(tracker) => tracker.observe(packet.seq, packet.t_dev_us),
            None => Arrival::Untracked,
        };
        if rebooted { Arrival::Reboot } else { arrival }
    }

    /// The counts of a stream, or `None` if nothing of it has arrived.
    pub fn counts(&self, stream: u8) -> Option<SeqCounts> {
        self.iter()
            .find(|&(known, _)| known == stream)
            .map(|(_, counts)| counts)
    }

    /// The streams seen so far, in the order of their appearance, and their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u8, SeqCounts)> + '_ {
        self.trackers
            .iter()
            .map(|(stream, tracker)| (*stream, tracker.counts()))
    }

    /// The boot id of the last [`Hello`](crate::Hello).
    pub fn boot_id(&self) -> Option<u32> {
        self.boot_id
    }

    /// How often the boot id has changed.
    pub fn reboots(&self) -> u32 {
        self.reboots
    }

    fn tracker(&mut self, stream: u8) -> Option<&mut SeqTracker> {
        let known = self.trackers.iter().position(|(known, _)| *known == stream);
        let at = match known {
            Some(at) => at,
            None => {
                self.trackers.push((stream, SeqTracker::new())).ok()?;
                self.trackers.len() - 1
            }
        };
        self.trackers.get_mut(at).map(|(_, tracker)| tracker)
    }
}

#[cfg(test)]
mod tests;

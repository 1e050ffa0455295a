//! How often a stream scores a window.

use std::time::Duration;

use crate::budget::Share;

/// What a stream has to do with the budget.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) share: Option<Share>,
    /// The stride that was told last.
    told: u32,
    /// The longest so far.
    pub(super) longest: u32,
    /// Processor time of windows.
    pub(super) spent: Duration,
}

impl Pace {
    /// So many samples came.
    pub(super) fn came(&mut self, samples: u64, rate_mhz: u32) {
        if let (Some(share), 1..) = (&mut self.share, rate_mhz) {
            share.came(samples as f64 * 1000.0 / f64::from(rate_mhz));
        }
    }

    /// One window of how many is scored, if this is the one; says so where that is news.
    pub(super) fn turn(&mut self, say: impl FnOnce(u32)) -> Option<u32> {
        let Some(share) = &mut self.share else {
            return Some(1);
        };
        let stride = share.stride();
        if self.told.max(1) != stride {
            say(stride);
        }
        self.told = stride;
        self.longest = self.longest.max(stride);
        share.takes().then_some(stride)
    }

    /// Does the work of a window, and counts what it costs.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let Some(share) = &self.share else {
            return work();
        };
        let (done, cost) = share.spend(work);
        self.spent += cost;
        done
    }
}

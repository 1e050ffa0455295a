//! Device time to host time, with the uncertainty of the mapping.
//!
//! A frame arrives later than it was sent, never earlier, so the smallest difference seen lately
//! between arrival and device time is the best estimate of the offset. The smallest difference of
//! each second is kept for a quarter of a minute; how much these differ among each other is what
//! link and crystals leave open. A delay that every frame has alike cannot be seen one way.

/// Seconds of minima that are kept.
const SECONDS_KEPT: usize = 16;

/// Seconds of minima after which the mapping is called synchronised.
const SECONDS_TO_SYNC: usize = 4;

/// Without a frame for this long the mapping is only carried on.
const HOLDOVER_AFTER_US: u64 = 3_000_000;

/// How fast two crystals may drift apart, in parts per million: the bound that the uncertainty
/// grows by while the mapping is only carried on. Two ordinary ones are within 40.
const DRIFT_PPM: u64 = 50;

/// How far a time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// Too little was seen to relate device and host.
    Unsynced,
    /// It was synchronised, but no frame has come lately.
    Holdover,
    /// Device and host are related by recent frames.
    Synced,
}

impl ClockState {
    /// As an event line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsynced => "unsynced",
            Self::Holdover => "holdover",
            Self::Synced => "synced",
        }
    }
}

/// A moment in host time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostTime {
    /// Nanoseconds since the host's epoch.
    pub t_ns: i64,
    /// How far off it may be, either way.
    pub uncertainty_ns: u64,
    /// How far it can be trusted.
    pub state: ClockState,
}

/// Relates the clock of one device to the host's.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    boot_id: Option<u32>,
    /// The smallest arrival minus device time of each second, in nanoseconds.
    minima: heapless::Deque<Minimum, SECONDS_KEPT>,
    newest_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Minimum {
    second: u64,
    offset_ns: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            boot_id: None,
            minima: heapless::Deque::new(),
            newest_us: 0,
        }
    }

    /// Takes the id that a device chose when it started. Returns whether it has restarted, so that
    /// its time begins anew and all before belongs to another run.
    pub fn boot(&mut self, boot_id: u32) -> bool {
        let restarted = self.boot_id.is_some_and(|known| known != boot_id);
        if restarted {
            *self = Self::new();
        }
        self.boot_id = Some(boot_id);
        restarted
    }

    /// Takes the arrival of something that the device sent at `t_dev_us`.
    pub fn observe(&mut self, t_dev_us: u64, t_host_ns: i64) {
        let second = t_dev_us / 1_000_000;
        let offset_ns = t_host_ns.saturating_sub(nanos(t_dev_us));
        self.newest_us = self.newest_us.max(t_dev_us);
        match self.minima.back_mut() {
            Some(last) if last.second >= second => last.offset_ns = last.offset_ns.min(offset_ns),
            _ => {
                if self.minima.is_full() {
                    self.minima.pop_front();
                }
                // Cannot be full: a place was just made.
                let _ = self.minima.push_back(Minimum { second, offset_ns });
            }
        }
    }

    /// The host's time for a device time.
    #[must_use]
    pub fn host_from_device(&self, t_dev_us: u64) -> HostTime {
        let offsets = || self.minima.iter().map(|m| m.offset_ns);
        let (Some(lowest), Some(highest)) = (offsets().min(), offsets().max()) else {
            return HostTime {
                t_ns: nanos(t_dev_us),
                uncertainty_ns: u64::MAX,
                state: ClockState::Unsynced,
            };
        };
        let age_us = t_dev_us.saturating_sub(self.newest_us);
        HostTime {
            t_ns: nanos(t_dev_us).saturating_add(lowest),
            uncertainty_ns: highest.abs_diff(lowest) + age_us.saturating_mul(DRIFT_PPM) / 1000,
            state: match self.minima.len() {
                ..SECONDS_TO_SYNC => ClockState::Unsynced,
                _ if age_us > HOLDOVER_AFTER_US => ClockState::Holdover,
                _ => ClockState::Synced,
            },
        }
    }
}

fn nanos(t_us: u64) -> i64 {
    i64::try_from(t_us).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH_NS: i64 = 1_700_000_000_000_000_000;

    /// A small generator, so that the simulation is the same everywhere (Steele et al. 2014,
    /// SplitMix64).
    fn splitmix(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Blocks at 50 Hz, delayed by up to 4 ms, from a crystal 40 ppm slow: the true time lies
    /// within the stated uncertainty, and the error stays below 1 ms.
    #[test]
    fn jitter_and_drift_are_within_the_stated_uncertainty() {
        for seed in 0..20 {
            let (mut clock, mut random) = (Clock::new(), seed);
            for block in 0..3000u64 {
                let t_dev_us = block * 20_000;
                let true_ns = EPOCH_NS + (t_dev_us as f64 * 1000.0 * 1.000_04) as i64;
                let delay_ns = (splitmix(&mut random) % 4_000_000) as i64;
                clock.observe(t_dev_us, true_ns + delay_ns);
                let host = clock.host_from_device(t_dev_us);
                if host.state == ClockState::Synced {
                    let error_ns = host.t_ns.abs_diff(true_ns);
                    assert!(
                        error_ns < 1_000_000,
                        "{error_ns} ns at block {block}, seed {seed}"
                    );
                    assert!(error_ns <= host.uncertainty_ns + 200_000, "seed {seed}");
                }
            }
            assert_eq!(clock.host_from_device(0).state, ClockState::Synced);
        }
    }

    #[test]
    fn it_takes_some_seconds_to_trust_and_some_to_doubt() {
        let mut clock = Clock::new();
        assert_eq!(clock.host_from_device(5).state, ClockState::Unsynced);
        for second in 0..3 {
            clock.observe(second * 1_000_000, EPOCH_NS);
            assert_eq!(clock.host_from_device(0).state, ClockState::Unsynced);
        }
        clock.observe(3_000_000, EPOCH_NS);
        assert_eq!(clock.host_from_device(6_000_000).state, ClockState::Synced);
        let later = clock.host_from_device(13_000_000);
        assert_eq!(later.state, ClockState::Holdover);
        assert!(later.uncertainty_ns >= clock.host_from_device(3_000_000).uncertainty_ns + 500_000);
    }

    #[test]
    fn a_reboot_begins_anew() {
        let mut clock = Clock::new();
        assert!(!clock.boot(1));
        clock.observe(9_000_000, EPOCH_NS);
        assert!(!clock.boot(1));
        assert!(clock.boot(2));
        assert_eq!(clock.host_from_device(0).uncertainty_ns, u64::MAX);
        clock.observe(0, EPOCH_NS);
        assert_eq!(clock.host_from_device(1).t_ns, EPOCH_NS + 1000);
    }

    #[test]
    fn extreme_times_saturate() {
        let mut clock = Clock::new();
        clock.observe(u64::MAX, i64::MAX);
        clock.observe(0, i64::MIN);
        let _ = clock.host_from_device(u64::MAX);
        let _ = clock.host_from_device(0);
    }
}

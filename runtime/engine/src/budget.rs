//! A budget of processor time that live streams share.
//!
//! ```text
//! what a window costs ÷ how often there is one = cores that a stream needs
//!        sum > budget: every second window is scored, then every third, …, the least important first
//!        still more:   streams wait for their turn, their queues fill up, and drop the oldest, counted
//! ```
//!
//! How often there is one is by the clock that processor time is counted by: a stream of which more comes
//! than its rate says needs more.
//!
//! A stream that scores fewer windows still sees all of its samples, as long as its hop is no longer
//! than its window.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much a new cost counts against those before.
const NEWEST: f64 = 0.1;

/// Share of the budget that has to suffice before hops are shortened again: costs waver.
const EASE: f64 = 0.9;

/// How long samples are counted to tell how fast a stream is.
const PACE_OVER: Duration = Duration::from_secs(2);

/// Samples come in blocks: a stream is no faster than its rate says before it is by so much.
const FAST: f64 = 1.25;

/// Processor time that may be spent ahead, in seconds.
const BURST_S: f64 = 0.5;

/// Longest sleep before looking whether there is more time to spend.
const NAP: Duration = Duration::from_millis(100);

/// What a stream asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// From one window to the next, in seconds, where there is time for all.
    pub hop_s: f64,
    /// Longest that this may become.
    pub longest_hop_s: f64,
    /// Hops of a stream that is twice as important are half as much longer.
    pub priority: f64,
}

/// Cores, and what they are spent on.
#[derive(Debug)]
pub struct Budget {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cores: f64,
    loads: Vec<Load>,
    credit: Credit,
}

/// What one stream needs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Load {
    demand: Demand,
    /// Processor time of one window, in seconds; none before the first.
    cost_s: Option<f64>,
    /// Seconds of samples that come in a second: 1, or more than [`FAST`].
    pace: f64,
    /// One window of so many is scored.
    stride: u32,
}

/// Processor time that may be spent now, in seconds; less than none where more was spent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Credit {
    left_s: f64,
    at: Duration,
}

impl State {
    fn wait(&mut self, now: Duration) -> Duration {
        self.credit.wait(now, self.cores)
    }

    fn share_out(&mut self) {
        share_out(&mut self.loads, self.cores);
    }
}

impl Credit {
    /// How long until something may be spent.
    fn wait(&mut self, now: Duration, cores: f64) -> Duration {
        let since_s = now.saturating_sub(self.at).as_secs_f64();
        self.left_s = (self.left_s + since_s * cores).min(BURST_S);
        self.at = self.at.max(now);
        Duration::from_secs_f64((-self.left_s / cores).max(0.0))
    }
}

impl Budget {
    /// So many cores, which may be a part of one.
    #[must_use]
    pub fn new(cores: f64) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            state: Mutex::new(State {
                cores,
                loads: Vec::new(),
                credit: Credit::default(),
            }),
        })
    }

    /// Gives it so many cores from now on.
    pub fn set_cores(&self, cores: f64) {
        let mut state = self.lock();
        state.cores = cores;
        state.share_out();
    }

    /// The share of one more stream.
    #[must_use]
    pub fn share(self: &Arc<Self>, demand: Demand) -> Share {
        let mut state = self.lock();
        state.loads.push(Load {
            demand,
            cost_s: None,
            pace: 1.0,
            stride: 1,
        });
        Share {
            budget: Arc::clone(self),
            at: state.loads.len() - 1,
            passed: 0,
            came_s: 0.0,
            since: self.began.elapsed(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves numbers that are as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one stream in a budget.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    at: usize,
    /// Windows that were left out since one was scored.
    passed: u32,
    /// Seconds of samples that came since then.
    came_s: f64,
    since: Duration,
}

impl Share {
    /// So many seconds of samples came, whatever becomes of them.
    pub fn came(&mut self, seconds: f64) {
        let now = self.budget.began.elapsed();
        self.came_by(seconds, now);
    }

    fn came_by(&mut self, seconds: f64, now: Duration) {
        self.came_s += seconds;
        let over = now.saturating_sub(self.since);
        if over < PACE_OVER {
            return;
        }
        let pace = self.came_s / over.as_secs_f64();
        (self.came_s, self.since) = (0.0, now);
        let mut state = self.budget.lock();
        state.loads[self.at].pace = if pace > FAST { pace } else { 1.0 };
        state.share_out();
    }

    /// One window of so many is scored.
    #[must_use]
    pub fn stride(&self) -> u32 {
        self.budget.lock().loads[self.at].stride
    }

    /// Whether the next window is to be scored.
    pub fn takes(&mut self) -> bool {
        self.passed += 1;
        let is_due = self.passed >= self.stride();
        if is_due {
            self.passed = 0;
        }
        is_due
    }

    /// Does the work of a window once there is time for it, and takes note of what it costs: the
    /// processor time of this thread.
    pub fn spend<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let now = || self.budget.began.elapsed();
        loop {
            let waits = self.budget.lock().wait(now());
            if waits.is_zero() {
                break;
            }
            // The budget may become larger meanwhile.
            std::thread::sleep(waits.min(NAP));
        }
        let before = thread_time();
        let done = work();
        let cost = thread_time().saturating_sub(before);
        let mut state = self.budget.lock();
        state.credit.left_s -= cost.as_secs_f64();
        let load = &mut state.loads[self.at];
        let new_s = cost.as_secs_f64();
        load.cost_s = Some(match load.cost_s {
            Some(cost_s) => cost_s + NEWEST * (new_s - cost_s),
            None => new_s,
        });
        state.share_out();
        (done, cost)
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Lengthens hops until they can be afforded, or shortens them.
fn share_out(loads: &mut [Load], cores: f64) {
    let needed = |loads: &[Load]| -> f64 {
        let of_load = |load: &Load| {
            let every_s = load.demand.hop_s * f64::from(load.stride) / load.pace;
            load.cost_s.unwrap_or(0.0) / every_s
        };
        loads.iter().map(of_load).sum()
    };
    let mut wanted = loads.to_vec();
    for load in &mut wanted {
        load.stride = 1;
    }
    // What is afforded already stays until there is room to spare.
    let is_shorter = |wanted: &[Load], loads: &[Load]| {
        let mut pairs = wanted.iter().zip(loads);
        pairs.any(|(wanted, load)| wanted.stride < load.stride)
    };
    loop {
        let limit = match is_shorter(&wanted, loads) {
            true => EASE * cores,
            false => cores,
        };
        if needed(&wanted) <= limit {
            break;
        }
        let may_grow = |load: &&mut Load| {
            let next_s = load.demand.hop_s * f64::from(load.stride + 1);
            next_s <= load.demand.longest_hop_s && load.cost_s.is_some()
        };
        let weight = |load: &Load| f64::from(load.stride) * load.demand.priority;
        let least = wanted.iter_mut().filter(may_grow);
        let Some(load) = least.min_by(|a, b| weight(a).total_cmp(&weight(b))) else {
            break;
        };
        load.stride += 1;
    }
    loads.copy_from_slice(&wanted);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(hop_s: f64, priority: f64, cost_s: f64) -> Load {
        Load {
            demand: Demand {
                hop_s,
                longest_hop_s: 2.0,
                priority,
            },
            cost_s: Some(cost_s),
            pace: 1.0,
            stride: 1,
        }
    }

    fn strides(loads: &mut [Load], cores: f64) -> Vec<u32> {
        share_out(loads, cores);
        loads.iter().map(|load| load.stride).collect()
    }

    #[test]
    fn hops_are_lengthened_as_far_as_needed_and_no_further() {
        // 0.2 and 0.4 of a core.
        let mut loads = [load(0.5, 1.0, 0.1), load(0.5, 1.0, 0.2)];
        assert_eq!(strides(&mut loads, 1.0), [1, 1]);
        assert_eq!(strides(&mut loads, 0.5), [2, 1]);
        assert_eq!(strides(&mut loads, 0.31), [2, 2]);
        // Never beyond the longest hop, whatever it costs.
        assert_eq!(strides(&mut loads, 0.01), [4, 4]);
    }

    #[test]
    fn what_matters_more_is_lengthened_later() {
        let mut loads = [load(0.5, 4.0, 0.2), load(0.5, 1.0, 0.2)];
        assert_eq!(strides(&mut loads, 0.55), [1, 3]);
    }

    #[test]
    fn hops_are_shortened_when_there_is_room_to_spare() {
        let mut loads = [load(1.0, 1.0, 0.6)];
        assert_eq!(strides(&mut loads, 0.5), [2]);
        loads[0].cost_s = Some(0.48);
        assert_eq!(strides(&mut loads, 0.5), [2], "it would waver");
        loads[0].cost_s = Some(0.4);
        assert_eq!(strides(&mut loads, 0.5), [1]);
    }

    #[test]
    fn hops_of_a_stream_that_is_faster_than_it_says_are_lengthened() {
        let budget = Budget::new(0.5);
        let mut share = budget.share(load(0.5, 1.0, 0.0).demand);
        budget.lock().loads[0].cost_s = Some(0.2);
        share.since = Duration::ZERO;
        let mut stride_at = |now_s, seconds| {
            share.came_by(seconds, Duration::from_secs(now_s));
            share.stride()
        };
        // 0.4 of a core, and four times as much.
        assert_eq!(stride_at(2, 2.2), 1);
        assert_eq!(stride_at(4, 8.0), 4);
        assert_eq!(stride_at(6, 2.0), 1);
    }

    #[test]
    fn time_that_is_spent_has_to_be_earned() {
        let mut credit = Credit::default();
        let at = Duration::from_millis;
        assert_eq!(credit.wait(at(0), 0.5), Duration::ZERO);
        credit.left_s -= 0.1;
        assert_eq!(credit.wait(at(0), 0.5), at(200));
        assert_eq!(credit.wait(at(100), 0.5), at(100));
        assert_eq!(credit.wait(at(200), 0.5), Duration::ZERO);
        // An hour of rest is no hour of work at once.
        credit.wait(at(3_600_000), 0.5);
        assert_eq!(credit.left_s, BURST_S);
    }

    #[test]
    fn a_share_takes_one_window_of_its_stride() {
        let budget = Budget::new(1.0);
        let mut share = budget.share(load(0.5, 1.0, 0.0).demand);
        assert!(share.takes() && share.takes());
        budget.lock().loads[0].stride = 3;
        let taken: Vec<bool> = (0..6).map(|_| share.takes()).collect();
        assert_eq!(taken, [false, false, true, false, false, true]);
        let (answer, _cost) = share.spend(|| 42);
        assert_eq!(answer, 42);
    }
}

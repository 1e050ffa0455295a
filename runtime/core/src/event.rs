//! From scores to events: when something is said to begin, to go on, and to be over.
//!
//! ```text
//! median of K   enter ┄┄┄┄┄┄┄╭──╮┄┄╭─╮┄┄┄┄┄┄┄┄┄┄┄┄
//!               exit  ┄┄┄┄┄┄╭╯┄┄╰──╯┄╰╮┄┄┄┄┄┄┄┄┄┄┄
//!                     ──────╯         ╰───────────
//!                             start   end     (start waits for the minimum duration)
//! ```
//!
//! A window speaks for its middle: an event reaches from half a hop before the centre of its first
//! window to half a hop after the centre of its last.

/// Most windows that the median is taken over.
pub const MAX_MEDIAN: usize = 15;

/// When the score of a class makes an event.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EventPolicy {
    /// Windows that the median is taken over, 1 to [`MAX_MEDIAN`]; one odd window changes nothing
    /// if this is 3 or more.
    pub median_windows: usize,
    /// An event begins where the median reaches this score.
    pub enter: f32,
    /// It is over where the median falls below this one, at most `enter`.
    pub exit: f32,
    /// Shorter events are not told, in microseconds.
    pub min_duration_us: u64,
    /// Time after an event's end in which the same class does not begin again.
    pub cool_down_us: u64,
    /// While an event lasts, it is told again this often.
    pub update_every_us: u64,
    /// A longer stretch without a scored window ends what was going on.
    pub max_gap_us: u64,
}

impl Default for EventPolicy {
    fn default() -> Self {
        Self {
            median_windows: 3,
            enter: 0.5,
            exit: 0.35,
            min_duration_us: 1_000_000,
            cool_down_us: 0,
            update_every_us: 5_000_000,
            max_gap_us: 2_000_000,
        }
    }
}

/// The score of one class in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Start of the stretch that this window speaks for, in microseconds.
    pub t_start_us: u64,
    /// End of that stretch.
    pub t_end_us: u64,
    /// Score of the class, 0 to 1.
    pub score: f32,
    /// Its distance to the best other class.
    pub margin: f32,
    /// Fraction of the window that arrived.
    pub coverage: f32,
}

/// What is told of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has lasted long enough to be one.
    Start,
    /// It goes on.
    Update,
    /// It is over.
    End,
}

impl Phase {
    /// As an event line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
        }
    }
}

/// One report about an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Which kind of report.
    pub phase: Phase,
    /// Where the event began, in microseconds.
    pub t_start_us: u64,
    /// How far it reaches by now.
    pub t_end_us: u64,
    /// Its mean score so far.
    pub score: f32,
    /// Its mean margin so far.
    pub margin: f32,
    /// Fraction of its windows' samples that arrived.
    pub coverage: f32,
}

/// An event that is going on, told or not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ongoing {
    t_start_us: u64,
    t_end_us: u64,
    score_sum: f64,
    margin_sum: f64,
    coverage_sum: f64,
    windows: u32,
    /// Where it reached when it was last told; none before its start was.
    told_us: Option<u64>,
}

impl Ongoing {
    fn add(&mut self, observation: Observation) {
        self.t_end_us = observation.t_end_us;
        self.score_sum += f64::from(observation.score);
        self.margin_sum += f64::from(observation.margin);
        self.coverage_sum += f64::from(observation.coverage);
        self.windows += 1;
    }

    fn report(&self, phase: Phase) -> Report {
        let mean = |sum: f64| (sum / f64::from(self.windows)) as f32;
        Report {
            phase,
            t_start_us: self.t_start_us,
            t_end_us: self.t_end_us,
            score: mean(self.score_sum),
            margin: mean(self.margin_sum),
            coverage: mean(self.coverage_sum),
        }
    }
}

/// Follows one class in one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTracker {
    policy: EventPolicy,
    /// The newest scores, oldest first.
    scores: heapless::Deque<f32, MAX_MEDIAN>,
    ongoing: Option<Ongoing>,
    newest_us: u64,
    quiet_until_us: u64,
}

impl EventTracker {
    /// A tracker that has seen nothing. `median_windows` is brought into its range.
    #[must_use]
    pub fn new(mut policy: EventPolicy) -> Self {
        policy.median_windows = policy.median_windows.clamp(1, MAX_MEDIAN);
        policy.exit = policy.exit.min(policy.enter);
        Self {
            policy,
            scores: heapless::Deque::new(),
            ongoing: None,
            newest_us: 0,
            quiet_until_us: 0,
        }
    }

    /// Takes the next window, in order of time. At most two reports come of it: an event may end
    /// because of the gap before this window, and another begin.
    pub fn observe(&mut self, observation: Observation) -> heapless::Vec<Report, 2> {
        let mut reports = heapless::Vec::new();
        let gap_us = observation.t_start_us.saturating_sub(self.newest_us);
        if gap_us > self.policy.max_gap_us {
            reports.extend(self.finish());
        }
        self.newest_us = observation.t_end_us;
        if self.scores.len() == self.policy.median_windows {
            self.scores.pop_front();
        }
        // Cannot be full: the median is over at most MAX_MEDIAN windows.
        let _ = self.scores.push_back(observation.score);
        reports.extend(self.step(observation, self.median()));
        reports
    }

    /// Ends what is going on: the stream is over, or its clock starts anew.
    pub fn finish(&mut self) -> Option<Report> {
        self.scores.clear();
        (self.newest_us, self.quiet_until_us) = (0, 0);
        let ongoing = self.ongoing.take()?;
        ongoing.told_us.map(|_| ongoing.report(Phase::End))
    }

    fn step(&mut self, observation: Observation, median: f32) -> Option<Report> {
        let Some(ongoing) = &mut self.ongoing else {
            if median >= self.policy.enter && observation.t_start_us >= self.quiet_until_us {
                self.ongoing = Some(Ongoing {
                    t_start_us: observation.t_start_us,
                    t_end_us: observation.t_end_us,
                    score_sum: 0.0,
                    margin_sum: 0.0,
                    coverage_sum: 0.0,
                    windows: 0,
                    told_us: None,
                });
                return self.go_on(observation);
            }
            return None;
        };
        if median < self.policy.exit {
            let ended = *ongoing;
            self.ongoing = None;
            self.quiet_until_us = ended.t_end_us.saturating_add(self.policy.cool_down_us);
            return ended.told_us.map(|_| ended.report(Phase::End));
        }
        self.go_on(observation)
    }

    fn go_on(&mut self, observation: Observation) -> Option<Report> {
        let ongoing = self.ongoing.as_mut()?;
        ongoing.add(observation);
        let phase = match ongoing.told_us {
            None if ongoing.t_end_us - ongoing.t_start_us >= self.policy.min_duration_us => {
                Phase::Start
            }
            Some(told) if ongoing.t_end_us - told >= self.policy.update_every_us => Phase::Update,
            _ => return None,
        };
        ongoing.told_us = Some(ongoing.t_end_us);
        Some(ongoing.report(phase))
    }

    /// Median of the newest windows; those not seen yet count as 0.
    fn median(&self) -> f32 {
        let mut sorted = [0.0f32; MAX_MEDIAN];
        for (slot, score) in sorted.iter_mut().zip(&self.scores) {
            *slot = *score;
        }
        let sorted = &mut sorted[..self.policy.median_windows];
        sorted.sort_unstable_by(f32::total_cmp);
        sorted[(sorted.len() - 1) / 2]
    }
}

#[cfg(test)]
mod tests;

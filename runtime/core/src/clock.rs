//! Device time to host time, with skew and the uncertainty of the mapping.
//!
//! ```text
//!  host − device
//!    │   ·     ·  ·    ·   ·      arrivals: later than sent, never earlier
//!    │  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁     upper: touches the quickest arrivals
//!    │  ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─     the mapping: half way; half the gap is its uncertainty
//!    │  ▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔     lower: touches the quickest requests
//!    │    '   '  '     '    '     requests: answered later than asked, never earlier
//!    └──────────────────────────▶ device time
//! ```
//!
//! What is delayed least says most. Of each second the quickest arrival is kept, and the quickest
//! request if the device answers requests ([`Clock::exchange`]), for about a minute. Least squares
//! over these gives the skew; a line of that skew is laid against each side. The gap between the two
//! is the smallest round trip. Where there are no requests ([`Clock::observe`] alone) the upper line
//! is the mapping: a delay that every frame has alike cannot be seen one way, and is not in the
//! uncertainty.
//!
//! A second whose quickest frame is later than a quicker one by more than any skew explains has waited,
//! as frames do in a port that is not open yet: it is forgotten.
//!
//! A device that begins anew starts the mapping anew, whether it says so ([`Clock::boot`]) or its time
//! goes back; so does a step of the host's own clock. Counters that wrap are made whole by
//! [`Unwrapper`].

/// Seconds of quickest frames that are kept.
const SECONDS_KEPT: usize = 64;

/// Seconds of quickest frames after which the mapping is called synchronised.
const SECONDS_TO_SYNC: usize = 4;

/// Seconds from which the skew is worth more than none: with fewer, noise weighs more than crystals.
const SECONDS_TO_SKEW: usize = 8;

/// Without a frame for this long the mapping is only carried on.
const HOLDOVER_AFTER_US: u64 = 3_000_000;

/// How fast two crystals may drift apart while nobody looks, in parts per million. Two ordinary ones
/// are within 40.
const DRIFT_PPM: f64 = 50.0;

/// A skew is believed up to here, in parts per million: the worst of oscillators without a crystal.
const MAX_SKEW_PPM: f64 = 20_000.0;

/// Standard errors of the skew that the uncertainty allows for.
const SKEW_ERRORS: f64 = 3.0;

/// Device time that goes back by more than this began anew. Blocks may wait for a link for some
/// seconds while other frames go ahead.
const REBOOT_BACK_US: u64 = 10_000_000;

/// An arrival that is earlier by more than this than was possible, or later for
/// [`SECONDS_TO_SYNC`] seconds on end, tells of a step of the host's clock.
const STEP_NS: f64 = 1e9;

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
///
/// # Examples
///
/// ```
/// use sensorium_core::clock::{Clock, ClockState};
///
/// let mut clock = Clock::new();
/// for second in 0..60 {
///     // Asked at once, answered after 1 ms, and another 1 ms until the answer was here.
///     let (t_dev_us, sent_ns) = (second * 1_000_000, second as i64 * 1_000_000_000 + 7_000_000);
///     clock.exchange(sent_ns, t_dev_us, sent_ns + 2_000_000);
/// }
/// let time = clock.host_from_device(59_500_000);
/// assert_eq!((time.t_ns, time.state), (59_508_000_000, ClockState::Synced));
/// // Half of what a question and its answer take, and what has gone by since.
/// assert!((1_000_000..1_100_000).contains(&time.uncertainty_ns));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    boot_id: Option<u32>,
    /// Arrivals: no earlier than they were sent.
    upper: Side,
    /// Requests: answered no earlier than they were sent.
    lower: Side,
    /// Where offsets are counted from, so that they are small numbers.
    base_ns: i64,
    newest_us: u64,
    /// Since when arrivals have been later than can be, if they are.
    late_since_us: Option<u64>,
    line: Option<Line>,
}

/// The quickest frame of each second, one way, oldest first.
type Side = heapless::Deque<Quickest, SECONDS_KEPT>;

/// A frame and its delay, seen from the device: what was later looks further up.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Quickest {
    t_dev_us: u64,
    /// Host time less device time, from the clock's base, in nanoseconds.
    offset_ns: f64,
}

/// The mapping as it is known now.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    /// Device time that the offsets are told for: in the middle of what was seen.
    t_ref_us: u64,
    /// Nanoseconds of host time more than of device time, a microsecond.
    skew: f64,
    /// Three standard errors of the skew.
    skew_error: f64,
    offset_ns: f64,
    uncertainty_ns: f64,
    seconds: usize,
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
            upper: heapless::Deque::new(),
            lower: heapless::Deque::new(),
            base_ns: 0,
            newest_us: 0,
            late_since_us: None,
            line: None,
        }
    }

    /// Takes the id that a device chose when it started. Returns whether it has restarted, so that
    /// its time begins anew and all before belongs to another run.
    pub fn boot(&mut self, boot_id: u32) -> bool {
        let restarted = self.boot_id.is_some_and(|known| known != boot_id);
        if restarted {
            self.forget();
        }
        self.boot_id = Some(boot_id);
        restarted
    }

    /// Takes the arrival of something that the device sent at `t_dev_us`.
    pub fn observe(&mut self, t_dev_us: u64, t_host_ns: i64) {
        let offset_ns = self.offset_ns(t_dev_us, t_host_ns);
        let offset_ns = self.begin_anew_if_due(t_dev_us, t_host_ns, offset_ns);
        self.newest_us = self.newest_us.max(t_dev_us);
        let skew = self.skew();
        if keep(&mut self.upper, t_dev_us, offset_ns, skew, f64::lt) {
            self.fit();
        }
    }

    /// Takes the answer to a request: the device read its clock, at `t_dev_us`, after the host sent
    /// the request and before it received the answer.
    pub fn exchange(&mut self, t_sent_ns: i64, t_dev_us: u64, t_received_ns: i64) {
        self.observe(t_dev_us, t_received_ns);
        let offset_ns = self.offset_ns(t_dev_us, t_sent_ns.min(t_received_ns));
        let skew = self.skew();
        if keep(&mut self.lower, t_dev_us, offset_ns, skew, f64::gt) {
            self.fit();
        }
    }

    /// The host's time for a device time.
    #[must_use]
    pub fn host_from_device(&self, t_dev_us: u64) -> HostTime {
        let Some(line) = self.line else {
            return HostTime {
                t_ns: nanos(t_dev_us),
                uncertainty_ns: u64::MAX,
                state: ClockState::Unsynced,
            };
        };
        let age_us = t_dev_us.saturating_sub(self.newest_us);
        let since_ref_us = between_us(line.t_ref_us, t_dev_us);
        // Conversions to integers saturate.
        let offset_ns = libm::round(line.offset_ns + line.skew * since_ref_us) as i64;
        let drift_ns = age_us as f64 * DRIFT_PPM / 1000.0;
        let skew_ns = line.skew_error * libm::fabs(since_ref_us);
        HostTime {
            t_ns: nanos(t_dev_us)
                .saturating_add(self.base_ns)
                .saturating_add(offset_ns),
            uncertainty_ns: libm::ceil(line.uncertainty_ns + skew_ns + drift_ns) as u64,
            state: match line.seconds {
                ..SECONDS_TO_SYNC => ClockState::Unsynced,
                _ if age_us > HOLDOVER_AFTER_US => ClockState::Holdover,
                _ => ClockState::Synced,
            },
        }
    }

    /// How much faster the host's clock goes than the device's, in parts per million; none before it
    /// can be told.
    #[must_use]
    pub fn skew_ppm(&self) -> Option<f64> {
        let line = self.line?;
        (line.seconds > SECONDS_TO_SKEW).then_some(line.skew * 1000.0)
    }

    fn forget(&mut self) {
        *self = Self {
            boot_id: self.boot_id,
            ..Self::new()
        };
    }

    fn skew(&self) -> f64 {
        self.line.map_or(0.0, |line| line.skew)
    }

    fn offset_ns(&mut self, t_dev_us: u64, t_host_ns: i64) -> f64 {
        let offset_ns = t_host_ns.saturating_sub(nanos(t_dev_us));
        if self.upper.is_empty() {
            self.base_ns = offset_ns;
        }
        offset_ns.saturating_sub(self.base_ns) as f64
    }

    /// Forgets all if this arrival cannot belong to what was seen before. Returns its offset from
    /// the base that is valid then.
    fn begin_anew_if_due(&mut self, t_dev_us: u64, t_host_ns: i64, offset_ns: f64) -> f64 {
        let Some(line) = self.line else {
            return offset_ns;
        };
        let is_reboot = t_dev_us.saturating_add(REBOOT_BACK_US) < self.newest_us;
        let late_ns = offset_ns - line.offset_ns - line.skew * between_us(line.t_ref_us, t_dev_us);
        // Across a silence the skew may have led anywhere within its error.
        let allowed_ns = STEP_NS + line.skew_error * between_us(line.t_ref_us, t_dev_us).max(0.0);
        self.late_since_us = match self.late_since_us {
            _ if late_ns <= allowed_ns => None,
            None => Some(t_dev_us),
            since => since,
        };
        let long_us = SECONDS_TO_SYNC as u64 * 1_000_000;
        let is_late = |since: u64| t_dev_us.saturating_sub(since) >= long_us;
        let is_step = late_ns < -allowed_ns || self.late_since_us.is_some_and(is_late);
        if !(is_reboot || is_step) {
            return offset_ns;
        }
        self.forget();
        self.offset_ns(t_dev_us, t_host_ns)
    }

    /// Lays a line of the common skew against each side.
    fn fit(&mut self) {
        let both = || self.upper.iter().chain(&self.lower);
        let (first, last) = both().fold((u64::MAX, 0), |(first, last), q| {
            (first.min(q.t_dev_us), last.max(q.t_dev_us))
        });
        let t_ref_us = first.midpoint(last);
        let seconds = self.upper.len();
        // What a line of no skew may be off, until the skew can be told.
        let (mut skew, mut skew_error) = (0.0, DRIFT_PPM / 1000.0);
        let slopes = [&self.upper, &self.lower].map(|side| Slope::of(side, t_ref_us));
        if slopes.iter().any(Option::is_some) {
            // The more certain side counts for more: arrivals are many, requests are few.
            let known = || slopes.iter().flatten();
            let weight: f64 = known().map(|slope| 1.0 / slope.variance).sum();
            let mean = known().map(|s| s.skew / s.variance).sum::<f64>() / weight;
            let limit = MAX_SKEW_PPM / 1000.0;
            skew = mean.clamp(-limit, limit);
            skew_error = SKEW_ERRORS / libm::sqrt(weight);
        }
        let residual = |q: &Quickest| q.offset_ns - skew * between_us(t_ref_us, q.t_dev_us);
        let top = self
            .upper
            .iter()
            .map(residual)
            .fold(f64::INFINITY, f64::min);
        let bottom = self.lower.iter().map(residual).reduce(f64::max);
        let (offset_ns, uncertainty_ns) = match bottom {
            Some(bottom) => ((top + bottom) / 2.0, libm::fabs(top - bottom) / 2.0),
            None => {
                let worst = whole(&self.upper).map(residual).fold(top, f64::max);
                (top, worst - top)
            }
        };
        self.line = Some(Line {
            t_ref_us,
            skew,
            skew_error,
            offset_ns,
            uncertainty_ns,
            seconds,
        });
    }
}

/// The seconds that are over: the quickest frame of one that has just begun need not be quick.
fn whole(side: &Side) -> impl Iterator<Item = &Quickest> {
    side.iter().take(side.len().saturating_sub(1).max(1))
}

/// The skew that one side tells, by least squares.
#[derive(Debug, Clone, Copy)]
struct Slope {
    skew: f64,
    /// Its standard error, squared.
    variance: f64,
}

impl Slope {
    /// None of too few seconds.
    fn of(side: &Side, t_ref_us: u64) -> Option<Self> {
        /// Of offsets that lie on a line, to the nanosecond.
        const SMALLEST_VARIANCE: f64 = 1e-24;
        let count = whole(side).count();
        if count < SECONDS_TO_SKEW {
            return None;
        }
        let x = |q: &Quickest| between_us(t_ref_us, q.t_dev_us);
        let x_mean = whole(side).map(x).sum::<f64>() / count as f64;
        let y_mean = whole(side).map(|q| q.offset_ns).sum::<f64>() / count as f64;
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for quickest in whole(side) {
            let (x, y) = (x(quickest) - x_mean, quickest.offset_ns - y_mean);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        // Frames of different seconds have different times.
        let skew = xy / xx;
        let squares = (yy - skew * xy).max(0.0);
        let variance = squares / (count - 2) as f64 / xx;
        Some(Self {
            skew,
            variance: variance.max(SMALLEST_VARIANCE),
        })
    }
}

/// Keeps a frame if it is the first or the quickest of its second, skew apart, and forgets the seconds
/// that have waited, as this frame shows. Returns whether it did.
fn keep(
    side: &mut Side,
    t_dev_us: u64,
    offset_ns: f64,
    skew: f64,
    is_quicker: fn(&f64, &f64) -> bool,
) -> bool {
    let second = |t_us: u64| t_us / 1_000_000;
    let new = Quickest {
        t_dev_us,
        offset_ns,
    };
    if let Some(last) = side.back_mut()
        && second(last.t_dev_us) >= second(t_dev_us)
    {
        let since_last_us = between_us(last.t_dev_us, t_dev_us);
        let quicker = is_quicker(&(offset_ns - skew * since_last_us), &last.offset_ns);
        if quicker {
            *last = new;
            forget_late(side, new, is_quicker);
        }
        return quicker;
    }
    forget_late(side, new, is_quicker);
    if side.is_full() {
        side.pop_front();
    }
    // Cannot be full: a place was just made.
    side.push_back(new).is_ok()
}

/// Forgets the seconds whose quickest frame is later than this one by more than any skew explains.
fn forget_late(side: &mut Side, quick: Quickest, is_quicker: fn(&f64, &f64) -> bool) {
    let has_waited = |q: &Quickest| {
        let skew_ns = libm::fabs(between_us(q.t_dev_us, quick.t_dev_us)) * MAX_SKEW_PPM / 1000.0;
        is_quicker(&quick.offset_ns, &q.offset_ns)
            && libm::fabs(q.offset_ns - quick.offset_ns) > skew_ns
    };
    for _ in 0..side.len() {
        if let Some(q) = side.pop_front()
            && !has_waited(&q)
        {
            // Cannot be full: a place was just made.
            let _ = side.push_back(q);
        }
    }
}

/// Microseconds from one time to another, of either sign.
fn between_us(from: u64, to: u64) -> f64 {
    match to.checked_sub(from) {
        Some(after) => after as f64,
        None => -((from - to) as f64),
    }
}

fn nanos(t_us: u64) -> i64 {
    i64::try_from(t_us).unwrap_or(i64::MAX).saturating_mul(1000)
}

/// Makes whole the time of a device that counts in 32 bits: microseconds begin again every 71.6
/// minutes.
///
/// # Examples
///
/// ```
/// let mut time = sensorium_core::clock::Unwrapper::new();
/// assert_eq!(time.unwrap(u32::MAX), 0xffff_ffff);
/// assert_eq!(time.unwrap(15), 0x1_0000_000f);
/// assert_eq!(time.unwrap(u32::MAX - 1), 0xffff_fffe);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrapper {
    newest: Option<u64>,
}

impl Unwrapper {
    /// One that has seen no count.
    #[must_use]
    pub const fn new() -> Self {
        Self { newest: None }
    }

    /// The whole count: of those with these lower bits the nearest to the newest so far, which may
    /// be a little before it.
    pub fn unwrap(&mut self, count: u32) -> u64 {
        let Some(newest) = self.newest else {
            self.newest = Some(count.into());
            return count.into();
        };
        // The difference in 32 bits, as a number with a sign, is the way to the nearest.
        let step = count.wrapping_sub(newest as u32) as i32;
        let whole = newest
            .checked_add_signed(step.into())
            .unwrap_or_else(|| count.into());
        self.newest = Some(newest.max(whole));
        whole
    }
}

#[cfg(test)]
mod tests;

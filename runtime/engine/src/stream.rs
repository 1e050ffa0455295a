//! One stream, from signals to events. No threads and no clock of its own: what it says depends on
//! what it is told and nothing else.

use std::sync::Arc;
use std::time::Duration;

use sensorium_core::clock::Clock;
use sensorium_core::event::{EventPolicy, EventTracker, Observation};
use sensorium_core::score::second;
use sensorium_core::window::{WindowCounts, WindowShape};
use thiserror::Error;

use crate::bank::Bank;
use crate::budget::Share;
use crate::classes::Class;
use crate::encode::{EncodeError, Encoder};
use crate::event::{Event, Names, Told};
use crate::health::{Bad, Fault, Monitor};
use crate::ledger::{Accountant, Ledger};
use crate::sense::{Sense, SenseError, View, Windows};
use crate::slot::Slot;
use crate::source::{Block, Signal};

mod pace;
mod report;

use pace::Pace;
use report::Reporter;

/// Windows with less of their samples say more about the gap than about the sensor.
pub(crate) const MIN_COVERAGE: f32 = 0.8;

/// A sensor of which nothing comes for this long is degraded.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Longest that a slow sensor is waited for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// Why a stream cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Its samples cannot be windowed.
    #[error(transparent)]
    Sense(#[from] SenseError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What the times of events mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockMode {
    /// The host's time at which the sample was taken, as well as it is known.
    #[default]
    Host,
    /// The sample's own time, from its number and rate: the same in every replay. Streams of one
    /// recording that were live lie beside each other as they did.
    Sample,
}

/// How a stream is turned into events.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name in events.
    pub name: String,
    /// From the start of one window to the start of the next, in seconds.
    pub hop_s: f32,
    /// When a score makes an event.
    pub policy: EventPolicy,
    /// What the times of events mean.
    pub clock: ClockMode,
}

/// The scores of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Name of the stream.
    pub stream: String,
    /// Start of the window, in microseconds of the source's clock.
    pub t_start_us: u64,
    /// End of the window.
    pub t_end_us: u64,
    /// Start of the stretch that the window speaks for: its middle, one hop wide, so that windows
    /// that follow each other join without overlap.
    pub speaks_from_us: u64,
    /// End of that stretch.
    pub speaks_to_us: u64,
    /// Fraction of its samples that arrived.
    pub coverage: f32,
    /// Score of each class of the bank, then of each background prompt.
    pub scores: Vec<f32>,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A window was scored.
    Window(Scored),
    /// An event began, goes on or is over.
    Event(Event),
    /// The sensor is degraded, or well again.
    Health(Health),
    /// Windows are scored more or less often, to keep to the budget.
    Pace {
        /// Name of the stream.
        stream: String,
        /// From one scored window to the next, in seconds.
        hop_s: f32,
    },
    /// What a live stream did so far, once a second.
    Totals {
        /// Name of the stream.
        stream: String,
        /// What it did.
        totals: Totals,
    },
}

/// How a sensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Name of the stream.
    pub stream: String,
    /// What is wrong, if anything; its events are withheld meanwhile.
    pub fault: Option<Fault>,
}

/// What a stream did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// What became of the samples.
    pub ledger: Ledger,
    /// What became of the windows.
    pub windows: WindowCounts,
    /// Windows that were not scored, because too much of them was missing.
    pub thin: u64,
    /// Windows that were not scored, because nothing in them could be measured.
    pub blank: u64,
    /// Windows that were not scored, because the sensor was degraded.
    pub withheld: u64,
    /// Windows that were not scored, to keep to the budget.
    pub skipped: u64,
    /// Longest that it was from one scored window to the next for that, in hops.
    pub longest_stride: u32,
    /// Processor time of all that were scored; not counted without a budget.
    pub spent: Duration,
}

impl Totals {
    /// Windows that were scored.
    #[must_use]
    pub fn scored(&self) -> u64 {
        self.windows.made - self.thin - self.blank - self.withheld - self.skipped
    }
}

/// Turns the signals of one source into events.
pub struct Stream {
    settings: Settings,
    names: Names,
    sense: Sense,
    slot: Arc<Slot>,
    bank: Arc<Bank>,
    pace: Pace,
    windows: Option<Windows>,
    past_windows: WindowCounts,
    unscored: Unscored,
    monitor: Monitor,
    /// The fault that was told last.
    told: Option<Fault>,
    trackers: Vec<Tracker>,
    clock: Clock,
    /// When the source's clock was at 0 on that of the recording, in microseconds.
    origin_us: i64,
    books: Accountant,
}

/// Windows that were not scored, by why.
#[derive(Debug, Clone, Copy, Default)]
struct Unscored {
    thin: u64,
    blank: u64,
    withheld: u64,
    skipped: u64,
}

/// One class in this stream.
#[derive(Debug)]
struct Tracker {
    events: EventTracker,
    told: Option<Told>,
}

impl Tracker {
    fn new(settings: &Settings, bank: &Bank, class: usize) -> Self {
        Self {
            events: EventTracker::new(bank.policy(class, settings.policy)),
            told: None,
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream that has been told nothing, and compares with the classes in `slot`. `pack_id` names
    /// the encoder's pack in events.
    #[must_use]
    pub fn new(settings: Settings, sense: Sense, slot: Arc<Slot>, pack_id: String) -> Self {
        let bank = slot.get();
        Self {
            names: Names {
                stream: settings.name.clone(),
                pack: pack_id,
                bank: bank.id().to_owned(),
                modality: sense.modality(),
            },
            trackers: (0..bank.classes().len())
                .map(|class| Tracker::new(&settings, &bank, class))
                .collect(),
            monitor: Monitor::new(sense.modality()),
            told: None,
            settings,
            sense,
            slot,
            bank,
            pace: Pace::default(),
            windows: None,
            past_windows: WindowCounts::default(),
            unscored: Unscored::default(),
            clock: Clock::new(),
            origin_us: 0,
            books: Accountant::new(),
        }
    }

    /// The same, keeping to its share of a budget: then what it says depends on what it costs, too.
    #[must_use]
    pub fn with_share(mut self, share: Share) -> Self {
        self.pace.share = Some(share);
        self
    }

    /// Compares with the classes that are there now. What goes on of a class that is no more, or is
    /// another now, or has other thresholds, ends.
    fn look_at_classes(&mut self, say: &mut dyn FnMut(Output)) {
        let bank = self.slot.get();
        if Arc::ptr_eq(&bank, &self.bank) {
            return;
        }
        let reporter = Reporter::of(
            (self.settings.clock, self.origin_us),
            &self.clock,
            &self.names,
        );
        let policy = self.settings.policy;
        let is_kept = |index: usize, class: &Class| {
            let now = bank.classes().iter().position(|known| known == class);
            now.is_some_and(|now| bank.policy(now, policy) == self.bank.policy(index, policy))
        };
        let known = self.bank.classes().iter().zip(self.trackers.drain(..));
        let mut kept = Vec::new();
        for (index, (class, mut tracker)) in known.enumerate() {
            if is_kept(index, class) {
                kept.push((class, tracker));
                continue;
            }
            let reports = tracker.events.finish();
            reporter.tell(&mut tracker, &class.name, reports, say);
        }
        let tracker = |(index, class): (usize, &Class)| {
            let at = kept.iter().position(|(known, _)| *known == class);
            at.map_or_else(
                || Tracker::new(&self.settings, &bank, index),
                |at| kept.swap_remove(at).1,
            )
        };
        self.trackers = bank.classes().iter().enumerate().map(tracker).collect();
        bank.id().clone_into(&mut self.names.bank);
        self.bank = bank;
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What it did so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut windows = self.past_windows;
        if let Some(current) = &self.windows {
            add(&mut windows, current.counts());
        }
        Totals {
            ledger: self.books.ledger(),
            windows,
            thin: self.unscored.thin,
            blank: self.unscored.blank,
            withheld: self.unscored.withheld,
            skipped: self.unscored.skipped,
            longest_stride: self.pace.longest,
            spent: self.pace.spent,
        }
    }

    /// Samples of the source were given up before they came here.
    pub fn dropped(&mut self, samples: u64) {
        self.books.dropped_here(samples);
        if let Some(windows) = &self.windows {
            self.pace.came(samples, windows.shape().rate_mhz);
        }
    }

    /// Samples came that there is no time for: they are counted and not looked at.
    pub fn give_up(&mut self, block: &Block) {
        let count = block.samples.len();
        self.books.arrived(block.t_us, block.index, count);
        self.books.dropped_here(count as u64);
    }

    /// Takes a signal and calls `say` for what follows from it.
    ///
    /// # Errors
    ///
    /// The samples cannot be windowed or the encoder fails; the stream is then at its end.
    pub fn take(&mut self, signal: Signal, say: &mut dyn FnMut(Output)) -> Result<(), StreamError> {
        match signal {
            Signal::Block(block) => self.take_block(block, say)?,
            Signal::Boot { boot_id } => {
                self.clock.boot(boot_id);
            }
            Signal::Reboot { boot_id } => {
                self.finish(say);
                self.clock.boot(boot_id);
                self.books.reboot();
                self.monitor.restart();
                if let Some(windows) = &mut self.windows {
                    windows.restart();
                }
            }
            Signal::NodeCounts {
                t_dev_us,
                sampled,
                dropped,
            } => self.books.node_counts(t_dev_us, sampled, dropped),
            Signal::Frames(counts) => self.books.frames(counts),
            Signal::Gone => {
                self.books.disconnect();
                self.monitor.fail(Fault::Gone);
            }
            Signal::NotFinite => self.monitor.fail(Fault::NotFinite),
            Signal::Origin { at_us } => self.origin_us = at_us,
        }
        self.tell_health(say);
        Ok(())
    }

    /// How long the next sample of a live sensor is waited for.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let three = |windows: &Windows| {
            let rate_hz = f64::from(windows.shape().rate_mhz) / 1000.0;
            Duration::from_secs_f64(3.0 / rate_hz)
        };
        let three = self.windows.as_ref().map_or(Duration::ZERO, three);
        three.clamp(PATIENCE, LONGEST_PATIENCE)
    }

    /// Nothing came for as long as it was waited for.
    pub fn idle(&mut self, say: &mut dyn FnMut(Output)) {
        // Who is gone cannot send.
        if self.monitor.fault() != Some(Fault::Gone) {
            self.monitor.fail(Fault::Absent);
        }
        self.tell_health(say);
    }

    /// What is wrong with the sensor, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.monitor.fault()
    }

    /// Says what is wrong, if that is news, and ends what was going on until then.
    fn tell_health(&mut self, say: &mut dyn FnMut(Output)) {
        let fault = self.monitor.fault();
        if fault == self.told {
            return;
        }
        if self.told.is_none() {
            self.finish(say);
        }
        self.told = fault;
        say(Output::Health(Health {
            stream: self.settings.name.clone(),
            fault,
        }));
    }

    /// Ends what is going on: the source has ended.
    pub fn finish(&mut self, say: &mut dyn FnMut(Output)) {
        let reporter = Reporter::of(
            (self.settings.clock, self.origin_us),
            &self.clock,
            &self.names,
        );
        for (tracker, class) in self.trackers.iter_mut().zip(self.bank.classes()) {
            let reports = tracker.events.finish();
            reporter.tell(tracker, &class.name, reports, say);
        }
    }

    fn take_block(&mut self, block: Block, say: &mut dyn FnMut(Output)) -> Result<(), StreamError> {
        let count = block.samples.len();
        self.books.arrived(block.t_us, block.index, count);
        if let (Some(t_host_ns), 1..) = (block.t_host_ns, count) {
            self.clock.observe(block.time_us(count - 1), t_host_ns);
        }
        self.pace.came(count as u64, block.rate_mhz);
        self.fit_windows(block.rate_mhz)?;
        self.monitor.take(&block);
        self.look_at_classes(say);
        let Some(windows) = &mut self.windows else {
            return Ok(());
        };
        let mut scorer = Scorer {
            encoder: self.sense.encoder(),
            bank: &self.bank,
            stream: &self.settings.name,
            shape: windows.shape(),
            reporter: Reporter::of(
                (self.settings.clock, self.origin_us),
                &self.clock,
                &self.names,
            ),
            trackers: &mut self.trackers,
            unscored: &mut self.unscored,
            bad: self.monitor.bad(),
            pace: &mut self.pace,
            failed: None,
        };
        let taken = windows.push(block, |view| scorer.score(&view, say));
        self.books.received(taken);
        self.books.dropped_here(count as u64 - taken);
        scorer.failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Makes windows for this rate, unless there are.
    fn fit_windows(&mut self, rate_mhz: u32) -> Result<(), StreamError> {
        if let Some(windows) = &self.windows {
            if windows.shape().rate_mhz == rate_mhz {
                return Ok(());
            }
            add(&mut self.past_windows, windows.counts());
        }
        let shape = self.sense.shape(rate_mhz, self.settings.hop_s)?;
        self.windows = Some(self.sense.windows(shape)?);
        Ok(())
    }
}

fn add(sum: &mut WindowCounts, counts: WindowCounts) {
    sum.made += counts.made;
    sum.empty += counts.empty;
    sum.late += counts.late;
}

/// What scores the windows of one block.
struct Scorer<'a> {
    encoder: &'a Encoder,
    bank: &'a Bank,
    stream: &'a str,
    shape: WindowShape,
    reporter: Reporter<'a>,
    trackers: &'a mut [Tracker],
    unscored: &'a mut Unscored,
    bad: Bad,
    pace: &'a mut Pace,
    failed: Option<EncodeError>,
}

impl Scorer<'_> {
    fn score(&mut self, window: &View<'_>, say: &mut dyn FnMut(Output)) {
        if self.failed.is_some() {
            return;
        }
        if window.coverage < MIN_COVERAGE {
            self.unscored.thin += 1;
            return;
        }
        // What a degraded sensor gave is as good as missing.
        let well = 1.0 - self.bad.share_of(window.t_start_us, window.t_end_us);
        let coverage = window.coverage * well;
        if coverage < MIN_COVERAGE {
            self.unscored.withheld += 1;
            return;
        }
        let hop_s = self.shape.hop as f32 * 1000.0 / self.shape.rate_mhz as f32;
        let stride = match self.pace.turn(|stride| {
            say(Output::Pace {
                stream: self.stream.to_owned(),
                hop_s: hop_s * stride as f32,
            });
        }) {
            Some(stride) => stride,
            None => {
                self.unscored.skipped += 1;
                return;
            }
        };
        let embedding = match self
            .pace
            .spend(|| self.encoder.embed_excerpt(window.excerpt))
        {
            Ok(embedding) => embedding,
            Err(error) if error.is_of_measurement() => {
                self.unscored.blank += 1;
                return;
            }
            Err(error) => {
                self.failed = Some(error);
                return;
            }
        };
        let scores = self
            .bank
            .scores(&embedding, self.encoder.scoring().temperature);
        let centre_us = window.t_start_us.midpoint(window.t_end_us);
        let hop = self.shape.hop as u64 * u64::from(stride);
        let hop_us = hop * 1_000_000_000 / u64::from(self.shape.rate_mhz);
        let speaks_from_us = centre_us.saturating_sub(hop_us / 2);
        let speaks_to_us = speaks_from_us.saturating_add(hop_us);
        say(Output::Window(Scored {
            stream: self.stream.to_owned(),
            t_start_us: window.t_start_us,
            t_end_us: window.t_end_us,
            speaks_from_us,
            speaks_to_us,
            coverage,
            scores: scores.clone(),
        }));
        for (index, class) in self.bank.classes().iter().enumerate() {
            let tracker = &mut self.trackers[index];
            let reports = tracker.events.observe(Observation {
                t_start_us: speaks_from_us,
                t_end_us: speaks_to_us,
                score: scores[index],
                margin: scores[index] - second(&scores, index),
                coverage,
            });
            self.reporter.tell(tracker, &class.name, reports, say);
        }
    }
}

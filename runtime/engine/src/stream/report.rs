//! Reports of a class, as events.

use sensorium_core::clock::{Clock, ClockState, HostTime};
use sensorium_core::event::Report;

use super::{ClockMode, Output, Tracker};
use crate::event::{Names, Times, Told, event_id};

/// Puts reports into the words and times of events.
pub(super) struct Reporter<'a> {
    mode: ClockMode,
    /// What is added to the sample's own time.
    origin_us: i64,
    clock: &'a Clock,
    names: &'a Names,
}

impl<'a> Reporter<'a> {
    pub(super) fn of(
        (mode, origin_us): (ClockMode, i64),
        clock: &'a Clock,
        names: &'a Names,
    ) -> Self {
        Self {
            mode,
            origin_us,
            clock,
            names,
        }
    }

    pub(super) fn tell(
        &self,
        tracker: &mut Tracker,
        class: &str,
        reports: impl IntoIterator<Item = Report>,
        say: &mut dyn FnMut(Output),
    ) {
        for report in reports {
            let start = self.time(report.t_start_us);
            let end = self.time(report.t_end_us);
            // An event keeps the start that it was first told with, though the clock may know
            // better by now: its id is made of it.
            let told = tracker.told.get_or_insert_with(|| Told {
                id: event_id(&self.names.stream, class, start.t_ns),
                t_start_ns: start.t_ns,
            });
            let times = Times {
                // What the clock has learned since must not end an event before it began.
                t_end_ns: end.t_ns.max(told.t_start_ns),
                uncertainty_ns: start.uncertainty_ns.max(end.uncertainty_ns),
                clock: end.state.name(),
            };
            let event = self.names.event(class, &report, told, times);
            if event.is_end() {
                tracker.told = None;
            }
            say(Output::Event(event));
        }
    }

    fn time(&self, t_us: u64) -> HostTime {
        match self.mode {
            ClockMode::Host => self.clock.host_from_device(t_us),
            ClockMode::Sample => HostTime {
                t_ns: i64::try_from(t_us)
                    .unwrap_or(i64::MAX)
                    .saturating_add(self.origin_us)
                    .saturating_mul(1000),
                uncertainty_ns: 0,
                state: ClockState::Unsynced,
            },
        }
    }
}

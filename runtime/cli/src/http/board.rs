//! What streams said so far, for whoever asks.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sensorium_engine::event::rounded;
use sensorium_engine::health::Fault;
use sensorium_engine::stream::{Output, Totals};
use serde_json::{Value, json};

use crate::open::About;
use crate::sense::Recognition;

/// Most who listen to events at once; each has a thread.
const LISTENERS: usize = 16;

/// Events that wait for one of them; more are left out, and counted.
const WAITING: usize = 256;

/// What is known of running streams.
#[derive(Debug, Default)]
pub struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    listeners: Vec<SyncSender<Arc<str>>>,
    unheard: u64,
}

#[derive(Debug)]
struct Stream {
    about: About,
    recognition: Recognition,
    hop_s: f64,
    fault: Option<Fault>,
    totals: Totals,
    /// Events that began, by class.
    events: BTreeMap<String, u64>,
    /// Class, score and end of the newest window.
    now: Option<(String, f32, u64)>,
}

impl Board {
    /// Adds a stream of which nothing is known yet.
    pub fn add(&self, about: About, recognition: Recognition) {
        let stream = Stream {
            hop_s: about.hop_s,
            recognition,
            fault: None,
            totals: Totals::default(),
            events: BTreeMap::new(),
            now: None,
            about,
        };
        self.lock()
            .streams
            .insert(stream.about.stream.clone(), stream);
    }

    /// Takes note of what a stream says.
    pub fn hear(&self, output: &Output) {
        let mut state = self.lock();
        match output {
            Output::Window(scored) => {
                let Some(stream) = state.streams.get_mut(&scored.stream) else {
                    return;
                };
                let bank = stream.recognition.slot.get();
                let best = bank.best(&scored.scores);
                stream.now = best.map(|(class, score)| (class.to_owned(), score, scored.t_end_us));
            }
            Output::Event(event) => {
                if let Some(stream) = state.streams.get_mut(&event.stream)
                    && event.phase == "start"
                {
                    *stream.events.entry(event.class.clone()).or_default() += 1;
                }
                if let Ok(line) = serde_json::to_string(event) {
                    state.tell(format!("data: {line}\n\n").into());
                }
            }
            Output::Health(health) => {
                if let Some(stream) = state.streams.get_mut(&health.stream) {
                    stream.fault = health.fault;
                }
                let fault = health.fault.map(Fault::name);
                let line = json!({ "stream": health.stream, "fault": fault });
                state.tell(format!("event: health\ndata: {line}\n\n").into());
            }
            Output::Pace { stream, hop_s } => {
                if let Some(stream) = state.streams.get_mut(stream) {
                    stream.hop_s = rounded(*hop_s);
                }
            }
            Output::Totals { stream, totals } => {
                if let Some(stream) = state.streams.get_mut(stream) {
                    stream.totals = *totals;
                }
            }
        }
    }

    /// All events from now on; none if too many listen.
    pub fn listen(&self) -> Option<Receiver<Arc<str>>> {
        let mut state = self.lock();
        // Those who left are noticed when they are told something; here is a reason to.
        state.tell(":\n\n".into());
        if state.listeners.len() >= LISTENERS {
            return None;
        }
        let (sender, receiver) = sync_channel(WAITING);
        state.listeners.push(sender);
        Some(receiver)
    }

    /// All streams, as JSON.
    pub fn streams(&self) -> Value {
        let state = self.lock();
        let tell = |stream: &Stream| {
            let totals = &stream.totals;
            let mut told = json!(stream.about);
            told["hop_s"] = json!(stream.hop_s);
            told["bank"] = json!(stream.recognition.slot.get().id());
            told["fault"] = json!(stream.fault.map(Fault::name));
            told["ledger"] = json!(totals.ledger);
            told["windows"] = windows(totals).into_iter().collect();
            told["processor_s"] = json!(totals.spent.as_secs_f64());
            told["now"] = stream.now.as_ref().map_or(Value::Null, |(class, score, t_end_us)| {
                json!({ "class": class, "score": rounded(*score), "t_end_us": t_end_us })
            });
            told
        };
        state.streams.values().map(tell).collect()
    }

    /// All counts, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let state = self.lock();
        let mut page = Page::default();
        page.family(
            "sensorium_samples_total",
            "counter",
            "Samples, by what became of them.",
        );
        for (name, stream) in &state.streams {
            let ledger = &stream.totals.ledger;
            let fates = [
                ("received", ledger.received),
                ("lost", ledger.lost),
                ("dropped", ledger.dropped),
            ];
            for (fate, count) in fates {
                page.sample(&[("stream", name), ("fate", fate)], count as f64);
            }
        }
        page.family(
            "sensorium_windows_total",
            "counter",
            "Windows, by what became of them.",
        );
        for (name, stream) in &state.streams {
            for (fate, count) in windows(&stream.totals) {
                page.sample(&[("stream", name), ("fate", fate)], count as f64);
            }
        }
        page.family("sensorium_events_total", "counter", "Events that began.");
        for (name, stream) in &state.streams {
            for (class, count) in &stream.events {
                page.sample(&[("stream", name), ("class", class)], *count as f64);
            }
        }
        page.family(
            "sensorium_disconnects_total",
            "counter",
            "Times that a device went away.",
        );
        for (name, stream) in &state.streams {
            let count = stream.totals.ledger.disconnects;
            page.sample(&[("stream", name)], count as f64);
        }
        page.family(
            "sensorium_processor_seconds_total",
            "counter",
            "Time spent on windows.",
        );
        for (name, stream) in &state.streams {
            page.sample(&[("stream", name)], stream.totals.spent.as_secs_f64());
        }
        page.family(
            "sensorium_degraded",
            "gauge",
            "1 while events are withheld.",
        );
        for (name, stream) in &state.streams {
            let is_degraded = f64::from(u8::from(stream.fault.is_some()));
            page.sample(&[("stream", name)], is_degraded);
        }
        page.family(
            "sensorium_hop_seconds",
            "gauge",
            "From one scored window to the next.",
        );
        for (name, stream) in &state.streams {
            page.sample(&[("stream", name)], stream.hop_s);
        }
        page.family(
            "sensorium_unheard_total",
            "counter",
            "Lines that slow listeners missed.",
        );
        page.sample(&[], state.unheard as f64);
        page.text
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counts that are one too few at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&mut self, line: Arc<str>) {
        let mut unheard = 0;
        self.listeners
            .retain(|listener| match listener.try_send(Arc::clone(&line)) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    unheard += 1;
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            });
        self.unheard += unheard;
    }
}

/// Windows by what became of them.
fn windows(totals: &Totals) -> [(&'static str, u64); 6] {
    [
        ("scored", totals.scored()),
        ("empty", totals.windows.empty),
        ("thin", totals.thin),
        ("blank", totals.blank),
        ("withheld", totals.withheld),
        ("skipped", totals.skipped),
    ]
}

/// A page of metrics.
#[derive(Debug, Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let of_label = |(name, value): &(&str, &str)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        };
        let labels: Vec<String> = labels.iter().map(of_label).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{}{labels} {value}", self.family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.family("a_total", "counter", "What.");
        page.sample(&[("class", "a \"b\"\\\n"), ("x", "y")], 2.0);
        page.sample(&[], 0.5);
        assert_eq!(
            page.text,
            "# HELP a_total What.\n# TYPE a_total counter\n\
             a_total{class=\"a \\\"b\\\"\\\\\\n\",x=\"y\"} 2\na_total 0.5\n"
        );
    }

    #[test]
    fn listeners_that_leave_are_forgotten_and_slow_ones_miss_lines() {
        let board = Board::default();
        let (first, second) = (board.listen().unwrap(), board.listen().unwrap());
        drop(first);
        for _ in 0..300 {
            board.lock().tell("x".into());
        }
        assert_eq!(second.try_iter().count(), WAITING);
        let state = board.lock();
        assert_eq!(
            (state.listeners.len(), state.unheard),
            (1, 300 - WAITING as u64)
        );
    }
}

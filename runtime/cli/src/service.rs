//! The program as a service: what a manager such as systemd is told of it, and what signals do.
//!
//! | told | when |
//! |---|---|
//! | `READY=1` | every thread of every stream has begun |
//! | `WATCHDOG=1` | twice in `WATCHDOG_USEC`, if every thread has come round since the last time |
//! | `STATUS=…` | what is listened to and what is degraded, where that is news |
//! | `RELOADING=1`, `READY=1` | before and after what SIGHUP does |
//! | `STOPPING=1` | a signal ends it |
//!
//! A signal of SIGHUP has the configuration read again, but for that of a terminal that was closed, which
//! ends the program as SIGINT and SIGTERM do: streams work off what they were given, at most five seconds.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use sensorium_engine::health::Fault;
use sensorium_engine::stream::Output;
use signal_hook::consts::SIGHUP;
use signal_hook::flag;

use crate::listen::Control;
use crate::notify::Manager;

/// How often signals and threads are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A status is told no more often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What the world asks of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Take the configuration as it is now.
    Reload,
    /// Come to an end.
    Stop,
}

/// The program, as a manager sees it.
#[derive(Debug)]
pub struct Service {
    manager: Manager,
    control: Control,
    hangup: Arc<AtomicBool>,
    /// Whether a terminal is told what is said.
    has_terminal: bool,
    is_ending: AtomicBool,
    was_heard: AtomicBool,
    state: Mutex<State>,
}

/// What a status is made of.
#[derive(Debug, Default)]
struct State {
    /// Windows that each stream scored.
    scored: BTreeMap<String, u64>,
    degraded: BTreeMap<String, Fault>,
    /// What came of the last reload, if it is worth telling.
    reload: Option<String>,
    stuck: Vec<String>,
}

impl Service {
    /// Takes charge of signals. From here on none of them ends the program before streams had their
    /// turn, but a second SIGINT or SIGTERM.
    pub fn begin() -> anyhow::Result<Self> {
        let control = Control::of_signals()?;
        let hangup = Arc::new(AtomicBool::new(false));
        flag::register(SIGHUP, Arc::clone(&hangup)).context("handling signals")?;
        Ok(Self {
            manager: Manager::of_environment()?,
            control,
            hangup,
            has_terminal: io::stderr().is_terminal(),
            is_ending: AtomicBool::new(false),
            was_heard: AtomicBool::new(true),
            state: Mutex::default(),
        })
    }

    /// What ends its streams.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Takes note of what streams say.
    pub fn hear(&self, output: &Output) {
        let mut state = self.lock();
        match output {
            Output::Totals { stream, totals } => {
                state.scored.insert(stream.clone(), totals.scored());
            }
            Output::Health(health) => match health.fault {
                Some(fault) => {
                    state.degraded.insert(health.stream.clone(), fault);
                }
                None => {
                    state.degraded.remove(&health.stream);
                }
            },
            Output::Window(_) | Output::Event(_) | Output::Pace { .. } => {}
        }
    }

    /// Tells the manager how the program is, and obeys signals, until it ends.
    pub fn attend(self: Arc<Self>, obey: impl FnMut(Order) -> anyhow::Result<()> + Send + 'static) {
        thread::spawn(move || Attendant::new(&self, obey).run());
    }

    /// Tells the manager that the program ends. Returns whether that is news.
    pub fn end(&self) -> bool {
        let is_news = !self.is_ending.swap(true, Ordering::Relaxed);
        if is_news {
            self.tell("STOPPING=1");
        }
        is_news
    }

    /// Tells the manager something. The first time that it does not listen is said.
    fn tell(&self, state: &str) {
        let told = self.manager.tell(state);
        let is_news = self.was_heard.swap(told.is_ok(), Ordering::Relaxed);
        if let (Err(error), true) = (told, is_news) {
            say!("the service manager does not listen: {error}");
        }
    }

    /// Whether SIGHUP came since, and what it asks for.
    fn hung_up(&self) -> Option<Order> {
        if !self.hangup.swap(false, Ordering::Relaxed) {
            return None;
        }
        // A terminal that was closed is none any more.
        let is_closed = self.has_terminal && !io::stderr().is_terminal();
        Some(if is_closed {
            Order::Stop
        } else {
            Order::Reload
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves what was heard before or after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What runs beside the streams.
struct Attendant<'a, F> {
    service: &'a Service,
    obey: F,
    is_ready: bool,
    /// The status that was told last, and when.
    told: (String, Instant),
    /// When threads were last looked at.
    looked: Instant,
}

impl<'a, F: FnMut(Order) -> anyhow::Result<()>> Attendant<'a, F> {
    fn new(service: &'a Service, obey: F) -> Self {
        Self {
            service,
            obey,
            is_ready: false,
            told: (String::new(), Instant::now()),
            looked: Instant::now(),
        }
    }

    fn run(mut self) {
        let half = self.service.manager.watchdog().map(|time| time / 2);
        let nap = half.map_or(LOOK, |half| LOOK.min(half / 2));
        loop {
            self.look(half);
            thread::sleep(nap);
        }
    }

    fn look(&mut self, half: Option<Duration>) {
        let Control { stop, vitals } = self.service.control();
        if !self.is_ready && vitals.are_up() {
            self.is_ready = true;
            self.service.tell("READY=1");
        }
        // What comes before streams have begun waits for them.
        match self.is_ready.then(|| self.service.hung_up()).flatten() {
            Some(Order::Reload) => self.reload(),
            Some(Order::Stop) => stop.store(true, Ordering::Relaxed),
            None => {}
        }
        if stop.load(Ordering::Relaxed)
            && self.service.end()
            && let Err(error) = (self.obey)(Order::Stop)
        {
            say!("{error:#}");
        }
        if let (Some(half), true) = (half, self.is_ready) {
            self.watch(half);
        }
        self.tell_status();
    }

    /// Tells that the program lives, if it does.
    fn watch(&mut self, half: Duration) {
        if self.looked.elapsed() < half {
            return;
        }
        self.looked = Instant::now();
        let stuck = self.service.control().vitals.stuck();
        if stuck.is_empty() {
            self.service.tell("WATCHDOG=1");
        }
        let known = std::mem::replace(&mut self.service.lock().stuck, stuck.clone());
        if !stuck.is_empty() && known != stuck {
            say!("warning: nothing moves in {}", stuck.join(", "));
        }
    }

    fn reload(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.service
            .tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        let result = (self.obey)(Order::Reload);
        let failed = result.err().map(|error| format!("{error:#}"));
        match &failed {
            Some(error) => say!("SIGHUP: nothing was changed: {error}"),
            None => say!("SIGHUP: the configuration was read again"),
        }
        self.service.lock().reload = failed.map(|error| format!("reload failed: {error}"));
        self.service.tell("READY=1");
    }

    fn tell_status(&mut self) {
        if !self.service.manager.is_there() || self.told.1.elapsed() < STATUS_EVERY {
            return;
        }
        let status = self.service.lock().describe();
        self.told.1 = Instant::now();
        if status != self.told.0 {
            self.service.tell(&format!("STATUS={status}"));
            self.told.0 = status;
        }
    }
}

impl State {
    /// On one line.
    fn describe(&self) -> String {
        let streams: Vec<String> = { self.scored.iter() }
            .map(|(stream, scored)| format!("{stream} {scored}"))
            .collect();
        let mut parts = vec![match streams.is_empty() {
            true => "nothing scored yet".to_owned(),
            false => format!("windows scored: {}", streams.join(", ")),
        }];
        let degraded = self.degraded.iter();
        parts.extend(degraded.map(|(stream, fault)| format!("{stream} is degraded: {fault}")));
        if !self.stuck.is_empty() {
            parts.push(format!("nothing moves in {}", self.stuck.join(", ")));
        }
        parts.extend(self.reload.clone());
        parts.join("; ").replace(char::is_control, " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_of_all_that_matters() {
        let mut state = State::default();
        assert_eq!(state.describe(), "nothing scored yet");
        state.scored.insert("mic".to_owned(), 12);
        state.scored.insert("door".to_owned(), 3);
        state.degraded.insert("mic".to_owned(), Fault::Gone);
        state.reload = Some("reload failed: line 1:\nno".to_owned());
        assert_eq!(
            state.describe(),
            "windows scored: door 3, mic 12; mic is degraded: it is gone; reload failed: line 1: no"
        );
    }
}

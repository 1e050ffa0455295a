//! Streams side by side: two threads for each, and one queue between them.
//!
//! ```text
//! source ─▶ queue ─▶ stream ─┐
//! source ─▶ queue ─▶ stream ─┴▶ whoever called
//! ```
//!
//! What live streams say is passed on as it comes. Recordings have a time of their own: what they say
//! is merged by it, so that the same recordings give the same lines, whichever thread was faster.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::queue::{Popped, Queue};
use crate::source::{Feed, Signal, Source, SourceError};
use crate::stream::{ClockMode, Output, Stream, StreamError, Totals};
use crate::vitals::{Pulse, Vitals};

/// Samples between a source and its stream, in microseconds: what is live and later than this is
/// given up.
const QUEUE_US: u64 = 4_000_000;

/// How often a live stream tells what it did.
const TELL: Duration = Duration::from_secs(1);

/// Longest wait of a stream for a signal before it comes round.
const BREATH: Duration = Duration::from_millis(250);

/// Longest that a stream works off what it was given, once it is to stop; the rest is given up. With
/// the last window and the events that end, a program is gone within five seconds.
const DRAIN: Duration = Duration::from_secs(3);

/// Outputs that wait for the caller.
const OUTPUTS_LEN: usize = 256;

/// Why a stream ended before its source did.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The source is gone.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The stream cannot go on.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A thread failed: a bug.
    #[error("a thread of the stream failed")]
    Thread,
}

/// A stream and where its samples come from.
#[derive(Debug)]
pub struct Line {
    /// Where samples come from.
    pub source: Box<dyn Source>,
    /// What becomes of them.
    pub stream: Stream,
    /// What becomes of them in other spaces, each by an encoder of its own.
    pub others: Vec<Stream>,
    /// What the times of its events mean. Where that is the sample's time, nothing is live: rather
    /// than drop what is late, the source waits.
    pub clock: ClockMode,
}

/// What became of a stream.
#[derive(Debug)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it did.
    pub totals: Totals,
    /// Whether it came to its end in order.
    pub result: Result<(), PipelineError>,
}

/// Runs all streams until their sources end or `stop` is set, and passes on what they say. If that
/// fails, all of them end; the failure comes beside the summaries.
pub fn run(
    lines: Vec<Line>,
    stop: &AtomicBool,
    on_output: impl FnMut(Output) -> io::Result<()>,
) -> (Vec<Summary>, io::Result<()>) {
    run_watched(lines, stop, &Vitals::default(), on_output)
}

/// As [`run`]; whether each thread gets on shows in `vitals`.
pub fn run_watched(
    lines: Vec<Line>,
    stop: &AtomicBool,
    vitals: &Vitals,
    mut on_output: impl FnMut(Output) -> io::Result<()>,
) -> (Vec<Summary>, io::Result<()>) {
    thread::scope(|scope| {
        let is_recorded = lines.iter().all(|line| line.source.is_recording());
        let mut received = Vec::new();
        let shared = sync_channel(OUTPUTS_LEN);
        let start = |line: Line| {
            let own = is_recorded.then(|| sync_channel(OUTPUTS_LEN));
            let outputs = match own {
                Some((outputs, of_line)) => {
                    received.push(of_line);
                    outputs
                }
                None => shared.0.clone(),
            };
            let name = line.stream.name().to_owned();
            let pulses = Pulses {
                source: vitals.pulse(format!("the source of {name}")),
                stream: vitals.pulse(name.clone()),
            };
            let thread = scope.spawn(move || run_line(line, stop, pulses, &outputs));
            (name, thread)
        };
        let threads: Vec<_> = lines.into_iter().map(start).collect();
        vitals.complete();
        drop(shared.0);
        let received: Box<dyn Iterator<Item = Timed>> = match is_recorded {
            true => Box::new(Merged::new(received)),
            false => Box::new(shared.1.into_iter()),
        };
        let mut result = Ok(());
        for (_, output) in received {
            // After a failure the rest is taken and not passed on, so that no thread waits.
            if result.is_ok() {
                result = on_output(output);
            }
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        let summaries = threads.into_iter().map(|(name, thread)| {
            let (totals, result) = thread
                .join()
                .unwrap_or_else(|_panic| (Totals::default(), Err(PipelineError::Thread)));
            Summary {
                name,
                totals,
                result,
            }
        });
        (summaries.collect(), result)
    })
}

/// What a stream said, and at which microsecond of the recording.
type Timed = (u64, Output);

/// What several streams say, in the order of their times; of the same time, in the order of the
/// streams.
struct Merged {
    streams: Vec<Receiver<Timed>>,
    /// The next thing that each stream says; none before it was asked for, or at its end.
    next: Vec<Option<Timed>>,
    ended: Vec<bool>,
}

impl Merged {
    fn new(streams: Vec<Receiver<Timed>>) -> Self {
        Self {
            next: streams.iter().map(|_| None).collect(),
            ended: vec![false; streams.len()],
            streams,
        }
    }
}

impl Iterator for Merged {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        for (at, stream) in self.streams.iter().enumerate() {
            // Each stream has a channel of its own, so none waits for another that waits for it.
            if self.next[at].is_none() && !self.ended[at] {
                self.next[at] = stream.recv().ok();
                self.ended[at] = self.next[at].is_none();
            }
        }
        let earliest = { self.next.iter().enumerate() }
            .filter_map(|(at, next)| Some((next.as_ref()?.0, at)))
            .min()?;
        self.next[earliest.1].take()
    }
}

/// The pulses of the threads of one line.
struct Pulses {
    source: Pulse,
    stream: Pulse,
}

fn run_line(
    line: Line,
    stop: &AtomicBool,
    pulses: Pulses,
    outputs: &SyncSender<Timed>,
) -> (Totals, Result<(), PipelineError>) {
    let Line {
        source,
        mut stream,
        mut others,
        clock,
    } = line;
    let queue = Queue::new(QUEUE_US);
    let (from_source, from_stream) = thread::scope(|scope| {
        let is_live = !source.is_recording();
        let queue = &queue;
        let Pulses {
            source: pulse,
            stream: own_pulse,
        } = pulses;
        let reader = scope.spawn(move || {
            // Closed however the source ends, or the stream would wait for ever.
            let _closing = Closing(queue);
            let feed = Feed::new(queue, stop, is_live && clock == ClockMode::Host);
            source.run(feed.with_pulse(&pulse))
        });
        let result = {
            let _closing = Closing(queue);
            let intake = Intake {
                queue,
                is_live,
                stop,
                pulse: &own_pulse,
            };
            consume(&intake, (&mut stream, &mut others), outputs)
        };
        // Who waits for the source to end has done its work.
        drop(own_pulse);
        let read = reader.join().map_err(|_panic| PipelineError::Thread);
        (read.and_then(|read| Ok(read?)), result)
    });
    let result = from_stream.map_err(PipelineError::from).and(from_source);
    (stream.totals(), result)
}

/// Closes a queue at the end of a scope.
pub(crate) struct Closing<'a>(pub(crate) &'a Queue<Signal>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a stream takes its signals from.
struct Intake<'a> {
    queue: &'a Queue<Signal>,
    is_live: bool,
    stop: &'a AtomicBool,
    pulse: &'a Pulse,
}

impl Intake<'_> {
    /// As [`Queue::pop`], coming round meanwhile.
    fn pop(&self, patience: Duration) -> (Popped<Signal>, u64) {
        let until = Instant::now() + patience;
        let mut dropped = 0;
        loop {
            self.pulse.beat();
            let left = until.saturating_duration_since(Instant::now());
            let (popped, more) = self.queue.pop(left.min(BREATH));
            dropped += more;
            if !matches!(popped, Popped::Nothing) || left <= BREATH {
                return (popped, dropped);
            }
        }
    }
}

fn consume(
    intake: &Intake<'_>,
    (stream, others): (&mut Stream, &mut [Stream]),
    outputs: &SyncSender<Timed>,
) -> Result<(), StreamError> {
    // What is said of a window is said at its end; an event may reach less far.
    let mut t_us = 0;
    let origin_us = Cell::new(0);
    let mut say = |output| {
        if let Output::Window(scored) = &output {
            let end_us = scored.t_end_us.saturating_add_signed(origin_us.get());
            t_us = end_us.max(t_us);
        }
        // The receiver is there until every stream has ended.
        let _ = outputs.send((t_us, output));
    };
    let is_live = intake.is_live;
    let mut told = Instant::now();
    let mut stopped: Option<Instant> = None;
    loop {
        if intake.stop.load(Ordering::Relaxed) {
            stopped.get_or_insert_with(Instant::now);
        }
        let is_late = stopped.is_some_and(|stopped| stopped.elapsed() >= DRAIN);
        if is_live && told.elapsed() >= TELL {
            told = Instant::now();
            say(Output::Totals {
                stream: stream.name().to_owned(),
                totals: stream.totals(),
            });
        }
        let (popped, dropped) = intake.pop(stream.patience());
        stream.dropped(dropped);
        others.iter_mut().for_each(|other| other.dropped(dropped));
        let signal = match popped {
            Popped::Item(Signal::Block(block)) if is_late => {
                stream.give_up(&block);
                others.iter_mut().for_each(|other| other.give_up(&block));
                continue;
            }
            Popped::Item(signal) => signal,
            // A recording that is played slowly, or after others, says nothing of a sensor.
            Popped::Nothing if is_live => {
                stream.idle(&mut say);
                others.iter_mut().for_each(|other| other.idle(&mut say));
                continue;
            }
            Popped::Nothing => continue,
            Popped::End => break,
        };
        if let Signal::Origin { at_us } = signal {
            origin_us.set(at_us);
        }
        let taken = others
            .iter_mut()
            .try_for_each(|other| other.take(signal.clone(), &mut say));
        let taken = taken.and_then(|()| stream.take(signal, &mut say));
        if taken.is_err() {
            end((stream, others), &mut say);
            return taken;
        }
    }
    end((stream, others), &mut say);
    Ok(())
}

fn end((stream, others): (&mut Stream, &mut [Stream]), say: &mut dyn FnMut(Output)) {
    stream.finish(say);
    others.iter_mut().for_each(|other| other.finish(say));
}

//! Sources to a recorder, until they end.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Recorder, WriteError};
use crate::pipeline::Closing;
use crate::queue::{Popped, Queue};
use crate::source::serial::now_ns;
use crate::source::{Feed, Signal, Source};

/// Samples between a source and the recorder, in microseconds: what is live and later than this is
/// given up.
const QUEUE_US: u64 = 4_000_000;

/// How often it is looked whether a chunk has lasted long enough though nothing comes.
const TICK: Duration = Duration::from_millis(250);

/// Longest that a recording is waited for at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records sources until they end or `stop` is set, and ends the file. Live sources do not wait for
/// the file: what it is too slow for is dropped and counted. Recordings are merged by their times,
/// so that the same recordings make the same file.
///
/// # Errors
///
/// The file cannot be written, which ends all sources; or a source is gone. What was recorded by then
/// is a whole file.
pub fn record<W: Write + Send>(
    sources: Vec<Box<dyn Source>>,
    recorder: &mut Recorder<W>,
    stop: &AtomicBool,
) -> Result<(), WriteError> {
    let names: Vec<String> = recorder.infos().map(|info| info.name.clone()).collect();
    let is_recorded = sources.iter().all(|source| source.is_recording());
    let queues: Vec<Queue<Signal>> = sources.iter().map(|_| Queue::new(QUEUE_US)).collect();
    let (read, written) = thread::scope(|scope| {
        let start = |(source, queue): (Box<dyn Source>, _)| {
            let feed = Feed::new(queue, stop, !source.is_recording());
            scope.spawn(move || {
                // Closed however the source ends, or the recorder would wait for ever.
                let _closing = Closing(queue);
                source.run(feed)
            })
        };
        let readers: Vec<_> = sources.into_iter().zip(&queues).map(start).collect();
        let written = match is_recorded {
            true => merge(&queues, recorder),
            false => collect(&queues, recorder, stop),
        };
        queues.iter().for_each(Queue::close);
        let join = |(reader, name): (thread::ScopedJoinHandle<'_, _>, &String)| {
            let read: Result<_, _> = reader.join().map_err(|_panic| WriteError::Thread)?;
            let name = name.clone();
            read.map_err(|source| WriteError::Source {
                name,
                source: Box::new(source),
            })
        };
        let read: Vec<Result<(), WriteError>> = readers.into_iter().zip(&names).map(join).collect();
        (read, written)
    });
    written?;
    recorder.finish()?;
    read.into_iter().collect()
}

/// Takes what recordings say in the order of its times; of the same time, in the order of the
/// streams.
fn merge<W: Write>(queues: &[Queue<Signal>], recorder: &mut Recorder<W>) -> Result<(), WriteError> {
    // What was said last, and what each stream says next.
    let mut next: Vec<(u64, Option<Signal>)> = vec![(0, None); queues.len()];
    let mut ended = vec![false; queues.len()];
    loop {
        for (at, queue) in queues.iter().enumerate() {
            while next[at].1.is_none() && !ended[at] {
                match queue.pop(PATIENCE).0 {
                    Popped::Item(signal) => {
                        // What has no time of its own is said after what came before it.
                        let t_ns = time_ns(&signal).unwrap_or(0).max(next[at].0);
                        next[at] = (t_ns, Some(signal));
                    }
                    Popped::Nothing => {}
                    Popped::End => ended[at] = true,
                }
            }
        }
        let waiting = next
            .iter()
            .enumerate()
            .filter(|(_, (_, next))| next.is_some());
        let Some((at, _)) = waiting.min_by_key(|(at, (t_ns, _))| (*t_ns, *at)) else {
            return Ok(());
        };
        if let Some(signal) = next[at].1.take() {
            recorder.take(at, &signal, None)?;
        }
    }
}

/// When a block arrived, or was taken.
fn time_ns(signal: &Signal) -> Option<u64> {
    let Signal::Block(block) = signal else {
        return None;
    };
    let arrived_ns = block.t_host_ns.map(|t_ns| u64::try_from(t_ns).unwrap_or(0));
    Some(arrived_ns.unwrap_or(block.t_us.saturating_mul(1000)))
}

/// Takes what sources say as it comes.
fn collect<W: Write + Send>(
    queues: &[Queue<Signal>],
    recorder: &mut Recorder<W>,
    stop: &AtomicBool,
) -> Result<(), WriteError> {
    let recorder = Mutex::new(recorder);
    let take_all = |(at, queue): (usize, &Queue<Signal>)| -> Result<(), WriteError> {
        let _closing = Closing(queue);
        loop {
            let (popped, dropped) = queue.pop(TICK);
            let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
            recorder.dropped(at, dropped);
            let now_ns = now_ns();
            let written = match popped {
                Popped::Item(signal) => recorder.take(at, &signal, Some(now_ns)),
                Popped::Nothing => recorder.tick(now_ns),
                Popped::End => return Ok(()),
            };
            if written.is_err() {
                stop.store(true, Ordering::Relaxed);
                return written;
            }
        }
    };
    thread::scope(|scope| {
        let take_all = &take_all;
        let start = |queue: (usize, _)| scope.spawn(move || take_all(queue));
        let threads: Vec<_> = queues.iter().enumerate().map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or(Err(WriteError::Thread))
        };
        // All of them are waited for, and the first error is told.
        let written: Vec<Result<(), WriteError>> = threads.into_iter().map(join).collect();
        written.into_iter().collect()
    })
}

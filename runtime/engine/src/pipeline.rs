//! Streams side by side: two threads for each, and one queue between them.
//!
//! ```text
//! source ─▶ queue ─▶ stream ─┐
//! source ─▶ queue ─▶ stream ─┴▶ whoever called
//! ```

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use thiserror::Error;

use crate::queue::Queue;
use crate::source::{Feed, Signal, Source, SourceError};
use crate::stream::{ClockMode, Output, Stream, StreamError, Totals};

/// Signals between a source and its stream: at 50 Hz in blocks of 16, the last five minutes.
const QUEUE_LEN: usize = 1024;

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
    mut on_output: impl FnMut(Output) -> io::Result<()>,
) -> (Vec<Summary>, io::Result<()>) {
    thread::scope(|scope| {
        let (outputs, received) = sync_channel(OUTPUTS_LEN);
        let threads: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let outputs = outputs.clone();
                let name = line.stream.name().to_owned();
                (name, scope.spawn(move || run_line(line, stop, &outputs)))
            })
            .collect();
        drop(outputs);
        let mut result = Ok(());
        for output in received {
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

fn run_line(
    line: Line,
    stop: &AtomicBool,
    outputs: &SyncSender<Output>,
) -> (Totals, Result<(), PipelineError>) {
    let Line {
        source,
        mut stream,
        clock,
    } = line;
    let queue = Queue::new(QUEUE_LEN);
    let (from_source, from_stream) = thread::scope(|scope| {
        let feed = Feed::new(&queue, stop, clock == ClockMode::Host);
        let queue = &queue;
        let reader = scope.spawn(move || {
            // Closed however the source ends, or the stream would wait for ever.
            let _closing = Closing(queue);
            source.run(feed)
        });
        let result = {
            let _closing = Closing(queue);
            consume(queue, &mut stream, outputs)
        };
        let read = reader.join().map_err(|_panic| PipelineError::Thread);
        (read.and_then(|read| Ok(read?)), result)
    });
    let result = from_stream.map_err(PipelineError::from).and(from_source);
    (stream.totals(), result)
}

/// Closes a queue at the end of a scope.
struct Closing<'a>(&'a Queue<Signal>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn consume(
    queue: &Queue<Signal>,
    stream: &mut Stream,
    outputs: &SyncSender<Output>,
) -> Result<(), StreamError> {
    // The receiver is there until every stream has ended.
    let mut say = |output| {
        let _ = outputs.send(output);
    };
    loop {
        let (signal, dropped) = queue.pop();
        stream.dropped(dropped);
        let Some(signal) = signal else {
            break;
        };
        if let Err(error) = stream.take(signal, &mut say) {
            stream.finish(&mut say);
            return Err(error);
        }
    }
    stream.finish(&mut say);
    Ok(())
}

//! A thousand changes of the classes at random moments, while four streams run: no window is lost, and each
//! is scored with the classes that were there.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod four;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use four::{Four, SENSES, pack, samples_of, streams};
use sensorium_engine::bank::{Bank, CompiledClasses};
use sensorium_engine::pipeline;
use sensorium_engine::queue::{Popped, Queue};
use sensorium_engine::slot::Slot;
use sensorium_engine::source::{Feed, Signal};
use sensorium_engine::space::Space;
use sensorium_engine::stream::Output;
use sensorium_pack::Modality;

const CHANGES: u64 = 1000;

/// So many seconds that there are more windows than changes.
const SECONDS: u64 = 400;

/// Classes from one to seven, so that the number of scores says with which a window was scored.
fn bank(space: &Space, modality: Modality, count: u64) -> Bank {
    let class = |at: u64| format!("[[class]]\nname = 'class {at}'\nprompts = ['calm', 'busy']\n");
    let text: String = (0..count).map(class).collect();
    Bank::new(&CompiledClasses::parse(&text, space).unwrap(), modality).unwrap()
}

/// As in the other test of these four (Steele et al. 2014, SplitMix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a source says, all at once.
fn signals(line: pipeline::Line) -> (Vec<Signal>, sensorium_engine::stream::Stream) {
    let (queue, stop) = (Queue::new(u64::MAX), AtomicBool::new(false));
    line.source.run(Feed::new(&queue, &stop, false)).unwrap();
    queue.close();
    let next = || match queue.pop(Duration::ZERO).0 {
        Popped::Item(signal) => Some(signal),
        _ => None,
    };
    (std::iter::from_fn(next).collect(), line.stream)
}

#[test]
fn the_very_next_window_has_the_classes_that_were_just_typed() {
    let mut state = 1;
    for four in streams(&pack(), SECONDS / 4, true) {
        let Four {
            modality,
            line,
            shape,
            slot,
            space,
            ..
        } = four;
        let (signals, mut stream) = signals(line);
        let changes: Vec<usize> = (0..CHANGES / 4)
            .map(|_| random(&mut state) as usize % signals.len())
            .collect();
        let (mut windows, mut now) = (0, slot.get().classes().len());
        for (at, signal) in signals.into_iter().enumerate() {
            for _ in changes.iter().filter(|change| **change == at) {
                now = 1 + random(&mut state) as usize % 7;
                slot.set(bank(&space, modality, now as u64));
            }
            let mut say = |output| {
                if let Output::Window(scored) = output {
                    windows += 1;
                    assert_eq!(scored.scores.len(), now, "{modality}, window {windows}");
                }
            };
            stream.take(signal, &mut say).unwrap();
        }
        let rate_mhz = SENSES
            .iter()
            .find(|(sense, _)| *sense == modality)
            .unwrap()
            .1;
        let expected = Four::windows_of(shape, samples_of(rate_mhz, SECONDS / 4));
        assert_eq!(
            (windows, stream.totals().scored()),
            (expected, expected),
            "{modality}"
        );
    }
}

#[test]
fn a_thousand_changes_lose_no_window() {
    let four = streams(&pack(), SECONDS, true);
    let shapes: Vec<_> = four.iter().map(|stream| stream.shape).collect();
    let mut lines = Vec::new();
    let mut changing: Vec<(Arc<Slot>, Vec<Bank>)> = Vec::new();
    for four in four {
        let banks = (1..8).map(|count| bank(&four.space, four.modality, count));
        changing.push((four.slot, banks.collect()));
        lines.push(four.line);
    }
    // A change for every so many windows that were heard, at moments that no stream knows of.
    let (heard, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let all: u64 = { SENSES.iter().zip(&shapes) }
        .map(|((_, rate_mhz), shape)| Four::windows_of(*shape, samples_of(*rate_mhz, SECONDS)))
        .sum();
    let lengths: Mutex<BTreeMap<usize, u64>> = Mutex::default();
    let (summaries, changes) = std::thread::scope(|scope| {
        let changer = scope.spawn(|| {
            let (mut state, mut changes) = (7, 0);
            while changes < CHANGES {
                let due = all * 9 / 10 * changes / CHANGES;
                while heard.load(Ordering::Relaxed) < due && !is_over.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                for (slot, banks) in &changing {
                    slot.set(banks[random(&mut state) as usize % banks.len()].clone());
                }
                changes += 1;
            }
            changes
        });
        let (summaries, written) = pipeline::run(lines, &AtomicBool::new(false), |output| {
            if let Output::Window(scored) = output {
                heard.fetch_add(1, Ordering::Relaxed);
                *lengths
                    .lock()
                    .unwrap()
                    .entry(scored.scores.len())
                    .or_default() += 1;
            }
            Ok(())
        });
        written.unwrap();
        is_over.store(true, Ordering::Relaxed);
        (summaries, changer.join().unwrap())
    });
    assert_eq!(changes, CHANGES);
    for (summary, ((modality, rate_mhz), shape)) in
        { summaries.iter() }.zip(SENSES.iter().zip(shapes))
    {
        let samples = samples_of(*rate_mhz, SECONDS);
        let expected = Four::windows_of(shape, samples);
        let totals = summary.totals;
        assert_eq!(
            (totals.scored(), totals.ledger.received),
            (expected, samples),
            "{modality}"
        );
    }
    let lengths = lengths.into_inner().unwrap();
    assert_eq!(lengths.values().sum::<u64>(), all);
    // Every one of the seven banks had its turn.
    assert!(
        (1..8).all(|length| lengths.contains_key(&length)),
        "{lengths:?}"
    );
}

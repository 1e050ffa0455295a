//! What a stream says depends on its samples alone, and gaps end events.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use sensorium_engine::source::{Block, Samples, Signal};
use sensorium_engine::stream::{Output, Stream};
use sensorium_testkit::{stream, walk};

/// Blocks of so many samples, numbered and timed from 0.
fn blocks(len: usize) -> Vec<Block> {
    let samples = walk();
    let of_chunk = |(n, chunk): (usize, &[_])| Block {
        index: (n * len) as u64,
        t_us: (n * len) as u64 * 20_000,
        rate_mhz: 50_000,
        offsets_us: None,
        samples: Samples::Imu(chunk.to_vec()),
        t_host_ns: None,
    };
    samples[..6000]
        .chunks(len)
        .enumerate()
        .map(of_chunk)
        .collect()
}

fn outputs(stream: &mut Stream, signals: impl IntoIterator<Item = Signal>) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut say = |output| outputs.push(output);
    for signal in signals {
        stream.take(signal, &mut say).unwrap();
    }
    stream.finish(&mut say);
    outputs
}

fn phases(outputs: &[Output], phase: &str) -> usize {
    let is = |output: &&Output| matches!(output, Output::Event(e) if e.phase == phase);
    outputs.iter().filter(is).count()
}

#[test]
fn how_samples_are_cut_into_blocks_does_not_matter() {
    let said = |len| outputs(&mut stream("a"), blocks(len).into_iter().map(Signal::Block));
    let whole = said(16);
    assert!(phases(&whole, "start") > 2);
    assert_eq!(phases(&whole, "start"), phases(&whole, "end"));
    assert_eq!(said(7), whole);
    assert_eq!(said(1000), whole);
}

#[test]
fn a_gap_ends_what_was_going_on_and_is_not_scored() {
    let mut stream = stream("a");
    // Twenty seconds are missing: blocks 63 to 124.
    let kept = |block: &Block| !(1008..2000).contains(&block.index);
    let said = outputs(
        &mut stream,
        blocks(16).into_iter().filter(kept).map(Signal::Block),
    );
    for output in &said {
        let Output::Event(event) = output else {
            continue;
        };
        let spans = event.t_start_ns < 22_000_000_000 && event.t_end_ns > 38_000_000_000;
        assert!(!spans, "{event:?}");
    }
    let totals = stream.totals();
    assert_eq!((totals.ledger.sampled, totals.ledger.lost), (6000, 992));
    assert!(totals.thin > 0 && totals.windows.empty > 20, "{totals:?}");
}

#[test]
fn a_reboot_ends_events_and_starts_time_anew() {
    let mut stream = stream("a");
    let first = blocks(16).into_iter().take(150).map(Signal::Block);
    let reboot = [Signal::Boot { boot_id: 1 }, Signal::Reboot { boot_id: 2 }];
    let again = blocks(16).into_iter().take(150).map(Signal::Block);
    let said = outputs(&mut stream, first.chain(reboot).chain(again));
    assert_eq!(phases(&said, "start"), phases(&said, "end"));
    let (before, after) = said.split_at(said.len() / 2);
    assert_eq!(before, after);
    let ledger = stream.totals().ledger;
    assert_eq!(
        (ledger.sampled, ledger.received, ledger.reboots),
        (4800, 4800, 1)
    );
}

#[test]
fn a_rate_that_no_front_end_takes_ends_the_stream() {
    let mut stream = stream("a");
    let mut block = blocks(16).remove(0);
    block.rate_mhz = 1;
    let error = stream.take(Signal::Block(block), &mut |_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rate is 0.001 Hz, expected 25 to 400 Hz"
    );
}

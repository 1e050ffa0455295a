//! A host whose clock is wrong, or is set while streams run: sensing goes on, and times are right again
//! within seconds.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use sensorium_engine::event::Event;
use sensorium_engine::fuse::{Fuser, MERGE_WITHIN_S};
use sensorium_engine::source::{Block, Samples, Signal};
use sensorium_engine::stream::Output;
use sensorium_testkit::{live_stream, walk};

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3600 * SECOND_NS;

/// A November of 2026.
const NOW_NS: i64 = 1_795_600_000 * SECOND_NS;

/// Two minutes of walking and standing, heard while the host's clock shows what `clock` makes of the
/// second; windows that were scored, and events.
fn heard(clock: impl Fn(i64) -> i64) -> (u64, Vec<Event>) {
    let mut stream = live_stream("wrist");
    let mut fuser = Fuser::new(&[], MERGE_WITHIN_S);
    let mut events = Vec::new();
    let mut say = |output| {
        if let Output::Event(event) = output {
            events.extend(fuser.take(event));
        }
    };
    let samples = walk();
    for (n, chunk) in samples[..6000].chunks(10).enumerate() {
        // 10 samples are 0.2 s; they arrive when the last was taken.
        let t_us = n as u64 * 200_000;
        let t_ns = (n as i64 + 1) * SECOND_NS / 5;
        let block = Block {
            index: n as u64 * 10,
            t_us,
            rate_mhz: 50_000,
            offsets_us: None,
            samples: Samples::Imu(chunk.to_vec()),
            t_host_ns: Some(t_ns + clock(t_ns / SECOND_NS)),
        };
        stream.take(Signal::Block(block), &mut say).unwrap();
    }
    stream.finish(&mut say);
    let totals = stream.totals();
    assert_eq!(
        (totals.ledger.sampled, totals.ledger.received),
        (6000, 6000)
    );
    (totals.scored(), events)
}

/// Phase and class of each.
fn words(events: &[Event]) -> Vec<(&str, &str)> {
    { events.iter() }
        .map(|event| (event.phase, event.class.as_str()))
        .collect()
}

#[test]
fn a_clock_that_was_never_set_changes_nothing_but_dates() {
    let (scored, right) = heard(|_| NOW_NS);
    let (scored_1970, wrong) = heard(|_| 0);
    assert!(scored > 150 && right.len() > 4, "{scored}, {right:?}");
    assert_eq!(scored_1970, scored);
    assert_eq!(words(&wrong), words(&right));
    for (wrong, right) in wrong.iter().zip(&right) {
        // Each clock knows itself to the nanosecond that it is told in; dates differ by all of 56 years.
        let off_ns = right.t_end_ns - wrong.t_end_ns - NOW_NS;
        assert!(off_ns.abs() < 1_000_000, "{wrong:?} {right:?}");
    }
}

#[test]
fn a_clock_that_is_set_is_followed_within_seconds() {
    let (scored, steady) = heard(|_| NOW_NS);
    // From 1970 to now, an hour ahead, and an hour back, in the middle of the first minute.
    let steps: [fn(i64) -> i64; 3] = [
        |s| if s < 30 { 0 } else { NOW_NS },
        |s| if s < 30 { NOW_NS } else { NOW_NS + HOUR_NS },
        |s| if s < 30 { NOW_NS + HOUR_NS } else { NOW_NS },
    ];
    for step in steps {
        let (scored_then, events) = heard(step);
        assert_eq!(scored_then, scored);
        assert_eq!(words(&events), words(&steady));
        for (event, right) in events.iter().zip(&steady) {
            assert!(event.t_end_ns >= event.t_start_ns, "{event:?}");
            // What begins after the step is known, has the right date.
            if right.t_start_ns > NOW_NS + 40 * SECOND_NS {
                let off_ns = event.t_start_ns - right.t_start_ns - (step(60) - NOW_NS);
                assert!(off_ns.abs() < SECOND_NS / 10, "{event:?} {right:?}");
                assert_ne!(event.clock, "unsynced", "{event:?}");
            }
        }
    }
}

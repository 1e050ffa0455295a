//! Four streams for hours, as fast as the machine goes: nothing is missed, memory does not grow, and two
//! runs say the same.
//!
//! ```text
//! SOAK_HOURS=8 SOAK_PACK=my.pack cargo test --release -p sensorium-e2e --test soak -- --ignored --nocapture
//! ```
//!
//! Without `SOAK_PACK`, encoders are so small that all but them is what takes the time.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod four;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use four::{Four, SENSES, pack, samples_of, streams};
use sensorium_engine::fuse::Fuser;
use sensorium_engine::pipeline;
use sensorium_engine::sink::{JsonLines, Sink};
use sensorium_engine::stream::Output;
use sensorium_pack::Pack;

/// How often memory is looked at, in microseconds of the streams.
const LOOK_US: u64 = 60_000_000;

/// Memory may be this much more in the last quarter than in the second.
const DRIFT: f64 = 0.01;

/// Bytes of memory that this process holds.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// What a run said, and memory as it went.
struct Soak {
    lines: Vec<u8>,
    events: u64,
    windows: u64,
    resident: Vec<u64>,
}

/// Runs all four for some seconds of their own time and checks their books.
fn soak(pack: &Pack, seconds: u64, is_tiny: bool, keep: bool) -> Soak {
    let four = streams(pack, seconds, is_tiny);
    let classes: Vec<_> = four
        .iter()
        .flat_map(|stream| stream.classes.clone())
        .collect();
    let mut fuser = Fuser::new(&classes, 1.0);
    let shapes: Vec<_> = four.iter().map(|stream| stream.shape).collect();
    let lines = four.into_iter().map(|stream| stream.line).collect();
    let (mut looked_us, mut resident_bytes) = (0, Vec::new());
    let (mut said, mut events) = (JsonLines(Vec::new()), 0);
    let (summaries, written) = pipeline::run(lines, &AtomicBool::new(false), |output| {
        match output {
            Output::Window(scored) if scored.t_end_us >= looked_us + LOOK_US => {
                looked_us = scored.t_end_us;
                resident_bytes.extend(resident());
            }
            Output::Event(event) => {
                for event in fuser.take(event) {
                    events += 1;
                    if keep {
                        said.event(&event)?;
                    }
                }
            }
            Output::Health(health) => panic!("{health:?}"),
            _ => {}
        }
        Ok(())
    });
    written.unwrap();
    let mut windows = 0;
    for (summary, ((modality, rate_mhz), shape)) in
        { summaries.iter() }.zip(SENSES.iter().zip(shapes))
    {
        summary.result.as_ref().unwrap();
        let (totals, samples) = (summary.totals, samples_of(*rate_mhz, seconds));
        let ledger = totals.ledger;
        assert_eq!(
            (ledger.sampled, ledger.received, ledger.lost, ledger.dropped),
            (samples, samples, 0, 0),
            "{modality}"
        );
        let expected = Four::windows_of(shape, samples);
        assert_eq!(totals.windows.made, expected, "{modality}: {totals:?}");
        assert_eq!(
            (totals.scored(), totals.windows.late),
            (expected, 0),
            "{modality}"
        );
        windows += expected;
    }
    Soak {
        lines: said.0,
        events,
        windows,
        resident: resident_bytes,
    }
}

#[test]
fn minutes_of_four_streams_are_the_same_each_time() {
    let pack = pack();
    let (one, other) = (soak(&pack, 300, true, true), soak(&pack, 300, true, true));
    assert!(one.lines == other.lines, "two runs differ");
    let text = String::from_utf8(one.lines).unwrap();
    // Two senses that must agree do, seven times in five minutes.
    let both = |line: &&str| line.contains("\"busy\"") && line.contains("\"phase\":\"end\"");
    let both: Vec<&str> = text.lines().filter(both).collect();
    assert_eq!(both.len(), 7, "{text}");
    for line in both {
        assert!(line.contains("\"stream\":\"imu\"") && line.contains("\"stream\":\"thermal\""));
    }
}

#[test]
#[ignore = "hours; see the top of this file"]
fn hours() {
    let hours = std::env::var("SOAK_HOURS").map_or(8.0, |hours| hours.parse().unwrap());
    let given = std::env::var_os("SOAK_PACK").map(|path| Pack::open(path.as_ref()).unwrap());
    let is_tiny = given.is_none();
    let pack = given.unwrap_or_else(pack);
    let began = Instant::now();
    let soak = soak(&pack, (hours * 3600.0) as u64, is_tiny, false);
    let took = began.elapsed().as_secs_f64();
    let quarter = soak.resident.len() / 4;
    let mean = |of: &[u64]| of.iter().sum::<u64>() as f64 / of.len() as f64;
    let early = mean(&soak.resident[quarter..2 * quarter]);
    let late = mean(&soak.resident[3 * quarter..]);
    let most = soak.resident.iter().max().unwrap();
    let drift = late / early - 1.0;
    eprintln!(
        "{hours} h of four streams with {} in {took:.0} s: {} windows, 0 missed, {} events; {:.1} MB \
         in the second quarter, {:.1} MB in the last ({:+.2} %), {:.1} MB at most",
        pack.id(),
        soak.windows,
        soak.events,
        early / 1e6,
        late / 1e6,
        100.0 * drift,
        *most as f64 / 1e6
    );
    assert!(drift < DRIFT, "memory grew by {:.2} %", 100.0 * drift);
}

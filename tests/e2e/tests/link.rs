//! A recording through node, link and host gives what it gives from its file, and what the link
//! destroys is missed and counted, never believed.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sensorium_engine::pipeline::{self, Line, PipelineError, Summary};
use sensorium_engine::sink::{JsonLines, Sink};
use sensorium_engine::source::csv::Recording;
use sensorium_engine::source::node::NodeReader;
use sensorium_engine::source::replay::Replay;
use sensorium_engine::source::retry::Retry;
use sensorium_engine::source::serial::Serial;
use sensorium_engine::source::{Samples, Signal, Source, SourceError};
use sensorium_engine::stream::{ClockMode, Output};
use sensorium_host_sim::{Blocking, Pty, Report, Settings, simulate};
use sensorium_testkit::{WALK_RATE_MHZ, stream, walk};
use sensorium_wire::ImuSample;

/// A pty carries what a serial line carries, but nobody waits for it longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one stream to its end; its events as lines, and what became of its samples.
fn run(source: Box<dyn Source>) -> (String, Summary) {
    let mut lines = JsonLines(Vec::new());
    let line = Line {
        others: Vec::new(),
        source,
        stream: stream("wrist"),
        clock: ClockMode::Sample,
    };
    let (mut summaries, written) =
        pipeline::run(vec![line], &AtomicBool::new(false), |output| match output {
            Output::Event(event) => lines.event(&event),
            _ => Ok(()),
        });
    written.unwrap();
    (String::from_utf8(lines.0).unwrap(), summaries.remove(0))
}

/// Plays samples through a node on one end of a pty and reads the other.
fn run_on_pty(samples: &[ImuSample], destroy: f64) -> (String, Summary, Report) {
    let settings = Settings {
        destroy,
        seed: 7,
        ..Settings::at_rate_mhz(WALK_RATE_MHZ)
    };
    let pty = Pty::open().unwrap();
    let writer = pty.writer().unwrap();
    let port = Serial::open(pty.path(), 115_200).unwrap();
    std::thread::scope(|scope| {
        let node = scope.spawn(|| {
            let stop = AtomicBool::new(false);
            let samples = samples.iter().copied();
            let report = simulate(samples, &settings, Blocking::new(writer, &stop), &stop);
            pty.wait_until_drained(PATIENCE).unwrap();
            report
        });
        let (lines, summary) = run(Box::new(port));
        (lines, summary, node.join().unwrap())
    })
}

fn replay(samples: Vec<ImuSample>) -> (String, Summary) {
    let recording = Recording {
        samples,
        ..Recording::default()
    };
    run(Box::new(Replay::new(recording, WALK_RATE_MHZ, None)))
}

/// Events of which a start was told, and of which an end was.
fn starts_and_ends(lines: &str) -> (Vec<&str>, Vec<&str>) {
    let ids = |phase: &str| {
        let phase = format!("\"phase\":\"{phase}\"");
        let of_phase = lines.lines().filter(|line| line.contains(&phase));
        let mut ids: Vec<&str> = of_phase.map(|line| &line[..24]).collect();
        ids.sort_unstable();
        ids
    };
    (ids("start"), ids("end"))
}

#[test]
fn the_link_changes_nothing() {
    let samples = walk();
    let (from_file, summary) = replay(samples.clone());
    summary.result.unwrap();
    assert!(from_file.lines().count() > 8, "{from_file}");
    assert!(
        from_file.contains("\"clock\":\"unsynced\"")
            && from_file.contains("\"t_uncertainty_ns\":0,")
    );
    for _ in 0..2 {
        let (from_node, summary, report) = run_on_pty(&samples, 0.0);
        summary.result.unwrap();
        assert_eq!(from_node, from_file);
        let ledger = summary.totals.ledger;
        assert_eq!(ledger.sampled, samples.len() as u64);
        assert_eq!(
            (ledger.received, ledger.lost, ledger.dropped),
            (ledger.sampled, 0, 0)
        );
        assert_eq!(report.status.sampled, ledger.sampled);
    }
}

#[test]
fn destroyed_frames_are_missed_and_counted() {
    let samples = walk();
    let (lines, summary, report) = run_on_pty(&samples, 0.05);
    summary.result.unwrap();
    let ledger = summary.totals.ledger;
    assert_eq!(ledger.sampled, samples.len() as u64);
    assert_eq!(
        ledger.sampled,
        ledger.received + ledger.lost + ledger.dropped
    );
    assert_eq!(ledger.dropped, report.status.dropped);
    assert!(report.damage.damaged() > 10, "{report:?}");
    assert!(
        ledger.lost > 0 && ledger.lost < ledger.sampled / 5,
        "{ledger}"
    );
    let (starts, ends) = starts_and_ends(&lines);
    assert!(!starts.is_empty());
    assert_eq!(starts, ends);
}

#[test]
fn no_wrong_sample_is_believed() {
    let samples = walk();
    let mut accepted = 0;
    for seed in 0..20 {
        let settings = Settings {
            destroy: 0.05,
            seed,
            ..Settings::at_rate_mhz(WALK_RATE_MHZ)
        };
        let stop = AtomicBool::new(false);
        let mut bytes = Vec::new();
        let link = Blocking::new(&mut bytes, &stop);
        simulate(samples.iter().copied(), &settings, link, &stop);
        let mut reader = NodeReader::new();
        reader.read(&bytes, 0, |signal| {
            let Signal::Block(block) = signal else { return };
            let sent = &samples[block.index as usize..][..block.samples.len()];
            let sent = Samples::Imu(sent.to_vec());
            assert_eq!(block.samples, sent, "block {} of seed {seed}", block.index);
            assert_eq!(block.t_us, block.index * 20_000);
            accepted += block.samples.len();
        });
    }
    assert!(accepted > 20 * samples.len() * 9 / 10, "{accepted}");
}

#[test]
fn a_port_that_goes_away_ends_its_events_and_is_an_error() {
    let samples = walk();
    let settings = Settings::at_rate_mhz(WALK_RATE_MHZ);
    // A node's bytes without their end: the cable is pulled.
    let (stop, mut bytes) = (AtomicBool::new(false), Vec::new());
    let link = Blocking::new(&mut bytes, &stop);
    simulate(samples[..3000].iter().copied(), &settings, link, &stop);
    let pulled = bytes.len() * 9 / 10;

    let pty = Pty::open().unwrap();
    let mut writer = pty.writer().unwrap();
    let port = Serial::open(pty.path(), 115_200).unwrap();
    let (lines, summary) = std::thread::scope(|scope| {
        let bytes = &bytes[..pulled];
        scope.spawn(move || {
            write_slowly(&mut writer, bytes);
            pty.wait_until_drained(PATIENCE).unwrap();
            drop((writer, pty));
        });
        run(Box::new(port))
    });
    let result = summary.result;
    assert!(
        matches!(
            &result,
            Err(PipelineError::Source(SourceError::Unplugged { .. }))
        ),
        "{result:?}"
    );
    let (starts, ends) = starts_and_ends(&lines);
    assert!(!starts.is_empty());
    assert_eq!(starts, ends);
    let ledger = summary.totals.ledger;
    assert_eq!(
        ledger.sampled,
        ledger.received + ledger.lost + ledger.dropped
    );
}

#[test]
fn a_port_that_comes_back_goes_on_where_the_node_is() {
    let samples = walk();
    let settings = Settings::at_rate_mhz(WALK_RATE_MHZ);
    let (stop, mut bytes) = (AtomicBool::new(false), Vec::new());
    let link = Blocking::new(&mut bytes, &stop);
    simulate(samples[..6000].iter().copied(), &settings, link, &stop);
    // What the node sends while nobody listens is lost: a tenth of it.
    let (pulled, plugged) = (bytes.len() * 4 / 10, bytes.len() * 5 / 10);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let plug = || {
        let pty = Pty::open().unwrap();
        let _not_there = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(pty.path(), &path).unwrap();
        pty
    };
    let pty = plug();
    let port = Serial::open(&path, 115_200).unwrap();
    let port = port.with_retry(Retry::For(PATIENCE));
    let (lines, summary) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = pty.writer().unwrap();
            write_slowly(&mut writer, &bytes[..pulled]);
            pty.wait_until_drained(PATIENCE).unwrap();
            drop((writer, pty));
            let pty = plug();
            let mut writer = pty.writer().unwrap();
            write_slowly(&mut writer, &bytes[plugged..]);
            pty.wait_until_drained(PATIENCE).unwrap();
        });
        run(Box::new(port))
    });
    summary.result.unwrap();
    let ledger = summary.totals.ledger;
    assert_eq!(
        (ledger.sampled, ledger.disconnects, ledger.reboots),
        (6000, 1, 0)
    );
    assert_eq!(ledger.sampled, ledger.received + ledger.lost);
    assert!((500..800).contains(&ledger.lost), "{ledger}");
    let (starts, ends) = starts_and_ends(&lines);
    assert!(starts.len() > 2);
    assert_eq!(starts, ends);
}

/// Writes all of it, however often the port is full.
fn write_slowly(port: &mut impl std::io::Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match port.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::TimedOut),
        }
    }
}

//! The pty, read as a serial port is read. Everything here ends within its own time.

mod reader;

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reader::{TIMEOUT, open, read_to_end, received, samples};
use sensorium_host_sim::{Blocking, Pty, Settings, simulate};

/// Far more than a pty holds, by a reader that comes late and takes its time.
#[test]
fn a_full_pty_is_back_pressure() {
    let pty = Pty::open().unwrap();
    let path = pty.path().to_str().unwrap().to_owned();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        read_to_end(open(&path))
    });
    let (count, stop) = (20_000, AtomicBool::new(false));
    let link = Blocking::new(pty.writer().unwrap(), &stop).with_patience(TIMEOUT);
    let report = simulate(samples(count), &Settings::at_rate_mhz(50_000), link, &stop);
    assert!(pty.wait_until_drained(TIMEOUT).unwrap());
    drop(pty);
    let count = count as u64;
    assert_eq!((report.status.sent, report.status.link_errors), (count, 0));
    let (packets, refused) = reader.join().unwrap();
    assert_eq!(refused, 0);
    let (samples, end) = received(&packets);
    assert_eq!((samples, end.unwrap().sampled), (count, count));
}

/// Every byte value both ways: no echo, nothing interpreted.
#[test]
fn the_pty_is_raw_from_the_start() {
    let mut pty = Pty::open().unwrap();
    let all: Vec<u8> = (0..=255).collect();
    pty.writer().unwrap().write_all(&all).unwrap();
    let mut port = open(pty.path().to_str().unwrap());
    let mut got = vec![0; 256];
    port.read_exact(&mut got).unwrap();
    assert_eq!(got, all);
    assert!(pty.wait_until_drained(TIMEOUT).unwrap());

    let stop = stop_after(TIMEOUT);
    port.write_all(&[0]).unwrap();
    assert!(pty.wait_for_reader(stop).unwrap());
    let none = pty.writer().unwrap().read(&mut [0; 1]);
    assert_eq!(none.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_reader_that_stays_away_is_noticed() {
    let mut pty = Pty::open().unwrap();
    pty.writer().unwrap().write_all(b"unread").unwrap();
    let start = Instant::now();
    assert!(!pty.wait_until_drained(Duration::from_millis(50)).unwrap());
    let stopped = AtomicBool::new(true);
    assert!(
        !pty.wait_until_drained_or_stopped(TIMEOUT, &stopped)
            .unwrap()
    );
    assert!(
        !pty.wait_for_reader(stop_after(Duration::from_millis(100)))
            .unwrap()
    );
    assert!(start.elapsed() < TIMEOUT);
}

/// One that has read for a while and closes the port: the pty fills up, and the node ends.
#[test]
fn a_reader_that_goes_away_ends_the_node() {
    let pty = Pty::open().unwrap();
    let path = pty.path().to_str().unwrap().to_owned();
    let reader = std::thread::spawn(move || {
        let mut port = open(&path);
        let mut some = [0; 5000];
        port.read_exact(&mut some).unwrap();
    });
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let patience = Duration::from_millis(200);
    let link = Blocking::new(pty.writer().unwrap(), &stop).with_patience(patience);
    let report = simulate(
        samples(usize::MAX),
        &Settings::at_rate_mhz(50_000),
        link,
        &stop,
    );
    reader.join().unwrap();
    let status = report.status;
    assert_eq!(status.sampled, status.sent + status.dropped);
    assert!(status.sent > 100 && status.link_errors > 0, "{status:?}");
    assert!(start.elapsed() < TIMEOUT, "{:?}", start.elapsed());
}

/// A flag that is set after a while, for tests that must not wait for ever.
fn stop_after(limit: Duration) -> &'static AtomicBool {
    let stop: &AtomicBool = Box::leak(Box::default());
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        stop.store(true, Ordering::Relaxed);
    });
    stop
}

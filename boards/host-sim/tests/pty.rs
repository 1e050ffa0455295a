//! The program and its pty, read as a serial port is read.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sensorium_host_sim::{Blocking, Pty, Settings, simulate};
use sensorium_wire::{Decoder, End, ImuSample, Packet, Payload};

const TIMEOUT: Duration = Duration::from_secs(20);

fn samples(count: usize) -> impl Iterator<Item = ImuSample> {
    (0..count).map(|i| ImuSample {
        accel_mps2: [i as f32, 0.0, 9.5],
        gyro_radps: [0.0, 0.25, 0.0],
    })
}

/// Reads until the port hangs up, as a host does: no command, no handshake.
fn read_to_end(path: &str) -> (Vec<Packet>, u64) {
    let mut port = serialport::new(path, 115_200)
        .timeout(TIMEOUT)
        .open()
        .expect("the port opens");
    let (mut decoder, mut packets, mut buf) = (Decoder::new(), Vec::new(), [0; 4096]);
    loop {
        match port.read(&mut buf) {
            Ok(0) => break,
            Ok(read) => packets.extend(buf[..read].iter().filter_map(|&b| decoder.push(b)?.ok())),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            // EIO, as a hung up terminal says.
            Err(error) if error.raw_os_error() == Some(5) => break,
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
                break;
            }
        }
    }
    (packets, decoder.counts().refused())
}

fn received(packets: &[Packet]) -> (usize, Option<End>) {
    let mut ledger = (0, None);
    for packet in packets {
        match &packet.payload {
            Payload::Imu(block) => ledger.0 += block.samples.len(),
            Payload::End(end) => ledger.1 = Some(*end),
            _ => {}
        }
    }
    ledger
}

/// Far more than a pty holds, by a reader that comes late and takes its time.
#[test]
fn a_full_pty_is_back_pressure() {
    let pty = Pty::open().unwrap();
    let path = pty.path().to_str().unwrap().to_owned();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        read_to_end(&path)
    });
    let (count, stop) = (20_000, AtomicBool::new(false));
    let link = Blocking::new(pty.writer().unwrap(), &stop);
    let report = simulate(samples(count), &Settings::at_rate_mhz(50_000), link, &stop);
    assert!(pty.wait_until_drained(TIMEOUT).unwrap());
    drop(pty);
    assert_eq!(
        (report.status.sent, report.status.link_errors),
        (count as u64, 0)
    );
    let (packets, refused) = reader.join().unwrap();
    assert_eq!(refused, 0);
    let (samples, end) = received(&packets);
    assert_eq!(samples, count);
    assert_eq!(end.unwrap().sampled, count as u64);
}

/// Every byte value both ways: no echo, nothing interpreted.
#[test]
fn the_pty_is_raw_from_the_start() {
    let mut pty = Pty::open().unwrap();
    let all: Vec<u8> = (0..=255).collect();
    pty.writer().unwrap().write_all(&all).unwrap();
    let path = pty.path().to_str().unwrap().to_owned();
    let mut port = serialport::new(path, 115_200)
        .timeout(TIMEOUT)
        .open()
        .unwrap();
    let mut got = vec![0; 256];
    port.read_exact(&mut got).unwrap();
    assert_eq!(got, all);
    assert!(pty.wait_until_drained(TIMEOUT).unwrap());

    let stop = AtomicBool::new(false);
    port.write_all(&[0]).unwrap();
    assert!(pty.wait_for_reader(&stop).unwrap());
    let none = pty.writer().unwrap().read(&mut [0; 1]);
    assert_eq!(none.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn a_reader_that_stays_away_is_noticed() {
    let pty = Pty::open().unwrap();
    pty.writer().unwrap().write_all(b"unread").unwrap();
    let start = Instant::now();
    assert!(!pty.wait_until_drained(Duration::from_millis(50)).unwrap());
    assert!(start.elapsed() < TIMEOUT);
}

/// The program with a recording of `count` samples, its path, and what follows on stdout.
fn program(dir: &Path, count: usize, args: &[&str]) -> (Child, String, impl BufRead) {
    let input = dir.join("walk.csv");
    let mut text = String::new();
    for sample in samples(count) {
        let ([ax, ay, az], [gx, gy, gz]) = (sample.accel_mps2, sample.gyro_radps);
        writeln!(text, "{ax},{ay},{az},{gx},{gy},{gz}").expect("a string takes all");
    }
    std::fs::write(&input, text).expect("the recording is written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium-host-sim"))
        .arg(input)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
    let mut path = String::new();
    stdout.read_line(&mut path).expect("a first line");
    (child, path.trim_end().to_owned(), stdout)
}

#[test]
fn the_program_plays_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("node");
    let args = [
        "--rate-hz",
        "50",
        "--speed",
        "max",
        "--destroy",
        "0.05",
        "--seed",
        "7",
        "--json",
        "--wait-reader",
        "--pty-link",
        link.to_str().unwrap(),
    ];
    let (mut child, path, mut stdout) = program(dir.path(), 5000, &args);
    assert_eq!(link.read_link().unwrap(), Path::new(&path));
    // Nothing comes before the reader has knocked; another opens the port, and reads it.
    let mut knock = serialport::new(link.to_str().unwrap(), 115_200)
        .timeout(Duration::from_millis(50))
        .open_native()
        .unwrap();
    knock.set_exclusive(false).unwrap();
    assert!(knock.read(&mut [0; 1]).is_err());
    knock.write_all(&[0]).unwrap();
    let (packets, refused) = read_to_end(link.to_str().unwrap());
    drop(knock);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!link.is_symlink());

    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["status"]["sampled"], 5000);
    assert_eq!(report["status"]["dropped"], 0);
    assert!(report["damage"]["frames"].as_u64().unwrap() > 500);
    assert!(refused > 0);
    let (samples, end) = received(&packets);
    let end = end.unwrap();
    assert_eq!((end.sampled, end.dropped), (5000, 0));
    assert!((4000..5000).contains(&samples), "{samples}");
}

#[test]
fn the_program_keeps_time() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let (mut child, path, _stdout) =
        program(dir.path(), 200, &["--rate-hz", "100", "--speed", "4"]);
    let (packets, refused) = read_to_end(&path);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() > Duration::from_millis(490));
    assert_eq!((received(&packets).0, refused), (200, 0));
}

#[test]
fn the_program_says_what_is_wrong() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium-host-sim"));
        let output = command.args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = run(&["missing.csv", "--rate-hz", "50"]);
    assert!(missing.contains("missing.csv"), "{missing}");
    let rate = run(&["missing.csv", "--rate-hz", "0"]);
    assert!(rate.contains("--rate-hz"), "{rate}");
}

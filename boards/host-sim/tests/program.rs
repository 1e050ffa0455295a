//! The program as a user starts, reads and stops it. One that outlives its time is killed, and
//! with it ends whatever waits for it.

mod reader;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reader::{TIMEOUT, open, read_to_end, received, samples};
use serialport::SerialPort;

/// The program at work.
struct Program {
    child: Arc<Mutex<Child>>,
    stdout: BufReader<ChildStdout>,
    /// The port it named.
    path: String,
    /// Dropped to tell the guard that there is nothing left to guard.
    _guarded: Sender<()>,
}

impl Program {
    /// Plays `count` samples, for `TIMEOUT` at most.
    fn start(dir: &Path, count: usize, args: &[&str]) -> Self {
        let input = dir.join("walk.csv");
        let mut text = String::from("ax,ay,az,gx,gy,gz\n");
        for sample in samples(count) {
            let ([ax, ay, az], [gx, gy, gz]) = (sample.accel_mps2, sample.gyro_radps);
            writeln!(text, "{ax},{ay},{az},{gx},{gy},{gz}").expect("a string takes all");
        }
        std::fs::write(&input, text).expect("the recording is written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium-host-sim"))
            .arg(input)
            .args(["--units", "m/s2,rad/s"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        let child = Arc::new(Mutex::new(child));
        let (guarded, ended) = channel();
        let guard = Arc::clone(&child);
        std::thread::spawn(move || {
            let _ended_or_late = ended.recv_timeout(TIMEOUT);
            let mut child = guard.lock().expect("no test panics while it asks");
            let _dead_already = child.kill();
            child.wait().expect("it can be waited for");
        });
        let mut path = String::new();
        stdout.read_line(&mut path).expect("a first line");
        Self {
            child,
            stdout,
            path: path.trim_end().to_owned(),
            _guarded: guarded,
        }
    }

    /// Its exit code, once it has ended; none if it was killed.
    fn wait(&self) -> Option<i32> {
        loop {
            let mut child = self.child.lock().expect("the guard does not panic");
            let ended = child.try_wait().expect("it can be asked");
            drop(child);
            if let Some(status) = ended {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.lock().expect("the guard does not panic").id();
        let kill = format!("kill -{name} {id}");
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("there is a shell").success());
    }

    /// The next line on stdout.
    fn report(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("a report")
    }
}

#[test]
fn plays_a_recording_over_a_bad_link() {
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
    let mut program = Program::start(dir.path(), 5000, &args);
    assert_eq!(link.read_link().unwrap(), Path::new(&program.path));
    // Nothing comes before the reader has knocked.
    let mut port = open(link.to_str().unwrap());
    port.set_timeout(Duration::from_millis(50)).unwrap();
    assert!(port.read(&mut [0; 1]).is_err());
    port.set_timeout(TIMEOUT).unwrap();
    port.write_all(&[0]).unwrap();
    let (packets, refused) = read_to_end(port);
    assert_eq!(program.wait(), Some(0));
    assert!(!link.is_symlink());

    let report = program.report();
    assert_eq!(report["status"]["sampled"], 5000);
    assert_eq!(report["status"]["dropped"], 0);
    assert!(report["damage"]["frames"].as_u64().unwrap() > 400);
    assert!(refused > 0);
    let (samples, end) = received(&packets);
    let end = end.unwrap();
    assert_eq!((end.sampled, end.dropped), (5000, 0));
    assert!((4000..5000).contains(&samples), "{samples}");
}

#[test]
fn keeps_time() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let program = Program::start(dir.path(), 200, &["--rate-hz", "100", "--speed", "4"]);
    let (packets, refused) = read_to_end(open(&program.path));
    assert_eq!(program.wait(), Some(0));
    assert!(start.elapsed() > Duration::from_millis(490));
    assert_eq!((received(&packets).0, refused), (200, 0));
}

/// Ctrl-C in the middle: what was sampled until then arrives, and its end.
#[test]
fn a_signal_stops_the_node_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("node");
    for name in ["INT", "TERM"] {
        let link = link.to_str().unwrap();
        let args = ["--rate-hz", "100", "--json", "--pty-link", link];
        let mut program = Program::start(dir.path(), 100_000, &args);
        let port = open(link);
        let reader = std::thread::spawn(move || read_to_end(port));
        std::thread::sleep(Duration::from_millis(300));
        program.signal(name);
        assert_eq!(program.wait(), Some(0));
        let (packets, refused) = reader.join().unwrap();
        let (samples, end) = received(&packets);
        let sampled = program.report()["status"]["sampled"].as_u64().unwrap();
        assert!(sampled < 1500, "{sampled}");
        assert_eq!(
            (samples, end.unwrap().sampled, refused),
            (sampled, sampled, 0)
        );
        assert!(!Path::new(link).is_symlink());
    }
}

/// Nobody reads and the pty is full: one signal ends it after a moment, two at once, and neither
/// leaves the link behind.
#[test]
fn a_signal_ends_a_node_that_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("node");
    let args = [
        "--rate-hz",
        "100",
        "--speed",
        "max",
        "--json",
        "--pty-link",
        link.to_str().unwrap(),
    ];
    for (signals, code) in [(1, 1), (2, 2)] {
        let mut program = Program::start(dir.path(), 20_000, &args);
        assert!(link.is_symlink());
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        for _ in 0..signals {
            program.signal("TERM");
            // Signals that come together are one.
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(program.wait(), Some(code));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(!link.is_symlink());
        if signals == 1 {
            let status = program.report()["status"].take();
            let count = |name: &str| status[name].as_u64().unwrap();
            assert!(count("sampled") > 100);
            assert_eq!(count("sampled"), count("sent") + count("dropped"));
        }
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), 10, &["--rate-hz", "100", "--wait-reader"]);
    std::thread::sleep(Duration::from_millis(200));
    program.signal("INT");
    assert_eq!(program.wait(), Some(1));
}

#[test]
fn gives_up_on_a_reader_that_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec!["--rate-hz", "100", "--linger-s", "0", "--speed", "max"];
    // More than a pty holds, and less.
    assert_eq!(Program::start(dir.path(), 20_000, &args).wait(), Some(1));
    assert_eq!(Program::start(dir.path(), 100, &args).wait(), Some(1));
    // At a finite speed that costs samples and no time.
    args[5] = "1000";
    args.push("--json");
    let mut program = Program::start(dir.path(), 20_000, &args);
    assert_eq!(program.wait(), Some(1));
    let status = program.report()["status"].take();
    assert_eq!(status["sampled"], 20_000);
    assert!(status["dropped"].as_u64().unwrap() > 1000);
}

#[test]
fn says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (good, bad, file) = (path("good.csv"), path("bad.csv"), path("notes.txt"));
    let header = "acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads";
    std::fs::write(&good, format!("{header}\n1,2,3,4,5,6\n")).unwrap();
    std::fs::write(&bad, format!("{header}\n1,2,3,4,5,6\n1,2,3,4,five,6\n")).unwrap();
    std::fs::write(&file, "important").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium-host-sim"));
        let output = command.args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = run(&["missing.csv", "--rate-hz", "50"]);
    assert!(missing.contains("missing.csv"), "{missing}");
    let row = run(&[&bad, "--rate-hz", "50"]);
    assert!(row.contains("bad.csv") && row.contains("line 3"), "{row}");
    let rate = run(&[&good, "--rate-hz", "0"]);
    assert!(rate.contains("--rate-hz"), "{rate}");
    let units = run(&[&good, "--rate-hz", "50", "--units", "m/s2,rad/s"]);
    assert!(units.contains("acc_x_g"), "{units}");
    let units = run(&[&good, "--rate-hz", "50", "--units", "g"]);
    assert!(units.contains("rad/s"), "{units}");
    let link = run(&[&good, "--rate-hz", "50", "--pty-link", &file]);
    assert!(link.contains("notes.txt"), "{link}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "important");
}

//! The real program as a service: what a manager is told, and what signals do.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod tiny;

mod running;

use std::fs::File;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use running::{PATIENCE, Run, fifo, tone};
use sensorium_host_sim::Pty;
use tiny::Folder;

/// Longest that a program may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// What stands in for systemd.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn at(socket: UnixDatagram) -> Self {
        let patience = Some(Duration::from_secs(2));
        socket.set_read_timeout(patience).unwrap();
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    fn in_folder(folder: &Folder) -> (Self, String) {
        let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
        (Self::at(socket), folder.name("notify"))
    }

    /// The next thing that it is told; none if nothing comes for two seconds.
    fn next(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        let len = self.socket.recv(&mut bytes).ok()?;
        let told = String::from_utf8(bytes[..len].to_vec()).unwrap();
        self.heard.push(told.clone());
        Some(told)
    }

    /// Waits until it is told something that begins so.
    fn wait_for(&mut self, state: &str) -> String {
        self.wait_until(|told| told.starts_with(state))
    }

    fn wait_until(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(told) = self.next().filter(|told| is_it(told)) {
                return told;
            }
        }
        panic!("{:?}", self.heard);
    }
}

/// The four numbers of a ledger: sampled, received, lost, dropped.
fn ledger(said: &str) -> [f64; 4] {
    let line = said.lines().find(|line| line.contains(" sampled = "));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    let numbers = line.split(' ').filter_map(|word| word.parse().ok());
    let numbers: Vec<f64> = numbers.take(4).collect();
    numbers.try_into().unwrap()
}

#[test]
fn a_manager_is_told_how_it_is() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let (mut manager, socket) = Manager::in_folder(&folder);
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--pack",
        &pack,
    ];
    let variables = [("NOTIFY_SOCKET", &*socket), ("WATCHDOG_USEC", "2000000")];
    let mut run = Run::start_with(&args, &variables);
    manager.wait_for("READY=1");
    // No writer is there yet: that is no reason to be restarted.
    let began = Instant::now();
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    // Each comes after half the time; what is late on a busy machine is no sooner.
    assert!(began.elapsed() > Duration::from_millis(2500), "{:?}", began);
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(8)).unwrap();
    manager.wait_for("STATUS=windows scored: audio ");
    drop(writer);
    run.wait_for("it is gone");
    manager.wait_until(|told| told.ends_with("; audio is degraded: it is gone"));
    manager.wait_for("WATCHDOG=1");
    run.signal("-TERM");
    manager.wait_for("STOPPING=1");
    let stopping = Instant::now();
    let (status, _, said) = run.end();
    assert!(stopping.elapsed() < DRAIN);
    assert!([Some(0), Some(1)].contains(&status.code()), "{said}");
    assert_eq!(ledger(&said), [32_000.0, 32_000.0, 0.0, 0.0]);
    assert!(manager.heard.iter().all(|told| told != "RELOADING=1"));
}

#[test]
fn a_program_that_cannot_get_rid_of_its_events_is_not_called_alive() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    // An abstract socket, as containers have them.
    let name = format!("sensorium-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut manager = Manager::at(UnixDatagram::bind_addr(&address).unwrap());
    let config = format!(
        "pack = '{pack}'\nclock = 'sample'\n[[stream]]\nname = 'mic'\nhop_s = 0.02\n\
         source = {{ kind = 'pcm', path = '{path}', rate_hz = 16000 }}\n\
         [events]\nupdate_every_s = 0.02\nmin_duration_s = 0.0\n"
    );
    let config = folder.file("run.toml", config);
    let socket = format!("@{name}");
    let variables = [("NOTIFY_SOCKET", &*socket), ("WATCHDOG_USEC", "1000000")];
    let mut run = Run::start_with(&["run", "--config", &config, "--json"], &variables);
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    let writer = thread::spawn(move || {
        let mut writer = File::options().write(true).open(&path).unwrap();
        // Until the program is gone.
        while writer.write_all(&tone(40)).is_ok() {}
    });
    // Nobody reads its events.
    run.wait_for("warning: nothing moves in ");
    // Each half second it would be told of.
    let began = Instant::now();
    while manager.next().is_some() {
        assert!(began.elapsed() < PATIENCE, "{:?}", manager.heard);
    }
    let status = manager
        .heard
        .iter()
        .rfind(|told| told.starts_with("STATUS="));
    assert!(status.unwrap().contains("nothing moves in "), "{status:?}");
    // Once somebody does, it goes on.
    let mut stdout = run.child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = [0; 4096];
        while stdout.read(&mut bytes).is_ok_and(|len| len > 0) {}
    });
    manager.wait_for("WATCHDOG=1");
    run.signal("-INT");
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    writer.join().unwrap();
    reader.join().unwrap();
}

#[test]
fn what_is_left_at_the_end_is_worked_off_or_counted() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    // Windows that overlap so much take longer than there is time, with a hundredth of a core.
    let config = format!(
        "pack = '{pack}'\ncores = 0.01\n[[stream]]\nname = 'mic'\nhop_s = 0.02\n\
         source = {{ kind = 'pcm', path = '{path}', rate_hz = 192000 }}\n"
    );
    let config = folder.file("run.toml", config);
    let mut run = Run::start(&["run", "--config", &config, "--json"]);
    run.wait_for("192000 Hz");
    let mut writer = File::options().write(true).open(&path).unwrap();
    for _ in 0..12 {
        writer.write_all(&tone(48)).unwrap();
    }
    run.signal("-TERM");
    let stopping = Instant::now();
    let (status, _, said) = run.end();
    assert!(stopping.elapsed() < DRAIN, "{:?}: {said}", stopping);
    assert!([Some(0), Some(1)].contains(&status.code()), "{said}");
    let [sampled, received, lost, dropped] = ledger(&said);
    // All that was read, but for what was still in the pipe.
    assert!(sampled > 2_000_000.0, "{said}");
    assert_eq!((sampled, lost), (received + dropped, 0.0), "{said}");
    assert!(dropped > 0.0, "{said}");
}

#[test]
fn a_configuration_is_read_again() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let (mut manager, socket) = Manager::in_folder(&folder);
    let class = |name: &str| format!("[[class]]\nname = '{name}'\nprompts = ['low']\n");
    let other = "[[class]]\nname = 'hiss'\nprompts = ['high']\n";
    let hum = folder.file("hum.toml", class("hum") + other);
    let drone = folder.file("drone.toml", class("drone") + other);
    let config = |classes: &str, rest: &str| {
        let text = format!(
            "pack = '{pack}'\nclasses = '{classes}'\nclock = 'sample'\n{rest}[[stream]]\nname = 'mic'\n\
             source = {{ kind = 'pcm', path = '{path}', rate_hz = 16000 }}\n"
        );
        folder.file("run.toml", text)
    };
    let name = config(&hum, "");
    let args = ["run", "--config", &name, "--json"];
    let mut run = Run::start_with(&args, &[("NOTIFY_SOCKET", &*socket)]);
    manager.wait_for("READY=1");
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(&tone(12)).unwrap();
    manager.wait_for("STATUS=windows scored: mic");

    config(&drone, "cores = 0.5\nhttp = '127.0.0.1:0'\n");
    run.signal("-HUP");
    assert!(
        manager
            .wait_for("RELOADING=1")
            .contains("\nMONOTONIC_USEC=")
    );
    manager.wait_for("READY=1");
    run.wait_for("SIGHUP: http is another now, which takes a restart");
    run.wait_for("SIGHUP: the configuration was read again");
    writer.write_all(&tone(12)).unwrap();
    manager.wait_for("STATUS=windows scored: mic");

    // One that cannot be used changes nothing.
    config(&folder.name("none.toml"), "");
    run.signal("-HUP");
    run.wait_for("SIGHUP: nothing was changed: classes ");
    manager.wait_until(|told| told.contains("reload failed: classes "));
    config(&drone, "colour = 'red'\n");
    run.signal("-HUP");
    run.wait_for("unknown key \"colour\"");
    // Thresholds that nothing reaches.
    config(&drone, "");
    let text = std::fs::read_to_string(&name).unwrap() + "[events]\nenter = 1.0\nexit = 1.0\n";
    folder.file("run.toml", text);
    run.signal("-HUP");
    run.wait_for("SIGHUP: the configuration was read again");
    writer.write_all(&tone(12)).unwrap();
    drop(writer);
    run.wait_for("it is gone");
    let (lines, said) = run.stop();
    let event = |line| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let events: Vec<_> = lines.lines().map(event).collect();
    let told: Vec<_> = { events.iter() }
        .map(|event| [&event["class"], &event["phase"]].map(|word| word.as_str().unwrap()))
        .collect();
    assert_eq!(told[0], ["hum", "start"]);
    assert!(told.contains(&["drone", "start"]));
    // Each is over where the next begins; of the last nine seconds, three told of nothing.
    let last = events.last().unwrap();
    assert_eq!(
        (&last["class"], &last["phase"]),
        (&"drone".into(), &"end".into())
    );
    let end_s = last["t_end_ns"].as_f64().unwrap() / 1e9;
    assert!((5.0..6.5).contains(&end_s), "{last}");
    // No window was missed: 9 s of half a second, every eighth of one.
    assert_eq!(ledger(&said), [144_000.0, 144_000.0, 0.0, 0.0]);
    let count = |words: &str| -> u32 {
        let before = said
            .split(words)
            .next()
            .filter(|before| before.len() < said.len());
        let number = before.and_then(|before| before.rsplit(' ').next());
        number.map_or(0, |number| number.parse().unwrap())
    };
    let windows = count(" windows scored") + count(" not while it was degraded");
    assert_eq!(windows, 69, "{said}");
}

#[test]
fn a_log_that_is_full_ends_nothing() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let mut child = Command::new(env!("CARGO_BIN_EXE_sensorium"))
        .args([
            "run",
            "--audio",
            &path,
            "--rate-hz",
            "16000",
            "--retry-s",
            "0",
        ])
        .args(["--pack", &pack, "--json"])
        .stdout(Stdio::piped())
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    std::fs::write(&path, tone(16)).unwrap();
    let mut lines = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut lines)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.contains("\"phase\":\"end\""), "{lines}");
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let (mut manager, socket) = Manager::in_folder(&folder);
    let terminal = Pty::open().unwrap();
    let end = || -> Stdio {
        let mut options = File::options();
        let end = options.read(true).write(true).open(terminal.path());
        end.unwrap().into()
    };
    // In a session of its own, which is told when its terminal is closed.
    let mut child = Command::new("setsid")
        .args(["--ctty", env!("CARGO_BIN_EXE_sensorium"), "run"])
        .args(["--audio", &path, "--rate-hz", "16000", "--pack", &pack])
        .env("NOTIFY_SOCKET", &socket)
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    manager.wait_for("READY=1");
    drop(terminal);
    manager.wait_for("STOPPING=1");
    let closed = Instant::now();
    let status = child.wait().unwrap();
    assert!(
        closed.elapsed() < DRAIN && status.code().is_some(),
        "{status}"
    );
    assert!(
        manager
            .heard
            .iter()
            .all(|told| !told.starts_with("RELOADING"))
    );
}

/// Runs with events to a file of a disk that cannot be written, and a tone of nine seconds to hear.
fn with_out(out: &str, wrap: &[&str]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let (pack, path) = (folder.name("tiny.pack"), fifo(&folder));
    let program = env!("CARGO_BIN_EXE_sensorium");
    let args = [
        "run",
        "--audio",
        &path,
        "--rate-hz",
        "16000",
        "--retry-s",
        "0",
        "--pack",
        &pack,
        "--clock",
        "sample",
        "--out",
        out,
    ];
    let command = [wrap, &[program], &args[..]].concat();
    let child = Command::new(command[0])
        .args(&command[1..])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::fs::write(&path, tone(36)).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(ledger(&said), [144_000.0, 144_000.0, 0.0, 0.0]);
    assert!(said.contains("; 69 windows scored"), "{said}");
    (output.status.code(), said)
}

#[test]
fn a_disk_that_is_full_does_not_end_sensing() {
    let (status, said) = with_out("/dev/full", &[]);
    // What was heard is told of; that it was not written, too.
    assert_eq!(status, Some(2), "{said}");
    let began = "sensorium: \"/dev/full\": No space left on device (os error 28); sensing goes on";
    assert!(said.contains(began), "{said}");
    let ended = "\"/dev/full\": 3 writes failed: No space left on device";
    assert!(said.contains(ended), "{said}");
}

#[test]
fn a_file_system_that_is_read_only_does_not_end_sensing() {
    let mounted = "mount -t tmpfs -o ro none /mnt && exec \"$@\"";
    let wrap = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        mounted,
        "sh",
    ];
    let is_allowed = Command::new(wrap[0]).args(&wrap[1..]).arg("true").status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        eprintln!("nothing can be mounted here; what follows from it is tested with a full disk");
        return;
    }
    let (status, said) = with_out("/mnt/events.jsonl", &wrap);
    assert_eq!(status, Some(2), "{said}");
    let began = "\"/mnt/events.jsonl\": Read-only file system (os error 30); sensing goes on";
    assert!(said.contains(began), "{said}");
}

//! `sensorium doctor`

pub mod device;

mod clock;
mod disk;
mod heat;
mod machine;

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sensorium_engine::config::{AlsaConfig, Config, SourceConfig, files_beside};
use sensorium_engine::source::retry::Retry;
use serde::Serialize;

use crate::board;
use crate::sense::{Options, Tested, open_pack, test_all};
use device::KINDS;
use machine::{Access, Machine};

/// Check what this machine needs for sensing, and say how to mend it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Check what this configuration names, too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    /// Another machine's files: what is below this folder is taken for what is below /.
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    #[command(flatten)]
    sense: Options,
}

/// Ends the help.
const EXAMPLES: &str = "\
Each line is ok, a note (it works, and could be better) or FAIL, with what to do about it.

Examples:
  sensorium doctor
  sensorium doctor --config /etc/sensorium/sensorium.toml --json";

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What it is.
    what: String,
    /// Whether it lets the program work.
    ok: bool,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ok: true,
            found: found.into(),
            fix: None,
        }
    }

    /// What works and could be better.
    fn note(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            ok: true,
            ..Self::bad(what, found, fix)
        }
    }

    fn bad(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ok: false,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let machine = Machine::at(&args.root);
    let mut checks = check_board(&machine);
    checks.extend(clock::check(&machine));
    checks.extend(KINDS.iter().map(|kind| device::check(kind, &machine)));
    checks.push(heat::check(&machine));
    checks.push(disk::check(&written()));
    let mut options = args.sense.clone();
    if let Some(path) = &args.config {
        checks.extend(check_config(path, &machine, &mut options));
    }
    checks.push(check_sense(&options));
    for check in &checks {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(check)?)?;
            continue;
        }
        let mark = match (check.ok, &check.fix) {
            (true, None) => "ok  ",
            (true, Some(_)) => "note",
            (false, _) => "FAIL",
        };
        writeln!(out, "{mark} {}: {}", check.what, check.found)?;
        if let Some(fix) = &check.fix {
            writeln!(out, "     {fix}")?;
        }
    }
    Ok(if checks.iter().all(|check| check.ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The folder that files are written to: the service's, or where the program is started.
fn written() -> PathBuf {
    env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Looks at the board, if it is a known one, and at its connectors.
fn check_board(machine: &Machine) -> Vec<Check> {
    let model = machine.read("/proc/device-tree/model");
    let board = match board::find(&model.unwrap_or_default()) {
        Ok(Some(board)) => board,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Check::bad("board", error.to_string(), "this is a bug")],
    };
    let found = format!("{}: {}, {} cores", board.name, board.processor, board.cores);
    let mut checks = vec![Check::good("board", found)];
    for quirk in board.quirks {
        checks.push(Check::note("board", board.name.as_str(), quirk));
    }
    for bus in board.buses {
        let path = bus.path.display().to_string();
        // Devices that are there are looked at below.
        if machine.access(&path) == Access::Absent {
            let found = format!("{path} on pins {} is off", bus.pins);
            checks.push(Check::note("board", found, bus.fix));
        }
    }
    checks
}

fn check_sense(options: &Options) -> Check {
    let test = || -> anyhow::Result<String> {
        let pack = open_pack(options.pack.as_deref())?;
        let (text_model, classes) = (options.text_model.as_deref(), options.classes.as_deref());
        let tested = test_all(&pack, text_model, classes)?;
        let tell = |t: &Tested| {
            format!(
                "encoder {} passes its self-test, {} classes",
                t.encoder, t.classes
            )
        };
        let told: Vec<String> = tested.iter().map(tell).collect();
        Ok(format!("{}: {}", pack.id(), told.join("; ")))
    };
    match test() {
        Ok(found) => Check::good("pack", found),
        Err(error) => Check::bad(
            "pack",
            format!("{error:#}"),
            "name another with --pack, or leave that out for the built-in one",
        ),
    }
}

/// Checks a configuration, and completes the options from it.
fn check_config(path: &Path, machine: &Machine, options: &mut Options) -> Vec<Check> {
    let config = match Config::open(path, env::vars_os()) {
        Ok(config) => config,
        Err(error) => {
            let found = format!("{:#}", anyhow::Error::from(error));
            let fix = "correct the file; docs/configuration.md lists its keys";
            return vec![Check::bad(path.display().to_string(), found, fix)];
        }
    };
    options.pack = options.pack.take().or(config.pack);
    options.classes = options.classes.take().or(config.classes);
    options.text_model = options.text_model.take().or(config.text_model);
    let beside = files_beside(path).unwrap_or_default();
    let files = [path.to_owned()].into_iter().chain(beside);
    let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
    let mut checks = vec![Check::good("configuration", files.join(", "))];
    let streams = config.streams.iter();
    checks.extend(streams.map(|stream| check_source(&stream.name, &stream.source, machine)));
    checks
}

fn check_microphone(what: String, config: &AlsaConfig) -> Check {
    let open = || -> anyhow::Result<u32> { Ok(config.microphone()?.open(Retry::default())?.1) };
    match open() {
        Ok(rate_hz) => Check::good(
            what,
            format!("microphone {:?}, {rate_hz} Hz", config.device),
        ),
        Err(error) => Check::bad(
            what,
            format!("{error:#}"),
            "`arecord -L` lists microphones; may you use them (group audio)?",
        ),
    }
}

fn check_source(name: &str, source: &SourceConfig, machine: &Machine) -> Check {
    let what = format!("stream {name:?}");
    let path = source.path();
    if path.as_os_str() == "-" {
        return Check::good(what, "it is read from stdin");
    }
    let found = |_file: File| ();
    let (opened, fix) = match source {
        SourceConfig::Serial { .. } => (
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map(found),
            "plug the node in; `sensorium doctor` lists the serial ports that are there",
        ),
        SourceConfig::Alsa(config) => return check_microphone(what, config),
        SourceConfig::V4l2(_) => (
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map(found),
            "is the camera plugged in? May you use it (group video)?",
        ),
        SourceConfig::I2c(_) => (
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map(found),
            "is the bus enabled (raspi-config, or dtparam=i2c_arm=on)? May you use it (group i2c)?",
        ),
        // Opening a FIFO would wait for its writer.
        SourceConfig::Pcm { .. } | SourceConfig::RawFrames { .. } => (
            path.metadata().map(|_| ()),
            "make it with `mkfifo` before sensorium starts; the path is relative to where it is started",
        ),
        SourceConfig::Csv { .. }
        | SourceConfig::Sound { .. }
        | SourceConfig::Frames { .. }
        | SourceConfig::Mcap { .. } => (
            File::open(path).map(found),
            "correct the path; it is relative to where sensorium is started",
        ),
    };
    match opened {
        Ok(()) => Check::good(what, format!("{} can be opened", path.display())),
        Err(error) => {
            let denied = match machine.access(&path.to_string_lossy()) {
                Access::Denied { fix } if error.kind() == ErrorKind::PermissionDenied => Some(fix),
                _ => None,
            };
            let fix = denied.unwrap_or_else(|| fix.to_owned());
            Check::bad(what, format!("{}: {error}", path.display()), fix)
        }
    }
}

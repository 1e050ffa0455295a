//! `sensorium doctor`

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use sensorium_engine::config::{Config, SourceConfig};
use serde::Serialize;

use crate::sense::{Options, Tested, open_pack, test_all};

/// No clock that is right shows less: the day this program was begun, in seconds since 1970.
const BUILT_AFTER_S: u64 = 1_763_000_000;

/// Check what this machine needs for sensing, and say how to mend it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check what this configuration names, too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sense: Options,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    /// What it is.
    what: String,
    /// Whether it is as it should be.
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
    let mut checks = vec![check_clock()];
    let mut options = args.sense.clone();
    if let Some(path) = &args.config {
        checks.extend(check_config(path, &mut options));
    }
    checks.push(check_sense(&options));
    for check in &checks {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(check)?)?;
            continue;
        }
        let mark = if check.ok { "ok  " } else { "FAIL" };
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

fn check_clock() -> Check {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_s = now.as_secs();
    if now_s < BUILT_AFTER_S {
        return Check::bad(
            "clock",
            format!("{now_s} s since 1970: it was never set"),
            "events will have wrong dates: start a time service, or run with --clock sample",
        );
    }
    Check::good("clock", format!("{now_s} s since 1970"))
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
fn check_config(path: &Path, options: &mut Options) -> Vec<Check> {
    let config = match Config::open(path, std::env::vars_os()) {
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
    let streams = config.streams.iter();
    streams
        .map(|stream| check_source(&stream.name, &stream.source))
        .collect()
}

fn check_source(name: &str, source: &SourceConfig) -> Check {
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
            "is the node plugged in? May you use the port (group dialout)?",
        ),
        // Opening a FIFO would wait for its writer.
        SourceConfig::Pcm { .. } | SourceConfig::RawFrames { .. } => (
            path.metadata().map(|_| ()),
            "make it with `mkfifo` before sensorium starts; the path is relative to where it is started",
        ),
        SourceConfig::Csv { .. } | SourceConfig::Sound { .. } | SourceConfig::Frames { .. } => (
            File::open(path).map(found),
            "correct the path; it is relative to where sensorium is started",
        ),
    };
    match opened {
        Ok(()) => Check::good(what, format!("{} can be opened", path.display())),
        Err(error) => Check::bad(what, format!("{}: {error}", path.display()), fix),
    }
}

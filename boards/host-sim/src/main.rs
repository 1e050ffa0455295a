//! Plays a recording through the sensor node's own code, on a serial port that is a pty.

mod port_link;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use sensorium_core::feature::ImuUnits;
use sensorium_engine::source::csv::Recording;
use sensorium_host_sim::{Blocking, Buffered, Pty, Report, Settings, Speed, simulate};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::port_link::PortLink;

/// Play a recording through the sensor node's own code, on a serial port that is a pty.
///
/// The first line on stdout is the path of the port. Exits with 0 once the reader has taken
/// everything, 1 if it left something behind, 2 on an error. Ctrl-C stops the node in order, which
/// takes some seconds if nobody reads; a second Ctrl-C ends it at once.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The recording: a CSV file of inertial samples, whose header names axes and units. Samples are
    /// played at the rate given, whatever times the file has.
    input: PathBuf,
    /// Units of columns that name none: g or m/s2, a comma, rad/s or deg/s.
    #[arg(long)]
    units: Option<ImuUnits>,
    /// How often the sensor sampled, in hertz; three decimals at most.
    #[arg(long, value_name = "HZ", value_parser = rate_mhz)]
    rate_hz: u32,
    /// `max`: as fast as the port takes bytes, and nothing is dropped. A number: so many times as
    /// fast as it was, and the node drops what the port does not take in time.
    #[arg(long, default_value = "1", value_parser = speed)]
    speed: Speed,
    /// Name the port with a symbolic link here, which takes the place of another symbolic link and
    /// is removed at the end.
    #[arg(long, value_name = "PATH")]
    pty_link: Option<PathBuf>,
    /// Damage this fraction of the frames: a flipped bit, a burst, a lost or doubled byte, a lost
    /// delimiter, or the whole frame lost.
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction)]
    destroy: f64,
    /// Decides which frames are damaged and how.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What tells this boot from the last; by default taken from the clock.
    #[arg(long)]
    boot_id: Option<u32>,
    /// Start when the reader has written a byte to the port, for a reader that discards what came
    /// before it.
    #[arg(long)]
    wait_reader: bool,
    /// Give up on a reader that takes nothing for this long while the port is full or at the end,
    /// in seconds. At a finite speed a full port costs samples only, and just the end counts.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    linger_s: u64,
    /// Report as JSON on stdout instead of as text on stderr.
    #[arg(long)]
    json: bool,
}

fn rate_mhz(text: &str) -> anyhow::Result<u32> {
    let rate_hz = f64::from_str(text).context("not a number")?;
    let rate_mhz = (rate_hz * 1000.0).round();
    ensure!(
        (1.0..=f64::from(u32::MAX)).contains(&rate_mhz),
        "not between 0.001 and 4294967.295"
    );
    ensure!(
        (rate_hz * 1000.0 - rate_mhz).abs() < 1e-6 * rate_mhz,
        "finer than a thousandth of a hertz"
    );
    Ok(rate_mhz as u32)
}

fn speed(text: &str) -> anyhow::Result<Speed> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match f64::from_str(text) {
        Ok(times) if times > 0.0 && times.is_finite() => Ok(Speed::Times(times)),
        _ => bail!("neither `max` nor a positive number"),
    }
}

fn fraction(text: &str) -> anyhow::Result<f64> {
    match f64::from_str(text) {
        Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(fraction),
        _ => bail!("not between 0 and 1"),
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            note(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Patience with the reader once somebody wants an end.
const STOPPED_PATIENCE: Duration = Duration::from_secs(1);

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let samples = Recording::open(&args.input, args.units)?.samples;
    let settings = settings(args);

    let mut pty = Pty::open().context("opening a pty")?;
    let link = args.pty_link.clone();
    let link = link.map(|link| PortLink::new(link, pty.path().to_owned()));
    let stop = stop_on_signals(link.clone()).context("handling signals")?;
    if let Some(link) = &link {
        link.create()?;
    }
    say(&pty.path().display().to_string())?;
    if args.wait_reader {
        note("waiting for the reader to write a byte");
        let came = pty.wait_for_reader(&stop);
        if !came.context("waiting for the reader")? {
            note("no reader came");
            return Ok(ExitCode::from(1));
        }
    }

    let linger = Duration::from_secs(args.linger_s);
    let patience = || match stop.load(Ordering::Relaxed) {
        true => linger.min(STOPPED_PATIENCE),
        false => linger,
    };
    let writer = pty.writer().context("opening the pty for writing")?;
    let (report, written) = match settings.speed {
        Speed::Max => {
            let link = Blocking::new(writer, &stop).with_patience(linger);
            (simulate(samples, &settings, link, &stop), true)
        }
        Speed::Times(_) => {
            let mut link = Buffered::new(writer);
            let report = simulate(samples, &settings, &mut link, &stop);
            (report, link.finish(patience()))
        }
    };
    // Who did not take the samples will not take the rest.
    let patience = match report.status.link_errors {
        0 => linger,
        _ => Duration::ZERO,
    };
    let drained = pty
        .wait_until_drained_or_stopped(patience, &stop)
        .context("watching the reader")?;
    print(&report, args.json)?;
    if !(written && drained) {
        note("the reader left something behind");
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &Args) -> Settings {
    let mut settings = Settings {
        speed: args.speed,
        destroy: args.destroy,
        seed: args.seed,
        ..Settings::at_rate_mhz(args.rate_hz)
    };
    settings.identity.boot_id = args.boot_id.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // The lowest bits differ from boot to boot.
        now.map_or(0, |now| now.as_micros() as u32)
    });
    settings
}

/// A flag that a signal sets. A second signal removes the link to the port and ends the process.
fn stop_on_signals(link: Option<PortLink>) -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let told = Arc::clone(&stop);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if told.swap(true, Ordering::Relaxed) {
                link.iter().for_each(PortLink::remove);
                std::process::exit(2);
            }
        }
    });
    Ok(stop)
}

/// Writes a line to stderr, if anybody reads it.
fn note(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "sensorium-host-sim: {text}");
}

/// Writes a line to stdout, unless nobody is there to read it.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("writing to stdout")
        }
        _ => Ok(()),
    }
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return say(&serde_json::to_string(report)?);
    }
    let (status, damage) = (&report.status, &report.damage);
    note(&format!(
        "{} samples, {} sent, {} dropped; {} frames, {} damaged",
        status.sampled,
        status.sent,
        status.dropped,
        damage.frames,
        damage.damaged()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(rate_mhz("50").unwrap(), 50_000);
        assert_eq!(rate_mhz("12.345").unwrap(), 12_345);
        for bad in ["0", "-1", "nan", "0.0004", "50.0004", "1e9", "fast"] {
            assert!(rate_mhz(bad).is_err(), "{bad}");
        }
        assert_eq!(speed("max").unwrap(), Speed::Max);
        assert_eq!(speed("2.5").unwrap(), Speed::Times(2.5));
        for bad in ["0", "-1", "nan", "inf", "fast"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
        assert!(fraction("0.05").is_ok() && fraction("1.1").is_err());
    }
}

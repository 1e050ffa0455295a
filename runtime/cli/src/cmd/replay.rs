//! `sensorium replay`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, ensure};
use clap::ValueEnum;
use sensorium_core::feature::ImuUnits;
use sensorium_engine::config::{
    EventsConfig, StreamConfig, check_hop_s, check_rate_hz, check_speed,
};
use sensorium_engine::fuse::MERGE_WITHIN_S;
use sensorium_engine::stream::ClockMode;

use super::run::{Events, fuser};
use crate::inputs::{Cameras, named, recordings};
use crate::listen::Control;
use crate::open::{How, open_all};
use crate::sense::{Options, Senses};

/// Name what happens in recordings: the same events each time, merged by time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Recordings: MCAP files that `record` wrote; CSV files with columns such as acc_x_g and
    /// gyro_x_rads; WAV, FLAC or Ogg files. All begin at the same time.
    input: Vec<PathBuf>,
    #[command(flatten)]
    cameras: Cameras,
    #[command(flatten)]
    recording: Recording,
    /// The stream's name in events, where it is the only one; its sense by default. Of an MCAP file,
    /// the one stream to play.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// From the start of one window to the start of the next, in seconds; a quarter of the encoder's
    /// window by default.
    #[arg(long)]
    hop_s: Option<f32>,
    /// What the times of events mean: a recording has no other time than its samples', unless it is
    /// an MCAP file of live streams.
    #[arg(long, value_enum, default_value_t = ReplayClock::Sample)]
    clock: ReplayClock,
    /// Thresholds that `calibrate` wrote; the pack's by default.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    events: Events,
    #[command(flatten)]
    sense: Options,
}

/// Ends the help.
const EXAMPLES: &str = "\
Examples:
  sensorium replay walk.csv --rate-hz 50 --json
  sensorium replay walk.mcap --json
  sensorium replay walk.csv kitchen.flac --depth door/ --frame-hz 15 --pack sense.pack";

/// What the times of a recording's events can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReplayClock {
    /// The sample's own time, from its number and rate, or from the file.
    Sample,
    /// Where the file tells when samples came: the host's time then, as when they were recorded.
    Host,
}

/// How a recording is to be read and played.
#[derive(Debug, Clone, clap::Args)]
pub struct Recording {
    /// How often the sensor sampled, in hertz, if the file has no times.
    #[arg(long, value_name = "HZ")]
    pub rate_hz: Option<f32>,
    /// Units of columns that name none.
    #[arg(long, value_name = "ACC,GYRO", value_parser = units)]
    pub units: Option<ImuUnits>,
    /// So many times as fast as it was; as fast as it can by default.
    #[arg(long, value_name = "TIMES")]
    pub speed: Option<f64>,
}

impl Recording {
    /// Checks the numbers.
    pub fn check(&self) -> anyhow::Result<()> {
        check_rate_hz(self.rate_hz)?;
        check_speed(self.speed)?;
        Ok(())
    }
}

/// Reads units such as `g,rad/s`.
pub fn units(text: &str) -> anyhow::Result<ImuUnits> {
    Ok(text.parse::<ImuUnits>()?)
}

/// Refuses devices.
fn check_recorded(streams: &[StreamConfig]) -> anyhow::Result<()> {
    match streams.iter().find(|stream| stream.source.is_device()) {
        Some(stream) => bail!(
            "stream {:?}: {:?} is a device, expected a recording; listen to it with `sensorium run`",
            stream.name,
            stream.source.path()
        ),
        None => Ok(()),
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    args.recording.check()?;
    args.hop_s.map_or(Ok(()), check_hop_s)?;
    let Recording {
        rate_hz,
        units,
        speed,
    } = args.recording;
    let units = units.map(|units| units.to_string());
    let mut streams = Vec::new();
    for path in &args.input {
        let wanted = args.stream.as_deref();
        streams.extend(recordings(path, (rate_hz, units.clone()), speed, wanted)?);
    }
    streams.extend(args.cameras.streams(speed)?);
    check_recorded(&streams)?;
    ensure!(
        !streams.is_empty(),
        "nothing to replay: give files, --thermal PATH or --depth PATH"
    );
    for stream in &mut streams {
        stream.hop_s = args.hop_s;
    }
    let streams = named(streams, args.stream.as_deref())?;
    let clock = match args.clock {
        ReplayClock::Sample => ClockMode::Sample,
        ReplayClock::Host => ClockMode::Host,
    };
    let how = How {
        events: &EventsConfig::default(),
        clock,
        budget: None,
    };
    let senses = Senses::new(&args.sense).calibrated(args.calibration.as_deref());
    let opened = open_all(&streams, how, &mut senses?)?;
    let fuser = fuser(&opened, MERGE_WITHIN_S)?;
    let lines = opened.into_iter().map(|opened| opened.line).collect();
    let control = Control::of_signals()?;
    args.events.write(lines, fuser, &control, out, |_| ())
}

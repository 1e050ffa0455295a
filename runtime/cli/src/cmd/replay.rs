//! `sensorium replay`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use sensorium_core::feature::ImuUnits;
use sensorium_engine::config::{
    DEFAULT_HOP_S, EventsConfig, check_hop_s, check_rate_hz, check_speed,
};
use sensorium_engine::fuse::{Fuser, MERGE_WITHIN_S};
use sensorium_engine::stream::{ClockMode, Settings};
use sensorium_pack::Modality;

use super::run::{Events, check_senses, line};
use crate::listen::open_replay;
use crate::sense::{ImuSense, Options};

/// Name what happens in a recording: the same events each time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording: a CSV file with columns such as acc_x_g and gyro_x_rads.
    input: PathBuf,
    #[command(flatten)]
    recording: Recording,
    /// The stream's name in events.
    #[arg(long, value_name = "NAME", default_value = "imu")]
    stream: String,
    /// From the start of one window to the start of the next, in seconds.
    #[arg(long, default_value_t = DEFAULT_HOP_S)]
    hop_s: f32,
    /// What the times of events mean: a recording has no other time than its samples'.
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

/// What the times of a recording's events can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReplayClock {
    /// The sample's own time, from its number and rate, or from the file.
    Sample,
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

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    args.recording.check()?;
    check_hop_s(args.hop_s)?;
    let Recording {
        rate_hz,
        units,
        speed,
    } = args.recording;
    let source = open_replay(&args.input, rate_hz, units, speed)?;
    let sense = ImuSense::load(&args.sense)?;
    let policy = EventsConfig::default().policy(sense.encoder.scoring());
    let sense = sense.calibrated(args.calibration.as_deref(), &[args.hop_s], policy)?;
    let settings = Settings {
        name: args.stream.clone(),
        hop_s: args.hop_s,
        policy,
        clock: match args.clock {
            ReplayClock::Sample => ClockMode::Sample,
        },
    };
    let lines = vec![line(Box::new(source), settings, &sense)];
    let fuser = Fuser::new(sense.bank.classes(), MERGE_WITHIN_S);
    check_senses(&fuser, &[Modality::Imu])?;
    args.events.write(lines, fuser, out)
}

//! `sensorium run`

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use sensorium_engine::config::{Config, DEFAULT_HOP_S, EventsConfig, SourceConfig, StreamConfig};
use sensorium_engine::fuse::{Fuser, MERGE_WITHIN_S};
use sensorium_engine::pipeline::Line;
use sensorium_engine::sink::{Human, JsonLines, Sink};
use sensorium_engine::source::Source;
use sensorium_engine::source::serial::Serial;
use sensorium_engine::stream::{ClockMode, Output, Settings, Stream};
use sensorium_pack::Modality;

use crate::listen::{exit_code, listen, open_replay};
use crate::sense::{ImuSense, Options};

/// Listen to sensors and name what happens.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    listen: Listen,
    /// What the times of events mean; overrides the configuration.
    #[arg(long, value_enum)]
    clock: Option<ClockArg>,
    /// Thresholds that `calibrate` wrote; the pack's by default.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    events: Events,
    #[command(flatten)]
    sense: Options,
}

/// What to listen to.
#[derive(Debug, Clone, clap::Args)]
pub struct Listen {
    /// The configuration; see `docs/configuration.md`.
    #[arg(long, value_name = "FILE", required_unless_present = "serial")]
    config: Option<PathBuf>,
    /// Without a configuration: the port that a node is on.
    #[arg(long, value_name = "PORT", conflicts_with = "config")]
    serial: Option<PathBuf>,
    /// Without a configuration: the stream's name in events.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "imu",
        conflicts_with = "config"
    )]
    stream: String,
    /// Without a configuration: speed of the port, in bits per second.
    #[arg(long, default_value_t = 921_600, conflicts_with = "config")]
    baud: u32,
}

/// Where events go.
#[derive(Debug, Clone, clap::Args)]
pub struct Events {
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
    /// Write events as JSON lines to this file; it is replaced.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What the times of events mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClockArg {
    /// The host's time at which the sample was taken, as well as it is known.
    Host,
    /// The sample's own time, from its number and rate: the same in every replay.
    Sample,
}

impl From<ClockArg> for ClockMode {
    fn from(arg: ClockArg) -> Self {
        match arg {
            ClockArg::Host => Self::Host,
            ClockArg::Sample => Self::Sample,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = args.listen.config()?;
    let options = Options {
        pack: args.sense.pack.clone().or(config.pack),
        classes: args.sense.classes.clone().or(config.classes),
        text_model: args.sense.text_model.clone().or(config.text_model),
    };
    let clock = args.clock.map_or(config.clock, ClockMode::from);
    let sense = ImuSense::load(&options)?;
    let policy = config.events.policy(sense.encoder.scoring());
    let calibration = args.calibration.as_ref().or(config.calibration.as_ref());
    let hops_s: Vec<f32> = config.streams.iter().map(|stream| stream.hop_s).collect();
    let sense = sense.calibrated(calibration.map(PathBuf::as_path), &hops_s, policy)?;
    let mut lines = Vec::new();
    for stream in &config.streams {
        let source = open_source(&stream.name, &stream.source)
            .with_context(|| format!("stream {:?}", stream.name))?;
        let settings = Settings {
            name: stream.name.clone(),
            hop_s: stream.hop_s,
            policy,
            // A recording has no other time than its samples'.
            clock: match stream.source {
                SourceConfig::Csv { .. } => ClockMode::Sample,
                SourceConfig::Serial { .. } => clock,
            },
        };
        lines.push(line(source, settings, &sense));
    }
    let fuser = Fuser::new(
        sense.bank.classes(),
        config.events.merge_within_s.unwrap_or(MERGE_WITHIN_S),
    );
    let senses: Vec<Modality> = config.streams.iter().map(|s| s.modality).collect();
    check_senses(&fuser, &senses)?;
    args.events.write(lines, fuser, out)
}

/// Refuses classes that could never be told of.
pub fn check_senses(fuser: &Fuser, senses: &[Modality]) -> anyhow::Result<()> {
    if let Some((class, lacking)) = fuser.lacking(senses) {
        bail!("class {class:?} needs {lacking} to agree, and no stream is {lacking}");
    }
    Ok(())
}

/// A stream of this sense.
pub fn line(source: Box<dyn Source>, settings: Settings, sense: &ImuSense) -> Line {
    Line {
        source,
        clock: settings.clock,
        stream: Stream::new(
            settings,
            sense.encoder.clone(),
            sense.bank.clone(),
            sense.pack_id.clone(),
        ),
    }
}

impl Events {
    /// Runs streams and writes their events.
    pub fn write(
        &self,
        lines: Vec<Line>,
        mut fuser: Fuser,
        out: &mut impl Write,
    ) -> anyhow::Result<ExitCode> {
        let mut file = match &self.out {
            Some(path) => {
                let created = File::create(path).with_context(|| format!("writing {path:?}"))?;
                Some(JsonLines(created))
            }
            None => None,
        };
        let mut sink: Box<dyn Sink + '_> = if self.json {
            Box::new(JsonLines(out))
        } else {
            Box::new(Human(out))
        };
        let mut events = 0;
        let summaries = listen(lines, |output| {
            let Output::Event(event) = output else {
                return Ok(());
            };
            for event in fuser.take(event) {
                events += 1;
                match &mut file {
                    Some(file) => file.event(&event)?,
                    None => sink.event(&event)?,
                }
            }
            Ok(())
        })?;
        exit_code(summaries, events)
    }
}

impl Listen {
    /// The configuration that is named, or that of one node.
    pub fn config(&self) -> anyhow::Result<Config> {
        if let Some(path) = &self.config {
            return Config::open(path).with_context(|| format!("configuration {path:?}"));
        }
        Ok(Config {
            pack: None,
            classes: None,
            calibration: None,
            text_model: None,
            clock: ClockMode::Host,
            streams: vec![StreamConfig {
                name: self.stream.clone(),
                modality: Modality::Imu,
                source: SourceConfig::Serial {
                    port: self.serial.clone().unwrap_or_default(),
                    baud: self.baud,
                },
                hop_s: DEFAULT_HOP_S,
            }],
            events: EventsConfig::default(),
        })
    }
}

/// Opens the source of a stream.
pub fn open_source(name: &str, source: &SourceConfig) -> anyhow::Result<Box<dyn Source>> {
    Ok(match source {
        SourceConfig::Serial { port, baud } => Box::new(Serial::open(port, *baud)?),
        SourceConfig::Csv {
            path,
            rate_hz,
            speed,
            ..
        } => Box::new(open_replay(path, *rate_hz, source.units(name)?, *speed)?),
    })
}

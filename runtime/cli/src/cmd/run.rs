//! `sensorium run`

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use clap::ValueEnum;
use sensorium_engine::budget::Budget;
use sensorium_engine::classes::Class;
use sensorium_engine::config::check_cores;
use sensorium_engine::fuse::{Fuser, MERGE_WITHIN_S};
use sensorium_engine::pipeline::Line;
use sensorium_engine::sink::{Human, JsonLines, Sink};
use sensorium_engine::stream::{ClockMode, Output};

use crate::http::{self, Board};
use crate::inputs::Listen;
use crate::listen::{exit_code, listen};
use crate::open::{How, Opened, open_all};
use crate::roster::Roster;
use crate::sense::{Options, Senses};
use crate::watch;

/// Listen to sensors and name what happens.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    listen: Listen,
    /// Samples a second of raw sound, or of a microphone, which gives 16000 by default if it can.
    #[arg(long, value_name = "HZ", conflicts_with = "config")]
    rate_hz: Option<u32>,
    /// The stream's name in events, where it is the only one; its sense by default.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    stream: Option<String>,
    /// Tell and take classes by HTTP at this address of this machine, such as 127.0.0.1:7420: GET
    /// /streams, /classes, /events, /metrics, PUT and DELETE /classes/NAME; overrides the
    /// configuration.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Cores that recognising may keep busy, such as 0.5; all by default. Where they do not suffice,
    /// windows are scored less often; overrides the configuration.
    #[arg(long, value_name = "CORES")]
    cores: Option<f64>,
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

/// Ends the help.
const EXAMPLES: &str = "\
Examples:
  sensorium run --serial /dev/ttyACM0
  arecord -q -t raw -f S16_LE -r 16000 | sensorium run --audio - --rate-hz 16000 --pack sense.pack
  sensorium run --serial /dev/ttyACM0 --thermal /run/thermal --frame-hz 9 --frame-size 32x24 --json
  sensorium run --thermal i2c:/dev/i2c-1:mlx90640 --frame-hz 4 --depth v4l2:/dev/video2
  sensorium run --config robot.toml --classes classes.toml --http 127.0.0.1:7420
  curl -X PUT 127.0.0.1:7420/classes/knocking -d '{\"prompts\": [\"someone knocks at a door\"]}'";

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
    let config = args.listen.config(args.rate_hz, args.stream.as_deref())?;
    let options = Options {
        pack: args.sense.pack.clone().or(config.pack),
        classes: args.sense.classes.clone().or(config.classes),
        text_model: args.sense.text_model.clone().or(config.text_model),
        space: args.sense.space.clone(),
    };
    let clock = args.clock.map_or(config.clock, ClockMode::from);
    check_cores(args.cores)?;
    let all = || thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let budget = Budget::new(args.cores.or(config.cores).unwrap_or_else(all));
    let how = How {
        events: &config.events,
        clock,
        budget: Some(&budget),
    };
    let calibration = args.calibration.as_ref().or(config.calibration.as_ref());
    let mut senses = Senses::new(&options).calibrated(calibration.map(PathBuf::as_path))?;
    let opened = open_all(&config.streams, how, &mut senses)?;
    let merge_within_s = config.events.merge_within_s.unwrap_or(MERGE_WITHIN_S);
    let fuser = fuser(&opened, merge_within_s)?;
    let is_recorded = opened
        .iter()
        .all(|opened| opened.line.source.is_recording());
    let roster = Arc::new(Roster::new(options.classes.clone(), senses.into_loaded()));
    let board = Arc::new(Board::default());
    let mut lines = Vec::new();
    for opened in opened {
        for (about, recognition) in opened.others {
            board.add(about, recognition);
        }
        board.add(opened.about, opened.recognition);
        lines.push(opened.line);
    }
    // What is recorded gives the same events each time: nothing changes while it is played.
    if let (Some(path), false) = (&options.classes, is_recorded) {
        watch::classes(path.clone(), Arc::clone(&roster));
    }
    if let Some(address) = args.http.or(config.http) {
        let address = http::serve(address, roster, Arc::clone(&board))?;
        eprintln!("sensorium: listening at http://{address}");
    }
    args.events
        .write(lines, fuser, out, |output| board.hear(output))
}

/// What makes one event of those that several streams tell of. Refuses classes that could never be
/// told of.
pub fn fuser(opened: &[Opened], merge_within_s: f32) -> anyhow::Result<Fuser> {
    let mut classes: Vec<Class> = Vec::new();
    let mut senses = Vec::new();
    for opened in opened {
        senses.push(opened.recognition.sense.modality());
        let others = opened.others.iter().map(|(_, recognition)| recognition);
        for recognition in others.chain([&opened.recognition]) {
            for class in recognition.slot.get().classes() {
                if !classes.contains(class) {
                    classes.push(class.clone());
                }
            }
        }
    }
    let fuser = Fuser::new(&classes, merge_within_s);
    if let Some((class, lacking)) = fuser.lacking(&senses) {
        bail!("class {class:?} needs {lacking} to agree, and no stream is {lacking}");
    }
    Ok(fuser)
}

impl Events {
    /// Runs streams and writes their events; `hear` is told all that they say.
    pub fn write(
        &self,
        lines: Vec<Line>,
        mut fuser: Fuser,
        out: &mut impl Write,
        hear: impl Fn(&Output),
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
            hear(&output);
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

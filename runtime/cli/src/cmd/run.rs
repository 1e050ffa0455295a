//! `sensorium run`

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use sensorium_engine::budget::Budget;
use sensorium_engine::classes::Class;
use sensorium_engine::config::{Config, MOST_CORES, check_cores};
use sensorium_engine::fuse::{Fuser, MERGE_WITHIN_S};
use sensorium_engine::pipeline::Line;
use sensorium_engine::sink::{Human, JsonLines, Sink};
use sensorium_engine::stream::{ClockMode, Output};

use crate::http::{self, Board};
use crate::inputs::Listen;
use crate::lasting::{Lasting, LateFile};
use crate::listen::{Control, exit_code, listen};
use crate::open::{How, Opened, open_all};
use crate::reload::Running;
use crate::roster::Roster;
use crate::sense::{Options, Senses};
use crate::service::{Order, Service};
use crate::watch;

/// Listen to sensors and name what happens.
#[derive(Debug, Clone, clap::Args)]
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
    let service = Arc::new(Service::begin()?);
    let config = wanted(args)?;
    let options = Options {
        pack: config.pack.clone(),
        classes: config.classes.clone(),
        text_model: config.text_model.clone(),
        space: args.sense.space.clone(),
    };
    let budget = Budget::new(cores(&config));
    let how = How {
        events: &config.events,
        clock: config.clock.unwrap_or_default(),
        budget: Some(&budget),
    };
    let mut senses = Senses::new(&options).calibrated(config.calibration.as_deref())?;
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
    if !is_recorded {
        watch::classes(Arc::clone(&roster));
    }
    if let Some(address) = config.http {
        let address = http::serve(address, Arc::clone(&roster), Arc::clone(&board))?;
        say!("listening at http://{address}");
    }
    let running = Running {
        started: config,
        roster,
        budget,
    };
    let args_again = args.clone();
    Arc::clone(&service).attend(move |order| match order {
        Order::Reload => {
            ensure!(!is_recorded, "recordings are played");
            let config = wanted(&args_again)?;
            running.reload(&config, cores(&config))
        }
        // What is left to be done need not wait for its turn.
        Order::Stop => {
            running.budget.set_cores(MOST_CORES);
            Ok(())
        }
    });
    let hear = |output: &Output| {
        board.hear(output);
        service.hear(output);
    };
    let written = args
        .events
        .write(lines, fuser, service.control(), out, hear);
    service.end();
    written
}

/// The configuration, with what the command line says in its place.
fn wanted(args: &Args) -> anyhow::Result<Config> {
    let mut config = args.listen.config(args.rate_hz, args.stream.as_deref())?;
    check_cores(args.cores)?;
    let Options {
        pack,
        classes,
        text_model,
        space: _,
    } = args.sense.clone();
    config.pack = pack.or(config.pack);
    config.classes = classes.or(config.classes);
    config.text_model = text_model.or(config.text_model);
    config.calibration = args.calibration.clone().or(config.calibration);
    config.clock = args.clock.map(ClockMode::from).or(config.clock);
    config.http = args.http.or(config.http);
    config.cores = args.cores.or(config.cores);
    Ok(config)
}

/// Cores that recognising may keep busy.
fn cores(config: &Config) -> f64 {
    let all = || thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    config.cores.unwrap_or_else(all)
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
        control: &Control,
        out: &mut impl Write,
        hear: impl Fn(&Output),
    ) -> anyhow::Result<ExitCode> {
        let lasts = !lines.iter().all(|line| line.source.is_recording());
        let (to, name): (Box<dyn Write + '_>, _) = match &self.out {
            Some(path) => {
                let made: io::Result<Box<dyn Write>> = match lasts {
                    true => LateFile::create(path).map(|file| Box::new(file) as _),
                    false => File::create(path).map(|file| Box::new(file) as _),
                };
                let made = made.with_context(|| format!("writing {path:?}"))?;
                (made, format!("{path:?}"))
            }
            None => (Box::new(out), "stdout".to_owned()),
        };
        let mut lines_out = Lasting::new(to, name, lasts);
        let mut sink: Box<dyn Sink + '_> = match self.json || self.out.is_some() {
            true => Box::new(JsonLines(&mut lines_out)),
            false => Box::new(Human(&mut lines_out)),
        };
        let mut events = 0;
        let summaries = listen(lines, control, |output| {
            hear(&output);
            let Output::Event(event) = output else {
                return Ok(());
            };
            for event in fuser.take(event) {
                events += 1;
                sink.event(&event)?;
            }
            Ok(())
        })?;
        drop(sink);
        let code = exit_code(summaries, events)?;
        lines_out.end()?;
        Ok(code)
    }
}

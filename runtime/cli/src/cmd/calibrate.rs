//! `sensorium calibrate`

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail, ensure};
use sensorium_core::event::EventPolicy;
use sensorium_core::feature::ImuUnits;
use sensorium_engine::bank::Bank;
use sensorium_engine::calibrate::file::{Calibration, ClassThreshold, SenseCalibration, shortest};
use sensorium_engine::calibrate::{Background, Goal, Threshold};
use sensorium_engine::classes::Class;
use sensorium_engine::config::{
    Config, SourceConfig, StreamConfig, check_hop_s, check_rate_hz, check_score,
};
use sensorium_engine::recording::is_mcap;
use sensorium_engine::source::csv::Recording;
use sensorium_engine::stream::{ClockMode, Output, Settings};
use sensorium_pack::{Modality, write_whole};
use serde_json::json;

use super::replay::units;
use crate::inputs::{Cameras, recordings};
use crate::listen::{Control, listen, rate_mhz};
use crate::open::{line, open_source};
use crate::sense::{Options, Recognition, Senses};
use crate::truth::Timeline;

/// Set thresholds that hold a number of false alarms an hour.
///
/// Plays recordings in which the classes do not happen, counts what would be told of them, and sets
/// each class's threshold as low as its budget allows: `false_alarms_per_hour` of the class file, or
/// what is given here. With it come the rate of false alarms at that threshold, its interval of
/// 95 %, and whether the budget is promised: kept with a confidence of 95 % by background of this
/// kind. If it is not for want of recordings, it says how many hours more it takes.
///
/// Recordings of all senses that are listened to belong into one call: a class that several streams
/// may tell of has its budget shared out among them. Streams of one sense that were recorded side by
/// side count as so many times as many hours.
///
/// A recording with labels is no background for a class where they name it. Pack, classes, hop and
/// `[events]` must be those of `run`: give its --config.
///
/// Exit status: 0 all budgets are promised, 1 some are not, 2 an error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sensorium calibrate --background night1.csv night2.csv \
    --rate-hz 50 --false-alarms-per-hour 0.5 --out calibration.toml\n  \
    sensorium replay day.csv --rate-hz 50 --calibration calibration.toml\n  \
    sensorium calibrate --config robot.toml --background night.mcap hall.flac \
    --out calibration.toml"
)]
pub struct Args {
    /// Recordings in which nothing of the classes happens, but where labels say so: MCAP files that
    /// `record` wrote, of which every stream is heard; CSV; WAV, FLAC or Ogg.
    #[arg(long, value_name = "REC", num_args = 1..)]
    background: Vec<PathBuf>,
    #[command(flatten)]
    cameras: Cameras,
    /// Of MCAP files, the one stream to hear.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// False alarms an hour of classes whose file does not say.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    false_alarms_per_hour: f64,
    /// However quiet the background is, no threshold is below this score; by default the one below
    /// which the pack says that an event is over.
    #[arg(long, value_name = "SCORE")]
    lowest: Option<f32>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print a JSON line for each class.
    #[arg(long)]
    json: bool,
    /// The configuration of `run`, for pack, classes, hop and `[events]`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// From the start of one window to the start of the next, in seconds; a quarter of the encoder's
    /// window by default.
    #[arg(long, value_name = "S", conflicts_with = "config")]
    hop_s: Option<f32>,
    /// How often the sensor sampled, in hertz, if the files have no times.
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<f32>,
    /// Units of columns that name none.
    #[arg(long, value_name = "ACC,GYRO", value_parser = units)]
    units: Option<ImuUnits>,
    #[command(flatten)]
    sense: Options,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    check_rate_hz(args.rate_hz)?;
    let budget = args.false_alarms_per_hour;
    ensure!(
        budget.is_finite() && budget >= 0.0,
        "--false-alarms-per-hour is {budget}, expected 0 or more"
    );
    // Not after hours of listening.
    let folder = args.out.parent().filter(|folder| *folder != Path::new(""));
    ensure!(
        folder.is_none_or(Path::is_dir),
        "writing {:?}: there is no such folder",
        args.out
    );
    let streams = streams(args)?;
    let config = configuration(args)?;
    let options = Options {
        pack: args.sense.pack.clone().or(config.pack.clone()),
        classes: args.sense.classes.clone().or(config.classes.clone()),
        text_model: args.sense.text_model.clone().or(config.text_model.clone()),
        space: args.sense.space.clone(),
    };
    let heard = hear_all(args, &streams, &config, &options)?;
    let mut found = Vec::new();
    let mut senses = Vec::new();
    for sense in &heard {
        let of_sense = sense.thresholds(&heard, budget);
        let thresholds = { of_sense.iter() }.filter_map(|found| {
            let threshold = found.threshold.as_ref()?;
            Some(ClassThreshold::new(found.class, threshold, found.policy))
        });
        senses.push(SenseCalibration {
            modality: sense.recognition.sense.modality(),
            pack: sense.recognition.pack_id.clone(),
            bank: sense.bank.id().to_owned(),
            hop_s: sense.hop_s,
            median_windows: sense.policy.median_windows,
            classes: thresholds.collect(),
        });
        found.extend(of_sense);
    }
    let calibration = Calibration { senses };
    write_whole(&args.out, calibration.to_toml()?.as_bytes())
        .with_context(|| format!("writing {:?}", args.out))?;
    if args.json {
        for found in &found {
            writeln!(out, "{}", found.to_json())?;
        }
    } else {
        write!(out, "{}", table(&found))?;
    }
    let is_promised = |found: &Found<'_>| found.threshold.is_some_and(|t| t.is_promised());
    Ok(if found.iter().all(is_promised) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// What is to be heard.
fn streams(args: &Args) -> anyhow::Result<Vec<StreamConfig>> {
    let mut streams = Vec::new();
    for path in &args.background {
        // An MCAP file says of itself what others do not.
        let units = args.units.map(|units| units.to_string());
        let told = match is_mcap(path) {
            true => (None, None),
            false => (args.rate_hz, units),
        };
        let of_file = recordings(path, told, None, args.stream.as_deref())?;
        streams.extend(of_file);
    }
    streams.extend(args.cameras.streams(None)?);
    ensure!(
        !streams.is_empty(),
        "there is no background: give --background REC, --thermal PATH or --depth PATH"
    );
    Ok(streams)
}

/// What a run would be configured to.
fn configuration(args: &Args) -> anyhow::Result<Config> {
    let Some(path) = &args.config else {
        args.hop_s.map_or(Ok(()), check_hop_s)?;
        return Ok(Config::new(Vec::new()));
    };
    Ok(Config::open(path, std::env::vars_os())?)
}

/// How a run listens to one sense.
struct Listening<'a> {
    pack: Option<&'a Path>,
    space: Option<&'a str>,
    hop_s: Option<f32>,
    window_s: Option<f32>,
    /// Streams of the sense.
    streams: usize,
}

/// As the configuration has it, whose streams of one sense must agree.
fn listening<'a>(
    config: &'a Config,
    args: &Args,
    modality: Modality,
) -> anyhow::Result<Listening<'a>> {
    if args.config.is_none() {
        return Ok(Listening {
            pack: None,
            space: None,
            hop_s: args.hop_s,
            window_s: None,
            streams: 1,
        });
    }
    let is_of_sense = |stream: &&StreamConfig| stream.modality().is_ok_and(|m| m == modality);
    let streams: Vec<_> = config.streams.iter().filter(is_of_sense).collect();
    let first = streams
        .first()
        .with_context(|| format!("the configuration has no {modality} stream"))?;
    let how = |stream: &StreamConfig| {
        let (pack, space) = (stream.pack.clone(), stream.space.clone());
        (stream.hop_s, stream.window_s, pack, space)
    };
    if let Some(other) = streams.iter().find(|other| how(other) != how(first)) {
        bail!(
            "streams {:?} and {:?} of the configuration differ in hop_s, window_s, pack or space: a threshold \
             holds for one",
            first.name,
            other.name
        );
    }
    Ok(Listening {
        pack: first.pack.as_deref(),
        space: first.space.as_deref(),
        hop_s: first.hop_s,
        window_s: first.window_s,
        streams: streams.len(),
    })
}

/// The background of one sense.
struct Heard {
    recognition: Recognition,
    bank: Arc<Bank>,
    hop_s: f32,
    policy: EventPolicy,
    lowest: f32,
    /// Streams of the sense that will be listened to.
    streams: usize,
    background: Background,
}

impl Heard {
    /// The thresholds of its classes, each with its share of the class's budget.
    fn thresholds<'a>(&'a self, all: &[Heard], budget: f64) -> Vec<Found<'a>> {
        let modality = self.recognition.sense.modality();
        let threshold = |(index, class): (usize, &'a Class)| {
            let budget = class.false_alarms_per_hour.map_or(budget, f64::from);
            // Of senses that must agree, each alone rings no less often than all of them.
            let shares = |heard: &&Heard| {
                let is_same = heard.recognition.sense.modality() == modality;
                is_same || class.all.is_empty() && heard.bank.classes().contains(class)
            };
            let tellers: usize = all.iter().filter(shares).map(|heard| heard.streams).sum();
            let goal = Goal {
                per_hour: budget / tellers.max(1) as f64,
                lowest: self.lowest,
            };
            let policy = self.bank.policy(index, self.policy);
            Found {
                class: &class.name,
                modality,
                policy,
                budget,
                goal,
                hours: self.background.hours(index),
                threshold: self.background.threshold(index, policy, goal),
            }
        };
        self.bank
            .classes()
            .iter()
            .enumerate()
            .map(threshold)
            .collect()
    }
}

/// Scores every window of every recording, sense by sense.
fn hear_all(
    args: &Args,
    streams: &[StreamConfig],
    config: &Config,
    options: &Options,
) -> anyhow::Result<Vec<Heard>> {
    let mut senses = Senses::new(options);
    let mut all: Vec<Heard> = Vec::new();
    for stream in streams {
        let modality = stream.modality()?;
        let is_same = |heard: &Heard| heard.recognition.sense.modality() == modality;
        if all.iter().any(is_same) {
            continue;
        }
        let how = listening(config, args, modality)?;
        // What is calibrated holds in one space: that which a calibrated run takes, too.
        let mut recognition = senses
            .load_all(modality, how.pack, how.space)?
            .swap_remove(0);
        if let Some(window_s) = how.window_s {
            recognition.sense = recognition.sense.with_window_s(window_s)?;
        }
        let scoring = recognition.sense.encoder().scoring();
        let lowest = args.lowest.unwrap_or(scoring.exit);
        check_score("--lowest", lowest)?;
        all.push(Heard {
            bank: recognition.slot.get(),
            hop_s: how
                .hop_s
                .unwrap_or_else(|| recognition.sense.default_hop_s()),
            policy: config.events.policy(scoring),
            lowest,
            streams: how.streams,
            background: Background::new(),
            recognition,
        });
    }
    let control = Control::of_signals()?;
    for stream in streams {
        let modality = stream.modality()?;
        let of_sense = |heard: &&mut Heard| heard.recognition.sense.modality() == modality;
        if let Some(heard) = all.iter_mut().find(of_sense) {
            hear(stream, heard, &control)?;
        }
        ensure!(!control.stop.load(Ordering::Relaxed), "stopped by a signal");
    }
    Ok(all)
}

/// Scores every window of a recording.
fn hear(stream: &StreamConfig, heard: &mut Heard, control: &Control) -> anyhow::Result<()> {
    let path = stream.source.path();
    let of_file = || match &stream.source {
        SourceConfig::Mcap { .. } => format!("{path:?}, stream {:?}", stream.name),
        _ => format!("{path:?}"),
    };
    let encoder = heard.recognition.sense.encoder();
    let (source, rate_mhz, _) = open_source(stream, Some(encoder))?;
    if let Some(rate_mhz) = rate_mhz {
        let shape = heard.recognition.sense.shape(rate_mhz, heard.hop_s);
        shape.with_context(of_file)?;
    }
    let timeline = labels(stream)?;
    let settings = Settings {
        name: of_file(),
        hop_s: heard.hop_s,
        policy: heard.policy,
        clock: ClockMode::Sample,
    };
    let (bank, background) = (&heard.bank, &mut heard.background);
    background.begin_recording();
    let mut newest_us = 0;
    let lines = vec![line(source, settings, &heard.recognition)];
    let summaries = listen(lines, control, |output| {
        if let Output::Window(scored) = output {
            // A node that began anew begins another recording.
            if scored.t_end_us < newest_us {
                background.begin_recording();
            }
            newest_us = scored.t_end_us;
            let window = (scored.t_start_us, scored.t_end_us);
            let present = timeline.as_ref().map(|t| t.classes_in(window, bank));
            background.push(&scored, present.unwrap_or_default());
        }
        Ok(())
    })?;
    for summary in summaries {
        summary.result.with_context(of_file)?;
    }
    Ok(())
}

/// What a recording says of itself, where it is one that does.
fn labels(stream: &StreamConfig) -> anyhow::Result<Option<Timeline>> {
    let SourceConfig::Csv { path, rate_hz, .. } = &stream.source else {
        return Ok(None);
    };
    let recording = Recording::open(path, stream.source.units(&stream.name)?)?;
    let rate_mhz = rate_mhz(&recording, *rate_hz).with_context(|| format!("{path:?}"))?;
    Ok(Timeline::of(&recording, rate_mhz))
}

/// What became of one class.
struct Found<'a> {
    class: &'a str,
    modality: Modality,
    policy: EventPolicy,
    /// False alarms an hour of the class, and this stream's share of them.
    budget: f64,
    goal: Goal,
    hours: f64,
    threshold: Option<Threshold>,
}

impl Found<'_> {
    fn to_json(&self) -> serde_json::Value {
        let mut line = json!({
            "class": self.class,
            "modality": self.modality,
            "false_alarms_per_hour": self.budget,
            "share_per_hour": self.goal.per_hour,
            "hours": self.hours,
            "promised": false,
        });
        if let Some(threshold) = &self.threshold {
            let (low, high) = threshold.interval_per_hour();
            line["enter"] = json!(shortest(threshold.enter));
            line["exit"] = json!(shortest(threshold.exit));
            line["alarms"] = json!(threshold.alarms);
            line["per_hour"] = json!(threshold.per_hour());
            line["per_hour_95"] = json!([low, high]);
            line["promised"] = json!(threshold.is_promised());
            line["more_hours"] = json!(threshold.more_hours());
        }
        line
    }

    /// Whether the budget is promised, or why it is not.
    fn verdict(&self) -> String {
        match &self.threshold {
            None if self.hours == 0.0 => "no: there is no background for it".to_owned(),
            None => "no: the background scores as high as can be; describe it as [background] \
                     prompts"
                .to_owned(),
            Some(threshold) if threshold.is_promised() => "yes".to_owned(),
            Some(threshold) => match threshold.more_hours() {
                Some(hours) => format!("no: {hours:.1} h more without an alarm would do"),
                None => "no: no recording is long enough to promise none".to_owned(),
            },
        }
    }
}

fn table(found: &[Found<'_>]) -> String {
    let width = { found.iter() }.map(|found| found.class.chars().count());
    let width = width.max().unwrap_or(0).max("class".len());
    let mut text = format!(
        "{:width$}  sense    budget  score   alarms     hours  an hour (95 % interval)  promised\n",
        "class"
    );
    for found in found {
        let (sense, budget) = (found.modality.name(), shortest(found.goal.per_hour as f32));
        let _infallible = match &found.threshold {
            Some(threshold) => {
                let (low, high) = threshold.interval_per_hour();
                let rate = format!("{:.2} ({low:.2} to {high:.2})", threshold.per_hour());
                write!(
                    text,
                    "{:width$}  {sense:7}  {budget:6}  {:.4}  {:6}  {:8.2}  {rate:23}",
                    found.class, threshold.enter, threshold.alarms, threshold.hours
                )
            }
            None => write!(
                text,
                "{:width$}  {sense:7}  {budget:6}  none         -  {:8.2}  {:23}",
                found.class, found.hours, "-"
            ),
        };
        let _infallible = writeln!(text, "  {}", found.verdict());
    }
    text
}

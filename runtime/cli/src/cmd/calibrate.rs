//! `sensorium calibrate`

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, ensure};
use sensorium_core::event::EventPolicy;
use sensorium_core::feature::ImuUnits;
use sensorium_engine::calibrate::file::{Calibration, ClassThreshold, SenseCalibration, shortest};
use sensorium_engine::calibrate::{Background, Goal, Threshold};
use sensorium_engine::config::{Config, EventsConfig, check_hop_s, check_rate_hz, check_score};
use sensorium_engine::source::csv::Recording;
use sensorium_engine::source::replay::Replay;
use sensorium_engine::stream::{ClockMode, Output, Settings};
use sensorium_pack::{Modality, write_whole};
use serde_json::json;

use super::replay::units;
use crate::listen::{Control, listen, rate_mhz};
use crate::open::line;
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
/// A recording with labels is no background for a class where they name it. Pack, classes, hop and
/// `[events]` must be those of `run`: give its --config.
///
/// Exit status: 0 all budgets are promised, 1 some are not, 2 an error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sensorium calibrate --background night1.csv night2.csv \
    --rate-hz 50 --false-alarms-per-hour 0.5 --out calibration.toml\n  \
    sensorium replay day.csv --rate-hz 50 --calibration calibration.toml"
)]
pub struct Args {
    /// Recordings in which nothing of the classes happens, but where labels say so.
    #[arg(long, value_name = "REC", required = true, num_args = 1..)]
    background: Vec<PathBuf>,
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
    let (options, hop_s, events) = configured(args)?;
    let sense = Senses::new(&options).load(Modality::Imu, None)?;
    let bank = sense.slot.get();
    let hop_s = hop_s.unwrap_or_else(|| sense.sense.default_hop_s());
    let scoring = sense.sense.encoder().scoring();
    let policy = events.policy(scoring);
    let lowest = args.lowest.unwrap_or(scoring.exit);
    check_score("--lowest", lowest)?;

    let background = listen_to_all(args, &sense, hop_s, policy)?;
    let mut found = Vec::new();
    for (index, class) in bank.classes().iter().enumerate() {
        let goal = Goal {
            per_hour: class.false_alarms_per_hour.map_or(budget, f64::from),
            lowest,
        };
        let policy = bank.policy(index, policy);
        let threshold = background.threshold(index, policy, goal);
        found.push(Found {
            class: &class.name,
            policy,
            goal,
            hours: background.hours(index),
            threshold,
        });
    }
    let thresholds = { found.iter() }.filter_map(|found| {
        let threshold = found.threshold.as_ref()?;
        Some(ClassThreshold::new(found.class, threshold, found.policy))
    });
    let calibration = Calibration {
        senses: vec![SenseCalibration {
            modality: Modality::Imu,
            pack: sense.pack_id.clone(),
            bank: bank.id().to_owned(),
            hop_s,
            median_windows: policy.median_windows,
            classes: thresholds.collect(),
        }],
    };
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

/// What a run would be configured to.
fn configured(args: &Args) -> anyhow::Result<(Options, Option<f32>, EventsConfig)> {
    let Some(path) = &args.config else {
        args.hop_s.map_or(Ok(()), check_hop_s)?;
        return Ok((args.sense.clone(), args.hop_s, EventsConfig::default()));
    };
    let config = Config::open(path, std::env::vars_os())?;
    let is_imu = |stream: &&_| is_imu(stream);
    let hops: Vec<Option<f32>> = { config.streams.iter() }
        .filter(is_imu)
        .map(|stream| stream.hop_s)
        .collect();
    let hop_s = *hops
        .first()
        .context("the configuration has no imu stream")?;
    ensure!(
        hops.iter().all(|hop| *hop == hop_s),
        "the streams of the configuration have different hops, {hops:?} s: a threshold holds for one"
    );
    let options = Options {
        pack: args.sense.pack.clone().or(config.pack),
        classes: args.sense.classes.clone().or(config.classes),
        text_model: args.sense.text_model.clone().or(config.text_model),
        space: args.sense.space.clone(),
    };
    Ok((options, hop_s, config.events))
}

fn is_imu(stream: &sensorium_engine::config::StreamConfig) -> bool {
    stream
        .modality()
        .is_ok_and(|modality| modality == Modality::Imu)
}

/// Scores every window of every recording.
fn listen_to_all(
    args: &Args,
    sense: &Recognition,
    hop_s: f32,
    policy: EventPolicy,
) -> anyhow::Result<Background> {
    let control = Control::of_signals()?;
    let mut background = Background::new();
    for path in &args.background {
        background.begin_recording();
        let settings = Settings {
            name: path.display().to_string(),
            hop_s,
            policy,
            clock: ClockMode::Sample,
        };
        listen_to(path, args, settings, sense, &control, &mut background)?;
        ensure!(!control.stop.load(Ordering::Relaxed), "stopped by a signal");
    }
    Ok(background)
}

fn listen_to(
    path: &Path,
    args: &Args,
    settings: Settings,
    sense: &Recognition,
    control: &Control,
    background: &mut Background,
) -> anyhow::Result<()> {
    let recording = Recording::open(path, args.units)?;
    let rate_mhz = rate_mhz(&recording, args.rate_hz).with_context(|| format!("{path:?}"))?;
    let timeline = Timeline::of(&recording, rate_mhz);
    let bank = sense.slot.get();
    let source = Box::new(Replay::new(recording, rate_mhz, None));
    let lines = vec![line(source, settings, sense)];
    let summaries = listen(lines, control, |output| {
        if let Output::Window(scored) = output {
            let window = (scored.t_start_us, scored.t_end_us);
            let present = timeline.as_ref().map(|t| t.classes_in(window, &bank));
            background.push(&scored, present.unwrap_or_default());
        }
        Ok(())
    })?;
    for summary in summaries {
        summary.result.with_context(|| format!("{path:?}"))?;
    }
    Ok(())
}

/// What became of one class.
struct Found<'a> {
    class: &'a str,
    policy: EventPolicy,
    goal: Goal,
    hours: f64,
    threshold: Option<Threshold>,
}

impl Found<'_> {
    fn to_json(&self) -> serde_json::Value {
        let mut line = json!({
            "class": self.class,
            "modality": Modality::Imu,
            "false_alarms_per_hour": self.goal.per_hour,
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
        "{:width$}  budget  score   alarms     hours  an hour (95 % interval)  promised\n",
        "class"
    );
    for found in found {
        let budget = found.goal.per_hour;
        let _infallible = match &found.threshold {
            Some(threshold) => {
                let (low, high) = threshold.interval_per_hour();
                let rate = format!("{:.2} ({low:.2} to {high:.2})", threshold.per_hour());
                write!(
                    text,
                    "{:width$}  {budget:6}  {:.4}  {:6}  {:8.2}  {rate:23}",
                    found.class, threshold.enter, threshold.alarms, threshold.hours
                )
            }
            None => write!(
                text,
                "{:width$}  {budget:6}  none         -  {:8.2}  {:23}",
                found.class, found.hours, "-"
            ),
        };
        let _infallible = writeln!(text, "  {}", found.verdict());
    }
    text
}

//! `sensorium demo`

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use sensorium_engine::bank::Bank;
use sensorium_engine::config::EventsConfig;
use sensorium_engine::sink::{Human, JsonLines, Sink, bar, time_of_day};
use sensorium_engine::source::csv::Recording as CsvRecording;
use sensorium_engine::source::replay::Replay;
use sensorium_engine::stream::{ClockMode, Output, Scored, Settings};
use sensorium_pack::Modality;

use super::replay::Recording;
use crate::listen::{Control, exit_code, listen, rate_mhz};
use crate::open::line;
use crate::sense::{Options, Senses};
use crate::truth::Truth;

/// The recording that every build carries: a phone at a person's waist, whom no encoder has met.
const EXCERPT: &[u8] = include_bytes!("../../demo/user30.csv");

/// How it was sampled.
const EXCERPT_RATE_HZ: f32 = 50.0;

/// Play a real recording and name what happens in it.
///
/// The built-in recording is an excerpt of the UCI HAPT data set: a smartphone at the waist of a
/// person on whom the built-in encoder was not trained. Its labels are used for the summary only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recording of your own: a CSV file with columns such as acc_x_g and gyro_x_rads.
    input: Option<PathBuf>,
    #[command(flatten)]
    recording: Recording,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sense: Options,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    args.recording.check()?;
    let (recording, rate_hz, title) = open(args)?;
    let rate_mhz = rate_mhz(&recording, rate_hz).with_context(|| title.clone())?;
    let recognition = Senses::new(&args.sense).load(Modality::Imu, None)?;
    let seconds = recording.samples.len() as f64 * 1000.0 / f64::from(rate_mhz);
    eprintln!(
        "sensorium: {title}, {seconds:.0} s, with {}",
        recognition.pack_id
    );
    let bank = recognition.slot.get();
    let names: Vec<&str> = bank.classes().iter().map(|c| c.name.as_str()).collect();
    eprintln!("sensorium: listening for: {}", names.join(", "));

    let mut truth = Truth::new(&recording, rate_mhz, Arc::clone(&bank));
    let settings = Settings {
        name: "demo".to_owned(),
        hop_s: recognition.sense.default_hop_s(),
        policy: EventsConfig::default().policy(recognition.sense.encoder().scoring()),
        clock: ClockMode::Sample,
    };
    let source = Box::new(Replay::new(recording, rate_mhz, args.recording.speed));
    let lines = vec![line(source, settings, &recognition)];

    let mut now = Now::new(Arc::clone(&bank));
    let mut sink: Box<dyn Sink + '_> = if args.json {
        Box::new(JsonLines(out))
    } else {
        Box::new(Human(out))
    };
    let mut events = 0;
    let summaries = listen(lines, &Control::of_signals()?, |output| {
        match output {
            Output::Window(scored) => {
                truth.compare(&scored);
                now.show(&scored);
            }
            Output::Event(event) => {
                events += 1;
                now.clear();
                sink.event(&event)?;
            }
            Output::Health(_) | Output::Pace { .. } | Output::Totals { .. } => {}
        }
        Ok(())
    });
    now.clear();
    let summaries = summaries?;
    truth.summarise(&mut io::stderr())?;
    exit_code(summaries, events)
}

fn open(args: &Args) -> anyhow::Result<(CsvRecording, Option<f32>, String)> {
    let Recording { rate_hz, units, .. } = args.recording;
    Ok(match &args.input {
        Some(path) => (
            CsvRecording::open(path, units)?,
            rate_hz,
            path.display().to_string(),
        ),
        None => {
            let recording = CsvRecording::read(EXCERPT, "user30.csv".as_ref(), None)?;
            let title = "a phone at the waist of person 30 (UCI HAPT)".to_owned();
            (recording, Some(EXCERPT_RATE_HZ), title)
        }
    })
}

/// The line on a terminal that says what the last window sounds like, before it is an event.
struct Now {
    bank: Arc<Bank>,
    is_terminal: bool,
}

impl Now {
    fn new(bank: Arc<Bank>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { bank, is_terminal }
    }

    fn show(&self, scored: &Scored) {
        if !self.is_terminal {
            return;
        }
        let Some((class, score)) = self.bank.best(&scored.scores) else {
            return;
        };
        let time = time_of_day(i64::try_from(scored.t_end_us * 1000).unwrap_or(i64::MAX));
        let score = f64::from(score);
        eprint!(
            "\r\x1b[2K{time}  now    {class:18} {score:.2} {}",
            bar(score)
        );
    }

    fn clear(&mut self) {
        if self.is_terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

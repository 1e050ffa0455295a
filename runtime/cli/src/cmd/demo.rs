//! `sensorium demo`

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use sensorium_engine::bank::{Bank, CompiledClasses, Place};
use sensorium_engine::config::EventsConfig;
use sensorium_engine::pipeline::Line;
use sensorium_engine::sink::{Human, JsonLines, Sink, bar, time_of_day};
use sensorium_engine::slot::Slot;
use sensorium_engine::source::csv::Recording as CsvRecording;
use sensorium_engine::stream::{ClockMode, Output, Scored, Settings};
use sensorium_pack::Modality;

use super::replay::Recording;
use crate::listen::{Control, exit_code, listen, rate_mhz};
use crate::open::line;
use crate::sense::{Options, Recognition, Senses};
use crate::truth::Truth;

mod built_in;

use built_in::{ALL, BuiltIn, Opened};

/// Play recordings of four senses and name what happens in them.
///
/// The built-in recordings: a smartphone at the waist of a person on whom the built-in encoder was not
/// trained (UCI HAPT), sounds that it was not trained on (ESC-10), and a thermal array and a depth camera
/// that are simulated. Their labels are used for the summary only.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: all of it, then a recording of your own\n  sensorium demo\n  sensorium demo walk.csv \
    --rate-hz 50 --json"
)]
pub struct Args {
    /// A recording of your own: a CSV file with columns such as acc_x_g and gyro_x_rads.
    input: Option<PathBuf>,
    /// Only this sense: imu, audio, thermal or depth; may be repeated.
    #[arg(long, value_name = "SENSE", conflicts_with = "input", value_parser = played)]
    modality: Vec<Modality>,
    #[command(flatten)]
    recording: Recording,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sense: Options,
}

fn played(text: &str) -> anyhow::Result<Modality> {
    let modality = text.parse::<Modality>().ok();
    let is_played = |modality: &Modality| ALL.iter().any(|built_in| built_in.modality == *modality);
    modality
        .filter(is_played)
        .context("expected imu, audio, thermal or depth")
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    args.recording.check()?;
    let mut senses = Senses::new(&args.sense);
    let mut show = Show::default();
    let mut lines = Vec::new();
    match &args.input {
        Some(path) => {
            let opened = own(args, path)?;
            let recognition = senses.load(Modality::Imu, None)?;
            lines.push(show.line("demo", &path.display().to_string(), opened, &recognition));
        }
        None => {
            for built_in in &ALL {
                let modality = built_in.modality;
                if !args.modality.is_empty() && !args.modality.contains(&modality) {
                    continue;
                }
                let opened = built_in.open(args.recording.speed)?;
                let recognition = recognition(args, built_in, &mut senses)?;
                let name = modality.name();
                lines.push(show.line(name, built_in.title, opened, &recognition));
            }
        }
    }
    let mut sink: Box<dyn Sink + '_> = if args.json {
        Box::new(JsonLines(out))
    } else {
        Box::new(Human(out))
    };
    let mut events = 0;
    let summaries = listen(lines, &Control::of_signals()?, |output| {
        match output {
            Output::Window(scored) => show.window(&scored),
            Output::Event(event) => {
                events += 1;
                show.clear();
                sink.event(&event)?;
            }
            Output::Health(_) | Output::Pace { .. } | Output::Totals { .. } => {}
        }
        Ok(())
    });
    show.clear();
    let summaries = summaries?;
    for (stream, truth) in &show.truths {
        truth.summarise(stream, &mut io::stderr())?;
    }
    exit_code(summaries, events)
}

fn own(args: &Args, path: &Path) -> anyhow::Result<Opened> {
    let Recording {
        rate_hz,
        units,
        speed,
    } = args.recording;
    let recording = CsvRecording::open(path, units)?;
    let rate_mhz = rate_mhz(&recording, rate_hz).with_context(|| path.display().to_string())?;
    Ok(Opened::of(recording, rate_mhz, speed))
}

/// The encoder of a built-in recording's sense, with the classes that belong to it if none are given.
fn recognition(
    args: &Args,
    built_in: &BuiltIn,
    senses: &mut Senses<'_>,
) -> anyhow::Result<Recognition> {
    let modality = built_in.modality;
    let mut recognition = senses.load(modality, None)?;
    if let Some(window_s) = built_in.window_s {
        recognition.sense = recognition.sense.with_window_s(window_s)?;
    }
    if let (Some(text), None) = (built_in.classes, &args.sense.classes) {
        let place = Place {
            modality: Some(modality),
            ..Place::default()
        };
        let compiled = CompiledClasses::parse_in(text, &recognition.space, place)?;
        recognition.slot = Slot::new(Bank::new(&compiled, modality)?);
    }
    Ok(recognition)
}

/// What is shown of streams while they play, and after.
#[derive(Default)]
struct Show {
    banks: BTreeMap<String, Arc<Bank>>,
    truths: BTreeMap<String, Truth>,
    is_dirty: bool,
}

impl Show {
    /// A stream of a recording; says what it is and what is listened for.
    fn line(&mut self, name: &str, title: &str, opened: Opened, recognition: &Recognition) -> Line {
        let Opened {
            source,
            timeline,
            seconds,
        } = opened;
        let pack = &recognition.pack_id;
        eprintln!("sensorium: {name}: {title}, {seconds:.0} s, with {pack}");
        let bank = recognition.slot.get();
        let names: Vec<&str> = bank.classes().iter().map(|c| c.name.as_str()).collect();
        eprintln!("sensorium: {name}: listening for: {}", names.join(", "));
        let truth = Truth::new(timeline, Arc::clone(&bank));
        self.truths.insert(name.to_owned(), truth);
        self.banks.insert(name.to_owned(), bank);
        let settings = Settings {
            name: name.to_owned(),
            hop_s: recognition.sense.default_hop_s(),
            policy: EventsConfig::default().policy(recognition.sense.encoder().scoring()),
            clock: ClockMode::Sample,
        };
        line(source, settings, recognition)
    }

    /// Compares a window, and says on a terminal what it looks like before it is an event.
    fn window(&mut self, scored: &Scored) {
        if let Some(truth) = self.truths.get_mut(&scored.stream) {
            truth.compare(scored);
        }
        let bank = self.banks.get(&scored.stream);
        let best = bank.and_then(|bank| bank.best(&scored.scores));
        let Some((class, score)) = best.filter(|_| io::stderr().is_terminal()) else {
            return;
        };
        let time = time_of_day(i64::try_from(scored.t_end_us * 1000).unwrap_or(i64::MAX));
        let score = f64::from(score);
        eprint!(
            "\r\x1b[2K{time}  now    {class:18} {score:.2} {}            {}",
            bar(score),
            scored.stream
        );
        self.is_dirty = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            eprint!("\r\x1b[2K");
        }
    }
}

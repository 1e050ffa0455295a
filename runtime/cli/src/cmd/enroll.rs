//! `sensorium enroll`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::ImuUnits;
use sensorium_engine::config::StreamConfig;
use sensorium_engine::embed::{Encoders, Recorded};
use sensorium_engine::example::{ClassFile, embed_recording, likeness, mean_vector};
use sensorium_engine::sense::Sense;
use sensorium_engine::space::Space;
use sensorium_engine::take::{Cue, Plan, Taken, take};
use sensorium_pack::{Modality, write_whole};
use serde_json::json;

use super::classes::{add_to_classes, ensure_class_file};
use super::replay::units;
use crate::inputs::Listen;
use crate::listen::Control;
use crate::open::open_source;
use crate::sense::{load_space, open_pack};

/// An example that is less like the others than this is probably not what they are.
const ALIKE: f32 = 0.5;

/// How many takes there are of a live sensor, where nobody says.
const TAKES: usize = 3;

/// Lengths of a take, in seconds.
const SECONDS: std::ops::RangeInclusive<f32> = 0.1..=60.0;

/// Make a class of examples: recordings in which it happens, or takes of a live sensor.
///
/// For takes, do it when told to on stderr, as often as --times says. One in which the sensor was
/// silent, stuck or otherwise degraded is not used, and made again.
///
/// The class is the mean of the examples' embeddings: three are better than one, and one that is not
/// like the others is named. It is written as a small file, which `examples = ["FILE"]` of a class
/// file takes, here or on another machine with the same pack; --classes adds it there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sensorium enroll \"my gate\" --pack home.pack --modality audio \
    --times 3 gate1.wav gate2.wav gate3.wav --out gate.json --classes classes.toml\n  \
    arecord -q -t raw -f S16_LE -r 16000 | sensorium enroll \"my gate\" --modality audio \
    --audio - --rate-hz 16000 --seconds 3 --times 3\n  \
    sensorium enroll \"hop\" --modality imu --config robot.toml --stream wrist"
)]
pub struct Args {
    /// What events shall call it.
    name: String,
    /// Recordings of it: files of the sense, as `embed` takes them.
    input: Vec<PathBuf>,
    #[command(flatten)]
    listen: Listen,
    /// The stream of the configuration; not needed if one alone is of the sense.
    #[arg(long, value_name = "NAME", requires = "config")]
    stream: Option<String>,
    /// Length of a take of a live sensor.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f32,
    /// Seconds that are counted down before each take.
    #[arg(long, value_name = "S", default_value_t = 3)]
    countdown: u32,
    /// The sense.
    #[arg(long, value_name = "SENSE")]
    modality: Modality,
    /// How many takes, 3 by default; of files how many examples there must be, a row of an array being
    /// one: an error if there are fewer.
    #[arg(long, value_name = "N")]
    times: Option<usize>,
    /// The file to write; NAME.json, in lower case and without blanks, by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A class file to add the class to.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The pack; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// Inertial samples a second, as the encoder by default; or frames a second of clips; or samples a
    /// second of raw sound.
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<f32>,
    /// Units of inertial columns that name none; the encoder's by default.
    #[arg(long, value_name = "ACC,GYRO", value_parser = units)]
    units: Option<ImuUnits>,
    /// The space, where the pack has encoders of the sense in several; the first by default.
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// Print what the class was made of, as JSON: {"class": ..., "modality": ..., "space": ..., "out": ...,
    /// "examples": [{"of": ..., "cosine": ...}]}, cosines to the other examples, 1 of a single one.
    #[arg(long)]
    json: bool,
}

/// What the class is to be made of.
struct Examples {
    /// Their embeddings.
    rows: Vec<Vec<f32>>,
    /// What each is of.
    of_rows: Vec<String>,
    space: Space,
    /// Whether the pack has the sense in other spaces, too.
    is_elsewhere: bool,
}

/// Those of files.
fn of_files(args: &Args) -> anyhow::Result<Examples> {
    ensure!(
        !args.input.is_empty(),
        "there are no examples: give files, or a live sensor as --serial PORT, --audio PATH, \
         --thermal PATH, --depth PATH or --config FILE"
    );
    let pack = open_pack(args.pack.as_deref())?;
    let encoders = Encoders::load_in(&pack, args.modality, args.space.as_deref())?;
    let space_name = encoders.all()[0].space();
    let space = load_space(&pack, space_name, None)?;
    let recorded = Recorded {
        rate_hz: args.rate_hz,
        units: args.units,
    };
    let (mut rows, mut of_rows) = (Vec::new(), Vec::new());
    for path in &args.input {
        for row in embed_recording(path, &encoders, &space, recorded)? {
            rows.push(row);
            of_rows.push(format!("{path:?}"));
        }
    }
    let times = args.times.unwrap_or(1);
    if rows.len() < times {
        bail!("{} examples, expected {times} (--times)", rows.len());
    }
    if encoders.spaces().len() > 1 {
        eprintln!("sensorium: note: it is a class of space {space_name:?} alone; see --space");
    }
    Ok(Examples {
        rows,
        of_rows,
        space,
        is_elsewhere: encoders.spaces().len() > 1,
    })
}

/// Those of a live sensor.
fn of_takes(args: &Args) -> anyhow::Result<Examples> {
    if let Some(path) = args.input.first() {
        bail!(
            "{path:?} is a file, and there is a live sensor: a class is made of the one or the other"
        );
    }
    ensure!(
        SECONDS.contains(&args.seconds),
        "--seconds is {}, expected 0.1 to 60",
        args.seconds
    );
    let takes = args.times.unwrap_or(TAKES);
    ensure!(
        (1..=100).contains(&takes),
        "--times is {takes}, expected 1 to 100"
    );
    let countdown_s = args.countdown;
    ensure!(
        countdown_s <= 60,
        "--countdown is {countdown_s}, expected 0 to 60"
    );
    let rate_hz = args.rate_hz.map(|rate_hz| rate_hz.round() as u32);
    let config = args.listen.config(rate_hz, None)?;
    let stream = stream_of_sense(&config.streams, args)?;
    let pack = args
        .pack
        .as_ref()
        .or(stream.pack.as_ref())
        .or(config.pack.as_ref());
    let pack = open_pack(pack.map(PathBuf::as_path))?;
    // As a stream is recognised.
    let space = args.space.as_deref().or(stream.space.as_deref());
    let senses = Sense::load_all(&pack, args.modality, space)?;
    let encoder = senses[0].encoder();
    let space = load_space(&pack, encoder.space(), None)?;
    let name = &stream.name;
    let in_stream = || format!("stream {name:?}");
    let (source, _, _) = open_source(stream, Some(encoder)).with_context(in_stream)?;
    ensure!(
        !source.is_recording(),
        "stream {name:?} is a recording: give its file as an example, without an option"
    );
    let plan = Plan {
        takes,
        seconds: args.seconds,
        countdown_s,
    };
    let stop = Control::of_signals()?.stop;
    let cue = &mut |cue| tell(cue, plan);
    let taken = take(source, args.modality, plan, &stop, cue).with_context(in_stream)?;
    let embed = |(at, taken): (usize, &Taken)| {
        let row = taken.embed(encoder);
        row.with_context(|| format!("take {}", at + 1))
    };
    let rows = taken.iter().enumerate().map(embed);
    Ok(Examples {
        rows: rows.collect::<anyhow::Result<_>>()?,
        of_rows: (1..=takes).map(|number| format!("take {number}")).collect(),
        space,
        is_elsewhere: senses.len() > 1,
    })
}

/// The stream that is listened to.
fn stream_of_sense<'a>(
    streams: &'a [StreamConfig],
    args: &Args,
) -> anyhow::Result<&'a StreamConfig> {
    let modality = args.modality;
    let is_wanted = |stream: &&StreamConfig| match &args.stream {
        Some(name) => stream.name == *name,
        None => stream.modality().is_ok_and(|sense| sense == modality),
    };
    let wanted: Vec<_> = streams.iter().filter(is_wanted).collect();
    let names = || -> Vec<&str> { streams.iter().map(|stream| stream.name.as_str()).collect() };
    let stream = match wanted[..] {
        [only] => only,
        [] => match &args.stream {
            Some(name) => bail!("there is no stream {name:?}, the streams are {:?}", names()),
            None => bail!("no stream is {modality}, the streams are {:?}", names()),
        },
        _ => bail!(
            "several streams are {modality}, say which of {:?} as --stream",
            names()
        ),
    };
    let sense = stream.modality()?;
    ensure!(
        sense == modality,
        "stream {:?} is {sense}, not {modality}",
        stream.name
    );
    Ok(stream)
}

/// Says what to do now.
fn tell(cue: Cue, plan: Plan) {
    let Plan { takes, seconds, .. } = plan;
    match cue {
        Cue::Countdown { take, seconds } => {
            eprintln!("sensorium: take {take} of {takes} in {seconds} s");
        }
        Cue::Begin { take } => eprintln!("sensorium: take {take} of {takes}: now, for {seconds} s"),
        Cue::Taken { take } => eprintln!("sensorium: take {take} of {takes}: done"),
        Cue::Rejected { take, why } => {
            eprintln!("sensorium: take {take} of {takes} is not used: {why}; once more");
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, to: &mut impl Write) -> anyhow::Result<ExitCode> {
    ensure!(!args.name.trim().is_empty(), "the name is empty");
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| default_path(&args.name));
    ensure_class_file(&out)?;
    let examples = match args.listen.is_empty() {
        true => of_files(args)?,
        false => of_takes(args)?,
    };
    let Examples {
        rows,
        of_rows,
        space,
        is_elsewhere,
    } = examples;
    let vector = mean_vector(rows.iter().map(Vec::as_slice))?;
    let mut told = Vec::new();
    for (path, alike) in of_rows.iter().zip(likeness(&rows)) {
        told.push(json!({"of": path, "cosine": alike}));
        let doubt = if alike < ALIKE {
            ": is it the same thing?"
        } else {
            ""
        };
        eprintln!("sensorium: {path}: cosine {alike:.2} to the others{doubt}");
    }
    let mut class = ClassFile::new(&args.name, vec![args.modality], &space, vector);
    class.examples = rows.len();
    write_whole(&out, class.to_json()?.as_bytes()).with_context(|| format!("writing {out:?}"))?;
    eprintln!(
        "sensorium: {:?} is the mean of {} examples, in {out:?}",
        args.name,
        rows.len()
    );
    if is_elsewhere {
        let space = space.name();
        eprintln!("sensorium: note: it is a class of space {space:?} alone; see --space");
    }
    if let Some(classes) = &args.classes {
        add_to_classes(classes, &class, &args.name, &out)?;
    }
    if args.json {
        let told = json!({
            "class": args.name, "modality": args.modality, "space": space.name(), "out": out.display().to_string(), "examples": told,
        });
        writeln!(to, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn default_path(name: &str) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem: String = name.to_lowercase().chars().map(plain).collect();
    Path::new(&stem).with_extension("json")
}

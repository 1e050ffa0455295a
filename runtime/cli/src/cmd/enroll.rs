//! `sensorium enroll`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::ImuUnits;
use sensorium_engine::embed::{Encoders, Recorded};
use sensorium_engine::example::{ClassFile, embed_recording, likeness, mean_vector};
use sensorium_pack::{Modality, write_whole};

use super::classes::add_to_classes;
use super::replay::units;
use crate::sense::{load_space, open_pack};

/// An example that is less like the others than this is probably not what they are.
const ALIKE: f32 = 0.5;

/// Make a class of examples: recordings in which it happens.
///
/// The class is the mean of the examples' embeddings: three are better than one, and one that is not
/// like the others is named. It is written as a small file, which `examples = ["FILE"]` of a class
/// file takes, here or on another machine with the same pack; --classes adds it there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sensorium enroll \"my gate\" --pack home.pack --modality audio \
    --times 3 gate1.wav gate2.wav gate3.wav --out gate.json --classes classes.toml"
)]
pub struct Args {
    /// What events shall call it.
    name: String,
    /// Recordings of it: files of the sense, as `embed` takes them.
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// The sense.
    #[arg(long, value_name = "SENSE")]
    modality: Modality,
    /// How many examples there must be, a row of an array being one: an error if there are fewer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    times: usize,
    /// The file to write; NAME.json, in lower case and without blanks, by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A class file to add the class to.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The pack; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// Inertial samples a second, as the encoder by default; or frames a second of clips.
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<f32>,
    /// Units of inertial columns that name none; the encoder's by default.
    #[arg(long, value_name = "ACC,GYRO", value_parser = units)]
    units: Option<ImuUnits>,
    /// The space, where the pack has encoders of the sense in several; the first by default.
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    ensure!(!args.name.trim().is_empty(), "the name is empty");
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
            of_rows.push(path);
        }
    }
    if rows.len() < args.times {
        bail!("{} examples, expected {} (--times)", rows.len(), args.times);
    }
    let vector = mean_vector(rows.iter().map(Vec::as_slice))?;
    for (path, alike) in of_rows.iter().zip(likeness(&rows)) {
        let doubt = if alike < ALIKE {
            ": is it the same thing?"
        } else {
            ""
        };
        eprintln!("sensorium: {path:?}: cosine {alike:.2} to the others{doubt}");
    }
    let mut class = ClassFile::new(&args.name, vec![args.modality], &space, vector);
    class.examples = rows.len();
    let out = args.out.clone().unwrap_or_else(|| default_path(&args.name));
    write_whole(&out, class.to_json()?.as_bytes()).with_context(|| format!("writing {out:?}"))?;
    eprintln!(
        "sensorium: {:?} is the mean of {} examples, in {out:?}",
        args.name,
        rows.len()
    );
    if encoders.spaces().len() > 1 {
        eprintln!("sensorium: note: it is a class of space {space_name:?} alone; see --space");
    }
    if let Some(classes) = &args.classes {
        add_to_classes(classes, &class, &args.name, &out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn default_path(name: &str) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem: String = name.to_lowercase().chars().map(plain).collect();
    Path::new(&stem).with_extension("json")
}

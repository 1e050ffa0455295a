//! `sensorium embed`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use sensorium_core::feature::ImuUnits;
use sensorium_engine::embed::{EmbeddedFile, Encoders, Recorded};
use sensorium_engine::space::Space;
use sensorium_pack::npy::Array;
use sensorium_pack::{Modality, Pack, write_whole};
use serde_json::json;

use super::replay::units;
use crate::sense::{load_space, open_pack, warn_of_doubt};

/// Write embeddings of files or words as a NumPy array: one normalised row an input.
///
/// An input longer than the encoder's window is embedded window by window and averaged.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: two sounds and a word, whose rows can be compared\n  sensorium embed --modality audio \
    a.wav b.wav --text \"a dog barking\" --out rows.npy"
)]
pub struct Args {
    /// Files of the sense: see --modality.
    input: Vec<PathBuf>,
    #[command(flatten)]
    sense: SenseArgs,
    /// Words to embed; may be repeated. Their rows follow those of the inputs.
    #[arg(long = "text", value_name = "WORDS")]
    text: Vec<String>,
    /// The array to write, [inputs, dimensions].
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Folder with the text model of the pack, for words that the pack does not know.
    #[arg(long, value_name = "DIR")]
    text_model: Option<PathBuf>,
    /// Print what the rows are of, as JSON: {"out": ..., "space": ..., "shape": [rows, numbers], "rows":
    /// [{"input": ..., "row": ...}, {"text": ...}]}.
    #[arg(long)]
    json: bool,
}

/// Which encoder, and how its inputs were recorded.
#[derive(Debug, Clone, clap::Args)]
pub struct SenseArgs {
    /// The pack; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pub pack: Option<PathBuf>,
    /// The sense, for which the pack must have an encoder.
    ///
    /// imu: CSV files, or arrays [samples, 6] or [rows, samples, 6] as .npy. audio: WAV, FLAC or Ogg
    /// Vorbis. image: PNG or JPEG. thermal: PNG, PGM or .npy [t, h, w], or a folder of pictures.
    /// depth: the same of 16 bits in millimetres. text: words, as --text.
    #[arg(long, value_name = "SENSE")]
    pub modality: Modality,
    /// Inertial samples a second, as the encoder by default; or frames a second, for encoders of
    /// clips of a length in seconds. Sound files say their own.
    #[arg(long, value_name = "HZ")]
    pub rate_hz: Option<f32>,
    /// Units of inertial arrays, and of CSV columns that name none; the encoder's by default.
    #[arg(long, value_name = "ACC,GYRO", value_parser = units)]
    pub units: Option<ImuUnits>,
    /// The space, where the pack has encoders of the sense in several.
    #[arg(long, value_name = "NAME")]
    pub space: Option<String>,
}

/// One embedding and where it came from.
#[derive(Debug)]
pub struct Embedded {
    /// The file.
    pub input: PathBuf,
    /// Its place among the inputs.
    pub place: usize,
    /// The row within it.
    pub row: usize,
    /// The place of its encoder among those of the sense.
    pub encoder: usize,
    /// The embedding.
    pub embedding: Vec<f32>,
    /// Whether it is a sound in which nothing moves.
    pub is_silent: bool,
}

impl SenseArgs {
    /// The pack's encoders for the sense.
    pub fn load_encoders(&self, pack: &Pack) -> anyhow::Result<Encoders> {
        ensure!(
            self.units.is_none() || self.modality == Modality::Imu,
            "--units are those of inertial samples, not of {}",
            self.modality
        );
        Ok(Encoders::load_in(
            pack,
            self.modality,
            self.space.as_deref(),
        )?)
    }

    /// The space that words are embedded into: the one that is named, or the pack's first that has a text
    /// tower, or its first.
    pub fn words_space(&self, pack: &Pack) -> anyhow::Result<String> {
        ensure!(
            self.rate_hz.is_none() && self.units.is_none(),
            "--rate-hz and --units are those of recordings, not of words"
        );
        let spaces = &pack.manifest().spaces;
        let first = spaces.iter().find(|space| space.tower.is_some());
        let first = first.or(spaces.first());
        let first = first.map(|space| space.name.clone());
        self.space
            .clone()
            .or(first)
            .context("the pack has no space")
    }

    /// The embedding of words that were typed, of which the user is told if the tower may not know them.
    pub fn embed_words(space: &Space, words: &str) -> anyhow::Result<Vec<f32>> {
        ensure!(!words.trim().is_empty(), "--text {words:?} has no words");
        let vector = space.class_vector(&[words.to_owned()])?;
        warn_of_doubt(space, words)?;
        Ok(vector)
    }

    /// Embeds every row of the inputs, in order; a row in each space after the other.
    pub fn embed(&self, encoders: &Encoders, inputs: &[PathBuf]) -> anyhow::Result<Vec<Embedded>> {
        let recorded = Recorded {
            rate_hz: self.rate_hz,
            units: self.units,
        };
        let mut embedded = Vec::new();
        for (place, input) in inputs.iter().enumerate() {
            let mut of_file = Vec::new();
            for encoder in encoders.for_file(input)? {
                let file = encoders.all()[encoder].embed_file(input, recorded)?;
                let EmbeddedFile { rows, is_silent } = file;
                let rows = rows.into_iter().enumerate();
                of_file.extend(rows.map(|(row, embedding)| Embedded {
                    input: input.clone(),
                    place,
                    row,
                    encoder,
                    embedding,
                    is_silent,
                }));
            }
            if of_file.iter().any(|embedded| embedded.is_silent) {
                eprintln!("sensorium: warning: {input:?} is silent: nothing in it moves");
            }
            of_file.sort_by_key(|embedded| embedded.row);
            embedded.extend(of_file);
        }
        Ok(embedded)
    }
}

/// The encoders of one space: rows of several must not be compared, so the first is taken where none is
/// named, and the others are told of.
fn one_space(sense: &SenseArgs, pack: &Pack, all: Encoders) -> anyhow::Result<Encoders> {
    let [first, others @ ..] = &all.spaces()[..] else {
        return Ok(all);
    };
    if others.is_empty() {
        return Ok(all);
    }
    eprintln!("sensorium: note: rows are of space {first:?}; --space takes one of {others:?}");
    Ok(Encoders::load_in(pack, sense.modality, Some(first))?)
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    ensure!(
        !(args.input.is_empty() && args.text.is_empty()),
        "nothing to embed: give files, or --text \"words\""
    );
    let pack = open_pack(args.sense.pack.as_deref())?;
    let (mut rows, mut of_rows) = (Vec::new(), Vec::new());
    let space_name = if args.sense.modality == Modality::Text {
        ensure!(
            args.input.is_empty(),
            "words are given as --text \"words\", not as files"
        );
        args.sense.words_space(&pack)?
    } else {
        let all = args.sense.load_encoders(&pack)?;
        let encoders = one_space(&args.sense, &pack, all)?;
        let embedded = args.sense.embed(&encoders, &args.input)?;
        let mut spaces = embedded.iter().map(|e| encoders.all()[e.encoder].space());
        let space = spaces.next().unwrap_or(encoders.all()[0].space());
        ensure!(
            spaces.all(|other| other == space),
            "the inputs are embedded into more than one space, whose rows must not be compared; \
             embed stills and clips into files of their own"
        );
        let space = space.to_owned();
        for embedded in embedded {
            of_rows
                .push(json!({"input": embedded.input.display().to_string(), "row": embedded.row}));
            rows.push(embedded.embedding);
        }
        space
    };
    if !args.text.is_empty() {
        let space = load_space(&pack, &space_name, args.text_model.as_deref())?;
        for words in &args.text {
            rows.push(SenseArgs::embed_words(&space, words)?);
            of_rows.push(json!({"text": words}));
        }
    }
    let dim = rows.first().map_or(0, Vec::len);
    let array = Array {
        shape: vec![rows.len(), dim],
        values: rows.into_iter().flatten().collect(),
    };
    write_whole(&args.out, &array.to_bytes()?)
        .with_context(|| format!("writing {:?}", args.out))?;
    eprintln!("sensorium: {} rows of {dim} numbers", array.shape[0]);
    if args.json {
        let told = json!({"out": args.out.display().to_string(), "space": space_name, "shape": array.shape, "rows": of_rows});
        writeln!(out, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `sensorium classify`

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use sensorium_core::score::best;
use sensorium_engine::bank::Bank;
use sensorium_engine::event::rounded;
use sensorium_engine::labelled::LabelledFile;
use sensorium_engine::sink::bar;
use sensorium_pack::{Modality, Pack};
use serde_json::{Map, Value, json};

use super::embed::SenseArgs;
use crate::named::Named;
use crate::sense::{each_in_its_space, load_classes, load_space, open_pack};

/// What is said of scores for a sound in which nothing moves.
const SILENT: &str = "the sound is silent";

/// Classes of a line for people.
const SHOWN: usize = 3;

/// What cosines of words to words are divided by: nothing was calibrated to tell them apart, and most
/// encoders have this.
const WORDS_TEMPERATURE: f32 = 0.05;

/// Score files or words against classes: a line for each row of each input, and for each space.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sounds against the pack's own classes, then against yours, then how many of yours are \
    named right, then words\n  sensorium classify --modality audio a.wav b.flac\n  sensorium classify --modality \
    audio --classes mine.toml a.wav --json\n  sensorium classify --modality audio --classes mine.toml --labels \
    labels.csv\n  sensorium classify --modality text --text \"somebody takes a tumble\""
)]
pub struct Args {
    /// Files of the sense: see --modality.
    #[arg(required_unless_present_any = ["labels", "text"])]
    input: Vec<PathBuf>,
    #[command(flatten)]
    sense: SenseArgs,
    /// Words, instead of files, for --modality text; may be repeated. They are scored against classes of
    /// every sense; such scores are calibrated to nothing, and classes of like names share them.
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["input", "labels"])]
    text: Vec<String>,
    /// The classes, as classes.toml or compiled by `classes build`; the pack's by default.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Folder with the text model of the pack, for words that the pack does not know.
    #[arg(long, value_name = "DIR")]
    text_model: Option<PathBuf>,
    /// Files and what is in them, to say last how many were named right: CSV with the columns label, and
    /// file or the name of the sense. Paths count from its folder.
    #[arg(long, value_name = "FILE.csv", conflicts_with = "input")]
    labels: Option<PathBuf>,
    /// Print JSON lines: {"input": ..., "row": ..., "scores": {...}, "space": ..., "encoder": ...}, and
    /// "note" where the scores say little, "label" with --labels; a line for each space that the pack has
    /// an encoder of the sense in. With --labels a last one for each encoder: {"labelled": ...,
    /// "other_labels": ..., "classes": ..., "top_1": ..., "top_5": ..., "space": ..., "encoder": ...}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.sense.pack.as_deref())?;
    if args.sense.modality == Modality::Text {
        return run_words(args, &pack, out);
    }
    ensure!(
        args.text.is_empty(),
        "--text is for --modality text, not for {}",
        args.sense.modality
    );
    let encoders = args.sense.load_encoders(&pack)?;
    let bank = |name: &str| -> anyhow::Result<(String, Bank)> {
        let space = load_space(&pack, name, args.text_model.as_deref())?;
        let (sense, classes) = (args.sense.modality, args.classes.as_deref());
        let compiled = load_classes(&pack, &space, sense, classes)?;
        Ok((name.to_owned(), Bank::new(&compiled, sense)?))
    };
    let banks = each_in_its_space(encoders.spaces(), |name| (name.to_owned(), bank(name)))?;
    let several = encoders.spaces().len() > 1;
    let (inputs, labels) = match &args.labels {
        None => (args.input.clone(), Vec::new()),
        Some(path) => {
            let files = LabelledFile::table(path, args.sense.modality)?;
            let mut classes = banks.iter().flat_map(|(_, bank)| bank.classes());
            ensure!(
                classes.any(|class| files.iter().any(|file| class.is_labelled(&file.label))),
                "{path:?}: no label is the name or a label of a class; the first is {:?}",
                files.first().map_or("", |file| &file.label)
            );
            files
                .into_iter()
                .map(|file| (file.path, file.label))
                .unzip()
        }
    };
    let mut named: BTreeMap<usize, Named> = BTreeMap::new();
    // All inputs are read before the first line, so that a bad one leaves nothing half-told.
    for embedded in args.sense.embed(&encoders, &inputs)? {
        let encoder = &encoders.all()[embedded.encoder];
        let Some((_, bank)) = banks.iter().find(|(space, _)| space == encoder.space()) else {
            continue;
        };
        let scores = bank.scores(&embedded.embedding, encoder.scoring().temperature);
        let label = labels.get(embedded.place).map(String::as_str);
        if let Some(label) = label {
            let named = named.entry(embedded.encoder).or_default();
            named.compare(label, bank, &scores);
        }
        let line = Line {
            input: &embedded.input.to_string_lossy(),
            row: embedded.row,
            encoder: encoder.name(),
            space: encoder.space(),
            label,
            is_silent: embedded.is_silent,
        };
        line.write(args.json, several, bank, &scores, out)?;
    }
    for (encoder, named) in named {
        let encoder = &encoders.all()[encoder];
        if let Some((_, bank)) = banks.iter().find(|(space, _)| space == encoder.space()) {
            named.summarise(encoder, bank, args.json, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The same for words instead of files.
fn run_words(args: &Args, pack: &Pack, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    ensure!(
        !args.text.is_empty(),
        "words are given as --text \"words\", not as files"
    );
    let space = args.sense.words_space(pack)?;
    let space = load_space(pack, &space, args.text_model.as_deref())?;
    let compiled = load_classes(pack, &space, Modality::Text, args.classes.as_deref())?;
    let bank = Bank::new(&compiled, Modality::Text)?;
    let mut embeddings = Vec::new();
    for words in &args.text {
        embeddings.push(SenseArgs::embed_words(&space, words)?);
    }
    for (words, embedding) in args.text.iter().zip(&embeddings) {
        let line = Line {
            input: words,
            row: 0,
            encoder: "text",
            space: space.name(),
            label: None,
            is_silent: false,
        };
        let scores = bank.scores(embedding, WORDS_TEMPERATURE);
        line.write(args.json, false, &bank, &scores, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was scored, beside its scores.
struct Line<'a> {
    input: &'a str,
    row: usize,
    encoder: &'a str,
    space: &'a str,
    label: Option<&'a str>,
    is_silent: bool,
}

impl Line<'_> {
    /// Writes it as JSON or for people, with the encoder's name where there are several.
    fn write(
        &self,
        as_json: bool,
        several: bool,
        bank: &Bank,
        scores: &[f32],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let scores = &scores[..bank.classes().len()];
        if as_json {
            return self.write_json(bank, scores, out);
        }
        let mut left = scores.to_vec();
        write!(out, "{} {}", self.input, self.row)?;
        if several {
            write!(out, " {}", self.encoder)?;
        }
        for _ in 0..SHOWN.min(left.len()) {
            let Some(best) = best(&left) else { break };
            let score = rounded(best.score);
            let name = &bank.classes()[best.class].name;
            write!(out, "  {} {score:.2} {name}", bar(score))?;
            left[best.class] = f32::NEG_INFINITY;
        }
        if self.is_silent {
            write!(out, "  ({SILENT})")?;
        }
        writeln!(out)
    }

    fn write_json(&self, bank: &Bank, scores: &[f32], out: &mut impl Write) -> io::Result<()> {
        // Not rounded: whoever compares scores shall not find ties that we made.
        let scores: Map<String, Value> = bank
            .classes()
            .iter()
            .zip(scores)
            .map(|(class, score)| (class.name.clone(), json!(score)))
            .collect();
        let mut line = json!({
            "input": self.input,
            "row": self.row,
            "scores": scores,
            "space": self.space,
            "encoder": self.encoder,
        });
        if let Some(label) = self.label {
            line["label"] = json!(label);
        }
        if self.is_silent {
            line["note"] = json!(SILENT);
        }
        writeln!(out, "{line}")
    }
}

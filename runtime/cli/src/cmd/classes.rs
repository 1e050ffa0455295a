//! `sensorium classes`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use sensorium_engine::bank::CompiledClasses;
use sensorium_pack::write_whole;

use crate::sense::{load_space, open_pack, warn_of_doubts};

/// Work on class files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Embed the words of a class file, so that a device needs no text model.
    Build(BuildArgs),
}

/// Embed the words of a class file, so that a device needs no text model.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// The class file.
    input: PathBuf,
    /// Folder with the text model of the pack (model.onnx, tokenizer.json), for words that the
    /// pack does not know.
    #[arg(long, value_name = "DIR")]
    text_model: Option<PathBuf>,
    /// The pack whose space the words go into; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// The space, if the pack has several.
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Build(args) = command;
    let pack = open_pack(args.pack.as_deref())?;
    let first = pack.manifest().spaces.first().map(|space| &space.name);
    let name = args
        .space
        .as_ref()
        .or(first)
        .context("the pack has no space")?;
    let space = load_space(&pack, name, args.text_model.as_deref())?;
    let compiled = CompiledClasses::open(&args.input, &space)
        .with_context(|| format!("classes {:?}", args.input))?;
    warn_of_doubts(&space, &compiled)?;
    let json = compiled.to_json()?;
    write_whole(&args.out, json.as_bytes()).with_context(|| format!("writing {:?}", args.out))?;
    eprintln!(
        "sensorium: {} classes, {} background prompts, in the space {name:?}",
        compiled.classes.classes.len(),
        compiled.classes.background.prompts.len()
    );
    Ok(ExitCode::SUCCESS)
}

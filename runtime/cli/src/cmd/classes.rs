//! `sensorium classes`

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Subcommand;
use sensorium_engine::bank::{CompiledClasses, is_compiled};
use sensorium_engine::classes::Classes;
use sensorium_engine::example::{ClassFile, is_class_file};
use sensorium_engine::keys::hint;
use sensorium_pack::{Modality, Pack, write_whole};
use serde_json::json;

use crate::sense::{each_in_its_space, load_classes, load_space, open_pack, warn_of_doubts};

/// Work on class files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Embed the words of a class file, so that a device needs no text model.
    Build(BuildArgs),
    Export(ExportArgs),
    Import(ImportArgs),
}

/// Embed the words of a class file, so that a device needs no text model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sensorium classes build classes.toml --out classes.json")]
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
    /// The space, if the pack has several; all that know the words by default, the first one's first.
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print {"out": ..., "spaces": [{"space": ..., "classes": ..., "background_prompts": ...}]}.
    #[arg(long)]
    json: bool,
}

/// Write one class, of words or examples, as a small file of its own.
///
/// Any machine whose pack has the same space can import it, without the words' text model or the
/// examples' recordings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sensorium classes export \"my gate\" --classes classes.toml \
    --out gate.json"
)]
pub struct ExportArgs {
    /// The class.
    name: String,
    /// The class file that it is in; the pack's own by default.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The sense whose space it is written for; the class's one sense, or the pack's first, by
    /// default.
    #[arg(long, value_name = "SENSE")]
    modality: Option<Modality>,
    /// Folder with the text model of the pack, for words that the pack does not know.
    #[arg(long, value_name = "DIR")]
    text_model: Option<PathBuf>,
    /// The pack; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print {"class": ..., "space": ..., "out": ...}.
    #[arg(long)]
    json: bool,
}

/// Add a class that was exported or enrolled to a class file, which is made if there is none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sensorium classes import gate.json --classes classes.toml")]
pub struct ImportArgs {
    /// The class.
    input: PathBuf,
    /// The class file to add it to.
    #[arg(long, value_name = "FILE")]
    classes: PathBuf,
    /// What events shall call it; its own name by default.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The pack that must know its space; the built-in one by default.
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// Print {"class": ..., "space": ..., "classes": ...}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Command, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(args) => build(args, out),
        Command::Export(args) => export(args, out),
        Command::Import(args) => import(args, out),
    }
}

/// Whether a file to be written will be known for what it is.
pub fn ensure_class_file(out: &Path) -> anyhow::Result<()> {
    ensure!(
        is_class_file(out),
        "--out is {out:?}, expected a name that ends in .json: examples of other names are recordings"
    );
    Ok(())
}

fn export(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    ensure_class_file(&args.out)?;
    let pack = open_pack(args.pack.as_deref())?;
    let text = match &args.classes {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("classes {path:?}"))?,
        None => String::from_utf8(pack.member(&pack.manifest().classes)?.to_vec())?,
    };
    let modality = match args.modality {
        Some(modality) => modality,
        None => sense_of(&text, &args.name, &pack)?,
    };
    let encoder = pack.manifest().encoder(modality);
    let encoder = encoder.with_context(|| format!("the pack has no encoder for {modality}"))?;
    let space = load_space(&pack, &encoder.space, args.text_model.as_deref())?;
    let compiled = load_classes(&pack, &space, modality, args.classes.as_deref())?;
    let mut classes = compiled.classes.classes.iter().zip(&compiled.vectors);
    let found = classes.find(|(class, _)| class.name == args.name);
    let (class, vector) = found.with_context(|| no_class(&args.name, &compiled.classes))?;
    let mut file = ClassFile::new(
        &class.name,
        class.modalities.clone(),
        &space,
        vector.clone(),
    );
    file.examples = class.examples.len();
    write_whole(&args.out, file.to_json()?.as_bytes())
        .with_context(|| format!("writing {:?}", args.out))?;
    eprintln!(
        "sensorium: {:?}, a class of the space {:?}, is in {:?}",
        class.name,
        space.name(),
        args.out
    );
    if args.json {
        let told = json!({"class": class.name, "space": space.name(), "out": args.out.display().to_string()});
        writeln!(out, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one sense of a class, or the pack's first.
fn sense_of(text: &str, name: &str, pack: &Pack) -> anyhow::Result<Modality> {
    let first = pack.manifest().encoders.first();
    let first = first.context("the pack has no encoder")?.modality;
    if is_compiled(text) {
        return Ok(first);
    }
    let classes = Classes::parse(text)?;
    let class = classes.classes.iter().find(|class| class.name == name);
    let class = class.with_context(|| no_class(name, &classes))?;
    Ok(class.modalities.first().copied().unwrap_or(first))
}

fn no_class(name: &str, classes: &Classes) -> String {
    let names = || classes.classes.iter().map(|class| class.name.as_str());
    match hint(name, names()) {
        hint if hint.is_empty() => {
            let names: Vec<&str> = names().collect();
            format!(
                "there is no class {name:?}; there are: {}",
                names.join(", ")
            )
        }
        hint => format!("there is no class {name:?}{hint}"),
    }
}

fn import(args: &ImportArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.pack.as_deref())?;
    let spaces = pack.manifest().spaces.iter();
    let mut refused = None;
    for space in spaces {
        let space = load_space(&pack, &space.name, None)?;
        match ClassFile::open(&args.input, &space) {
            Ok(class) => {
                let name = args.name.as_ref().unwrap_or(&class.name);
                add_to_classes(&args.classes, &class, name, &args.input)?;
                if args.json {
                    let told = json!({"class": name, "space": space.name(), "classes": args.classes.display().to_string()});
                    writeln!(out, "{told}")?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| anyhow!("the pack has no space"), anyhow::Error::from))
}

/// Adds a class to a class file by hand: as lines at its end, so that comments stay. What was there
/// must be, and the whole must stay, a class file.
pub fn add_to_classes(
    path: &Path,
    class: &ClassFile,
    name: &str,
    example: &Path,
) -> anyhow::Result<()> {
    let [modality, ..] = class.modalities[..] else {
        bail!(
            "{example:?} is of no one sense; write modalities and examples into {path:?} by hand"
        );
    };
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("classes {path:?}")),
    };
    ensure!(
        !is_compiled(&text),
        "classes {path:?}: it is compiled; add the class to its source and build that again"
    );
    if !text.is_empty() {
        Classes::parse(&text).with_context(|| format!("classes {path:?}"))?;
        text += if text.ends_with('\n') { "\n" } else { "\n\n" };
    }
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        std::path::absolute(folder.unwrap_or(Path::new(".")))
    };
    // Named by itself where both lie together, so that they can be moved together.
    let file = match (folder(path)? == folder(example)?, example.file_name()) {
        (true, Some(name)) => PathBuf::from(name),
        _ => std::path::absolute(example)?,
    };
    let quoted = |text: &str| toml_string(text);
    text += &format!(
        "[[class]]\nname = {}\nmodalities = [\"{modality}\"]\nexamples = [{}]\n",
        quoted(name),
        quoted(&file.to_string_lossy())
    );
    Classes::parse(&text).with_context(|| format!("adding {name:?} to {path:?}"))?;
    write_whole(path, text.as_bytes()).with_context(|| format!("writing {path:?}"))?;
    eprintln!("sensorium: {name:?} was added to {path:?}");
    Ok(())
}

/// A basic string of TOML, whose escapes are those of JSON.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn build(args: &BuildArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.pack.as_deref())?;
    let all = pack
        .manifest()
        .spaces
        .iter()
        .map(|space| space.name.clone());
    let names = match &args.space {
        Some(name) => vec![name.clone()],
        None => all.collect(),
    };
    let build = |name: &str| -> anyhow::Result<CompiledClasses> {
        let space = load_space(&pack, name, args.text_model.as_deref())?;
        let compiled = CompiledClasses::open(&args.input, &space, &pack, None)
            .with_context(|| format!("classes {:?}", args.input))?;
        warn_of_doubts(&space, &compiled)?;
        Ok(compiled)
    };
    let mut built = each_in_its_space(names, |name| {
        let built = build(&name);
        (name, built)
    })?;
    ensure!(!built.is_empty(), "the pack has no space");
    let others = built.split_off(1);
    let mut compiled = built.swap_remove(0);
    compiled.others = others;
    let json = compiled.to_json()?;
    write_whole(&args.out, json.as_bytes()).with_context(|| format!("writing {:?}", args.out))?;
    for compiled in [&compiled].into_iter().chain(&compiled.others) {
        eprintln!(
            "sensorium: {} classes, {} background prompts, in the space {:?}",
            compiled.classes.classes.len(),
            compiled.classes.background.prompts.len(),
            compiled.space
        );
    }
    if args.json {
        let spaces = [&compiled].into_iter().chain(&compiled.others);
        let spaces = spaces.map(|compiled| {
            json!({
                "space": compiled.space,
                "classes": compiled.classes.classes.len(),
                "background_prompts": compiled.classes.background.prompts.len(),
            })
        });
        let told =
            json!({"out": args.out.display().to_string(), "spaces": spaces.collect::<Vec<_>>()});
        writeln!(out, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

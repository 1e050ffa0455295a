//! `sensorium pack`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use sensorium_engine::join::{Strip, join, strip};
use sensorium_engine::space::Space;
use sensorium_pack::{Pack, write_whole};
use serde_json::json;

use crate::sense::{Tested, open_pack, test_all};

/// Look into packs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what a pack holds and where it comes from.
    Inspect(Args),
    /// Check every hash, run each encoder on its golden input, each imported text tower on its phrases,
    /// and read the classes.
    Verify(Args),
    /// Make one pack of several; their spaces stay apart.
    Join(JoinArgs),
    /// Make a smaller pack: without some encoders, or without text towers.
    Strip(StripArgs),
}

/// Which packs become one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sensorium pack join sense-1.pack clap.pack --name both --out both.pack"
)]
pub struct JoinArgs {
    /// The packs, at least two.
    #[arg(required = true, num_args = 2.., value_name = "PACK")]
    packs: Vec<PathBuf>,
    /// The new pack's name [default: the first one's].
    #[arg(long)]
    name: Option<String>,
    /// The pack to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print {"out": ..., "bytes": ..., "pack": ..., "encoders": [...]}.
    #[arg(long)]
    json: bool,
}

/// What goes out of a pack.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: for a device whose words are fixed, and which has no camera\n  sensorium pack strip \
    sense-1.pack --encoder thermal --encoder depth --towers --out small.pack"
)]
pub struct StripArgs {
    /// The pack; the built-in one by default.
    pack: Option<PathBuf>,
    /// An encoder to leave out, by its name; may be repeated.
    #[arg(long, value_name = "NAME")]
    encoder: Vec<String>,
    /// Leave out text towers: only the phrases that the pack holds have a place then.
    #[arg(long)]
    towers: bool,
    /// The pack to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print {"out": ..., "bytes": ..., "pack": ..., "encoders": [...]}.
    #[arg(long)]
    json: bool,
}

/// Which pack.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sensorium pack inspect sense-1.pack\n  sensorium pack verify sense-1.pack"
)]
pub struct Args {
    /// The pack; the built-in one by default.
    pack: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Command, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match command {
        Command::Inspect(args) => inspect(args, out),
        Command::Verify(args) => verify(args, out),
        Command::Join(args) => join_packs(args, out),
        Command::Strip(args) => strip_pack(args, out),
    }
}

fn join_packs(args: &JoinArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let packs = args.packs.iter().map(|path| open_pack(Some(path)));
    let packs = packs.collect::<anyhow::Result<Vec<_>>>()?;
    let first = packs.first().map(|pack| pack.manifest().name.clone());
    let name = args.name.clone().or(first).unwrap_or_default();
    write_pack(&join(&packs, &name)?, &args.out, args.json, out)
}

fn strip_pack(args: &StripArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.pack.as_deref())?;
    let out_of_it = Strip {
        encoders: args.encoder.clone(),
        towers: args.towers,
    };
    write_pack(&strip(&pack, &out_of_it)?, &args.out, args.json, out)
}

fn write_pack(
    bytes: &[u8],
    path: &Path,
    as_json: bool,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    write_whole(path, bytes).with_context(|| format!("writing {path:?}"))?;
    eprintln!("sensorium: {} bytes in {path:?}", bytes.len());
    if as_json {
        let pack = open_pack(Some(path))?;
        let encoders = pack.manifest().encoders.iter();
        let encoders: Vec<&str> = encoders.map(|encoder| encoder.name.as_str()).collect();
        let told = json!({"out": path.display().to_string(), "bytes": bytes.len(), "pack": pack.id(), "encoders": encoders});
        writeln!(out, "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.pack.as_deref())?;
    let manifest = pack.manifest();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, manifest)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let bytes: u64 = manifest.members.iter().map(|member| member.bytes).sum();
    writeln!(out, "pack {} ({} kB)", pack.id(), bytes / 1000)?;
    for space in &manifest.spaces {
        writeln!(
            out,
            "space {}: {} dimensions, words by {}",
            space.name, space.dim, space.text_model
        )?;
        if space.resemblance.is_some() {
            let names = space.dim.saturating_sub(1);
            writeln!(out, "  an axis each of {names} names, which words resemble")?;
        }
        if let Some(tower) = &space.tower {
            let words = tower.words.clone().unwrap_or_default();
            let (what, filled) = match (&tower.report, words.pad) {
                (Some(_), _) => ("a stand-in for it", ""),
                (None, None) => ("the model itself", ""),
                (None, Some(_)) => ("the model itself", ", all filled up to that"),
            };
            writeln!(
                out,
                "  text tower: {what}, texts of at most {} tokens{filled}",
                words.tokens
            )?;
        }
    }
    for encoder in &manifest.encoders {
        writeln!(
            out,
            "encoder {}: {} into {}; {}",
            encoder.name, encoder.modality, encoder.space, encoder.front_end
        )?;
        writeln!(
            out,
            "  scores: temperature {}, enter {}, exit {}",
            encoder.scoring.temperature, encoder.scoring.enter, encoder.scoring.exit
        )?;
    }
    write_provenance(&pack, out)?;
    for member in &manifest.members {
        writeln!(
            out,
            "{:>10}  {}  {}",
            member.bytes,
            &member.sha256[..12],
            member.path
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_provenance(pack: &Pack, out: &mut impl Write) -> anyhow::Result<()> {
    for provenance in &pack.manifest().provenance {
        writeln!(out, "where {} comes from", provenance.encoder)?;
        writeln!(out, "  bound to: {}", provenance.binding)?;
        for data in &provenance.data {
            writeln!(out, "  trained on: {} ({})", data.name, data.licence)?;
        }
        writeln!(out, "  split: {}", provenance.split)?;
        writeln!(
            out,
            "  command: {} (seed {})",
            provenance.command, provenance.seed
        )?;
        if let Some(commit) = &provenance.commit {
            writeln!(out, "  begun at commit: {commit}")?;
        }
        for (name, value) in &provenance.metrics {
            writeln!(out, "  {name}: {value}")?;
        }
    }
    Ok(())
}

fn verify(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let pack = open_pack(args.pack.as_deref())?;
    // Loading runs the golden input through each encoder.
    let tested = test_all(&pack, None, None)?;
    let mut towers = Vec::new();
    for space in &pack.manifest().spaces {
        let phrases = Space::load(&pack, &space.name)?.test_tower()?;
        if phrases > 0 {
            towers.push((space.name.as_str(), phrases));
        }
    }
    let members = pack.manifest().members.len();
    if args.json {
        let encoders: Vec<&str> = tested.iter().map(|t| t.encoder.as_str()).collect();
        let classes: usize = tested.iter().map(|t| t.classes).sum();
        let report = json!({
            "pack": pack.id(),
            "members": members,
            "encoders": encoders,
            "text_towers": towers.iter().map(|(space, _)| *space).collect::<Vec<_>>(),
            "classes": classes,
            "ok": true,
        });
        writeln!(out, "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    write!(out, "{}: {members} members as they were packed", pack.id())?;
    for Tested { encoder, classes } in &tested {
        write!(
            out,
            "; encoder {encoder} passes its self-test; {classes} classes"
        )?;
    }
    for (space, phrases) in towers {
        write!(
            out,
            "; the text tower of space {space} passes its self-test of {phrases} phrases"
        )?;
    }
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}

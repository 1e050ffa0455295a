//! `sensorium pack`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use sensorium_pack::Pack;
use serde_json::json;

use crate::sense::{Tested, open_pack, test_all};

/// Look into packs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what a pack holds and where it comes from.
    Inspect(Args),
    /// Check every hash, run each encoder on its golden input, and read the classes.
    Verify(Args),
}

/// Which pack.
#[derive(Debug, clap::Args)]
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
    }
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
    let members = pack.manifest().members.len();
    if args.json {
        let encoders: Vec<&str> = tested.iter().map(|t| t.encoder.as_str()).collect();
        let classes: usize = tested.iter().map(|t| t.classes).sum();
        let report = json!({
            "pack": pack.id(),
            "members": members,
            "encoders": encoders,
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
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}

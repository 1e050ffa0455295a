//! The `sensorium` program: names events in sensor streams with classes typed as text.

#[macro_use]
mod say;

mod address;
mod board;
mod cmd;
mod http;
mod inputs;
mod lasting;
mod listen;
mod named;
mod notify;
mod open;
mod reload;
mod roster;
mod sense;
mod service;
mod truth;
mod watch;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sensorium_engine::pipeline::PipelineError;

/// Names events in live sensor streams with classes typed as text, on the device, offline.
///
/// Results go to stdout, all else to stderr. Exit status: 0 done, 1 nothing found or a check
/// failed, 2 an error.
#[derive(Debug, Parser)]
#[command(name = "sensorium", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play recordings of four senses and name what happens in them.
    Demo(cmd::demo::Args),
    /// Listen to sensors and name what happens.
    Run(cmd::run::Args),
    Record(cmd::record::Args),
    /// Name what happens in recordings: the same events each time.
    Replay(cmd::replay::Args),
    /// Write embeddings of files or words as a NumPy array.
    Embed(cmd::embed::Args),
    /// Score files against classes.
    Classify(cmd::classify::Args),
    Calibrate(cmd::calibrate::Args),
    Enroll(cmd::enroll::Args),
    /// Work on class files.
    #[command(subcommand)]
    Classes(cmd::classes::Command),
    /// Look into packs.
    #[command(subcommand)]
    Pack(cmd::pack::Command),
    /// Check what this machine needs for sensing, and say how to mend it.
    Doctor(cmd::doctor::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    let result = match cli.command {
        Command::Demo(args) => cmd::demo::run(&args, &mut out),
        Command::Run(args) => cmd::run::run(&args, &mut out),
        Command::Record(args) => cmd::record::run(&args, &mut out),
        Command::Replay(args) => cmd::replay::run(&args, &mut out),
        Command::Embed(args) => cmd::embed::run(&args, &mut out),
        Command::Classify(args) => cmd::classify::run(&args, &mut out),
        Command::Calibrate(args) => cmd::calibrate::run(&args, &mut out),
        Command::Enroll(args) => cmd::enroll::run(&args, &mut out),
        Command::Classes(command) => cmd::classes::run(&command, &mut out),
        Command::Pack(command) => cmd::pack::run(&command, &mut out),
        Command::Doctor(args) => cmd::doctor::run(&args, &mut out),
    };
    match result.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensorium: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether the reader of our results has had enough. A port that is gone can say the same of its
/// own pipe, and is no success.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    if error.chain().any(|cause| cause.is::<PipelineError>()) {
        return false;
    }
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(ErrorKind::BrokenPipe)
    })
}

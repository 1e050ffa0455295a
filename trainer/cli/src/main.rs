//! Trains encoders and makes packs.
//!
//! ```text
//! words, pictures + frozen model ─anchor─▶ anchor ─┐
//! recipe + data ───────────────────────────────────┴─fit─▶ run folder ─eval, export─▶ ─pack─▶ one file
//!                                                                       └─report─▶ one page
//! ```
//!
//! Results go to stdout, everything else to stderr. The exit status is 0 if all went well, 1 if a
//! check failed, 2 on an error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod anchor;
mod commit;
mod contained;
mod distil;
mod eval;
mod export;
mod fit;
mod graft;
mod import;
mod mean;
mod metrics;
mod onnx;
mod pack;
mod parity;
mod progress;
mod quantize;
mod recipe;
mod report;
mod run;
mod samples;
mod table;
mod trunk;

/// Trains encoders and makes packs.
#[derive(Debug, Parser)]
#[command(name = "sensorium-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Anchor(anchor::Args),
    Distil(distil::Args),
    Fit(fit::Args),
    Eval(eval::Args),
    Export(export::Args),
    Import(import::Args),
    Mean(mean::Args),
    Pack(pack::Args),
    Parity(parity::Args),
    Quantize(quantize::Args),
    Report(report::Args),
}

fn main() -> ExitCode {
    let result = match &Cli::parse().command {
        Command::Anchor(args) => anchor::run(args).map(|()| ExitCode::SUCCESS),
        Command::Distil(args) => distil::run(args),
        Command::Fit(args) => fit::run(args),
        Command::Eval(args) => eval::run(args).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args).map(|()| ExitCode::SUCCESS),
        Command::Mean(args) => mean::run(args).map(|()| ExitCode::SUCCESS),
        Command::Pack(args) => pack::run(args).map(|()| ExitCode::SUCCESS),
        Command::Parity(args) => parity::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Report(args) => report::run(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sensorium-train: {error:#}");
        ExitCode::from(2)
    })
}

//! `sensorium record`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use sensorium_engine::recording::{Recorder, StreamInfo, WriteError, record};
use sensorium_engine::source::unit;
use serde_json::json;

use crate::inputs::Listen;
use crate::listen::Control;
use crate::open::{check_stdin, open_source};

/// Record what sensors say as an MCAP file, which `replay` plays and Foxglove shows.
///
/// Ends with its streams, or by SIGINT or SIGTERM, with the file's index. A process that is killed
/// leaves a file that lacks the last second at most: `replay` says so and plays the rest.
///
/// Exit status: 0 something was recorded, 1 nothing, 2 an error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    listen: Listen,
    /// Samples a second of raw sound.
    #[arg(long, value_name = "HZ", conflicts_with = "config")]
    rate_hz: Option<u32>,
    /// The stream's name, where it is the only one; its sense by default.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    stream: Option<String>,
    /// The file to write; it is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print a JSON line for each stream, with the samples that were recorded and dropped.
    #[arg(long)]
    json: bool,
}

/// Ends the help.
const EXAMPLES: &str = "\
Examples:
  sensorium record --serial /dev/ttyACM0 --stream wrist --out walk.mcap
  sensorium record --config robot.toml --out day.mcap
  sensorium replay day.mcap --json";

/// Runs the command.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = (args.listen).config(args.rate_hz, args.stream.as_deref())?;
    check_stdin(&config.streams)?;
    let (mut sources, mut infos) = (Vec::new(), Vec::new());
    for stream in &config.streams {
        let name = stream.name.clone();
        let in_stream = || format!("stream {name:?}");
        let modality = stream.modality()?;
        let (source, _, frame_id) = open_source(stream, None).with_context(in_stream)?;
        infos.push(StreamInfo {
            name,
            modality,
            frame_id,
            unit: { source.unit() }.unwrap_or_else(|| unit(modality).to_owned()),
            has_arrivals: !source.is_recording() || source.tells_arrivals(),
        });
        sources.push(source);
    }
    let writing = || format!("writing {:?}", args.out);
    let file = File::create(&args.out).with_context(writing)?;
    let mut recorder = Recorder::new(BufWriter::new(file), &infos).with_context(writing)?;
    let stop = Control::of_signals()?.stop;
    let result = record(sources, &mut recorder, &stop);
    let mut all = 0;
    for (name, recorded, dropped) in recorder.counts() {
        all += recorded;
        if args.json {
            let line = json!({"stream": name, "recorded": recorded, "dropped": dropped});
            writeln!(out, "{line}")?;
        }
        eprintln!("sensorium: {name}: {recorded} samples recorded, {dropped} dropped");
    }
    match result {
        // Not the file's fault.
        Err(error @ WriteError::Source { .. }) => return Err(error.into()),
        result => result.with_context(writing)?,
    }
    Ok(if all > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

//! `parity`: whether encoders, pre-processing and training compute what the reference does.
//!
//! A folder of vectors is compared file by file. What the folder holds is announced first, item by
//! item, and crossed off when it is compared, so nothing can pass by being left out.
//!
//! | file | what it holds | module |
//! |---|---|---|
//! | `config.json`, `model.safetensors`, `*.pth`, `keys_huge.tsv` | weights and dimensions | [`weights`] |
//! | `inputs.safetensors`, `expected.safetensors` | what the encoders compute | [`encoders`] |
//! | `postprocessor.safetensors` | normalisation and scale | [`output`] |
//! | `audio.safetensors`, `clip_timepoints.json` | spectrograms of clips | [`sound`] |
//! | `text.json` | numbers of byte pairs | [`text`] |
//! | `images`, `images_expected.safetensors`, `image_resize_geometry.json` | pictures | [`picture`] |
//! | `video.safetensors`, `video.json` | clips and crops | [`video`] |
//! | `train.safetensors`, `train.json` | loss, gradients, eight steps of AdamW | [`training`] |
//! | `realdims.json`, `realdims_expected.safetensors` | the reference's dimensions | [`mod@reference`] |

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};

mod dims;
mod encoders;
mod folder;
mod output;
mod picture;
mod reference;
mod report;
mod sound;
mod text;
mod training;
mod video;
mod weights;

use folder::Folder;
use report::Report;

/// Compares encoders, pre-processing and training with a folder of reference vectors.
///
/// Prints a line an item: what is compared, its worst error (relative to the largest number, or the
/// count of differences where it has to be exact), the tolerance, the verdict. The last line says
/// how many of the folder's items were compared. The exit status is 1 if an item is over its
/// tolerance or was left out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder laid out like the published vectors.
    dir: PathBuf,
}

/// A part of the comparison.
type Part = fn(&Folder, &mut Report) -> anyhow::Result<()>;

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    ensure!(args.dir.is_dir(), "{:?} is not a folder", args.dir);
    let folder = Folder::new(&args.dir);
    let mut report = Report::new();
    folder.announce(&mut report)?;
    let parts: [(&str, Part); 9] = [
        ("weights", weights::compare),
        ("encoders", encoders::compare),
        ("post-processing", output::compare),
        ("sound", sound::compare),
        ("text", text::compare),
        ("pictures", picture::compare),
        ("video", video::compare),
        ("training", training::compare),
        ("reference dimensions", reference::compare),
    ];
    for (name, compare) in parts {
        // A part that cannot go on leaves its items open, which is a failure; the others go on.
        if let Err(error) = compare(&folder, &mut report) {
            eprintln!("sensorium-train: {name}: {error:#}");
        }
    }
    let passed = report.passed();
    match std::io::stdout().write_all(report.to_string().as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(error).context("writing the report");
        }
        _ => {}
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

//! `import`: what others trained, as encoders in a space of words.

use clap::Subcommand;

mod contents;
mod graft;
mod head;
mod hub;
mod imagebind;
mod large;
mod names;
mod onnx;
mod options;
mod sounds;
mod tagger;
#[cfg(test)]
mod tests;

/// Makes packs of what others trained.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Hub(hub::Args),
    Imagebind(imagebind::Args),
    Onnx(onnx::Args),
    Tagger(tagger::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.what {
        What::Hub(args) => hub::run(args),
        What::Imagebind(args) => imagebind::run(args),
        What::Onnx(args) => onnx::run(args),
        What::Tagger(args) => tagger::run(args),
    }
}

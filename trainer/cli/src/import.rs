//! `import`: what others trained, as encoders in a space of words.

use clap::Subcommand;

mod graft;
mod head;
mod names;
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
    Tagger(tagger::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.what {
        What::Tagger(args) => tagger::run(args),
    }
}

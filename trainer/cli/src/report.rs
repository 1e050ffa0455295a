//! `report`: what encoders get right on held-out samples, as one page to read and as JSON.
//!
//! ```text
//! table of held-out samples ─measure─▶ numbers ─┬─▶ page (HTML, all in one file)
//! (one an encoder or fold)              │       ├─▶ JSON: every number of the page
//!                    means over folds, targets └─▶ Markdown: the main ones
//! ```

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::table::{self, Table};

mod aims;
mod chart;
mod class_group;
mod figure;
mod gain;
mod markdown;
mod measure;
mod page;
mod prepared;
mod section;
mod sum;
mod summary;
mod target;

#[cfg(test)]
mod tests;

use measure::{AtDepth, Options, Retrieval};
use prepared::Prepared;
use summary::Report;

/// Measures embeddings of held-out samples and makes one page of them.
///
/// The page is one file that needs no network: zero-shot numbers with intervals beside chance,
/// person by person and class by class, confusion, retrieval both ways, a linear probe with a few
/// examples, training curves, sums of two senses, and a map of the space. Tables of one name, such
/// as folds, are summed up as mean and spread.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: two folds of one encoder and another encoder, on one page\n  \
    sensorium-train report runs/imu-a runs/imu-b runs/depth --out report.html --json report.json"
)]
pub struct Args {
    /// Tables of held-out samples that `eval` wrote, or the trainings' folders that have one.
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<PathBuf>,
    /// Where the page goes.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
    /// Where every number of the page goes.
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
    /// Where a table of the main numbers goes.
    #[arg(long, value_name = "FILE.md")]
    markdown: Option<PathBuf>,
    /// What was aimed at: the page begins with these targets beside what was measured. Each has `what`, `must`
    /// or `goal`, and where its number is.
    #[arg(long, value_name = "FILE.toml")]
    targets: Option<PathBuf>,
    /// The page's heading.
    #[arg(long, default_value = "What the encoders recognise")]
    title: String,
    /// Seed of the draws; equal seeds give equal pages.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draws of examples for the linear probe.
    #[arg(long, default_value_t = DRAWS, value_parser = clap::value_parser!(u16).range(1..))]
    draws: u16,
}

/// Draws of examples for the linear probe.
const DRAWS: u16 = 10;

/// Resamples of the groups for an interval.
const RESAMPLES: usize = 1000;

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let tables = args.tables.iter().map(|path| read(path));
    let tables = tables.collect::<anyhow::Result<Vec<_>>>()?;
    let options = Options {
        seed: args.seed,
        draws: usize::from(args.draws),
        resamples: RESAMPLES,
    };
    let targets = args.targets.as_deref().map(target::read).transpose()?;
    let mut report = Report::new(&tables, options)?;
    let beside = args.out.parent().unwrap_or(Path::new(""));
    let targets = targets.unwrap_or_default();
    report.targets = target::compare(targets, &report.experiments, beside)?;
    let write = |path: &Path, text: String| {
        sensorium_pack::write_whole(path, text.as_bytes())
            .with_context(|| format!("writing {path:?}"))
    };
    write(&args.out, page::render(&args.title, &report).into_string())?;
    if let Some(path) = &args.json {
        write(path, serde_json::to_string(&report)? + "\n")?;
    }
    if let Some(path) = &args.markdown {
        write(path, markdown::render(&report))?;
    }
    for experiment in &report.experiments {
        println!("{experiment}");
    }
    for target in &report.targets {
        println!("{}: {}", target.what, target.verdict_in_words());
    }
    Ok(())
}

/// The main numbers of a table by name: naming by words, group by group, retrieval and few-shot.
pub fn numbers(table: &Table) -> Vec<(String, f64)> {
    let options = Options {
        seed: 0,
        draws: DRAWS.into(),
        resamples: 0,
    };
    let measures = Prepared::new(table).measure(&options);
    let mut numbers = Vec::new();
    for number in measures.zero_shot.iter().flat_map(|naming| &naming.numbers) {
        numbers.push((number.name.to_owned(), number.value));
    }
    for retrieval in &measures.retrieval {
        let Retrieval { query, item, .. } = retrieval;
        let recall = |at: &AtDepth| (format!("{query} to {item}, recall@{}", at.k), at.recall);
        numbers.extend(retrieval.at.iter().map(recall));
    }
    for few in &measures.few_shot {
        let name = format!("linear probe, {} a class", few.shots);
        numbers.push((name, few.accuracy.mean));
    }
    numbers
}

/// Reads a table, or the one of a training's folder.
fn read(path: &Path) -> anyhow::Result<Table> {
    let file = match path.is_dir() {
        true => path.join(table::FILE),
        false => path.to_owned(),
    };
    Table::read(&file).with_context(|| format!("reading the table {file:?}"))
}

//! `mean`: several trainings by one recipe as one encoder.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use sensorium_model::backend::Inference;
use sensorium_model::conv::mean::mean;
use sensorium_model::{Tower, TowerConfig};

use crate::run::{Facts, RunDir, TRUNK};

/// Makes one encoder of several trainings that differ in their seeds: its embedding has the direction of the mean
/// of theirs, before they are brought to length 1.
///
/// It is as many times as large, and takes as many times as long. What it is worth `eval` measures, as of any
/// training. Its curve is that of the first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    for seed in 0 1 2; do\n    \
    sensorium-train fit recipe.toml --data DIR --anchor words.safetensors --seed $seed --out run-$seed\n  \
    done\n  \
    sensorium-train mean run-0 run-1 run-2 --out run")]
pub struct Args {
    /// The trainings' folders, of convolutional encoders.
    #[arg(required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// The folder of what they become, which is that of a training.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let runs = args.runs.iter().map(|path| RunDir::open(path));
    let runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
    // However it is spelt; a folder that is not there yet is none of them.
    let out = args.out.canonicalize().ok();
    let mut nets = Vec::new();
    for (run, path) in runs.iter().zip(&args.runs) {
        ensure!(
            out.is_none() || path.canonicalize().ok() != out,
            "{path:?} would be written over"
        );
        run.ended().with_context(|| format!("{path:?}"))?;
        nets.push(match run.checkpoint()? {
            (weights, TowerConfig::Conv(config)) => (weights, config),
            (_, TowerConfig::Transformer(_)) => {
                anyhow::bail!("{path:?} is a transformer, expected a convolutional net")
            }
        });
    }
    let facts = runs.iter().map(RunDir::facts);
    let facts = facts.collect::<anyhow::Result<Vec<_>>>()?;
    let [first, others @ ..] = &facts[..] else {
        anyhow::bail!("there is no training");
    };
    let names = ["recipe.toml", "anchor.safetensors", TRUNK];
    let mut files = Vec::new();
    for name in names.into_iter().filter(|name| runs[0].path(name).exists()) {
        let read = |run: &RunDir| {
            let path = run.path(name);
            std::fs::read(&path).with_context(|| format!("reading {path:?}"))
        };
        let content = read(&runs[0])?;
        for (run, path) in runs.iter().zip(&args.runs).skip(1) {
            let same = read(run)? == content;
            ensure!(same, "{path:?} has another {name} than {:?}", args.runs[0]);
        }
        files.push((name, content));
    }
    for (other, path) in others.iter().zip(&args.runs[1..]) {
        ensure!(
            but_for_the_seed(other) == but_for_the_seed(first),
            "{path:?} differs from {:?} in more than its seed",
            args.runs[0]
        );
    }
    let mut seeds: Vec<u64> = facts.iter().map(|facts| facts.seed).collect();
    seeds.sort_unstable();
    if let Some(twice) = seeds.windows(2).find(|pair| pair[0] == pair[1]) {
        anyhow::bail!("seed {} is there twice, expected others", twice[0]);
    }
    let (weights, config) = mean(&nets).context("the mean of the trainings")?;

    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (*name, &content[..]))
        .collect();
    let mut commands: Vec<&str> = facts.iter().map(|facts| &*facts.command).collect();
    commands.push("sensorium-train mean");
    let facts = Facts {
        command: commands.join("; "),
        ..first.clone()
    };
    let run = RunDir::begin(
        &args.out,
        &runs[0].path("recipe.toml"),
        &files,
        &facts,
        true,
    )?;
    let commits = runs.iter().map(RunDir::commit);
    let commits = commits.collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(commit) = &commits[0]
        && commits.iter().all(|other| other.as_ref() == Some(commit))
    {
        run.set_commit(commit)?;
    }
    let curve = runs[0].path("metrics.jsonl");
    let curve = std::fs::read(&curve).with_context(|| format!("reading {curve:?}"))?;
    run.write("metrics.jsonl", &curve)?;
    let encoder: Tower<Inference> = TowerConfig::Conv(config).init(&Default::default())?;
    run.save_checkpoint(&encoder.with_weights(&weights)?)?;
    println!(
        "{} trainings, seeds {seeds:?}, in {:?}",
        nets.len(),
        args.out
    );
    Ok(())
}

/// What has to be the same.
fn but_for_the_seed(facts: &Facts) -> Facts {
    Facts {
        command: String::new(),
        seed: 0,
        ..facts.clone()
    }
}

//! `distil`: a small text tower of one's own, taught by a large one.
//!
//! ```text
//! word lists, WordNet ─templates─▶ texts ─teacher, past a cache─▶ embeddings
//! texts, embeddings ─least squares─▶ table ─training─▶ tower ─int8─▶ model.onnx, tokenizer.json
//! texts ─words, eight bits each─▶ taught.bloom
//! ```
//!
//! What comes out is a folder that stands wherever a text model does, and `tower.json`, which says
//! what it was made of and how near it is to its teacher on texts whose words it never saw.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use sensorium_data::batch::random_of;
use sensorium_engine::text::{Taught, TextTower};
use sensorium_model::word::WordConfig;
use serde::{Deserialize, Serialize};

use crate::anchor::cache::AnchorCache;
use crate::export::word::to_onnx;
use crate::run::RunDir;

mod corpus;
mod measure;
mod recipe;
mod start;
mod teacher;
mod template;
mod train;
mod vocabulary;
mod wordnet;

use corpus::Phrases;
use measure::{Both, Nearness, nearness};
use recipe::Recipe;
use start::Lessons;
use teacher::Teacher;
use train::{Pairs, Training};
use vocabulary::Vocabulary;

/// Of all random numbers, these draw the first directions of a table.
const DIRECTIONS: u64 = u64::MAX - 1;

/// File with the words of the texts that a tower learned from, as a [`Taught`].
pub const TAUGHT: &str = "taught.bloom";

/// Held-out texts that are measured.
const MEASURED: usize = 3000;

/// Teaches a small text tower what a large one says of words.
///
/// Ctrl-C saves and stops; the same command goes on from there. What the teacher said is kept, so a
/// second training of the same texts does not ask it again.
///
/// Example: sensorium-train distil trainer/recipes/words/words.toml --data DIR
///   --text-model minilm --cache anchors --out words
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe.
    recipe: PathBuf,
    /// Folder with the teacher: model.onnx, tokenizer.json.
    #[arg(long, value_name = "DIR")]
    text_model: PathBuf,
    /// Folder of all data, for corpora that are not beside the recipe.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the teacher's embeddings are kept [default: in the training's folder].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The training's folder.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
    /// Seed of texts, weights and batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads to compute with [default: one a core].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Train anew even if the folder holds a part of the same training.
    #[arg(long)]
    restart: bool,
}

/// What the command line and the texts add to the recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    command: String,
    seed: u64,
    training_texts: usize,
    held_out_texts: usize,
    config: WordConfig,
}

/// `tower.json`: what a pack says of its text tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Name of the tower.
    pub name: String,
    /// Name of its teacher.
    pub teacher: String,
    /// The teacher's terms.
    pub teacher_licence: String,
    /// What the texts were made of.
    pub corpora: Vec<Source>,
    /// Texts that it learned from.
    pub training_texts: usize,
    /// Words that these have; 0 of a tower of before they were counted.
    #[serde(default)]
    pub taught_words: usize,
    /// One of so many texts was held out.
    pub hold_out_one_in: u64,
    /// One of so many head words was held out.
    pub hold_out_words_one_in: u64,
    /// The command, without the machine's paths.
    pub command: String,
    /// Its seed.
    pub seed: u64,
    /// The commit that it was begun at, if its recipe is in a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its dimensions.
    pub tower: WordConfig,
    /// Bytes of `model.onnx`.
    pub model_bytes: usize,
    /// Bytes of `tokenizer.json`.
    pub tokenizer_bytes: usize,
    /// What was measured with both files, in bytes as they are shipped, on texts held out.
    pub held_out: Nearness,
    /// The same on texts of words held out.
    pub unseen_words: Nearness,
}

/// One source of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its terms.
    pub licence: String,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let recipe = Recipe::open(&args.recipe)?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global()
            .context("starting the threads")?;
    }
    let phrases = Phrases::make(&recipe, &args.recipe, args.data.as_deref(), args.seed)?;
    let Phrases {
        training,
        mut held_out,
        mut unseen_words,
        mut names,
    } = phrases;
    held_out.truncate(MEASURED);
    unseen_words.truncate(MEASURED);
    names.truncate(measure::CHOICES);
    let dimensions = recipe.tower;
    let path = args.text_model.join("tokenizer.json");
    let vocabulary =
        Vocabulary::reduced(&path, &training, dimensions.vocabulary, dimensions.tokens)?;
    eprintln!(
        "{} texts to learn from, {} held out; {} tokens",
        training.len(),
        held_out.len(),
        vocabulary.len()
    );
    let teacher = Teacher::open(&recipe.teacher.model, &args.text_model)?;
    let cache = args
        .cache
        .clone()
        .unwrap_or_else(|| args.out.join("anchors"));
    let cache = AnchorCache::open(&cache)?;
    let ask = |texts: &[String]| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        teacher.rows(&texts, &cache)
    };
    let pairs = |texts: &[String]| -> anyhow::Result<Pairs> {
        Ok(Pairs {
            ids: vocabulary.encode(texts)?,
            rows: ask(texts)?.concat(),
        })
    };
    let learned = pairs(&training)?;
    let watched = pairs(&held_out)?;
    let dim = learned.rows.len() / training.len();
    let config = dimensions.config(vocabulary.len(), dim);
    let alone = alone(&vocabulary, &learned, dim, ask)?;

    let facts = Facts {
        command: command(args),
        seed: args.seed,
        training_texts: training.len(),
        held_out_texts: held_out.len(),
        config,
    };
    let copy = std::fs::read(&args.recipe).with_context(|| format!("reading {:?}", args.recipe))?;
    let list = held_out.join("\n") + "\n";
    let files: [(&str, &[u8]); 3] = [
        ("recipe.toml", &copy),
        ("tokenizer.json", vocabulary.json().as_bytes()),
        ("held_out.txt", list.as_bytes()),
    ];
    let run = RunDir::begin(&args.out, &args.recipe, &files, &facts, args.restart)?;
    let lessons = Lessons {
        ids: &learned.ids,
        targets: &learned.rows,
        dim,
    };
    let start = || {
        let rows = lessons.rows(&alone);
        let mut random = random_of(args.seed, DIRECTIONS, 0);
        lessons.reduced(&rows, config.table, &mut random)
    };
    let schooling = Training {
        recipe: &recipe,
        config,
        start: &start,
        training: &learned,
        held_out: &watched,
        run: &run,
        seed: args.seed,
    };
    let tower = match schooling.run()? {
        Ok(tower) => tower,
        Err(stopped) => return Ok(stopped),
    };
    let weights = tower.to_weights();
    run.write("checkpoint.safetensors", &weights.to_bytes()?)?;
    let onnx = to_onnx(&weights, &config)?;
    run.write("model.onnx", &onnx)?;
    let tower =
        TextTower::open(&args.out).with_context(|| format!("reading {:?} back", args.out))?;
    let words = words(&tower, &training)?;
    run.write(TAUGHT, Taught::of(&words).as_bytes())?;
    let nearness = shipped(&tower, [&held_out, &unseen_words], &names, ask)?;
    let bytes = [onnx.len(), vocabulary.json().len()];
    let mut report = report(&recipe, &facts, words.len(), bytes, nearness);
    report.commit = run.commit()?;
    run.write_json("tower.json", &report)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(ExitCode::SUCCESS)
}

/// The teacher's embeddings of tokens by themselves, one after the other; of special tokens the mean
/// of all texts.
fn alone(
    vocabulary: &Vocabulary,
    learned: &Pairs,
    dim: usize,
    ask: impl Fn(&[String]) -> anyhow::Result<Vec<Vec<f32>>>,
) -> anyhow::Result<Vec<f32>> {
    let alone = vocabulary.alone();
    let texts: Vec<String> = alone
        .iter()
        .flatten()
        .map(|text| (*text).to_owned())
        .collect();
    let mut rows = ask(&texts)?.into_iter();
    let mut mean = vec![0.0f64; dim];
    for row in learned.rows.chunks_exact(dim) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += f64::from(*value) / learned.ids.len() as f64;
        }
    }
    let mean: Vec<f32> = mean.into_iter().map(|value| value as f32).collect();
    let row = |text: &Option<&str>| {
        text.and_then(|_| rows.next())
            .unwrap_or_else(|| mean.clone())
    };
    let rows: Vec<Vec<f32>> = alone.iter().map(row).collect();
    Ok(rows.concat())
}

/// The words of texts, as a device has them.
fn words(tower: &TextTower, texts: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for text in texts {
        words.extend(tower.split(text)?);
    }
    Ok(words)
}

/// Measures a tower as a device reads it, on two lists of texts.
fn shipped(
    tower: &TextTower,
    texts: [&[String]; 2],
    names: &[String],
    ask: impl Fn(&[String]) -> anyhow::Result<Vec<Vec<f32>>>,
) -> anyhow::Result<[Nearness; 2]> {
    let embed = |texts: &[String]| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        tower.embed(&texts)
    };
    let both = |texts: &[String]| anyhow::Ok((embed(texts)?, ask(texts)?));
    let names = both(names)?;
    let near = |texts: &[String]| -> anyhow::Result<Nearness> {
        let phrases = both(texts)?;
        Ok(nearness(Both::of(&phrases), Both::of(&names)))
    };
    Ok([near(texts[0])?, near(texts[1])?])
}

fn command(args: &Args) -> String {
    let name = args
        .recipe
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    format!("sensorium-train distil {name} --seed {}", args.seed)
}

fn report(
    recipe: &Recipe,
    facts: &Facts,
    taught_words: usize,
    bytes: [usize; 2],
    [held_out, unseen_words]: [Nearness; 2],
) -> Report {
    let corpora = recipe.corpora.iter().map(|corpus| Source {
        name: corpus.name.clone(),
        licence: corpus.licence.clone(),
    });
    Report {
        name: recipe.name.clone(),
        teacher: recipe.teacher.model.clone(),
        teacher_licence: recipe.teacher.licence.clone(),
        corpora: corpora.collect(),
        training_texts: facts.training_texts,
        taught_words,
        hold_out_one_in: recipe.hold_out_one_in,
        hold_out_words_one_in: recipe.hold_out_words_one_in,
        command: facts.command.clone(),
        seed: facts.seed,
        commit: None,
        tower: facts.config,
        model_bytes: bytes[0],
        tokenizer_bytes: bytes[1],
        held_out,
        unseen_words,
    }
}

#[cfg(test)]
mod tests;

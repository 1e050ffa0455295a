//! `fit`: trains an encoder against frozen words.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::prelude::*;
use burn::tensor::TensorData;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sensorium_data::{Augmenter, PersonSplit, Sampler};
use sensorium_model::Input;
use sensorium_model::backend::{self, Training};
use sensorium_model::encoder::IMU_CHANNELS;
use sensorium_model::gradient::clip_norm;
use sensorium_model::loss::{InfoNce, info_nce};
use serde::Serialize;

use crate::anchor::{Anchor, read_phrases};
use crate::eval::{self, Predictions};
use crate::labelled::Labelled;
use crate::recipe::Recipe;
use crate::run::{Facts, RunDir};

mod schedule;

use schedule::OneCycle;

/// Trains an encoder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe.
    recipe: PathBuf,
    /// Folder with the data set's files.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Words embedded before, by `anchor`.
    #[arg(
        long,
        value_name = "FILE.safetensors",
        required_unless_present = "text_model"
    )]
    anchor: Option<PathBuf>,
    /// Folder with the text model, to embed the words now.
    #[arg(long, value_name = "DIR", conflicts_with = "anchor")]
    text_model: Option<PathBuf>,
    /// The training's folder.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
    /// Seed of weights, batches and augmentation.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Instead of the recipe's.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Threads to compute with [default: one a core].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Hold out a part of the training people instead of the recipe's, who take no part: for
    /// choices that must not be made on them.
    #[arg(long, value_name = "I/N", value_parser = parse_fold)]
    fold: Option<(usize, usize)>,
    /// Leave a class out of training, to see what its words alone are worth; may be repeated.
    #[arg(long, value_name = "CLASS")]
    unseen: Vec<String>,
}

fn parse_fold(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/');
    let numbers = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    numbers.ok_or_else(|| "expected a fold from 0 on and the number of folds, such as 0/5".into())
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
struct EpochMetrics {
    epoch: usize,
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
    held_out_accuracy: f64,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut recipe = Recipe::open(&args.recipe)?;
    recipe.leave_out(&args.unseen, &args.recipe)?;
    let anchor = match (&args.anchor, &args.text_model) {
        (Some(path), _) => Anchor::open(path)?,
        (None, Some(dir)) => Anchor::embed(&recipe, &read_phrases(&args.recipe, &recipe)?, dir)?,
        (None, None) => anyhow::bail!("neither --anchor nor --text-model is given"),
    };
    ensure!(
        anchor.dim() == recipe.encoder.output,
        "the anchor has {} numbers a phrase, expected encoder.output, {}",
        anchor.dim(),
        recipe.encoder.output
    );
    ensure!(
        anchor.text_model == recipe.text.model,
        "the anchor was made by {:?}, expected text.model, {:?}",
        anchor.text_model,
        recipe.text.model
    );
    // Before anything is written: a phrase that the anchor lacks would only be found after an epoch.
    anchor.classes(&recipe)?;
    anchor.background(&recipe)?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global()
            .context("starting the threads")?;
    }
    let data = Labelled::open(&recipe, &args.data)?;
    let mut split = data.split(&recipe, args.fold)?;
    split
        .training
        .retain(|&i| data.classes[i].is_some_and(|class| recipe.is_seen(class)));
    ensure!(
        split.training.len() >= recipe.training.batch,
        "{} windows to train on, expected at least training.batch, {}",
        split.training.len(),
        recipe.training.batch
    );

    let epochs = args.epochs.map_or(recipe.training.epochs, |n| n as usize);
    let run = RunDir::create(&args.out)?;
    let copy = std::fs::read(&args.recipe).with_context(|| format!("reading {:?}", args.recipe))?;
    run.write("recipe.toml", &copy)?;
    run.write("anchor.safetensors", &anchor.to_weights()?.to_bytes()?)?;
    run.write_json("run.json", &facts(args, epochs, &split))?;
    eprintln!(
        "{} windows of {} people to train on, {} of {} held out; {} on {}",
        split.training.len(),
        split.training_people.len(),
        split.held_out.len(),
        split.held_out_people.len(),
        recipe.name,
        backend::NAME
    );
    fit(&recipe, &anchor, &data, &split, &run, args.seed, epochs)
}

/// The command as anyone could repeat it: without this machine's folders.
fn facts(args: &Args, epochs: usize, split: &PersonSplit) -> Facts {
    let name = |path: &Path| {
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let mut command = format!(
        "sensorium-train fit {} --seed {} --epochs {epochs}",
        name(&args.recipe),
        args.seed
    );
    if let Some((fold, folds)) = args.fold {
        command.push_str(&format!(" --fold {fold}/{folds}"));
    }
    for class in &args.unseen {
        command.push_str(&format!(" --unseen {class:?}"));
    }
    Facts {
        command,
        seed: args.seed,
        epochs,
        fold: args.fold,
        unseen_classes: args.unseen.clone(),
        backend: backend::NAME.to_owned(),
        training_people: split.training_people.clone(),
        held_out_people: split.held_out_people.clone(),
        training_windows: split.training.len(),
        held_out_windows: split.held_out.len(),
    }
}

fn fit(
    recipe: &Recipe,
    anchor: &Anchor,
    data: &Labelled,
    split: &PersonSplit,
    run: &RunDir,
    seed: u64,
    epochs: usize,
) -> anyhow::Result<()> {
    let config = recipe.training;
    let device = Default::default();
    Training::seed(&device, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut encoder = recipe.encoder.init::<Training>(&device)?;
    let mut optimizer = AdamWConfig::new()
        .with_beta_1(config.beta_1)
        .with_beta_2(config.beta_2)
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay)
        .init();
    let augmenter = Augmenter::new(recipe.augmentation)?;
    let Seen { vectors, places } = Seen::new(recipe, anchor)?;
    let target = |window: usize| data.classes[window].and_then(|class| places[class]);
    let targets: Vec<usize> = split.training.iter().filter_map(|&i| target(i)).collect();
    let sampler = Sampler::new(split.training.clone(), &targets, config.class_balance);

    let dim = anchor.dim();
    let anchors = TensorData::new(vectors.clone(), [vectors.len() / dim, dim]);
    let anchors = Tensor::<Training, 2>::from_data(anchors, &device);
    let loss_config = InfoNce {
        temperature: config.temperature,
        label_smoothing: config.label_smoothing,
    };
    let steps = sampler.len() / config.batch;
    let cycle = OneCycle::new(config.learning_rate, epochs * steps, config.warmup);
    let len = data.feature_len();
    let mut features = vec![0.0; config.batch * len];
    let mut metrics = Vec::new();
    let bar = progress_bar(steps as u64);

    for epoch in 0..epochs {
        let begun = Instant::now();
        bar.reset();
        let (mut losses, mut norms) = (0.0, 0.0);
        for step in 0..steps {
            let mut wanted = Vec::with_capacity(config.batch);
            for row in features.chunks_exact_mut(len) {
                let window = sampler.draw(&mut rng);
                data.features(&augmenter.draw(&data.set, window, &mut rng), row)?;
                wanted.extend(target(window).map(|class| class as i64));
            }
            let shape = [config.batch, IMU_CHANNELS, len / IMU_CHANNELS];
            let input = TensorData::new(features.clone(), shape);
            let input = Input::windows(Tensor::from_data(input, &device));
            let embeddings = encoder.forward(input);
            let wanted = Tensor::from_data(wanted.as_slice(), &device);
            let loss = info_nce(embeddings, anchors.clone(), wanted, loss_config);
            let value: f64 = loss.clone().into_scalar().elem();
            ensure!(
                value.is_finite(),
                "the loss became {value} in epoch {}, step {step}; a lower \
                 training.learning_rate may help",
                epoch + 1
            );
            losses += value;
            let mut gradients = GradientsParams::from_grads(loss.backward(), &encoder);
            norms += clip_norm(&encoder, &mut gradients, config.clip_norm);
            let rate = cycle.rate(epoch * steps + step);
            encoder = optimizer.step(rate, encoder, gradients);
            bar.inc(1);
        }
        // Only to watch: no epoch is chosen by it, the last one is kept.
        let embeddings = eval::embed(&encoder.valid(), data, &split.held_out)?;
        let predictions = Predictions::new(recipe, anchor, data, &split.held_out, &embeddings)?;
        let line = EpochMetrics {
            epoch: epoch + 1,
            loss: losses / steps as f64,
            gradient_norm: norms / steps as f64,
            learning_rate: cycle.rate(epoch * steps + steps - 1),
            held_out_accuracy: predictions.accuracy(),
            seconds: begun.elapsed().as_secs_f64(),
        };
        bar.suspend(|| {
            eprintln!(
                "epoch {}/{epochs}: loss {:.4}, gradient {:.2}, held out {:.4}, {:.1} s",
                line.epoch, line.loss, line.gradient_norm, line.held_out_accuracy, line.seconds
            );
        });
        run.save_checkpoint(&encoder, &recipe.encoder)?;
        writeln!(&mut metrics, "{}", serde_json::to_string(&line)?)?;
        run.write("metrics.jsonl", &metrics)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// The vectors of the classes that training may use, and each class's place among them.
struct Seen {
    vectors: Vec<f32>,
    places: Vec<Option<usize>>,
}

impl Seen {
    fn new(recipe: &Recipe, anchor: &Anchor) -> anyhow::Result<Self> {
        let (mut vectors, mut places, mut count) = (Vec::new(), Vec::new(), 0);
        for (class, entry) in recipe.classes.iter().enumerate() {
            let is_seen = recipe.is_seen(class);
            places.push(is_seen.then_some(count));
            if is_seen {
                vectors.extend(anchor.class(&entry.prompts)?);
                count += 1;
            }
        }
        Ok(Self { vectors, places })
    }
}

fn progress_bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

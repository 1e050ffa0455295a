//! `fit`: trains an encoder against frozen words.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sensorium_data::{ImuAugmenter, PersonSplit, Sampler};
use sensorium_model::backend::{self, Training};
use sensorium_model::encoder::IMU_CHANNELS;
use sensorium_model::gradient::clip_norm;
use sensorium_model::loss::{InfoNce, info_nce};
use sensorium_model::optimizer::AdamW;
use sensorium_model::{Encoder, Input};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::anchor::{Anchor, read_phrases};
use crate::eval::{self, Predictions};
use crate::labelled::Labelled;
use crate::recipe::Recipe;
use crate::run::{Facts, RunDir};

mod schedule;
mod state;

use schedule::OneCycle;
use state::{Progress, State};

/// Exit status of a training that was told to stop, as shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Trains an encoder.
///
/// Ctrl-C saves and stops; the same command goes on from there, as it does after a crash from the
/// last whole epoch, and ends in the same weights as if nothing had happened.
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
    /// Train anew even if the folder holds a part of the same training.
    #[arg(long)]
    restart: bool,
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
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
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
    let copy = std::fs::read(&args.recipe).with_context(|| format!("reading {:?}", args.recipe))?;
    let anchor_bytes = anchor.to_weights()?.to_bytes()?;
    let facts = facts(args, epochs, &split);
    let run = RunDir::begin(
        &args.out,
        &[
            ("recipe.toml", &copy),
            ("anchor.safetensors", &anchor_bytes),
        ],
        &facts,
        args.restart,
    )?;
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
) -> anyhow::Result<ExitCode> {
    let config = recipe.training;
    let device = Default::default();
    Training::seed(&device, seed);
    let adam = AdamWConfig::new()
        .with_beta_1(config.beta_1)
        .with_beta_2(config.beta_2)
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay);
    let encoder = recipe.encoder.init::<Training>(&device)?;
    let optimizer = AdamW::new(&adam, encoder.undecayed());
    let State {
        mut progress,
        mut encoder,
        mut optimizer,
    } = State {
        progress: Progress::default(),
        encoder,
        optimizer,
    }
    .resume(run, &device)?;
    let augmenter = ImuAugmenter::new(recipe.augmentation)?;
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
    let stop = stop_flag()?;
    if progress != Progress::default() {
        eprintln!(
            "going on after {} of {epochs} epochs and {} of {steps} steps",
            progress.epoch, progress.step
        );
    }
    let bar = progress_bar(steps as u64);

    while progress.epoch < epochs {
        let begun = Instant::now();
        bar.reset();
        bar.set_position(progress.step as u64);
        while progress.step < steps {
            let at = progress.epoch * steps + progress.step;
            // Each step has random numbers of its own, so that none depends on where a training was
            // interrupted.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(at as u64 + 1);
            Training::seed(&device, rng.random());
            let mut wanted = Vec::with_capacity(config.batch);
            for row in features.chunks_exact_mut(len) {
                let window = sampler.draw(&mut rng);
                let (samples, next) = (data.set.samples(window), data.set.next(window));
                let next = next.map(|next| data.set.samples(next));
                data.features(&augmenter.apply(samples, next, &mut rng), row)?;
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
                "the loss became {value} in epoch {}, batch {} of {steps}; what was kept is that of \
                 the last whole epoch; a lower training.learning_rate may help",
                progress.epoch + 1,
                progress.step + 1
            );
            progress.losses += value;
            let mut gradients = GradientsParams::from_grads(loss.backward(), &encoder);
            progress.norms += clip_norm(&encoder, &mut gradients, config.clip_norm);
            encoder = optimizer.step(cycle.rate(at), encoder, gradients);
            progress.step += 1;
            bar.inc(1);
            if stop.load(Ordering::Relaxed) {
                bar.finish_and_clear();
                let state = State {
                    progress,
                    encoder,
                    optimizer,
                };
                state.save(run)?;
                eprintln!("stopped and saved; the same command goes on from here");
                return Ok(ExitCode::from(INTERRUPTED));
            }
        }
        // Only to watch: no epoch is chosen by it, the last one is kept.
        let embeddings = eval::embed(&encoder.valid(), data, &split.held_out)?;
        let predictions = Predictions::new(recipe, anchor, data, &split.held_out, &embeddings)?;
        let line = EpochMetrics {
            epoch: progress.epoch + 1,
            loss: progress.losses / steps as f64,
            gradient_norm: progress.norms / steps as f64,
            learning_rate: cycle.rate(progress.epoch * steps + steps - 1),
            held_out_accuracy: predictions.accuracy(),
            seconds: begun.elapsed().as_secs_f64(),
        };
        bar.suspend(|| {
            eprintln!(
                "epoch {}/{epochs}: loss {:.4}, gradient {:.2}, held out {:.4}, {:.1} s",
                line.epoch, line.loss, line.gradient_norm, line.held_out_accuracy, line.seconds
            );
        });
        progress.metrics.push(serde_json::to_string(&line)?);
        progress = Progress {
            epoch: progress.epoch + 1,
            metrics: progress.metrics,
            ..Progress::default()
        };
        let state = State {
            progress,
            encoder,
            optimizer,
        };
        state.save(run)?;
        State {
            progress,
            encoder,
            optimizer,
        } = state;
        publish(run, recipe, &encoder, &progress)?;
    }
    bar.finish_and_clear();
    // Once more: the last time may have been cut short between the state and these.
    publish(run, recipe, &encoder, &progress)?;
    Ok(ExitCode::SUCCESS)
}

/// What others read: the weights, and a line an epoch.
fn publish(
    run: &RunDir,
    recipe: &Recipe,
    encoder: &Encoder<Training>,
    progress: &Progress,
) -> anyhow::Result<()> {
    run.save_checkpoint(encoder, &recipe.encoder)?;
    let mut metrics = progress.metrics.join("\n");
    metrics.push('\n');
    run.write("metrics.jsonl", metrics.as_bytes())
}

/// Set by Ctrl-C and by a request to end.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second one ends the program at once, should a step take long.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .context("listening to signals")?;
    }
    Ok(flag)
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

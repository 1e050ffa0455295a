//! The steps of a training.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use rand::Rng;
use sensorium_data::batch::random_of;
use sensorium_data::{Sampler, Split, batch};
use sensorium_model::backend::Differentiable;
use sensorium_model::gradient::clip_norm;
use sensorium_model::optimizer::AdamW;
use sensorium_model::weights::Weights;
use sensorium_model::{Input, Tower, cache};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::mixture::Mixtures;
use super::picture::Pictures;
use super::schedule::OneCycle;
use super::state::{Progress, State};
use super::target::Targets;
use crate::anchor::Anchor;
use crate::eval::{self, Predictions};
use crate::progress;
use crate::recipe::Recipe;
use crate::run::RunDir;
use crate::samples::Samples;

/// Exit status of a training that was told to stop, as shells have it for Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Of the random numbers that decide batches, this one decides what drops out.
const DROPOUT: u64 = u64::MAX;

/// All that a training is made of.
pub struct Training<'a, B: Differentiable> {
    /// How.
    pub recipe: &'a Recipe,
    /// The words, to see how well it goes.
    pub anchor: &'a Anchor,
    /// What on.
    pub samples: &'a Samples,
    /// Which of them.
    pub split: &'a Split,
    /// What they are bound to.
    pub targets: &'a Targets<B>,
    /// The pictures among them, if it is pictures.
    pub pictures: Option<&'a Pictures>,
    /// The mixtures, if a teacher speaks of those.
    pub mixtures: Option<&'a Mixtures>,
    /// Where it is kept.
    pub run: &'a RunDir,
    /// The weights that it begins with, if they are not random.
    pub first: Option<&'a Weights>,
    /// Of all that is random.
    pub seed: u64,
    /// How long.
    pub epochs: usize,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
struct EpochMetrics {
    epoch: usize,
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
    /// None where nothing is held out.
    held_out_accuracy: Option<f64>,
    seconds: f64,
    samples_per_s: f64,
}

/// One sample of a batch: what the encoder is given, and the class, picture or mixture that it
/// belongs to.
struct Bound {
    features: Vec<f32>,
    wanted: usize,
}

impl<B: Differentiable> Training<'_, B> {
    /// Trains until the last epoch or until told to stop.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.recipe.training;
        let device = Default::default();
        let adam = AdamWConfig::new()
            .with_beta_1(config.beta_1)
            .with_beta_2(config.beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(config.weight_decay);
        B::seed(&device, self.seed);
        let mut encoder = self.recipe.encoder.init::<B>(&device)?;
        if let Some(weights) = self.first {
            encoder = encoder.with_weights(weights)?;
        }
        if let Some(words) = self.targets.word_vectors()
            && let Some(conse) = self.recipe.conse(words.dims()[0])
        {
            encoder = encoder.with_conse(conse, words);
        }
        let optimizer = AdamW::new(&adam, encoder.undecayed());
        let mut state = State {
            progress: Progress::default(),
            encoder,
            optimizer,
        }
        .resume(self.run, &device, Tower::undecayed)?;
        let training = &self.split.training;
        let sampler = self.samples.sampler(training, config.class_balance);
        let epoch = match self.mixtures {
            Some(mixtures) => mixtures.len(),
            None => self.samples.epoch_len(training),
        };
        let steps = (epoch / config.batch).max(1);
        let cycle = OneCycle::new(config.learning_rate, self.epochs * steps, config.warmup);
        let stop = stop_flag()?;
        if state.progress != Progress::default() {
            eprintln!(
                "going on after {} of {} epochs and {} of {steps} steps",
                state.progress.epoch, self.epochs, state.progress.step
            );
        }
        let bar = progress::bar((self.epochs * steps) as u64, "steps");
        bar.set_position((state.progress.epoch * steps + state.progress.step) as u64);

        while state.progress.epoch < self.epochs {
            let begun = Instant::now();
            let first = state.progress.step;
            while state.progress.step < steps {
                let at = state.progress.epoch * steps + state.progress.step;
                state = self.step(state, at, steps, &sampler, cycle.rate(at))?;
                bar.inc(1);
                if stop.load(Ordering::Relaxed) {
                    bar.finish_and_clear();
                    state.save(self.run)?;
                    eprintln!("stopped and saved; the same command goes on from here");
                    return Ok(ExitCode::from(INTERRUPTED));
                }
            }
            let seconds = begun.elapsed().as_secs_f64();
            let line = EpochMetrics {
                epoch: state.progress.epoch + 1,
                loss: state.progress.losses / steps as f64,
                gradient_norm: state.progress.norms / steps as f64,
                learning_rate: cycle.rate(state.progress.epoch * steps + steps - 1),
                held_out_accuracy: self.accuracy(&state.encoder)?,
                seconds: begun.elapsed().as_secs_f64(),
                samples_per_s: ((steps - first) * config.batch) as f64 / seconds,
            };
            bar.suspend(|| {
                let held_out = line.held_out_accuracy;
                let held_out =
                    held_out.map_or_else(String::new, |share| format!(", held out {share:.4}"));
                eprintln!(
                    "epoch {}/{}: loss {:.4}, gradient {:.2}{held_out}, {:.1} s",
                    line.epoch, self.epochs, line.loss, line.gradient_norm, line.seconds
                );
            });
            let mut metrics = std::mem::take(&mut state.progress.metrics);
            metrics.push(serde_json::to_string(&line)?);
            state.progress = Progress {
                epoch: state.progress.epoch + 1,
                metrics,
                ..Progress::default()
            };
            state.save(self.run)?;
            self.publish(&state)?;
        }
        bar.finish_and_clear();
        // Once more: the last time may have been cut short between the state and these.
        self.publish(&state)?;
        Ok(ExitCode::SUCCESS)
    }

    fn step(
        &self,
        state: State<B, Tower<B>>,
        at: usize,
        steps: usize,
        sampler: &Sampler,
        rate: f64,
    ) -> anyhow::Result<State<B, Tower<B>>> {
        let State {
            mut progress,
            encoder,
            mut optimizer,
        } = state;
        let config = self.recipe.training;
        let bound = self.batch(at as u64, sampler)?;
        let wanted: Vec<usize> = bound.iter().map(|bound| bound.wanted).collect();
        let (shape, device) = (self.samples.shape(), Default::default());
        // Each step has random numbers of its own, so that none depends on where a training was
        // interrupted.
        let dropout: u64 = random_of(self.seed, at as u64, DROPOUT).random();
        let embed = |encoder: &Tower<B>, bound: &[Bound]| {
            let features = bound.iter().flat_map(|bound| &bound.features).copied();
            encoder.forward(Input::of_shape(features.collect(), shape, &device))
        };
        let chunk = config.chunk.unwrap_or(config.batch);
        let (value, mut gradients) = if chunk < config.batch {
            let chunks: Vec<&[Bound]> = bound.chunks(chunk).collect();
            cache::gradients(
                &encoder,
                chunks.len(),
                dropout,
                &device,
                |encoder, index| embed(encoder, chunks[index]),
                |embeddings| self.targets.loss(&encoder, embeddings, &wanted),
            )
        } else {
            B::seed(&device, dropout);
            let loss = self
                .targets
                .loss(&encoder, embed(&encoder, &bound), &wanted);
            let value: f64 = loss.clone().into_scalar().elem();
            (
                value,
                GradientsParams::from_grads(loss.backward(), &encoder),
            )
        };
        ensure!(
            value.is_finite(),
            "the loss became {value} in epoch {}, batch {} of {steps}; what was kept is that of \
             the last whole epoch; a lower training.learning_rate may help",
            progress.epoch + 1,
            progress.step + 1
        );
        progress.losses += value;
        progress.norms += clip_norm(&encoder, &mut gradients, config.clip_norm);
        let encoder = optimizer.step(rate, encoder, gradients);
        progress.step += 1;
        Ok(State {
            progress,
            encoder,
            optimizer,
        })
    }

    fn batch(&self, step: u64, sampler: &Sampler) -> anyhow::Result<Vec<Bound>> {
        let items = self.samples.items();
        let size = self.recipe.training.batch;
        Ok(batch(
            size,
            self.seed,
            step,
            &self.samples.tally,
            |_, random| {
                if let Some(mixtures) = self.mixtures {
                    let wanted = random.random_range(0..mixtures.len());
                    let mut features = mixtures.features(wanted);
                    self.samples.mask(&mut features, random);
                    return Ok(Bound { features, wanted });
                }
                loop {
                    let item = sampler.draw(random);
                    let (wanted, view) = match self.pictures {
                        None => (items[item].class, None),
                        Some(pictures) => {
                            let seen = pictures.draw(items[item].at, random);
                            let view = seen.and_then(|seen| pictures.view(seen, self.samples));
                            (seen.map(|seen| pictures.row(seen)), view)
                        }
                    };
                    // A sample whose picture is broken has none; there are others.
                    if let Some(wanted) = wanted {
                        let features = self.samples.augmented(item, view, random)?;
                        return Ok(Bound { features, wanted });
                    }
                }
            },
        )?)
    }

    /// Only to watch: no epoch is chosen by it, the last one is kept.
    fn accuracy(&self, encoder: &Tower<B>) -> anyhow::Result<Option<f64>> {
        if self.split.held_out.is_empty() {
            return Ok(None);
        }
        let embedded = eval::embed(&encoder.valid(), self.samples, &self.split.held_out)?;
        let predictions = Predictions::new(self.recipe, self.anchor, self.samples, &embedded)?;
        Ok(Some(predictions.accuracy()))
    }

    /// What others read: the weights, and a line an epoch.
    fn publish(&self, state: &State<B, Tower<B>>) -> anyhow::Result<()> {
        self.run.save_checkpoint(&state.encoder)?;
        let mut metrics = state.progress.metrics.join("\n");
        metrics.push('\n');
        self.run.write("metrics.jsonl", metrics.as_bytes())
    }
}

/// Set by Ctrl-C and by a request to end.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second one ends the program at once, should a step take long.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .context("listening to signals")?;
    }
    Ok(flag)
}

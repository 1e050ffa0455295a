//! The steps in which a small tower learns from a large one.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::ensure;
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use rand::seq::SliceRandom;
use sensorium_data::batch::random_of;
use sensorium_model::backend::{Inference, Training as Differentiable};
use sensorium_model::gradient::clip_norm;
use sensorium_model::optimizer::AdamW;
use sensorium_model::word::{self, WordConfig, WordTower};
use serde::Serialize;

use super::recipe::Recipe;
use super::start::Start;
use crate::fit::schedule::OneCycle;
use crate::fit::state::{Progress, State};
use crate::fit::train::{INTERRUPTED, stop_flag};
use crate::progress;
use crate::run::RunDir;

/// Divides cosines to the other texts of a batch.
const TEMPERATURE: f64 = 0.05;

/// Of the random numbers of an epoch, these put its batches into their order.
const ORDER: u64 = u64::MAX;

/// Texts that are embedded at once when it is measured.
const CHUNK: usize = 256;

/// Steps between two times that the state is kept.
const KEPT_EVERY: usize = 200;

/// Texts as tokens, and what the teacher says of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// Tokens of each text.
    pub ids: Vec<Vec<u32>>,
    /// The teacher's embeddings, one after the other.
    pub rows: Vec<f32>,
}

impl Pairs {
    fn row(&self, place: usize, dim: usize) -> &[f32] {
        &self.rows[place * dim..][..dim]
    }
}

/// All that a training is made of.
pub struct Training<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// The tower's dimensions.
    pub config: WordConfig,
    /// Where it begins.
    pub start: &'a dyn Fn() -> Start,
    /// What on.
    pub training: &'a Pairs,
    /// Only to watch.
    pub held_out: &'a Pairs,
    /// Where it is kept.
    pub run: &'a RunDir,
    /// Of all that is random.
    pub seed: u64,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
struct EpochMetrics {
    epoch: usize,
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
    held_out_cosine: f64,
    seconds: f64,
}

impl Training<'_> {
    /// Trains until the last epoch, or until told to stop: then there is no tower.
    ///
    /// # Errors
    ///
    /// A loss that is no number, or a folder that cannot be written.
    pub fn run(&self) -> anyhow::Result<Result<WordTower<Inference>, ExitCode>> {
        let config = self.recipe.training;
        let device = Default::default();
        Differentiable::seed(&device, self.seed);
        let adam = AdamWConfig::new()
            .with_beta_1(config.beta_1)
            .with_beta_2(config.beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(config.weight_decay);
        let mut encoder = self.config.init::<Differentiable>(&device)?;
        if !self.run.path(crate::fit::state::FILE).is_file() {
            let mut weights = encoder.to_weights();
            begin(&mut weights, &self.config, &(self.start)());
            encoder = encoder.with_weights(&weights)?;
            let cosine = self.cosine(&encoder.valid());
            eprintln!("the table in closed form: held out {cosine:.4}");
        }
        let optimizer = AdamW::new(&adam, encoder.undecayed());
        let mut state = State {
            progress: Progress::default(),
            encoder,
            optimizer,
        }
        .resume(self.run, &device, WordTower::undecayed)?;
        let steps = self.batches(0).len();
        let cycle = OneCycle::new(config.learning_rate, config.epochs * steps, config.warmup);
        let stop = stop_flag()?;
        if state.progress != Progress::default() {
            eprintln!(
                "going on after {} of {} epochs and {} of {steps} steps",
                state.progress.epoch, config.epochs, state.progress.step
            );
        }
        let bar = progress::bar((config.epochs * steps) as u64, "steps");
        bar.set_position((state.progress.epoch * steps + state.progress.step) as u64);
        while state.progress.epoch < config.epochs {
            let begun = Instant::now();
            let batches = self.batches(state.progress.epoch);
            while let Some(batch) = batches.get(state.progress.step) {
                let at = state.progress.epoch * steps + state.progress.step;
                state = self.step(state, batch, cycle.rate(at))?;
                bar.inc(1);
                let stopped = stop.load(Ordering::Relaxed);
                if stopped || state.progress.step.is_multiple_of(KEPT_EVERY) {
                    state.save(self.run)?;
                }
                if stopped {
                    bar.finish_and_clear();
                    eprintln!("stopped and saved; the same command goes on from here");
                    return Ok(Err(ExitCode::from(INTERRUPTED)));
                }
            }
            let line = EpochMetrics {
                epoch: state.progress.epoch + 1,
                loss: state.progress.losses / steps as f64,
                gradient_norm: state.progress.norms / steps as f64,
                learning_rate: cycle.rate(state.progress.epoch * steps + steps - 1),
                held_out_cosine: self.cosine(&state.encoder.valid()),
                seconds: begun.elapsed().as_secs_f64(),
            };
            bar.suspend(|| {
                eprintln!(
                    "epoch {}/{}: loss {:.4}, gradient {:.2}, held out {:.4}, {:.1} s",
                    line.epoch,
                    config.epochs,
                    line.loss,
                    line.gradient_norm,
                    line.held_out_cosine,
                    line.seconds
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
            let metrics = state.progress.metrics.join("\n") + "\n";
            self.run.write("metrics.jsonl", metrics.as_bytes())?;
        }
        bar.finish_and_clear();
        Ok(Ok(state.encoder.valid()))
    }

    /// The batches of an epoch, each of texts of one length, so that nothing is padded.
    fn batches(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, ids) in self.training.ids.iter().enumerate() {
            by_length.entry(ids.len()).or_default().push(place);
        }
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for (length, mut places) in by_length {
            places.shuffle(&mut random_of(self.seed, epoch as u64, length as u64));
            let parts = places.chunks(self.recipe.training.batch);
            batches.extend(parts.map(<[usize]>::to_vec));
        }
        batches.shuffle(&mut random_of(self.seed, epoch as u64, ORDER));
        batches
    }

    fn step(
        &self,
        state: State<Differentiable, WordTower<Differentiable>>,
        batch: &[usize],
        rate: f64,
    ) -> anyhow::Result<State<Differentiable, WordTower<Differentiable>>> {
        let State {
            mut progress,
            encoder,
            mut optimizer,
        } = state;
        let (device, dim) = (Default::default(), self.config.output);
        let rows = self.embed(&encoder, self.training, batch);
        let wanted = batch
            .iter()
            .flat_map(|place| self.training.row(*place, dim));
        let wanted: Vec<f32> = wanted.copied().collect();
        let wanted = TensorData::new(wanted, [batch.len(), dim]);
        let loss = self.loss(rows, Tensor::from_data(wanted, &device));
        let value: f64 = loss.clone().into_scalar().elem();
        ensure!(
            value.is_finite(),
            "the loss became {value} in epoch {}, step {}; a lower training.learning_rate may help",
            progress.epoch + 1,
            progress.step + 1
        );
        let mut gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        progress.losses += value;
        progress.norms += clip_norm(&encoder, &mut gradients, self.recipe.training.clip_norm);
        let encoder = optimizer.step(rate, encoder, gradients);
        progress.step += 1;
        Ok(State {
            progress,
            encoder,
            optimizer,
        })
    }

    /// One less the cosine to the teacher's embedding, and, as far as the recipe asks for it, that
    /// this be larger than the cosines to those of the batch's other texts.
    fn loss(
        &self,
        rows: Tensor<Differentiable, 2>,
        wanted: Tensor<Differentiable, 2>,
    ) -> Tensor<Differentiable, 1> {
        let cosines = (rows.clone() * wanted.clone()).sum_dim(1);
        let far = cosines.clone().neg().add_scalar(1.0).mean();
        if self.recipe.contrast == 0.0 {
            return far;
        }
        let all = rows.matmul(wanted.transpose()).div_scalar(TEMPERATURE);
        let own = cosines.div_scalar(TEMPERATURE);
        let others = (all - own).exp().sum_dim(1).log();
        far + others.mean().mul_scalar(self.recipe.contrast)
    }

    fn embed<B: sensorium_model::ops::FusedBackend>(
        &self,
        encoder: &WordTower<B>,
        pairs: &Pairs,
        places: &[usize],
    ) -> Tensor<B, 2> {
        let len = places.first().map_or(0, |place| pairs.ids[*place].len());
        let ids = places.iter().flat_map(|place| &pairs.ids[*place]);
        let ids = ids.map(|id| *id as i32).collect();
        encoder.forward(ids, len, &Default::default())
    }

    /// Mean cosine to the teacher over the held-out texts.
    fn cosine(&self, encoder: &WordTower<Inference>) -> f64 {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, ids) in self.held_out.ids.iter().enumerate() {
            by_length.entry(ids.len()).or_default().push(place);
        }
        let (mut sum, dim) = (0.0, self.config.output);
        for chunk in by_length.values().flat_map(|places| places.chunks(CHUNK)) {
            let rows = self.embed(encoder, self.held_out, chunk).into_data();
            let rows: Vec<f32> = rows.iter().collect();
            for (row, place) in rows.chunks_exact(dim).zip(chunk) {
                sum += f64::from(sensorium_kernels::dot_f32(
                    row,
                    self.held_out.row(*place, dim),
                ));
            }
        }
        sum / self.held_out.ids.len() as f64
    }
}

/// Weights of a tower that says what a table says: the table goes in at a size that optimisers like,
/// through the first of its numbers, and the head leads back.
pub fn begin(weights: &mut sensorium_model::weights::Weights, config: &WordConfig, start: &Start) {
    let &WordConfig {
        vocabulary,
        table,
        dim,
        output,
        ..
    } = config;
    let square = start.table.iter().map(|value| value * value).sum::<f32>();
    let size = (square / vocabulary as f32).sqrt().max(f32::MIN_POSITIVE);
    let small = start.table.iter().map(|value| value / size);
    weights.insert(word::TABLE, &[vocabulary, table], small.collect());
    let mut up = vec![0.0; dim * table];
    for (index, row) in up.chunks_exact_mut(table).take(table).enumerate() {
        row[index] = 1.0;
    }
    weights.insert(word::UP, &[dim, table], up);
    // What is not the table's is left as it was drawn: blocks will write there.
    let name = format!("{}weight", word::HEAD);
    if let Some(array) = weights.get(&name) {
        let mut head = array.values.clone();
        for (out, row) in head.chunks_exact_mut(dim).enumerate() {
            for (index, value) in row.iter_mut().enumerate() {
                *value = match start.directions.get(index * output + out) {
                    Some(direction) if index < table => direction * size,
                    _ => *value * size,
                };
            }
        }
        weights.insert(name, &[output, dim], head);
    }
    weights.insert(format!("{}bias", word::HEAD), &[output], vec![0.0; output]);
}

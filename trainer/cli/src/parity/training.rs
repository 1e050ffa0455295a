//! The loss, its gradients, and eight steps of AdamW.

use anyhow::{Context, ensure};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use sensorium_model::backend::{Inference, Training};
use sensorium_model::encoder::{Encoder, normalise, stretch};
use sensorium_model::gradient::{self, clip_norm};
use sensorium_model::loss::pair_nce;
use sensorium_model::optimizer::AdamW;
use sensorium_model::precision::to_f64;
use sensorium_model::weights::Weights;
use sensorium_model::{Input, Sense};
use serde::Deserialize;

use super::dims::Config;
use super::encoders::{at, numbers};
use super::folder::{Folder, Vector, Vectors};
use super::report::{Report, Tolerance};
use super::weights::MODEL;

const FILE: &str = "train.safetensors";
const SETTINGS: &str = "train.json";

const LOSS: Tolerance = Tolerance::Absolute(1e-5);
const GRADIENT: Tolerance = Tolerance::Relative(2e-5);
const WEIGHT: Tolerance = Tolerance::Absolute(5e-4);

/// Rows that the case of duplicates takes, each twice.
const DUPLICATED: usize = 4;

/// Scale of that case.
const DUPLICATED_SCALE: f64 = 100.0;

#[derive(Debug, Deserialize)]
struct Settings {
    losses_f64: Vec<f64>,
    losses_f32: Vec<f64>,
    lr: f64,
    betas: [f32; 2],
    eps: f32,
    wd: f32,
    clip_grad_norm: f64,
    steps: usize,
}

/// Compares the loss by itself, then a training.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if !folder.has(FILE) {
        return Ok(());
    }
    let vectors = folder.vectors(FILE)?;
    loss(&vectors, report).context("the loss")?;
    let settings: Settings = folder.json(SETTINGS)?;
    let config = Config::read(folder)?.encoder(Sense::Imu);
    let encoder = config.init::<Training>(&Default::default())?;
    let encoder = to_f64(encoder.with_weights(&folder.vectors(MODEL)?)?);
    train(encoder, &vectors, &settings, report).context("the training")
}

/// Rows in 64 bits.
fn rows<B: Backend>(vector: &Vector, device: &B::Device) -> anyhow::Result<Tensor<B, 2>> {
    let [rows, dim] = vector.shape[..] else {
        anyhow::bail!("shape {:?}, expected 2 axes", vector.shape);
    };
    let data = TensorData::new(vector.values.clone(), [rows, dim]);
    Ok(Tensor::from_data(data, (device, DType::F64)))
}

fn loss(vectors: &Vectors, report: &mut Report) -> anyhow::Result<()> {
    let device = Default::default();
    let part = |name: &str| format!("nce.{name}");
    let (q, k) = (vectors.get(&part("q"))?, vectors.get(&part("k"))?);
    let log_scale = vectors.get(&part("log_scale"))?.scalar()?;
    let wide = |value: f64| {
        Tensor::<Training, 1>::from_data(TensorData::new(vec![value], [1]), (&device, DType::F64))
    };
    let q = rows::<Training>(q, &device)?.require_grad();
    let k = rows::<Training>(k, &device)?.require_grad();
    let log_scale = wide(log_scale).require_grad();

    // Only one side carries the temperature.
    let scaled = stretch(normalise(k.clone()), log_scale.clone());
    let logits = normalise(q.clone()).matmul(scaled.clone().transpose());
    let loss = pair_nce(normalise(q.clone()), scaled, None);
    let rows_twice = |x: &Tensor<Training, 2>| {
        let few = normalise(x.clone()).narrow(0, 0, DUPLICATED.min(x.dims()[0]));
        Tensor::cat(vec![few.clone(), few], 0)
    };
    let sharp = stretch(rows_twice(&k), wide(DUPLICATED_SCALE.ln()));
    let duplicated = pair_nce(rows_twice(&q), sharp, None).sum();

    let value = |loss: &Tensor<Training, 1>| vec![loss.clone().into_scalar().elem::<f64>()];
    let sum = loss.clone().sum();
    let mut compare = |kind, name: &str, actual: Vec<f64>, tolerance| -> anyhow::Result<()> {
        let expected = &vectors.get(&part(name))?.values;
        report.compare(kind, at(FILE, &part(name)), &actual, expected, tolerance);
        Ok(())
    };
    compare(
        "logits",
        "logits",
        numbers(logits.inner()),
        Tolerance::Relative(1e-9),
    )?;
    compare("loss", "loss_i2m", value(&loss.from_anchor), LOSS)?;
    compare("loss", "loss_m2i", value(&loss.from_embedding), LOSS)?;
    compare("loss", "loss_sum", value(&sum), LOSS)?;
    compare("loss", "dup_scale100_loss_sum", value(&duplicated), LOSS)?;
    let gradients = sum.backward();
    let gradient = |x: Option<Tensor<Inference, 2>>| x.map(numbers).context("no gradient");
    compare(
        "gradient",
        "grad_q",
        gradient(q.grad(&gradients))?,
        GRADIENT,
    )?;
    compare(
        "gradient",
        "grad_k",
        gradient(k.grad(&gradients))?,
        GRADIENT,
    )?;
    let of_scale = log_scale.grad(&gradients).map(|g| g.unsqueeze::<2>());
    compare("gradient", "grad_log_scale", gradient(of_scale)?, GRADIENT)?;
    for input in ["q", "k", "log_scale"] {
        report.same("input", at(FILE, &part(input)), true);
    }
    Ok(())
}

fn train(
    mut encoder: Encoder<Training>,
    vectors: &Vectors,
    settings: &Settings,
    report: &mut Report,
) -> anyhow::Result<()> {
    let device = Default::default();
    let x = vectors.get("imu.x")?;
    ensure!(
        x.shape.len() == 3,
        "imu.x has shape {:?}, expected 3 axes",
        x.shape
    );
    let input = Input::of_shape(x.to_f32(), &x.shape[1..], &device).to_f64();
    ensure!(encoder.takes(&input), "imu.x has shape {:?}", x.shape);
    let targets = rows::<Training>(vectors.get("imu.targets")?, &device)?;

    let adam = AdamWConfig::new()
        .with_beta_1(settings.betas[0])
        .with_beta_2(settings.betas[1])
        .with_epsilon(settings.eps)
        .with_weight_decay(settings.wd);
    let mut optimizer = AdamW::new(&adam, encoder.undecayed());
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in 0..settings.steps {
        let embeddings = encoder.scale(encoder.forward(input.clone()));
        let loss = pair_nce(normalise(targets.clone()), embeddings, None).sum();
        losses.push(loss.clone().into_scalar().elem::<f64>());
        let mut gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        if step == 0 {
            compare_gradients(&encoder, &gradients, vectors, report)?;
        }
        norms.push(clip_norm(&encoder, &mut gradients, settings.clip_grad_norm));
        encoder = optimizer.step(settings.lr, encoder, gradients);
    }

    let mut compare = |kind, name: &str, actual: &[f64], tolerance| -> anyhow::Result<()> {
        let expected = &vectors.get(name)?.values;
        report.compare(kind, at(FILE, name), actual, expected, tolerance);
        Ok(())
    };
    compare("loss", "imu.losses", &losses, LOSS)?;
    // Later norms are of weights that AdamW has moved, so they are no closer than the weights.
    compare(
        "gradient",
        "imu.grad_norms_before_clip",
        &norms,
        Tolerance::Relative(1e-4),
    )?;
    let weights = encoder.to_weights();
    for name in vectors.stems("") {
        let Some(weight) = name.strip_prefix("imu.final.") else {
            continue;
        };
        compare("weight", name, &values_of(&weights, weight)?, WEIGHT)?;
    }
    report.same("input", at(FILE, "imu.x"), true);
    report.same("input", at(FILE, "imu.targets"), true);
    for expected in [&settings.losses_f64, &settings.losses_f32] {
        report.compare("loss", SETTINGS, &losses, expected, LOSS);
    }
    Ok(())
}

fn values_of(weights: &Weights, name: &str) -> anyhow::Result<Vec<f64>> {
    let array = weights
        .get(name)
        .with_context(|| format!("there is no weight {name:?}"))?;
    Ok(array.values.iter().map(|v| f64::from(*v)).collect())
}

/// The gradient of every weight, in the layout of the weights.
fn compare_gradients(
    encoder: &Encoder<Training>,
    gradients: &GradientsParams,
    vectors: &Vectors,
    report: &mut Report,
) -> anyhow::Result<()> {
    let gradients = gradient::as_module(encoder, gradients).to_weights();
    for name in vectors.stems("") {
        let Some(weight) = name.strip_prefix("imu.grad0.") else {
            continue;
        };
        let actual = values_of(&gradients, weight)?;
        let expected = &vectors.get(name)?.values;
        report.compare("gradient", at(FILE, name), &actual, expected, GRADIENT);
    }
    Ok(())
}

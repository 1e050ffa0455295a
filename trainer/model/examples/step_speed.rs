//! How long a training step takes: forward, symmetric InfoNCE, backward, AdamW.
//!
//! ```text
//! step_speed [STEPS] [BATCH] [imu|audio|small-audio] [f32|bf16|f16]
//! ```
//! Prints a line a step, after two to warm up: CPU seconds of all threads, seconds, loss. Encoders are those
//! of `trainer/bench/step_torch.py`:
//!
//! | encoder | given | blocks, width, heads | numbers out |
//! |---|---|---|---|
//! | `imu` | windows of 2000 samples in patches of 8, so 251 tokens | 4, 128, 4: 0.9 M weights | 512 |
//! | `audio` | 128 x 204 spectrograms in patches of 16, 10 apart, so 229 tokens | ImageBind's: 12, 768, 12 | 1024 |
//! | `small-audio` | the same | 2, 64, 2, to try it | 1024 |
//!
//! The number of threads is that of `RAYON_NUM_THREADS`; built for a GPU it computes there, and products are
//! of the numbers that are named.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use sensorium_model::backend::{self, Training};
use sensorium_model::encoder::normalise;
use sensorium_model::loss::pair_nce;
use sensorium_model::optimizer::AdamW;
use sensorium_model::precision::{Products, with_products};
use sensorium_model::{EncoderConfig, Input, InputConfig, Sense};

const TEMPERATURE: f64 = 0.07;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (steps, batch) = (number(10)?, number(64)?);
    let encoder = args.next().unwrap_or_else(|| "imu".to_owned());
    let products = match args.next().as_deref() {
        None | Some("f32") => Products::F32,
        Some("bf16") => Products::Bf16,
        Some("f16") => Products::F16,
        Some(other) => bail!("{other:?}, expected f32, bf16 or f16"),
    };
    ensure!(
        products == Products::F32 || backend::NAME != backend::CPU && backend::computes(products),
        "{} has no products of {products}",
        backend::NAME
    );
    with_products(products, || run(steps, batch, config(&encoder)?))
}

fn config(encoder: &str) -> anyhow::Result<EncoderConfig> {
    let plain = |config| EncoderConfig {
        drop_path: 0.0,
        dropout: 0.0,
        scale: None,
        ..config
    };
    let audio = plain(EncoderConfig::reference(Sense::Audio));
    Ok(match encoder {
        "imu" => EncoderConfig {
            input: InputConfig::Imu {
                samples: 2000,
                patch: 8,
            },
            dim: 128,
            blocks: 4,
            heads: 4,
            output: 512,
            bias_kv: false,
            ..plain(EncoderConfig::edge(Sense::Imu))
        },
        "audio" => audio,
        "small-audio" => EncoderConfig {
            dim: 64,
            blocks: 2,
            heads: 2,
            ..audio
        },
        other => bail!("{other:?}, expected imu, audio or small-audio"),
    })
}

fn run(steps: usize, batch: usize, config: EncoderConfig) -> anyhow::Result<()> {
    let device = Default::default();
    Training::seed(&device, 0);
    let mut encoder = config.init::<Training>(&device)?;
    let mut optimizer = AdamW::new(&AdamWConfig::new(), encoder.undecayed());
    let normal = Distribution::Normal(0.0, 1.0);
    let input = match config.input {
        InputConfig::Imu { samples, .. } => {
            Input::windows(Tensor::random([batch, 6, samples], normal, &device))
        }
        InputConfig::Audio { mels, frames, .. } => {
            Input::Values(Tensor::random([batch, 1, 1, mels, frames], normal, &device))
        }
        _ => bail!("an encoder of another sense"),
    };
    let anchors = normalise(Tensor::random([batch, config.output], normal, &device));
    for step in 0..steps + 2 {
        let (wall, cpu) = (Instant::now(), cpu_seconds()?);
        let embeddings = encoder.forward(input.clone());
        let scaled = embeddings.div_scalar(TEMPERATURE);
        let loss = pair_nce(anchors.clone(), scaled, None)
            .sum()
            .div_scalar(2.0);
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(1e-3, encoder, gradients);
        Training::sync(&device).context("the device")?;
        let value: f64 = loss.into_scalar().elem();
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        if step >= 2 {
            println!("{cpu:.4} {wall:.4} {value:.4}");
        }
    }
    Ok(())
}

/// What all threads of this process have had of the CPUs, to the nanosecond.
fn cpu_seconds() -> anyhow::Result<f64> {
    let mut nanos = 0u64;
    for task in std::fs::read_dir("/proc/self/task").context("listing threads")? {
        let path = task?.path().join("schedstat");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        let first = text
            .split_whitespace()
            .next()
            .context("an empty schedstat")?;
        nanos += first.parse::<u64>()?;
    }
    Ok(nanos as f64 * 1e-9)
}

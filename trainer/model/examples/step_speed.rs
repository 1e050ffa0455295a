//! How long a training step takes: forward, symmetric InfoNCE, backward, AdamW.
//!
//! ```text
//! step_speed [STEPS] [BATCH]
//! ```
//! Prints a line a step, after two to warm up: CPU seconds of all threads, seconds, loss. The encoder
//! is that of `trainer/bench/step_torch.py`: IMU windows of 2000 samples in patches of 8, so 251
//! tokens, 4 blocks of width 128 with 4 heads, 512 numbers out, 0.9 M weights. The number of threads
//! is that of `RAYON_NUM_THREADS`.

use std::time::Instant;

use anyhow::Context;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use sensorium_model::backend::Training;
use sensorium_model::encoder::normalise;
use sensorium_model::loss::pair_nce;
use sensorium_model::optimizer::AdamW;
use sensorium_model::{EncoderConfig, Input, InputConfig, Sense};

const SAMPLES: usize = 2000;
const TEMPERATURE: f64 = 0.07;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (steps, batch) = (number(10)?, number(64)?);
    let config = EncoderConfig {
        input: InputConfig::Imu {
            samples: SAMPLES,
            patch: 8,
        },
        dim: 128,
        blocks: 4,
        heads: 4,
        output: 512,
        bias_kv: false,
        drop_path: 0.0,
        dropout: 0.0,
        ..EncoderConfig::edge(Sense::Imu)
    };
    let device = Default::default();
    Training::seed(&device, 0);
    let mut encoder = config.init::<Training>(&device)?;
    let mut optimizer = AdamW::new(&AdamWConfig::new(), encoder.undecayed());
    let normal = Distribution::Normal(0.0, 1.0);
    let windows = Tensor::<Training, 3>::random([batch, 6, SAMPLES], normal, &device);
    let anchors = normalise(Tensor::random([batch, 512], normal, &device));
    for step in 0..steps + 2 {
        let (wall, cpu) = (Instant::now(), cpu_seconds()?);
        let embeddings = encoder.forward(Input::windows(windows.clone()));
        let scaled = embeddings.div_scalar(TEMPERATURE);
        let loss = pair_nce(anchors.clone(), scaled, None)
            .sum()
            .div_scalar(2.0);
        let value: f64 = loss.clone().into_scalar().elem();
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(1e-3, encoder, gradients);
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

//! A training on a GPU, or on a driver that takes a CPU for one: small, as the latter is slow.
#![cfg(any(feature = "wgpu", feature = "cuda"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

use std::io::Write;

use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use sensorium_model::backend::{self, Training};
use sensorium_model::encoder::normalise;
use sensorium_model::loss::{InfoNce, info_nce, pair_nce};
use sensorium_model::optimizer::AdamW;
use sensorium_model::{EncoderConfig, Input, InputConfig, Sense};

const BATCH: usize = 6;
const SAMPLES: usize = 40;

fn rows(count: usize, dim: usize, key: f32) -> Tensor<Training, 2> {
    let value = |i: usize| (i as f32 * 0.61 + (i / dim) as f32 * key).sin();
    let values: Vec<f32> = (0..count * dim).map(value).collect();
    let data = burn::tensor::TensorData::new(values, [count, dim]);
    Tensor::from_data(data, &Default::default())
}

#[test]
fn a_small_training_learns() {
    if let Err(error) = backend::probe() {
        // Past the harness, which shows what a test prints only if it fails.
        let _ = writeln!(std::io::stderr(), "a small training: skipped: {error}");
        return;
    }
    let config = EncoderConfig {
        input: InputConfig::Imu {
            samples: SAMPLES,
            patch: 8,
        },
        dim: 16,
        blocks: 2,
        heads: 2,
        output: 12,
        bias_kv: true,
        drop_path: 0.1,
        dropout: 0.0,
        ..EncoderConfig::edge(Sense::Imu)
    };
    let device = Default::default();
    Training::seed(&device, 3);
    let mut encoder = config.init::<Training>(&device).unwrap();
    let mut optimizer = AdamW::new(&AdamWConfig::new(), encoder.undecayed());
    let windows = rows(BATCH, 6 * SAMPLES, 1.7).reshape([BATCH, 6, SAMPLES]);
    let anchors = normalise(rows(3, 12, 2.3));
    let targets = Tensor::<Training, 1, Int>::from_data([0, 1, 2, 0, 1, 2], &device);
    let settings = InfoNce {
        temperature: 0.1,
        label_smoothing: 0.1,
    };
    let mut losses: Vec<f32> = Vec::new();
    for _ in 0..12 {
        let embeddings = encoder.forward(Input::windows(windows.clone()));
        let own = anchors.clone().select(0, targets.clone());
        let pairs = pair_nce(
            own,
            embeddings.clone().div_scalar(0.1),
            Some(targets.clone()),
        );
        let loss = info_nce(embeddings, anchors.clone(), targets.clone(), settings);
        losses.push(loss.clone().into_scalar().elem());
        let gradients = (loss + pairs.sum()).backward();
        let gradients = GradientsParams::from_grads(gradients, &encoder);
        encoder = optimizer.step(5e-3, encoder, gradients);
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses[11] < 0.7 * losses[0], "{losses:?}");
}

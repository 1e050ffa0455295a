//! Gradients of a large batch, chunk by chunk.
#![cfg(feature = "flex")]
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

use std::sync::{Mutex, PoisonError};

use burn::optim::GradientsParams;
use burn::prelude::*;
use sensorium_model::Sense;
use sensorium_model::backend::Training;
use sensorium_model::cache::gradients;
use sensorium_model::encoder::{Encoder, EncoderConfig, Input, InputConfig, normalise};
use sensorium_model::gradient::as_module;
use sensorium_model::loss::pair_nce;
use sensorium_model::precision::to_f64;

/// The backend's random numbers are one stream a process, so only one test may draw at a time.
static DRAWING: Mutex<()> = Mutex::new(());

const SAMPLES: usize = 32;

fn encoder(drop_path: f64) -> Encoder<Training> {
    let config = EncoderConfig {
        input: InputConfig::Imu {
            samples: SAMPLES,
            patch: 8,
        },
        dim: 16,
        blocks: 2,
        heads: 2,
        output: 12,
        drop_path,
        dropout: 0.0,
        ..EncoderConfig::edge(Sense::Imu)
    };
    to_f64(config.init(&Default::default()).unwrap())
}

fn windows(first: usize, count: usize) -> Input<Training> {
    let len = 6 * SAMPLES;
    let value = |i: usize| (i as f32 * 0.37 + (i / len) as f32 * 1.1).sin();
    let values = (first * len..(first + count) * len).map(value).collect();
    Input::of_shape(values, &[6, SAMPLES], &Default::default()).to_f64()
}

fn anchors() -> Tensor<Training, 2> {
    let values: Vec<f64> = (0..7 * 12)
        .map(|i| f64::from(i * i % 97) / 97.0 - 0.5)
        .collect();
    let data = burn::tensor::TensorData::new(values, [7, 12]);
    let device = Default::default();
    normalise(Tensor::from_data(data, (&device, burn::tensor::DType::F64)))
}

fn cached(encoder: &Encoder<Training>, rows: &[usize]) -> (f64, GradientsParams) {
    let embed = |encoder: &Encoder<Training>, chunk: usize| {
        let first = rows[..chunk].iter().sum();
        encoder.scale(encoder.forward(windows(first, rows[chunk])))
    };
    let loss = |embeddings| pair_nce(anchors(), embeddings, None).sum();
    gradients(encoder, rows.len(), 5, &Default::default(), embed, loss)
}

fn difference(encoder: &Encoder<Training>, a: &GradientsParams, b: &GradientsParams) -> f32 {
    let (a, b) = (
        as_module(encoder, a).to_weights(),
        as_module(encoder, b).to_weights(),
    );
    let mut worst = 0.0f32;
    for ((_, a), (_, b)) in a.iter().zip(b.iter()) {
        for (a, b) in a.values.iter().zip(&b.values) {
            worst = worst.max((a - b).abs());
        }
    }
    worst
}

#[test]
fn gradients_of_chunks_are_those_of_the_whole_batch() {
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let encoder = encoder(0.0);
    let whole = pair_nce(
        anchors(),
        encoder.scale(encoder.forward(windows(0, 7))),
        None,
    )
    .sum();
    let value: f64 = whole.clone().into_scalar().elem();
    let expected = GradientsParams::from_grads(whole.backward(), &encoder);
    for rows in [&[7][..], &[3, 3, 1], &[1; 7]] {
        let (loss, actual) = cached(&encoder, rows);
        assert!(
            (loss - value).abs() < 1e-12,
            "{loss} of {value} by {rows:?}"
        );
        // Computed in 64 bits and compared in 32: equal but for the last bit.
        assert!(difference(&encoder, &actual, &expected) < 1e-7, "{rows:?}");
    }
}

#[test]
fn what_is_dropped_in_one_pass_is_dropped_in_the_other() {
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let encoder = encoder(0.5);
    let (loss, actual) = cached(&encoder, &[4, 3]);
    // All in one graph, with the same draws.
    let device = Default::default();
    let embed = |chunk: u64, first, count| {
        Training::seed(&device, 5 + chunk);
        encoder.scale(encoder.forward(windows(first, count)))
    };
    let embeddings = Tensor::cat(vec![embed(0, 0, 4), embed(1, 4, 3)], 0);
    let whole = pair_nce(anchors(), embeddings, None).sum();
    let value: f64 = whole.clone().into_scalar().elem();
    assert!((loss - value).abs() < 1e-12, "{loss} of {value}");
    let expected = GradientsParams::from_grads(whole.backward(), &encoder);
    assert!(difference(&encoder, &actual, &expected) < 1e-7);

    Training::seed(&device, 99);
    let other = encoder.scale(encoder.forward(windows(0, 7)));
    let other: f64 = pair_nce(anchors(), other, None).sum().into_scalar().elem();
    assert!((other - value).abs() > 1e-6, "other draws are another loss");
}

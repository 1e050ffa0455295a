use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::TensorData;
use burn::tensor::backend::Backend as _;

use super::*;
use crate::backend::{Inference, Training};
use crate::loss::{InfoNce, info_nce};
use crate::weights::Weights;

fn tiny() -> ImuEncoderConfig {
    ImuEncoderConfig {
        samples: 32,
        dim: 16,
        blocks: 2,
        heads: 2,
        output: 12,
        bias_kv: true,
        drop_path: 0.0,
        dropout: 0.0,
    }
}

/// A window that is its own formula, so that nothing depends on a generator.
fn window(phase: f32, samples: usize) -> Vec<f32> {
    (0..CHANNELS * samples)
        .map(|i| (i as f32 * 0.37 + phase).sin())
        .collect()
}

fn windows<B: Backend>(phases: &[f32], samples: usize) -> Tensor<B, 3> {
    let values = phases
        .iter()
        .flat_map(|&phase| window(phase, samples))
        .collect();
    let data = TensorData::new::<f32, _>(values, [phases.len(), CHANNELS, samples]);
    Tensor::from_data(data, &B::Device::default())
}

fn numbers<const D: usize>(tensor: Tensor<Inference, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn embeddings_have_the_shape_and_length_they_promise() {
    let device = Default::default();
    let encoder: ImuEncoder<Inference> = ImuEncoderConfig::edge().init(&device).unwrap();
    let parameters = encoder.num_params();
    assert!(
        (700_000..1_000_000).contains(&parameters),
        "{parameters} parameters"
    );
    let embeddings = encoder.forward(windows(&[0.0, 1.0, 2.0], 128));
    assert_eq!(embeddings.dims(), [3, 384]);
    for row in numbers(embeddings).chunks(384) {
        let norm: f32 = row.iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_window_embeds_alike_alone_and_in_company() {
    let encoder: ImuEncoder<Inference> = tiny().init(&Default::default()).unwrap();
    let alone = numbers(encoder.forward(windows(&[1.0], 32)));
    let company = numbers(encoder.forward(windows(&[0.3, 1.0], 32)));
    for (a, b) in alone.iter().zip(&company[12..]) {
        assert!((a - b).abs() < 1e-6);
    }
}

/// Nothing is dropped outside training, and in training whole samples are.
#[test]
fn drop_path_is_by_sample_and_only_in_training() {
    let config = ImuEncoderConfig {
        drop_path: 0.9,
        dropout: 0.5,
        ..tiny()
    };
    let encoder: ImuEncoder<Training> = config.init(&Default::default()).unwrap();
    let inference = encoder.valid();
    let input = windows(&[0.1, 0.2], 32);
    assert_eq!(
        numbers(inference.forward(input.clone())),
        numbers(inference.forward(input))
    );

    Training::seed(&Default::default(), 1);
    let ones = Tensor::<Training, 3>::ones([64, 5, 3], &Default::default());
    let dropped = numbers(crate::block::drop_path(ones, 0.25).inner());
    let samples: Vec<&[f32]> = dropped.chunks(15).collect();
    assert!(samples.iter().all(|s| s.iter().all(|v| *v == s[0])));
    assert!(
        samples
            .iter()
            .all(|s| s[0] == 0.0 || (s[0] - 4.0 / 3.0).abs() < 1e-6)
    );
    let kept = samples.iter().filter(|s| s[0] != 0.0).count();
    assert!((36..=60).contains(&kept), "{kept} of 64 kept");
}

#[test]
fn a_checkpoint_gives_the_same_encoder_under_the_reference_names() {
    let device = Default::default();
    let original: ImuEncoder<Inference> = tiny().init(&device).unwrap();
    let weights = Weights::from_bytes(&original.to_weights().to_bytes().unwrap()).unwrap();
    for (name, shape) in [
        ("modality_preprocessors.imu.cls_token", vec![1, 1, 16]),
        ("modality_preprocessors.imu.pos_embed", vec![1, 5, 16]),
        (
            "modality_preprocessors.imu.imu_stem.proj.weight",
            vec![16, 48],
        ),
        (
            "modality_preprocessors.imu.imu_stem.norm_layer.bias",
            vec![16],
        ),
        (
            "modality_trunks.imu.blocks.1.attn.in_proj_weight",
            vec![48, 16],
        ),
        ("modality_trunks.imu.blocks.1.attn.in_proj_bias", vec![48]),
        ("modality_trunks.imu.blocks.1.attn.bias_k", vec![1, 1, 16]),
        (
            "modality_trunks.imu.blocks.1.attn.out_proj.weight",
            vec![16, 16],
        ),
        ("modality_trunks.imu.blocks.0.mlp.fc1.weight", vec![64, 16]),
        ("modality_trunks.imu.blocks.0.mlp.fc2.weight", vec![16, 64]),
        ("modality_heads.imu.0.weight", vec![16]),
        ("modality_heads.imu.3.weight", vec![12, 16]),
    ] {
        assert_eq!(
            weights.get(name).map(|a| a.shape.clone()),
            Some(shape),
            "{name}"
        );
    }
    assert_eq!(weights.iter().count(), 5 + 2 * 14 + 3);

    let other: ImuEncoder<Inference> = tiny().init(&device).unwrap();
    let input = windows(&[0.0, 2.0], 32);
    assert_ne!(
        numbers(other.forward(input.clone())),
        numbers(original.forward(input.clone()))
    );
    let restored = other.with_weights(&weights).unwrap();
    assert_eq!(restored.to_weights(), original.to_weights());
    assert_eq!(
        numbers(restored.forward(input.clone())),
        numbers(original.forward(input))
    );

    let wider = ImuEncoderConfig {
        output: 13,
        ..tiny()
    };
    let error = wider
        .init::<Inference>(&device)
        .unwrap()
        .with_weights(&weights)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "weight \"modality_heads.imu.3.weight\" has shape [12, 16], expected [13, 16]"
    );
}

#[test]
fn dimensions_that_make_no_encoder_are_refused() {
    let message = |config: ImuEncoderConfig| config.check().unwrap_err().to_string();
    assert_eq!(
        message(ImuEncoderConfig {
            samples: 130,
            ..tiny()
        }),
        "samples is 130, expected a positive multiple of 8"
    );
    assert_eq!(
        message(ImuEncoderConfig { heads: 3, ..tiny() }),
        "heads is 3, expected a divisor of dim, 16"
    );
    assert_eq!(
        message(ImuEncoderConfig { dim: 0, ..tiny() }),
        "dim is 0, expected at least 1"
    );
    assert_eq!(
        message(ImuEncoderConfig {
            drop_path: 1.0,
            ..tiny()
        }),
        "drop_path is 1, expected at least 0 and below 1"
    );
}

/// Four kinds of window, told apart by frequency and phase-free: the encoder has to learn them.
#[test]
fn a_small_encoder_learns_a_small_set() {
    let device = Default::default();
    Training::seed(&device, 3);
    let mut encoder: ImuEncoder<Training> = tiny().init(&device).unwrap();
    let samples = 32;
    let phases = 8;
    let mut values = Vec::new();
    let mut targets = Vec::new();
    for class in 0..4usize {
        for phase in 0..phases {
            for channel in 0..CHANNELS {
                for t in 0..samples {
                    let angle = (class + 1) as f32 * 0.2 * t as f32;
                    values.push((angle + phase as f32 * 0.8 + channel as f32 * 0.5).sin());
                }
            }
            targets.push(class as i64);
        }
    }
    let data = TensorData::new(values, [targets.len(), CHANNELS, samples]);
    let input = Tensor::<Training, 3>::from_data(data, &device);
    let wanted = Tensor::<Training, 1, Int>::from_data(targets.as_slice(), &device);
    let anchors = Tensor::<Training, 2>::eye(12, &device).narrow(0, 0, 4);
    let config = InfoNce {
        temperature: 0.1,
        label_smoothing: 0.0,
    };
    let mut optimizer = AdamWConfig::new().init();

    let mut losses = Vec::new();
    for _ in 0..60 {
        let embeddings = encoder.forward(input.clone());
        let loss = info_nce(embeddings, anchors.clone(), wanted.clone(), config);
        losses.push(loss.clone().into_scalar().elem::<f64>());
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(3e-3, encoder, gradients);
    }
    assert!(
        losses[0] > 1.0 && losses[59] < 0.2,
        "loss went {} to {}",
        losses[0],
        losses[59]
    );

    let scores = encoder
        .valid()
        .forward(input.inner())
        .matmul(anchors.inner().transpose());
    let named: Vec<i64> = scores
        .argmax(1)
        .into_data()
        .convert::<i64>()
        .to_vec()
        .unwrap();
    let right = named.iter().zip(&targets).filter(|(a, b)| a == b).count();
    assert!(right >= 31, "{right} of 32 right");
}

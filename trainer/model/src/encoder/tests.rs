use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::TensorData;
use burn::tensor::backend::Backend as _;

use super::*;
use crate::backend::{Inference, Training};
use crate::loss::{InfoNce, info_nce};
use crate::weights::Weights;

/// Small enough for a test, with every part that the reference has.
fn tiny(sense: Sense) -> EncoderConfig {
    let input = match sense {
        Sense::Vision => InputConfig::Vision {
            frames: 2,
            side: 12,
            patch: [2, 4, 4],
        },
        Sense::Text => InputConfig::Text {
            vocabulary: 50,
            context: 7,
        },
        Sense::Audio => InputConfig::Audio {
            mels: 10,
            frames: 17,
            patch: 4,
            stride: 3,
        },
        Sense::Depth => InputConfig::Depth { side: 8, patch: 4 },
        Sense::Thermal => InputConfig::Thermal { side: 9, patch: 4 },
        Sense::Imu => InputConfig::Imu {
            samples: 32,
            patch: 8,
        },
    };
    EncoderConfig {
        input,
        dim: 16,
        blocks: 2,
        heads: 2,
        output: 12,
        drop_path: 0.0,
        dropout: 0.0,
        ..EncoderConfig::reference(sense)
    }
}

/// An input that is its own formula, so that nothing depends on a generator.
fn wave(phase: f32, len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
}

fn windows<B: Backend>(phases: &[f32], samples: usize) -> Input<B> {
    let len = IMU_CHANNELS * samples;
    let values = phases.iter().flat_map(|&phase| wave(phase, len)).collect();
    let data = TensorData::new::<f32, _>(values, [phases.len(), IMU_CHANNELS, samples]);
    Input::windows(Tensor::from_data(data, &B::Device::default()))
}

/// A batch of two of whatever the encoder takes.
fn batch<B: Backend>(config: &EncoderConfig) -> Input<B> {
    let device = B::Device::default();
    let shape = config.input.shape();
    let len = shape.iter().product::<usize>();
    let values = [wave(0.0, len), wave(1.3, len)].concat();
    match (config.sense(), shape.as_slice()) {
        (Sense::Text, &[context]) => {
            let ids: Vec<i64> = values.iter().map(|v| (v * 20.0 + 21.0) as i64).collect();
            Input::Text(Tensor::from_data(
                TensorData::new(ids, [2, context]),
                &device,
            ))
        }
        (_, &[channels, frames, height, width]) => {
            let data = TensorData::new(values, [2, channels, frames, height, width]);
            Input::Values(Tensor::from_data(data, &device))
        }
        (_, &[channels, height, width]) => {
            let data = TensorData::new(values, [2, channels, height, width]);
            Input::planes(Tensor::from_data(data, &device))
        }
        _ => windows(&[0.0, 1.3], len / IMU_CHANNELS),
    }
}

fn numbers<const D: usize>(tensor: Tensor<Inference, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn embeddings_of_every_sense_have_the_shape_and_length_they_promise() {
    let device = Default::default();
    for sense in Sense::ALL {
        let config = tiny(sense);
        let encoder: Encoder<Inference> = config.init(&device).unwrap();
        let embeddings = encoder.forward(batch(&config));
        assert_eq!(embeddings.dims(), [2, 12], "{sense}");
        let rows = numbers(embeddings.clone());
        for row in rows.chunks(12) {
            let norm: f32 = row.iter().map(|v| v * v).sum();
            assert!((norm - 1.0).abs() < 1e-5, "{sense}: {norm}");
        }
        assert!(difference(&rows[..12], &rows[12..]) > 1e-3, "{sense}");

        let stages = encoder.stages(batch(&config));
        assert_eq!(stages.tokens.dims(), [2, config.input.tokens(), 16]);
        assert_eq!(stages.blocks.len(), 2);
        let scale = config.scale.unwrap_or(1.0) as f32;
        let scaled: Vec<f32> = rows.iter().map(|v| v * scale).collect();
        assert!(
            difference(&numbers(stages.output), &scaled) < 1e-4,
            "{sense}"
        );
    }
}

#[test]
fn presets_have_the_sizes_they_are_known_for() {
    let device = Default::default();
    // Elements of the published checkpoint; the mask of text is one of them.
    for (sense, elements) in [
        (Sense::Vision, 632_829_440),
        (Sense::Text, 354_038_570),
        (Sense::Audio, 86_235_649),
        (Sense::Thermal, 86_211_073),
        (Sense::Depth, 21_871_873),
        (Sense::Imu, 19_600_385),
    ] {
        let encoder: Encoder<Inference> = EncoderConfig::reference(sense).init(&device).unwrap();
        let shapes = encoder.shapes();
        let count: usize = shapes
            .iter()
            .map(|(_, s)| s.iter().product::<usize>())
            .sum();
        assert_eq!(count, elements, "{sense}");
        EncoderConfig::edge(sense).check().unwrap();
    }
    let encoder: Encoder<Inference> = EncoderConfig::edge(Sense::Imu).init(&device).unwrap();
    let parameters = encoder.num_params();
    assert!((700_000..1_000_000).contains(&parameters), "{parameters}");
}

#[test]
fn an_input_embeds_alike_alone_and_in_company() {
    let encoder: Encoder<Inference> = tiny(Sense::Imu).init(&Default::default()).unwrap();
    let alone = numbers(encoder.forward(windows(&[1.0], 32)));
    let company = numbers(encoder.forward(windows(&[0.3, 1.0], 32)));
    assert!(difference(&alone, &company[12..]) < 1e-6);
    // What is left behind the last patch is not looked at.
    let config = EncoderConfig {
        input: InputConfig::Imu {
            samples: 39,
            patch: 8,
        },
        ..tiny(Sense::Imu)
    };
    assert_eq!(config.input.tokens(), 5);
}

#[test]
fn a_text_ends_at_the_first_of_its_largest_numbers_and_sees_nothing_behind() {
    let config = tiny(Sense::Text);
    let encoder: Encoder<Inference> = config.init(&Default::default()).unwrap();
    let embed = |ids: [i64; 7]| {
        let data = TensorData::new(ids.to_vec(), [1, 7]);
        numbers(encoder.forward(Input::Text(Tensor::from_data(data, &Default::default()))))
    };
    let text = embed([40, 7, 9, 49, 0, 0, 0]);
    assert!(difference(&text, &embed([40, 7, 9, 49, 3, 49, 8])) < 1e-6);
    assert!(difference(&text, &embed([40, 7, 10, 49, 0, 0, 0])) > 1e-3);
    assert_eq!(numbers_of(causal_mask(2)), [0, 1, 0, 0]);
}

fn numbers_of(mask: Vec<f32>) -> Vec<u8> {
    mask.into_iter()
        .map(|v| u8::from(v == f32::NEG_INFINITY))
        .collect()
}

#[test]
fn a_picture_is_a_clip_that_does_not_move_and_may_have_any_square_size() {
    let config = tiny(Sense::Vision);
    let device = Default::default();
    let encoder: Encoder<Inference> = config.init(&device).unwrap();
    let picture = |side: usize| {
        let data = TensorData::new(wave(0.5, 3 * side * side), [1, 3, side, side]);
        Tensor::<Inference, 4>::from_data(data, &device)
    };
    let still = numbers(encoder.forward(Input::planes(picture(12))));
    let clip = picture(12).reshape([1, 3, 1, 12, 12]).repeat_dim(2, 2);
    assert_eq!(numbers(encoder.forward(Input::Values(clip))), still);
    assert_eq!(
        encoder.stages(Input::planes(picture(20))).tokens.dims(),
        [1, 26, 16]
    );
    assert_eq!(encoder.forward(Input::planes(picture(20))).dims(), [1, 12]);
}

#[test]
fn overlapping_patches_are_cut_row_by_row() {
    let config = tiny(Sense::Audio);
    let grid = config.input.grid().unwrap();
    let values: Vec<f32> = (0..170).map(|i| i as f32).collect();
    let data = TensorData::new(values, [1, 1, 1, 10, 17]);
    let patches = input::patches(
        Tensor::<Inference, 5>::from_data(data, &Default::default()),
        &grid,
    );
    assert_eq!(patches.dims(), [1, 3 * 5, 16]);
    let patches = numbers(patches);
    // Second row of patches, third column: from row 3 and column 6.
    let expected: Vec<f32> = (0..16)
        .map(|i| ((3 + i / 4) * 17 + 6 + i % 4) as f32)
        .collect();
    assert_eq!(patches[(5 + 2) * 16..][..16], expected);
}

#[test]
fn post_processing_clips_the_scale_and_averages_clips_as_they_are() {
    let device = Default::default();
    let rows = Tensor::<Inference, 2>::from_data([[3.0, 4.0], [0.0, 0.0]], &device);
    assert_eq!(numbers(normalise(rows.clone())), [0.6, 0.8, 0.0, 0.0]);
    let log_scale = Tensor::from_data([5.0], &device);
    let stretched = numbers(stretch(normalise(rows.clone()), log_scale));
    assert!(difference(&stretched, &[60.0, 80.0, 0.0, 0.0]) < 1e-4);
    assert_eq!(numbers(average_clips(rows, 2)), [1.5, 2.0]);
}

/// Nothing is dropped outside training, and in training whole samples are.
#[test]
fn drop_path_is_by_sample_and_only_in_training() {
    let config = EncoderConfig {
        drop_path: 0.9,
        dropout: 0.5,
        ..tiny(Sense::Imu)
    };
    let encoder: Encoder<Training> = config.init(&Default::default()).unwrap();
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
    let mut all = Weights::new();
    let mut encoders = Vec::new();
    for sense in Sense::ALL {
        let config = tiny(sense);
        let encoder: Encoder<Inference> = config.init(&device).unwrap();
        for (name, array) in encoder.to_weights().iter() {
            assert!(Names(sense).has(name), "{name} is of {sense}");
            all.insert(name, &array.shape, array.values.clone());
        }
        let shapes: Vec<_> = encoder.shapes();
        assert_eq!(shapes.len(), encoder.to_weights().iter().count(), "{sense}");
        for (name, shape) in shapes {
            assert_eq!(all.get(&name).map(|a| &a.shape), Some(&shape), "{name}");
        }
        encoders.push(encoder);
    }
    for (name, shape) in [
        (
            "modality_preprocessors.vision.rgbt_stem.proj.1.weight",
            vec![16, 3, 2, 4, 4],
        ),
        (
            "modality_preprocessors.vision.pos_embedding_helper.pos_embed",
            vec![1, 10, 16],
        ),
        (
            "modality_trunks.vision.pre_transformer_layer.0.bias",
            vec![16],
        ),
        (
            "modality_preprocessors.text.token_embedding.weight",
            vec![50, 16],
        ),
        ("modality_preprocessors.text.mask", vec![7, 7]),
        ("modality_heads.text.proj.1.weight", vec![12, 16]),
        ("modality_postprocessors.text.1.log_logit_scale", vec![]),
        (
            "modality_preprocessors.audio.rgbt_stem.proj.weight",
            vec![16, 1, 4, 4],
        ),
        (
            "modality_preprocessors.depth.depth_stem.norm_layer.bias",
            vec![16],
        ),
        ("modality_heads.thermal.2.weight", vec![12, 16]),
        (
            "modality_preprocessors.imu.imu_stem.proj.weight",
            vec![16, 48],
        ),
        ("modality_preprocessors.imu.pos_embed", vec![1, 5, 16]),
        (
            "modality_trunks.imu.blocks.1.attn.in_proj_weight",
            vec![48, 16],
        ),
        ("modality_trunks.imu.blocks.1.attn.bias_k", vec![1, 1, 16]),
        ("modality_trunks.imu.blocks.0.mlp.fc1.weight", vec![64, 16]),
        ("modality_heads.imu.3.weight", vec![12, 16]),
    ] {
        assert_eq!(
            all.get(name).map(|a| a.shape.clone()),
            Some(shape),
            "{name}"
        );
    }

    for original in encoders {
        let config = *original.config();
        let other: Encoder<Inference> = config.init(&device).unwrap();
        let restored = other.with_weights(&all).unwrap();
        let (a, b) = (
            original.forward(batch(&config)),
            restored.forward(batch(&config)),
        );
        assert_eq!(numbers(a), numbers(b), "{}", config.sense());
    }

    let name = "modality_trunks.imu.blocks.2.norm_1.bias";
    let mut deeper = Weights::new();
    for (name, array) in all.iter() {
        deeper.insert(name, &array.shape, array.values.clone());
    }
    deeper.insert(name, &[16], vec![0.0; 16]);
    let encoder = tiny(Sense::Imu).init::<Inference>(&device).unwrap();
    assert_eq!(
        encoder.with_weights(&deeper).unwrap_err().to_string(),
        format!("weight {name:?} is none of the encoder's")
    );

    let wider = EncoderConfig {
        output: 13,
        ..tiny(Sense::Imu)
    };
    let encoder = wider.init::<Inference>(&device).unwrap();
    assert_eq!(
        encoder.with_weights(&all).unwrap_err().to_string(),
        "weight \"modality_heads.imu.3.weight\" has shape [12, 16], expected [13, 16]"
    );
}

#[test]
fn weights_that_are_read_block_by_block_give_the_same() {
    let device = Default::default();
    for sense in Sense::ALL {
        let config = tiny(sense);
        let encoder = config.init::<Inference>(&device).unwrap();
        let weights = encoder.to_weights();
        let streamed = config.forward_from::<Inference>(&weights, batch(&config), &device);
        let expected = numbers(encoder.forward(batch(&config)));
        assert_eq!(numbers(streamed.unwrap()), expected, "{sense}");
        let mut more = weights.clone();
        let extra = format!("modality_trunks.{sense}.blocks.2.norm_1.bias");
        more.insert(extra.clone(), &[16], vec![0.0; 16]);
        let error = config.forward_from::<Inference>(&more, batch(&config), &device);
        let told = format!("weight {extra:?} is none of the encoder's");
        assert_eq!(error.unwrap_err().to_string(), told);
    }
}

#[test]
fn dimensions_that_make_no_encoder_are_refused() {
    let tiny = tiny(Sense::Imu);
    let message = |config: EncoderConfig| config.check().unwrap_err().to_string();
    for (config, expected) in [
        (
            EncoderConfig {
                input: InputConfig::Imu {
                    samples: 7,
                    patch: 8,
                },
                ..tiny
            },
            "the input is 7 long, expected at least a patch, 8",
        ),
        (
            EncoderConfig { heads: 3, ..tiny },
            "heads is 3, expected a divisor of dim, 16",
        ),
        (
            EncoderConfig { dim: 0, ..tiny },
            "dim is 0, expected at least 1",
        ),
        (
            EncoderConfig {
                drop_path: 1.0,
                ..tiny
            },
            "drop_path is 1, expected at least 0 and below 1",
        ),
        (
            EncoderConfig {
                scale: Some(-1.0),
                ..tiny
            },
            "scale is -1, expected a positive number",
        ),
    ] {
        assert_eq!(message(config), expected);
    }
}

/// Four kinds of window, told apart by frequency and phase-free: the encoder has to learn them.
#[test]
fn a_small_encoder_learns_a_small_set() {
    let device = Default::default();
    Training::seed(&device, 3);
    let mut encoder: Encoder<Training> = tiny(Sense::Imu).init(&device).unwrap();
    let samples = 32;
    let phases = 8;
    let mut values = Vec::new();
    let mut targets = Vec::new();
    for class in 0..4usize {
        for phase in 0..phases {
            for channel in 0..IMU_CHANNELS {
                for t in 0..samples {
                    let angle = (class + 1) as f32 * 0.2 * t as f32;
                    values.push((angle + phase as f32 * 0.8 + channel as f32 * 0.5).sin());
                }
            }
            targets.push(class as i64);
        }
    }
    let data = TensorData::new(values, [targets.len(), IMU_CHANNELS, samples]);
    let input = Input::windows(Tensor::<Training, 3>::from_data(data, &device));
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
        .forward(inner(input))
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

fn inner(input: Input<Training>) -> Input<Inference> {
    match input {
        Input::Values(values) => Input::Values(values.inner()),
        Input::Text(ids) => Input::Text(ids.inner()),
    }
}

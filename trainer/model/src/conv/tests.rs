#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer, SgdConfig};

use super::*;
use crate::backend::{Inference, Training};
use crate::{Sense, state};

fn conv(channels: usize, kernel: [usize; 2], stride: [usize; 2]) -> LayerConfig {
    LayerConfig::Conv {
        channels,
        kernel,
        stride,
        groups: 1,
        norm: Norm::Batch,
        activation: Activation::Relu,
        residual: false,
    }
}

/// Every kind of layer.
fn tiny() -> ConvConfig {
    let separable = LayerConfig::Conv {
        channels: 6,
        kernel: [3, 3],
        stride: [1, 1],
        groups: 6,
        norm: Norm::None,
        activation: Activation::None,
        residual: true,
    };
    ConvConfig {
        sense: Sense::Depth,
        input: vec![2, 5, 9, 8],
        layers: vec![
            LayerConfig::Centre { spread: true },
            conv(6, [3, 5], [2, 1]),
            separable,
            LayerConfig::Dropout { share: 0.1 },
            LayerConfig::Pool {
                by: Pooling::MeanMax,
                kernel: Some([2, 3]),
            },
            LayerConfig::JoinFrames {},
            conv(7, [1, 3], [1, 2]),
            LayerConfig::Pool {
                by: Pooling::Max,
                kernel: None,
            },
        ],
        output: 4,
        dropout: 0.2,
        skip: false,
        scale: Some(10.0),
        learn_scale: true,
        conse: None,
    }
}

fn batch<B: Backend>(config: &ConvConfig, phases: &[f32]) -> Input<B> {
    let len: usize = config.input.iter().product();
    let wave = |phase: f32| (0..len).map(move |i| (i as f32 * 0.37 + phase).sin());
    let values = phases.iter().flat_map(|&phase| wave(phase)).collect();
    Input::of_shape(values, &config.input, &Default::default())
}

fn embed(encoder: &ConvEncoder<Inference>, phases: &[f32]) -> Vec<f32> {
    let output = encoder.forward(batch(encoder.config(), phases));
    output.into_data().iter::<f32>().collect()
}

/// Without what is random: tests beside this one draw from the same numbers.
fn certain() -> ConvConfig {
    let layers = tiny().layers.into_iter();
    ConvConfig {
        dropout: 0.0,
        layers: layers
            .filter(|layer| !matches!(layer, LayerConfig::Dropout { .. }))
            .collect(),
        ..tiny()
    }
}

/// After a few steps, so that running means are none that they began with.
fn trained(config: &ConvConfig, steps: usize) -> ConvEncoder<Training> {
    let device = Default::default();
    let mut encoder = config.init::<Training>(&device).unwrap();
    let mut optimizer = SgdConfig::new().init();
    let wanted = Tensor::<Training, 2>::from_data([[0.0, 1.0, 0.0, 0.0]], &device);
    for _ in 0..steps {
        let output = encoder.forward(batch(config, &[0.0, 1.3, 2.9]));
        let loss = (output - wanted.clone()).powi_scalar(2).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(0.05, encoder, gradients);
    }
    encoder
}

#[test]
fn layers_are_given_what_the_ones_before_give() {
    let extents = tiny().extents().unwrap();
    let sizes: Vec<_> = extents
        .iter()
        .map(|e| (e.frames, e.channels, e.size))
        .collect();
    assert_eq!(
        sizes,
        [
            (5, 2, [9, 8]),
            (5, 2, [9, 8]),
            (5, 6, [5, 8]),
            (5, 6, [5, 8]),
            (5, 6, [5, 8]),
            (5, 12, [2, 2]),
            (1, 48, [1, 5]),
            (1, 7, [1, 3]),
            (1, 7, [1, 1]),
        ]
    );
    let output = embed(&trained(&tiny(), 2).valid(), &[0.4, 0.9]);
    assert_eq!(output.len(), 8);
    for row in output.chunks_exact(4) {
        let length: f32 = row.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}

#[test]
fn an_input_is_embedded_alike_alone_and_among_others() {
    let encoder = trained(&tiny(), 3).valid();
    let together = embed(&encoder, &[0.4, 0.9, 2.2]);
    for (phase, row) in [0.4, 0.9, 2.2].into_iter().zip(together.chunks_exact(4)) {
        for (alone, among) in embed(&encoder, &[phase]).iter().zip(row) {
            assert!((alone - among).abs() < 1e-5);
        }
    }
}

#[test]
fn weights_come_back_with_the_running_means() {
    let encoder = trained(&tiny(), 3);
    let weights = encoder.to_weights();
    let mean = weights.get("depth.layers.1.norm.running_mean").unwrap();
    assert!(mean.values.iter().any(|v| v.abs() > 1e-4));
    let other = tiny().init::<Inference>(&Default::default()).unwrap();
    let other = other.with_weights(&weights).unwrap();
    let (same, as_before) = (embed(&other, &[0.4]), embed(&encoder.valid(), &[0.4]));
    for (a, b) in same.iter().zip(&as_before) {
        assert!((a - b).abs() < 1e-6, "{same:?}, {as_before:?}");
    }
    assert_eq!(other.to_weights(), weights);

    let error = |weights: &crate::weights::Weights| {
        let fresh = tiny().init::<Inference>(&Default::default()).unwrap();
        fresh.with_weights(weights).unwrap_err().to_string()
    };
    let mut extra = weights.clone();
    extra.insert("depth.layers.0.conv.bias", &[1], vec![0.0]);
    assert_eq!(
        error(&extra),
        "weight \"depth.layers.0.conv.bias\" is none of the encoder's"
    );
    let mut other = weights.clone();
    other.insert("depth.head.weight", &[7, 4], vec![0.0; 28]);
    assert_eq!(
        error(&other),
        "weight \"depth.head.weight\" has shape [7, 4], expected [4, 7]"
    );
}

#[test]
fn a_kept_state_goes_on_as_the_one_that_was_kept() {
    let config = certain();
    let encoder = trained(&config, 3);
    let bytes = state::save(encoder.clone());
    let device = Default::default();
    let fresh = config.init::<Training>(&device).unwrap();
    let kept: ConvEncoder<Training> = state::load(fresh, bytes, &device);
    assert_eq!(kept.to_weights(), encoder.to_weights());
    let next = |encoder: &ConvEncoder<Training>| {
        let _ = encoder.forward(batch(&config, &[0.1, 0.7]));
        encoder.to_weights()
    };
    assert_eq!(next(&kept), next(&encoder));
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let (mut config, device) = (certain(), Default::default());
    // Corners, of which differences over a step know nothing, have tests of their own in burn.
    for layer in &mut config.layers {
        match layer {
            LayerConfig::Conv { activation, .. } => *activation = Activation::None,
            LayerConfig::Pool { by, .. } => *by = Pooling::Mean,
            _ => {}
        }
    }
    let encoder = config.init::<Training>(&device).unwrap();
    let loss_of = |encoder: &ConvEncoder<Training>| {
        let output = encoder.forward(batch(&config, &[0.0, 1.3, 2.9]));
        output.slice([0..3, 0..1]).sum()
    };
    let gradients = loss_of(&encoder).backward();
    let weights = encoder.to_weights();
    for (index, name, place) in [
        (1, "conv.weight", 3),
        (5, "conv.weight", 20),
        (1, "norm.bias", 1),
    ] {
        let layer = &encoder.layers[index];
        let actual: Vec<f32> = if name == "norm.bias" {
            let beta = layer.norm.as_ref().unwrap().beta.val();
            beta.grad(&gradients).unwrap().into_data().iter().collect()
        } else {
            let weight = layer.conv.as_ref().unwrap().weight.val();
            weight
                .grad(&gradients)
                .unwrap()
                .into_data()
                .iter()
                .collect()
        };
        let name = layer_name(index, name);
        let moved = |by: f32| -> f64 {
            let mut weights = weights.clone();
            let array = weights.get(&name).unwrap().clone();
            let mut values = array.values;
            values[place] += by;
            weights.insert(name.clone(), &array.shape, values);
            let encoder = config.init::<Training>(&device).unwrap();
            let encoder = encoder.with_weights(&weights).unwrap();
            loss_of(&encoder).into_scalar().elem()
        };
        let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!(
            (f64::from(actual[place]) - expected).abs() < 2e-3,
            "{name}: {}, {expected}",
            actual[place]
        );
    }
}

fn layer_name(index: usize, part: &str) -> String {
    super::walk::layer_name(Sense::Depth, index, part)
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let refused = |change: &dyn Fn(&mut ConvConfig)| {
        let mut config = tiny();
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|c| c.layers[1] = conv(6, [2, 5], [1, 1])),
        "layers[1]: kernel is [2, 5], expected odd sides"
    );
    assert_eq!(
        refused(&|c| c.layers[6] = conv(0, [1, 3], [1, 1])),
        "layers[6]: channels is 0, expected at least 1"
    );
    let pool = |kernel| LayerConfig::Pool {
        by: Pooling::Mean,
        kernel: Some(kernel),
    };
    assert_eq!(
        refused(&|c| c.layers[4] = pool([2, 9])),
        "layers[4]: kernel is [2, 9], expected 1 to [5, 8]"
    );
    assert_eq!(
        refused(&|c| {
            c.layers.remove(5);
        }),
        "the input has frames, expected a layer join-frames"
    );
    assert!(
        refused(&|c| c.input = vec![3]).starts_with("input is [3], expected [channels, width]")
    );
    assert_eq!(
        refused(&|c| c.dropout = 1.0),
        "dropout is 1, expected at least 0 and below 1"
    );
    assert_eq!(
        refused(&|c| c.layers[0] = LayerConfig::Detail { scale: 0.0 }),
        "layers[0]: scale is 0, expected a number above 0"
    );
    let mut groups = tiny();
    if let LayerConfig::Conv { groups, .. } = &mut groups.layers[2] {
        *groups = 4;
    }
    assert_eq!(
        groups.check().unwrap_err().to_string(),
        "layers[2]: groups is 4, expected a divisor of 6 and 6"
    );
}

#[test]
fn small_motions_beside_a_large_constant_are_stretched() {
    let device = Default::default();
    let row = [1.0f32, 1.02, 0.98, 1.0, -3e4, -3e4, -3e4, 9e4];
    let x = Tensor::<Inference, 1>::from_data(row, &device).reshape([1, 2, 1, 4]);
    let y: Vec<f32> = detailed(x, 0.02).into_data().iter().collect();
    assert_eq!(y[..8], row);
    // asinh(±1) = ±0.881374; of so large a number it is the logarithm of its double.
    let detail = [0.0, 0.881_374, -0.881_374, 0.0];
    for (value, expected) in y[8..12].iter().zip(detail) {
        assert!((value - expected).abs() < 1e-4, "{y:?}");
    }
    for (value, expected) in y[12..].iter().zip([-3e4f32, -3e4, -3e4, 9e4]) {
        let expected = (expected.abs() * 2.0 / 0.02).ln() * expected.signum();
        assert!((value - expected).abs() < 1e-4, "{y:?}");
    }
}

#[test]
fn finished_embeddings_lean_towards_likely_words() {
    let conse = Conse {
        words: 2,
        temperature: 0.5,
        weight: 2.0,
    };
    let config = ConvConfig {
        conse: Some(conse),
        ..certain()
    };
    let device = Default::default();
    let rows = [[0.0f32, 1.0, 0.0, 0.0], [0.6, 0.0, 0.8, 0.0]];
    let words = Tensor::from_data(rows, &device);
    let encoder = trained(&certain(), 2).with_conse(conse, words);
    assert_eq!(encoder.config(), &config);
    let weights = encoder.to_weights();
    assert_eq!(
        weights.get("depth.words").unwrap().values,
        rows.as_flattened()
    );
    // A step moves everything but the words.
    let mut optimizer = SgdConfig::new().init();
    let loss = encoder
        .forward(batch(&config, &[0.0, 1.3]))
        .slice([0..2, 0..1])
        .sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
    let moved: ConvEncoder<Training> = optimizer.step(0.05, encoder.clone(), gradients);
    let moved = moved.to_weights();
    assert_eq!(moved.get("depth.words"), weights.get("depth.words"));
    assert_ne!(
        moved.get("depth.head.weight"),
        weights.get("depth.head.weight")
    );

    let other = config.init::<Inference>(&device).unwrap();
    let other = other.with_weights(&weights).unwrap();
    let x = embed(&other, &[0.4]);
    let leaning = other.embed(batch(&config, &[0.4]));
    let leaning: Vec<f32> = leaning.into_data().iter().collect();
    let likely = rows.map(|row| (x.iter().zip(row).map(|(a, b)| a * b).sum::<f32>() / 0.5).exp());
    let mut expected: Vec<f32> = (0..4)
        .map(|i| {
            let mean = likely[0] * rows[0][i] + likely[1] * rows[1][i];
            x[i] + 2.0 * mean / (likely[0] + likely[1])
        })
        .collect();
    let length = expected.iter().map(|v| v * v).sum::<f32>().sqrt();
    expected.iter_mut().for_each(|v| *v /= length);
    for (value, expected) in leaning.iter().zip(&expected) {
        assert!((value - expected).abs() < 1e-5, "{leaning:?}, {expected:?}");
    }
    assert_eq!(
        ConvConfig {
            conse: Some(Conse { words: 0, ..conse }),
            ..certain()
        }
        .check()
        .unwrap_err()
        .to_string(),
        "conse.words is 0, expected a number above 0"
    );
}

#[test]
fn a_way_past_the_linear_layer_is_where_training_starts() {
    let config = ConvConfig {
        sense: Sense::Thermal,
        input: vec![9, 1],
        layers: Vec::new(),
        output: 4,
        dropout: 0.0,
        skip: true,
        scale: None,
        learn_scale: false,
        conse: None,
    };
    let start: Vec<f32> = embed(&config.init(&Default::default()).unwrap(), &[0.4]);
    let given: Vec<f32> = (5..9).map(|i| (i as f32 * 0.37 + 0.4).sin()).collect();
    let length = given.iter().map(|v| v * v).sum::<f32>().sqrt();
    for (value, given) in start.iter().zip(&given) {
        assert!((value - given / length).abs() < 1e-6, "{start:?}");
    }
    let encoder = trained(&config, 200).valid();
    let after = embed(&encoder, &[0.0]);
    assert!(after[1] > 0.95, "{after:?}");

    let message = |config: ConvConfig| config.check().unwrap_err().to_string();
    assert_eq!(
        message(ConvConfig {
            input: vec![4, 1],
            ..config
        }),
        "skip is for an encoder of no layers whose input is [more than 4, 1], found 0 layers and [4, 1]"
    );
}

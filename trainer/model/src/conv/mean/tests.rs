#![expect(clippy::unwrap_used, reason = "a test's helper fails as the test does")]

use super::*;
use crate::backend::Inference;
use crate::conv::Activation;
use crate::{Input, Sense};

fn conv(channels: usize, groups: usize, norm: Norm, residual: bool) -> LayerConfig {
    LayerConfig::Conv {
        channels,
        kernel: [3, 3],
        stride: [1, 1],
        groups,
        norm,
        activation: Activation::Relu,
        residual,
    }
}

fn config() -> ConvConfig {
    ConvConfig {
        sense: Sense::Thermal,
        input: vec![2, 3, 4, 6],
        layers: vec![
            LayerConfig::Detail { scale: 0.5 },
            conv(4, 1, Norm::Batch, false),
            conv(4, 2, Norm::Group(2), true),
            LayerConfig::Centre { spread: false },
            LayerConfig::Pool {
                by: Pooling::Max,
                kernel: Some([2, 2]),
            },
            LayerConfig::JoinFrames {},
            conv(5, 1, Norm::None, false),
            LayerConfig::Pool {
                by: Pooling::Mean,
                kernel: None,
            },
        ],
        output: 3,
        dropout: 0.1,
        skip: false,
        scale: Some(10.0),
        learn_scale: true,
        conse: None,
    }
}

/// A net with weights that are as good as random, running means and variances among them.
fn net(config: &ConvConfig, seed: f32) -> (Weights, ConvConfig) {
    let encoder = config.init::<Inference>(&Default::default()).unwrap();
    let mut weights = Weights::new();
    for (at, (name, array)) in encoder.to_weights().iter().enumerate() {
        let number = |i: usize| ((i * 31 + at * 7) as f32 * 0.7 + seed).sin() * 0.6;
        let values = (0..array.values.len()).map(|i| match name.ends_with("_var") {
            true => number(i).abs() + 0.5,
            false => number(i),
        });
        weights.insert(name, &array.shape, values.collect());
    }
    (weights, config.clone())
}

fn embedding((weights, config): &(Weights, ConvConfig)) -> Vec<f32> {
    let encoder = config.init::<Inference>(&Default::default()).unwrap();
    let encoder = encoder.with_weights(weights).unwrap();
    let len: usize = config.input.iter().product();
    let values = (0..2 * len).map(|i| (i as f32 * 0.37).sin()).collect();
    let input = Input::of_shape(values, &config.input, &Default::default());
    encoder.forward(input).into_data().iter().collect()
}

/// What the linear layer of a net gives, before that is brought to length 1.
fn unnormalised((weights, config): &(Weights, ConvConfig)) -> Vec<f32> {
    // Beside one output that is a constant 1, the others keep their proportion to it.
    let mut beside = Weights::new();
    for (name, array) in weights.iter() {
        let (mut shape, mut values) = (array.shape.clone(), array.values.clone());
        if name == head_name(config.sense, "weight") {
            values.extend(vec![0.0; shape[1]]);
            shape[0] += 1;
        } else if name == head_name(config.sense, "bias") {
            values.push(1.0);
            shape[0] += 1;
        }
        beside.insert(name, &shape, values);
    }
    let mut config = config.clone();
    config.output += 1;
    let embeddings = embedding(&(beside, config.clone()));
    let rows = embeddings.chunks_exact(config.output);
    rows.flat_map(|row| {
        let (one, others) = row.split_last().unwrap();
        others.iter().map(|value| value / one).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn side_by_side_nets_give_the_mean_of_what_each_gives() {
    let nets = [0.1, 1.3, 2.9].map(|seed| net(&config(), seed));
    let (weights, wide) = mean(&nets).unwrap();
    assert_eq!(wide.output, 3);
    let parts = nets.each_ref().map(unnormalised);
    let joined = unnormalised(&(weights, wide));
    assert_eq!(joined.len(), 6);
    for (at, value) in joined.iter().enumerate() {
        let expected = parts.iter().map(|part| part[at]).sum::<f32>() / 3.0;
        assert!(
            (value - expected).abs() < 1e-4 * (1.0 + expected.abs()),
            "{value}, {expected}"
        );
    }
    assert!(parts[0] != parts[1] && parts[1] != parts[2]);
}

#[test]
fn nets_that_have_no_mean_are_refused() {
    let one = net(&config(), 0.1);
    let refused = |nets: &[(Weights, ConvConfig)]| mean(nets).unwrap_err().to_string();
    assert_eq!(refused(&[]), "found 0 nets, expected at least 2");
    assert_eq!(
        refused(std::slice::from_ref(&one)),
        "found 1 nets, expected at least 2"
    );
    let other = ConvConfig {
        output: 4,
        ..config()
    };
    assert_eq!(
        refused(&[one.clone(), one.clone(), net(&other, 0.2)]),
        "net 2 has other layers than the first"
    );
    let changed = |at: usize, layer: LayerConfig| {
        let mut changed = config();
        changed.layers[at] = layer;
        let net = net(&changed, 0.3);
        refused(&[net.clone(), net])
    };
    let both = LayerConfig::Pool {
        by: Pooling::MeanMax,
        kernel: Some([2, 2]),
    };
    assert_eq!(
        changed(4, both),
        "layers[4]: mean-max cannot lie beside another net's"
    );
    assert_eq!(
        changed(3, LayerConfig::Level { floor: 0.1 }),
        "layers[3]: level cannot lie beside another net's"
    );
    assert_eq!(
        changed(1, conv(4, 2, Norm::None, false)),
        "layers[1]: a first convolution in groups cannot lie beside another net's"
    );
    assert_eq!(
        changed(1, conv(4, 1, Norm::None, true)),
        "layers[1]: a first convolution that is added to its input cannot lie beside another net's"
    );
    let mut plain = config();
    plain.input = vec![2, 6];
    plain.layers.clear();
    let plain = net(&plain, 0.3);
    assert_eq!(
        refused(&[plain.clone(), plain]),
        "the nets have no convolution"
    );
    let mut lacking = Weights::new();
    for (name, array) in one.0.iter().skip(1) {
        lacking.insert(name, &array.shape, array.values.clone());
    }
    assert!(refused(&[one, (lacking, config())]).ends_with("is missing"));
}

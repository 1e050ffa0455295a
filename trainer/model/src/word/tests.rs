use super::*;
use crate::backend::{Inference, Training};
use crate::optimizer::AdamW;
use burn::optim::{AdamWConfig, GradientsParams};

const SMALL: WordConfig = WordConfig {
    vocabulary: 7,
    table: 4,
    dim: 6,
    heads: 2,
    blocks: 2,
    tokens: 5,
    output: 3,
};

fn values(tensor: Tensor<Inference, 2>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[test]
fn at_first_a_text_is_the_mean_of_its_tokens_wherever_they_stand() {
    let device = Default::default();
    let tower = SMALL.init::<Inference>(&device).unwrap();
    let mut weights = tower.to_weights();
    let room = SMALL.tokens * SMALL.dim;
    weights.insert(POSITIONS, &[1, SMALL.tokens, SMALL.dim], vec![0.0; room]);
    let tower = tower.with_weights(&weights).unwrap();
    let one = values(tower.forward(vec![1, 2, 3], 3, &device));
    let turned = values(tower.forward(vec![3, 1, 2], 3, &device));
    assert!(one.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-5));
    let length: f32 = one.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5);
    // The same by hand, from the weights.
    let get = |name: &str| weights.get(name).unwrap().values.clone();
    let (table, up, head, bias) = (get(TABLE), get(UP), get("head.weight"), get("head.bias"));
    let mut by_hand = bias;
    for (out, value) in by_hand.iter_mut().enumerate() {
        for d in 0..SMALL.dim {
            for t in 0..SMALL.table {
                let mean: f32 = [1, 2, 3].iter().map(|id| table[id * 4 + t]).sum::<f32>() / 3.0;
                *value += head[out * SMALL.dim + d] * up[d * SMALL.table + t] * mean;
            }
        }
    }
    let norm = by_hand.iter().map(|v| v * v).sum::<f32>().sqrt();
    for (value, expected) in one.iter().zip(&by_hand) {
        assert!(
            (value - expected / norm).abs() < 1e-5,
            "{one:?} {by_hand:?}"
        );
    }
}

#[test]
fn a_batch_is_its_texts_one_by_one_and_weights_read_back() {
    let device = Default::default();
    let tower = SMALL.init::<Inference>(&device).unwrap();
    let both = values(tower.forward(vec![1, 2, 5, 4], 2, &device));
    let first = values(tower.forward(vec![1, 2], 2, &device));
    assert!(both.iter().zip(&first).all(|(a, b)| (a - b).abs() < 1e-6));
    let other = SMALL.init::<Inference>(&device).unwrap();
    let other = other.with_weights(&tower.to_weights()).unwrap();
    assert_eq!(values(other.forward(vec![1, 2], 2, &device)), first);
    let table = WordConfig { blocks: 0, ..SMALL };
    let error = { table.init::<Inference>(&device).unwrap() }
        .with_weights(&Weights::new())
        .unwrap_err();
    assert_eq!(error.to_string(), "weight \"table.weight\" is missing");
}

#[test]
fn blocks_learn_the_order_that_a_table_cannot() {
    let device = Default::default();
    Training::seed(&device, 3);
    let targets = Tensor::<Training, 2>::from_data([[1.0f32, 0.0, 0.0], [0.0, 1.0, 0.0]], &device);
    let loss_after = |blocks| {
        let config = WordConfig { blocks, ..SMALL };
        let mut tower = config.init::<Training>(&device).unwrap();
        let adam = AdamWConfig::new().with_weight_decay(0.0);
        let mut optimizer = AdamW::new(&adam, tower.undecayed());
        let mut last = 0.0;
        for _ in 0..200 {
            let rows = tower.forward(vec![1, 2, 2, 1], 2, &device);
            let loss = (rows * targets.clone())
                .sum_dim(1)
                .neg()
                .add_scalar(1.0)
                .mean();
            last = loss.clone().into_scalar().elem::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &tower);
            tower = optimizer.step(0.01, tower, gradients);
        }
        last
    };
    // The mean of the two is all that a table can say: at 45 degrees from both.
    assert!(loss_after(0) > 0.29);
    assert!(loss_after(2) < 0.05);
}

#[test]
fn dimensions_that_make_no_tower_are_named() {
    let error = |config: WordConfig| config.check().unwrap_err().to_string();
    let config = WordConfig { heads: 4, ..SMALL };
    assert_eq!(error(config), "heads is 4, expected a divisor of dim, 6");
    let config = WordConfig { table: 8, ..SMALL };
    assert_eq!(error(config), "table is 8, expected at most dim, 6");
    let config = WordConfig { tokens: 0, ..SMALL };
    assert_eq!(error(config), "tokens is 0, expected at least 1");
}

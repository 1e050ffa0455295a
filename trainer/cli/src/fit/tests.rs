use burn::tensor::Tensor;
use sensorium_model::backend::Inference;

use super::*;

const IMU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes/sense-1/imu.toml");

#[test]
fn a_training_begins_with_weights_that_leaned_towards_other_words() {
    let (dir, device) = (tempfile::tempdir().unwrap(), Default::default());
    let recipe = Recipe::open(Path::new(IMU)).unwrap();
    let conse = recipe.conse(2).unwrap();
    let words = Tensor::ones([2, recipe.encoder.output()], &device);
    let plain = recipe.encoder.init::<Inference>(&device).unwrap();
    let before = plain.to_weights();
    let run = RunDir::begin(dir.path(), Path::new(IMU), &[], &Facts::default(), false).unwrap();
    run.save_checkpoint(&plain.with_conse(conse, words))
        .unwrap();
    let (weights, _) = weights_of(dir.path(), &recipe).unwrap();
    assert_eq!(weights, before);

    let mut other = recipe;
    if let TowerConfig::Conv(config) = &mut other.encoder {
        config.layers.pop();
    }
    let error = weights_of(dir.path(), &other).unwrap_err().to_string();
    assert!(
        error.contains("is another encoder than that of the recipe"),
        "{error}"
    );
}

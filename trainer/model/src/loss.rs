//! What binds an embedding to its anchor.

use burn::prelude::*;

use crate::ops::{self, FusedBackend};

mod pair;

pub use pair::{PairLoss, pair_nce, pair_sigmoid};

/// How [`info_nce`] weighs similarities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InfoNce {
    /// Divides cosines; the smaller, the more the nearest wrong anchor matters.
    pub temperature: f64,
    /// Share of each target that is spread evenly over all anchors, from 0 to below 1.
    pub label_smoothing: f64,
}

/// InfoNCE of embeddings against frozen anchors.
///
/// Anchors are *distinct*: samples of one class share a row, so none is another's negative. With
/// every class present this is cross-entropy over classes; [`distinct`] finds the rows where a
/// batch's own classes shall be its only negatives.
///
/// # Shapes
///
/// `embeddings` `[batch, dim]` and `anchors` `[classes, dim]`, rows L2-normalised; `targets`
/// `[batch]`, rows of `anchors`. The result is the mean over the batch, `[1]`.
///
/// # Panics
///
/// If shapes disagree.
pub fn info_nce<B: FusedBackend>(
    embeddings: Tensor<B, 2>,
    anchors: Tensor<B, 2>,
    targets: Tensor<B, 1, Int>,
    config: InfoNce,
) -> Tensor<B, 1> {
    let scaled = embeddings.div_scalar(config.temperature);
    let sums = ops::nce(scaled.clone(), anchors.clone(), None);
    // What the logits are weighed by sums to 1, so it may weigh the anchors first.
    let spread = anchors
        .clone()
        .mean_dim(0)
        .mul_scalar(config.label_smoothing);
    let own = anchors
        .select(0, targets)
        .mul_scalar(1.0 - config.label_smoothing);
    let wanted = (scaled * (own + spread)).sum_dim(1).squeeze_dim(1);
    (sums - wanted).mean()
}

/// The distinct labels of a batch in ascending order, and each sample's place among them.
#[must_use]
pub fn distinct(labels: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let targets = labels
        .iter()
        .map(|label| classes.partition_point(|c| c < label))
        .collect();
    (classes, targets)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::backend::{Inference, Training};
    use burn::tensor::TensorData;

    const CONFIG: InfoNce = InfoNce {
        temperature: 0.07,
        label_smoothing: 0.1,
    };

    fn loss_of(embeddings: &[[f32; 3]], targets: &[i64], config: InfoNce) -> f64 {
        let device = Default::default();
        let rows = embeddings.len();
        let data = TensorData::new(embeddings.as_flattened().to_vec(), [rows, 3]);
        info_nce::<Inference>(
            Tensor::from_data(data, &device),
            Tensor::from_data([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]], &device),
            Tensor::from_data(targets, &device),
            config,
        )
        .into_scalar()
        .into()
    }

    #[test]
    fn the_value_is_that_computed_by_hand() {
        // Cosines 0.6 and 0.48 over 0.5: logits 1.2 and 0.96, so the loss of target 0 is
        // ln(1 + exp(-0.24)) = 0.580330, and of target 1 0.24 more.
        let plain = InfoNce {
            temperature: 0.5,
            label_smoothing: 0.0,
        };
        let x = [0.6, 0.8, 0.0];
        assert!((loss_of(&[x], &[0], plain) - 0.580_330).abs() < 2e-6);
        assert!((loss_of(&[x], &[1], plain) - 0.820_330).abs() < 2e-6);
        // Smoothing 0.2 gives target 0 the weights 0.9 and 0.1; the batch takes the mean.
        let smooth = InfoNce {
            temperature: 0.5,
            label_smoothing: 0.2,
        };
        assert!((loss_of(&[x], &[0], smooth) - (0.580_330 + 0.024)).abs() < 2e-6);
        assert!((loss_of(&[x, x], &[0, 1], plain) - 0.700_330).abs() < 2e-6);
    }

    #[test]
    fn a_class_that_comes_twice_is_no_negative_of_itself() {
        let x = [0.6, 0.8, 0.0];
        let once = loss_of(&[x], &[0], CONFIG);
        assert!((loss_of(&[x, x, x], &[0, 0, 0], CONFIG) - once).abs() < 1e-6);
        assert_eq!(distinct(&[7, 2, 7, 9]), (vec![2, 7, 9], vec![1, 0, 1, 2]));
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let points = [[0.3f32, -0.5, 0.2], [0.9, 0.1, -0.4], [-0.2, 0.7, 0.6]];
        let targets = [0i64, 1, 1];
        let device = Default::default();
        let data = TensorData::new(points.as_flattened().to_vec(), [3, 3]);
        let x = Tensor::<Training, 2>::from_data(data, &device).require_grad();
        let anchors = Tensor::from_data([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]], &device);
        let config = InfoNce {
            temperature: 0.5,
            label_smoothing: 0.1,
        };
        let loss = info_nce(
            x.clone(),
            anchors,
            Tensor::from_data(targets, &device),
            config,
        );
        let gradient = x
            .grad(&loss.backward())
            .unwrap()
            .into_data()
            .to_vec::<f32>()
            .unwrap();
        for (index, actual) in gradient.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut points = points;
                points[index / 3][index % 3] += by;
                loss_of(&points, &targets, config)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (f64::from(actual) - expected).abs() < 1e-4,
                "{index}: {actual}, {expected}"
            );
        }
    }
}

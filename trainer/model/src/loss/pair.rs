//! Losses of pairs: what was recorded together shall lie together.

use burn::prelude::*;
use burn::tensor::activation;

use crate::ops::{self, FusedBackend};

/// Both halves of InfoNCE over a batch of pairs.
#[derive(Debug, Clone)]
pub struct PairLoss<B: Backend> {
    /// Mean over anchors of finding their own embedding, `[1]`.
    pub from_anchor: Tensor<B, 1>,
    /// Mean over embeddings of finding their own anchor, `[1]`.
    pub from_embedding: Tensor<B, 1>,
}

/// InfoNCE from anchors to embeddings and back (Oord et al. 2018; ImageBind adds the two).
///
/// # Shapes
///
/// `anchors` and `embeddings` are `[batch, dim]`, row `i` of one belonging to row `i` of the other,
/// and already scaled: their products are the logits. `groups` `[batch]` says what a row is of, such
/// as the number of a picture that is drawn twice; rows of one group are no negatives of each other.
///
/// # Panics
///
/// If shapes disagree.
pub fn pair_nce<B: FusedBackend>(
    anchors: Tensor<B, 2>,
    embeddings: Tensor<B, 2>,
    groups: Option<Tensor<B, 1, Int>>,
) -> PairLoss<B> {
    assert_eq!(anchors.dims(), embeddings.dims(), "pair_nce: pairs");
    let own = (anchors.clone() * embeddings.clone()).sum_dim(1).mean();
    let all = |x, y| ops::nce(x, y, groups.clone()).mean() - own.clone();
    PairLoss {
        from_anchor: all(anchors.clone(), embeddings.clone()),
        from_embedding: all(embeddings, anchors),
    }
}

impl<B: Backend> PairLoss<B> {
    /// The symmetric loss: the sum of both halves.
    pub fn sum(self) -> Tensor<B, 1> {
        self.from_anchor + self.from_embedding
    }
}

/// The sigmoid loss (Zhai et al. 2023): each pair of the batch is judged by itself.
///
/// # Shapes
///
/// As [`pair_nce`]; `bias`, `[1]`, is added to all logits. The result is the sum over all pairs
/// divided by the batch, `[1]`.
///
/// # Panics
///
/// If shapes disagree.
pub fn pair_sigmoid<B: Backend>(
    anchors: Tensor<B, 2>,
    embeddings: Tensor<B, 2>,
    bias: Tensor<B, 1>,
    same: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let logits = anchors.matmul(embeddings.transpose()) + bias.unsqueeze();
    let [rows, columns] = logits.dims();
    assert_eq!(rows, columns, "pair_sigmoid: pairs");
    let other = Tensor::<B, 2, Bool>::diag_mask([rows, rows], 0, &logits.device());
    // Wanted logits are large on the diagonal and small elsewhere.
    let wrong = logits
        .clone()
        .mask_where(other.clone(), logits.clone().neg());
    let mut losses = activation::log_sigmoid(wrong).neg();
    if let Some(same) = same {
        losses = losses.mask_fill(same.bool_and(other), 0.0);
    }
    losses.sum().div_scalar(rows as f64)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::backend::{Inference, Training};
    use burn::tensor::TensorData;

    fn rows<B: Backend>(values: &[[f32; 2]]) -> Tensor<B, 2> {
        let data = TensorData::new(values.as_flattened().to_vec(), [values.len(), 2]);
        Tensor::from_data(data, &Default::default())
    }

    fn value(loss: Tensor<Inference, 1>) -> f64 {
        loss.into_scalar().elem()
    }

    const A: [[f32; 2]; 3] = [[1.0, 0.5], [-0.3, 2.0], [1.0, 0.5]];
    const E: [[f32; 2]; 3] = [[0.8, 0.1], [0.2, 1.5], [0.7, 0.3]];

    /// Logits by hand: [[0.85, 0.95, 0.85], [-0.04, 2.94, 0.39], [0.85, 0.95, 0.85]].
    #[test]
    fn values_are_those_computed_by_hand() {
        let rest =
            |own: f64, others: [f64; 2]| (own.exp() + others[0].exp() + others[1].exp()).ln() - own;
        let loss = pair_nce::<Inference>(rows(&A), rows(&E), None);
        let forward = rest(0.85, [0.95, 0.85]) * 2.0 + rest(2.94, [-0.04, 0.39]);
        assert!((value(loss.from_anchor.clone()) - forward / 3.0).abs() < 1e-6);
        let back = rest(0.85, [-0.04, 0.85]) + rest(2.94, [0.95, 0.95]) + rest(0.85, [0.85, 0.39]);
        assert!((value(loss.from_embedding.clone()) - back / 3.0).abs() < 1e-6);
        assert!((value(loss.sum()) - (forward + back) / 3.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_of_one_thing_is_no_negative() {
        // Rows 0 and 2 are one picture: without each other, each has one negative.
        let same = [
            [true, false, true],
            [false, true, false],
            [true, false, true],
        ];
        let same = Tensor::<Inference, 2, Bool>::from_data(same, &Default::default());
        let groups = Tensor::from_data([5, 2, 5], &Default::default());
        let loss = pair_nce::<Inference>(rows(&A), rows(&E), Some(groups));
        let pair = |own: f64, other: f64| (own.exp() + other.exp()).ln() - own;
        let both = 2.94f64.exp() + (-0.04f64).exp() + 0.39f64.exp();
        let forward = pair(0.85, 0.95) * 2.0 + both.ln() - 2.94;
        assert!((value(loss.from_anchor) - forward / 3.0).abs() < 1e-6);

        let bias = || Tensor::from_data([-1.0], &Default::default());
        let all = value(pair_sigmoid(rows(&A), rows(&E), bias(), None));
        let fewer = value(pair_sigmoid(rows(&A), rows(&E), bias(), Some(same)));
        let softplus = |x: f64| x.exp().ln_1p();
        assert!((all - fewer - 2.0 * softplus(-0.15) / 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_sigmoid_loss_judges_each_pair_by_itself() {
        let bias = Tensor::from_data([-1.0], &Default::default());
        let actual = value(pair_sigmoid::<Inference>(
            rows(&A[..2]),
            rows(&E[..2]),
            bias,
            None,
        ));
        let softplus = |x: f64| x.exp().ln_1p();
        // Logits with the bias: [[-0.15, -0.05], [-1.04, 1.94]].
        let expected = softplus(0.15) + softplus(-0.05) + softplus(-1.04) + softplus(-1.94);
        assert!((actual - expected / 2.0).abs() < 1e-6);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let device = Default::default();
        let loss_at = |e: &[[f32; 2]; 3]| {
            let groups = Tensor::from_data([5, 2, 5], &Default::default());
            value(pair_nce(rows(&A), rows(e), Some(groups)).sum())
        };
        let e = rows::<Training>(&E).require_grad();
        let groups = Tensor::from_data([5, 2, 5], &device);
        let loss = pair_nce(rows(&A), e.clone(), Some(groups)).sum();
        let gradient = e.grad(&loss.backward()).unwrap().into_data();
        for (index, actual) in gradient.iter::<f64>().enumerate() {
            let moved = |by: f32| {
                let mut e = E;
                e[index / 2][index % 2] += by;
                loss_at(&e)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (actual - expected).abs() < 1e-4,
                "{index}: {actual}, {expected}"
            );
        }
    }
}

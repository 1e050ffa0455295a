//! Measures of embeddings: pure functions in 64 bits, compared with scikit-learn's to 1e-9.
//!
//! | measure | what it is | as in | function |
//! |---|---|---|---|
//! | top-k | share of rows whose true class is among the k best scores | `top_k_accuracy_score` | [`Scores::is_among_top`] |
//! | confusion | counts by true and named class | `confusion_matrix` | [`Naming::confusion`] |
//! | a group of classes | top-1 among all classes, among its own; sensitivity and specificity of the group as one | counted by hand | [`class_group`] |
//! | mean class recall | mean over classes of the share named rightly | `balanced_accuracy_score` | [`Naming::class_recall`] |
//! | average precision | sum over thresholds of (R_n - R_(n-1)) P_n | `average_precision_score` | [`ranking::Thresholds::average_precision`] |
//! | ROC AUC | chance that a true row outscores a false one, ties half | `roc_auc_score` | [`ranking::Thresholds::auc`] |
//! | recall@k | share of queries with a true item among the k first | counted with numpy | [`retrieval`] |
//! | linear probe | L2-regularised multinomial logistic regression at its optimum | `LogisticRegression` | [`probe::Probe`] |
//! | map | the two principal components | `PCA` | [`projection::Projection`] |
//! | intervals | Wilson's for a share; percentiles over resampled groups | `numpy.percentile` | [`interval`] |
//!
//! Weights count a row as often as they say; resampling whole groups is a choice of weights.
//! What is undefined (a recall of no rows, an AUC with one side empty) is none, never zero, and is
//! left out of means.

pub mod arithmetic;
pub mod class_group;
pub mod interval;
pub mod naming;
pub mod probe;
pub mod projection;
pub mod ranking;
pub mod retrieval;
pub mod scores;
pub mod shots;

pub use naming::Naming;
pub use ranking::Ranked;
pub use scores::{Rows, Scores};

#[cfg(test)]
mod tests;

/// The mean of those that are defined; none if none is.
pub fn mean_of_defined(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values.into_iter().flatten() {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

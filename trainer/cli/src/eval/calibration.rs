//! Whether scores mean what they say.

use sensorium_core::score::softmax;

use super::Predictions;

/// Temperatures that are tried: a fine grid, as the curve is flat at its bottom.
const LOWEST: f32 = 0.01;
const STEP: f32 = 1.03;
const STEPS: usize = 150;

/// How well one temperature turns cosines into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// The temperature.
    pub temperature: f32,
    /// Mean negative logarithm of the right class's score, background taking part.
    pub negative_log_likelihood: f64,
    /// Mean score of the named class less the share named rightly: above 0 is too sure.
    pub overconfidence: f64,
}

/// The fit of one temperature.
pub fn fit_at(predictions: &Predictions, temperature: f32) -> Fit {
    let (mut loss, mut score, mut right) = (0.0f64, 0.0f64, 0.0f64);
    for window in 0..predictions.len() {
        let classes = predictions.cosines[window].len();
        let mut scores = predictions.cosines[window].clone();
        scores.extend(&predictions.background[window]);
        softmax(&mut scores, temperature);
        let class = predictions.classes[window];
        loss -= f64::from(scores[class].max(f32::MIN_POSITIVE)).ln();
        let best = scores[..classes].iter().copied().fold(0.0, f32::max);
        score += f64::from(best);
        right += f64::from(u8::from(scores[class] == best));
    }
    let count = predictions.len().max(1) as f64;
    Fit {
        temperature,
        negative_log_likelihood: loss / count,
        overconfidence: (score - right) / count,
    }
}

/// The best of all temperatures on these windows. To be used from an inner fold: one that is
/// chosen on the held-out people would no longer be measured by them.
pub fn best(predictions: &Predictions) -> Fit {
    let temperatures = (0..STEPS).map(|i| LOWEST * STEP.powi(i as i32));
    let fits = temperatures.map(|temperature| fit_at(predictions, temperature));
    let better = |a: Fit, b: Fit| {
        if b.negative_log_likelihood < a.negative_log_likelihood {
            b
        } else {
            a
        }
    };
    fits.reduce(better)
        .unwrap_or_else(|| fit_at(predictions, LOWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three of four windows are named rightly, all with the same lead of 0.2.
    #[test]
    fn the_best_temperature_makes_scores_as_sure_as_they_are_right() {
        let predictions = Predictions {
            groups: vec!["one".into(); 4],
            classes: vec![0, 0, 0, 1],
            cosines: vec![vec![0.5, 0.3]; 4],
            background: vec![vec![]; 4],
        };
        let best = best(&predictions);
        // exp(0.2 / t) = 3
        let expected = 0.2 / 3.0f32.ln();
        assert!((best.temperature / expected - 1.0).abs() < 0.02, "{best:?}");
        assert!(best.overconfidence.abs() < 0.01);
        assert!(fit_at(&predictions, 0.02).overconfidence > 0.2);
        assert!(fit_at(&predictions, 1.0).overconfidence < -0.1);
    }
}

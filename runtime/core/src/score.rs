//! From cosines to scores between 0 and 1.

/// Turns the cosines of one window into scores that sum to 1 (softmax), in place.
///
/// Cosines of different senses differ by factors of 2 to 5, so each sense has its own
/// `temperature`, set when its encoder is calibrated. Background prompts take part as classes of
/// their own: what resembles them takes its share from the others.
///
/// # Examples
///
/// ```
/// let mut scores = [0.5, 0.1];
/// sensorium_core::score::softmax(&mut scores, 0.1);
/// assert!((scores[0] - 0.982).abs() < 1e-3);
/// ```
pub fn softmax(cosines: &mut [f32], temperature: f32) {
    let max = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f32;
    for value in cosines.iter_mut() {
        *value = libm::expf((*value - max) / temperature);
        sum += *value;
    }
    for value in cosines {
        *value /= sum;
    }
}

/// Lets rows speak against one class alone: what the class keeps of its score is what it would have,
/// had these rows taken part in the softmax. `score` is the class's; `rest` is the score and
/// `rest_cosine` the cosine of any row that did take part.
///
/// # Examples
///
/// ```
/// use sensorium_core::score::{against, softmax};
///
/// let mut scores = [0.5, 0.4];
/// softmax(&mut scores, 0.1);
/// let found = against(scores[0], (scores[1], 0.4), [0.6, 0.3], 0.1);
/// let mut together = [0.5, 0.4, 0.6, 0.3];
/// softmax(&mut together, 0.1);
/// assert!((found - together[0]).abs() < 1e-6);
/// ```
#[must_use]
pub fn against(
    score: f32,
    (rest, rest_cosine): (f32, f32),
    cosines: impl IntoIterator<Item = f32>,
    temperature: f32,
) -> f32 {
    // In units of the softmax's sum; beyond all bounds they leave nothing of the score.
    let weight = |cosine: f32| rest * libm::expf((cosine - rest_cosine) / temperature);
    score / (1.0 + cosines.into_iter().map(weight).sum::<f32>())
}

/// The best class of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Its index.
    pub class: usize,
    /// Its score.
    pub score: f32,
    /// How far the next best lies below it; its own score if it is the only class.
    pub margin: f32,
}

/// The best of the scores; the first of equals, none of none.
#[must_use]
pub fn best(scores: &[f32]) -> Option<Best> {
    let (class, score) = scores
        .iter()
        .copied()
        .enumerate()
        .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    Some(Best {
        class,
        score,
        margin: score - second(scores, class),
    })
}

/// The highest score but that of `class`; 0 if there is no other.
#[must_use]
pub fn second(scores: &[f32], class: usize) -> f32 {
    let others = scores.iter().enumerate().filter(|(i, _)| *i != class);
    others
        .map(|(_, score)| *score)
        .reduce(f32::max)
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_sum_to_one_even_far_out() {
        let mut scores = [1.0, -1.0, 0.999];
        softmax(&mut scores, 1e-4);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(scores[0] > 0.99 && scores.iter().all(|s| s.is_finite()));
    }

    #[test]
    fn the_best_knows_its_margin() {
        assert_eq!(
            best(&[0.25, 0.5, 0.25]),
            Some(Best {
                class: 1,
                score: 0.5,
                margin: 0.25
            })
        );
        assert_eq!(
            best(&[0.5, 0.5]),
            Some(Best {
                class: 0,
                score: 0.5,
                margin: 0.0
            })
        );
        assert_eq!(
            best(&[1.0]),
            Some(Best {
                class: 0,
                score: 1.0,
                margin: 1.0
            })
        );
        assert_eq!(best(&[]), None);
    }
}

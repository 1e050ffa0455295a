//! What a count of rare things says about how often they happen.
//!
//! The exact limits of a Poisson mean (F. Garwood, "Fiducial limits for the Poisson distribution",
//! Biometrika 28, 1936).

/// Confidence of the interval that is printed beside a count.
const INTERVAL: f64 = 0.95;

/// Halvings of a limit's bracket: to the last digit of an `f64`.
const HALVINGS: usize = 60;

/// The mean that so few would be seen of only with `1 - confidence`: an upper limit.
#[must_use]
pub fn upper_mean(count: u64, confidence: f64) -> f64 {
    mean_with_tail(count, 1.0 - confidence)
}

/// The central interval of 95 % for the mean.
#[must_use]
pub fn interval(count: u64) -> (f64, f64) {
    let tail = (1.0 - INTERVAL) / 2.0;
    let lower = match count.checked_sub(1) {
        Some(less) => mean_with_tail(less, 1.0 - tail),
        None => 0.0,
    };
    (lower, mean_with_tail(count, tail))
}

/// Most things that may be seen for the upper limit of their mean to be `mean` at most; none if even
/// seeing nothing does not say so.
#[must_use]
pub fn most_allowed(mean: f64, confidence: f64) -> Option<u64> {
    let holds = |count: &u64| upper_mean(*count, confidence) <= mean;
    // The limit of a count lies above the count, so counts above the mean never do.
    let (mut holding, mut failing) = (0, mean as u64 + 1);
    if !holds(&holding) {
        return None;
    }
    while failing - holding > 1 {
        let middle = holding.midpoint(failing);
        if holds(&middle) {
            holding = middle;
        } else {
            failing = middle;
        }
    }
    Some(holding)
}

/// The mean at which `count` or less have this probability.
fn mean_with_tail(count: u64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, count as f64 + 1.0);
    while at_most(count, high) > probability {
        high *= 2.0;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(count, middle) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The probability of `count` or less at this mean. In logarithms, so that large means do not vanish.
fn at_most(count: u64, mean: f64) -> f64 {
    let mut log_term = -mean;
    let mut sum = log_term.exp();
    for i in 1..=count {
        log_term += (mean / i as f64).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Garwood's table, as reprinted in every book of epidemiology.
    #[test]
    fn limits_are_those_of_the_table() {
        let table = [
            (0, 0.0, 3.6889),
            (1, 0.0253, 5.5716),
            (3, 0.6187, 8.7673),
            (10, 4.7954, 18.3904),
            (100, 81.364, 121.627),
        ];
        for (count, lower, upper) in table {
            let found = interval(count);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-4 * b.max(1.0);
            assert!(near(found.0, lower) && near(found.1, upper), "{found:?}");
        }
        assert!((upper_mean(0, 0.95) - 2.995_732).abs() < 1e-6);
    }

    #[test]
    fn the_most_that_is_allowed_is_just_allowed() {
        assert_eq!(most_allowed(2.99, 0.95), None);
        assert_eq!(most_allowed(0.0, 0.95), None);
        for mean in [3.0, 4.0, 10.0, 55.5, 2000.0] {
            let count = most_allowed(mean, 0.95).unwrap();
            assert!(upper_mean(count, 0.95) <= mean && upper_mean(count + 1, 0.95) > mean);
        }
    }
}

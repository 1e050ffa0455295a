//! How far a number may be from the truth.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

/// Where a number probably is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The normal distribution's 0.975 quantile, for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share: `hits` of `all` independent trials. None of no trials.
///
/// Wilson, "Probable inference, the law of succession, and statistical inference" (1927), with no
/// correction for continuity.
pub fn wilson(hits: f64, all: f64) -> Option<Interval> {
    if all <= 0.0 {
        return None;
    }
    let (share, z2) = (hits / all, Z * Z);
    let centre = (share + z2 / (2.0 * all)) / (1.0 + z2 / all);
    let half = Z / (1.0 + z2 / all)
        * (share * (1.0 - share) / all + z2 / (4.0 * all * all))
            .max(0.0)
            .sqrt();
    Some(Interval {
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
}

/// The value below which `share` of the values lie, linear between two of them as
/// `numpy.percentile` has it; none of no values.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

/// Mean and standard deviation (with n - 1) of values; the deviation of one value is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: Option<f64>,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// How many there are.
    pub count: usize,
}

impl Spread {
    /// Of some values; none of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            mean,
            deviation: (count > 1).then(|| (squares / (count - 1) as f64).sqrt()),
            low: values.iter().copied().min_by(f64::total_cmp)?,
            high: values.iter().copied().max_by(f64::total_cmp)?,
            count,
        })
    }
}

/// 95 % percentile intervals of statistics when whole groups are drawn with replacement.
///
/// Rows of one person resemble each other, so persons are drawn, not rows. A statistic is given
/// how often each row counts. Resamples for which it is undefined are left out. None with fewer
/// than two groups, for then there is nothing to draw.
///
/// # Panics
///
/// If a group's number is `groups` or more.
pub fn bootstrap<const N: usize>(
    group_of: &[usize],
    groups: usize,
    resamples: usize,
    seed: u64,
    statistics: impl Fn(&[f64]) -> [Option<f64>; N] + Sync,
) -> [Option<Interval>; N] {
    if groups < 2 {
        return [None; N];
    }
    let resample = |number: usize| {
        // A stream each, so that the order in which threads run does not matter.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        let mut drawn = vec![0.0; groups];
        for _ in 0..groups {
            drawn[rng.random_range(0..groups)] += 1.0;
        }
        let weights: Vec<f64> = group_of.iter().map(|&group| drawn[group]).collect();
        statistics(&weights)
    };
    let results: Vec<[Option<f64>; N]> = (0..resamples).into_par_iter().map(resample).collect();
    std::array::from_fn(|i| {
        let values: Vec<f64> = results.iter().filter_map(|result| result[i]).collect();
        Some(Interval {
            low: quantile(&values, 0.025)?,
            high: quantile(&values, 0.975)?,
        })
    })
}

//! The learning rate over a training.

use std::f64::consts::PI;

/// How far below its peak the rate begins.
const START_DIVISOR: f64 = 25.0;

/// How far below its start the rate ends.
const END_DIVISOR: f64 = 1e4;

/// One cycle (Smith and Topin 2017): up along half a cosine, then down to almost nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    peak: f64,
    /// The step at which the rate is at its peak.
    top: f64,
    last: f64,
}

impl OneCycle {
    /// A cycle of `steps` steps whose first `warmup` share rises.
    pub fn new(peak: f64, steps: usize, warmup: f64) -> Self {
        let last = steps.saturating_sub(1).max(1) as f64;
        let top = (warmup * steps as f64 - 1.0).clamp(0.0, last);
        Self { peak, top, last }
    }

    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let step = (step as f64).min(self.last);
        let start = self.peak / START_DIVISOR;
        if step <= self.top && self.top > 0.0 {
            return between(start, self.peak, step / self.top);
        }
        let rest = (self.last - self.top).max(1.0);
        between(self.peak, start / END_DIVISOR, (step - self.top) / rest)
    }
}

/// From one value to another along half a cosine.
fn between(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of `torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10,
    /// pct_start=0.3)`, whose rise ends at step 0.3 * 10 - 1 = 2.
    #[test]
    fn the_rate_rises_and_falls_as_the_published_one() {
        let cycle = OneCycle::new(1.0, 10, 0.3);
        assert!((cycle.rate(0) - 0.04).abs() < 1e-12);
        assert!((cycle.rate(1) - 0.52).abs() < 1e-12);
        assert!((cycle.rate(2) - 1.0).abs() < 1e-12);
        let third = 0.5 * (1.0 + (PI / 7.0).cos());
        assert!((cycle.rate(3) - third).abs() < 1e-5);
        assert!((cycle.rate(9) - 4e-6).abs() < 1e-12);
        assert_eq!(cycle.rate(99), cycle.rate(9));
    }

    #[test]
    fn no_length_or_warmup_gives_a_rate_out_of_range() {
        for steps in 1..20 {
            for warmup in [0.0, 0.15, 0.5, 1.0] {
                let cycle = OneCycle::new(0.5, steps, warmup);
                for step in 0..steps + 2 {
                    let rate = cycle.rate(step);
                    assert!(
                        (1e-7..=0.5).contains(&rate),
                        "{steps} {warmup} {step}: {rate}"
                    );
                }
            }
        }
    }
}

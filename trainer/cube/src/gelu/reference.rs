//! The activation by its definition, in 64 bits.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The activation of x.
#[must_use]
pub fn forward(x: f64) -> f64 {
    x * share(x)
}

/// Its slope at x.
#[must_use]
pub fn slope(x: f64) -> f64 {
    share(x) + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

fn share(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::differences;

    #[test]
    fn the_slope_is_that_of_finite_differences() {
        for x in [-5.0, -1.2, -0.3, 0.0, 0.4, 2.0, 7.0] {
            differences(&[slope(x)], &[x], |x| forward(x[0]));
        }
    }
}

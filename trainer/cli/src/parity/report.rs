//! What was compared, and what was not.

use std::collections::BTreeMap;
use std::fmt;

/// How an error is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Largest difference over the largest expected number.
    Relative(f64),
    /// Largest difference.
    Absolute(f64),
    /// Mean difference, and the largest one.
    Mean(f64, f64),
    /// No difference at all.
    Exact,
}

/// The comparisons of a folder.
#[derive(Debug, Default)]
pub struct Report {
    /// By item: none until it is compared.
    items: BTreeMap<String, Option<Comparison>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Comparison {
    kind: &'static str,
    error: f64,
    tolerance: Tolerance,
    passed: bool,
}

impl Report {
    /// A report of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something that has to be compared.
    pub fn announce(&mut self, item: impl Into<String>) {
        self.items.entry(item.into()).or_default();
    }

    /// Compares numbers. Another count of them, or one that is none, is an infinite error.
    pub fn compare(
        &mut self,
        kind: &'static str,
        item: impl Into<String>,
        actual: &[f64],
        expected: &[f64],
        tolerance: Tolerance,
    ) {
        let differences = || actual.iter().zip(expected).map(|(a, e)| difference(*a, *e));
        let largest = differences().fold(0.0, f64::max);
        let peak = expected.iter().fold(0.0f64, |peak, e| peak.max(e.abs()));
        let (error, passed) = match tolerance {
            Tolerance::Relative(limit) => {
                let error = if peak > 0.0 { largest / peak } else { largest };
                (error, error <= limit)
            }
            Tolerance::Absolute(limit) => (largest, largest <= limit),
            Tolerance::Mean(mean_limit, limit) => {
                let mean = differences().sum::<f64>() / expected.len().max(1) as f64;
                (largest, mean <= mean_limit && largest <= limit)
            }
            Tolerance::Exact => {
                let count = differences().filter(|d| *d != 0.0).count();
                (count as f64, count == 0)
            }
        };
        let whole = actual.len() == expected.len();
        let comparison = Comparison {
            kind,
            error: if whole { error } else { f64::INFINITY },
            tolerance,
            passed: passed && whole,
        };
        self.close(item.into(), comparison);
    }

    /// Compares what has to be the same.
    pub fn same(&mut self, kind: &'static str, item: impl Into<String>, same: bool) {
        let comparison = Comparison {
            kind,
            error: f64::from(u8::from(!same)),
            tolerance: Tolerance::Exact,
            passed: same,
        };
        self.close(item.into(), comparison);
    }

    /// An item that is compared twice keeps the worse verdict.
    fn close(&mut self, item: String, comparison: Comparison) {
        let entry = self.items.entry(item).or_default();
        match entry {
            Some(before) if !before.passed => {}
            _ => *entry = Some(comparison),
        }
    }

    /// Whether all was compared and within its tolerance, and there was something.
    pub fn passed(&self) -> bool {
        let good = |item: &Option<Comparison>| item.is_some_and(|c| c.passed);
        !self.items.is_empty() && self.items.values().all(good)
    }
}

/// Infinite where one is no number; none where both are the same infinity.
fn difference(a: f64, b: f64) -> f64 {
    if a == b {
        return 0.0;
    }
    let difference = (a - b).abs();
    if difference.is_nan() {
        f64::INFINITY
    } else {
        difference
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.items.keys().map(String::len).max().unwrap_or(0);
        let mut over = 0;
        for (item, comparison) in &self.items {
            let Some(c) = comparison else {
                writeln!(f, "{item:width$}  not compared  FAILED")?;
                continue;
            };
            let limit = match c.tolerance {
                Tolerance::Relative(limit) => format!("{limit:.0e} relative"),
                Tolerance::Absolute(limit) => format!("{limit:.0e}"),
                Tolerance::Mean(mean, limit) => format!("{limit:.0e}, mean {mean:.0e}"),
                Tolerance::Exact => "exact".to_owned(),
            };
            let verdict = if c.passed { "ok" } else { "FAILED" };
            over += usize::from(!c.passed);
            writeln!(
                f,
                "{item:width$}  {:<14}  {:>8.1e}  {limit:<18}  {verdict}",
                c.kind, c.error
            )?;
        }
        if over > 0 {
            writeln!(f, "{over} over their tolerance")?;
        }
        let checked = self.items.values().flatten().count();
        writeln!(f, "checked {checked} of {}", self.items.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_and_not_compared_fails() {
        let mut report = Report::new();
        assert!(!report.passed(), "an empty folder proves nothing");
        report.announce("a");
        report.announce("b");
        report.compare("k", "a", &[1.0], &[1.0], Tolerance::Exact);
        assert!(!report.passed());
        assert!(report.to_string().ends_with("checked 1 of 2\n"));
        report.same("k", "b", true);
        assert!(report.passed());
        assert!(report.to_string().ends_with("checked 2 of 2\n"));
    }

    #[test]
    fn errors_are_measured_as_their_tolerance_says() {
        let passes = |actual: &[f64], expected: &[f64], tolerance| {
            let mut report = Report::new();
            report.compare("k", "a", actual, expected, tolerance);
            report.passed()
        };
        assert!(passes(
            &[10.0, 1.01],
            &[10.0, 1.0],
            Tolerance::Relative(2e-3)
        ));
        assert!(!passes(
            &[10.0, 1.01],
            &[10.0, 1.0],
            Tolerance::Absolute(2e-3)
        ));
        assert!(passes(&[1.0, 1.4], &[1.0, 1.0], Tolerance::Mean(0.25, 0.5)));
        assert!(!passes(
            &[1.4, 1.4],
            &[1.0, 1.0],
            Tolerance::Mean(0.25, 0.5)
        ));
        assert!(!passes(&[1.0], &[1.0, 1.0], Tolerance::Absolute(1.0)));
        assert!(!passes(&[f64::NAN], &[1.0], Tolerance::Relative(1.0)));
        let low = f64::NEG_INFINITY;
        assert!(passes(&[low], &[low], Tolerance::Exact));
        assert!(passes(&[0.0], &[0.0], Tolerance::Relative(1e-9)));
    }

    #[test]
    fn a_failure_is_not_covered_by_a_second_look() {
        let mut report = Report::new();
        report.same("k", "a", false);
        report.same("k", "a", true);
        assert!(!report.passed());
        assert!(report.to_string().contains("1 over their tolerance"));
    }
}

//! Rows in the order of one score, and how well it divides true ones from false ones.

/// Rows from the highest score down; equal scores stand together and cannot be divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    order: Vec<usize>,
    /// Where each run of equal scores ends in `order`.
    ends: Vec<usize>,
}

/// How many true and false rows have at least a threshold's score.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// True ones.
    pub hits: f64,
    /// False ones.
    pub false_alarms: f64,
}

/// A curve: what is on its horizontal and on its vertical axis.
pub type Curve = Vec<(f64, f64)>;

impl Ranked {
    /// Ranks scores, none of which is NaN.
    pub fn new(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        // Not by their bits: 0.0 and -0.0 are the same score.
        let mut ends: Vec<usize> = (1..order.len())
            .filter(|&i| scores[order[i]] != scores[order[i - 1]])
            .collect();
        if !order.is_empty() {
            ends.push(order.len());
        }
        Self { order, ends }
    }

    /// The counts at each threshold, from the highest score down. A row counts as often as its
    /// weight says.
    ///
    /// # Panics
    ///
    /// If there is not a truth and a weight a row.
    pub fn thresholds(&self, truth: &[bool], weights: &[f64]) -> Thresholds {
        assert_eq!(truth.len(), self.order.len(), "truths");
        assert_eq!(weights.len(), self.order.len(), "weights");
        let mut counts = Counts::default();
        let mut begin = 0;
        let at_end = |&end: &usize| {
            for &row in &self.order[begin..end] {
                if truth[row] {
                    counts.hits += weights[row];
                } else {
                    counts.false_alarms += weights[row];
                }
            }
            begin = end;
            counts
        };
        Thresholds(self.ends.iter().map(at_end).collect())
    }
}

/// The counts at each threshold, from the highest score down.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(Vec<Counts>);

impl Thresholds {
    /// All rows; none if there is no row, or `side` of them is empty.
    fn all(&self, side: impl Fn(&Counts) -> f64) -> Option<Counts> {
        self.0.last().copied().filter(|all| side(all) > 0.0)
    }

    /// Average precision: the sum over thresholds of (R_n - R_(n-1)) P_n, with no interpolation.
    /// None if no row is true.
    pub fn average_precision(&self) -> Option<f64> {
        let all = self.all(|c| c.hits)?.hits;
        let mut before = 0.0;
        let mut sum = 0.0;
        for &Counts { hits, false_alarms } in &self.0 {
            // No new hit, no step in recall; and the precision of no rows is undefined.
            if hits > before {
                sum += (hits - before) / all * (hits / (hits + false_alarms));
            }
            before = hits;
        }
        Some(sum)
    }

    /// Area under the ROC curve: the chance that a true row has a higher score than a false one,
    /// equal scores counting half. None if no row is true, or none is false.
    pub fn auc(&self) -> Option<f64> {
        let all = self.all(|c| c.hits.min(c.false_alarms))?;
        let mut before = Counts::default();
        let mut area = 0.0;
        for &now in &self.0 {
            area += (now.false_alarms - before.false_alarms) * (now.hits + before.hits) / 2.0;
            before = now;
        }
        Some(area / all.hits / all.false_alarms)
    }

    /// The ROC curve: share of the false rows (x) and of the true rows (y) that are at or above a
    /// threshold, from (0, 0) to (1, 1). None if no row is true, or none is false.
    pub fn roc(&self) -> Option<Curve> {
        let all = self.all(|c| c.hits.min(c.false_alarms))?;
        let point = |c: &Counts| (c.false_alarms / all.false_alarms, c.hits / all.hits);
        let points = self.0.iter().map(point);
        Some(std::iter::once((0.0, 0.0)).chain(points).collect())
    }

    /// Recall (x) and precision (y) at each threshold, from the highest score down, up to the first
    /// that has all true rows. None if no row is true.
    pub fn precision_recall(&self) -> Option<Curve> {
        let all = self.all(|c| c.hits)?.hits;
        let point = |c: &Counts| (c.hits / all, c.hits / (c.hits + c.false_alarms));
        let whole = self.0.iter().position(|c| c.hits == all)?;
        Some(self.0[..=whole].iter().map(point).collect())
    }
}

/// A curve for drawing: its corners or, if they are more than `points`, every so many of them. Points
/// on a straight line between their neighbours change nothing and are left out.
pub fn thinned(curve: &[(f64, f64)], points: usize) -> Curve {
    let is_corner = |i: usize| {
        let [a, b, c] = [curve[i - 1], curve[i], curve[i + 1]];
        ((b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1)).abs() > 1e-12
    };
    let ends = |i: usize| i == 0 || i + 1 == curve.len();
    let corners: Vec<usize> = (0..curve.len())
        .filter(|&i| ends(i) || is_corner(i))
        .collect();
    let step = corners.len().div_ceil(points.max(2)).max(1);
    let kept = (0..corners.len()).filter(|&i| i % step == 0 || i + 1 == corners.len());
    kept.map(|i| curve[corners[i]]).collect()
}

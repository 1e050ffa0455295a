//! Finding the items that belong to a query.
//!
//! A query is a hit at `k` if at least one of its true items is among the `k` with the highest
//! scores. Items that are not true and have the same score as the best true one count as ahead of
//! it, so an encoder that gives the same for everything finds nothing. Queries with no true item
//! are not asked.

use super::Scores;

/// The three depths that are reported.
pub const DEPTHS: [usize; 3] = [1, 5, 10];

/// For each query, how many false items are ahead of its best true one; none if it has no true one.
pub fn ranks(scores: &Scores, is_true: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let rank = |query| {
        let row = scores.row(query);
        let truths = (0..row.len()).filter(|&item| is_true(query, item));
        let best = truths.map(|item| row[item]).max_by(f64::total_cmp)?;
        let ahead = |&item: &usize| row[item] >= best && !is_true(query, item);
        Some((0..row.len()).filter(ahead).count())
    };
    (0..scores.len()).map(rank).collect()
}

/// The share of the queries that were asked which are hits at `k`; none if none was asked.
pub fn recall_at(ranks: &[Option<usize>], k: usize) -> Option<f64> {
    let asked = ranks.iter().flatten().count();
    let hits = ranks.iter().flatten().filter(|&&rank| rank < k).count();
    (asked > 0).then(|| hits as f64 / asked as f64)
}

/// The share of hits at `k` if `items` were in random order, of which `truths` are true:
/// 1 - C(items - truths, k) / C(items, k).
pub fn chance_at(items: usize, truths: usize, k: usize) -> f64 {
    // The product over the k places of the share of false items among those left.
    let none = (0..k.min(items)).map(|taken| {
        let left = items - taken;
        left.saturating_sub(truths) as f64 / left as f64
    });
    1.0 - none.product::<f64>()
}

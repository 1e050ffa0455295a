//! Embedding arithmetic: whether the sum of two embeddings finds what has both.
//!
//! A query is a vector with a label and another vector with another label. Both have unit length,
//! so they weigh the same in the sum, and scaling it changes no order. Each query is asked three
//! times, with the sum and with either part alone, for the same truth.
//!
//! Two ways to count a hit at `k`:
//!
//! - *one item*: one of the `k` nearest items carries both labels (a picture of a dog at the sea).
//!   Defined only where the gallery has such items.
//! - *together*: the `k` nearest items carry both labels between them. Defined for items of one
//!   label each as well.

use super::retrieval::{chance_at, ranks, recall_at};
use super::{Rows, Scores};

/// A pair of vectors that are summed, with the labels that are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Query<'a> {
    /// The first vector and its label.
    pub a: (&'a [f64], usize),
    /// The second.
    pub b: (&'a [f64], usize),
}

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Gallery<'a> {
    /// The items.
    pub rows: &'a Rows,
    /// The labels of each.
    pub labels: &'a [Vec<usize>],
}

/// A number for the sum, for either part alone, and for random order.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Parts {
    /// The sum.
    pub sum: f64,
    /// The first part.
    pub a_alone: f64,
    /// The second part.
    pub b_alone: f64,
    /// Items in random order.
    pub chance: f64,
}

impl Gallery<'_> {
    fn has(&self, item: usize, label: usize) -> bool {
        self.labels[item].contains(&label)
    }

    fn count(&self, is_counted: impl Fn(usize) -> bool) -> usize {
        (0..self.rows.len())
            .filter(|&item| is_counted(item))
            .count()
    }

    /// Cosines of the sum, of `a` and of `b` of each query to each item.
    fn scores(&self, queries: &[Query]) -> [Scores; 3] {
        let dim = self.rows.dim();
        let sum = queries
            .iter()
            .flat_map(|q| q.a.0.iter().zip(q.b.0).map(|(a, b)| a + b));
        let a = queries.iter().flat_map(|q| q.a.0.iter().copied());
        let b = queries.iter().flat_map(|q| q.b.0.iter().copied());
        [
            Rows::normalized(dim, sum).cosines(self.rows),
            Rows::normalized(dim, a).cosines(self.rows),
            Rows::normalized(dim, b).cosines(self.rows),
        ]
    }

    /// Recall of items that carry both labels, at each depth; queries for which there is no such
    /// item are not asked. None if none is asked.
    pub fn one_item(&self, queries: &[Query], depths: &[usize]) -> Option<Vec<Parts>> {
        let both = |query: usize, item: usize| {
            let query = &queries[query];
            self.has(item, query.a.1) && self.has(item, query.b.1)
        };
        let truths: Vec<usize> = (0..queries.len())
            .map(|query| self.count(|item| both(query, item)))
            .filter(|&truths| truths > 0)
            .collect();
        let ranks = self.scores(queries).map(|scores| ranks(&scores, both));
        let at = |&k: &usize| {
            let chance: f64 = truths
                .iter()
                .map(|&t| chance_at(self.rows.len(), t, k))
                .sum();
            Some(Parts {
                sum: recall_at(&ranks[0], k)?,
                a_alone: recall_at(&ranks[1], k)?,
                b_alone: recall_at(&ranks[2], k)?,
                chance: chance / truths.len() as f64,
            })
        };
        depths.iter().map(at).collect()
    }

    /// Share of the queries whose `k` nearest items carry both labels between them, at each depth;
    /// queries one of whose labels no item carries are not asked. None if none is asked.
    pub fn together(&self, queries: &[Query], depths: &[usize]) -> Option<Vec<Parts>> {
        let has = |label: usize| self.count(|item| self.has(item, label));
        let asked: Vec<Query> = queries
            .iter()
            .copied()
            .filter(|q| has(q.a.1) > 0 && has(q.b.1) > 0)
            .collect();
        if asked.is_empty() {
            return None;
        }
        // Both labels are found once the later one of them is. What is ahead of the best item of a
        // label is never of that label, so its rank is its place among all.
        let covered = self.scores(&asked).map(|scores| {
            let of_a = ranks(&scores, |q, item| self.has(item, asked[q].a.1));
            let of_b = ranks(&scores, |q, item| self.has(item, asked[q].b.1));
            let later = |(a, b): (Option<usize>, Option<usize>)| Some(a?.max(b?));
            of_a.into_iter().zip(of_b).map(later).collect::<Vec<_>>()
        });
        let all = self.rows.len();
        let chance = |query: &Query, k: usize| {
            let (a, b) = (query.a.1, query.b.1);
            let either = self.count(|item| self.has(item, a) || self.has(item, b));
            // Both found = 1 - (a missed) - (b missed) + (both missed).
            chance_at(all, has(a), k) + chance_at(all, has(b), k) - chance_at(all, either, k)
        };
        let count = asked.len() as f64;
        let at = |&k: &usize| {
            Some(Parts {
                sum: recall_at(&covered[0], k)?,
                a_alone: recall_at(&covered[1], k)?,
                b_alone: recall_at(&covered[2], k)?,
                chance: asked.iter().map(|query| chance(query, k)).sum::<f64>() / count,
            })
        };
        depths.iter().map(at).collect()
    }
}

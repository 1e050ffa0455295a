//! Sums of two embeddings: which pairs are drawn, and what they find.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::metrics::Rows;
use crate::metrics::arithmetic::{Gallery, Parts, Query};
use crate::metrics::retrieval::DEPTHS;

/// Sums that are asked with.
const QUERIES: usize = 1000;
/// Depths at which two items can carry two labels.
const TOGETHER: [usize; 3] = [2, 5, 10];

/// What sums of two embeddings find.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arithmetic {
    /// The first part of each sum.
    pub a: String,
    /// The second part.
    pub b: String,
    /// What is searched.
    pub items: String,
    /// How many are searched.
    pub count: usize,
    /// Sums that were asked with.
    pub queries: usize,
    /// A hit: one item with both labels. None if no item has two.
    pub one_item: Option<Vec<AtDepth>>,
    /// A hit: both labels among the items.
    pub together: Option<Vec<AtDepth>>,
}

/// What is found at a depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtDepth {
    /// Items that are looked at.
    pub k: usize,
    /// The shares.
    #[serde(flatten)]
    pub parts: Parts,
}

/// Vectors that may be a part of a sum.
pub struct Side<'a> {
    /// What they are.
    pub name: String,
    /// The vectors.
    pub rows: &'a Rows,
    /// Those that may be drawn, each with its class.
    pub labels: Vec<(usize, usize)>,
}

impl Side<'_> {
    fn of(&self, class: usize) -> Vec<usize> {
        let of_class = self.labels.iter().filter(|(_, label)| *label == class);
        of_class.map(|(row, _)| *row).collect()
    }
}

/// Draws pairs of classes, all equally often, and a vector of each; then searches. None if there is
/// no pair to draw.
///
/// Pairs are those that some item of the gallery has both of or, if no item has two classes, any two
/// different classes of the gallery.
pub fn arithmetic(
    a: &Side,
    b: &Side,
    gallery: Gallery,
    items: &str,
    seed: u64,
) -> Option<Arithmetic> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let classes = gallery
        .labels
        .iter()
        .flatten()
        .max()
        .map_or(0, |most| most + 1);
    let by_class = |side: &Side| (0..classes).map(|class| side.of(class)).collect::<Vec<_>>();
    let (of_a, of_b) = (by_class(a), by_class(b));
    let has_two = gallery.labels.iter().any(|labels| labels.len() > 1);
    let pairs: Vec<(usize, usize)> = (0..classes)
        .flat_map(|p| (0..classes).map(move |q| (p, q)))
        .filter(|&(p, q)| p != q && !of_a[p].is_empty() && !of_b[q].is_empty())
        .filter(|(p, q)| match has_two {
            true => gallery
                .labels
                .iter()
                .any(|l| l.contains(p) && l.contains(q)),
            false => [p, q]
                .iter()
                .all(|c| gallery.labels.iter().any(|l| l.contains(c))),
        })
        .collect();
    let mut draw = |_| {
        let &(p, q) = pairs.choose(&mut rng)?;
        let (row_a, row_b) = (of_a[p].choose(&mut rng)?, of_b[q].choose(&mut rng)?);
        Some(Query {
            a: (a.rows.row(*row_a), p),
            b: (b.rows.row(*row_b), q),
        })
    };
    let queries = (0..QUERIES).map(&mut draw).collect::<Option<Vec<_>>>()?;
    let depths = |ks: [usize; 3], found: Option<Vec<Parts>>| -> Option<Vec<AtDepth>> {
        let rows = std::iter::zip(ks, found?);
        Some(rows.map(|(k, parts)| AtDepth { k, parts }).collect())
    };
    Some(Arithmetic {
        a: a.name.clone(),
        b: b.name.clone(),
        items: items.to_owned(),
        count: gallery.rows.len(),
        queries: queries.len(),
        one_item: depths(DEPTHS, gallery.one_item(&queries, &DEPTHS)),
        together: depths(TOGETHER, gallery.together(&queries, &TOGETHER)),
    })
}

//! Multi-head self-attention, without keeping what each token thinks of each other.
//!
//! ```text
//! packed [batch, tokens, 3 dim]: query | key | value, each head after head
//! scores = query key^T / sqrt(head_dim), weights = softmax(scores), output = weights value
//! ```
//! Forward gives the output `[batch, tokens, dim]` and the logarithm of each softmax's denominator
//! `[batch, heads, tokens]`, from which backward computes the weights anew (Dao et al. 2022). On a CPU
//! a few rows of scores exist at a time, on a GPU a tile of them.

use pulp::Simd;
use rayon::prelude::*;

use crate::lanes::{exp, vectorise};
use crate::tile::{Panels, TILE_ROWS, View, padded};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub mod gpu;
pub mod reference;

/// Queries that backward takes at a time: their scores and those of 256 keys fit a second-level cache.
const BLOCK: usize = 8 * TILE_ROWS;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Tokens in a sequence.
    pub tokens: usize,
    /// Heads, each of `head_dim` numbers.
    pub heads: usize,
    /// Numbers in a head of a token.
    pub head_dim: usize,
    /// Whether there is one more key and value than tokens, the last of them.
    pub bias: bool,
    /// Whether a token sees only those up to itself, and so not the extra one.
    pub causal: bool,
}

/// What attention is computed of, and its gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operands<T> {
    /// Queries, keys and values, `[batch, tokens, 3 dim]`.
    pub packed: T,
    /// The extra key and value, each `[dim]`.
    pub bias: Option<[T; 2]>,
}

impl Attention {
    /// Numbers in a token.
    #[must_use]
    pub const fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Keys that there are for each query.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.tokens + self.bias as usize
    }

    /// Keys that a query sees: so many of the first.
    #[must_use]
    pub const fn visible(&self, query: usize) -> usize {
        if self.causal { query + 1 } else { self.keys() }
    }

    /// What scores are multiplied by.
    #[must_use]
    pub fn scale(&self) -> f32 {
        (self.head_dim as f32).sqrt().recip()
    }

    /// Numbers in the packed operand.
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        3 * self.output_len()
    }

    /// Numbers in the output.
    #[must_use]
    pub const fn output_len(&self) -> usize {
        self.batch * self.tokens * self.dim()
    }

    /// Softmaxes.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.batch * self.heads * self.tokens
    }

    fn check(&self, packed: usize, bias: Option<[usize; 2]>) {
        assert_eq!(packed, self.packed_len(), "attention: packed");
        let dim = self.bias.then(|| [self.dim(); 2]);
        assert_eq!(bias, dim, "attention: the extra key and value");
    }
}

/// The output, and the logarithms of the softmaxes' denominators.
///
/// # Panics
///
/// If a slice has another length than the sizes say.
#[must_use]
pub fn forward(sizes: &Attention, operands: Operands<&[f32]>) -> [Vec<f32>; 2] {
    let mut output = vec![0.0; sizes.output_len()];
    let mut logs = vec![0.0; sizes.rows()];
    forward_into(sizes, operands, &mut output, &mut logs);
    [output, logs]
}

/// As [`forward`], into memory at hand.
///
/// # Panics
///
/// As [`forward`].
pub fn forward_into(
    sizes: &Attention,
    operands: Operands<&[f32]>,
    output: &mut [f32],
    logs: &mut [f32],
) {
    sizes.check(
        operands.packed.len(),
        operands.bias.map(|b| b.map(<[f32]>::len)),
    );
    assert_eq!(output.len(), sizes.output_len(), "attention: output");
    assert_eq!(logs.len(), sizes.rows(), "attention: denominators");
    if output.is_empty() {
        return;
    }
    let per_sequence = sizes.tokens * sizes.dim();
    output
        .par_chunks_exact_mut(per_sequence)
        .zip(logs.par_chunks_exact_mut(sizes.heads * sizes.tokens))
        .zip(operands.packed.par_chunks_exact(3 * per_sequence))
        .for_each(|((output, logs), packed)| {
            sequence(sizes, Operands { packed, ..operands }, output, logs);
        });
}

/// Gradients of the operands from that of the output.
///
/// # Panics
///
/// As [`forward`].
#[must_use]
pub fn backward(
    sizes: &Attention,
    operands: Operands<&[f32]>,
    [output, logs]: [&[f32]; 2],
    gradient: &[f32],
) -> Operands<Vec<f32>> {
    let mut packed = vec![0.0; sizes.packed_len()];
    let bias = backward_into(sizes, operands, [output, logs], gradient, &mut packed);
    Operands { packed, bias }
}

/// As [`backward`], the gradient of the packed operand into memory at hand that holds zeros.
///
/// # Panics
///
/// As [`backward`].
pub fn backward_into(
    sizes: &Attention,
    operands: Operands<&[f32]>,
    [output, logs]: [&[f32]; 2],
    gradient: &[f32],
    to: &mut [f32],
) -> Option<[Vec<f32>; 2]> {
    sizes.check(
        operands.packed.len(),
        operands.bias.map(|b| b.map(<[f32]>::len)),
    );
    assert_eq!(to.len(), sizes.packed_len(), "attention: packed");
    assert_eq!(output.len(), sizes.output_len(), "attention: output");
    assert_eq!(gradient.len(), sizes.output_len(), "attention: gradient");
    assert_eq!(logs.len(), sizes.rows(), "attention: denominators");
    let dim = sizes.dim();
    let mut of_bias = vec![0.0; if sizes.bias { sizes.batch * 2 * dim } else { 0 }];
    if !to.is_empty() {
        let per_sequence = sizes.tokens * dim;
        let of_bias: Vec<&mut [f32]> = if sizes.bias {
            of_bias.chunks_exact_mut(2 * dim).collect()
        } else {
            (0..sizes.batch).map(|_| Default::default()).collect()
        };
        to.par_chunks_exact_mut(3 * per_sequence)
            .zip(of_bias)
            .enumerate()
            .for_each(|(index, (to, of_bias))| {
                let part = |all, len| part(all, index, len);
                let packed = part(operands.packed, 3 * per_sequence);
                sequence_backward(
                    sizes,
                    Operands { packed, ..operands },
                    [
                        part(output, per_sequence),
                        part(logs, sizes.heads * sizes.tokens),
                    ],
                    part(gradient, per_sequence),
                    to,
                    of_bias,
                );
            });
    }
    // In the order of sequences, whichever was ready first.
    sizes.bias.then(|| {
        [0, dim].map(|first| {
            let mut sum = vec![0.0; dim];
            for of_bias in of_bias.chunks_exact(2 * dim) {
                for (sum, x) in sum.iter_mut().zip(&of_bias[first..first + dim]) {
                    *sum += x;
                }
            }
            sum
        })
    })
}

/// Part `index` of parts of `len`.
fn part(all: &[f32], index: usize, len: usize) -> &[f32] {
    &all[index * len..(index + 1) * len]
}

vectorise! {
    /// The attention of one sequence.
    fn sequence<'a>(
        sizes: &'a Attention,
        operands: Operands<&'a [f32]>,
        output: &'a mut [f32],
        logs: &'a mut [f32],
    ) -> () = sequence_generic
}

vectorise! {
    /// Its gradients.
    fn sequence_backward<'a>(
        sizes: &'a Attention,
        operands: Operands<&'a [f32]>,
        saved: [&'a [f32]; 2],
        gradient: &'a [f32],
        to: &'a mut [f32],
        to_bias: &'a mut [f32],
    ) -> () = sequence_backward_generic
}

/// Where a head's keys (1) or values (2) are packed from.
#[derive(Clone, Copy)]
struct Source<'a> {
    sizes: &'a Attention,
    operands: Operands<&'a [f32]>,
    head: usize,
    which: usize,
}

impl Source<'_> {
    /// Into rows of `head_dim` numbers, a row a key.
    #[inline(always)]
    fn pack_rows<S: Simd>(self, to: &mut Panels, scale: f32) {
        let Attention {
            tokens, head_dim, ..
        } = *self.sizes;
        to.pack::<S>(
            0,
            [tokens, head_dim],
            View::rows(self.data(), self.row()),
            scale,
        );
        if let Some(bias) = self.bias() {
            to.pack::<S>(tokens, [1, head_dim], View::rows(bias, head_dim), scale);
        }
    }

    /// Into columns, a column a key. `gathered` has room for the keys.
    #[inline(always)]
    fn pack_columns<S: Simd>(self, to: &mut Panels, gathered: &mut Vec<f32>, scale: f32) {
        let Attention {
            tokens, head_dim, ..
        } = *self.sizes;
        gathered.clear();
        for token in 0..tokens {
            gathered.extend_from_slice(&self.data()[token * self.row()..][..head_dim]);
        }
        gathered.extend(self.bias().into_iter().flatten());
        let keys = self.sizes.keys();
        to.pack::<S>(
            0,
            [head_dim, keys],
            View::columns(gathered, head_dim),
            scale,
        );
    }

    fn row(&self) -> usize {
        3 * self.sizes.dim()
    }

    fn data(&self) -> &[f32] {
        &self.operands.packed[self.which * self.sizes.dim() + self.head * self.sizes.head_dim..]
    }

    fn bias(&self) -> Option<&[f32]> {
        let head_dim = self.sizes.head_dim;
        let bias = self.operands.bias?[self.which - 1];
        Some(&bias[self.head * head_dim..(self.head + 1) * head_dim])
    }
}

#[inline(always)]
fn sequence_generic<S: Simd>(
    simd: S,
    sizes: &Attention,
    operands: Operands<&[f32]>,
    output: &mut [f32],
    logs: &mut [f32],
) {
    let Attention {
        tokens,
        heads,
        head_dim,
        ..
    } = *sizes;
    let (dim, keys) = (sizes.dim(), sizes.keys());
    let score_row = padded::<S>(keys);
    let mixed_row = padded::<S>(head_dim);
    let mut key = Panels::new::<S>(head_dim, keys);
    let mut value = Panels::new::<S>(keys, head_dim);
    let mut gathered = Vec::with_capacity(keys * head_dim);
    let mut scores = vec![0.0; TILE_ROWS * score_row];
    let mut mixed = vec![0.0; TILE_ROWS * mixed_row];
    for head in 0..heads {
        let source = |which| Source {
            sizes,
            operands,
            head,
            which,
        };
        source(1).pack_columns::<S>(&mut key, &mut gathered, sizes.scale());
        source(2).pack_rows::<S>(&mut value, 1.0);
        for first in (0..tokens).step_by(TILE_ROWS) {
            let rows = TILE_ROWS.min(tokens - first);
            let seen = sizes.visible(first + rows - 1);
            let query = &operands.packed[first * 3 * dim + head * head_dim..];
            let query = View::rows(query, 3 * dim);
            key.product(
                simd,
                [rows, seen, head_dim],
                query,
                &mut scores,
                score_row,
                false,
            );
            let mut sums = [0.0; TILE_ROWS];
            for (i, (scores, sum)) in scores
                .chunks_exact_mut(score_row)
                .zip(&mut sums)
                .enumerate()
                .take(rows)
            {
                let visible = sizes.visible(first + i);
                let (largest, total) = softmax(simd, &mut scores[..padded::<S>(seen)], visible);
                *sum = total;
                logs[head * tokens + first + i] = largest + total.ln();
            }
            let weights = View::rows(&scores, score_row);
            value.product(
                simd,
                [rows, head_dim, seen],
                weights,
                &mut mixed,
                mixed_row,
                false,
            );
            for (i, (mixed, sum)) in mixed
                .chunks_exact(mixed_row)
                .zip(sums)
                .enumerate()
                .take(rows)
            {
                let to = &mut output[(first + i) * dim + head * head_dim..][..head_dim];
                for (to, mixed) in to.iter_mut().zip(mixed) {
                    *to = mixed / sum;
                }
            }
        }
    }
}

/// Leaves `exp(score - largest)` of those that are visible and 0 of the others; gives the largest
/// score and the sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], visible: usize) -> (f32, f32) {
    scores[visible..].fill(f32::NEG_INFINITY);
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
    for x in vectors.iter() {
        most = simd.max_f32s(most, *x);
    }
    let largest = simd.reduce_max_f32s(most);
    let shift = simd.splat_f32s(largest);
    let mut sums = simd.splat_f32s(0.0);
    for x in vectors.iter_mut() {
        *x = exp(simd, simd.sub_f32s(*x, shift));
        sums = simd.add_f32s(sums, *x);
    }
    (largest, simd.reduce_sum_f32s(sums))
}

#[inline(always)]
fn sequence_backward_generic<S: Simd>(
    simd: S,
    sizes: &Attention,
    operands: Operands<&[f32]>,
    [output, logs]: [&[f32]; 2],
    gradient: &[f32],
    to: &mut [f32],
    to_bias: &mut [f32],
) {
    let Attention {
        tokens,
        heads,
        head_dim,
        ..
    } = *sizes;
    let (dim, keys, scale) = (sizes.dim(), sizes.keys(), sizes.scale());
    let score_row = padded::<S>(keys);
    let head_row = padded::<S>(head_dim);
    let mut key_columns = Panels::new::<S>(head_dim, keys);
    let mut value_columns = Panels::new::<S>(head_dim, keys);
    let mut key_rows = Panels::new::<S>(keys, head_dim);
    let mut query_rows = Panels::new::<S>(BLOCK, head_dim);
    let mut gradient_rows = Panels::new::<S>(BLOCK, head_dim);
    let mut gathered = Vec::with_capacity(keys * head_dim);
    let mut weights = vec![0.0; BLOCK * score_row];
    let mut of_scores = vec![0.0; BLOCK * score_row];
    let mut of_query = vec![0.0; BLOCK * head_row];
    let mut of_key = vec![0.0; keys * head_row];
    let mut of_value = vec![0.0; keys * head_row];
    for head in 0..heads {
        let source = |which| Source {
            sizes,
            operands,
            head,
            which,
        };
        source(1).pack_columns::<S>(&mut key_columns, &mut gathered, scale);
        source(1).pack_rows::<S>(&mut key_rows, scale);
        source(2).pack_columns::<S>(&mut value_columns, &mut gathered, 1.0);
        of_key.fill(0.0);
        of_value.fill(0.0);
        for first in (0..tokens).step_by(BLOCK) {
            let rows = BLOCK.min(tokens - first);
            let seen = sizes.visible(first + rows - 1);
            let query = View::rows(
                &operands.packed[first * 3 * dim + head * head_dim..],
                3 * dim,
            );
            let from_output = &gradient[first * dim + head * head_dim..];
            let from_output = View::rows(from_output, dim);
            query_rows.pack::<S>(0, [rows, head_dim], query, scale);
            gradient_rows.pack::<S>(0, [rows, head_dim], from_output, 1.0);
            let sizes_of_scores = [rows, seen, head_dim];
            key_columns.product(simd, sizes_of_scores, query, &mut weights, score_row, false);
            value_columns.product(
                simd,
                sizes_of_scores,
                from_output,
                &mut of_scores,
                score_row,
                false,
            );
            let seen_row = padded::<S>(seen);
            for i in 0..rows {
                let at = (first + i) * dim + head * head_dim;
                let dots = output[at..at + head_dim]
                    .iter()
                    .zip(&gradient[at..at + head_dim]);
                softmax_backward(
                    simd,
                    &mut weights[i * score_row..][..seen_row],
                    &mut of_scores[i * score_row..][..seen_row],
                    sizes.visible(first + i),
                    logs[head * tokens + first + i],
                    dots.map(|(a, b)| a * b).sum(),
                );
            }
            let by_key = |scores| View::columns(scores, score_row);
            gradient_rows.product(
                simd,
                [seen, head_dim, rows],
                by_key(&weights),
                &mut of_value,
                head_row,
                true,
            );
            query_rows.product(
                simd,
                [seen, head_dim, rows],
                by_key(&of_scores),
                &mut of_key,
                head_row,
                true,
            );
            let scores = View::rows(&of_scores, score_row);
            key_rows.product(
                simd,
                [rows, head_dim, seen],
                scores,
                &mut of_query,
                head_row,
                false,
            );
            for i in 0..rows {
                to[(first + i) * 3 * dim + head * head_dim..][..head_dim]
                    .copy_from_slice(&of_query[i * head_row..][..head_dim]);
            }
        }
        for (which, from) in [(1, &of_key), (2, &of_value)] {
            let mut rows = from.chunks_exact(head_row);
            for (token, from) in rows.by_ref().take(tokens).enumerate() {
                to[token * 3 * dim + which * dim + head * head_dim..][..head_dim]
                    .copy_from_slice(&from[..head_dim]);
            }
            if let Some(from) = rows.next() {
                to_bias[(which - 1) * dim + head * head_dim..][..head_dim]
                    .copy_from_slice(&from[..head_dim]);
            }
        }
    }
}

/// Makes weights of scores, and gradients of scores of those of weights.
#[inline(always)]
fn softmax_backward<S: Simd>(
    simd: S,
    scores: &mut [f32],
    of_weights: &mut [f32],
    visible: usize,
    log: f32,
    dot: f32,
) {
    scores[visible..].fill(f32::NEG_INFINITY);
    let log = simd.splat_f32s(log);
    let dot = simd.splat_f32s(dot);
    let (scores, _) = S::as_mut_simd_f32s(scores);
    let (of_weights, _) = S::as_mut_simd_f32s(of_weights);
    for (x, d) in scores.iter_mut().zip(of_weights) {
        *x = exp(simd, simd.sub_f32s(*x, log));
        *d = simd.mul_f32s(*x, simd.sub_f32s(*d, dot));
    }
}

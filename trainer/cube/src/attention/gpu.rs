//! Attention on a GPU.
//!
//! A square of 16 x 16 units has 16 queries of a head and goes along its keys, 16 at a time, with each
//! query's largest score, sum and mixed values so far. For the gradients of keys and values it has 16
//! keys and goes along the queries.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is told all that it needs, one argument each"
)]

use cubecl::prelude::*;

use super::{Attention, Operands};
use crate::gpu::{ComputeClient, Handle, TILE, UNITS, array, cubes, empty, line, square};

/// Widest head: sums of a row are in registers.
pub const MAX_HEAD_DIM: usize = 128;

/// Below every score, and finite: differences with it are numbers.
const LEAST: f32 = -1e30;

/// What a kernel needs to find a head's numbers.
#[derive(CubeType, Clone, Copy)]
struct Place {
    /// Of the head, among those of all sequences.
    index: usize,
    batch: usize,
    head: usize,
    tokens: usize,
    dim: usize,
    head_dim: usize,
}

/// The place of the cube, of whose grid the second axis is that of heads, the third of sequences.
#[cube]
fn place(tokens: u32, heads: u32, head_dim: u32) -> Place {
    let batch = CUBE_POS_Z as usize;
    let head = CUBE_POS_Y as usize;
    let heads = heads as usize;
    let head_dim = head_dim as usize;
    Place {
        index: batch * heads + head,
        batch,
        head,
        tokens: tokens as usize,
        dim: heads * head_dim,
        head_dim,
    }
}

/// Number `c` of a token's query (0), key (1) or value (2), or of the extra one's; 0 beyond them.
#[cube]
fn load<F: Float>(
    packed: &Array<F>,
    extra: &Array<F>,
    at: Place,
    token: usize,
    c: usize,
    #[comptime] which: usize,
    #[comptime] bias: bool,
) -> F {
    let mut x = F::new(0.0);
    if c < at.head_dim {
        if token < at.tokens {
            let row = (at.batch * at.tokens + token) * 3 + which;
            x = packed[row * at.dim + at.head * at.head_dim + c];
        }
        if comptime!(bias && which > 0) {
            if token == at.tokens {
                x = extra[at.head * at.head_dim + c];
            }
        }
    }
    x
}

/// Number `c` of a token's row of the output or its gradient; 0 beyond them.
#[cube]
fn load_row<F: Float>(rows: &Array<F>, at: Place, token: usize, c: usize) -> F {
    let mut x = F::new(0.0);
    if c < at.head_dim && token < at.tokens {
        x = rows[(at.batch * at.tokens + token) * at.dim + at.head * at.head_dim + c];
    }
    x
}

/// The product of row `ty` of one tile and row `tx` of the other, added.
#[cube]
fn dot<F: Float>(a: &SharedMemory<F>, b: &SharedMemory<F>) -> F {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let mut sum = F::new(0.0);
    #[unroll]
    for i in 0..16usize {
        sum += a[ty * 16 + i] * b[tx * 16 + i];
    }
    sum
}

/// The product of row `ty` of one tile and column `tx` of the other.
#[cube]
fn mix<F: Float>(a: &SharedMemory<F>, b: &SharedMemory<F>) -> F {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let mut sum = F::new(0.0);
    #[unroll]
    for i in 0..16usize {
        sum += a[ty * 16 + i] * b[i * 16 + tx];
    }
    sum
}

/// Whether a query sees a key.
#[cube]
fn sees(
    at: Place,
    query: usize,
    key: usize,
    #[comptime] bias: bool,
    #[comptime] causal: bool,
) -> bool {
    let keys = at.tokens + comptime!(bias as usize);
    let mut seen = query < at.tokens && key < keys;
    if comptime!(causal) {
        seen = seen && key <= query;
    }
    seen
}

#[cube(launch)]
fn forward_kernel<F: Float + CubeElement>(
    packed: &Array<F>,
    extra_key: &Array<F>,
    extra_value: &Array<F>,
    output: &mut Array<F>,
    logs: &mut Array<F>,
    tokens: u32,
    heads: u32,
    head_dim: u32,
    scale: F,
    #[comptime] chunks: usize,
    #[comptime] bias: bool,
    #[comptime] causal: bool,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let at = place(tokens, heads, head_dim);
    let first = CUBE_POS_X as usize * 16;
    let query = first + ty;
    let mut a = SharedMemory::<F>::new(256usize);
    let mut b = SharedMemory::<F>::new(256usize);
    let mut weights = SharedMemory::<F>::new(256usize);
    let mut mixed = Array::<F>::new(chunks);
    for chunk in 0..chunks {
        mixed[chunk] = F::new(0.0);
    }
    let mut largest = F::new(LEAST);
    let mut sum = F::new(0.0);
    let tiles = (at.tokens + comptime!(bias as usize) + 15) / 16;
    for tile in 0..tiles {
        let mut score = F::new(0.0);
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            a[ty * 16 + tx] = load::<F>(packed, extra_key, at, query, c, 0usize, bias);
            b[ty * 16 + tx] = load::<F>(packed, extra_key, at, tile * 16 + ty, c, 1usize, bias);
            sync_cube();
            score += dot::<F>(&a, &b);
            sync_cube();
        }
        let seen = sees(at, query, tile * 16 + tx, bias, causal);
        let mut masked = F::new(LEAST);
        if seen {
            masked = score * scale;
        }
        weights[ty * 16 + tx] = masked;
        sync_cube();
        let mut next = largest;
        for i in 0..16usize {
            next = F::max(next, weights[ty * 16 + i]);
        }
        sync_cube();
        let mut weight = F::new(0.0);
        if seen {
            weight = F::exp(masked - next);
        }
        weights[ty * 16 + tx] = weight;
        sync_cube();
        let shrink = F::exp(largest - next);
        largest = next;
        let mut total = F::new(0.0);
        for i in 0..16usize {
            total += weights[ty * 16 + i];
        }
        sum = sum * shrink + total;
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            b[ty * 16 + tx] = load::<F>(packed, extra_value, at, tile * 16 + ty, c, 2usize, bias);
            sync_cube();
            mixed[chunk] = mixed[chunk] * shrink + mix::<F>(&weights, &b);
            sync_cube();
        }
    }
    if query < at.tokens {
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            if c < at.head_dim {
                let row = (at.batch * at.tokens + query) * at.dim + at.head * at.head_dim;
                output[row + c] = mixed[chunk] / sum;
            }
        }
        if tx == 0usize {
            logs[at.index * at.tokens + query] = largest + F::ln(sum);
        }
    }
}

/// The product of each query's output and its gradient.
#[cube(launch)]
fn dots_kernel<F: Float + CubeElement>(
    output: &Array<F>,
    gradient: &Array<F>,
    dots: &mut Array<F>,
    tokens: u32,
    heads: u32,
    head_dim: u32,
) {
    let row = ABSOLUTE_POS as usize;
    if row < dots.len() {
        let (tokens, heads, head_dim) = (tokens as usize, heads as usize, head_dim as usize);
        let token = row % tokens;
        let head = row / tokens % heads;
        let batch = row / tokens / heads;
        let first = ((batch * tokens + token) * heads + head) * head_dim;
        let mut sum = F::new(0.0);
        for c in 0..head_dim {
            sum += output[first + c] * gradient[first + c];
        }
        dots[row] = sum;
    }
}

/// The gradients of queries.
#[cube(launch)]
fn query_kernel<F: Float + CubeElement>(
    packed: &Array<F>,
    extra_key: &Array<F>,
    extra_value: &Array<F>,
    logs: &Array<F>,
    dots: &Array<F>,
    gradient: &Array<F>,
    to: &mut Array<F>,
    tokens: u32,
    heads: u32,
    head_dim: u32,
    scale: F,
    #[comptime] chunks: usize,
    #[comptime] bias: bool,
    #[comptime] causal: bool,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let at = place(tokens, heads, head_dim);
    let query = CUBE_POS_X as usize * 16 + ty;
    let row = at.index * at.tokens + query;
    let mut a = SharedMemory::<F>::new(256usize);
    let mut b = SharedMemory::<F>::new(256usize);
    let mut of_scores = SharedMemory::<F>::new(256usize);
    let mut sums = Array::<F>::new(chunks);
    for chunk in 0..chunks {
        sums[chunk] = F::new(0.0);
    }
    let tiles = (at.tokens + comptime!(bias as usize) + 15) / 16;
    for tile in 0..tiles {
        let key = tile * 16 + ty;
        let mut score = F::new(0.0);
        let mut of_weight = F::new(0.0);
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            a[ty * 16 + tx] = load::<F>(packed, extra_key, at, query, c, 0usize, bias);
            b[ty * 16 + tx] = load::<F>(packed, extra_key, at, key, c, 1usize, bias);
            sync_cube();
            score += dot::<F>(&a, &b);
            sync_cube();
            a[ty * 16 + tx] = load_row::<F>(gradient, at, query, c);
            b[ty * 16 + tx] = load::<F>(packed, extra_value, at, key, c, 2usize, bias);
            sync_cube();
            of_weight += dot::<F>(&a, &b);
            sync_cube();
        }
        let mut of_score = F::new(0.0);
        if sees(at, query, tile * 16 + tx, bias, causal) {
            let weight = F::exp(score * scale - logs[row]);
            of_score = weight * (of_weight - dots[row]) * scale;
        }
        of_scores[ty * 16 + tx] = of_score;
        sync_cube();
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            b[ty * 16 + tx] = load::<F>(packed, extra_key, at, key, c, 1usize, bias);
            sync_cube();
            sums[chunk] = sums[chunk] + mix::<F>(&of_scores, &b);
            sync_cube();
        }
    }
    if query < at.tokens {
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            if c < at.head_dim {
                let row = (at.batch * at.tokens + query) * 3 * at.dim;
                to[row + at.head * at.head_dim + c] = sums[chunk];
            }
        }
    }
}

/// The gradients of keys and values; those of the extra ones a sequence, `[batch, 2, dim]`.
#[cube(launch)]
fn key_kernel<F: Float + CubeElement>(
    packed: &Array<F>,
    extra_key: &Array<F>,
    extra_value: &Array<F>,
    logs: &Array<F>,
    dots: &Array<F>,
    gradient: &Array<F>,
    to: &mut Array<F>,
    to_extra: &mut Array<F>,
    tokens: u32,
    heads: u32,
    head_dim: u32,
    scale: F,
    #[comptime] chunks: usize,
    #[comptime] bias: bool,
    #[comptime] causal: bool,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let at = place(tokens, heads, head_dim);
    let key = CUBE_POS_X as usize * 16 + ty;
    let mut a = SharedMemory::<F>::new(256usize);
    let mut b = SharedMemory::<F>::new(256usize);
    let mut weights = SharedMemory::<F>::new(256usize);
    let mut of_scores = SharedMemory::<F>::new(256usize);
    let mut of_key = Array::<F>::new(chunks);
    let mut of_value = Array::<F>::new(chunks);
    for chunk in 0..chunks {
        of_key[chunk] = F::new(0.0);
        of_value[chunk] = F::new(0.0);
    }
    let tiles = (at.tokens + 15) / 16;
    for tile in 0..tiles {
        let mut score = F::new(0.0);
        let mut of_weight = F::new(0.0);
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            a[ty * 16 + tx] = load::<F>(packed, extra_key, at, key, c, 1usize, bias);
            b[ty * 16 + tx] = load::<F>(packed, extra_key, at, tile * 16 + ty, c, 0usize, bias);
            sync_cube();
            score += dot::<F>(&a, &b);
            sync_cube();
            a[ty * 16 + tx] = load::<F>(packed, extra_value, at, key, c, 2usize, bias);
            b[ty * 16 + tx] = load_row::<F>(gradient, at, tile * 16 + ty, c);
            sync_cube();
            of_weight += dot::<F>(&a, &b);
            sync_cube();
        }
        let query = tile * 16 + tx;
        let mut weight = F::new(0.0);
        let mut of_score = F::new(0.0);
        if sees(at, query, key, bias, causal) {
            let row = at.index * at.tokens + query;
            weight = F::exp(score * scale - logs[row]);
            of_score = weight * (of_weight - dots[row]) * scale;
        }
        weights[ty * 16 + tx] = weight;
        of_scores[ty * 16 + tx] = of_score;
        sync_cube();
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            a[ty * 16 + tx] = load_row::<F>(gradient, at, tile * 16 + ty, c);
            b[ty * 16 + tx] = load::<F>(packed, extra_key, at, tile * 16 + ty, c, 0usize, bias);
            sync_cube();
            of_value[chunk] = of_value[chunk] + mix::<F>(&weights, &a);
            of_key[chunk] = of_key[chunk] + mix::<F>(&of_scores, &b);
            sync_cube();
        }
    }
    for chunk in 0..chunks {
        let c = chunk * 16 + tx;
        if c < at.head_dim {
            let place = at.head * at.head_dim + c;
            if key < at.tokens {
                let row = (at.batch * at.tokens + key) * 3 * at.dim;
                to[row + at.dim + place] = of_key[chunk];
                to[row + 2 * at.dim + place] = of_value[chunk];
            }
            if comptime!(bias) {
                if key == at.tokens {
                    let row = at.batch * 2 * at.dim;
                    to_extra[row + place] = of_key[chunk];
                    to_extra[row + at.dim + place] = of_value[chunk];
                }
            }
        }
    }
}

/// The sum over sequences, in their order.
#[cube(launch)]
fn sum_kernel<F: Float + CubeElement>(
    from: &Array<F>,
    to: &mut Array<F>,
    first: u32,
    batch: u32,
    dim: u32,
) {
    let c = ABSOLUTE_POS as usize;
    if c < to.len() {
        let mut sum = F::new(0.0);
        for row in 0..batch as usize {
            sum += from[row * 2 * dim as usize + first as usize + c];
        }
        to[c] = sum;
    }
}

/// The extra key and value, or something in their place that is not read.
fn extra<R: Runtime>(sizes: &Attention, operands: Operands<&Handle>) -> [ArrayArg<R>; 2] {
    match operands.bias {
        Some(bias) => bias.map(|handle| array(handle, sizes.dim())),
        None => [array(operands.packed, 1), array(operands.packed, 1)],
    }
}

fn grid(sizes: &Attention, rows: usize) -> CubeCount {
    CubeCount::Static(
        rows.div_ceil(TILE) as u32,
        sizes.heads as u32,
        sizes.batch as u32,
    )
}

/// Whether these kernels are for such sizes: heads are no wider than [`MAX_HEAD_DIM`], and no axis of
/// a grid is longer than any device takes.
#[must_use]
pub const fn takes(sizes: &Attention) -> bool {
    let most = u16::MAX as usize;
    sizes.head_dim <= MAX_HEAD_DIM && sizes.heads <= most && sizes.batch <= most
}

/// As [`super::forward`].
///
/// # Panics
///
/// If the kernels are not for [such sizes](takes).
#[must_use]
pub fn forward<R: Runtime>(
    client: &ComputeClient<R>,
    sizes: &Attention,
    operands: Operands<&Handle>,
) -> [Handle; 2] {
    assert!(takes(sizes), "attention: {sizes:?}");
    let output = empty(client, sizes.output_len());
    let logs = empty(client, sizes.rows());
    if sizes.output_len() > 0 {
        let [key, value] = extra(sizes, operands);
        forward_kernel::launch::<f32, R>(
            client,
            grid(sizes, sizes.tokens),
            square(),
            array(operands.packed, sizes.packed_len()),
            key,
            value,
            array(&output, sizes.output_len()),
            array(&logs, sizes.rows()),
            sizes.tokens as u32,
            sizes.heads as u32,
            sizes.head_dim as u32,
            sizes.scale(),
            sizes.head_dim.div_ceil(TILE),
            sizes.bias,
            sizes.causal,
        );
    }
    [output, logs]
}

/// As [`super::backward`].
///
/// # Panics
///
/// As [`forward`].
#[must_use]
pub fn backward<R: Runtime>(
    client: &ComputeClient<R>,
    sizes: &Attention,
    operands: Operands<&Handle>,
    [output, logs]: [&Handle; 2],
    gradient: &Handle,
) -> Operands<Handle> {
    assert!(takes(sizes), "attention: {sizes:?}");
    let (dim, rows, len) = (sizes.dim(), sizes.rows(), sizes.output_len());
    let packed = empty(client, sizes.packed_len());
    let extra_len = 2 * sizes.batch * dim;
    let of_extra = empty(client, extra_len);
    let sizes_args = [
        sizes.tokens as u32,
        sizes.heads as u32,
        sizes.head_dim as u32,
    ];
    let [tokens, heads, head_dim] = sizes_args;
    let chunks = sizes.head_dim.div_ceil(TILE);
    if len > 0 {
        let dots = empty(client, rows);
        dots_kernel::launch::<f32, R>(
            client,
            cubes(rows.div_ceil(UNITS)),
            line(),
            array(output, len),
            array(gradient, len),
            array(&dots, rows),
            tokens,
            heads,
            head_dim,
        );
        let [key, value] = extra(sizes, operands);
        query_kernel::launch::<f32, R>(
            client,
            grid(sizes, sizes.tokens),
            square(),
            array(operands.packed, sizes.packed_len()),
            key,
            value,
            array(logs, rows),
            array(&dots, rows),
            array(gradient, len),
            array(&packed, sizes.packed_len()),
            tokens,
            heads,
            head_dim,
            sizes.scale(),
            chunks,
            sizes.bias,
            sizes.causal,
        );
        let [key, value] = extra(sizes, operands);
        key_kernel::launch::<f32, R>(
            client,
            grid(sizes, sizes.keys()),
            square(),
            array(operands.packed, sizes.packed_len()),
            key,
            value,
            array(logs, rows),
            array(&dots, rows),
            array(gradient, len),
            array(&packed, sizes.packed_len()),
            array(&of_extra, extra_len),
            tokens,
            heads,
            head_dim,
            sizes.scale(),
            chunks,
            sizes.bias,
            sizes.causal,
        );
    }
    let bias = sizes.bias.then(|| {
        [0, dim].map(|first| {
            let sum = empty(client, dim);
            sum_kernel::launch::<f32, R>(
                client,
                cubes(dim.div_ceil(UNITS)),
                line(),
                array(&of_extra, extra_len.max(1)),
                array(&sum, dim),
                first as u32,
                if len > 0 { sizes.batch as u32 } else { 0 },
                dim as u32,
            );
            sum
        })
    });
    Operands { packed, bias }
}

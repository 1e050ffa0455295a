//! The denominators of InfoNCE on a GPU: a square of units has a tile of 16 x 16 similarities, and
//! goes along a row of tiles with each row's largest similarity and sum so far.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is told all that it needs, one argument each"
)]

use cubecl::prelude::*;

use super::{Nce, Sides};
use crate::gpu::{ComputeClient, Handle, TILE, array, empty, square};

/// Below every similarity, and finite: differences with it are numbers.
const LEAST: f32 = -1e30;

/// `x[row, ..] y[column, ..]` for the unit's row and column of a tile; all units have to call it.
#[cube]
fn similarity<F: Float>(
    x: &Array<F>,
    y: &Array<F>,
    x_tile: &mut SharedMemory<F>,
    y_tile: &mut SharedMemory<F>,
    first_x: usize,
    first_y: usize,
    rows: usize,
    columns: usize,
    dim: usize,
) -> F {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let mut sum = F::new(0.0);
    let chunks = (dim + 15) / 16;
    for chunk in 0..chunks {
        let c = chunk * 16 + tx;
        let mut of_x = F::new(0.0);
        let mut of_y = F::new(0.0);
        if c < dim {
            if first_x + ty < rows {
                of_x = x[(first_x + ty) * dim + c];
            }
            if first_y + ty < columns {
                of_y = y[(first_y + ty) * dim + c];
            }
        }
        x_tile[ty * 16 + tx] = of_x;
        y_tile[ty * 16 + tx] = of_y;
        sync_cube();
        #[unroll]
        for i in 0..16usize {
            sum += x_tile[ty * 16 + i] * y_tile[tx * 16 + i];
        }
        sync_cube();
    }
    sum
}

#[cube(launch)]
fn forward_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    y: &Array<F>,
    groups: &Array<i32>,
    logs: &mut Array<F>,
    rows: u32,
    columns: u32,
    dim: u32,
    #[comptime] grouped: bool,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let rows = rows as usize;
    let columns = columns as usize;
    let first = CUBE_POS as usize * 16;
    let row = first + ty;
    let mut x_tile = SharedMemory::<F>::new(256usize);
    let mut y_tile = SharedMemory::<F>::new(256usize);
    // Of the columns that this unit sees: each 16th.
    let mut largest = F::new(LEAST);
    let mut sum = F::new(0.0);
    let tiles = (columns + 15) / 16;
    for tile in 0..tiles {
        let s = similarity::<F>(
            x,
            y,
            &mut x_tile,
            &mut y_tile,
            first,
            tile * 16,
            rows,
            columns,
            dim as usize,
        );
        let column = tile * 16 + tx;
        let mut counts = row < rows && column < columns;
        if comptime!(grouped) {
            if counts && row != column {
                counts = groups[row] != groups[column];
            }
        }
        if counts {
            let next = F::max(largest, s);
            sum = sum * F::exp(largest - next) + F::exp(s - next);
            largest = next;
        }
    }
    x_tile[ty * 16 + tx] = largest;
    y_tile[ty * 16 + tx] = sum;
    sync_cube();
    if tx == 0usize && row < rows {
        let mut most = F::new(LEAST);
        for i in 0..16usize {
            most = F::max(most, x_tile[ty * 16 + i]);
        }
        let mut total = F::new(0.0);
        for i in 0..16usize {
            total += y_tile[ty * 16 + i] * F::exp(x_tile[ty * 16 + i] - most);
        }
        logs[row] = most + F::ln(total);
    }
}

/// The gradient of `x`, of whose rows (`by_row`) or columns the logarithms are.
#[cube(launch)]
fn backward_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    y: &Array<F>,
    groups: &Array<i32>,
    logs: &Array<F>,
    gradient: &Array<F>,
    of_x: &mut Array<F>,
    rows: u32,
    columns: u32,
    dim: u32,
    #[comptime] chunks: usize,
    #[comptime] by_row: bool,
    #[comptime] grouped: bool,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let rows = rows as usize;
    let columns = columns as usize;
    let dim = dim as usize;
    let first = CUBE_POS as usize * 16;
    let row = first + ty;
    let mut x_tile = SharedMemory::<F>::new(256usize);
    let mut y_tile = SharedMemory::<F>::new(256usize);
    let mut shares = SharedMemory::<F>::new(256usize);
    // Numbers tx, tx + 16, ... of the row.
    let mut sums = Array::<F>::new(chunks);
    for chunk in 0..chunks {
        sums[chunk] = F::new(0.0);
    }
    let tiles = (columns + 15) / 16;
    for tile in 0..tiles {
        let s = similarity::<F>(
            x,
            y,
            &mut x_tile,
            &mut y_tile,
            first,
            tile * 16,
            rows,
            columns,
            dim,
        );
        let column = tile * 16 + tx;
        let mut counts = row < rows && column < columns;
        if comptime!(grouped) {
            if counts && row != column {
                counts = groups[row] != groups[column];
            }
        }
        let mut share = F::new(0.0);
        if counts {
            let of = if comptime!(by_row) { row } else { column };
            share = F::exp(s - logs[of]) * gradient[of];
        }
        shares[ty * 16 + tx] = share;
        sync_cube();
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            let mut of_y = F::new(0.0);
            if c < dim && tile * 16 + ty < columns {
                of_y = y[(tile * 16 + ty) * dim + c];
            }
            y_tile[ty * 16 + tx] = of_y;
            sync_cube();
            let mut sum = sums[chunk];
            #[unroll]
            for j in 0..16usize {
                sum += shares[ty * 16 + j] * y_tile[j * 16 + tx];
            }
            sums[chunk] = sum;
            sync_cube();
        }
    }
    if row < rows {
        for chunk in 0..chunks {
            let c = chunk * 16 + tx;
            if c < dim {
                of_x[row * dim + c] = sums[chunk];
            }
        }
    }
}

/// As [`super::forward`].
#[must_use]
pub fn forward<R: Runtime>(
    client: &ComputeClient<R>,
    sizes: &Nce,
    sides: Sides<&Handle, &Handle>,
) -> Handle {
    let Nce { rows, columns, dim } = *sizes;
    let logs = empty(client, rows);
    if rows == 0 {
        return logs;
    }
    forward_kernel::launch::<f32, R>(
        client,
        crate::gpu::cubes(rows.div_ceil(TILE)),
        square(),
        array(sides.x, rows * dim),
        array(sides.y, columns * dim),
        groups(sides, rows),
        array(&logs, rows),
        rows as u32,
        columns as u32,
        dim as u32,
        sides.groups.is_some(),
    );
    logs
}

/// As [`super::backward`].
#[must_use]
pub fn backward<R: Runtime>(
    client: &ComputeClient<R>,
    sizes: &Nce,
    sides: Sides<&Handle, &Handle>,
    logs: &Handle,
    gradient: &Handle,
    with_y: bool,
) -> (Handle, Option<Handle>) {
    let Nce { rows, columns, dim } = *sizes;
    let of = |x: &Handle, y: &Handle, rows: usize, columns: usize, by_row: bool| {
        let to = empty(client, rows * dim);
        if rows > 0 {
            let count = if by_row { rows } else { columns };
            backward_kernel::launch::<f32, R>(
                client,
                crate::gpu::cubes(rows.div_ceil(TILE)),
                square(),
                array(x, rows * dim),
                array(y, columns * dim),
                groups(sides, rows),
                array(logs, count),
                array(gradient, count),
                array(&to, rows * dim),
                rows as u32,
                columns as u32,
                dim as u32,
                dim.div_ceil(TILE),
                by_row,
                sides.groups.is_some(),
            );
        }
        to
    };
    let of_x = of(sides.x, sides.y, rows, columns, true);
    (
        of_x,
        with_y.then(|| of(sides.y, sides.x, columns, rows, false)),
    )
}

/// The groups, or something in their place that is not read.
fn groups<R: Runtime>(sides: Sides<&Handle, &Handle>, rows: usize) -> ArrayArg<R> {
    match sides.groups {
        Some(groups) => array(groups, rows),
        None => array(sides.x, 1),
    }
}

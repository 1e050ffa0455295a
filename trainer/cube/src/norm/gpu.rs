//! Layer normalisation on a GPU: a line of units shares a row; for the gradients of weight and bias,
//! a square has 16 columns, and each of its rows of units each 16th row of the numbers.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel is told all that it needs, one argument each"
)]

use cubecl::prelude::*;

use super::Affine;
use crate::gpu::{ComputeClient, Handle, TILE, UNITS, array, cubes, empty, line, square};

/// The sum of what the units of a line have, in the order of units; all units have to call it.
#[cube]
fn sum_of_units<F: Float>(shared: &mut SharedMemory<F>, mine: F) -> F {
    shared[UNIT_POS_X as usize] = mine;
    sync_cube();
    let mut sum = F::new(0.0);
    for unit in 0..64usize {
        sum += shared[unit];
    }
    sync_cube();
    sum
}

/// The mean of row `first..first + dim` and what its numbers are multiplied by, `[rows, 2]`.
#[cube(launch)]
fn moments_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    moments: &mut Array<F>,
    rows: u32,
    dim: u32,
    epsilon: F,
) {
    let unit = UNIT_POS_X as usize;
    let dim = dim as usize;
    let row = CUBE_POS as usize;
    let mut shared = SharedMemory::<F>::new(64usize);
    let here = row < rows as usize;
    let turns = (dim + 63) / 64;
    let count = F::cast_from(dim as u32);
    let mut sum = F::new(0.0);
    for turn in 0..turns {
        let c = turn * 64 + unit;
        if here && c < dim {
            sum += x[row * dim + c];
        }
    }
    let mean = sum_of_units::<F>(&mut shared, sum) / count;
    let mut squares = F::new(0.0);
    for turn in 0..turns {
        let c = turn * 64 + unit;
        if here && c < dim {
            let x = x[row * dim + c] - mean;
            squares += x * x;
        }
    }
    let variance = sum_of_units::<F>(&mut shared, squares) / count;
    if here && unit == 0usize {
        moments[2 * row] = mean;
        moments[2 * row + 1] = F::new(1.0) / F::sqrt(variance + epsilon);
    }
}

#[cube(launch)]
fn forward_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    moments: &Array<F>,
    weight: &Array<F>,
    bias: &Array<F>,
    y: &mut Array<F>,
    dim: u32,
) {
    let at = ABSOLUTE_POS as usize;
    if at < y.len() {
        let row = at / dim as usize;
        let c = at % dim as usize;
        let x = (x[at] - moments[2 * row]) * moments[2 * row + 1];
        y[at] = x * weight[c] + bias[c];
    }
}

#[cube(launch)]
fn rows_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    moments: &Array<F>,
    weight: &Array<F>,
    gradient: &Array<F>,
    of_x: &mut Array<F>,
    rows: u32,
    dim: u32,
) {
    let unit = UNIT_POS_X as usize;
    let dim = dim as usize;
    let row = CUBE_POS as usize;
    let mut shared = SharedMemory::<F>::new(64usize);
    let here = row < rows as usize;
    let turns = (dim + 63) / 64;
    let count = F::cast_from(dim as u32);
    let mut mean = F::new(0.0);
    let mut factor = F::new(0.0);
    if here {
        mean = moments[2 * row];
        factor = moments[2 * row + 1];
    }
    let mut sum = F::new(0.0);
    let mut along = F::new(0.0);
    for turn in 0..turns {
        let c = turn * 64 + unit;
        if here && c < dim {
            let given = gradient[row * dim + c] * weight[c];
            sum += given;
            along += given * (x[row * dim + c] - mean) * factor;
        }
    }
    let sum = sum_of_units::<F>(&mut shared, sum) / count;
    let along = sum_of_units::<F>(&mut shared, along) / count;
    for turn in 0..turns {
        let c = turn * 64 + unit;
        if here && c < dim {
            let given = gradient[row * dim + c] * weight[c];
            let x = (x[row * dim + c] - mean) * factor;
            of_x[row * dim + c] = (given - sum - x * along) * factor;
        }
    }
}

#[cube(launch)]
fn affine_kernel<F: Float + CubeElement>(
    x: &Array<F>,
    moments: &Array<F>,
    gradient: &Array<F>,
    of_weight: &mut Array<F>,
    of_bias: &mut Array<F>,
    rows: u32,
    dim: u32,
) {
    let tx = UNIT_POS_X as usize;
    let ty = UNIT_POS_Y as usize;
    let dim = dim as usize;
    let rows = rows as usize;
    let c = CUBE_POS as usize * 16 + tx;
    let mut weights = SharedMemory::<F>::new(256usize);
    let mut biases = SharedMemory::<F>::new(256usize);
    let mut of = F::new(0.0);
    let mut plain = F::new(0.0);
    let turns = (rows + 15) / 16;
    for turn in 0..turns {
        let row = turn * 16 + ty;
        if row < rows && c < dim {
            let given = gradient[row * dim + c];
            of += given * (x[row * dim + c] - moments[2 * row]) * moments[2 * row + 1];
            plain += given;
        }
    }
    weights[ty * 16 + tx] = of;
    biases[ty * 16 + tx] = plain;
    sync_cube();
    if ty == 0usize && c < dim {
        let mut of = F::new(0.0);
        let mut plain = F::new(0.0);
        for i in 0..16usize {
            of += weights[i * 16 + tx];
            plain += biases[i * 16 + tx];
        }
        of_weight[c] = of;
        of_bias[c] = plain;
    }
}

fn moments<R: Runtime>(
    client: &ComputeClient<R>,
    x: &Handle,
    [rows, dim]: [usize; 2],
    epsilon: f32,
) -> Handle {
    let moments = empty(client, 2 * rows);
    moments_kernel::launch::<f32, R>(
        client,
        cubes(rows),
        line(),
        array(x, rows * dim),
        array(&moments, 2 * rows),
        rows as u32,
        dim as u32,
        epsilon,
    );
    moments
}

/// As [`super::forward_into`], of so many rows of so many numbers.
#[must_use]
pub fn forward<R: Runtime>(
    client: &ComputeClient<R>,
    [rows, dim]: [usize; 2],
    x: &Handle,
    affine: Affine<&Handle>,
    epsilon: f32,
) -> Handle {
    let len = rows * dim;
    let y = empty(client, len);
    if len > 0 {
        let moments = moments(client, x, [rows, dim], epsilon);
        forward_kernel::launch::<f32, R>(
            client,
            cubes(len.div_ceil(UNITS)),
            line(),
            array(x, len),
            array(&moments, 2 * rows),
            array(affine.weight, dim),
            array(affine.bias, dim),
            array(&y, len),
            dim as u32,
        );
    }
    y
}

/// As [`super::backward_in_place`], the gradient of the rows in memory of its own.
#[must_use]
pub fn backward<R: Runtime>(
    client: &ComputeClient<R>,
    [rows, dim]: [usize; 2],
    x: &Handle,
    weight: &Handle,
    epsilon: f32,
    gradient: &Handle,
) -> (Handle, Affine<Handle>) {
    let len = rows * dim;
    let of_x = empty(client, len);
    if len == 0 {
        // There is nothing to sum, but sums there have to be.
        let zeros = || client.create_from_slice(f32::as_bytes(&vec![0.0; dim.max(1)]));
        return (
            of_x,
            Affine {
                weight: zeros(),
                bias: zeros(),
            },
        );
    }
    let (of_weight, of_bias) = (empty(client, dim), empty(client, dim));
    let moments = moments(client, x, [rows, dim], epsilon);
    rows_kernel::launch::<f32, R>(
        client,
        cubes(rows),
        line(),
        array(x, len),
        array(&moments, 2 * rows),
        array(weight, dim),
        array(gradient, len),
        array(&of_x, len),
        rows as u32,
        dim as u32,
    );
    affine_kernel::launch::<f32, R>(
        client,
        cubes(dim.div_ceil(TILE)),
        square(),
        array(x, len),
        array(&moments, 2 * rows),
        array(gradient, len),
        array(&of_weight, dim),
        array(&of_bias, dim),
        rows as u32,
        dim as u32,
    );
    (
        of_x,
        Affine {
            weight: of_weight,
            bias: of_bias,
        },
    )
}

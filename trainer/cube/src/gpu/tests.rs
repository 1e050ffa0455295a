//! The suite on GPUs, and on drivers that take a CPU for one.

use cubecl::prelude::*;

use super::{ComputeClient, Handle};
use crate::attention::{self, Attention, Operands};
use crate::check::{Kernels, check_all};
use crate::gelu;
use crate::nce::{self, Nce, Sides};
use crate::norm::{self, Affine};

/// A device.
pub(crate) struct Gpu<R: Runtime>(ComputeClient<R>);

impl<R: Runtime> Gpu<R> {
    fn put(&self, x: &[f32]) -> Handle {
        // A buffer of nothing cannot be made.
        let x = if x.is_empty() { &[0.0] } else { x };
        self.0.create_from_slice(f32::as_bytes(x))
    }

    fn get(&self, handle: Handle, len: usize) -> Vec<f32> {
        f32::from_bytes(&self.0.read_one(handle).unwrap())[..len].to_vec()
    }

    fn put_operands(&self, operands: Operands<&[f32]>) -> Operands<Handle> {
        Operands {
            packed: self.put(operands.packed),
            bias: operands.bias.map(|bias| bias.map(|x| self.put(x))),
        }
    }

    fn put_sides(&self, sides: Sides<&[f32], &[i32]>) -> Sides<Handle, Handle> {
        let groups = sides
            .groups
            .map(|groups| self.0.create_from_slice(i32::as_bytes(groups)));
        Sides {
            x: self.put(sides.x),
            y: self.put(sides.y),
            groups,
        }
    }
}

fn borrow(operands: &Operands<Handle>) -> Operands<&Handle> {
    let bias = operands.bias.as_ref().map(|[key, value]| [key, value]);
    Operands {
        packed: &operands.packed,
        bias,
    }
}

fn borrow_sides(sides: &Sides<Handle, Handle>) -> Sides<&Handle, &Handle> {
    Sides {
        x: &sides.x,
        y: &sides.y,
        groups: sides.groups.as_ref(),
    }
}

impl<R: Runtime> Kernels for Gpu<R> {
    fn attention(&self, sizes: &Attention, operands: Operands<&[f32]>) -> [Vec<f32>; 2] {
        let operands = self.put_operands(operands);
        let [output, logs] = attention::gpu::forward(&self.0, sizes, borrow(&operands));
        [
            self.get(output, sizes.output_len()),
            self.get(logs, sizes.rows()),
        ]
    }

    fn attention_backward(
        &self,
        sizes: &Attention,
        operands: Operands<&[f32]>,
        saved: [&[f32]; 2],
        gradient: &[f32],
    ) -> Operands<Vec<f32>> {
        let operands = self.put_operands(operands);
        let saved = saved.map(|x| self.put(x));
        let saved = [&saved[0], &saved[1]];
        let gradient = self.put(gradient);
        let of = attention::gpu::backward(&self.0, sizes, borrow(&operands), saved, &gradient);
        Operands {
            packed: self.get(of.packed, sizes.packed_len()),
            bias: of.bias.map(|bias| bias.map(|x| self.get(x, sizes.dim()))),
        }
    }

    fn nce(&self, sizes: &Nce, sides: Sides<&[f32], &[i32]>) -> Vec<f32> {
        let sides = self.put_sides(sides);
        self.get(
            nce::gpu::forward(&self.0, sizes, borrow_sides(&sides)),
            sizes.rows,
        )
    }

    fn nce_backward(
        &self,
        sizes: &Nce,
        sides: Sides<&[f32], &[i32]>,
        logs: &[f32],
        gradient: &[f32],
    ) -> [Vec<f32>; 2] {
        let sides = self.put_sides(sides);
        let (logs, gradient) = (self.put(logs), self.put(gradient));
        let sides = borrow_sides(&sides);
        let (of_x, of_y) = nce::gpu::backward(&self.0, sizes, sides, &logs, &gradient, true);
        let Nce { rows, columns, dim } = *sizes;
        let of_y = of_y.map(|of_y| self.get(of_y, columns * dim));
        [self.get(of_x, rows * dim), of_y.unwrap()]
    }

    fn norm(&self, x: &[f32], affine: Affine<&[f32]>, epsilon: f32) -> Vec<f32> {
        let dim = affine.weight.len();
        let (weight, bias) = (self.put(affine.weight), self.put(affine.bias));
        let affine = Affine {
            weight: &weight,
            bias: &bias,
        };
        let sizes = [x.len() / dim, dim];
        let y = norm::gpu::forward(&self.0, sizes, &self.put(x), affine, epsilon);
        self.get(y, x.len())
    }

    fn norm_backward(
        &self,
        x: &[f32],
        weight: &[f32],
        epsilon: f32,
        gradient: &[f32],
    ) -> (Vec<f32>, Affine<Vec<f32>>) {
        let dim = weight.len();
        let sizes = [x.len() / dim, dim];
        let [rows, factors, given] = [x, weight, gradient].map(|x| self.put(x));
        let (of_x, of) = norm::gpu::backward(&self.0, sizes, &rows, &factors, epsilon, &given);
        let of = Affine {
            weight: self.get(of.weight, dim),
            bias: self.get(of.bias, dim),
        };
        (self.get(of_x, x.len()), of)
    }

    fn gelu(&self, x: &[f32]) -> Vec<f32> {
        self.get(gelu::gpu::forward(&self.0, &self.put(x), x.len()), x.len())
    }

    fn gelu_backward(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let of_x = gelu::gpu::backward(&self.0, &self.put(x), &self.put(gradient), x.len());
        self.get(of_x, x.len())
    }
}

/// The default device of wgpu. Making a client where there is none panics, and that is all there is
/// to ask.
#[cfg(feature = "wgpu")]
fn wgpu() -> Option<Gpu<cubecl::wgpu::WgpuRuntime>> {
    std::panic::catch_unwind(|| Gpu(cubecl::wgpu::WgpuRuntime::client(&Default::default()))).ok()
}

#[cfg(feature = "wgpu")]
check_all!(on_wgpu, if super::wgpu());

/// The first device of CUDA.
#[cfg(feature = "cuda")]
fn cuda() -> Option<Gpu<cubecl::cuda::CudaRuntime>> {
    std::panic::catch_unwind(|| Gpu(cubecl::cuda::CudaRuntime::client(&Default::default()))).ok()
}

#[cfg(feature = "cuda")]
check_all!(on_cuda, if super::cuda());

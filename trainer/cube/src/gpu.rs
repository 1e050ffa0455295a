//! What kernels for a GPU share.
//!
//! Buffers are [`Handle`]s of contiguous arrays whose lengths follow from the sizes given, and lie on
//! the device of the client. Kernels check bounds on the device, so a buffer that is too small gives
//! wrong numbers and not a fault.

use cubecl::prelude::*;

pub use cubecl::Runtime;
pub use cubecl::client::ComputeClient;
pub use cubecl::server::Handle;

/// Rows and columns of a tile, and the side of the squares of units that work on it.
pub(crate) const TILE: usize = 16;

/// Units that share a row.
pub(crate) const UNITS: usize = 64;

/// Widest grid that all devices take is 65535; half of it splits more evenly.
const WIDEST: usize = 32_768;

/// A kernel's argument of so many 32-bit numbers.
pub(crate) fn array<R: Runtime>(handle: &Handle, len: usize) -> ArrayArg<R> {
    // SAFETY: callers give the length that the buffer's sizes say, and kernels are started with
    // checks of bounds, which hold them to the buffer.
    unsafe { ArrayArg::from_raw_parts(handle.clone(), len) }
}

/// An array of so many 32-bit numbers that are not written yet.
pub(crate) fn empty<R: Runtime>(client: &ComputeClient<R>, len: usize) -> Handle {
    client.empty(len.max(1) * size_of::<f32>())
}

/// So many cubes, which know theirs by `CUBE_POS`; there may be some too many.
pub(crate) fn cubes(count: usize) -> CubeCount {
    let across = count.min(WIDEST);
    CubeCount::Static(across as u32, count.div_ceil(across.max(1)) as u32, 1)
}

/// A square of units.
pub(crate) fn square() -> CubeDim {
    CubeDim {
        x: TILE as u32,
        y: TILE as u32,
        z: 1,
    }
}

/// A row of units.
pub(crate) fn line() -> CubeDim {
    CubeDim {
        x: UNITS as u32,
        y: 1,
        z: 1,
    }
}

#[cfg(test)]
pub(crate) mod tests;

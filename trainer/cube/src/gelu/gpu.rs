//! The activation on a GPU, a number a unit.

use cubecl::prelude::*;

use super::DENSITY_AT_0;
use crate::gpu::{ComputeClient, Handle, UNITS, array, cubes, empty, line};

/// `Phi(x)`, with the error function as on a CPU.
#[cube]
fn share<F: Float>(x: F) -> F {
    let scaled = x * F::new(core::f32::consts::FRAC_1_SQRT_2);
    let z = F::max(F::min(scaled, F::new(4.0)), F::new(-4.0));
    let s = z * z;
    let p = F::new(-2.726_142_3e-10) * s + F::new(2.770_681_4e-8);
    let p = p * s + F::new(-2.101_024e-6);
    let p = p * s + F::new(-5.692_506_4e-5);
    let p = p * s + F::new(-7.349_906_4e-4);
    let p = p * s + F::new(-2.954_6e-3);
    let p = p * s + F::new(-1.609_603_3e-2);
    let q = F::new(-1.456_607_2e-5) * s + F::new(-2.133_740_6e-4);
    let q = q * s + F::new(-1.682_826_9e-3);
    let q = q * s + F::new(-7.373_329_3e-3);
    let q = q * s + F::new(-1.426_473_9e-2);
    F::new(0.5) + F::new(0.5) * (z * p / q)
}

#[cube(launch)]
fn forward_kernel<F: Float + CubeElement>(x: &Array<F>, y: &mut Array<F>) {
    let at = ABSOLUTE_POS as usize;
    if at < y.len() {
        y[at] = x[at] * share::<F>(x[at]);
    }
}

#[cube(launch)]
fn backward_kernel<F: Float + CubeElement>(x: &Array<F>, gradient: &Array<F>, of_x: &mut Array<F>) {
    let at = ABSOLUTE_POS as usize;
    if at < of_x.len() {
        let x = x[at];
        let density = F::exp(x * x * F::new(-0.5)) * F::new(DENSITY_AT_0);
        of_x[at] = gradient[at] * (x * density + share::<F>(x));
    }
}

/// The activation of each number.
#[must_use]
pub fn forward<R: Runtime>(client: &ComputeClient<R>, x: &Handle, len: usize) -> Handle {
    let y = empty(client, len);
    if len > 0 {
        let count = cubes(len.div_ceil(UNITS));
        forward_kernel::launch::<f32, R>(client, count, line(), array(x, len), array(&y, len));
    }
    y
}

/// The gradient of each number from that of its activation.
#[must_use]
pub fn backward<R: Runtime>(
    client: &ComputeClient<R>,
    x: &Handle,
    gradient: &Handle,
    len: usize,
) -> Handle {
    let of_x = empty(client, len);
    if len > 0 {
        backward_kernel::launch::<f32, R>(
            client,
            cubes(len.div_ceil(UNITS)),
            line(),
            array(x, len),
            array(gradient, len),
            array(&of_x, len),
        );
    }
    of_x
}

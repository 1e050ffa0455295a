//! Dot product: the whole cost of matching an embedding against classes.

/// Partial sums kept side by side: wide enough for one AVX2 register, and part of the result's
/// definition, since float addition does not associate.
const LANES: usize = 8;

/// Dot product of two `f32` vectors, summed in eight interleaved partial sums.
///
/// # Panics
///
/// If the slices differ in length.
///
/// # Examples
///
/// ```
/// assert_eq!(sensorium_kernels::dot_f32(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
/// ```
#[must_use]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "dot_f32: lengths differ");
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += x * y;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::dot_f32;

    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Against a sum in `f64`, over every length that leaves a ragged tail.
        #[test]
        fn close_to_f64(values in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 0..130)) {
            let (a, b): (Vec<f32>, Vec<f32>) = values.iter().copied().unzip();
            let exact: f64 = values.iter().map(|&(x, y)| f64::from(x) * f64::from(y)).sum();
            prop_assert!((f64::from(dot_f32(&a, &b)) - exact).abs() <= 1e-5);
        }
    }

    #[test]
    #[should_panic(expected = "lengths differ")]
    fn unequal_lengths_are_a_bug() {
        let _ = dot_f32(&[1.0], &[]);
    }
}

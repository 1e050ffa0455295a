//! Weights that any language makes alike from a seed, so that tests of large encoders need no files.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood 2014), its state begun at the FNV-1a hash of a
//! key, so every array has numbers of its own whatever the order in which arrays are made.

/// What SplitMix64 adds to its state each step: 2^64 over the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The numbers of the array `key`: `count` of them, evenly spread over `base - scale ..= base +
/// scale` in steps of `scale / 2^23`.
///
/// # Examples
///
/// ```
/// use sensorium_model::portable::fill;
///
/// let weights: Vec<f32> = fill(7, "head.weight", 1.0, 0.25, 4).collect();
/// assert!(weights.iter().all(|weight| (0.75..=1.25).contains(weight)));
/// ```
pub fn fill(
    seed: u64,
    key: &str,
    base: f64,
    scale: f64,
    count: usize,
) -> impl ExactSizeIterator<Item = f32> {
    let mut state = fnv1a(key.as_bytes()) ^ seed;
    (0..count).map(move |_| {
        state = state.wrapping_add(STEP);
        let centred = (mix(state) >> 40) as f64 - f64::from(1 << 23);
        (base + scale * (centred / f64::from(1 << 23))) as f32
    })
}

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the same recurrence in Python, whose integers do not overflow.
    #[test]
    fn another_language_makes_the_same_numbers() {
        let norm = "modality_trunks.imu.blocks.0.norm_1.weight";
        let cases = [
            (
                fill(0x0123_4567_89ab_cdef, "input.imu", 0.0, 2.0, 4),
                [0xbfc9_7fda, 0x3f86_df0c, 0xbffc_353c, 0xbfeb_6358],
            ),
            (
                fill(0x0123_4567_89ab_cdef, norm, 1.0, 0.25, 4),
                [0x3f42_aab8, 0x3f5a_3881, 0x3f73_d9ac, 0x3f70_3b6d],
            ),
            (
                fill(0, "", 0.5, 0.0625, 4),
                [0x3f08_7030, 0x3ee4_0336, 0x3ef5_30e9, 0x3eeb_1964],
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(values.map(f32::to_bits).collect::<Vec<_>>(), expected);
        }
    }
}

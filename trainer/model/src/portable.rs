//! Weights out of a formula, the same in every language.
//!
//! Each array has a stream of its own, seeded by its name, so any of them can be made without the
//! others: FNV-1a (Fowler, Noll, Vo) of the name, then SplitMix64 (Steele, Lea, Flood 2014).

/// An endless stream of numbers between -1 and 1.
#[derive(Debug, Clone)]
pub struct Portable {
    state: u64,
}

impl Portable {
    /// The stream of an array.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { state: hash ^ seed }
    }

    /// The numbers of an array: `base` plus the stream times `scale`, rounded to 32 bits.
    #[must_use]
    pub fn values(self, len: usize, base: f64, scale: f64) -> Vec<f32> {
        self.take(len).map(|x| (base + scale * x) as f32).collect()
    }
}

impl Iterator for Portable {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let half = f64::from(1 << 23);
        // The upper 24 bits, which is all that a 32-bit float holds.
        Some(((z >> 40) as f64 - half) / half)
    }
}

#[cfg(test)]
mod tests {
    use super::Portable;

    /// From the same formula in Python's integers.
    #[test]
    fn the_stream_is_that_of_the_formula() {
        let expected = [
            -1.574214220046997,
            1.0536818504333496,
            -1.970374584197998,
            -1.8389692306518555,
        ];
        let actual = Portable::new(0x0123_4567_89ab_cdef, "input.imu").values(4, 0.0, 2.0);
        assert_eq!(actual, expected);
    }
}

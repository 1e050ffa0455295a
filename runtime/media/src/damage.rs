//! What the tests of every decoder do to a small file: cut it at each byte, and flip bits of it.

/// Gives `decode` the bytes cut at each length, then `rounds` times with one to four bits flipped,
/// the same ones in every run. It must come back from each without a panic; `cut` says for which
/// lengths it must refuse.
pub(crate) fn damage<T>(
    bytes: &[u8],
    rounds: u64,
    cut: impl Fn(usize) -> bool,
    decode: impl Fn(Vec<u8>) -> Option<T>,
) {
    for len in 0..bytes.len() {
        let decoded = decode(bytes[..len].to_vec());
        assert!(decoded.is_none() || !cut(len), "cut at byte {len}");
    }
    let mut seed = 0;
    for _ in 0..rounds {
        let mut flipped = bytes.to_vec();
        for _ in 0..=random(&mut seed) % 4 {
            let bit = random(&mut seed) as usize % (8 * bytes.len());
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        decode(flipped);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

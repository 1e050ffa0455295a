//! What falls out of a layer at random (Srivastava et al. 2014), drawn fast and by place, so that it does
//! not depend on the number of threads.

use rayon::prelude::*;

/// Numbers that a thread draws at once.
const CHUNK: usize = 1 << 13;

/// Of `len` numbers what each is multiplied by: 0 for a share of them, at random, and for the others what
/// keeps the mean.
///
/// # Panics
///
/// If the share is not at least 0 and below 1.
#[must_use]
pub fn mask(seed: u64, share: f64, len: usize) -> Vec<f32> {
    assert!((0.0..1.0).contains(&share), "dropout of {share}");
    let kept = (1.0 / (1.0 - share)) as f32;
    // A 32-bit number below this one falls out.
    let limit = (share * (u64::from(u32::MAX) + 1) as f64) as u32;
    let of = |drawn: u32| if drawn < limit { 0.0 } else { kept };
    let mut mask = vec![0.0; len];
    mask.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, mask)| {
            for (pair, mask) in mask.chunks_mut(2).enumerate() {
                let drawn = draw(seed, (chunk * CHUNK / 2 + pair) as u64);
                for (to, drawn) in mask.iter_mut().zip([drawn as u32, (drawn >> 32) as u32]) {
                    *to = of(drawn);
                }
            }
        });
    mask
}

/// 64 random bits: number `at` of the generator SplitMix64 (Steele, Lea, Flood 2014) with this seed.
fn draw(seed: u64, at: u64) -> u64 {
    let mut z = seed.wrapping_add((at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        // The first numbers of Vigna's splitmix64.c with the state 1234567.
        let drawn = [0, 1, 2].map(|at| draw(1_234_567, at));
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_share_falls_out_and_the_mean_stays() {
        for share in [0.0, 0.15, 0.5, 0.9] {
            let mask = mask(7, share, 100_001);
            let zeros = mask.iter().filter(|x| **x == 0.0).count() as f64 / mask.len() as f64;
            // Three standard deviations and a little.
            assert!((zeros - share).abs() < 0.006, "{zeros} of {share}");
            let kept = (1.0 / (1.0 - share)) as f32;
            assert!(mask.iter().all(|x| *x == 0.0 || *x == kept));
        }
        assert!(mask(7, 0.5, 0).is_empty());
    }

    #[test]
    fn neighbours_and_seeds_are_independent() {
        let fallen =
            |seed| -> Vec<bool> { mask(seed, 0.5, 40_000).iter().map(|x| *x == 0.0).collect() };
        let (a, b) = (fallen(1), fallen(2));
        let both = |a: &[bool], b: &[bool]| {
            let pairs = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
            pairs as f64 / a.len().min(b.len()) as f64
        };
        for (what, share) in [("seeds", both(&a, &b)), ("neighbours", both(&a, &a[1..]))] {
            assert!((share - 0.25).abs() < 0.01, "{what}: {share}");
        }
        assert_eq!(a, fallen(1));
        assert_eq!(
            a[..5_001],
            mask(1, 0.5, 5_001)
                .iter()
                .map(|x| *x == 0.0)
                .collect::<Vec<_>>()
        );
    }
}

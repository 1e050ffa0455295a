//! Arithmetic on as many numbers at once as the CPU takes.
//!
//! A kernel is written once, generic over [`pulp::Simd`], and [`vectorise!`] makes of it a function
//! that runs with the widest instruction set of the CPU it finds itself on. Results are the same on
//! every run on one machine; between instruction sets sums may differ in the last bits.

use pulp::Simd;

/// `exp` of less than this is taken for 0: it is, but for numbers too small to have all their bits.
const EXP_LEAST: f32 = -87.3;

/// `exp` of more than this is taken for that of this, 3.0e38.
const EXP_MOST: f32 = 88.37;

/// From here on `erf` is 1 in 32 bits.
const ERF_MOST: f32 = 4.0;

/// Defines a function `name(arguments) -> result` that calls `generic(simd, arguments)` with the best
/// instruction set at hand.
macro_rules! vectorise {
    ($(#[$doc:meta])* $visible:vis fn $name:ident<$life:lifetime>(
        $($argument:ident: $type:ty),+ $(,)?
    ) -> $result:ty = $generic:path) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "one for one those of the generic kernel")]
        $visible fn $name<$life>($($argument: $type),+) -> $result {
            struct Kernel<$life> {
                $($argument: $type,)+
                borrowed: ::core::marker::PhantomData<&$life ()>,
            }
            impl<$life> ::pulp::WithSimd for Kernel<$life> {
                type Output = $result;
                #[inline(always)]
                fn with_simd<S: ::pulp::Simd>(self, simd: S) -> $result {
                    $generic(simd, $(self.$argument),+)
                }
            }
            ::pulp::Arch::new().dispatch(Kernel {
                $($argument,)+
                borrowed: ::core::marker::PhantomData,
            })
        }
    };
}
pub(crate) use vectorise;

/// `exp(x)`, to 2 units in the last place; 0 below -87.3.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // x = n ln 2 + r with |r| <= ln 2 / 2: n comes of the last bits of x / ln 2 + 1.5 * 2^23.
    const MAGIC: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Taylor's, the last of them fitted to the interval (Moshier's cephes, expf).
    const TERMS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ];
    let small = simd.less_than_f32s(x, simd.splat_f32s(EXP_LEAST));
    let most = simd.splat_f32s(EXP_MOST);
    // Not a minimum, which differs between instruction sets where one is not a number.
    let x = simd.select_f32s(simd.greater_than_f32s(x, most), most, x);
    let shifted = simd.mul_add_e_f32s(
        x,
        simd.splat_f32s(core::f32::consts::LOG2_E),
        simd.splat_f32s(MAGIC),
    );
    let n = simd.sub_f32s(shifted, simd.splat_f32s(MAGIC));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[0]), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[1]), r);
    let sum = polynomial(simd, r, &TERMS);
    let one = simd.splat_f32s(1.0);
    let power = simd.add_f32s(simd.mul_add_e_f32s(sum, simd.mul_f32s(r, r), r), one);
    // Times 2^n: n is added to the exponent, which begins at bit 23.
    let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(power), bits));
    simd.select_f32s(small, simd.splat_f32s(0.0), power)
}

/// `erf(x)`, to 6e-7.
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // x P(x^2) / Q(x^2) by Eigen's `generic_fast_erf_float`, for |x| <= 4.
    const P: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_4e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const Q: [f32; 5] = [
        -1.456_607_2e-5,
        -2.133_740_6e-4,
        -1.682_826_9e-3,
        -7.373_329_3e-3,
        -1.426_473_9e-2,
    ];
    let [least, most] = [simd.splat_f32s(-ERF_MOST), simd.splat_f32s(ERF_MOST)];
    let x = simd.select_f32s(simd.greater_than_f32s(x, most), most, x);
    let x = simd.select_f32s(simd.less_than_f32s(x, least), least, x);
    let square = simd.mul_f32s(x, x);
    let [p, q] = [polynomial(simd, square, &P), polynomial(simd, square, &Q)];
    simd.div_f32s(simd.mul_f32s(x, p), q)
}

/// The value of a polynomial, its highest term first.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, terms: &[f32]) -> S::f32s {
    let mut sum = simd.splat_f32s(terms[0]);
    for term in &terms[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*term));
    }
    sum
}

/// The sum of a row's numbers less `mean`, or of their squares.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, row: &[f32], mean: f32, squared: bool) -> f32 {
    let (body, tail) = S::as_simd_f32s(row);
    let shift = simd.splat_f32s(mean);
    let mut sums = simd.splat_f32s(0.0);
    for x in body {
        let x = simd.sub_f32s(*x, shift);
        sums = simd.add_f32s(sums, if squared { simd.mul_f32s(x, x) } else { x });
    }
    let mut sum = simd.reduce_sum_f32s(sums);
    for x in tail {
        let x = x - mean;
        sum += if squared { x * x } else { x };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<S: Simd>(simd: S, erf_of: bool, from: &[f32], to: &mut [f32]) {
        let lanes = S::F32_LANES;
        for (from, to) in from.chunks(lanes).zip(to.chunks_mut(lanes)) {
            let x = simd.partial_load_f32s(from);
            let y = if erf_of { erf(simd, x) } else { exp(simd, x) };
            simd.partial_store_f32s(to, y);
        }
    }
    vectorise! {
        fn mapped<'a>(erf_of: bool, from: &'a [f32], to: &'a mut [f32]) -> () = map
    }

    fn of(erf_of: bool, x: &[f32]) -> [Vec<f32>; 2] {
        let (mut wide, mut narrow) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        mapped(erf_of, x, &mut wide);
        map(pulp::Scalar, erf_of, x, &mut narrow);
        [wide, narrow]
    }

    #[test]
    fn exponentials_are_right_to_two_units_in_the_last_place() {
        const MAX_ERROR_ULPS: f64 = 2.0;
        let x: Vec<f32> = (-872_000..=883_000).map(|i| i as f32 * 1e-4).collect();
        for actual in of(false, &x) {
            for (x, actual) in x.iter().zip(actual) {
                let exact = f64::from(*x).exp();
                let ulp = exact * f64::from(f32::EPSILON);
                let error = (f64::from(actual) - exact).abs() / ulp;
                assert!(error <= MAX_ERROR_ULPS, "exp({x}) = {actual}: {error} ULPs");
            }
        }
    }

    #[test]
    fn exponentials_of_what_is_masked_are_zero_and_of_no_number_are_none() {
        for y in of(false, &[f32::NEG_INFINITY, -90.0, f32::NAN, 0.0, 1e9]) {
            assert_eq!(&y[..2], &[0.0, 0.0]);
            assert!(y[2].is_nan());
            assert_eq!(y[3], 1.0);
            assert!(y[4].is_finite() && y[4] > 2e38);
        }
    }

    #[test]
    fn error_functions_are_right_odd_and_bounded() {
        let x: Vec<f32> = (-60_000..=60_000).map(|i| i as f32 * 1e-4).collect();
        for actual in of(true, &x) {
            for (place, (x, y)) in x.iter().zip(&actual).enumerate() {
                let error = f64::from(*y) - libm::erf(f64::from(*x));
                assert!(error.abs() < 6e-7, "erf({x}) = {y}: {error}");
                assert_eq!(*y, -actual[actual.len() - 1 - place]);
            }
        }
        assert!(of(true, &[f32::NAN]).iter().all(|y| y[0].is_nan()));
    }
}

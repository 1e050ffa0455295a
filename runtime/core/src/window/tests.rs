use super::*;
extern crate std;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

const SHAPE: WindowShape = WindowShape {
    len: 4,
    hop: 2,
    rate_mhz: 50_000,
};

/// Start, samples and coverage of each window of the samples in the given slots, whose values are
/// their slot numbers.
fn windows(shape: WindowShape, slots: &[u64]) -> (Vec<(u64, Vec<f32>, f32)>, WindowCounts) {
    let mut windower = Windower::new(shape, Inline::<f32, 8>::default()).unwrap();
    let mut out = Vec::new();
    for &slot in slots {
        windower.push(7 + slot * 20_000, slot as f32, |w| {
            assert_eq!(w.t_end_us - w.t_start_us, 80_000);
            out.push((w.t_start_us, w.samples.to_vec(), w.coverage));
        });
    }
    (out, windower.counts())
}

#[test]
fn windows_overlap_by_what_the_hop_leaves() {
    let (windows, counts) = windows(SHAPE, &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(
        windows,
        [
            (7, [0.0, 1.0, 2.0, 3.0].to_vec(), 1.0),
            (40_007, [2.0, 3.0, 4.0, 5.0].to_vec(), 1.0),
        ]
    );
    assert_eq!(
        counts,
        WindowCounts {
            made: 2,
            empty: 0,
            late: 0
        }
    );
}

#[test]
fn a_gap_is_interpolated_and_counted_as_missing() {
    let (windows, _) = windows(SHAPE, &[0, 3, 5]);
    assert_eq!(windows[0], (7, [0.0, 1.0, 2.0, 3.0].to_vec(), 0.5));
    assert_eq!(windows[1], (40_007, [3.0, 3.0, 4.0, 5.0].to_vec(), 0.5));
}

#[test]
fn a_long_gap_leaves_empty_windows_and_keeps_the_grid() {
    let (windows, counts) = windows(SHAPE, &[0, 1, 2, 3, 1000, 1001, 1002, 1003]);
    let starts: Vec<u64> = windows.iter().map(|w| (w.0 - 7) / 20_000).collect();
    assert_eq!(starts, [0, 2, 998, 1000]);
    assert_eq!(windows[2].1, [1000.0, 1000.0, 1000.0, 1001.0]);
    assert_eq!(
        counts,
        WindowCounts {
            made: 4,
            empty: 497,
            late: 0
        }
    );
}

#[test]
fn late_and_doubled_samples_are_refused() {
    let (windows, counts) = windows(SHAPE, &[1, 2, 2, 1, 3, 4]);
    assert_eq!(windows[0].1, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(counts.late, 2);
    let mut windower = Windower::new(SHAPE, Inline::<f32, 8>::default()).unwrap();
    assert!(windower.push(100, 0.0, |_| ()));
    assert!(!windower.push(99, 0.0, |_| ()), "before the origin");
}

#[test]
fn times_at_the_end_of_the_clock_do_not_overflow() {
    let mut windower = Windower::new(SHAPE, Inline::<f32, 8>::default()).unwrap();
    windower.push(0, 0.0, |_| ());
    windower.push(u64::MAX, 1.0, |_| ());
    windower.restart();
    for i in 0..4 {
        windower.push(u64::MAX - 60_000 + i * 20_000, 1.0, |w| {
            assert_eq!(w.t_end_us, u64::MAX)
        });
    }
    assert_eq!(windower.counts().late, 0);
}

#[test]
fn impossible_shapes_are_refused() {
    let error = |len, hop, rate_mhz| {
        Windower::new(
            WindowShape { len, hop, rate_mhz },
            Inline::<f32, 8>::default(),
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(error(9, 1, 1), "a window of 9 samples, expected 1 to 8");
    assert_eq!(error(0, 1, 1), "a window of 0 samples, expected 1 to 8");
    assert_eq!(
        error(4, 5, 1),
        "a hop of 5 samples, expected 1 to the window's 4"
    );
    assert_eq!(error(4, 1, 0), "a rate of 0 Hz");
}

proptest! {
    /// Whatever arrives: every window on the grid up to the newest sample is given out or counted
    /// as empty, in order, and holds just the samples of its slots.
    #[test]
    fn every_window_is_accounted_for(
        len in 1usize..=8,
        hop_in_len in 0.0f64..1.0,
        steps in proptest::collection::vec(1u64..12, 1..200),
    ) {
        let shape = WindowShape { len, hop: 1 + (hop_in_len * len as f64) as usize, ..SHAPE };
        prop_assume!(shape.hop <= len);
        let mut windower = Windower::new(shape, Inline::<f32, 8>::default()).unwrap();
        let mut slots = Vec::from([0u64]);
        slots.extend(steps.iter().scan(0, |slot, step| { *slot += step; Some(*slot) }));
        let mut given = Vec::new();
        for &slot in &slots {
            windower.push(slot * 20_000, slot as f32, |w| {
                given.push((w.t_start_us / 20_000, w.coverage));
            });
        }
        let newest = slots.last().copied().unwrap_or(0);
        let mut expected = Vec::new();
        let mut empty = 0;
        for first in (0u64..).step_by(shape.hop).take_while(|f| f + len as u64 <= newest + 1) {
            let present = slots.iter().filter(|s| (first..first + len as u64).contains(s)).count();
            if present == 0 { empty += 1 } else { expected.push((first, present as f32 / len as f32)) }
        }
        prop_assert_eq!(given, expected);
        prop_assert_eq!(windower.counts().empty, empty);
    }
}

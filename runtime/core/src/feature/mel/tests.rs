use super::*;
extern crate std;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

/// The sound that `golden.py` takes.
fn sound() -> Vec<f32> {
    let sample = |n: usize| {
        let noise = ((n * n * 37 + n * 11) % 1000) as f64 / 500.0 - 1.0;
        (noise * (1.0 - n as f64 / 1000.0) + 0.25) as f32
    };
    (0..MEL_FRAME + MEL_HOP).map(sample).collect()
}

fn frame_of(bank: &LogMel, samples: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; bank.filters()];
    let frame = samples.first_chunk().unwrap();
    bank.frame(frame, &mut out);
    out
}

#[test]
fn energies_are_those_of_a_second_implementation() {
    let (bank, sound) = (LogMel::new(128), sound());
    assert_eq!(LogMel::frames(sound.len()), 2);
    for (index, line) in include_str!("golden.txt").lines().enumerate() {
        let expected: Vec<f32> = line.split(' ').map(|v| v.parse().unwrap()).collect();
        let actual = frame_of(&bank, &sound[index * MEL_HOP..]);
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(&expected) {
            assert!((actual - expected).abs() < 1e-3, "{actual}, {expected}");
        }
    }
}

#[test]
fn silence_and_the_empty_filter_give_the_floor() {
    let floor = logf(FLOOR);
    let bank = LogMel::new(128);
    let silent = frame_of(&bank, &[0.125; MEL_FRAME]);
    assert!(silent.iter().all(|&energy| energy == floor));
    // No bin of the spectrum lies between 111 and 116 Hz.
    assert_eq!(frame_of(&bank, &sound())[3], floor);
}

#[test]
fn frames_fit_whole() {
    let frames = [0, 399, 400, 559, 560, 32_000].map(LogMel::frames);
    assert_eq!(frames, [0, 0, 1, 1, 2, 198]);
}

proptest! {
    #[test]
    fn energy_grows_with_the_square_of_the_amplitude(
        samples in proptest::collection::vec(-1.0f32..1.0, MEL_FRAME),
        filters in 8usize..40,
    ) {
        let bank = LogMel::new(filters);
        let louder: Vec<f32> = samples.iter().map(|v| v * 4.0).collect();
        let pairs = frame_of(&bank, &samples).into_iter().zip(frame_of(&bank, &louder));
        for (quiet, loud) in pairs {
            prop_assert!(quiet.is_finite());
            prop_assert!((loud - quiet - logf(16.0)).abs() < 1e-3);
        }
    }
}

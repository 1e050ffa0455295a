use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

const LEN: usize = 8;

/// Window 0, which window 1 follows, and window 2 alone; every sample is its own number.
fn window(number: usize) -> Vec<Sample> {
    let sample = |i: usize| std::array::from_fn(|channel| (i * 10 + channel) as f32);
    (number * LEN..(number + 1) * LEN).map(sample).collect()
}

fn next(number: usize) -> Option<Vec<Sample>> {
    (number == 0).then(|| window(1))
}

fn augmenter(config: ImuAugmentation) -> ImuAugmenter {
    ImuAugmenter::new(config).unwrap()
}

impl ImuAugmenter {
    fn draw(&self, number: usize, rng: &mut impl Rng) -> Vec<Sample> {
        self.apply(&window(number), next(number).as_deref(), rng)
    }
}

fn everything() -> ImuAugmentation {
    ImuAugmentation {
        time_shift: true,
        jitter_samples: 2,
        speed: 0.2,
        rotation_rad: 0.5,
        gain: 0.1,
        noise: 0.01,
    }
}

#[test]
fn nothing_asked_for_changes_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for number in 0..3 {
        let drawn = augmenter(ImuAugmentation::default()).draw(number, &mut rng);
        assert_eq!(drawn, window(number));
    }
}

#[test]
fn a_shift_goes_on_into_the_neighbour_without_a_seam() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let shift = augmenter(ImuAugmentation {
        time_shift: true,
        ..ImuAugmentation::default()
    });
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let drawn = shift.draw(0, &mut rng);
        assert_eq!(drawn.len(), LEN);
        assert!(drawn.windows(2).all(|pair| pair[1][0] - pair[0][0] == 10.0));
        starts.insert(drawn[0][0] as u32);
    }
    assert_eq!(starts.len(), LEN, "every shift below a window occurs");
}

#[test]
fn a_window_alone_is_jittered_and_its_ends_continued() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let jitter = augmenter(ImuAugmentation {
        time_shift: true,
        jitter_samples: 2,
        ..ImuAugmentation::default()
    });
    let whole = window(2);
    let mut shifts = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let drawn = jitter.draw(2, &mut rng);
        let middle = (drawn[4][0] - whole[4][0]) as i32 / 10;
        for (i, sample) in drawn.iter().enumerate() {
            let from = (i as i32 + middle).clamp(0, LEN as i32 - 1);
            assert_eq!(*sample, whole[from as usize]);
        }
        shifts.insert(middle);
    }
    assert_eq!(shifts.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
}

#[test]
fn a_rotation_keeps_lengths_and_angles() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let turn = augmenter(ImuAugmentation {
        rotation_rad: 2.0,
        ..ImuAugmentation::default()
    });
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    for number in 0..3 {
        let drawn = turn.draw(number, &mut rng);
        for (new, old) in drawn.iter().zip(&window(number)) {
            assert_ne!(new, old);
            for (a, b) in [(0..3, 0..3), (3..6, 3..6), (0..3, 3..6)] {
                let (actual, expected) =
                    (dot(&new[a.clone()], &new[b.clone()]), dot(&old[a], &old[b]));
                assert!((actual - expected).abs() <= 1e-5 * expected.abs().max(1.0));
            }
        }
    }
}

#[test]
fn a_known_rotation_turns_the_right_way() {
    let quarter = rotation([0.0, 0.0, std::f32::consts::FRAC_PI_2]);
    let turned = rotated(&quarter, [1.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    for (actual, expected) in turned.into_iter().zip([0.0, 1.0, 0.0, -1.0, 0.0, 2.0]) {
        assert!((actual - expected).abs() < 1e-6);
    }
}

#[test]
fn a_seed_gives_the_same_window() {
    let draw = |seed| augmenter(everything()).draw(0, &mut ChaCha8Rng::seed_from_u64(seed));
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn settings_out_of_range_are_refused() {
    let message = |config| ImuAugmenter::new(config).unwrap_err().to_string();
    let negative = ImuAugmentation {
        noise: -1.0,
        ..everything()
    };
    assert_eq!(
        message(negative),
        "noise is -1, expected a number from 0 on"
    );
    let turned_round = ImuAugmentation {
        gain: 1.0,
        ..everything()
    };
    assert_eq!(
        message(turned_round),
        "gain is 1, expected at least 0 and below 1"
    );
}

#[test]
fn a_pace_stays_in_its_bounds_and_nothing_asked_for_is_its_own() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    assert_eq!(augmenter(ImuAugmentation::default()).pace(&mut rng), 1.0);
    let paces: Vec<f32> = (0..200)
        .map(|_| augmenter(everything()).pace(&mut rng))
        .collect();
    let least = paces.iter().copied().fold(f32::INFINITY, f32::min);
    let most = paces.iter().copied().fold(0.0, f32::max);
    assert!(
        (0.8..0.84).contains(&least) && most > 1.16 && most <= 1.2,
        "{least} {most}"
    );
}

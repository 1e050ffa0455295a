use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use super::*;
use crate::Modality;
use crate::set::Fault;

fn broken(entry: usize) -> SampleError {
    SampleError {
        set: "set".into(),
        name: entry.to_string(),
        sense: Modality::Audio,
        source: Box::new(Fault::Empty),
    }
}

/// Samples 0 to 999, of which every 200th is broken.
fn draw(_: usize, random: &mut ChaCha8Rng) -> Result<(usize, u64), SampleError> {
    let entry = random.random_range(0..1000);
    if entry % 200 == 0 {
        return Err(broken(entry));
    }
    Ok((entry, random.random()))
}

fn in_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(run)
}

#[test]
fn a_batch_does_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        in_threads(threads, || {
            let tally = Tally::new(1000);
            let steps: Vec<_> = (0..20)
                .map(|step| batch(64, 7, step, &tally, draw).unwrap())
                .collect();
            (steps, tally.broken())
        })
    };
    let alone = run(1);
    assert_eq!(alone, run(2));
    assert_eq!(alone, run(5));
    assert!(alone.1.broken > 0, "some were replaced");
    assert_ne!(alone.0[0], alone.0[1]);
}

#[test]
fn too_many_broken_samples_end_the_run() {
    let half = |_: usize, random: &mut ChaCha8Rng| {
        let entry = random.random_range(0..1000);
        if entry % 2 == 0 {
            Err(broken(entry))
        } else {
            Ok(entry)
        }
    };
    let error = batch(64, 1, 0, &Tally::new(1000), half).unwrap_err();
    assert!(
        error.to_string().contains("of 1000 samples are broken"),
        "{error}"
    );
}

#[test]
fn a_place_that_is_always_broken_is_given_up() {
    let tries = AtomicUsize::new(0);
    let error = batch(1, 1, 0, &Tally::new(1000), |place, _| {
        tries.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(broken(place))
    });
    assert_eq!(tries.into_inner(), 100);
    assert_eq!(
        error.unwrap_err().to_string(),
        "100 samples in a row are broken, the last of them"
    );
}

#[test]
fn places_have_random_numbers_of_their_own() {
    let first = |seed, step, place| random_of(seed, step, place).random::<u64>();
    let all = [
        first(0, 0, 0),
        first(1, 0, 0),
        first(0, 1, 0),
        first(0, 0, 1),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|b| a != b));
    }
}

#[test]
fn a_stream_keeps_its_order_and_reads_no_more_than_its_window() {
    let read = AtomicUsize::new(0);
    let items = (0..100).inspect(|_| {
        read.fetch_add(1, Ordering::Relaxed);
    });
    let mut stream = in_order(items, 8, |item| item * item);
    assert_eq!(stream.next(), Some(0));
    assert_eq!(read.load(Ordering::Relaxed), 8);
    assert!(stream.eq((1..100).map(|item| item * item)));
}

#[test]
fn steps_are_made_ahead_and_no_more_than_asked_for() {
    let made = AtomicUsize::new(0);
    let used: Vec<u64> = std::thread::scope(|scope| {
        let steps = ahead(scope, 2, 3..1_000_000, |step| {
            made.fetch_add(1, Ordering::Relaxed);
            step
        });
        steps.iter().take(10).collect()
    });
    assert!(used.into_iter().eq(3..13));
    // Ten were used, two waited, one was in hand.
    assert!(made.into_inner() <= 14);
}

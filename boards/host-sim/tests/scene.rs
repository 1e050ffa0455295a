//! The demo's simulated recordings are what the simulator makes.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sensorium_host_sim::scene::{Recording, ceiling, wall};
use sensorium_pack::npy::{NumberArray, Numbers};

fn made() -> [Recording; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    [wall(&mut rng), ceiling(&mut rng)]
}

/// Rounding of sines and roots differs from library to library, so one count in a thousand may.
fn same(made: &NumberArray, kept: &NumberArray) {
    assert_eq!(made.shape, kept.shape);
    let all = 0..made.numbers.len();
    let (a, b) = (made.numbers.to_f32(all.clone()), kept.numbers.to_f32(all));
    let differ = a.iter().zip(&b).filter(|(a, b)| a != b).count();
    assert!(differ * 1000 <= a.len(), "{differ} of {}", a.len());
}

#[test]
fn the_kept_recordings_are_those_that_are_made() {
    let [depth, thermal] = made();
    let kept = include_bytes!("../../../runtime/cli/demo/thermal.npy");
    same(&thermal.frames, &NumberArray::from_bytes(kept).unwrap());
    assert_eq!(
        thermal.labels(),
        include_str!("../../../runtime/cli/demo/thermal.csv")
    );
    let packed = include_bytes!("../../../runtime/cli/demo/depth.npz").to_vec();
    same(
        &depth.frames,
        &sensorium_media::clip::from_bytes(packed).unwrap(),
    );
    assert_eq!(
        depth.labels(),
        include_str!("../../../runtime/cli/demo/depth.csv")
    );
}

#[test]
fn the_depth_camera_sees_a_person_and_nothing_else() {
    let [depth, _] = made();
    let Numbers::U16(pixels) = &depth.frames.numbers else {
        panic!("{}", depth.frames.numbers.kind())
    };
    for frame in pixels.chunks(60 * 80) {
        let seen: Vec<u16> = frame.iter().copied().filter(|&mm| mm > 0).collect();
        // A person fills a twentieth to a tenth of the picture, between 2 and 3.5 m away.
        assert!((200..600).contains(&seen.len()), "{}", seen.len());
        assert!(seen.iter().all(|mm| (2000..3500).contains(mm)));
    }
}

#[test]
fn the_ceiling_sees_somebody_who_moves_then_lies() {
    let [_, thermal] = made();
    let Numbers::U8(counts) = &thermal.frames.numbers else {
        panic!("{}", thermal.frames.numbers.kind())
    };
    // Where the warmest pixel is: it wanders while somebody walks, and stays while somebody lies.
    let warmest = |frame: &[u8]| {
        let most = frame.iter().enumerate().max_by_key(|(_, count)| **count);
        most.map_or(0, |(at, _)| at / 16)
    };
    let rows: Vec<usize> = counts.chunks(256).map(warmest).collect();
    let span = |from_s: f64, to_s: f64| {
        let rows = &rows[(from_s * 9.0) as usize..(to_s * 9.0) as usize];
        rows.iter().max().unwrap() - rows.iter().min().unwrap()
    };
    assert!(span(0.0, 8.0) >= 10, "{}", span(0.0, 8.0));
    assert!(span(11.0, 20.0) <= 8, "{}", span(11.0, 20.0));
}

//! The demo's simulated recordings are what the simulator makes.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sensorium_host_sim::scene::{Recording, ceiling, wall};
use sensorium_pack::npy::{NumberArray, Numbers};

fn made() -> [Recording; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
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
fn the_ceiling_sees_nobody_then_somebody() {
    let [_, thermal] = made();
    let Numbers::U8(counts) = &thermal.frames.numbers else {
        panic!("{}", thermal.frames.numbers.kind())
    };
    let spread = |frame: &[u8]| {
        let (low, high) = (frame.iter().min().unwrap(), frame.iter().max().unwrap());
        high - low
    };
    let frames: Vec<u8> = counts.chunks(256).map(spread).collect();
    let within = |from_s: f64, to_s: f64| &frames[(from_s * 9.0) as usize..(to_s * 9.0) as usize];
    assert!(within(0.0, 3.9).iter().all(|&spread| spread <= 6));
    assert!(
        within(4.8, 6.0).iter().all(|&spread| spread >= 6),
        "{:?}",
        within(4.8, 6.0)
    );
}

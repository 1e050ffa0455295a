use super::*;

/// A small generator (Steele et al. 2014, SplitMix64): -1 to 1.
fn noise(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Tells a monitor ten seconds of samples, a block at a time; what was wrong at the end of each tenth
/// of a second.
fn faults(
    modality: Modality,
    rate_hz: usize,
    mut samples: impl FnMut(std::ops::Range<usize>) -> Samples,
) -> (Vec<Option<Fault>>, Monitor) {
    let mut monitor = Monitor::new(modality);
    let tenth = rate_hz / 10;
    let rate_mhz = rate_hz as u32 * 1000;
    let told = (0..100).map(|at| {
        let index = (at * tenth) as u64;
        monitor.take(&Block {
            index,
            t_us: sensorium_wire::sample_time_us(index, rate_mhz),
            rate_mhz,
            offsets_us: None,
            samples: samples(at * tenth..(at + 1) * tenth),
            t_host_ns: None,
        });
        monitor.fault()
    });
    (told.collect(), monitor)
}

/// Something is wrong from 4 s to 7 s: it is told within 2 s, and over within one more.
fn assert_told(faults: &(Vec<Option<Fault>>, Monitor), expected: Fault) {
    let (told, monitor) = faults;
    let first = told.iter().position(Option::is_some).unwrap();
    assert!((40..60).contains(&first), "{first}: {told:?}");
    let is_expected = |fault: &Option<Fault>| *fault == Some(expected);
    assert!(told[first..70].iter().all(is_expected), "{told:?}");
    assert!(told[80..].iter().all(Option::is_none), "{told:?}");
    let bad = monitor.bad();
    assert!(bad.from_us.abs_diff(4_000_000) <= 500_000, "{bad:?}");
    assert!(bad.to_us.abs_diff(7_000_000) <= 1_000_000, "{bad:?}");
}

const BAD: std::ops::Range<f32> = 4.0..7.0;

fn sound(wrong: impl Fn(f32) -> f32) -> (Vec<Option<Fault>>, Monitor) {
    let mut state = 1;
    faults(Modality::Audio, 1000, |range| {
        let sample = |n: usize| match BAD.contains(&(n as f32 / 1000.0)) {
            true => wrong(noise(&mut state)),
            false => 0.1 * noise(&mut state),
        };
        Samples::Sound(range.map(sample).collect())
    })
}

#[test]
fn sound_that_is_none() {
    assert_told(&sound(|_| 0.0), Fault::Silent);
    assert_told(&sound(|_| 0.25), Fault::Stuck { what: "sound" });
    assert_told(
        &sound(|noise| (8.0 * noise).clamp(-1.0, 1.0)),
        Fault::Clipped,
    );
    assert_told(
        &sound(|noise| if noise > 0.9 { f32::NAN } else { noise }),
        Fault::NotFinite,
    );
}

#[test]
fn sound_that_is_loud_or_faint_is_well() {
    // One sample in 40 clipped; and one step of 16 bits.
    for wrong in [
        |noise: f32| (1.025 * noise).clamp(-1.0, 1.0),
        |noise: f32| noise.round() / 32768.0,
    ] {
        let (told, monitor) = sound(wrong);
        assert!(told.iter().all(Option::is_none), "{told:?}");
        assert_eq!(monitor.bad().share_of(0, 10_000_000), 0.0);
    }
}

fn inertial(wrong: impl Fn(&mut ImuSample)) -> (Vec<Option<Fault>>, Monitor) {
    let mut state = 2;
    faults(Modality::Imu, 100, |range| {
        let sample = |n: usize| {
            let mut sample = ImuSample {
                accel_mps2: [0; 3].map(|_| 9.81 + 0.05 * noise(&mut state)),
                gyro_radps: [0; 3].map(|_| 0.01 * noise(&mut state)),
            };
            if BAD.contains(&(n as f32 / 100.0)) {
                wrong(&mut sample);
            }
            sample
        };
        Samples::Imu(range.map(sample).collect())
    })
}

#[test]
fn inertial_samples_that_are_stuck_or_saturated() {
    let what = "the accelerometer";
    assert_told(
        &inertial(|s| s.accel_mps2 = [0.0, 0.0, 9.81]),
        Fault::Stuck { what },
    );
    let what = "the gyroscope";
    assert_told(
        &inertial(|s| s.gyro_radps = [0.0; 3]),
        Fault::Stuck { what },
    );
    let what = "acceleration y";
    let saturated = inertial(|s| s.accel_mps2[1] = (s.accel_mps2[1] * 2.0).min(19.6));
    assert_told(&saturated, Fault::Saturated { what });
    // Steps as coarse as a cheap sensor's, at rest, are well.
    let coarse = |s: &mut ImuSample| s.accel_mps2 = s.accel_mps2.map(|v| (v * 50.0).round() / 50.0);
    assert!(inertial(coarse).0.iter().all(Option::is_none));
}

fn camera(modality: Modality, wrong: impl Fn(&mut Vec<u16>)) -> (Vec<Option<Fault>>, Monitor) {
    let mut state = 3;
    faults(modality, 10, |range| {
        let frame = |n: usize| {
            let mut pixels = (0..12)
                .map(|_| 3000 + (noise(&mut state) * 9.0) as u16)
                .collect();
            if BAD.contains(&(n as f32 / 10.0)) {
                wrong(&mut pixels);
            }
            Frame {
                height: 3,
                width: 4,
                pixels: Numbers::U16(pixels),
            }
        };
        Samples::Frames(range.map(frame).collect())
    })
}

#[test]
fn frames_that_are_frozen_blind_or_bright() {
    let what = "the picture";
    let frozen = camera(Modality::Thermal, |pixels| pixels.fill(3000));
    assert_told(&frozen, Fault::Stuck { what });
    let covered = camera(Modality::Depth, |pixels| pixels.fill(0));
    assert_told(&covered, Fault::Blind);
    let what = "the greater part of the picture";
    let bright = camera(Modality::Thermal, |pixels| pixels[..8].fill(u16::MAX));
    assert_told(&bright, Fault::Saturated { what });
    // Sky is no fault of a depth camera.
    let sky = camera(Modality::Depth, |pixels| pixels[..11].fill(u16::MAX));
    assert!(sky.0.iter().all(Option::is_none));
}

#[test]
fn a_window_knows_how_much_of_it_was_bad() {
    let bad = Bad {
        from_us: 4,
        to_us: 7,
    };
    let share = |from, to| bad.share_of(from, to);
    assert_eq!(
        [share(0, 4), share(7, 9), share(2, 6), share(4, 7)],
        [0.0, 0.0, 0.5, 1.0]
    );
}

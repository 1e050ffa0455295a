use super::log_mel::mirrored;
use super::*;
extern crate std;
use std::string::ToString;

use crate::feature::{FrontEnd, Processor};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    front_end: FrontEnd,
    samples: usize,
    values: Vec<f32>,
}

/// The sound that `golden.py` takes.
fn noise(len: usize) -> Vec<f32> {
    let sample = |n: usize| {
        let noise = ((n * n * 37 + n * 11) % 1000) as f64 / 500.0 - 1.0;
        (noise * (1.0 - n as f64 / 1000.0) + 0.25) as f32
    };
    (0..len).map(sample).collect()
}

fn tone(hz: f32, len: usize) -> Vec<f32> {
    let step = core::f32::consts::TAU * hz / 16_000.0;
    (0..len)
        .map(|n| 0.5 * libm::sinf(step * n as f32))
        .collect()
}

/// Clips of 0.1 s, 16 filters, 12 frames, of which a clip fills 8.
fn small() -> LogMelSpec {
    LogMelSpec {
        clip_s: 0.1,
        mels: 16,
        frames: 12,
        offset: 4.0,
        scale: 2.0,
        ..LogMelSpec::reference()
    }
}

fn front_end() -> SoundFrontEnd {
    SoundFrontEnd::new(&small()).unwrap()
}

fn clip(spec: &LogMelSpec, samples: &[f32]) -> Vec<f32> {
    let front_end = SoundFrontEnd::new(spec).unwrap();
    let mut out = vec![f32::NAN; front_end.output_len()];
    front_end.clip(samples, &mut out).unwrap();
    out
}

#[test]
fn spectrograms_are_those_of_a_second_implementation() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert_eq!(cases.len(), 7);
    for (index, case) in cases.iter().enumerate() {
        let Processor::Sound(front_end) = case.front_end.build().unwrap() else {
            panic!("{:?}", case.front_end);
        };
        let mut out = vec![f32::NAN; front_end.output_len()];
        front_end.clip(&noise(case.samples), &mut out).unwrap();
        assert_eq!(out.len(), case.values.len(), "case {index}");
        for (at, (actual, expected)) in out.iter().zip(&case.values).enumerate() {
            let close = (actual - expected).abs() < 1e-4 * expected.abs().max(1.0);
            assert!(close, "case {index}, value {at}: {actual}, {expected}");
        }
    }
}

#[test]
fn a_clip_fills_its_frames_and_the_rest_is_zero_before_normalisation() {
    // 1600 samples are 8 frames of 12.
    for row in clip(&small(), &tone(440.0, 1600)).chunks_exact(12) {
        assert!(row[8..].iter().all(|v| *v == 2.0));
        assert!(row[..8].iter().all(|v| v.is_finite() && *v != 2.0));
    }
    // What is longer than a clip is not heard.
    let longer = [tone(440.0, 1600), noise(400)].concat();
    assert_eq!(clip(&small(), &longer), clip(&small(), &longer[..1600]));
}

#[test]
fn a_constant_is_nothing() {
    let silence = clip(&small(), &[0.0; 1600]);
    assert_eq!(silence, clip(&small(), &[0.25; 1600]));
    let floor = libm::logf(f32::EPSILON);
    assert!((silence[0] - (floor + 4.0) / 2.0).abs() < 1e-6);
}

#[test]
fn short_sounds_are_padded_as_their_front_end_says() {
    let with = |padding| {
        let sound = noise(700);
        let spec = LogMelSpec {
            padding,
            remove_mean: Vec::new(),
            ..small()
        };
        clip(&spec, &sound)
    };
    let sound = noise(700);
    let by_hand = |tail: &[f32]| {
        let spec = LogMelSpec {
            remove_mean: Vec::new(),
            ..small()
        };
        clip(&spec, &[&sound, tail].concat())
    };
    assert_eq!(with(Padding::None), by_hand(&[]));
    assert_eq!(with(Padding::Zero), by_hand(&[0.0; 900]));
    let again = [&sound[..], &sound[..200]].concat();
    assert_eq!(with(Padding::Repeat), by_hand(&again));
    let once_more = [&sound[..], &[0.0; 200]].concat();
    assert_eq!(with(Padding::RepeatPad), by_hand(&once_more));
}

#[test]
fn overlapping_clips_find_sound_that_was_shifted() {
    let front_end = front_end();
    let sound: Vec<f32> = tone(300.0, 2400).iter().map(|s| s + 0.3).collect();
    let log_mel = front_end.log_mel().unwrap();
    let clips = log_mel.clips(&[&sound], 3).unwrap();
    assert_eq!(clips.len(), 3 * front_end.output_len());
    let first = clip(&small(), &sound[..1600]);
    assert_eq!(&clips[..front_end.output_len()], first);
    // Half of the second clip has no constant left, so its step is heard.
    let second = clip(&small(), &sound[400..2000]);
    let second_clip = &clips[front_end.output_len()..2 * front_end.output_len()];
    let apart = second_clip
        .iter()
        .zip(&second)
        .any(|(a, b)| (a - b).abs() > 0.1);
    assert!(apart, "the reference's way is not a clip's own mean");
    // The second channel is not heard, but its mean is.
    let both = log_mel.clips(&[&sound, &vec![0.0; 2400]], 1).unwrap();
    assert_ne!(both, clips[..front_end.output_len()]);
}

#[test]
fn sound_that_gives_no_frame_is_refused() {
    let front_end = front_end();
    let refused =
        |channels: &[&[f32]]| front_end.log_mel().unwrap().clips(channels, 2).unwrap_err();
    assert_eq!(
        refused(&[&[0.0; 399]]).to_string(),
        "the sound is 399 samples long at 16000 Hz, expected at least 400"
    );
    assert_eq!(refused(&[]), SoundError::Channels);
    assert_eq!(refused(&[&[0.0; 500], &[0.0; 499]]), SoundError::Channels);
    let mut bad = [0.0; 500];
    bad[7] = f32::NAN;
    assert!(matches!(refused(&[&bad]), SoundError::NotFinite { .. }));
    assert_eq!(
        front_end.resample(&[0.0; 9], 4_000_000_000),
        Err(SoundError::Rate {
            rate_hz: 4_000_000_000
        })
    );
    let wide = LogMelSpec {
        rate_hz: 768_000,
        clip_s: 0.1,
        ..small()
    };
    let wide = SoundFrontEnd::new(&wide).unwrap();
    assert_eq!(
        wide.resample(&vec![0.0; 400_000], 1_000),
        Err(SoundError::Long { seconds: 400 })
    );
    // With padding, or with mirrors, one sample is enough; none never is.
    for (padding, centred) in [(Padding::Repeat, false), (Padding::None, true)] {
        let spec = LogMelSpec {
            padding,
            centred,
            ..small()
        };
        assert!(clip(&spec, &[0.5]).iter().all(|v| v.is_finite()));
        let mut out = vec![0.0; front_end.output_len()];
        let error = SoundFrontEnd::new(&spec).unwrap().clip(&[], &mut out);
        assert!(matches!(error, Err(SoundError::Short { samples: 0, .. })));
    }
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let message = |alter: fn(&mut LogMelSpec)| {
        let mut spec = small();
        alter(&mut spec);
        SoundFrontEnd::new(&spec).unwrap_err().to_string()
    };
    assert_eq!(
        message(|s| s.fft = 501),
        "fft is 501, expected an even number"
    );
    assert_eq!(
        message(|s| s.window = 513),
        "window is 513, expected 2 to fft"
    );
    assert_eq!(message(|s| s.hop = 0), "hop is 0, expected 1 to 1048576");
    assert_eq!(
        message(|s| s.rate_hz = 0),
        "rate_hz is 0, expected 1000 to 768000"
    );
    assert_eq!(
        message(|s| s.scale = 0.0),
        "scale is 0, expected a positive number"
    );
    assert!(message(|s| s.clip_s = 0.01).contains("clip_s in samples is 160"));
    assert!(message(|s| s.clip_s = f64::NAN).contains("clip_s is NaN"));
    assert!(message(|s| s.f_max_hz = 16_001.0).contains("0 to rate_hz"));
    assert!(message(|s| s.f_min_hz = 8000.0).contains("f_min_hz is 8000"));
    assert!(message(|s| s.log_offset = Some(1.0)).contains("either log_floor or log_offset"));
    assert!(message(|s| s.log_floor = None).contains("either log_floor or log_offset"));
    assert!(message(|s| s.log_range = Some(-1.0)).contains("log_range is -1"));
    assert!(message(|s| (s.mels, s.frames) = (4096, 1 << 20)).contains("the input's length"));
}

proptest! {
    #[test]
    fn energy_grows_with_the_square_of_the_amplitude(
        samples in proptest::collection::vec(-1.0f32..1.0, 400), mels in 8usize..40,
    ) {
        let spec = LogMelSpec { mels, ..small() };
        let front_end = SoundFrontEnd::new(&spec).unwrap();
        let louder: Vec<f32> = samples.iter().map(|v| v * 4.0).collect();
        let log_mel = front_end.log_mel().unwrap();
        let pairs = log_mel.log_mel(&samples).into_iter().zip(log_mel.log_mel(&louder));
        for (quiet, loud) in pairs {
            prop_assert!((loud - quiet - libm::log(16.0)).abs() < 1e-6);
        }
    }

    #[test]
    fn any_sound_gives_finite_numbers(
        samples in proptest::collection::vec(prop_oneof![-1.0f32..1.0, Just(f32::MAX), Just(0.0)], 1..700),
        centred in any::<bool>(), hop in 1usize..500, window in 2usize..512,
    ) {
        let spec = LogMelSpec { padding: Padding::Repeat, centred, hop, window, ..small() };
        prop_assert!(clip(&spec, &samples).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_mirror_image_goes_back_and_forth(at in -5000isize..5000, len in 2usize..50) {
        let place = mirrored(at, len);
        prop_assert!(place < len);
        prop_assert_eq!(place.abs_diff(mirrored(at + 1, len)), 1);
    }
}

#[test]
fn a_longer_recording_is_heard_in_clips_or_at_its_start() {
    let starts = |longer, samples| {
        let front_end = SoundFrontEnd::new(&LogMelSpec { longer, ..small() }).unwrap();
        front_end.starts(samples)
    };
    assert_eq!(starts(Longer::Windows, 4000), [0, 800, 1600, 2400]);
    assert_eq!(starts(Longer::Cut, 4000), [0]);
    assert_eq!(starts(Longer::Cut, 100), [0]);
    let json = serde_json::to_string(&small()).unwrap();
    assert!(!json.contains("longer"), "{json}");
}

#[test]
fn three_clips_are_heard_of_a_longer_recording_and_one_of_another() {
    let spec = LogMelSpec {
        longer: Longer::ThreeClips,
        ..small()
    };
    let front_end = SoundFrontEnd::new(&spec).unwrap();
    let views = |samples: &[f32]| -> Vec<Vec<f32>> {
        front_end.views(samples).map(Result::unwrap).collect()
    };
    let sound = noise(5000);
    assert_eq!(front_end.starts(5000), [0, 1700, 3400]);
    let expected = front_end.log_mel().unwrap().clips(&[&sound], 3).unwrap();
    assert_eq!(views(&sound).concat(), expected);
    assert_eq!(views(&sound[..1600]), [clip(&spec, &sound[..1600])]);
}

/// As LanguageBind's processor: parts of the whole recording's spectrogram, or all of it again and again.
#[test]
fn a_recording_becomes_three_channels() {
    let spec = LogMelSpec {
        // Ten frames.
        clip_s: (9.0 * 160.0 + 400.0) / 16_000.0,
        frames: 10,
        padding: Padding::Frames,
        remove_mean: vec![Extent::Frame],
        offset: 0.0,
        scale: 1.0,
        thirds: true,
        ..small()
    };
    let front_end = SoundFrontEnd::new(&spec).unwrap();
    assert_eq!(front_end.output_shape(), [3, 16, 10]);
    let cases = [
        // Frames of the recording, and where each channel begins: 17 places are 6, 6 and 5.
        (26, [3, 9, 14]),
        // Three places, then two, which leave nothing to the last third.
        (12, [0, 1, 2]),
        (11, [0, 1, 0]),
        (10, [0, 0, 0]),
        (4, [0, 0, 0]),
    ];
    for (frames, starts) in cases {
        let sound = noise((frames - 1) * 160 + 400);
        let whole = front_end.log_mel().unwrap().log_mel(&sound);
        let actual = clip(&spec, &sound);
        for (at, actual) in actual.iter().enumerate() {
            let (channel, mel, frame) = (at / 160, at / 10 % 16, at % 10);
            let expected = whole[(starts[channel] + frame) % frames * 16 + mel];
            assert!(
                (f64::from(*actual) - expected).abs() < 1e-5,
                "{frames}: {at}"
            );
        }
    }
    let flat = LogMelSpec {
        axes: SoundAxes::FrameMel,
        ..spec
    };
    let error = SoundFrontEnd::new(&flat).unwrap_err().to_string();
    assert!(
        error.contains("thirds is expected with axes that have a channel"),
        "{error}"
    );
}

fn samples() -> WaveSpec {
    WaveSpec {
        rate_hz: 16_000,
        clip_s: 0.01,
        padding: Padding::Zero,
        longer: Longer::Windows,
        standardise: None,
        gain: 1.0,
        axes: WaveAxes::Sample,
    }
}

#[test]
fn samples_are_given_as_they_are_or_standardised() {
    let given = |spec: &WaveSpec, samples: &[f32]| {
        let front_end = SoundFrontEnd::of_samples(spec).unwrap();
        let mut out = vec![f32::NAN; front_end.output_len()];
        front_end.clip(samples, &mut out).unwrap();
        out
    };
    let sound = noise(200);
    assert_eq!(given(&samples(), &sound), sound[..160]);
    let louder = WaveSpec {
        gain: 32_768.0,
        axes: WaveAxes::ChannelSample,
        ..samples()
    };
    let sixteen_bits = given(&louder, &sound);
    assert_eq!(
        SoundFrontEnd::of_samples(&louder).unwrap().output_shape(),
        [1, 160]
    );
    assert!(
        sixteen_bits
            .iter()
            .zip(&sound)
            .all(|(a, b)| *a == b * 32_768.0)
    );

    // Of four samples and silence: what counts is heard, or everything.
    let short = [0.5, -0.5, 0.25, 0.75];
    let over = |standardise| {
        let standardise = Some(standardise);
        let clip_s = 8.0 / 16_000.0;
        given(
            &WaveSpec {
                standardise,
                clip_s,
                ..samples()
            },
            &short,
        )
    };
    let heard = over(Standardise::Sound);
    // Mean 0.25, variance 0.21875.
    let deviation = libm::sqrt(0.218_75 + 1e-7);
    for (value, sample) in heard.iter().zip(short) {
        let expected = (f64::from(sample) - 0.25) / deviation;
        assert!((f64::from(*value) - expected).abs() < 1e-6, "{heard:?}");
    }
    assert!(heard[4..].iter().all(|v| *v == 0.0));
    let whole = over(Standardise::Clip);
    assert!(
        whole.iter().sum::<f32>().abs() < 1e-5 && whole[4] != 0.0,
        "{whole:?}"
    );
    // Silence stays what it is.
    assert!(
        given(
            &WaveSpec {
                standardise: Some(Standardise::Clip),
                ..samples()
            },
            &[0.0; 9]
        )
        .iter()
        .all(|v| *v == 0.0)
    );
}

#[test]
fn longer_sounds_are_given_in_windows_and_what_is_no_sound_is_refused() {
    let front_end = SoundFrontEnd::of_samples(&samples()).unwrap();
    assert_eq!(front_end.starts(400), [0, 80, 160, 240]);
    let sound = noise(400);
    let views: Vec<_> = front_end.views(&sound).map(Result::unwrap).collect();
    assert_eq!(views[2], sound[160..320]);
    let mut out = vec![0.0; 160];
    assert_eq!(
        front_end.clip(&[0.0, f32::NAN], &mut out),
        Err(SoundError::NotFinite { index: 1 })
    );
    let none = front_end.clip(&[], &mut out).unwrap_err().to_string();
    assert!(none.contains("0 samples long"), "{none}");
    let refused = |spec: WaveSpec| SoundFrontEnd::of_samples(&spec).unwrap_err().to_string();
    let frames = WaveSpec {
        padding: Padding::Frames,
        ..samples()
    };
    assert!(refused(frames).contains("padding of samples is expected"));
    let three = WaveSpec {
        longer: Longer::ThreeClips,
        ..samples()
    };
    assert!(refused(three).contains("windows or cut"));
    assert!(
        refused(WaveSpec {
            gain: 0.0,
            ..samples()
        })
        .contains("gain is 0")
    );
    assert!(
        refused(WaveSpec {
            clip_s: f64::NAN,
            ..samples()
        })
        .contains("clip_s")
    );
}

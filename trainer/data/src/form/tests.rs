use super::*;
use crate::small::{npy, npy_f32, png, wav};

fn forms(text: &str) -> Forms {
    toml::from_str(text).unwrap()
}

fn frames(form: &Forms, sense: Modality, file: Vec<u8>) -> Numbers {
    match form.decode(sense, file).unwrap() {
        Raw::Frames { frames, .. } => frames.numbers,
        other => panic!("{}", other.kind()),
    }
}

#[test]
fn depth_becomes_millimetres_and_holes_stay() {
    let scaled = forms("depth.scale = 0.2");
    let bytes: Vec<u8> = [0u16, 5, 65_534, 65_535]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let file = npy("<u2", &[2, 2], bytes);
    let depth = |form: &Forms| frames(form, Modality::Depth, file.clone());
    assert_eq!(
        depth(&Forms::default()),
        Numbers::U16(vec![0, 5, 65_534, 65_535])
    );
    assert_eq!(depth(&scaled), Numbers::U16(vec![0, 1, 13_107, 65_535]));
    let metres = npy_f32(&[1, 5], &[f32::NAN, -1.0, 1.5, 70.0, f32::INFINITY]);
    assert_eq!(
        frames(&forms("depth.scale = 1000"), Modality::Depth, metres),
        Numbers::U16(vec![0, 0, 1500, 65_535, 65_535])
    );
}

#[test]
fn heat_becomes_degrees_only_with_a_scale() {
    let file = npy("|u1", &[1, 2], vec![0, 60]);
    let heat = |form: &Forms| frames(form, Modality::Thermal, file.clone());
    assert_eq!(heat(&Forms::default()), Numbers::U8(vec![0, 60]));
    let scaled = forms("thermal = { scale = 0.5, offset = 10 }");
    assert_eq!(heat(&scaled), Numbers::F32(vec![10.0, 40.0]));
    let floats = npy_f32(&[1, 2], &[20.5, f32::NAN]);
    let Numbers::F32(values) = frames(&Forms::default(), Modality::Thermal, floats) else {
        panic!("another kind")
    };
    assert!(
        values[0] == 20.5 && values[1].is_nan(),
        "a dead pixel stays one"
    );
}

#[test]
fn sound_is_brought_to_one_rate() {
    let sound = wav(8_000, &[1000; 800]);
    let raw = |form: &Forms| form.decode(Modality::Audio, sound.clone()).unwrap();
    assert!(matches!(
        raw(&Forms::default()),
        Raw::Sound { samples, rate_hz: 8_000 } if samples.len() == 800
    ));
    assert!(matches!(
        raw(&forms("audio.rate_hz = 16000")),
        Raw::Sound { samples, rate_hz: 16_000 } if samples.len() == 1600
    ));
}

/// A rate of 1 Hz would make gigabytes of a small file.
#[test]
fn a_rate_that_no_microphone_has_is_refused() {
    let form = forms("audio.rate_hz = 16000");
    let error = form.decode(Modality::Audio, wav(1, &[0; 800])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "its rate is 1 Hz, expected 1000 to 768000 Hz"
    );
    let error = forms("audio.rate_hz = 1").check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "audio.rate_hz is 1, expected 1000 to 768000"
    );
}

#[test]
fn every_sense_has_its_kind_and_no_other() {
    let form = forms("imu = { rate_hz = 50, units = 'g,rad/s' }");
    let array = npy_f32(&[1, 6], &[0.0; 6]);
    let files = [
        (Modality::Imu, array.clone()),
        (Modality::Audio, wav(8_000, &[1])),
        (Modality::Thermal, png(1, 1, [0; 3])),
        (Modality::Depth, array),
        (Modality::Image, png(1, 1, [0; 3])),
        (Modality::Text, b"words".to_vec()),
    ];
    for (sense, file) in files {
        let raw = form.decode(sense, file).unwrap();
        assert!(raw.is_of(sense));
        let others = Modality::ALL.into_iter().filter(|&other| raw.is_of(other));
        let frames = matches!(raw, Raw::Frames { .. });
        assert_eq!(others.count(), if frames { 2 } else { 1 });
        assert!(raw.size_bytes() > size_of::<Raw>());
    }
    for sense in Modality::ALL {
        assert!(form.decode(sense, Vec::new()).is_err(), "{sense}");
        assert!(form.decode(sense, vec![0xff; 100]).is_err(), "{sense}");
    }
    let text = form.decode(Modality::Text, b"ab\xff".to_vec()).unwrap_err();
    assert_eq!(text.to_string(), "it is not UTF-8, from byte 2 on");
}

#[test]
fn units_are_read_as_they_are_written() {
    let form = forms("imu = { rate_hz = 50, units = 'm/s2,deg/s' }");
    assert_eq!(
        toml::from_str::<Forms>(&toml::to_string(&form).unwrap()).unwrap(),
        form
    );
}

#[test]
fn what_is_kept_of_a_recording_lies_around_its_largest_acceleration() {
    let cut = |text: &str| {
        forms(&format!(
            "imu = {{ rate_hz = 50, units = \"g,rad/s\", {text} }}"
        ))
    };
    let recording = |peak: usize| {
        let jolt = |at: usize| if at == peak { -3.0 } else { 1.0 };
        let samples = (0..40).flat_map(|at| [0.0, jolt(at), at as f32 / 100.0, 0.0, 0.0, 0.0]);
        Numbers::F32(samples.collect())
    };
    let kept = |seconds: &str, peak| {
        let numbers = recording(peak);
        let raw = cut(seconds)
            .array(Modality::Imu, &numbers, 0..240, &[40, 6])
            .unwrap();
        let Raw::Imu { samples, .. } = raw else {
            panic!("{raw:?}");
        };
        (samples.len(), (samples[0][2] * 100.0).round())
    };
    assert_eq!(kept("peak_s = 0.2", 20), (10, 15.0));
    assert_eq!(kept("peak_s = 0.2", 2), (10, 0.0));
    assert_eq!(kept("peak_s = 0.2", 39), (10, 30.0));
    assert_eq!(kept("peak_s = 9.0", 7), (40, 0.0));
    assert!(cut("peak_s = -1.0").check().is_err());
}

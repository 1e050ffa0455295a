use super::*;
extern crate std;
use std::string::ToString;

use crate::feature::FrontEnd;
use proptest::prelude::*;

const DEPTH: &str = r#"{"kind": "frames", "of": "depth", "frames": 3, "height": 4, "width": 4,
    "range": [0.3, 5.0], "foreground_reach": 2.0, "subtract": "median", "scale": 0.4, "limit": 3.0,
    "differences": true}"#;

const THERMAL: &str = r#"{"kind": "frames", "of": "thermal", "frames": 4, "height": 2, "width": 2,
    "clip_s": 2.0, "count_scale": 0.5, "count_offset": 10.0, "offset": -20.0, "scale": 5.0}"#;

fn front_end(json: &str) -> FramesFrontEnd {
    let FrontEnd::Frames(spec) = serde_json::from_str(json).unwrap() else {
        panic!("{json}");
    };
    FramesFrontEnd::new(&spec).unwrap()
}

/// Frames of 8 x 6 pixels, empty but for a square of 2 x 2 at a distance.
fn square(left: usize, distance_m: f32) -> Vec<f32> {
    let inside = |at: usize| (left..left + 2).contains(&(at % 8)) && (2..4).contains(&(at / 8));
    (0..48)
        .map(|at| if inside(at) { distance_m } else { f32::NAN })
        .collect()
}

#[test]
fn a_foreground_is_centred_scaled_and_measured_from_its_median() {
    let front_end = front_end(DEPTH);
    assert_eq!(front_end.output_shape(), [3, 2, 4, 4]);
    let values = [square(3, 2.0), square(3, 2.0), square(3, 2.2)].concat();
    let clip = Clip {
        values: &values,
        height: 6,
        width: 8,
    };
    let features = front_end.extract(clip, None).unwrap();
    let planes: Vec<&[f32]> = features.chunks_exact(16).collect();
    // Twice the square root of four pixels is a part of 4 x 4, so the square fills its middle.
    let middle = [5, 6, 9, 10];
    for (at, value) in planes[4].iter().enumerate() {
        let expected = if middle.contains(&at) { 0.5 } else { 0.0 };
        assert!((value - expected).abs() < 1e-6, "{at}: {value}");
    }
    assert!(planes[0].iter().all(|v| *v == 0.0));
    assert_eq!(planes[1], planes[0]);
    assert_eq!(planes[5], planes[4]);
    // The same further to the side and farther away is the same.
    let aside = [square(5, 4.0), square(5, 4.0), square(5, 4.2)].concat();
    let aside = front_end
        .extract(
            Clip {
                values: &aside,
                ..clip
            },
            None,
        )
        .unwrap();
    assert!(
        features
            .iter()
            .zip(&aside)
            .all(|(a, b)| (a - b).abs() < 1e-5)
    );
}

#[test]
fn values_beyond_the_limit_become_it_and_holes_what_they_are_said_to_be() {
    let json = DEPTH.replace("\"differences\": true", "\"hole\": 9.0");
    let front_end = front_end(&json);
    let values = [square(3, 1.0), square(3, 1.0), square(3, 4.9)].concat();
    let clip = Clip {
        values: &values,
        height: 6,
        width: 8,
    };
    let features = front_end.extract(clip, None).unwrap();
    assert_eq!((features[0], features[5], features[37]), (9.0, 0.0, 3.0));
    // Out of the range is a hole, and nothing but holes is no clip.
    let far = square(3, 5.1);
    let error = front_end.extract(
        Clip {
            values: &far,
            ..clip
        },
        None,
    );
    assert_eq!(error, Err(FramesError::Plane(PlaneError::Empty)));
}

#[test]
fn a_thermal_clip_has_a_length_in_seconds() {
    let front_end = front_end(THERMAL);
    assert_eq!(front_end.output_shape(), [4, 1, 2, 2]);
    assert_eq!(front_end.value_of(30.0), 25.0);
    assert_eq!(front_end.clip_frames(Some(9.0)), Ok(Some(18)));
    let message = front_end.clip_frames(None).unwrap_err().to_string();
    assert_eq!(
        message,
        "the encoder takes clips of 2 s, so the frame rate is needed"
    );
    let message = front_end.clip_frames(Some(0.0)).unwrap_err().to_string();
    assert_eq!(message, "the frame rate is 0 Hz, expected 0.01 to 1000 Hz");
    // Of seven frames the first, third, fifth and last.
    let values: Vec<f32> = (0..7).flat_map(|t| [20.0 + 5.0 * t as f32; 4]).collect();
    let clip = Clip {
        values: &values,
        height: 2,
        width: 2,
    };
    let firsts = |clip_frames| -> Vec<f32> {
        let features = front_end.extract(clip, clip_frames).unwrap();
        features.iter().step_by(4).copied().collect()
    };
    assert_eq!(firsts(Some(7)), [0.0, 2.0, 4.0, 6.0]);
    assert_eq!(firsts(None), [0.0, 2.0, 4.0, 6.0]);
    // A clip of thirteen frames is continued with the last of seven.
    assert_eq!(firsts(Some(13)), [0.0, 4.0, 6.0, 6.0]);
}

#[test]
fn axes_are_those_asked_for() {
    let values: Vec<f32> = (0..3).flat_map(|t| [t as f32; 4]).collect();
    let clip = Clip {
        values: &values,
        height: 2,
        width: 2,
    };
    let with = |axes: &str| {
        let json = r#"{"kind": "frames", "of": "thermal", "frames": 3, "height": 1, "width": 1,
            "differences": true, "axes": "AXES"}"#;
        let front_end = front_end(&json.replace("AXES", axes));
        (
            front_end.output_shape(),
            front_end.extract(clip, None).unwrap(),
        )
    };
    let interleaved = vec![0.0, 0.0, 1.0, 1.0, 2.0, 1.0];
    assert_eq!(
        with("frame-channel"),
        (vec![3, 2, 1, 1], interleaved.clone())
    );
    assert_eq!(with("folded"), (vec![6, 1, 1], interleaved));
    let planar = vec![0.0, 1.0, 2.0, 0.0, 1.0, 1.0];
    assert_eq!(with("channel-frame"), (vec![2, 3, 1, 1], planar));
}

#[test]
fn what_is_no_clip_or_makes_no_sense_is_refused() {
    let front_end = front_end(THERMAL);
    for (len, height, width) in [(0, 2, 2), (4, 0, 2), (7, 2, 2), (4, usize::MAX, 2)] {
        let clip = Clip {
            values: &vec![1.0; len],
            height,
            width,
        };
        let error = front_end.extract(clip, None).unwrap_err();
        assert!(
            matches!(error, FramesError::Plane(PlaneError::Size { .. })),
            "{error}"
        );
    }
    let message = |from: &str, to: &str| {
        let json = DEPTH.replace(from, to);
        let parsed = serde_json::from_str::<FrontEnd>(&json);
        match parsed {
            Ok(front_end) => front_end.build().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    assert!(message("\"frames\": 3", "\"frames\": 0").contains("frames is 0"));
    assert!(message("0.4", "-0.4").contains("scale is -0.4, expected a positive number"));
    assert!(message("[0.3, 5.0]", "[5.0, 0.3]").contains("range is 5"));
    assert!(message("\"limit\"", "\"count_scale\"").contains("thermal frames only"));
    assert!(message("\"limit\"", "\"limits\"").contains("unknown field `limits`"));
    assert!(message("\"median\"", "\"mean\"").contains("unknown variant `mean`"));
    assert!(message("\"of\": \"depth\", ", "").contains("missing field `of`"));
}

proptest! {
    #[test]
    fn any_clip_gives_finite_numbers_or_holds_nothing(
        values in proptest::collection::vec(
            prop_oneof![-10.0f32..10.0, Just(f32::NAN), Just(f32::MAX), Just(f32::INFINITY)], 12..60),
        width in 1usize..6, clip_frames in proptest::option::of(1usize..40),
    ) {
        let front_end = front_end(DEPTH);
        let frame = 2 * width;
        let clip = Clip { values: &values[..values.len() / frame * frame], height: 2, width };
        match front_end.extract(clip, clip_frames) {
            Ok(features) => prop_assert!(features.iter().all(|v| v.abs() <= 6.0)),
            Err(error) => prop_assert_eq!(error, FramesError::Plane(PlaneError::Empty)),
        }
    }
}

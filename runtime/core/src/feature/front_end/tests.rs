use super::*;
extern crate std;

use crate::feature::{LogMelSpec, Resize};

fn parse(json: &str) -> Result<FrontEnd, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_front_end_reads_back_as_written() {
    let image = ImageSpec {
        resize: Resize::Exact([64, 48]),
        crop: None,
        ..ImageSpec::reference()
    };
    let front_ends = [
        parse(r#"{"kind": "imu", "rate_hz": 50.0, "samples": 128, "units": "g,rad/s"}"#).unwrap(),
        FrontEnd::LogMel(LogMelSpec::reference()),
        FrontEnd::Image(ImageSpec::reference()),
        FrontEnd::Image(image),
        parse(r#"{"kind": "thermal", "range": [0.0, 255.0], "side": 224}"#).unwrap(),
        parse(
            r#"{"kind": "depth", "measure": "disparity", "baseline_m": 0.075, "focal_px": 518.0,
                "clip_m": [0.01, 50.0], "side": 224, "mean": [0.0418], "std": [0.0295]}"#,
        )
        .unwrap(),
        parse(r#"{"kind": "frames", "of": "thermal", "frames": 8, "height": 24, "width": 32}"#)
            .unwrap(),
        parse(r#"{"kind": "wave", "rate_hz": 16000, "clip_s": 1.5, "standardise": "clip"}"#)
            .unwrap(),
    ];
    let shapes: [&[usize]; 8] = [
        &[6, 128],
        &[1, 128, 204],
        &[3, 224, 224],
        &[3, 64, 48],
        &[1, 224, 224],
        &[1, 224, 224],
        &[8, 1, 24, 32],
        &[24_000],
    ];
    let words = [
        "128 samples at 50 Hz in g,rad/s",
        "2 s of sound at 16000 Hz as 204 frames of 128 mels from 20 to 8000 Hz",
        "a picture with its shorter side at 224, its middle 224 x 224",
        "a picture of 48 x 64",
        "a picture of 224 x 224 thermal values from 0 to 255",
        "a picture of 224 x 224 disparities of 0.01 to 50 m",
        "8 thermal frames of 32 x 24 of a whole clip",
        "1.5 s of sound at 16000 Hz, sample by sample",
    ];
    for ((front_end, shape), words) in front_ends.iter().zip(shapes).zip(words) {
        assert_eq!(front_end.to_string(), words);
        let json = serde_json::to_string(front_end).unwrap();
        assert_eq!(parse(&json).as_ref(), Ok(front_end), "{json}");
        assert!(json.contains(&std::format!("\"kind\":\"{}\"", front_end.kind())));
        let processor = front_end.build().unwrap();
        assert_eq!(processor.output_shape(), shape);
        assert_eq!(processor.output_len(), shape.iter().product::<usize>());
    }
}

#[test]
fn unknown_keys_and_kinds_are_refused() {
    let imu = r#"{"kind": "imu", "rate_hz": 50.0, "samples": 128, "units": "g,rad/s", "KEY": 1}"#;
    let error = parse(&imu.replace("KEY", "gain")).unwrap_err();
    assert!(error.contains("unknown field `gain`"), "{error}");
    let thermal = r#"{"kind": "thermal", "range": [0, 1], "side": 8, "gain": 2}"#;
    assert!(parse(thermal).unwrap_err().contains("unknown field `gain`"));
    let error = parse(r#"{"kind": "radar", "rate_hz": 50.0}"#).unwrap_err();
    assert!(
        error.contains("unknown variant `radar`, expected one of `imu`, `log-mel`"),
        "{error}"
    );
    let mel = serde_json::to_string(&FrontEnd::LogMel(LogMelSpec::reference())).unwrap();
    let error = parse(&mel.replace("\"kaldi\"", "\"bark\"")).unwrap_err();
    assert!(error.contains("unknown variant `bark`"), "{error}");
    assert!(parse(&mel.replace("\"hop\"", "\"hopp\"")).is_err());
}

#[test]
fn inertial_parameters_out_of_range_are_refused() {
    let message = |rate_hz: f32, samples: usize, units: &str| {
        let front_end = FrontEnd::Imu {
            rate_hz,
            samples,
            units: units.to_string(),
            order: ImuOrder::default(),
        };
        front_end.build().unwrap_err().to_string()
    };
    assert_eq!(
        message(5.0, 128, "g,rad/s"),
        "rate_hz is 5, expected 25 to 400"
    );
    assert_eq!(
        message(50.0, 0, "g,rad/s"),
        "samples is 0, expected 1 to 4096"
    );
    assert_eq!(
        message(50.0, 9, "furlong"),
        "units is \"furlong\", expected such as g,rad/s"
    );
    let twice = r#"{"kind": "imu", "rate_hz": 50.0, "samples": 128, "units": "g,rad/s",
        "order": ["acc_x", "acc_x", "acc_z", "gyro_x", "gyro_y", "gyro_z"]}"#;
    assert!(parse(twice).unwrap_err().contains("each once"));
}

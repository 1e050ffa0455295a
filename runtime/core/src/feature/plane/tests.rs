use super::*;
use alloc::string::ToString;
use proptest::prelude::*;

fn depth() -> DepthSpec {
    DepthSpec {
        measure: Measure::Disparity,
        baseline_m: Some(0.075),
        focal_px: Some(500.0),
        clip_m: [0.01, 50.0],
        side: 2,
        scaling: Scaling::Area,
        holes: Holes::Far,
        mean: zero(),
        std: one(),
    }
}

fn thermal() -> ThermalSpec {
    ThermalSpec {
        range: [10.0, 50.0],
        count_scale: 1.0,
        count_offset: 0.0,
        side: 2,
        scaling: Scaling::Area,
        mean: zero(),
        std: one(),
    }
}

fn depth_of(spec: &DepthSpec, depth_mm: &[u16], width: usize) -> Result<Vec<f32>, PlaneError> {
    let metres: Vec<f32> = depth_mm.iter().map(|mm| depth_m(*mm)).collect();
    DepthFrontEnd::new(spec).unwrap().extract(&metres, width)
}

fn thermal_of(spec: &ThermalSpec, values: &[f32], width: usize) -> Result<Vec<f32>, PlaneError> {
    ThermalFrontEnd::new(spec).unwrap().extract(values, width)
}

fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!(
            (a - e).abs() < 1e-5 * e.abs().max(1.0),
            "{actual:?}, {expected:?}"
        );
    }
}

#[test]
fn depth_becomes_disparity_and_holes_are_far() {
    let image = depth_of(&depth(), &[1000, 2000, 0, u16::MAX], 2).unwrap();
    assert_close(&image, &[37.5, 18.75, 0.75, 0.75]);
    let normal = DepthSpec {
        mean: vec![0.75, 0.0],
        std: vec![2.0, 1.0],
        ..depth()
    };
    let image = depth_of(&normal, &[1000, 2000, 0, 5], 2).unwrap();
    assert_close(
        &image,
        &[18.375, 9.0, 0.0, 1874.625, 37.5, 18.75, 0.75, 3750.0],
    );
}

#[test]
fn depth_can_stay_a_distance() {
    let metric = DepthSpec {
        measure: Measure::Metric,
        baseline_m: None,
        focal_px: None,
        clip_m: [0.5, 4.0],
        ..depth()
    };
    let image = depth_of(&metric, &[1000, 100, 0, 9000], 2).unwrap();
    assert_close(&image, &[1.0, 0.5, 4.0, 4.0]);
}

#[test]
fn a_hole_has_no_share_in_the_mean() {
    let one = DepthSpec { side: 1, ..depth() };
    assert_close(&depth_of(&one, &[1000, 0, 0, 1000], 2).unwrap(), &[37.5]);
    let one = ThermalSpec {
        side: 1,
        ..thermal()
    };
    let values = [30.0, f32::NAN, f32::NAN, 30.0];
    assert_close(&thermal_of(&one, &values, 2).unwrap(), &[0.5]);
}

#[test]
fn temperatures_are_places_in_a_range() {
    let image = thermal_of(&thermal(), &[10.0, 30.0, 50.0, 99.0], 2).unwrap();
    assert_close(&image, &[0.0, 0.5, 1.0, 1.0]);
    let array = ThermalSpec {
        count_scale: 1.0 / 6.0,
        count_offset: 10.0,
        ..thermal()
    };
    let front_end = ThermalFrontEnd::new(&array).unwrap();
    assert!((front_end.value_of(120.0) - 30.0).abs() < 1e-6);
}

#[test]
fn the_middle_square_is_taken_and_areas_are_averaged() {
    // Four columns of three rows, of which the middle is columns 0 to 2.
    let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let wide = ThermalSpec {
        range: [0.0, 1000.0],
        side: 3,
        ..thermal()
    };
    let image = thermal_of(&wide, &values, 4).unwrap();
    assert_close(&image[1..2], &[0.001]);
    assert_close(&image[8..], &[0.010]);
}

#[test]
fn what_is_no_picture_is_refused() {
    let refused = |values: &[u16], width| depth_of(&depth(), values, width).unwrap_err();
    assert!(matches!(refused(&[1, 2, 3], 2), PlaneError::Size { .. }));
    assert!(matches!(refused(&[], 0), PlaneError::Size { .. }));
    assert_eq!(refused(&[0, u16::MAX], 1), PlaneError::Empty);
    let refused = |values: &[f32]| thermal_of(&thermal(), values, 1).unwrap_err();
    assert_eq!(refused(&[f32::NAN]), PlaneError::Empty);
    let message = refused(&[3000.0, 2500.0]).to_string();
    assert_eq!(
        message,
        "all values lie between 2500 and 3000, out of the encoder's range 10 to 50"
    );
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let message = |alter: fn(&mut DepthSpec)| {
        let mut spec = depth();
        alter(&mut spec);
        DepthFrontEnd::new(&spec).unwrap_err().to_string()
    };
    assert_eq!(
        message(|s| s.clip_m = [2.0, 1.0]),
        "clip_m is 2, expected less than the end of the range"
    );
    assert!(message(|s| s.focal_px = None).contains("baseline_m and focal_px are expected"));
    assert!(message(|s| s.measure = Measure::Metric).contains("and only there"));
    assert_eq!(message(|s| s.side = 0), "side is 0, expected 1 to 8192");
    assert!(message(|s| s.std = vec![1.0, 1.0]).contains("as many channels"));
    assert!(message(|s| s.mean = Vec::new()).contains("channels of mean is 0"));
    let blind = ThermalSpec {
        count_scale: 0.0,
        ..thermal()
    };
    assert!(ThermalFrontEnd::new(&blind).is_err());
}

proptest! {
    #[test]
    fn no_new_value_is_out_of_the_old_ones_range(
        width in 1usize..20, height in 1usize..20, side in 1usize..25, seed in any::<u32>(),
    ) {
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed) % 4000 + 1;
        let mm: Vec<u16> = (0..width * height).map(|i| value(i) as u16).collect();
        let image = depth_of(&DepthSpec { side, ..depth() }, &mm, width).unwrap();
        prop_assert_eq!(image.len(), side * side);
        let (near, far) = (37.5 / 0.01, 37.5 / 4.0);
        prop_assert!(image.iter().all(|v| (far * 0.999..=near * 1.001).contains(v)));
    }
}

const TORCH_2: [f32; 4] = [0.4250056, 0.3634078, 0.3772012, 0.3978897];
const TORCH_8: [f32; 64] = [
    0.0637035, 0.2805068, 0.6292214, 0.9575646, 0.7157528, 0.4557104, 0.3262709, 0.290072,
    0.4432916, 0.4068821, 0.4713804, 0.5740952, 0.3901766, 0.2297327, 0.1792055, 0.2684781,
    0.894315, 0.5458071, 0.259009, 0.0852173, 0.0089528, 0.0180743, 0.1070799, 0.2937955,
    0.6469783, 0.4214397, 0.2697794, 0.2113159, 0.248254, 0.4214006, 0.6943834, 0.553392,
    0.2964519, 0.2155979, 0.2329752, 0.3419922, 0.5540482, 0.7539388, 0.8754399, 0.5921531, 0.0029,
    0.0409899, 0.1731113, 0.3966797, 0.7792457, 0.8649068, 0.5617535, 0.3808799, 0.298635,
    0.5213679, 0.5384949, 0.4050348, 0.437636, 0.3793997, 0.1922718, 0.1616531, 0.570469,
    0.9077994, 0.8184929, 0.4, 0.1434906, -0.0044936, -0.0374112, 0.0309874,
];

/// `torchvision.transforms.functional.resize` of floats, shorter side, bicubic with antialiasing, then
/// `center_crop`; torch 2.9.1, by `torch.nn.functional.interpolate`.
#[test]
fn cubic_scaling_is_that_of_torch() {
    let (width, height) = (7, 5);
    let values: Vec<f32> = (0..width * height).map(|i| (i * i % 11) as f32).collect();
    let extract = |side| {
        let spec = ThermalSpec {
            range: [0.0, 10.0],
            side,
            scaling: Scaling::Bicubic,
            ..thermal()
        };
        let front_end = ThermalFrontEnd::new(&spec).unwrap();
        front_end.extract(&values, width).unwrap()
    };
    for (side, expected) in [(2, &TORCH_2[..]), (8, &TORCH_8[..])] {
        let actual = extract(side);
        assert_eq!(actual.len(), side * side);
        for (actual, expected) in actual.iter().zip(expected) {
            assert!(
                (actual - expected).abs() < 1e-6,
                "{side}: {actual} {expected}"
            );
        }
    }
}

use serde_json::json;

use super::kinds::HALF;
use super::*;

fn read(value: Value) -> anyhow::Result<ImageSpec> {
    front_end(Keys::of("file".to_owned(), value)?)
}

#[test]
fn a_processor_is_read_with_the_defaults_of_its_kind() {
    // As CLIP's first publication had it.
    let spec = read(json!({
        "crop_size": 32, "do_center_crop": true, "do_normalize": true, "do_resize": true,
        "feature_extractor_type": "CLIPFeatureExtractor", "resample": 2, "size": 40,
        "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "do_pad": false
    }))
    .unwrap();
    assert_eq!(spec.resize, Resize::ShorterSide(40));
    assert_eq!(spec.crop, Some([32, 32]));
    assert_eq!(spec.interpolation, Interpolation::Bilinear);
    assert_eq!((spec.mean, spec.std), ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]));
    assert_eq!(spec.rescale, 1.0 / 255.0);
    let spec = read(json!({
        "image_processor_type": "SiglipImageProcessorFast", "do_rescale": false,
        "do_normalize": false, "size": {"width": 48, "height": 32}, "crop_size": null
    }))
    .unwrap();
    assert_eq!((spec.resize, spec.crop), (Resize::Exact([32, 48]), None));
    assert_eq!(
        (spec.rescale, spec.mean, spec.std),
        (1.0, [0.0; 3], [1.0; 3])
    );
    let spec = read(json!({"image_processor_type": "CLIPImageProcessor"})).unwrap();
    assert_eq!(
        spec,
        ImageSpec {
            crop_rounding: CropRounding::Down,
            passes: Passes::Pillow13,
            background: Some([255; 3]),
            ..ImageSpec::reference()
        }
    );
    let vit = read(json!({"image_processor_type": "ViTImageProcessor", "size": 32})).unwrap();
    assert_eq!(vit.resize, Resize::Exact([32, 32]));
    assert_eq!(
        (vit.mean, vit.interpolation),
        (HALF, Interpolation::Bilinear)
    );
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let error = |key: &str, value: Value| {
        let mut file = json!({"image_processor_type": "CLIPImageProcessor"});
        file[key] = value;
        format!("{:#}", read(file).unwrap_err())
    };
    assert_eq!(
        error("crop_pct", json!(0.875)),
        "file: key \"crop_pct\" is not understood, and may change numbers"
    );
    assert!(error("resample", json!(6)).contains("\"resample\" is 6, expected 0 to 5"));
    assert!(error("size", json!({"longest_edge": 9})).contains("longest_edge"));
    assert!(error("do_resize", json!(false)).contains("\"do_resize\" is false"));
    assert!(error("do_flip_channel_order", json!(true)).contains("do_flip_channel_order"));
    assert!(error("image_mean", json!([0.5])).contains("\"image_mean\" is [0.5]"));
    assert!(error("data_format", json!("channels_last")).contains("channels_first"));
    assert!(error("image_processor_type", json!("FooImageProcessor")).contains("FooImage"));
    assert!(format!("{:#}", read(json!({})).unwrap_err()).contains("image_processor_type"));
}

#[test]
fn kinds_read_their_sizes_in_ways_of_their_own() {
    let sides = |file: Value| {
        let spec = read(file).unwrap();
        (spec.resize, spec.crop)
    };
    let convnext = |size: usize| {
        sides(json!({"image_processor_type": "ConvNextImageProcessor", "size": size}))
    };
    assert_eq!(convnext(224), (Resize::ShorterSide(256), Some([224; 2])));
    assert_eq!(convnext(384), (Resize::Exact([384; 2]), None));
    let share = json!({
        "feature_extractor_type": "ConvNextFeatureExtractor", "size": {"shortest_edge": 64}, "crop_pct": 0.95
    });
    assert_eq!(sides(share), (Resize::ShorterSide(67), Some([64; 2])));
    let pool = json!({"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0.95});
    assert_eq!(sides(pool), (Resize::ShorterSide(235), Some([224; 2])));
    let levit = json!({"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 112}, "crop_size": 112});
    assert_eq!(sides(levit), (Resize::ShorterSide(128), Some([112; 2])));
    let mobile = json!({"image_processor_type": "MobileNetV2ImageProcessor"});
    assert_eq!(sides(mobile), (Resize::ShorterSide(256), Some([224; 2])));
    let error = read(json!({"image_processor_type": "ConvNextImageProcessor", "crop_pct": 1.5}));
    assert!(format!("{:#}", error.unwrap_err()).contains("\"crop_pct\" is 1.5"));
}

#[test]
fn kinds_treat_levels_in_ways_of_their_own() {
    let efficient = |key: &str, value: Value| {
        let mut file = json!({
            "image_processor_type": "EfficientNetImageProcessor", "rescale_factor": 0.0078125,
            "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.4, 0.2], "resample": 0
        });
        file[key] = value;
        read(file).unwrap()
    };
    let usual = efficient("do_center_crop", json!(false));
    assert_eq!(usual.interpolation, Interpolation::Nearest);
    assert_eq!((usual.mean, usual.std[0]), ([0.1, 0.2, 0.3], 0.25));
    let offset = efficient("rescale_offset", json!(true));
    assert_eq!(offset.mean, [1.1, 1.2, 1.3]);
    assert_eq!(efficient("include_top", json!(false)).std, [0.5, 0.4, 0.2]);
    // What is not normalised is divided by the deviation all the same.
    let plain = efficient("do_normalize", json!(false));
    assert_eq!((plain.mean, plain.std), ([0.0; 3], [0.5, 0.4, 0.2]));

    let mobile = |key: &str, value: Value| {
        let mut file =
            json!({"image_processor_type": "MobileViTImageProcessor", "image_mean": [9, 9, 9]});
        file[key] = value;
        read(file)
    };
    let usual = mobile("resample", json!(2)).unwrap();
    assert_eq!(
        (usual.bgr, usual.mean, usual.std),
        (true, [0.0; 3], [1.0; 3])
    );
    assert!(!mobile("do_flip_channel_order", json!(false)).unwrap().bgr);
    assert!(mobile("do_normalize", json!(true)).is_err());
    let deit = read(json!({"image_processor_type": "DeiTImageProcessor"})).unwrap();
    assert_eq!((deit.mean, deit.std), (HALF, HALF));
}

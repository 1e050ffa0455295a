//! What processors of pictures say, as a front end.

use anyhow::{bail, ensure};
use sensorium_core::feature::{CropRounding, ImageSpec, Interpolation, Passes, Resize};
use serde_json::Value;

use super::keys::Keys;

/// The kinds of processors that are known.
const KNOWN: &str = "CLIPImageProcessor, SiglipImageProcessor, ViTImageProcessor, \
                         DeiTImageProcessor or BitImageProcessor";

/// What a kind of processor does where its file says nothing.
struct Defaults {
    size: Size,
    /// Whether a single number is both sides, or the shorter one.
    square: bool,
    crop: Option<usize>,
    resample: i64,
    mean: [f64; 3],
    std: [f64; 3],
    /// What shows through transparent pixels where pictures are brought to colours.
    background: Option<[u8; 3]>,
}

/// What a picture is resized to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    Shorter(usize),
    Both([usize; 2]),
}

const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];
const HALF: [f64; 3] = [0.5; 3];

/// Pillow's numbers of filters.
const BILINEAR: i64 = 2;
const BICUBIC: i64 = 3;

impl Defaults {
    /// Those of a kind, by the name of its class; suffixes tell of the library that does it.
    fn of(kind: &str) -> Option<Self> {
        let kind = ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"]
            .iter()
            .fold(kind, |kind, suffix| kind.trim_end_matches(suffix));
        Some(match kind {
            "CLIP" => Self {
                size: Size::Shorter(224),
                square: false,
                crop: Some(224),
                resample: BICUBIC,
                mean: CLIP_MEAN,
                std: CLIP_STD,
                // As transformers 5.23 does it, and for this kind alone.
                background: Some([255; 3]),
            },
            "Bit" => Self {
                size: Size::Shorter(224),
                square: false,
                crop: Some(224),
                resample: BICUBIC,
                mean: CLIP_MEAN,
                std: CLIP_STD,
                background: None,
            },
            "Siglip" => Self {
                size: Size::Both([224; 2]),
                square: true,
                crop: None,
                resample: BICUBIC,
                mean: HALF,
                std: HALF,
                background: None,
            },
            "ViT" => Self {
                size: Size::Both([224; 2]),
                square: true,
                crop: None,
                resample: BILINEAR,
                mean: HALF,
                std: HALF,
                background: None,
            },
            "DeiT" => Self {
                size: Size::Both([256; 2]),
                square: true,
                crop: Some(224),
                resample: BICUBIC,
                mean: IMAGENET_MEAN,
                std: IMAGENET_STD,
                background: None,
            },
            _ => return None,
        })
    }
}

/// The front end of a processor's file.
///
/// # Errors
///
/// A processor of another kind, a key that is not understood, or one that asks for what no front end
/// does.
pub fn front_end(mut keys: Keys) -> anyhow::Result<ImageSpec> {
    let place = keys.place().to_owned();
    let kind: Option<String> = keys.take("image_processor_type")?;
    let old: Option<String> = keys.take("feature_extractor_type")?;
    let Some(kind) = kind.or(old) else {
        bail!("{place} has no \"image_processor_type\", expected {KNOWN}");
    };
    let Some(defaults) = Defaults::of(&kind) else {
        bail!("{place}: processor {kind:?} is not known, expected {KNOWN}");
    };
    ensure!(
        keys.take("do_resize")?.unwrap_or(true),
        "{place}: \"do_resize\" is false, and pictures of any size are embedded"
    );
    let size = match keys.take("size")? {
        Some(value) => size(&place, &value, defaults.square)?,
        None => defaults.size,
    };
    let crop = keys.take::<Value>("crop_size")?;
    let crops = keys.take("do_center_crop")?;
    let crop = match (crops.unwrap_or(defaults.crop.is_some()), crop) {
        (false, _) => None,
        (true, Some(value)) => match self::size(&place, &value, true)? {
            Size::Both(sides) => Some(sides),
            Size::Shorter(_) => {
                bail!("{place}: \"crop_size\" is {value}, expected height and width")
            }
        },
        (true, None) => defaults.crop.map(|side| [side; 2]),
    };
    let resize = match size {
        Size::Shorter(side) => Resize::ShorterSide(side),
        Size::Both(sides) => Resize::Exact(sides),
    };
    let resample: Option<i64> = keys.take("resample")?;
    let interpolation = match resample.unwrap_or(defaults.resample) {
        BILINEAR => Interpolation::Bilinear,
        BICUBIC => Interpolation::Bicubic,
        other => bail!("{place}: \"resample\" is {other}, expected 2 (bilinear) or 3 (bicubic)"),
    };
    let factor: Option<f64> = keys.take("rescale_factor")?;
    let rescale = match keys.take("do_rescale")?.unwrap_or(true) {
        true => factor.unwrap_or(1.0 / 255.0),
        false => 1.0,
    };
    let mean = keys.take("image_mean")?.unwrap_or(defaults.mean);
    let std = keys.take("image_std")?.unwrap_or(defaults.std);
    let (mean, std) = match keys.take("do_normalize")?.unwrap_or(true) {
        true => (mean, std),
        false => ([0.0; 3], [1.0; 3]),
    };
    keys.only("data_format", "channels_first")?;
    let converts = keys.take("do_convert_rgb")?.unwrap_or(true);
    // Pictures of any kind become colours of 8 bits, whatever a processor does without being told.
    keys.pass(&[
        "input_data_format",
        "processor_class",
        "return_tensors",
        "_valid_processor_keys",
        "device",
        "disable_grouping",
    ]);
    keys.finish()?;
    Ok(ImageSpec {
        resize,
        interpolation,
        passes: Passes::Pillow13,
        crop,
        crop_rounding: CropRounding::Down,
        rescale,
        mean,
        std,
        background: defaults.background.filter(|_| converts),
    })
}

/// A size as processors write it: a number, or an object with names of sides.
fn size(place: &str, value: &Value, square: bool) -> anyhow::Result<Size> {
    let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
    if let Some(side) = side(value) {
        return Ok(match square {
            true => Size::Both([side; 2]),
            false => Size::Shorter(side),
        });
    }
    let sides = value.as_object().map(|sides| {
        let sides = sides.iter().filter(|(_, side)| !side.is_null());
        let mut sides: Vec<_> = sides
            .map(|(name, value)| (name.as_str(), side(value)))
            .collect();
        sides.sort();
        sides
    });
    match sides.as_deref() {
        Some(&[("shortest_edge", Some(side))]) => Ok(Size::Shorter(side)),
        Some(&[("height", Some(height)), ("width", Some(width))]) => {
            Ok(Size::Both([height, width]))
        }
        _ => bail!(
            "{place}: size {value} is not understood, expected shortest_edge, or height and width"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert!(error("resample", json!(1)).contains("\"resample\" is 1, expected 2"));
        assert!(error("size", json!({"longest_edge": 9})).contains("longest_edge"));
        assert!(error("do_resize", json!(false)).contains("\"do_resize\" is false"));
        assert!(error("do_flip_channel_order", json!(true)).contains("do_flip_channel_order"));
        assert!(error("image_mean", json!([0.5])).contains("\"image_mean\" is [0.5]"));
        assert!(error("data_format", json!("channels_last")).contains("channels_first"));
        assert!(error("image_processor_type", json!("FooImageProcessor")).contains("FooImage"));
        assert!(format!("{:#}", read(json!({})).unwrap_err()).contains("image_processor_type"));
    }
}

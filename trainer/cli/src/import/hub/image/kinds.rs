//! Kinds of processors of pictures, and what each does where its file says nothing.

/// What a kind of processor does.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What pictures are resized to.
    pub size: Size,
    /// Whether a single number is both sides, or the shorter one.
    pub square: bool,
    /// The side of the middle that is cut out.
    pub crop: usize,
    /// Whether anything is cut out.
    pub crops: bool,
    /// Whether it reads a size in a way of its own.
    pub zoom: Zoom,
    /// Pillow's number of the filter.
    pub resample: i64,
    /// Taken off each colour; none of a kind that never normalises.
    pub mean: Option<[f64; 3]>,
    /// Divides what is left.
    pub std: [f64; 3],
    /// What shows through transparent pixels where pictures are brought to colours.
    pub background: Option<[u8; 3]>,
    /// Whether blue comes first.
    pub bgr: bool,
    /// Whether what is normalised is divided by the deviation once more.
    pub twice: bool,
}

/// What a picture is resized to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// Its shorter side.
    Shorter(usize),
    /// Height and width.
    Both([usize; 2]),
}

/// How a kind reads the size that its file gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Zoom {
    /// As it is.
    Plain,
    /// Below 384 the side of a middle that is this share (`crop_pct`) of the shorter side; from there on
    /// both sides, and nothing is cut off (ConvNeXt).
    MiddleOrBoth(f64),
    /// The shorter side is the size over this share (`crop_pct`), rounded down (PoolFormer).
    Share(f64),
    /// The shorter side is the size times this, rounded down (LeViT).
    Times(f64),
}

const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];
pub const HALF: [f64; 3] = [0.5; 3];

/// Pillow's numbers of filters.
pub const NEAREST: i64 = 0;
pub const LANCZOS: i64 = 1;
pub const BILINEAR: i64 = 2;
pub const BICUBIC: i64 = 3;
pub const BOX: i64 = 4;
pub const HAMMING: i64 = 5;

/// The kinds that are known.
pub const KNOWN: [&str; 16] = [
    "CLIP",
    "Siglip",
    "ViT",
    "DeiT",
    "Bit",
    "Beit",
    "ChineseCLIP",
    "ConvNext",
    "EfficientNet",
    "Levit",
    "MobileNetV1",
    "MobileNetV2",
    "MobileViT",
    "PoolFormer",
    "Pvt",
    "Segformer",
];

impl Kind {
    /// One that brings the shorter side to a length, and cuts out a middle.
    fn middle(side: usize, crop: usize) -> Self {
        Self {
            size: Size::Shorter(side),
            square: false,
            crop,
            crops: true,
            ..Self::both(side)
        }
    }

    /// One that brings both sides to a length.
    fn both(side: usize) -> Self {
        Self {
            size: Size::Both([side; 2]),
            square: true,
            crop: 224,
            crops: false,
            zoom: Zoom::Plain,
            resample: BICUBIC,
            mean: Some(HALF),
            std: HALF,
            background: None,
            bgr: false,
            twice: false,
        }
    }

    fn standard(self, mean: [f64; 3], std: [f64; 3]) -> Self {
        Self {
            mean: Some(mean),
            std,
            ..self
        }
    }

    /// That of a class, by its name; suffixes tell of the library that does it.
    pub fn of(class: &str) -> Option<Self> {
        let name = ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"]
            .iter()
            .fold(class, |name, suffix| name.trim_end_matches(suffix));
        Some(match name {
            "CLIP" => Self {
                // As transformers 5.23 does it, and for this kind alone.
                background: Some([255; 3]),
                ..Self::middle(224, 224).standard(CLIP_MEAN, CLIP_STD)
            },
            "Bit" | "ChineseCLIP" => Self::middle(224, 224).standard(CLIP_MEAN, CLIP_STD),
            "Siglip" | "Beit" => Self::both(224),
            "ViT" => Self {
                resample: BILINEAR,
                ..Self::both(224)
            },
            "DeiT" => Self {
                crops: true,
                ..Self::both(256)
            },
            "Pvt" => Self::both(224).standard(IMAGENET_MEAN, IMAGENET_STD),
            "Segformer" => Self {
                resample: BILINEAR,
                ..Self::both(512).standard(IMAGENET_MEAN, IMAGENET_STD)
            },
            "ConvNext" => Self {
                crops: false,
                zoom: Zoom::MiddleOrBoth(224.0 / 256.0),
                ..Self::middle(384, 384)
            },
            "PoolFormer" => Self {
                zoom: Zoom::Share(0.9),
                ..Self::middle(224, 224).standard(IMAGENET_MEAN, IMAGENET_STD)
            },
            "Levit" => Self {
                zoom: Zoom::Times(256.0 / 224.0),
                ..Self::middle(224, 224).standard(IMAGENET_MEAN, IMAGENET_STD)
            },
            "MobileNetV1" | "MobileNetV2" => Self {
                resample: BILINEAR,
                ..Self::middle(256, 224)
            },
            "MobileViT" => Self {
                mean: None,
                bgr: true,
                ..Self::middle(224, 256)
            },
            "EfficientNet" => Self {
                crop: 289,
                twice: true,
                ..Self::both(346)
            },
            _ => return None,
        })
    }
}

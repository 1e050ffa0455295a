//! Pictures as image towers take them.

use anyhow::ensure;
use sensorium_core::feature::{Image, resized_and_cropped};
use serde::{Deserialize, Serialize};

/// The parameters of a picture in colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    pub resize: Resize,
    pub interpolation: Interpolation,
    #[serde(default)]
    pub crop: Option<[usize; 2]>,
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    ShorterSide(usize),
    Exact([usize; 2]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    Bicubic,
}

impl ImageSpec {
    pub fn reference() -> Self {
        use sensorium_core::feature::{COLOUR_MEAN, COLOUR_STD};
        Self {
            resize: Resize::ShorterSide(224),
            interpolation: Interpolation::Bicubic,
            crop: Some([224, 224]),
            mean: COLOUR_MEAN.map(f64::from),
            std: COLOUR_STD.map(f64::from),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ImageFrontEnd {
    spec: ImageSpec,
    height: usize,
    width: usize,
}

impl ImageFrontEnd {
    pub fn new(spec: &ImageSpec) -> anyhow::Result<Self> {
        let [height, width] = match (spec.crop, spec.resize) {
            (Some([height, width]), Resize::ShorterSide(side))
                if height == side && width == side =>
            {
                [height, width]
            }
            (None, Resize::Exact(size)) => size,
            _ => anyhow::bail!("resize and crop"),
        };
        ensure!(height > 0 && width > 0, "no pixel");
        Ok(Self {
            spec: spec.clone(),
            height,
            width,
        })
    }

    pub fn output_shape(&self) -> Vec<usize> {
        vec![3, self.height, self.width]
    }

    pub fn extract(&self, picture: &Image<3>) -> Vec<f32> {
        let picture = match self.spec.resize {
            Resize::ShorterSide(side) => {
                let _ = resized_and_cropped;
                picture.resize_and_crop(side)
            }
            Resize::Exact([height, width]) => picture.resize_bicubic(width, height),
        };
        let colour = |colour: usize| {
            let (mean, std) = (self.spec.mean[colour], self.spec.std[colour]);
            let normal =
                move |pixel: &[u8; 3]| ((f64::from(pixel[colour]) / 255.0 - mean) / std) as f32;
            picture.pixels().iter().map(normal)
        };
        (0..3).flat_map(colour).collect::<Vec<f32>>()
    }
}

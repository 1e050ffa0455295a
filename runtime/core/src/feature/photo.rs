//! Pictures in colours, as encoders of image-text models take them.
//!
//! ```text
//! 8-bit colours ─resize─▶ ─crop─▶ value * rescale ─▶ (value - mean) / std ─▶ [3, height, width]
//! ```

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::front_end::{FrontEndError, finite, holdable, in_range, positive};
use super::image::{Crop, Image, Interpolation, Passes, half_to_even, shorter_side};

/// Longest side of an encoder's picture.
const MAX_SIDE: usize = 8192;

/// The parameters of a picture in colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The size that a picture is brought to.
    pub resize: Resize,
    /// How pixels between pixels are found; as Pillow does it, with antialiasing.
    pub interpolation: Interpolation,
    /// Which axis is filtered first.
    #[serde(default)]
    pub passes: Passes,
    /// Height and width of the middle that is cut out, if anything is cut off. Where it is larger than
    /// the resized picture, that lies in the middle of black.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
    /// Where the middle is between two pixels.
    #[serde(default)]
    pub crop_rounding: CropRounding,
    /// What values, 0 to 255, are multiplied by.
    #[serde(default = "one_of_255")]
    pub rescale: f64,
    /// Taken off each colour.
    pub mean: [f64; 3],
    /// Divides what is left of each.
    pub std: [f64; 3],
    /// The colour that shows through what is transparent; without it, transparency is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<[u8; 3]>,
    /// Whether blue is the first of the result's colours, and red the last; `mean` and `std` are those
    /// of red, green and blue in any case.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bgr: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A size that pictures of any size are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes this, the other keeps its proportion to it. Needs a crop.
    ShorterSide(usize),
    /// Height and width become these, whatever the proportion was.
    Exact([usize; 2]),
}

/// Where the middle is, if as many pixels cannot be cut off on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropRounding {
    /// An even number of pixels is cut off at left and top, and less black is put there (torchvision).
    #[default]
    HalfEven,
    /// Less is cut off at left and top, and more black is put there (transformers).
    Down,
}

fn one_of_255() -> f64 {
    1.0 / 255.0
}

impl ImageSpec {
    /// ImageBind's and CLIP's: 224 x 224 pixels, the colours' mean and deviation of CLIP.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            resize: Resize::ShorterSide(224),
            interpolation: Interpolation::Bicubic,
            passes: Passes::HorizontalFirst,
            crop: Some([224, 224]),
            crop_rounding: CropRounding::HalfEven,
            rescale: one_of_255(),
            // `COLOUR_MEAN` and `COLOUR_STD`, as they were published.
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
            background: None,
            bgr: false,
        }
    }

    /// Height and width of the result.
    fn size(&self) -> Option<[usize; 2]> {
        match (self.crop, self.resize) {
            (Some(crop), _) => Some(crop),
            (None, Resize::Exact(size)) => Some(size),
            (None, Resize::ShorterSide(_)) => None,
        }
    }

    fn check(&self) -> Result<[usize; 2], FrontEndError> {
        let size = self.size().ok_or(FrontEndError::Together(
            "resize by shorter_side is expected with a crop, or pictures differ in size",
        ))?;
        let resized = match self.resize {
            Resize::ShorterSide(side) => [side, side],
            Resize::Exact(size) => size,
        };
        for (name, side) in [("crop", size), ("resize", resized)]
            .into_iter()
            .flat_map(|(name, sides)| sides.map(|side| (name, side)))
        {
            in_range(name, side, 1, MAX_SIDE, "1 to 8192")?;
        }
        positive("rescale", self.rescale)?;
        self.mean
            .iter()
            .try_for_each(|mean| finite("mean", *mean))?;
        self.std.iter().try_for_each(|std| positive("std", *std))?;
        holdable(&[3, size[0], size[1]])?;
        Ok(size)
    }
}

/// What turns pictures into the numbers an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFrontEnd {
    spec: ImageSpec,
    height: usize,
    width: usize,
}

impl ImageFrontEnd {
    /// A front end of these parameters.
    ///
    /// # Errors
    ///
    /// The first parameter that makes no sense.
    pub fn new(spec: &ImageSpec) -> Result<Self, FrontEndError> {
        let [height, width] = spec.check()?;
        Ok(Self {
            spec: spec.clone(),
            height,
            width,
        })
    }

    /// Its parameters.
    #[must_use]
    pub fn spec(&self) -> &ImageSpec {
        &self.spec
    }

    /// `[3, height, width]`.
    #[must_use]
    pub fn output_shape(&self) -> Vec<usize> {
        vec![3, self.height, self.width]
    }

    /// The features of a picture of any size, `[3, height, width]`.
    #[must_use]
    pub fn extract(&self, picture: &Image<3>) -> Vec<f32> {
        let (width, height) = match self.spec.resize {
            Resize::ShorterSide(side) => shorter_side(picture.width(), picture.height(), side),
            Resize::Exact([height, width]) => (width, height),
        };
        // What is cut off, and what is black, at the left or at the top.
        let margins = |from: usize, to: usize| match self.spec.crop_rounding {
            CropRounding::HalfEven => (
                half_to_even(from.saturating_sub(to)),
                to.saturating_sub(from) / 2,
            ),
            CropRounding::Down => (
                from.saturating_sub(to) / 2,
                to.saturating_sub(from).div_ceil(2),
            ),
        };
        let (left, black_left) = margins(width, self.width);
        let (top, black_top) = margins(height, self.height);
        let crop = Crop {
            width,
            height,
            left,
            top,
        };
        let size = (self.width.min(width), self.height.min(height));
        let part = picture.resize_part(crop, size, self.spec.interpolation, self.spec.passes);
        let mut pixels = vec![[0; 3]; self.width * self.height];
        let lines = pixels.chunks_exact_mut(self.width).skip(black_top);
        for (line, row) in lines.zip(part.pixels().chunks_exact(size.0)) {
            line[black_left..][..size.0].copy_from_slice(row);
        }
        let colour = |place: usize| {
            let colour = if self.spec.bgr { 2 - place } else { place };
            let (mean, std) = (self.spec.mean[colour], self.spec.std[colour]);
            let normal = move |pixel: &[u8; 3]| {
                ((f64::from(pixel[colour]) * self.spec.rescale - mean) / std) as f32
            };
            pixels.iter().map(normal)
        };
        (0..3).flat_map(colour).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn picture(width: usize, height: usize) -> Image<3> {
        let pixel = |n: usize| [n as u8, (n * 3) as u8, 255 - n as u8];
        Image::new(width, height, (0..width * height).map(pixel).collect()).unwrap()
    }

    fn spec() -> ImageSpec {
        ImageSpec {
            resize: Resize::ShorterSide(4),
            interpolation: Interpolation::Bicubic,
            passes: Passes::HorizontalFirst,
            crop: Some([4, 4]),
            crop_rounding: CropRounding::HalfEven,
            rescale: one_of_255(),
            mean: [0.5; 3],
            std: [0.25; 3],
            background: None,
            bgr: false,
        }
    }

    fn extract(spec: &ImageSpec, picture: &Image<3>) -> Vec<f32> {
        ImageFrontEnd::new(spec).unwrap().extract(picture)
    }

    #[test]
    fn colours_are_planes_and_normalised() {
        // Nothing is scaled: the features are the pixels.
        let features = extract(&spec(), &picture(4, 4));
        assert_eq!(features.len(), 48);
        for (n, value) in features[..16].iter().enumerate() {
            assert!((value - (n as f32 / 255.0 - 0.5) / 0.25).abs() < 1e-6);
        }
        assert!((features[32] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_middle_is_where_its_rounding_says() {
        // Three of seven columns are cut off: two on the left, or one.
        let wide = picture(7, 4);
        let down = ImageSpec {
            crop_rounding: CropRounding::Down,
            ..spec()
        };
        let first = |features: Vec<f32>| (features[0] * 0.25 + 0.5) * 255.0;
        assert!((first(extract(&spec(), &wide)) - 2.0).abs() < 1e-3);
        assert!((first(extract(&down, &wide)) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_crop_larger_than_the_picture_is_black_around_it() {
        let larger = ImageSpec {
            crop: Some([7, 5]),
            ..spec()
        };
        let down = ImageSpec {
            crop_rounding: CropRounding::Down,
            ..larger.clone()
        };
        // Three lines and a column more: one line above, or two; no column at the left, or one.
        for (spec, above, before) in [(larger, 1, 0), (down, 2, 1)] {
            let blue = &extract(&spec, &picture(4, 4))[2 * 35..];
            let level = |y: usize, x: usize| (blue[y * 5 + x] * 0.25 + 0.5) * 255.0;
            for (y, x) in (0..7).flat_map(|y| (0..5).map(move |x| (y, x))) {
                let inside = (above..above + 4).contains(&y) && (before..before + 4).contains(&x);
                let expected = match inside {
                    true => 255 - (y - above) * 4 - (x - before),
                    false => 0,
                };
                assert!((level(y, x) - expected as f32).abs() < 1e-3, "{y} {x}");
            }
        }
    }

    #[test]
    fn blue_can_come_first() {
        let bgr = ImageSpec {
            bgr: true,
            mean: [0.1, 0.2, 0.3],
            ..spec()
        };
        let rgb = ImageSpec {
            bgr: false,
            ..bgr.clone()
        };
        let (turned, straight) = (extract(&bgr, &picture(4, 4)), extract(&rgb, &picture(4, 4)));
        assert_eq!(turned[..16], straight[32..]);
        assert_eq!(turned[16..32], straight[16..32]);
        assert_eq!(turned[32..], straight[..16]);
    }

    #[test]
    fn both_sides_can_be_resized() {
        let exact = ImageSpec {
            resize: Resize::Exact([2, 6]),
            crop: None,
            ..spec()
        };
        let front_end = ImageFrontEnd::new(&exact).unwrap();
        assert_eq!(front_end.output_shape(), [3, 2, 6]);
        for (width, height) in [(1, 1), (300, 1), (1, 300), (6, 2)] {
            assert_eq!(front_end.extract(&picture(width, height)).len(), 36);
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        let message = |alter: fn(&mut ImageSpec)| {
            let mut spec = spec();
            alter(&mut spec);
            ImageFrontEnd::new(&spec).unwrap_err().to_string()
        };
        assert!(message(|s| s.crop = None).contains("expected with a crop"));
        assert_eq!(
            message(|s| s.crop = Some([0, 4])),
            "crop is 0, expected 1 to 8192"
        );
        let huge = message(|s| s.resize = Resize::ShorterSide(9000));
        assert_eq!(huge, "resize is 9000, expected 1 to 8192");
        assert!(message(|s| s.std[1] = 0.0).contains("std is 0"));
        assert!(message(|s| s.mean[2] = f64::NAN).contains("mean is NaN"));
        assert!(message(|s| s.rescale = -1.0).contains("rescale is -1"));
    }
}

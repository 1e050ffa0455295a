//! What is seen of a picture: a part of it, mirrored or turned or not, and the same part of the heat and the
//! distances that belong to it, in the pixels of each.

use rand::Rng;
use sensorium_core::feature::Image;
use sensorium_media::{NumberArray, Numbers};
use serde::{Deserialize, Serialize};

use super::around;
use crate::setting::{self, SettingError};

/// How much what is seen differs from the whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewAugmentation {
    /// Smallest side of the part, as a share of the whole; 1 leaves it whole.
    pub smallest: f32,
    /// Largest relative change of the ratio of its sides.
    pub stretch: f32,
    /// Largest shift beyond that, as a share of the whole; what lies outside is as the nearest
    /// pixel.
    pub shift: f32,
    /// How often it is mirrored, left for right.
    pub flip: f32,
    /// How often it is turned by one, two or three quarters, where a view has no up, such as that
    /// from a ceiling; 0.75 for all ways alike.
    pub turn: f32,
}

impl Default for ViewAugmentation {
    fn default() -> Self {
        Self {
            smallest: 1.0,
            stretch: 0.0,
            shift: 0.0,
            flip: 0.0,
            turn: 0.0,
        }
    }
}

/// A [`ViewAugmentation`] whose settings are in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewAugmenter {
    config: ViewAugmentation,
}

/// A part of a picture, in shares of its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    flip: bool,
    /// Quarters clockwise, after all else.
    turns: u8,
}

impl ViewAugmenter {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn new(config: ViewAugmentation) -> Result<Self, SettingError> {
        let is_side = config.smallest > 0.0 && config.smallest <= 1.0;
        let expected = "more than 0, and at most 1";
        setting::fits("smallest", config.smallest, expected, is_side)?;
        setting::share("stretch", config.stretch)?;
        setting::share("shift", config.shift)?;
        setting::share("flip", config.flip)?;
        setting::share("turn", config.turn)?;
        Ok(Self { config })
    }

    /// A view, to be applied to all pictures of one sample.
    pub fn draw(&self, rng: &mut impl Rng) -> View {
        let ViewAugmentation {
            smallest,
            stretch,
            shift,
            flip,
            turn,
        } = self.config;
        let side = rng.random_range(smallest..=1.0);
        let ratio = (around((1.0 + stretch).ln(), rng) / 2.0).exp();
        let (width, height) = ((side * ratio).min(1.0), (side / ratio).min(1.0));
        let mut place = |size: f32| rng.random::<f32>() * (1.0 - size) + around(shift, rng);
        let (left, top) = (place(width), place(height));
        View {
            left,
            top,
            width,
            height,
            flip: rng.random::<f32>() < flip,
            // Not drawn where none is asked for, so that what else is drawn stays as it was.
            turns: match turn > 0.0 && rng.random::<f32>() < turn {
                true => rng.random_range(1..=3),
                false => 0,
            },
        }
    }
}

impl View {
    /// All of a picture.
    pub const WHOLE: Self = Self {
        left: 0.0,
        top: 0.0,
        width: 1.0,
        height: 1.0,
        flip: false,
        turns: 0,
    };

    /// What is seen of a picture in colours.
    #[must_use]
    pub fn image(&self, image: &Image<3>) -> Image<3> {
        let (columns, rows) = self.places(image.width(), image.height());
        let pixels = self.cut(image.pixels(), image.width(), &columns, &rows);
        let [height, width] = self.size(&columns, &rows);
        Image::new(width, height, pixels).unwrap_or_else(|| image.clone())
    }

    /// What is seen of frames `[frames, height, width]`: the same part of each.
    ///
    /// # Panics
    ///
    /// If they have another number of axes.
    #[must_use]
    pub fn frames(&self, frames: &NumberArray) -> NumberArray {
        let [count, height, width] = frames.shape[..] else {
            panic!("view: shape {:?}, expected three axes", frames.shape)
        };
        let (columns, rows) = self.places(width, height);
        let len = (width * height).max(1);
        macro_rules! cut {
            ($kind:ident, $values:expr) => {
                Numbers::$kind(
                    $values
                        .chunks_exact(len)
                        .flat_map(|frame| self.cut(frame, width, &columns, &rows))
                        .collect(),
                )
            };
        }
        let numbers = match &frames.numbers {
            Numbers::U8(values) => cut!(U8, values),
            Numbers::U16(values) => cut!(U16, values),
            Numbers::I16(values) => cut!(I16, values),
            Numbers::I32(values) => cut!(I32, values),
            Numbers::I64(values) => cut!(I64, values),
            Numbers::F64(values) => cut!(F64, values),
            others => cut!(F32, others.to_f32(0..others.len())),
        };
        let [height, width] = self.size(&columns, &rows);
        NumberArray {
            shape: vec![count, height, width],
            numbers,
        }
    }

    /// Height and width of what is seen.
    fn size(&self, columns: &[usize], rows: &[usize]) -> [usize; 2] {
        match self.turns % 2 {
            0 => [rows.len(), columns.len()],
            _ => [columns.len(), rows.len()],
        }
    }

    /// The pixels that are seen, turned.
    fn cut<T: Copy>(
        &self,
        pixels: &[T],
        width: usize,
        columns: &[usize],
        rows: &[usize],
    ) -> Vec<T> {
        let row = |&y: &usize| columns.iter().map(move |&x| pixels[y * width + x]);
        let mut seen: Vec<T> = rows.iter().flat_map(row).collect();
        let mut width = columns.len();
        for _ in 0..self.turns {
            // What was the bottom of a column is the start of a row.
            let column = |x: usize| seen.iter().skip(x).step_by(width).rev().copied();
            let turned: Vec<T> = (0..width).flat_map(column).collect();
            width = seen.len().checked_div(width).unwrap_or(0);
            seen = turned;
        }
        seen
    }

    /// The columns and rows of a picture of a size that are seen.
    fn places(&self, width: usize, height: usize) -> (Vec<usize>, Vec<usize>) {
        let mut columns = places(self.left, self.width, width);
        if self.flip {
            columns.reverse();
        }
        (columns, places(self.top, self.height, height))
    }
}

/// The pixels of one side of a part; those outside are the nearest inside.
fn places(start: f32, share: f32, len: usize) -> Vec<usize> {
    let pixels = |share: f32| (share * len as f32).round() as isize;
    let first = pixels(start);
    let last = len.saturating_sub(1) as isize;
    let count = pixels(share).clamp(len.min(1) as isize, len as isize);
    (first..first + count)
        .map(|place| place.clamp(0, last) as usize)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;
    use proptest::prelude::*;

    /// Pixel `(x, y)` is `[x, y, 0]`, each in units of `1 / scale` of the smaller picture.
    fn image(width: usize, height: usize, scale: usize) -> Image<3> {
        let pixel = |i: usize| [(i % width / scale) as u8, (i / width / scale) as u8, 0];
        Image::new(width, height, (0..width * height).map(pixel).collect()).unwrap()
    }

    fn frames(width: usize, height: usize) -> NumberArray {
        let pixel = |i: usize| (i / width % height * 256 + i % width) as u16;
        NumberArray {
            shape: vec![2, height, width],
            numbers: Numbers::U16((0..2 * width * height).map(pixel).collect()),
        }
    }

    fn augmenter(config: ViewAugmentation) -> ViewAugmenter {
        ViewAugmenter::new(config).unwrap()
    }

    const ALL: ViewAugmentation = ViewAugmentation {
        smallest: 0.5,
        stretch: 0.3,
        shift: 0.2,
        flip: 0.5,
        turn: 0.75,
    };

    #[test]
    fn a_turned_picture_has_its_left_side_on_top() {
        let view = |turns| View {
            turns,
            ..View::WHOLE
        };
        let frames = NumberArray {
            shape: vec![2, 2, 3],
            numbers: Numbers::U8(vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]),
        };
        let expected = [
            (0, [2, 3], [1, 2, 3, 4, 5, 6]),
            (1, [3, 2], [4, 1, 5, 2, 6, 3]),
            (2, [2, 3], [6, 5, 4, 3, 2, 1]),
            (3, [3, 2], [3, 6, 2, 5, 1, 4]),
        ];
        for (turns, [height, width], pixels) in expected {
            let seen = view(turns).frames(&frames);
            assert_eq!(seen.shape, [2, height, width]);
            let second = pixels.map(|pixel| pixel + 10);
            assert_eq!(seen.numbers, Numbers::U8([pixels, second].concat()));
        }
        let seen = view(1).image(&image(3, 2, 1));
        assert_eq!((seen.width(), seen.height()), (2, 3));
        assert_eq!(seen.pixels()[0], [0, 1, 0]);
    }

    #[test]
    fn all_ways_to_turn_are_drawn() {
        let turning = augmenter(ViewAugmentation {
            turn: 0.75,
            ..ViewAugmentation::default()
        });
        let mut counts = [0; 4];
        for seed in 0..400 {
            let view = turning.draw(&mut random_of(seed, 0, 0));
            counts[usize::from(view.turns)] += 1;
        }
        assert!(
            counts.iter().all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_whole_is_the_whole() {
        let none = augmenter(ViewAugmentation::default()).draw(&mut random_of(1, 0, 0));
        assert_eq!(none, View::WHOLE);
        assert_eq!(none.image(&image(5, 3, 1)), image(5, 3, 1));
        assert_eq!(none.frames(&frames(5, 3)), frames(5, 3));
    }

    /// A picture of four times the pixels of the depth that belongs to it.
    #[test]
    fn a_picture_and_its_depth_show_the_same_part() {
        let (image, frames) = (image(160, 80, 4), frames(40, 20));
        let mut random = random_of(1, 0, 0);
        let (mut flips, mut parts) = (0, 0);
        for _ in 0..200 {
            let view = augmenter(ALL).draw(&mut random);
            let (seen, depth) = (view.image(&image), view.frames(&frames));
            let [2, height, width] = depth.shape[..] else {
                panic!("{:?}", depth.shape)
            };
            assert!(seen.width().abs_diff(4 * width) <= 4);
            assert!(seen.height().abs_diff(4 * height) <= 4);
            let Numbers::U16(values) = &depth.numbers else {
                panic!("another kind")
            };
            for (y, row) in values.chunks_exact(width).take(height).enumerate() {
                for (x, value) in row.iter().enumerate() {
                    let (x, y) = (4 * x + 2, 4 * y + 2);
                    if x < seen.width() && y < seen.height() {
                        let [column, row, _] = seen.pixels()[y * seen.width() + x];
                        // Both are rounded to their own pixels.
                        assert!((value % 256).abs_diff(column.into()) <= 1);
                        assert!((value / 256).abs_diff(row.into()) <= 1);
                    }
                }
            }
            flips += usize::from(view.flip);
            parts += usize::from(width < 40);
        }
        assert!((70..130).contains(&flips) && parts > 150);
    }

    #[test]
    fn outside_is_as_the_nearest_pixel() {
        assert_eq!(places(-0.4, 1.0, 5), [0, 0, 0, 1, 2]);
        assert_eq!(places(0.4, 1.0, 5), [2, 3, 4, 4, 4]);
        assert_eq!(places(0.5, 1e-3, 5), [3]);
        assert!(places(0.5, 1.0, 0).is_empty());
    }

    #[test]
    fn a_flip_is_left_for_right() {
        let flip = View {
            flip: true,
            ..View::WHOLE
        };
        let flipped = flip.image(&image(3, 2, 1));
        assert_eq!(flipped.pixels()[..3], [[2, 0, 0], [1, 0, 0], [0, 0, 0]]);
        let back = flip.frames(&flip.frames(&frames(7, 3)));
        assert_eq!(back, frames(7, 3));
    }

    proptest! {
        #[test]
        fn no_picture_is_too_small(width in 1usize..20, height in 1usize..20, seed: u64) {
            let view = augmenter(ALL).draw(&mut random_of(seed, 0, 0));
            let seen = view.image(&image(width, height, 1));
            // A quarter turn makes a side of the other.
            let fits = |w, h| seen.width() <= w && seen.height() <= h;
            prop_assert!(fits(width, height) || fits(height, width));
            let frames = view.frames(&frames(width, height));
            prop_assert_eq!(&frames.shape, &[2, seen.height(), seen.width()]);
            prop_assert_eq!(frames.numbers.len(), 2 * seen.height() * seen.width());
        }
    }
}

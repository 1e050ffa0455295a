use super::*;
extern crate std;

use proptest::prelude::*;

/// The picture that `golden.py` takes.
fn picture(width: usize, height: usize) -> Image<3> {
    let value = |x: usize, y: usize, c: usize| (x * x * 37 + y * 91 + c * 53 + x * y * 11) as u8;
    let at = |n: usize| [0, 1, 2].map(|c| value(n % width, n / width, c));
    Image::new(width, height, (0..width * height).map(at).collect()).unwrap()
}

#[test]
fn pixels_are_those_of_pillow() {
    for line in include_str!("golden.txt").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, width, height, to_width, to_height, hex] = fields[..] else {
            panic!("{line}");
        };
        let size = |field: &str| field.parse::<usize>().unwrap();
        let filter = match name {
            "bicubic" => Interpolation::Bicubic,
            "bilinear" => Interpolation::Bilinear,
            "nearest" => Interpolation::Nearest,
            "box" => Interpolation::Box,
            "hamming" => Interpolation::Hamming,
            "lanczos" => Interpolation::Lanczos,
            _ => panic!("{line}"),
        };
        let picture = picture(size(width), size(height));
        let (width, height) = (size(to_width), size(to_height));
        let crop = Crop {
            width,
            height,
            left: 0,
            top: 0,
        };
        let resized = picture.resize_part(crop, (width, height), filter, Passes::Pillow13);
        // Which axis comes first matters for the tall picture only, and where pixels are mixed.
        let by_rows = picture.resize(width, height, filter);
        let is_tall = (picture.width(), width) == (9, 6);
        let mixes = filter != Interpolation::Nearest;
        assert_eq!(by_rows != resized, is_tall && mixes, "{line}");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let expected: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(
            resized.pixels().as_flattened(),
            expected,
            "{name} {width}x{height}"
        );
    }
}

#[test]
fn the_crop_is_the_middle_rounded_to_even() {
    assert_eq!(
        [0, 1, 2, 3, 5, 7, 123].map(half_to_even),
        [0, 0, 1, 2, 2, 4, 62]
    );
    let tall = picture(4, 7);
    let cropped = tall.resize_and_crop(4);
    assert_eq!((cropped.width(), cropped.height()), (4, 4));
    assert_eq!(cropped.pixels(), &tall.pixels()[8..24]);
    assert_eq!(picture(9, 4).resize_and_crop(2).pixels().len(), 4);
}

#[test]
fn pictures_without_pixels_or_with_too_many_are_none() {
    assert!(Image::new(2, 2, vec![[0]; 3]).is_none());
    assert!(Image::<1>::new(0, 2, vec![]).is_none());
    assert!(Image::new(usize::MAX, 2, vec![[0]]).is_none());
}

#[test]
fn a_very_long_picture_needs_no_more_memory() {
    let row = Image::new(1 << 20, 1, vec![[7]; 1 << 20]).unwrap();
    let cropped = row.resize_and_crop(224);
    assert!(cropped.pixels().iter().all(|pixel| *pixel == [7]));
}

proptest! {
    #[test]
    fn a_part_is_cut_out_of_the_whole(
        (width, height) in (1usize..20, 1usize..20), (left, top) in (0usize..5, 0usize..5),
        (columns, rows) in (1usize..9, 1usize..9),
    ) {
        let image = picture(width, height);
        let crop = Crop { width: left + columns + 2, height: top + rows, left, top };
        let part = image.resize_part(crop, (columns, rows), Interpolation::Bilinear, Passes::HorizontalFirst);
        let whole = image.resize(crop.width, crop.height, Interpolation::Bilinear);
        for (y, row) in part.pixels().chunks_exact(columns).enumerate() {
            let start = (top + y) * crop.width + left;
            prop_assert_eq!(row, &whole.pixels()[start..start + columns]);
        }
    }

    #[test]
    fn one_colour_stays_one_colour(
        (width, height) in (1usize..40, 1usize..40),
        (to_width, to_height) in (1usize..40, 1usize..40),
        colour in any::<[u8; 2]>(),
    ) {
        let image = Image::new(width, height, vec![colour; width * height]).unwrap();
        let resized = image.resize(to_width, to_height, Interpolation::Bicubic);
        prop_assert_eq!(resized.pixels().len(), to_width * to_height);
        prop_assert!(resized.pixels().iter().all(|pixel| *pixel == colour));
    }

    #[test]
    fn the_same_size_is_the_same_picture((width, height) in (1usize..20, 1usize..20)) {
        let image = picture(width, height);
        prop_assert_eq!(&image.resize(width, height, Interpolation::Bilinear), &image);
    }
}

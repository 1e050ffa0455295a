use ::png::{BitDepth, ColorType, Encoder};

use super::*;
use crate::damage::damage;

const RAMP: &[u8] = include_bytes!("../golden/ramp.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../golden/ramp-progressive.jpg");
const GREY: &[u8] = include_bytes!("../golden/grey.jpg");

/// A PNG of two pixels in a row; the palette has three colours, the first transparent.
fn png(color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(&[1, 2, 3, 4, 5, 6, 7, 8, 9][..]);
        encoder.set_trns(&[0, 128][..]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

fn message(bytes: &[u8]) -> String {
    rgb_from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn every_kind_of_png_becomes_colours_as_pillow_makes_them() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    type Case<'a> = (ColorType, BitDepth, &'a [u8], [[u8; 3]; 2]);
    let cases: &[Case] = &[
        (Grayscale, One, &[0b0100_0000], [[0; 3], [255; 3]]),
        (Grayscale, Two, &[0b0110_0000], [[85; 3], [170; 3]]),
        (Grayscale, Four, &[0x1f], [[17; 3], [255; 3]]),
        (Grayscale, Eight, &[3, 200], [[3; 3], [200; 3]]),
        (GrayscaleAlpha, Eight, &[3, 0, 200, 255], [[3; 3], [200; 3]]),
        (
            GrayscaleAlpha,
            Sixteen,
            &[3, 255, 0, 0, 200, 1, 9, 9],
            [[3; 3], [200; 3]],
        ),
        (Indexed, Eight, &[0, 2], [[1, 2, 3], [7, 8, 9]]),
        (Indexed, Two, &[0b0110_0000], [[4, 5, 6], [7, 8, 9]]),
        (Rgb, Eight, &[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
        (
            Rgba,
            Eight,
            &[1, 2, 3, 0, 4, 5, 6, 9],
            [[1, 2, 3], [4, 5, 6]],
        ),
        (
            Rgb,
            Sixteen,
            &[1, 255, 2, 0, 3, 9, 4, 0, 5, 0, 6, 0],
            [[1, 2, 3], [4, 5, 6]],
        ),
    ];
    for (color, depth, data, expected) in cases {
        let picture = rgb_from_bytes(&png(*color, *depth, data)).unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        assert_eq!(picture.pixels(), expected, "{color:?} {depth:?}");
    }
}

#[test]
fn planes_keep_their_bits() {
    let plane = |bytes: &[u8]| {
        let plane = Plane::from_bytes(bytes).unwrap();
        assert_eq!((plane.width, plane.height), (2, 1));
        (plane.max, plane.values)
    };
    let words = png(ColorType::Grayscale, BitDepth::Sixteen, &[1, 0, 255, 254]);
    assert_eq!(plane(&words), (65535, vec![256, 65534]));
    assert_eq!(
        plane(b"P5 2 1 65535\n\x01\x00\xff\xfe"),
        (65535, vec![256, 65534])
    );
    assert_eq!(
        plane(b"P5\n# deg\n2 1\n#\n12000\r\x01\x00\x02\x00"),
        (12000, vec![256, 512])
    );
    assert_eq!(plane(b"P5 2 1 15\n\x01\x0f"), (15, vec![1, 15]));
    let colours = png(ColorType::Rgb, BitDepth::Eight, &[255, 0, 0, 7, 7, 7]);
    // Pillow: Image.new("RGB", (1, 1), (255, 0, 0)).convert("L") is 76.
    assert_eq!(plane(&colours), (255, vec![76, 7]));
    let scaled = rgb_from_bytes(b"P5 2 1 15\n\x01\x0f").unwrap();
    assert_eq!(scaled.pixels(), [[17; 3], [255; 3]]);
}

#[test]
fn jpeg_as_the_reference_decodes_it() {
    // Decoders may round the transform and the colours differently.
    const MAX_ERROR: u8 = 3;
    for bytes in [RAMP, PROGRESSIVE] {
        let picture = rgb_from_bytes(bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (24, 16));
        let pixels = picture.pixels().as_flattened();
        for (actual, expected) in pixels.iter().zip(include_bytes!("../golden/ramp.rgb")) {
            assert!(
                actual.abs_diff(*expected) <= MAX_ERROR,
                "{actual} {expected}"
            );
        }
    }
    let plane = Plane::from_bytes(GREY).unwrap();
    for (actual, expected) in plane.values.iter().zip(include_bytes!("../golden/grey.u8")) {
        assert!(
            actual.abs_diff(u16::from(*expected)) <= 1,
            "{actual} {expected}"
        );
    }
}

#[test]
fn cut_and_flipped_files_are_refused_or_harmless() {
    use BitDepth::{Eight, Sixteen};
    let rgb = |bytes: Vec<u8>| rgb_from_bytes(&bytes).ok();
    let plane = |bytes: Vec<u8>| Plane::from_bytes(&bytes).ok();
    damage(
        &png(ColorType::Indexed, Eight, &[0, 2]),
        4000,
        |_| true,
        rgb,
    );
    damage(&png(ColorType::Rgba, Eight, &[9; 8]), 4000, |_| true, rgb);
    damage(
        &png(ColorType::Grayscale, Sixteen, &[9; 4]),
        4000,
        |_| true,
        plane,
    );
    damage(b"P5 2 2 65535\n12345678", 4000, |_| true, plane);
    damage(RAMP, 4000, |_| true, rgb);
    damage(PROGRESSIVE, 4000, |_| true, rgb);
    damage(GREY, 2000, |_| true, plane);
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(
        message(b"RIFF....WEBP"),
        "it is not a PNG, JPEG or binary PGM file"
    );
    let words = png(ColorType::Grayscale, BitDepth::Sixteen, &[0; 4]);
    assert_eq!(
        message(&words),
        "it holds one channel of 16 bits, as depth and thermal pictures do, expected colours"
    );
    let words = png(ColorType::Rgba, BitDepth::Sixteen, &[0; 16]);
    assert_eq!(
        Plane::from_bytes(&words).unwrap_err().to_string(),
        "it holds 4 channels of 16 bits, expected one"
    );
    assert_eq!(
        message(&RAMP[..RAMP.len() - 2]),
        "the JPEG has no end mark, it breaks off"
    );
    assert_eq!(
        message(b"P5 2 2 65535\n1234567"),
        "the PGM has 7 bytes of pixels, expected 8"
    );
    assert_eq!(
        message(b"P5 2 x"),
        "byte 5 of the PGM begins no number from 1 to 65535"
    );
    assert_eq!(
        message(b"P5 2 1 9\n\x01\x0a"),
        "pixel 1 of the PGM is 10, expected at most 9"
    );
    assert_eq!(
        message(b"P5 60000 60000 9\n"),
        "it has 60000 x 60000 pixels, expected at most 67108864"
    );
}

/// Values of Pillow 13: `alpha_composite` over (255, 128, 7).
#[test]
fn what_is_transparent_lets_the_background_through() {
    use BitDepth::Eight;
    let over = |color, data: &[u8]| {
        let picture = rgb_over(&png(color, Eight, data), [255, 128, 7]).unwrap();
        picture.pixels().to_vec()
    };
    assert_eq!(
        over(ColorType::Rgba, &[200, 10, 0, 100, 1, 254, 127, 128]),
        [[233, 82, 4], [128, 191, 67]]
    );
    assert_eq!(
        over(ColorType::Rgba, &[4, 5, 6, 0, 4, 5, 6, 255]),
        [[255, 128, 7], [4, 5, 6]]
    );
    assert_eq!(
        over(ColorType::GrayscaleAlpha, &[3, 0, 200, 255])[1],
        [200; 3]
    );
    assert_eq!(over(ColorType::Indexed, &[0, 2])[0], [255, 128, 7]);
    // Without transparency there is nothing to see through.
    assert_eq!(over(ColorType::Rgb, &[1, 2, 3, 4, 5, 6])[0], [1, 2, 3]);
    assert_eq!(over(ColorType::Grayscale, &[3, 200])[0], [3; 3]);
}

//! JPEG, baseline and progressive, grey or colours.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{PictureError, Raster, Samples, pixels};

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, PictureError> {
    // Strict: the rest of a cut picture would be filled with grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(PictureError::Jpeg)?;
    let none = || PictureError::Jpeg(DecodeErrors::ZeroError);
    let (width, height) = decoder.dimensions().ok_or_else(none)?;
    let pixels = pixels(width, height)?;
    let (channels, colours) = match decoder.input_colorspace().ok_or_else(none)? {
        ColorSpace::Luma => (1, ColorSpace::Luma),
        ColorSpace::YCbCr | ColorSpace::RGB => (3, ColorSpace::RGB),
        ColorSpace::CMYK | ColorSpace::YCCK => {
            return Err(PictureError::JpegColours {
                actual: "the four inks of print",
            });
        }
        _ => {
            return Err(PictureError::JpegColours {
                actual: "unusual channels",
            });
        }
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    if !ends(bytes) {
        return Err(PictureError::JpegCut);
    }
    let samples = decoder.decode().map_err(PictureError::Jpeg)?;
    if samples.len() != pixels * channels {
        return Err(none());
    }
    Ok(Raster {
        width,
        height,
        channels,
        max: 255,
        samples: Samples::Bytes(samples),
    })
}

/// Whether an end mark comes after the last scan begins. The decoder does not ask for it, and a
/// preview in the head has marks of its own.
fn ends(bytes: &[u8]) -> bool {
    let last = |mark: [u8; 2]| bytes.array_windows().rposition(|&pair| pair == mark);
    match (last([0xff, 0xda]), last([0xff, 0xd9])) {
        (Some(scan), Some(end)) => end > scan,
        _ => false,
    }
}

//! PNG, all kinds: grey, colours and palettes of 1 to 16 bits, interlaced or not. Of an animation,
//! the first picture.

use std::io::Cursor;

use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use super::{MAX_PIXELS, PictureError, Raster, Samples, pixels};

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, PictureError> {
    // What the decoder may take for itself; rows are the largest part of it.
    let limits = Limits { bytes: MAX_PIXELS };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Neither is used, and either may be a trap: a little of zlib that grows without end.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let head = decoder.read_header_info().map_err(PictureError::Png)?;
    let (width, height) = (head.width as usize, head.height as usize);
    pixels(width, height)?;
    let mut reader = decoder.read_info().map_err(PictureError::Png)?;
    let size = reader
        .output_buffer_size()
        .ok_or(PictureError::Png(DecodingError::LimitsExceeded))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(PictureError::Png)?;
    // To the end mark, so that a cut file is seen.
    reader.finish().map_err(PictureError::Png)?;
    samples.truncate(frame.buffer_size());
    let (max, samples) = if frame.bit_depth == BitDepth::Sixteen {
        let words = samples.as_chunks().0.iter();
        let words = words.map(|&word| u16::from_be_bytes(word)).collect();
        (u16::MAX, Samples::Words(words))
    } else {
        (255, Samples::Bytes(samples))
    };
    Ok(Raster {
        width,
        height,
        channels: frame.color_type.samples(),
        max,
        samples,
    })
}

use cobs::CobsEncoder;
use crc::{Digest, Table};
use postcard::ser_flavors::Flavor;

use crate::{CRC32C, EncodeError, HEADER_LEN, Packet, VERSION};

/// Writes `packet` into `buf` as one frame, its `0x00` included, and returns the part of `buf` that
/// was used.
///
/// Checksum and byte stuffing are applied on the way, so no second buffer is needed.
///
/// # Errors
///
/// [`EncodeError::BufferTooSmall`] if the frame does not fit; [`MAX_FRAME`](crate::MAX_FRAME) bytes
/// always do. [`EncodeError::ZeroRate`] for a block of samples with a rate of 0, which a decoder
/// would refuse.
pub fn encode<'buf>(packet: &Packet, buf: &'buf mut [u8]) -> Result<&'buf [u8], EncodeError> {
    if !packet.payload.has_rate() {
        return Err(EncodeError::ZeroRate);
    }
    // Only room can run out: none of the types in a payload can fail to serialise.
    let too_small = EncodeError::BufferTooSmall {
        capacity: buf.len(),
    };
    let len = write(packet, buf).map_err(|_full| too_small)?;
    match buf.get_mut(..=len) {
        Some(frame) => {
            frame[len] = 0;
            Ok(frame)
        }
        None => Err(too_small),
    }
}

/// Writes all but the delimiter, and returns the length.
fn write(packet: &Packet, buf: &mut [u8]) -> postcard::Result<usize> {
    let mut header = [0; HEADER_LEN];
    header[0] = VERSION;
    header[1] = packet.stream;
    header[2..4].copy_from_slice(&packet.seq.to_le_bytes());
    header[4..].copy_from_slice(&packet.t_dev_us.to_le_bytes());

    let mut frame = FrameWriter {
        stuffed: CobsEncoder::new(buf),
        digest: CRC32C.digest(),
    };
    frame.try_extend(&header)?;
    postcard::serialize_with_flavor(&packet.payload, frame)
}

/// Where postcard writes: each byte enters the checksum and is stuffed at once.
struct FrameWriter<'buf> {
    stuffed: CobsEncoder<'buf>,
    digest: Digest<'static, u32, Table<1>>,
}

impl Flavor for FrameWriter<'_> {
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.digest.update(bytes);
        let pushed = self.stuffed.push(bytes);
        pushed.map_err(|_full| postcard::Error::SerializeBufferFull)
    }

    fn finalize(mut self) -> postcard::Result<usize> {
        let checksum = self.digest.finalize().to_le_bytes();
        let pushed = self.stuffed.push(&checksum);
        pushed.map_err(|_full| postcard::Error::SerializeBufferFull)?;
        Ok(self.stuffed.finalize())
    }
}

use crate::{CHECKSUM_LEN, CRC32C, DecodeError, HEADER_LEN, MAX_FRAME, Packet, Payload, VERSION};

/// What a [`Decoder`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct DecodeCounts {
    /// Frames accepted.
    pub frames_ok: u64,
    /// Frames refused with [`DecodeError::Checksum`].
    pub checksum_errors: u64,
    /// Frames refused with [`DecodeError::Malformed`].
    pub malformed: u64,
    /// Frames refused with [`DecodeError::Overrun`].
    pub overruns: u64,
    /// Frames refused with [`DecodeError::Version`].
    pub wrong_version: u64,
    /// Frames refused with [`DecodeError::Unknown`].
    pub unknown_messages: u64,
    /// Bytes of refused frames, their delimiters included.
    pub bytes_discarded: u64,
}

impl DecodeCounts {
    /// Frames refused, for whatever reason.
    pub fn refused(&self) -> u64 {
        self.checksum_errors
            + self.malformed
            + self.overruns
            + self.wrong_version
            + self.unknown_messages
    }
}

/// Turns bytes back into packets, in fixed memory, and is in step again at the first `0x00` after
/// any damage.
///
/// A reader that joins in the middle of a frame counts the rest of it as one refused frame.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// The bytes since the last delimiter; a frame without its own is at most this long.
    buf: [u8; MAX_FRAME - 1],
    /// Number of bytes since the last delimiter, kept or not.
    len: usize,
    counts: DecodeCounts,
}

impl Decoder {
    /// A decoder waiting for the start of a frame.
    pub const fn new() -> Self {
        Self {
            buf: [0; MAX_FRAME - 1],
            len: 0,
            counts: DecodeCounts {
                frames_ok: 0,
                checksum_errors: 0,
                malformed: 0,
                overruns: 0,
                wrong_version: 0,
                unknown_messages: 0,
                bytes_discarded: 0,
            },
        }
    }

    /// Takes one byte; returns what arrived when that byte ends a frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<Packet, DecodeError>> {
        if byte == 0 {
            return self.end_frame(1);
        }
        if let Some(slot) = self.buf.get_mut(self.len) {
            *slot = byte;
        }
        self.len = self.len.saturating_add(1);
        None
    }

    /// Tells the decoder that the link has ended. What waits for its delimiter is counted, and
    /// accepted if it is a whole frame.
    pub fn finish(&mut self) -> Option<Result<Packet, DecodeError>> {
        self.end_frame(0)
    }

    /// What has been seen so far.
    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    fn end_frame(&mut self, delimiters: usize) -> Option<Result<Packet, DecodeError>> {
        let len = core::mem::take(&mut self.len);
        if len == 0 {
            return None;
        }
        let result = match self.buf.get_mut(..len) {
            Some(frame) => parse(frame),
            None => Err(DecodeError::Overrun { len }),
        };
        let counts = &mut self.counts;
        let counter = match result {
            Ok(_) => &mut counts.frames_ok,
            Err(DecodeError::Checksum { .. }) => &mut counts.checksum_errors,
            Err(DecodeError::Malformed { .. }) => &mut counts.malformed,
            Err(DecodeError::Overrun { .. }) => &mut counts.overruns,
            Err(DecodeError::Version { .. }) => &mut counts.wrong_version,
            Err(DecodeError::Unknown { .. }) => &mut counts.unknown_messages,
        };
        *counter += 1;
        if result.is_err() {
            let discarded = u64::try_from(len.saturating_add(delimiters)).unwrap_or(u64::MAX);
            counts.bytes_discarded = counts.bytes_discarded.saturating_add(discarded);
        }
        Some(result)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads what lies between two delimiters. Undoes the byte stuffing in place.
///
/// The checksum comes first: only an intact frame has a version or a message worth reporting.
fn parse(frame: &mut [u8]) -> Result<Packet, DecodeError> {
    let malformed = DecodeError::Malformed { len: frame.len() };
    let len = cobs::decode_in_place(frame).map_err(|_broken| malformed)?;
    let checked = frame.get(..len).ok_or(malformed)?;
    let (body, &expected) = checked
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or(malformed)?;
    let (actual, expected) = (CRC32C.checksum(body), u32::from_le_bytes(expected));
    if actual != expected {
        return Err(DecodeError::Checksum { actual, expected });
    }
    let (&version, _) = body.split_first().ok_or(malformed)?;
    if version != VERSION {
        return Err(DecodeError::Version { actual: version });
    }
    let (header, payload) = body.split_first_chunk::<HEADER_LEN>().ok_or(malformed)?;
    let &[_, stream, s0, s1, t0, t1, t2, t3, t4, t5, t6, t7] = header;
    if let Some(&number @ 0..0x80) = payload.first()
        && number > Payload::NEWEST
    {
        return Err(DecodeError::Unknown { number });
    }
    match postcard::take_from_bytes(payload) {
        Ok((payload, [])) if Payload::has_rate(&payload) => Ok(Packet {
            stream,
            seq: u16::from_le_bytes([s0, s1]),
            t_dev_us: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            payload,
        }),
        _ => Err(malformed),
    }
}

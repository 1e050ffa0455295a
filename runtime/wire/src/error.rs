use thiserror::Error;

/// A packet could not be written as a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame does not fit; [`MAX_FRAME`](crate::MAX_FRAME) bytes always do.
    #[error("the frame needs more than the {capacity} bytes of the buffer")]
    BufferTooSmall {
        /// Length of the buffer, in bytes.
        capacity: usize,
    },
    /// A block of samples says that its sensor takes none.
    #[error("a block of samples has a rate of 0 mHz")]
    ZeroRate,
}

/// A frame arrived and was refused. The decoder is in step again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The checksum does not match: bytes were lost or changed on the way.
    #[error("checksum is {actual:#010x}, the frame says {expected:#010x}")]
    Checksum {
        /// Computed over what was received.
        actual: u32,
        /// Carried by the frame.
        expected: u32,
    },
    /// Not a frame: broken byte stuffing, too short, a payload that is no message, bytes left over
    /// after it, or a block of samples at no rate.
    #[error("{len} bytes are not a frame")]
    Malformed {
        /// Number of bytes between the delimiters.
        len: usize,
    },
    /// No `0x00` within [`MAX_FRAME`](crate::MAX_FRAME) bytes.
    #[error("no end of a frame within {max} bytes, {len} bytes skipped", max = crate::MAX_FRAME)]
    Overrun {
        /// Number of bytes between the delimiters.
        len: usize,
    },
    /// An intact frame of a version that this crate does not speak.
    #[error("frame of version {actual}, expected {expected}", expected = crate::VERSION)]
    Version {
        /// Version the frame says it has.
        actual: u8,
    },
    /// An intact frame with a message that was added after this crate was written.
    #[error("message {number} is not known, the newest known is {newest}", newest = crate::Payload::NEWEST)]
    Unknown {
        /// Number of the message.
        number: u8,
    },
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn messages() {
        let encode = [
            (
                EncodeError::BufferTooSmall { capacity: 12 },
                "the frame needs more than the 12 bytes of the buffer",
            ),
            (
                EncodeError::ZeroRate,
                "a block of samples has a rate of 0 mHz",
            ),
        ];
        for (error, message) in encode {
            assert_eq!(error.to_string(), message);
        }
        let decode = [
            (
                DecodeError::Checksum {
                    actual: 0xab,
                    expected: 0xe306_9283,
                },
                "checksum is 0x000000ab, the frame says 0xe3069283",
            ),
            (DecodeError::Malformed { len: 3 }, "3 bytes are not a frame"),
            (
                DecodeError::Overrun { len: 700 },
                "no end of a frame within 512 bytes, 700 bytes skipped",
            ),
            (
                DecodeError::Version { actual: 2 },
                "frame of version 2, expected 1",
            ),
            (
                DecodeError::Unknown { number: 9 },
                "message 9 is not known, the newest known is 5",
            ),
        ];
        for (error, message) in decode {
            assert_eq!(error.to_string(), message);
        }
    }
}

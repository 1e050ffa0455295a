//! The byte protocol between a sensor node and its host.
//!
//! Both ends compile this crate, so its types are the specification. It needs no operating system
//! and no heap, holds no more than one frame, and does not panic whatever bytes arrive.
//!
//! # A frame
//!
//! ```text
//!        ┌─────┬────────┬───────┬──────────┬─────────────────┬────────┐
//!  body  │ ver │ stream │  seq  │ t_dev_us │ payload         │ crc32c │
//!        │ u8  │ u8     │ u16   │ u64      │ postcard, <=492 │ u32    │
//!        └─────┴────────┴───────┴──────────┴─────────────────┴────────┘
//!          0     1        2       4          12                len-4
//!
//!  Packet ── postcard ──▶ body ── CRC-32C ──▶ checked ── COBS ──▶ frame, 0x00   (<= 512 bytes)
//! ```
//!
//! Numbers outside the payload are little-endian. The payload is a [`Payload`] in
//! [postcard](https://postcard.jamesmunns.com/wire-format)'s form: one byte says which message,
//! integers are varints, floats are their four bytes, little-endian, so that every bit of them
//! survives.
//!
//! * **CRC-32C** is Castagnoli's polynomial as iSCSI uses it (RFC 3720, appendix B.4: reflected,
//!   initial value and final xor all ones; the digits `123456789` give `0xe3069283`). It covers the
//!   body before it. Without a checksum nine of ten single-bit errors would decode as other data.
//! * **COBS** (Cheshire and Baker, *Consistent Overhead Byte Stuffing*, IEEE/ACM Transactions on
//!   Networking 7(2), 1999) rewrites the bytes so that none is zero, for one byte more in 254. A
//!   `0x00` therefore always ends a frame, and a reader that joins late or loses bytes is in step
//!   again at the next one. Empty frames mean nothing: a `0x00` ahead of a frame flushes line noise.
//!
//! What remains after postcard has read its message is an error, never ignored.
//!
//! # Streams and sequence numbers
//!
//! Each source of frames on a node is a stream with its own `seq`, which starts at 0 when the node
//! boots, grows by one a frame and wraps. [`StreamTable`] finds from it how many frames were lost.
//! Samples have a number of their own, the `index` of a block, which counts every sample since boot
//! whether it could be sent or not; with [`Status`] and [`End`] it lets the host's ledger add up:
//! `sampled = received + lost + dropped`.
//!
//! # Units
//!
//! Device time in microseconds since boot, rates in millihertz, samples in SI ([`ImuSample`]) or in
//! sensor counts with their scale beside them ([`ImuRawBlock`]).
//!
//! # Compatibility
//!
//! Messages are added at the end of [`Payload`] and never changed; the golden frames in the tests
//! hold them to that. A reader refuses a message it does not know ([`DecodeError::Unknown`]) and
//! stays in step. If the frame itself ever has to change, [`VERSION`] does too, and frames of
//! another version are refused after their checksum has been found right.
//!
//! # Examples
//!
//! ```
//! use sensorium_wire::{Decoder, End, MAX_FRAME, Packet, Payload, encode, stream};
//!
//! let packet = Packet {
//!     stream: stream::IMU,
//!     seq: 7,
//!     t_dev_us: 1_000_000,
//!     payload: Payload::End(End { sampled: 400, dropped: 0 }),
//! };
//! let mut buf = [0; MAX_FRAME];
//! let frame = encode(&packet, &mut buf)?;
//!
//! let mut decoder = Decoder::new();
//! let got = frame.iter().find_map(|&byte| decoder.push(byte));
//! assert_eq!(got, Some(Ok(packet)));
//! # Ok::<(), sensorium_wire::EncodeError>(())
//! ```
#![no_std]

mod decode;
mod encode;
mod error;
mod payload;
mod sample;
mod seq;

pub use decode::{DecodeCounts, Decoder};
pub use encode::encode;
pub use error::{DecodeError, EncodeError};
pub use payload::{
    End, Hello, IMU_BLOCK_LEN, IMU_RAW_BLOCK_LEN, ImuBlock, ImuRawBlock, LOG_LEN, Log, Packet,
    Payload, Status, stream,
};
pub use sample::{ImuSample, sample_time_us};
pub use seq::{Arrival, MAX_STREAMS, SeqCounts, SeqTracker, StreamTable};

/// Version of the frame, its first byte.
pub const VERSION: u8 = 1;

/// Longest frame, in bytes, its final `0x00` included.
pub const MAX_FRAME: usize = 512;

/// Longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 492;

/// `ver`, `stream`, `seq` and `t_dev_us`.
const HEADER_LEN: usize = 12;
/// The CRC-32C.
const CHECKSUM_LEN: usize = 4;

const _: () = assert!(
    cobs::max_encoding_length(HEADER_LEN + MAX_PAYLOAD + CHECKSUM_LEN) < MAX_FRAME,
    "a full payload must fit a frame together with its 0x00"
);

/// Castagnoli's CRC, which both ends compute.
static CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

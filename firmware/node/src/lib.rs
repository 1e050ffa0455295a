//! What every sensor node does, on any microcontroller: read the sensor, cut its samples into
//! blocks, send them, and account for every one of them.
//!
//! ```text
//!  SampleSource ─▶ Sampler: block ─▶ queue ─▶ Uplink: frame ─▶ embedded_io::Write
//!                    │ ledger          │ oldest dropped, counted    │ also Hello, Status, Log, End
//! ```
//!
//! A board brings three things: a [`SampleSource`] (a driver over embedded-hal), a link that is
//! [`embedded_io::Write`] and [`embedded_io::WriteReady`] (a UART or USB serial port), and a
//! [`Clock`]. It then calls [`Node::poll`] from its main loop, often enough that the sensor's own
//! memory does not overflow. `poll` never waits: a link that is full or fails costs samples, which
//! are counted, and never time.
//!
//! # The ledger
//!
//! At every moment `sampled = sent + dropped + waiting`, and once the node has finished nothing
//! waits. The host is told once a second ([`Status`](sensorium_wire::Status)) and at the end
//! ([`End`](sensorium_wire::End)); with what it received it knows what the link lost.
//!
//! # Units
//!
//! Time in microseconds since boot, in names ending in `_us`.
//!
//! # Examples
//!
//! A sensor with a data-ready bit, read over I2C:
//!
//! ```
//! use embedded_hal::i2c::I2c;
//! use sensorium_node::{ImuScale, Reading, SampleSource};
//! use sensorium_wire::ImuRawBlock;
//!
//! struct Sensor<B> {
//!     bus: B,
//! }
//!
//! impl<B: I2c> SampleSource for Sensor<B> {
//!     type Block = ImuRawBlock;
//!     type Error = B::Error;
//!
//!     fn rate_mhz(&self) -> u32 {
//!         104_000
//!     }
//!
//!     fn scale(&self) -> ImuScale {
//!         ImuScale {
//!             accel_mps2_per_lsb: 9.80665 * 0.000_122,
//!             gyro_radps_per_lsb: 0.000_610_865_24,
//!         }
//!     }
//!
//!     fn read(&mut self, now_us: u64) -> Result<Reading<[i16; 6]>, B::Error> {
//!         let mut status = [0];
//!         self.bus.write_read(0x6a, &[0x1e], &mut status)?;
//!         if status[0] & 1 == 0 {
//!             return Ok(Reading::Nothing);
//!         }
//!         let mut bytes = [0; 12];
//!         self.bus.write_read(0x6a, &[0x22], &mut bytes)?;
//!         let count = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
//!         let sample = [count(6), count(8), count(10), count(0), count(2), count(4)];
//!         Ok(Reading::Sample { t_us: now_us, sample })
//!     }
//! }
//! ```
#![no_std]

mod node;
mod sampler;
mod source;
mod uplink;

pub use node::{Clock, Config, Identity, Node, Progress};
pub use source::{Block, ImuScale, Reading, SampleSource};

/// The wire protocol that the node speaks.
pub use sensorium_wire as wire;

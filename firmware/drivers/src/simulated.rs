//! The sensors as their bus sees them: registers in memory, and what becomes of them.
//!
//! What these do is written from the data sheets, not from the drivers, so that one checks the other.

mod amg8833;
pub(crate) mod mlx90640;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error, ErrorKind, NoAcknowledgeSource};

pub use amg8833::SimulatedAmg8833;
pub use mlx90640::SimulatedMlx90640;

/// The device did not acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Error for Refused {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)
    }
}

/// Simulated devices have no time to wait for.
#[derive(Debug, Clone, Copy)]
pub struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _ns: u32) {}
}

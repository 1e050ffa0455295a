//! Registers of one device on a bus.

use core::fmt::Debug;

use embedded_hal::i2c::{Error, ErrorKind, I2c};
use thiserror::Error;

/// Why a device could not be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BusError<E: Debug> {
    /// No device takes the address, or the device refused a byte.
    #[error("nothing answers at address {address:#04x}")]
    NoAnswer {
        /// The address on the bus.
        address: u8,
    },
    /// The bus itself failed.
    #[error("the bus failed while talking to address {address:#04x}: {fault:?}")]
    Failed {
        /// The address on the bus.
        address: u8,
        /// What the bus said.
        fault: E,
    },
}

/// A device on a bus.
#[derive(Debug)]
pub(crate) struct Device<B> {
    pub(crate) bus: B,
    pub(crate) address: u8,
}

impl<B: I2c> Device<B> {
    /// Writes bytes, which begin with a register.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BusError<B::Error>> {
        let address = self.address;
        let written = self.bus.write(address, bytes);
        written.map_err(|fault| failed(address, fault))
    }

    /// Reads what follows a register.
    pub(crate) fn read(
        &mut self,
        register: &[u8],
        bytes: &mut [u8],
    ) -> Result<(), BusError<B::Error>> {
        let address = self.address;
        let read = self.bus.write_read(address, register, bytes);
        read.map_err(|fault| failed(address, fault))
    }
}

fn failed<E: Error>(address: u8, fault: E) -> BusError<E> {
    match fault.kind() {
        ErrorKind::NoAcknowledge(_) => BusError::NoAnswer { address },
        _ => BusError::Failed { address, fault },
    }
}

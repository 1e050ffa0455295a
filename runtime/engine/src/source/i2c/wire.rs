use std::fmt;
use std::io;
use std::path::Path;

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
use rustix::io::Errno;

use super::I2cError;

/// A bus, whatever carries it.
pub struct Wire(Box<dyn I2c<Error = Fault> + Send>);

/// What a bus says when it fails.
pub struct Fault(pub io::Error);

impl Wire {
    /// Opens a bus of the system, such as `/dev/i2c-1`.
    ///
    /// # Errors
    ///
    /// There is none, it may not be used, or it is something else.
    pub fn open(path: &Path) -> Result<Self, I2cError> {
        let bus = path.to_owned();
        match I2cdev::new(path).map_err(error_of) {
            Ok(device) => Ok(Self::new(Linux(device))),
            Err(source) if Errno::from_io_error(&source) == Some(Errno::NOTTY) => {
                Err(I2cError::NoBus { bus })
            }
            Err(source) => Err(I2cError::Open { bus, source }),
        }
    }

    /// Any other bus.
    pub fn new(bus: impl I2c<Error = Fault> + Send + 'static) -> Self {
        Self(Box::new(bus))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// As drivers print it.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Fault {
    fn kind(&self) -> ErrorKind {
        // Documentation/i2c/fault-codes.rst: which of them a device that does not answer gives depends
        // on who made the adapter.
        match Errno::from_io_error(&self.0) {
            Some(Errno::NXIO | Errno::REMOTEIO | Errno::NODEV | Errno::TIMEDOUT) => {
                ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
            }
            Some(Errno::AGAIN) => ErrorKind::ArbitrationLoss,
            Some(Errno::IO) => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

impl ErrorType for Wire {
    type Error = Fault;
}

impl I2c for Wire {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        self.0.transaction(address, operations)
    }
}

struct Linux(I2cdev);

impl ErrorType for Linux {
    type Error = Fault;
}

impl I2c for Linux {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        let carried = I2c::transaction(&mut self.0, address, operations);
        carried.map_err(|error| {
            Fault(match error.inner() {
                LinuxI2CError::Errno(errno) => io::Error::from_raw_os_error(*errno),
                LinuxI2CError::Io(error) => error
                    .raw_os_error()
                    .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error),
            })
        })
    }
}

fn error_of(error: LinuxI2CError) -> io::Error {
    error.into()
}

use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Memory of a device, to be read.
pub(super) struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: the memory belongs to this value alone, and no thread has more to do with it than another.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a device from `offset`.
    pub(super) fn new(device: &File, len: usize, offset: u32) -> io::Result<Self> {
        // SAFETY: a null hint has the kernel choose where nothing else is, and no reference is made to
        // the memory, here or later.
        let mapped = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                device,
                offset.into(),
            )
        };
        let start = NonNull::new(mapped?).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, len })
    }

    /// A copy of the first `len` bytes, or of all if there are fewer.
    pub(super) fn copy(&self, len: usize) -> Vec<u8> {
        let len = len.min(self.len);
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: `start` is mapped for `self.len` bytes until `self` is dropped, and `bytes` was given
        // room for `len`, which is no more, so both are valid, apart, and aligned as bytes are; all `len`
        // are written before the length says so. A device that still writes there may leave a picture
        // that is half another, but bytes all the same. Of a device that was unplugged the memory stays
        // until it is unmapped (videobuf2 counts its users).
        unsafe {
            ptr::copy_nonoverlapping(self.start.as_ptr().cast(), bytes.as_mut_ptr(), len);
            bytes.set_len(len);
        }
        bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and never lent. It cannot fail so, and if it did the
        // memory would be lost, not wrong.
        let _unmapped = unsafe { munmap(self.start.as_ptr(), self.len) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

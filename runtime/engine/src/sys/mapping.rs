use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};

/// Memory of a device, to be read.
#[derive(Debug)]
pub(super) struct Mapping(MmapRaw);

impl Mapping {
    /// Maps `len` bytes of a device from `offset`.
    pub(super) fn new(device: &File, len: usize, offset: u32) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        let mapped = options.offset(offset.into()).len(len);
        Ok(Self(mapped.map_raw_read_only(device)?))
    }

    /// A copy of the first `len` bytes, or of all if there are fewer.
    pub(super) fn copy(&self, len: usize) -> Vec<u8> {
        let len = len.min(self.0.len());
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: the mapping is there, and as long as it says, until `self` is dropped, and `bytes` was
        // given room for `len`, which is no more, so both are valid, apart, and aligned as bytes are; all
        // `len` are written before the length says so. No reference is made to the mapping, so a device
        // that writes there leaves at most a picture that is half another. The memory of a device that was
        // unplugged stays until it is unmapped, as videobuf2 counts its users.
        unsafe {
            self.0
                .as_ptr()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), len);
            bytes.set_len(len);
        }
        bytes
    }
}

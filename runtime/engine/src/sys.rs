//! What Linux offers and no safe library wraps: video devices.
//!
//! This is the only module of the crate that may say `unsafe`. What it offers is safe: requests whose
//! memory the kernel knows the size of, and mappings that are copied from, never borrowed.

#![allow(
    unsafe_code,
    reason = "ioctl and mmap; each block says why it is sound"
)]

mod mapping;
pub mod video;

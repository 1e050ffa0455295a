//! Integer and float kernels, each with its scalar twin.
//!
//! The results are the same bits on every machine: sums run in a fixed order, so an event that was
//! found on the device is found again in a replay on a laptop.
#![no_std]

mod dot;

pub use dot::dot_f32;

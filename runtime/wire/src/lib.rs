//! The byte protocol between a sensor node and its host.
#![no_std]

mod sample;

pub use sample::ImuSample;

//! The sensor node: samples, blocks, sends; generic over embedded-hal.
#![no_std]

//! What happens to a sample on its way to an event, in fixed memory and without an operating
//! system: the same code in trainer, runtime and firmware.
//!
//! ```text
//! sample ─ clock ─▶ window ─▶ feature ─▶ (encoder) ─▶ embedding ─▶ bank ─▶ score ─▶ event
//! ```
//!
//! Time is always a parameter, never read, so a replay gives what the live run gave. Memory is fixed,
//! but for what the features `alloc` (pictures, videos), `front-end` and `clip-text` add.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bank;
pub mod clock;
pub mod event;
pub mod feature;
pub mod score;
#[cfg(feature = "clip-text")]
pub mod text;
pub mod window;

pub use sensorium_wire::ImuSample;

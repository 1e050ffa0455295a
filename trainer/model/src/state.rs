//! Exact copies of what a training is made of, so that it goes on as if never interrupted.
//!
//! The bytes are for the program that wrote them: they hold the numbers by which an optimiser knows
//! its weights, and change with the training library. What lasts is a
//! [checkpoint](crate::checkpoint).

use burn::module::Module;
use burn::prelude::*;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Record, Recorder};

type Binary = BinBytesRecorder<FullPrecisionSettings>;

/// All of a module, its weights' numbers included.
#[must_use]
pub fn save<B: Backend, M: Module<B>>(module: M) -> Vec<u8> {
    to_bytes::<B, _>(module.into_record())
}

/// The module that [`save`] was given.
///
/// # Panics
///
/// If the bytes are something else: they have to come from a place that checks them.
#[must_use]
pub fn load<B: Backend, M: Module<B>>(module: M, bytes: Vec<u8>, device: &B::Device) -> M {
    module.load_record(from_bytes::<B, _>(bytes, device))
}

pub(crate) fn to_bytes<B: Backend, R: Record<B>>(record: R) -> Vec<u8> {
    let bytes = Recorder::<B>::record(&Binary::default(), record, ());
    #[expect(clippy::expect_used, reason = "the recorder writes to memory")]
    bytes.expect("memory takes everything")
}

pub(crate) fn from_bytes<B: Backend, R: Record<B>>(bytes: Vec<u8>, device: &B::Device) -> R {
    let record = Recorder::<B>::load(&Binary::default(), bytes, device);
    #[expect(clippy::expect_used, reason = "callers check what they read")]
    record.expect("bytes of a record")
}

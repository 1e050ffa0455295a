//! What the tests of several packages share: the built-in pack and the demo's recording, and a
//! stream that recognises with them; and packs of tiny encoders of every sense.

mod onnx;
mod tiny;

use sensorium_core::ImuSample;
use sensorium_core::event::EventPolicy;
use sensorium_engine::bank::{Bank, CompiledClasses};
use sensorium_engine::sense::Sense;
use sensorium_engine::slot::Slot;
use sensorium_engine::source::csv::Recording;
use sensorium_engine::space::Space;
use sensorium_engine::stream::{ClockMode, Settings, Stream};
use sensorium_pack::{Modality, Pack};

pub use onnx::word_tower;
pub use tiny::{Tiny, averages, tiny_pack};

/// The pack that every build carries.
pub const PACK: &[u8] = include_bytes!("../../../runtime/engine/packs/imu-hapt.pack");

/// The recording that the demo plays: 3.5 minutes of a phone at the waist.
pub const WALK: &[u8] = include_bytes!("../../../runtime/cli/demo/user30.csv");

/// The rate of [`WALK`], in millihertz.
pub const WALK_RATE_MHZ: u32 = 50_000;

/// The samples of [`WALK`].
///
/// # Panics
///
/// If the file is not a recording.
#[must_use]
pub fn walk() -> Vec<ImuSample> {
    match Recording::read(WALK, "walk.csv".as_ref(), None) {
        Ok(recording) => recording.samples,
        Err(error) => panic!("{error}"),
    }
}

/// A stream that recognises the built-in pack's classes, with times from samples.
///
/// # Panics
///
/// If the pack cannot be used.
#[must_use]
pub fn stream(name: &str) -> Stream {
    stream_of(name, ClockMode::Sample)
}

/// The same, with times from the host.
///
/// # Panics
///
/// As [`stream`].
#[must_use]
pub fn live_stream(name: &str) -> Stream {
    stream_of(name, ClockMode::Host)
}

fn stream_of(name: &str, clock: ClockMode) -> Stream {
    let build = || -> Result<Stream, Box<dyn std::error::Error>> {
        let pack = Pack::from_bytes(PACK)?;
        let sense = Sense::load(&pack, Modality::Imu)?;
        let space = Space::load(&pack, sense.encoder().space())?;
        let classes = std::str::from_utf8(pack.member(&pack.manifest().classes)?)?;
        let bank = Bank::new(&CompiledClasses::parse(classes, &space)?, Modality::Imu)?;
        let settings = Settings {
            name: name.to_owned(),
            hop_s: sense.default_hop_s(),
            policy: EventPolicy::default(),
            clock,
        };
        Ok(Stream::new(settings, sense, Slot::new(bank), pack.id()))
    };
    match build() {
        Ok(stream) => stream,
        Err(error) => panic!("{error}"),
    }
}

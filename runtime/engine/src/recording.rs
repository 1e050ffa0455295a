//! Recordings of streams as MCAP files: what sources said, to be said again.
//!
//! ```text
//! source ─▶ queue ─▶ recorder ─▶ walk.mcap ─▶ replay ─▶ stream: the same events
//! ```
//!
//! | topic | message |
//! |---|---|
//! | `/NAME/imu` | a sample: `index, t_us, rate_mhz, accel_mps2 {x, y, z}, gyro_radps {x, y, z}` |
//! | `/NAME/audio` | a block of sound: Foxglove's `RawAudio` |
//! | `/NAME/thermal`, `/NAME/depth` | a frame: Foxglove's `RawImage` |
//! | `/NAME/node` | what else the source said: `{"boot": {"boot_id"}}`, `reboot`, `counts`, `gone` |
//!
//! Messages are JSON with a JSON schema, so that Foxglove shows them and every MCAP reader reads them.
//! Beside the keys of Foxglove's schemas they have the number of the first sample, its time by the
//! source's own clock, and the rate: what a replay needs to say the same.
//!
//! `publish_time` is when the sample was taken, by the host's clock as well as it is known; `log_time`
//! is when it arrived. Of a stream that has no time but its samples' (the channel's metadata say
//! `clock = "sample"`) both are the sample's own, unless live streams are recorded beside it. A chunk
//! lasts a second at most and is handed to the system whole when it ends: a process that is killed loses
//! no more. Chunks are not compressed.

mod capture;
mod format;
mod message;
mod play;
mod read;
mod write;

pub use capture::record;
pub use message::DataError;
pub use play::McapReplay;
pub use read::{Cut, McapFile, ReadError, RecordedStream, is_mcap};
pub use write::{Recorder, StreamInfo, WriteError};

use sensorium_pack::Modality;

/// What the topic of a node's own words ends in.
const NODE: &str = "node";

/// Keys and values of a channel's metadata.
const FRAME_ID: &str = "frame_id";
const UNIT: &str = "unit";
const CLOCK: &str = "clock";
const HOST: &str = "host";
const SAMPLE: &str = "sample";

/// Senses that are recorded.
pub const SENSES: [Modality; 4] = [
    Modality::Imu,
    Modality::Audio,
    Modality::Thermal,
    Modality::Depth,
];

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    Samples(Modality),
    Node,
}

/// The stream of one of our topics, and what it carries.
fn stream_of(topic: &str) -> Option<(&str, Carries)> {
    let (name, what) = topic.strip_prefix('/')?.rsplit_once('/')?;
    let sense = SENSES.into_iter().find(|sense| sense.name() == what);
    let carries = match sense {
        Some(sense) => Carries::Samples(sense),
        None if what == NODE => Carries::Node,
        None => return None,
    };
    Some((name, carries))
}

#[cfg(test)]
mod tests;

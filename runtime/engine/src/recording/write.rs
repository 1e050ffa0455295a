//! Signals to MCAP.

use std::collections::BTreeMap;
use std::io::Write;

use sensorium_core::clock::{Clock, ClockState};
use sensorium_pack::Modality;
use serde::Serialize;
use thiserror::Error;

use super::format::{MessageHeader, Writer};
use super::message::{
    Inertial, Node, Picture, Place, Sound, inertial_schema, node_schema, picture_schema,
    sound_schema,
};
use super::{CLOCK, FRAME_ID, HOST, NODE, SAMPLE, SENSES, UNIT};
use crate::source::{Block, Samples, Signal, SourceError};

/// Longest chunk, in nanoseconds.
const CHUNK_NS: u64 = 1_000_000_000;

/// Why nothing can be recorded any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file cannot be written.
    #[error("the recording cannot be written")]
    Write(#[from] std::io::Error),
    /// A message has no JSON: a bug.
    #[error("a message cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Two streams have one name, or the name is none.
    #[error("a stream is called {name:?}, expected a name of its own")]
    Name {
        /// The name.
        name: String,
    },
    /// A sense of which no source gives samples.
    #[error("stream {name:?}: {modality} cannot be recorded")]
    Sense {
        /// The stream.
        name: String,
        /// Its sense.
        modality: Modality,
    },
    /// A source is gone.
    #[error("stream {name:?}")]
    Source {
        /// The stream.
        name: String,
        /// What became of it.
        source: Box<SourceError>,
    },
    /// A thread failed: a bug.
    #[error("a thread of the recorder failed")]
    Thread,
}

/// What a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// Its sense.
    pub modality: Modality,
    /// Where the sensor is mounted.
    pub frame_id: String,
    /// In what it is measured.
    pub unit: String,
    /// Whether its blocks tell when they arrived.
    pub has_arrivals: bool,
}

/// Writes what streams say to one file.
pub struct Recorder<W> {
    writer: Writer<W>,
    streams: Vec<Stream>,
    last_log_ns: u64,
    has_begun: bool,
    /// What was said before anything told the time.
    timeless: Vec<(usize, Node)>,
}

struct Stream {
    info: StreamInfo,
    samples_channel: u16,
    node_channel: u16,
    sequence: u32,
    clock: Clock,
    samples: u64,
    dropped: u64,
}

impl<W> std::fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("last_log_ns", &self.last_log_ns)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Recorder<W> {
    /// A recorder of these streams.
    ///
    /// # Errors
    ///
    /// Names that are not their own, or a file that cannot be written.
    pub fn new(writer: W, streams: &[StreamInfo]) -> Result<Self, WriteError> {
        let library = concat!("sensorium ", env!("CARGO_PKG_VERSION"));
        let mut writer = Writer::new(writer, library)?;
        // Each once, and not that of a sense that is not there.
        let mut schemas = BTreeMap::new();
        let mut schema_id = |writer: &mut Writer<W>, (name, json): (&'static str, Vec<u8>)| {
            if let Some(id) = schemas.get(name) {
                return Ok(*id);
            }
            let id = writer.add_schema(name, &json)?;
            schemas.insert(name, id);
            Ok::<u16, WriteError>(id)
        };
        let mut open: Vec<Stream> = Vec::new();
        for info in streams {
            let name = &info.name;
            if name.is_empty() || open.iter().any(|stream| stream.info.name == *name) {
                let name = name.clone();
                return Err(WriteError::Name { name });
            }
            let schema = match info.modality {
                Modality::Imu => inertial_schema(),
                Modality::Audio => sound_schema(),
                Modality::Thermal | Modality::Depth => picture_schema(),
                modality => {
                    let name = name.clone();
                    return Err(WriteError::Sense { name, modality });
                }
            };
            debug_assert!(SENSES.contains(&info.modality), "{info:?}");
            let schema = schema_id(&mut writer, schema)?;
            let node = schema_id(&mut writer, node_schema())?;
            let clock = if info.has_arrivals { HOST } else { SAMPLE };
            let metadata = [
                (FRAME_ID, info.frame_id.as_str()),
                (UNIT, info.unit.as_str()),
                (CLOCK, clock),
            ];
            let metadata: BTreeMap<String, String> = metadata
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
            let mut channel = |schema, what| {
                let topic = format!("/{name}/{what}");
                writer.add_channel(schema, topic, metadata.clone())
            };
            open.push(Stream {
                samples_channel: channel(schema, info.modality.name())?,
                node_channel: channel(node, NODE)?,
                info: info.clone(),
                sequence: 0,
                clock: Clock::new(),
                samples: 0,
                dropped: 0,
            });
        }
        Ok(Self {
            writer,
            streams: open,
            last_log_ns: 0,
            has_begun: false,
            timeless: Vec::new(),
        })
    }

    /// Writes what a stream said, by its place among them. `now_ns` is the host's time, where
    /// anything is live.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn take(
        &mut self,
        stream: usize,
        signal: &Signal,
        now_ns: Option<i64>,
    ) -> Result<(), WriteError> {
        match signal {
            Signal::Block(block) => return self.take_block(stream, block, now_ns),
            Signal::Boot { boot_id } | Signal::Reboot { boot_id } => {
                self.streams[stream].clock.boot(*boot_id);
            }
            _ => {}
        }
        let Some(node) = Node::of(signal) else {
            return Ok(());
        };
        match (now_ns, self.has_begun) {
            (Some(now_ns), _) => self.write_node(stream, to_unsigned(now_ns), &node),
            (None, true) => self.write_node(stream, self.last_log_ns, &node),
            (None, false) => {
                self.timeless.push((stream, node));
                Ok(())
            }
        }
    }

    /// Ends the chunk that is being written, if it has lasted: nothing may come for long.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn tick(&mut self, now_ns: i64) -> Result<(), WriteError> {
        let times = self.writer.chunk_times();
        if times.is_some_and(|(began_ns, _)| to_unsigned(now_ns).abs_diff(began_ns) >= CHUNK_NS) {
            self.writer.end_chunk()?;
        }
        Ok(())
    }

    fn write_node(&mut self, stream: usize, log_ns: u64, node: &Node) -> Result<(), WriteError> {
        let channel = self.streams[stream].node_channel;
        self.write(stream, channel, (log_ns, log_ns), node)
    }

    /// Samples of a stream were given up before they came here.
    pub fn dropped(&mut self, stream: usize, samples: u64) {
        self.streams[stream].dropped += samples;
    }

    /// The streams, in order.
    pub fn infos(&self) -> impl Iterator<Item = &StreamInfo> {
        self.streams.iter().map(|stream| &stream.info)
    }

    /// Samples written and samples given up, of each stream by name.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let streams = self.streams.iter();
        streams.map(|stream| (stream.info.name.as_str(), stream.samples, stream.dropped))
    }

    /// Ends the file with its index.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        Ok(self.writer.finish()?)
    }

    fn take_block(
        &mut self,
        at: usize,
        block: &Block,
        now_ns: Option<i64>,
    ) -> Result<(), WriteError> {
        let Some(last) = block.samples.len().checked_sub(1) else {
            return Ok(());
        };
        let stream = &mut self.streams[at];
        if let Some(t_host_ns) = block.t_host_ns {
            stream.clock.observe(block.time_us(last), t_host_ns);
        }
        let (channel, clock) = (stream.samples_channel, stream.clock.clone());
        let frame_id = stream.info.frame_id.clone();
        let times = |t_us: u64| {
            let own_ns = t_us.saturating_mul(1000);
            let Some(t_host_ns) = block.t_host_ns else {
                return (now_ns.map_or(own_ns, to_unsigned), own_ns);
            };
            let taken = clock.host_from_device(t_us);
            let known = taken.state != ClockState::Unsynced;
            let taken_ns = if known { taken.t_ns } else { t_host_ns };
            (to_unsigned(t_host_ns), to_unsigned(taken_ns))
        };
        for (stream, node) in std::mem::take(&mut self.timeless) {
            self.write_node(stream, times(block.t_us).0, &node)?;
        }
        let place = |nth: usize| Place {
            index: block.index.saturating_add(nth as u64),
            t_us: block.time_us(nth),
            rate_mhz: block.rate_mhz,
            begins: nth == 0,
        };
        match &block.samples {
            Samples::Imu(samples) => {
                for (nth, sample) in samples.iter().enumerate() {
                    let message = Inertial::new(place(nth), sample);
                    self.write(at, channel, times(block.time_us(nth)), &message)?;
                }
            }
            Samples::Sound(samples) => {
                let times = times(block.t_us);
                let offsets_us = block.offsets_us.as_deref();
                let message = Sound::new(place(0), times.1, samples, offsets_us);
                self.write(at, channel, times, &message)?;
            }
            Samples::Frames(frames) => {
                for (nth, frame) in frames.iter().enumerate() {
                    let times = times(block.time_us(nth));
                    let message = Picture::new(place(nth), times.1, &frame_id, frame);
                    self.write(at, channel, times, &message)?;
                }
            }
        }
        self.streams[at].samples += block.samples.len() as u64;
        Ok(())
    }

    fn write(
        &mut self,
        stream: usize,
        channel_id: u16,
        (log_time, publish_time): (u64, u64),
        message: &impl Serialize,
    ) -> Result<(), WriteError> {
        // Of either sign: clocks are set back.
        let (from, to) = self.writer.chunk_times().unwrap_or((log_time, log_time));
        if to.max(log_time) - from.min(log_time) >= CHUNK_NS {
            self.writer.end_chunk()?;
        }
        (self.last_log_ns, self.has_begun) = (log_time, true);
        let stream = &mut self.streams[stream];
        let header = MessageHeader {
            channel_id,
            sequence: stream.sequence,
            log_time,
            publish_time,
        };
        stream.sequence = stream.sequence.wrapping_add(1);
        let message = serde_json::to_vec(message)?;
        self.writer.add_message(header, &message);
        Ok(())
    }
}

fn to_unsigned(t_ns: i64) -> u64 {
    u64::try_from(t_ns).unwrap_or(0)
}

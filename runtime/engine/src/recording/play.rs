//! A recording, played.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sensorium_pack::Modality;

use super::format::op;
use super::message::{DataError, Heard, Inertial, Node, Picture, Place, Sound};
use super::read::{Channels, FileRecords, Ours, ReadError, chunk, each_message};
use super::{Carries, McapFile, RecordedStream};
use crate::source::replay::sleep_until;
use crate::source::{Block, Feed, Samples, Signal, Source, SourceError};

/// Says again what a stream's source said. The file is read as it is played: memory holds one chunk.
#[derive(Debug)]
pub struct McapReplay {
    path: PathBuf,
    records: FileRecords,
    stream: RecordedStream,
    speed: Option<f64>,
}

impl McapReplay {
    /// A replay so many times as fast as it was; without `speed` it does not wait.
    ///
    /// # Errors
    ///
    /// The file is gone.
    pub fn new(
        file: &McapFile,
        stream: &RecordedStream,
        speed: Option<f64>,
    ) -> Result<Self, ReadError> {
        Ok(Self {
            path: file.path.clone(),
            records: FileRecords::open(&file.path, Some(file.whole))?,
            stream: stream.clone(),
            speed,
        })
    }
}

impl Source for McapReplay {
    fn is_recording(&self) -> bool {
        true
    }

    fn tells_arrivals(&self) -> bool {
        self.stream.has_arrivals
    }

    fn unit(&self) -> Option<String> {
        self.stream.unit.clone()
    }

    fn run(self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let Self {
            path,
            mut records,
            stream,
            speed,
        } = *self;
        let mut origins_us = stream.origins_us.clone().into_iter();
        let origin_us = origins_us.next().unwrap_or(0);
        let mut player = Player {
            waits_for_us: if stream.has_arrivals {
                0
            } else {
                stream.first_us
            },
            stream,
            feed,
            speed,
            began: Instant::now(),
            origin_us,
            origins_us,
            channels: Channels::default(),
            pending: None,
            is_over: !feed.push(Signal::Origin { at_us: origin_us }),
        };
        let played = player.play(&mut records);
        played.map_err(|source| SourceError::Mcap { path, source })
    }
}

/// One stream of a file, being played.
struct Player<'a> {
    stream: RecordedStream,
    feed: Feed<'a>,
    speed: Option<f64>,
    began: Instant,
    /// What is taken off the recording's time when waiting, in microseconds.
    waits_for_us: u64,
    /// When the source's clock was at 0, and what that will be after further boots.
    origin_us: i64,
    origins_us: std::vec::IntoIter<i64>,
    channels: Channels,
    /// The block that is being read.
    pending: Option<Block>,
    is_over: bool,
}

/// A part of what a source said.
enum Part {
    Samples {
        place: Place,
        samples: Samples,
        /// Of blocks that are one message.
        offsets_us: Option<Vec<u64>>,
        arrived_ns: Option<i64>,
    },
    Node(Node),
}

impl Player<'_> {
    fn play(&mut self, records: &mut FileRecords) -> Result<(), ReadError> {
        while !self.is_over && !self.feed.is_stopped() {
            let Some(record) = records.next()? else {
                break;
            };
            match record.opcode {
                op::CHUNK => {
                    // The file was whole as far as this when it was opened.
                    let data = chunk(record)?.unwrap_or(&[]);
                    each_message(data, |(opcode, record)| self.take(opcode, record))?;
                }
                opcode => self.take(opcode, record.content)?,
            }
        }
        self.push_pending();
        Ok(())
    }

    fn take(&mut self, opcode: u8, record: &[u8]) -> Result<(), ReadError> {
        let has_arrivals = self.stream.has_arrivals;
        let Some(ours) = self.channels.take(opcode, record) else {
            return Ok(());
        };
        if ours.stream != self.stream.name {
            return Ok(());
        }
        let part = match ours.carries {
            Carries::Samples(modality) if modality != self.stream.modality => return Ok(()),
            _ => read(&ours, has_arrivals).map_err(ours.broken())?,
        };
        match part {
            Part::Node(node) => {
                self.push_pending();
                self.push(node.signal());
                if matches!(node, Node::Reboot { .. }) {
                    self.origin_us = self.origins_us.next().unwrap_or(self.origin_us);
                    let at_us = self.origin_us;
                    self.push(Signal::Origin { at_us });
                }
            }
            Part::Samples {
                place,
                samples,
                offsets_us,
                arrived_ns,
            } => self.add(place, samples, offsets_us, arrived_ns),
        }
        Ok(())
    }

    /// Adds samples to the block that they were part of, or begins another.
    fn add(
        &mut self,
        place: Place,
        samples: Samples,
        offsets_us: Option<Vec<u64>>,
        t_host_ns: Option<i64>,
    ) {
        if let Some(block) = &mut self.pending
            && !place.begins
            && let Some(offsets_us) = &mut block.offsets_us
            && let Some(offset_us) = place.t_us.checked_sub(block.t_us)
            && append(&mut block.samples, &samples)
        {
            offsets_us.push(offset_us);
            return;
        }
        self.push_pending();
        let offsets_us = match (&samples, offsets_us) {
            (Samples::Sound(_), told) => told,
            (Samples::Imu(_) | Samples::Frames(_), _) => Some(vec![0]),
        };
        self.pending = Some(Block {
            index: place.index,
            t_us: place.t_us,
            rate_mhz: place.rate_mhz,
            offsets_us,
            samples,
            t_host_ns,
        });
    }

    fn push_pending(&mut self) {
        let Some(block) = self.pending.take() else {
            return;
        };
        if let Some(speed) = self.speed {
            let last_us = block.time_us(block.samples.len().saturating_sub(1));
            let since_us = last_us.saturating_add_signed(self.origin_us);
            let since_us = since_us.saturating_sub(self.waits_for_us);
            // Longer than anybody waits.
            let due = Duration::try_from_secs_f64(since_us as f64 / 1e6 / speed);
            if !sleep_until(self.began, due.unwrap_or(Duration::MAX), self.feed) {
                self.is_over = true;
                return;
            }
        }
        self.push(Signal::Block(block));
    }

    fn push(&mut self, signal: Signal) {
        self.is_over = self.is_over || !self.feed.push(signal);
    }
}

fn read(ours: &Ours<'_>, has_arrivals: bool) -> Result<Part, DataError> {
    let modality = match ours.carries {
        Carries::Node => return Ok(Part::Node(serde_json::from_slice(ours.data)?)),
        Carries::Samples(modality) => modality,
    };
    let (place, samples, offsets_us) = match modality {
        Modality::Imu => {
            let (place, sample) = Inertial::read(ours.data)?;
            (place, Samples::Imu(vec![sample]), None)
        }
        Modality::Audio => {
            let Heard {
                place,
                samples,
                offsets_us,
            } = Sound::read(ours.data)?;
            (place, Samples::Sound(samples), offsets_us)
        }
        _ => {
            let (place, frame) = Picture::read(ours.data)?;
            (place, Samples::Frames(vec![frame]), None)
        }
    };
    let log_ns = i64::try_from(ours.header.log_time).unwrap_or(i64::MAX);
    Ok(Part::Samples {
        place,
        samples,
        offsets_us,
        arrived_ns: has_arrivals.then_some(log_ns),
    })
}

/// Appends samples of the same sense; says whether they were.
fn append(block: &mut Samples, samples: &Samples) -> bool {
    match (block, samples) {
        (Samples::Imu(all), Samples::Imu(samples)) => all.extend_from_slice(samples),
        (Samples::Frames(all), Samples::Frames(frames)) => all.extend_from_slice(frames),
        _ => return false,
    }
    true
}

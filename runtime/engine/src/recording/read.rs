//! MCAP files, as far as they go: what they hold, and their messages.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sensorium_media::NumberArray;
use sensorium_pack::Modality;
use sensorium_wire::sample_time_us;
use thiserror::Error;

use super::format::{self, Channel, Chunk, HEAD_LEN, MAGIC, MessageHeader, op};
use super::message::{DataError, Heard, Inertial, Node, Picture, Place, Sound};
use super::{CLOCK, Carries, FRAME_ID, SAMPLE, SENSES, UNIT, stream_of};
use crate::source::Signal;

/// How long the shortest way from sensor to host is looked for, in nanoseconds: long enough to meet
/// one, and so short that clocks do not run apart by more than what is looked for.
const SHORTEST_WAY_NS: u64 = 10_000_000_000;

/// Why a file cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// It is no MCAP file.
    #[error("it is no MCAP file: it does not begin as one")]
    Magic,
    /// It has no whole chunk with samples.
    #[error("it holds no whole chunk of what `sensorium record` writes ({bytes} bytes)")]
    Empty {
        /// Bytes of the file.
        bytes: u64,
    },
    /// Its chunks are compressed.
    #[error(
        "the chunk at byte {at} is compressed with {compression:?}, which is not read here; \
         `mcap decompress` writes one that is"
    )]
    Compressed {
        /// Where the chunk begins.
        at: u64,
        /// How.
        compression: String,
    },
    /// A message is not what its topic says.
    #[error("topic {topic:?}, message {sequence}")]
    Message {
        /// The topic.
        topic: String,
        /// The message's number.
        sequence: u32,
        /// What is wrong with it.
        source: DataError,
    },
    /// It has no such stream.
    #[error("it has no stream {name:?}; it has: {known}")]
    NoStream {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It has several streams, and nobody says which.
    #[error("it has several streams, say which: {known}")]
    Several {
        /// Those that there are.
        known: String,
    },
}

/// What is missing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whole chunks before.
    pub chunks: usize,
    /// Where the whole part ends.
    pub at: u64,
    /// Bytes after it that hold nothing whole.
    pub bytes_lost: u64,
    /// Whether the next chunk is there, but damaged.
    pub is_damaged: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_damaged { "damaged" } else { "cut" };
        write!(f, "it is {what} after {} whole chunks", self.chunks)?;
        match self.bytes_lost {
            0 => write!(f, ", at byte {}; what would follow is lost", self.at),
            bytes => write!(f, ": the {bytes} bytes from byte {} on are lost", self.at),
        }
    }
}

/// One stream of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStream {
    /// Its name.
    pub name: String,
    /// Its sense.
    pub modality: Modality,
    /// Where the sensor was mounted.
    pub frame_id: Option<String>,
    /// In what it is measured.
    pub unit: Option<String>,
    /// How often it sampled, in millihertz, at first.
    pub rate_mhz: u32,
    /// Whether it was live, so that the file tells when its samples arrived.
    pub has_arrivals: bool,
    /// The first frame of a camera.
    pub first_frame: Option<NumberArray>,
    /// When the clock of each boot was at 0, in microseconds since the recording began.
    pub(super) origins_us: Vec<i64>,
    /// Time of the first sample, in microseconds of the source's clock.
    pub(super) first_us: u64,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct McapFile {
    /// Where it is.
    pub path: PathBuf,
    /// The streams in the order of their names.
    pub streams: Vec<RecordedStream>,
    /// What is missing, if the file does not end in order.
    pub cut: Option<Cut>,
    /// Where the whole part ends.
    pub(super) whole: u64,
}

/// Whether a file begins as an MCAP file does.
#[must_use]
pub fn is_mcap(path: &Path) -> bool {
    let mut head = [0; MAGIC.len()];
    let is_file = path.metadata().is_ok_and(|meta| meta.is_file());
    let mut read = || File::open(path)?.read_exact(&mut head);
    is_file && read().is_ok() && &head == MAGIC
}

impl McapFile {
    /// Looks through a file, up to its end or where it is cut.
    ///
    /// # Errors
    ///
    /// A file that is none, or holds no whole chunk of samples.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut records = FileRecords::open(path, None)?;
        let mut index = Index::default();
        let (mut chunks, mut is_damaged, mut ended) = (0, false, false);
        let mut whole = records.at;
        while let Some(record) = records.next()? {
            match record.opcode {
                op::CHUNK => match chunk(record)? {
                    Some(data) => {
                        if !is_whole(data) {
                            is_damaged = true;
                            break;
                        }
                        each_message(data, |(opcode, record)| index.take(opcode, record))?;
                        chunks += 1;
                    }
                    None => {
                        is_damaged = true;
                        break;
                    }
                },
                op::FOOTER => ended = true,
                opcode => index.take(opcode, record.content)?,
            }
            whole = records.at;
        }
        let bytes = records.len;
        let cut = (!ended || is_damaged).then(|| Cut {
            chunks,
            at: whole,
            bytes_lost: bytes - whole,
            is_damaged,
        });
        let streams = index.streams();
        if streams.is_empty() {
            return Err(ReadError::Empty { bytes });
        }
        Ok(Self {
            path: path.to_owned(),
            streams,
            cut,
            whole,
        })
    }

    /// The stream of a name; without one, the only stream.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub fn stream(&self, name: Option<&str>) -> Result<&RecordedStream, ReadError> {
        let known = || {
            let names: Vec<&str> = self.streams.iter().map(|s| s.name.as_str()).collect();
            names.join(", ")
        };
        match (name, &self.streams[..]) {
            (None, [only]) => Ok(only),
            (None, _) => Err(ReadError::Several { known: known() }),
            (Some(name), streams) => {
                let found = streams.iter().find(|stream| stream.name == name);
                found.ok_or_else(|| ReadError::NoStream {
                    name: name.to_owned(),
                    known: known(),
                })
            }
        }
    }
}

/// A record of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileRecord<'a> {
    /// Where it begins.
    pub(super) at: u64,
    /// What it is.
    pub(super) opcode: u8,
    pub(super) content: &'a [u8],
}

/// Records one after another, as long as they are whole.
#[derive(Debug)]
pub(super) struct FileRecords {
    file: BufReader<File>,
    record: Vec<u8>,
    /// Where the next one begins.
    at: u64,
    /// Where the file ends, or what is read of it.
    len: u64,
}

impl FileRecords {
    /// Those of a file, up to byte `until`.
    pub(super) fn open(path: &Path, until: Option<u64>) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(ReadError::Magic),
            read => read?,
        }
        if &magic != MAGIC {
            return Err(ReadError::Magic);
        }
        Ok(Self {
            file,
            record: Vec::new(),
            at: MAGIC.len() as u64,
            len: until.map_or(len, |until| until.min(len)),
        })
    }

    /// The next one; none where the file, or what is whole of it, ends.
    pub(super) fn next(&mut self) -> Result<Option<FileRecord<'_>>, ReadError> {
        let left = self.len.saturating_sub(self.at);
        if left < HEAD_LEN as u64 {
            return Ok(None);
        }
        let mut head = [0; HEAD_LEN];
        self.file.read_exact(&mut head)?;
        let [opcode, len @ ..] = head;
        let record = u64::from_le_bytes(len);
        let (at, left) = (self.at, left - HEAD_LEN as u64);
        let Some(len) = usize::try_from(record).ok().filter(|_| record <= left) else {
            return Ok(None);
        };
        self.record.resize(len, 0);
        self.file.read_exact(&mut self.record)?;
        self.at += HEAD_LEN as u64 + record;
        Ok(Some(FileRecord {
            at,
            opcode,
            content: &self.record,
        }))
    }
}

/// The records of a chunk; none if it is damaged.
pub(super) fn chunk(record: FileRecord<'_>) -> Result<Option<&[u8]>, ReadError> {
    let FileRecord { at, content, .. } = record;
    let Some(chunk) = Chunk::read(content) else {
        return Ok(None);
    };
    if !chunk.compression.is_empty() {
        let compression = chunk.compression.to_owned();
        return Err(ReadError::Compressed { at, compression });
    }
    let (told, records) = (chunk.uncompressed_crc, chunk.records);
    let is_damaged = told != 0 && crc32fast::hash(records) != told;
    Ok((!is_damaged).then_some(records))
}

/// Whether all records of a chunk can be understood.
fn is_whole(data: &[u8]) -> bool {
    let mut records = format::Records(data);
    let understood = |(opcode, record): (u8, &[u8])| match opcode {
        op::CHANNEL => Channel::read(record).is_some(),
        op::MESSAGE => MessageHeader::read(record).is_some(),
        _ => true,
    };
    records.by_ref().all(understood) && records.0.is_empty()
}

/// Passes on the records of a chunk.
pub(super) fn each_message(
    data: &[u8],
    take: impl FnMut((u8, &[u8])) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    format::Records(data).try_for_each(take)
}

/// A message of ours.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    pub(super) channel: &'a Channel,
    pub(super) stream: &'a str,
    pub(super) carries: Carries,
    pub(super) header: MessageHeader,
    pub(super) data: &'a [u8],
}

impl Ours<'_> {
    /// What is wrong with it, and where.
    pub(super) fn broken(&self) -> impl FnOnce(DataError) -> ReadError + use<> {
        let (topic, sequence) = (self.channel.topic.clone(), self.header.sequence);
        move |source| ReadError::Message {
            topic,
            sequence,
            source,
        }
    }
}

/// The channels that a file has told of.
#[derive(Debug, Default)]
pub(super) struct Channels(BTreeMap<u16, Channel>);

impl Channels {
    /// Takes a record; a message of ours is given back. Others are of no concern.
    pub(super) fn take<'a>(&'a mut self, opcode: u8, record: &'a [u8]) -> Option<Ours<'a>> {
        match opcode {
            op::CHANNEL => {
                let channel = Channel::read(record)?;
                self.0.insert(channel.id, channel);
                None
            }
            op::MESSAGE => {
                let (header, data) = MessageHeader::read(record)?;
                let channel = self.0.get(&header.channel_id)?;
                let (stream, carries) = stream_of(&channel.topic)?;
                Some(Ours {
                    channel,
                    stream,
                    carries,
                    header,
                    data,
                })
            }
            _ => None,
        }
    }
}

/// What a file holds, as far as it has been looked through.
#[derive(Debug, Default)]
struct Index {
    channels: Channels,
    streams: BTreeMap<String, Seen>,
}

/// What is known of a stream.
#[derive(Debug, Default)]
struct Seen {
    /// What its first sample tells.
    stream: Option<RecordedStream>,
    boots: Vec<Boot>,
}

/// One boot of a source.
#[derive(Debug, Default)]
struct Boot {
    /// When its first sample arrived.
    first_ns: Option<u64>,
    /// When its clock was at 0, by the sample that came the shortest way, in nanoseconds since 1970.
    zero_ns: Option<i128>,
    /// Time of its first sample by its own clock.
    first_us: u64,
}

impl Index {
    fn take(&mut self, opcode: u8, record: &[u8]) -> Result<(), ReadError> {
        let Some(ours) = self.channels.take(opcode, record) else {
            return Ok(());
        };
        let seen = self.streams.entry(ours.stream.to_owned()).or_default();
        if seen.boots.is_empty() {
            seen.boots.push(Boot::default());
        }
        let Carries::Samples(modality) = ours.carries else {
            let node: Node = serde_json::from_slice(ours.data)
                .map_err(DataError::from)
                .map_err(ours.broken())?;
            if matches!(node.signal(), Signal::Reboot { .. }) {
                seen.boots.push(Boot::default());
            }
            return Ok(());
        };
        let Some(boot) = seen.boots.last_mut() else {
            return Ok(());
        };
        let log_ns = ours.header.log_time;
        let since_ns = log_ns.abs_diff(*boot.first_ns.get_or_insert(log_ns));
        if since_ns > SHORTEST_WAY_NS {
            return Ok(());
        }
        let (place, last_us, first_frame) = look_at(modality, ours.data).map_err(ours.broken())?;
        let zero_ns = i128::from(log_ns) - 1000 * i128::from(last_us);
        match &mut boot.zero_ns {
            Some(least) => *least = zero_ns.min(*least),
            None => (boot.zero_ns, boot.first_us) = (Some(zero_ns), place.t_us),
        }
        if seen.stream.is_none() {
            let metadata = &ours.channel.metadata;
            seen.stream = Some(RecordedStream {
                name: ours.stream.to_owned(),
                modality,
                frame_id: metadata.get(FRAME_ID).cloned(),
                unit: metadata.get(UNIT).cloned(),
                rate_mhz: place.rate_mhz,
                has_arrivals: metadata.get(CLOCK).is_none_or(|clock| clock != SAMPLE),
                first_frame,
                origins_us: Vec::new(),
                first_us: place.t_us,
            });
        }
        Ok(())
    }

    /// The streams that have samples, with their clocks laid beside each other.
    fn streams(self) -> Vec<RecordedStream> {
        let first_ns = |boot: &Boot| Some(boot.zero_ns? + 1000 * i128::from(boot.first_us));
        let live = self.streams.values().filter(|seen| {
            let stream = seen.stream.as_ref();
            stream.is_some_and(|stream| stream.has_arrivals)
        });
        let began_ns = live.flat_map(|seen| &seen.boots).filter_map(first_ns).min();
        let began_ns = began_ns.unwrap_or(0);
        let stream = |seen: Seen| {
            let mut stream = seen.stream?;
            let origin_us = |boot: &Boot| {
                let zero_ns = boot.zero_ns.filter(|_| stream.has_arrivals);
                zero_ns.map_or(0, |zero_ns| ((zero_ns - began_ns) / 1000) as i64)
            };
            stream.origins_us = seen.boots.iter().map(origin_us).collect();
            Some(stream)
        };
        self.streams.into_values().filter_map(stream).collect()
    }
}

/// The place of a message's first sample, and the time of its last; of a frame, the frame, too.
fn look_at(
    modality: Modality,
    data: &[u8],
) -> Result<(Place, u64, Option<NumberArray>), DataError> {
    debug_assert!(SENSES.contains(&modality), "{modality}");
    Ok(match modality {
        Modality::Imu => {
            let (place, _) = Inertial::read(data)?;
            (place, place.t_us, None)
        }
        Modality::Audio => {
            let Heard { place, samples, .. } = Sound::read(data)?;
            let last = samples.len().saturating_sub(1) as u64;
            let lasts_us = sample_time_us(last, place.rate_mhz);
            (place, place.t_us.saturating_add(lasts_us), None)
        }
        _ => {
            let (place, frame) = Picture::read(data)?;
            let array = NumberArray {
                shape: vec![1, frame.height, frame.width],
                numbers: frame.pixels,
            };
            (place, place.t_us, Some(array))
        }
    })
}

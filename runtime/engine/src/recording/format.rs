//! The bytes of MCAP: <https://mcap.dev/spec>.
//!
//! ```text
//! magic, header, schemas, channels, (chunk, its index)*, data end, summary, footer, magic
//! ```
//!
//! A record is what it is, a length of 64 bits, and content; all numbers are little-endian. Only what
//! recordings of streams need is here: the public crate builds half a compiler for as much.

use std::collections::BTreeMap;
use std::io::Write;

/// What a file begins and ends with.
pub(super) const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";

/// What a record begins with: what it is, and its length.
pub(super) const HEAD_LEN: usize = 9;

/// What records are.
pub(super) mod op {
    pub const HEADER: u8 = 0x01;
    pub const FOOTER: u8 = 0x02;
    pub const SCHEMA: u8 = 0x03;
    pub const CHANNEL: u8 = 0x04;
    pub const MESSAGE: u8 = 0x05;
    pub const CHUNK: u8 = 0x06;
    pub const MESSAGE_INDEX: u8 = 0x07;
    pub const CHUNK_INDEX: u8 = 0x08;
    pub const STATISTICS: u8 = 0x0b;
    pub const SUMMARY_OFFSET: u8 = 0x0e;
    pub const DATA_END: u8 = 0x0f;
}

/// How the messages of a topic are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) id: u16,
    pub(super) schema_id: u16,
    pub(super) topic: String,
    pub(super) message_encoding: String,
    pub(super) metadata: BTreeMap<String, String>,
}

/// What a message says beside its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageHeader {
    pub(super) channel_id: u16,
    pub(super) sequence: u32,
    pub(super) log_time: u64,
    pub(super) publish_time: u64,
}

/// A chunk, its records as they lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub(super) uncompressed_crc: u32,
    pub(super) compression: &'a str,
    pub(super) records: &'a [u8],
}

impl Channel {
    /// Reads the content of a record; none if it is damaged.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut rest = Fields(content);
        Some(Self {
            id: rest.u16()?,
            schema_id: rest.u16()?,
            topic: rest.text()?.to_owned(),
            message_encoding: rest.text()?.to_owned(),
            metadata: {
                let len = rest.u32()? as usize;
                let mut pairs = Fields(rest.take(len)?);
                let mut metadata = BTreeMap::new();
                while !pairs.0.is_empty() {
                    metadata.insert(pairs.text()?.to_owned(), pairs.text()?.to_owned());
                }
                metadata
            },
        })
    }

    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        content.extend(self.id.to_le_bytes());
        content.extend(self.schema_id.to_le_bytes());
        put_text(&mut content, &self.topic);
        put_text(&mut content, &self.message_encoding);
        let mut pairs = Vec::new();
        for (key, value) in &self.metadata {
            put_text(&mut pairs, key);
            put_text(&mut pairs, value);
        }
        put_block(&mut content, &pairs);
        content
    }
}

impl MessageHeader {
    /// Reads the content of a record, and gives the data; none if it is damaged.
    pub(super) fn read(content: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = Fields(content);
        let header = Self {
            channel_id: rest.u16()?,
            sequence: rest.u32()?,
            log_time: rest.u64()?,
            publish_time: rest.u64()?,
        };
        Some((header, rest.0))
    }
}

impl<'a> Chunk<'a> {
    /// Reads the content of a record; none if it is damaged.
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let mut rest = Fields(content);
        let _times_and_size = [rest.u64()?, rest.u64()?, rest.u64()?];
        Some(Self {
            uncompressed_crc: rest.u32()?,
            compression: rest.text()?,
            records: {
                let len = usize::try_from(rest.u64()?).ok()?;
                rest.take(len)?
            },
        })
    }
}

/// The records of some bytes, as far as they are whole.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    /// What it is, and its content.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<HEAD_LEN>()?;
        let [opcode, len @ ..] = *head;
        let len = usize::try_from(u64::from_le_bytes(len)).ok()?;
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((opcode, content))
    }
}

/// Content that is yet to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.u32()? as usize;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

/// Appends a text behind its length of 32 bits.
fn put_text(content: &mut Vec<u8>, text: &str) {
    put_block(content, text.as_bytes());
}

/// Appends bytes behind their length of 32 bits. What is longer than that is none of ours.
fn put_block(content: &mut Vec<u8>, bytes: &[u8]) {
    content.extend((bytes.len() as u32).to_le_bytes());
    content.extend(bytes);
}

fn put_record(bytes: &mut Vec<u8>, opcode: u8, content: &[u8]) {
    bytes.push(opcode);
    bytes.extend((content.len() as u64).to_le_bytes());
    bytes.extend(content);
}

/// Writes an MCAP file. Nothing is written but whole chunks, each at once.
#[derive(Debug)]
pub(super) struct Writer<W> {
    file: W,
    /// Bytes written.
    at: u64,
    /// Schema records, then channel records, as they come again in the summary.
    schemas: Vec<Vec<u8>>,
    channels: Vec<Vec<u8>>,
    open: OpenChunk,
    indexes: Vec<Vec<u8>>,
    counts: BTreeMap<u16, u64>,
    times: Option<(u64, u64)>,
}

/// The chunk that is being filled.
#[derive(Debug, Default)]
struct OpenChunk {
    records: Vec<u8>,
    times: Option<(u64, u64)>,
    /// Time and place of each message, by channel.
    messages: BTreeMap<u16, Vec<(u64, u64)>>,
}

/// The first and last of some times and one more.
fn with(times: Option<(u64, u64)>, time: u64) -> (u64, u64) {
    times.map_or((time, time), |(from, to)| (from.min(time), to.max(time)))
}

impl<W: Write> Writer<W> {
    /// Begins a file; `library` says what wrote it.
    pub(super) fn new(file: W, library: &str) -> std::io::Result<Self> {
        let mut writer = Self {
            file,
            at: 0,
            schemas: Vec::new(),
            channels: Vec::new(),
            open: OpenChunk::default(),
            indexes: Vec::new(),
            counts: BTreeMap::new(),
            times: None,
        };
        let mut content = Vec::new();
        put_text(&mut content, "");
        put_text(&mut content, library);
        let mut head = MAGIC.to_vec();
        put_record(&mut head, op::HEADER, &content);
        writer.put(&head)?;
        Ok(writer)
    }

    /// Adds a JSON schema; gives its id.
    pub(super) fn add_schema(&mut self, name: &str, json: &[u8]) -> std::io::Result<u16> {
        let id = self.schemas.len() as u16 + 1;
        let mut content = id.to_le_bytes().to_vec();
        put_text(&mut content, name);
        put_text(&mut content, "jsonschema");
        put_block(&mut content, json);
        let mut record = Vec::new();
        put_record(&mut record, op::SCHEMA, &content);
        self.put(&record)?;
        self.schemas.push(record);
        Ok(id)
    }

    /// Adds a channel of JSON messages; gives its id.
    pub(super) fn add_channel(
        &mut self,
        schema_id: u16,
        topic: String,
        metadata: BTreeMap<String, String>,
    ) -> std::io::Result<u16> {
        let channel = Channel {
            id: self.channels.len() as u16,
            schema_id,
            topic,
            message_encoding: "json".to_owned(),
            metadata,
        };
        let mut record = Vec::new();
        put_record(&mut record, op::CHANNEL, &channel.content());
        self.put(&record)?;
        self.channels.push(record);
        Ok(channel.id)
    }

    /// Adds a message to the chunk that is being filled.
    pub(super) fn add_message(&mut self, header: MessageHeader, data: &[u8]) {
        let MessageHeader {
            channel_id,
            sequence,
            log_time,
            publish_time,
        } = header;
        let mut content = Vec::with_capacity(22 + data.len());
        content.extend(channel_id.to_le_bytes());
        content.extend(sequence.to_le_bytes());
        content.extend(log_time.to_le_bytes());
        content.extend(publish_time.to_le_bytes());
        content.extend(data);
        let at = self.open.records.len() as u64;
        put_record(&mut self.open.records, op::MESSAGE, &content);
        self.open.times = Some(with(self.open.times, log_time));
        let messages = self.open.messages.entry(channel_id).or_default();
        messages.push((log_time, at));
        *self.counts.entry(channel_id).or_default() += 1;
        self.times = Some(with(self.times, log_time));
    }

    /// First and last time of the chunk that is being filled; none if it is empty.
    pub(super) fn chunk_times(&self) -> Option<(u64, u64)> {
        self.open.times
    }

    /// Ends the chunk that is being filled, and hands it to the system.
    pub(super) fn end_chunk(&mut self) -> std::io::Result<()> {
        let chunk = std::mem::take(&mut self.open);
        let Some((from, to)) = chunk.times else {
            return Ok(());
        };
        let size = chunk.records.len() as u64;
        let mut content = Vec::with_capacity(chunk.records.len() + 64);
        content.extend(from.to_le_bytes());
        content.extend(to.to_le_bytes());
        content.extend(size.to_le_bytes());
        content.extend(crc32fast::hash(&chunk.records).to_le_bytes());
        put_text(&mut content, "");
        content.extend(size.to_le_bytes());
        content.extend(&chunk.records);
        let mut bytes = Vec::with_capacity(content.len() + HEAD_LEN);
        put_record(&mut bytes, op::CHUNK, &content);
        let (start, len) = (self.at, bytes.len() as u64);
        let mut offsets = Vec::new();
        for (channel, mut messages) in chunk.messages {
            offsets.extend(channel.to_le_bytes());
            offsets.extend((start + bytes.len() as u64).to_le_bytes());
            messages.sort_unstable();
            let pairs = messages.iter().flat_map(|(time, at)| [time, at]);
            let pairs: Vec<u8> = pairs.flat_map(|number| number.to_le_bytes()).collect();
            let mut content = channel.to_le_bytes().to_vec();
            put_block(&mut content, &pairs);
            put_record(&mut bytes, op::MESSAGE_INDEX, &content);
        }
        let index_len = bytes.len() as u64 - len;
        self.put(&bytes)?;
        self.file.flush()?;
        let mut content = Vec::new();
        for number in [from, to, start, len] {
            content.extend(number.to_le_bytes());
        }
        put_block(&mut content, &offsets);
        content.extend(index_len.to_le_bytes());
        put_text(&mut content, "");
        content.extend(size.to_le_bytes());
        content.extend(size.to_le_bytes());
        let mut record = Vec::new();
        put_record(&mut record, op::CHUNK_INDEX, &content);
        self.indexes.push(record);
        Ok(())
    }

    /// Ends the file with its summary.
    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        self.end_chunk()?;
        let mut end = Vec::new();
        put_record(&mut end, op::DATA_END, &0u32.to_le_bytes());
        self.put(&end)?;
        let start = self.at;
        let mut statistics = Vec::new();
        put_record(&mut statistics, op::STATISTICS, &self.statistics());
        let groups = [
            (op::SCHEMA, self.schemas.concat()),
            (op::CHANNEL, self.channels.concat()),
            (op::STATISTICS, statistics),
            (op::CHUNK_INDEX, self.indexes.concat()),
        ];
        let (mut summary, mut offsets) = (Vec::new(), Vec::new());
        for (opcode, records) in groups
            .into_iter()
            .filter(|(_, records)| !records.is_empty())
        {
            let mut content = vec![opcode];
            content.extend((start + summary.len() as u64).to_le_bytes());
            content.extend((records.len() as u64).to_le_bytes());
            put_record(&mut offsets, op::SUMMARY_OFFSET, &content);
            summary.extend(records);
        }
        let offsets_start = start + summary.len() as u64;
        summary.extend(offsets);
        // The checksum is of the summary and of the footer as far as itself.
        let mut content = start.to_le_bytes().to_vec();
        content.extend(offsets_start.to_le_bytes());
        content.extend([0; 4]);
        put_record(&mut summary, op::FOOTER, &content);
        let crc_at = summary.len() - 4;
        let crc = crc32fast::hash(&summary[..crc_at]);
        summary[crc_at..].copy_from_slice(&crc.to_le_bytes());
        summary.extend(MAGIC);
        self.put(&summary)?;
        self.file.flush()
    }

    fn statistics(&self) -> Vec<u8> {
        let mut content = Vec::new();
        content.extend(self.counts.values().sum::<u64>().to_le_bytes());
        content.extend((self.schemas.len() as u16).to_le_bytes());
        // Channels, attachments, metadata, chunks.
        for count in [self.channels.len(), 0, 0, self.indexes.len()] {
            content.extend((count as u32).to_le_bytes());
        }
        let (from, to) = self.times.unwrap_or_default();
        content.extend(from.to_le_bytes());
        content.extend(to.to_le_bytes());
        let mut counts = Vec::new();
        for (channel, count) in &self.counts {
            counts.extend(channel.to_le_bytes());
            counts.extend(count.to_le_bytes());
        }
        put_block(&mut content, &counts);
        content
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sensorium_core::ImuSample;
use sensorium_media::{NumberArray, Numbers, Sound};

use super::format::{MAGIC, op};
use super::*;
use crate::queue::{Popped, Queue};
use crate::source::csv::Recording;
use crate::source::replay::Replay;
use crate::source::{Block, Feed, Frame, Samples, Signal, Source};

const SECOND_NS: i64 = 1_000_000_000;

/// When the host began to listen.
const BEGAN_NS: i64 = 1_700_000_000 * SECOND_NS;

fn imu(n: u64) -> ImuSample {
    let value = |axis: f32| (n as f32 * 0.37 + axis).sin() * 9.80665;
    ImuSample {
        accel_mps2: [0.0, 1.0, 2.0].map(value),
        gyro_radps: [3.0, 4.0, 5.0].map(value),
    }
}

/// Half a minute of a node that had been running for a while, and begins anew.
fn node() -> Vec<Signal> {
    let block = |index: u64, host_ns: i64| {
        Signal::Block(Block {
            index,
            t_us: index * 20_000,
            rate_mhz: 50_000,
            offsets_us: None,
            samples: Samples::Imu((index..index + 16).map(imu).collect()),
            t_host_ns: Some(host_ns),
        })
    };
    let mut said = vec![Signal::Boot { boot_id: 7 }];
    let arrived = |n: u64| BEGAN_NS + (16 * n as i64 + 15) * 20_000_000;
    said.extend((0..48).map(|n| block(5_000 + 16 * n, arrived(n))));
    said.push(Signal::NodeCounts {
        t_dev_us: 115_360_000,
        sampled: 5768,
        dropped: 0,
    });
    said.push(Signal::Gone);
    said.push(Signal::Reboot { boot_id: 8 });
    said.extend((0..48).map(|n| block(16 * n, arrived(n) + 20 * SECOND_NS)));
    said
}

/// Sound of 16 bits, then of floats that these do not hold.
fn microphone() -> Vec<Signal> {
    let block = |at: u64| {
        let value = |n: u64| match at {
            0..20 => f32::from((n * 77 % 60_000) as u16 as i16) / 32768.0,
            _ => (n as f32 * 0.1).sin() * 0.3,
        };
        Signal::Block(Block {
            index: at * 512,
            t_us: at * 32_000,
            rate_mhz: 16_000_000,
            offsets_us: None,
            samples: Samples::Sound((at * 512..(at + 1) * 512).map(value).collect()),
            t_host_ns: Some(BEGAN_NS + 3 * SECOND_NS + (at as i64 + 1) * 32_000_000),
        })
    };
    (0..100).map(block).collect()
}

/// Frames of every kind of number, of a camera that nobody knows the arrivals of; one was lost.
fn camera() -> Vec<Signal> {
    let pixels = |n: u64| match n % 7 {
        0 => Numbers::U8(vec![1, 2, 255, 0, 9, 8]),
        1 => Numbers::U16(vec![1, 65535, 3, 4, 5, 6]),
        2 => Numbers::I16(vec![-1, 2, 3, 4, 5, i16::MIN]),
        3 => Numbers::I32(vec![-1, 2, 3, 4, 5, i32::MAX]),
        4 => Numbers::I64(vec![-1, 2, 3, 4, 5, i64::MAX]),
        5 => Numbers::F32(vec![-1.5, 2.0, f32::INFINITY, 4.0, 1e-20, 6.0]),
        _ => Numbers::F64(vec![-1.5, 2.0, 3.0, 4.0, 1e-200, 6.0]),
    };
    let block = |n: u64| {
        Signal::Block(Block {
            index: n,
            t_us: n * 125_000,
            rate_mhz: 8_000,
            offsets_us: None,
            samples: Samples::Frames(vec![Frame {
                height: 2,
                width: 3,
                pixels: pixels(n),
            }]),
            t_host_ns: None,
        })
    };
    (0..80).filter(|n| *n != 40).map(block).collect()
}

fn infos() -> [StreamInfo; 3] {
    let info = |name: &str, modality, has_arrivals| StreamInfo {
        name: name.to_owned(),
        modality,
        frame_id: format!("{name}_link"),
        unit: format!("{name} units"),
        has_arrivals,
    };
    [
        info("wrist", Modality::Imu, true),
        info("hall/mic", Modality::Audio, true),
        info("old", Modality::Thermal, false),
    ]
}

/// A recording of all three.
fn recorded(path: &Path) -> Vec<u8> {
    let mut recorder = Recorder::new(std::fs::File::create(path).unwrap(), &infos()).unwrap();
    let mut said: Vec<_> = [node(), microphone(), camera()]
        .into_iter()
        .enumerate()
        .flat_map(|(stream, said)| {
            let mut t_ns = 0;
            said.into_iter().map(move |signal| {
                if let Signal::Block(block) = &signal {
                    t_ns = block
                        .t_host_ns
                        .unwrap_or(BEGAN_NS + block.t_us as i64 * 1000);
                }
                (t_ns, stream, signal)
            })
        })
        .collect();
    said.sort_by_key(|(t_ns, stream, _)| (*t_ns, *stream));
    for (t_ns, stream, signal) in said {
        recorder
            .take(stream, &signal, Some(t_ns.max(BEGAN_NS)))
            .unwrap();
    }
    let counts: Vec<_> = recorder.counts().collect();
    assert_eq!(
        counts,
        [("wrist", 1536, 0), ("hall/mic", 51_200, 0), ("old", 79, 0)]
    );
    recorder.finish().unwrap();
    drop(recorder);
    std::fs::read(path).unwrap()
}

/// What a stream of a file says.
fn played(file: &McapFile, name: &str) -> Vec<Signal> {
    let replay = McapReplay::new(file, file.stream(Some(name)).unwrap(), None).unwrap();
    said(Box::new(replay))
}

fn said(source: Box<dyn Source>) -> Vec<Signal> {
    let (queue, stop) = (Queue::new(u64::MAX), AtomicBool::new(false));
    source.run(Feed::new(&queue, &stop, false)).unwrap();
    queue.close();
    let next = || match queue.pop(Duration::ZERO).0 {
        Popped::Item(signal) => Some(signal),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

/// Signals with the times of their samples, however they are told.
fn timed(signals: &[Signal]) -> Vec<(Signal, Vec<u64>)> {
    let timed = |signal: &Signal| {
        let mut signal = signal.clone();
        let mut times = Vec::new();
        if let Signal::Block(block) = &mut signal {
            times = (0..block.samples.len())
                .map(|at| block.time_us(at))
                .collect();
            block.offsets_us = None;
        }
        (signal, times)
    };
    let is_said = |signal: &&Signal| !matches!(signal, Signal::Origin { .. });
    signals.iter().filter(is_said).map(timed).collect()
}

#[test]
fn what_was_said_is_said_again_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    recorded(&path);
    let file = McapFile::open(&path).unwrap();
    assert_eq!(file.cut, None);
    let about: Vec<_> = file
        .streams
        .iter()
        .map(|s| (s.name.as_str(), s.modality, s.rate_mhz, s.has_arrivals))
        .collect();
    let expected = [
        ("hall/mic", Modality::Audio, 16_000_000, true),
        ("old", Modality::Thermal, 8_000, false),
        ("wrist", Modality::Imu, 50_000, true),
    ];
    assert_eq!(about, expected);
    assert_eq!(file.streams[0].frame_id.as_deref(), Some("hall/mic_link"));
    let replay = McapReplay::new(&file, &file.streams[1], None).unwrap();
    assert_eq!(replay.unit().as_deref(), Some("old units"));
    assert_eq!(
        file.streams[1].first_frame.as_ref().unwrap().shape,
        [1, 2, 3]
    );
    for (name, was_said) in [
        ("wrist", node()),
        ("hall/mic", microphone()),
        ("old", camera()),
    ] {
        assert_eq!(timed(&played(&file, name)), timed(&was_said), "{name}");
    }
    // The node's first sample was taken 15 sample times before its block came, and its clock told
    // 100 s then; the microphone began 3 s later.
    let origins = |name| -> Vec<i64> {
        let origin = |signal: &Signal| match signal {
            Signal::Origin { at_us } => Some(*at_us),
            _ => None,
        };
        played(&file, name).iter().filter_map(origin).collect()
    };
    assert_eq!(origins("wrist"), [-100_000_000, 20_000_000]);
    assert_eq!(origins("hall/mic"), [3_000_063]);
    assert_eq!(origins("old"), [0]);
}

/// The records of a whole file but for its magic, each with where it begins.
fn records(bytes: &[u8]) -> Vec<(usize, u8, &[u8])> {
    let inner = &bytes[MAGIC.len()..bytes.len() - MAGIC.len()];
    assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
    let mut at = MAGIC.len();
    let mut records = format::Records(inner);
    let located = records.by_ref().map(|(opcode, content)| {
        let began = at;
        at += format::HEAD_LEN + content.len();
        (began, opcode, content)
    });
    let located = located.collect();
    assert!(records.0.is_empty());
    located
}

/// Where the chunks of a file begin.
fn chunk_starts(bytes: &[u8]) -> Vec<u64> {
    let all = records(bytes);
    let chunks = all.iter().filter(|(_, opcode, _)| *opcode == op::CHUNK);
    chunks.map(|(at, ..)| *at as u64).collect()
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[test]
fn messages_have_their_schemas_and_chunks_are_short() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = recorded(&folder.path().join("a.mcap"));
    let all = records(&bytes);
    let mut schemas = BTreeMap::new();
    let mut channels = BTreeMap::new();
    for (_, opcode, content) in &all {
        match *opcode {
            op::SCHEMA => {
                let name_len = number(&content[2..6]) as usize;
                let name = String::from_utf8(content[6..6 + name_len].to_vec()).unwrap();
                let rest = &content[6 + name_len..];
                let (encoding, json) = rest.split_at(4 + "jsonschema".len());
                assert_eq!(encoding, b"\x0a\0\0\0jsonschema");
                let json: serde_json::Value = serde_json::from_slice(&json[4..]).unwrap();
                schemas.insert(number(&content[..2]) as u16, (name, json));
            }
            op::CHANNEL => {
                let channel = format::Channel::read(content).unwrap();
                assert_eq!(channel.message_encoding, "json");
                channels.insert(channel.id, channel);
            }
            _ => {}
        }
    }
    let names: Vec<&str> = schemas.values().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "sensorium.Imu",
        "sensorium.Node",
        "foxglove.RawAudio",
        "foxglove.RawImage",
    ];
    assert_eq!(names, expected);
    let (mut messages, mut chunks, mut of_wrist) = (0, 0, Vec::new());
    for (_, _, content) in all.iter().filter(|(_, opcode, _)| *opcode == op::CHUNK) {
        let (from, to) = (number(&content[..8]), number(&content[8..16]));
        assert!(to - from <= 1_000_000_000, "{} ns", to - from);
        chunks += 1;
        for (opcode, content) in format::Records(format::Chunk::read(content).unwrap().records) {
            assert_eq!(opcode, op::MESSAGE);
            let (header, data) = format::MessageHeader::read(content).unwrap();
            assert!((from..=to).contains(&header.log_time));
            let channel = &channels[&header.channel_id];
            let (name, schema) = &schemas[&channel.schema_id];
            let data: serde_json::Value = serde_json::from_slice(data).unwrap();
            for key in data.as_object().unwrap().keys() {
                assert!(!schema["properties"][key].is_null(), "{name}: {key}");
            }
            if channel.topic == "/wrist/imu" {
                of_wrist.push(header);
            }
            messages += 1;
        }
    }
    assert_eq!(messages, 1536 + 100 + 79 + 4);
    assert!(chunks > 20, "{chunks}");
    // Once the clock is known, the time of a sample, not of its arrival.
    let late = of_wrist[700];
    assert!(late.publish_time <= late.log_time && late.publish_time + 400_000_000 > late.log_time);
}

#[test]
fn the_index_leads_to_every_message() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = recorded(&folder.path().join("a.mcap"));
    let all = records(&bytes);
    let (_, opcode, footer) = all.last().unwrap();
    assert_eq!(*opcode, op::FOOTER);
    let summary = number(&footer[..8]) as usize;
    let crc_at = bytes.len() - MAGIC.len() - 4;
    assert_eq!(
        number(&footer[16..]),
        u64::from(crc32fast::hash(&bytes[summary..crc_at]))
    );
    let at = |place: usize| all.iter().find(|(at, ..)| *at == place).unwrap();
    assert!(at(summary).1 == op::SCHEMA);
    let mut indexed = 0;
    for (_, _, content) in all
        .iter()
        .filter(|(_, opcode, _)| *opcode == op::CHUNK_INDEX)
    {
        let (start, len) = (
            number(&content[16..24]) as usize,
            number(&content[24..32]) as usize,
        );
        let (_, opcode, chunk) = at(start);
        assert_eq!((*opcode, format::HEAD_LEN + chunk.len()), (op::CHUNK, len));
        assert_eq!(chunk[..16], content[..16]);
        let records = format::Chunk::read(chunk).unwrap().records;
        let offsets_len = number(&content[32..36]) as usize;
        for pair in content[36..36 + offsets_len].chunks_exact(10) {
            let (_, opcode, index) = at(number(&pair[2..]) as usize);
            assert_eq!((*opcode, &index[..2]), (op::MESSAGE_INDEX, &pair[..2]));
            for entry in index[6..].chunks_exact(16) {
                let message = &records[number(&entry[8..]) as usize..];
                let (opcode, content) = format::Records(message).next().unwrap();
                let (header, _) = format::MessageHeader::read(content).unwrap();
                assert_eq!(
                    (opcode, header.log_time),
                    (op::MESSAGE, number(&entry[..8]))
                );
                assert_eq!(u64::from(header.channel_id), number(&pair[..2]));
                indexed += 1;
            }
        }
    }
    assert_eq!(indexed, 1536 + 100 + 79 + 4);
    let statistics = all
        .iter()
        .find(|(_, opcode, _)| *opcode == op::STATISTICS)
        .unwrap()
        .2;
    assert_eq!(number(&statistics[..8]), indexed);
    // Offsets of the summary lead to its groups.
    let mut groups = Vec::new();
    for (_, _, content) in all
        .iter()
        .filter(|(_, opcode, _)| *opcode == op::SUMMARY_OFFSET)
    {
        assert_eq!(at(number(&content[1..9]) as usize).1, content[0]);
        groups.push(content[0]);
    }
    assert_eq!(
        groups,
        [op::SCHEMA, op::CHANNEL, op::STATISTICS, op::CHUNK_INDEX]
    );
}

#[test]
fn a_file_cut_anywhere_is_whole_to_its_last_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recorded(&path);
    let whole = McapFile::open(&path).unwrap();
    let starts = chunk_starts(&bytes);
    let mut seen = 0;
    for len in (0..bytes.len()).step_by(bytes.len() / 60) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let Ok(file) = McapFile::open(&path) else {
            // No whole chunk yet.
            assert!(len as u64 <= starts[1], "{len}");
            continue;
        };
        let cut = file.cut.unwrap();
        assert!(!cut.is_damaged && cut.at + cut.bytes_lost == len as u64);
        assert_eq!(
            cut.chunks,
            starts.iter().filter(|start| **start < cut.at).count()
        );
        // All chunks that are there are played.
        let next = starts
            .get(cut.chunks)
            .copied()
            .unwrap_or(bytes.len() as u64);
        assert!(
            cut.at <= next
                && (len as u64) < starts.get(cut.chunks + 1).copied().unwrap_or(u64::MAX)
        );
        for stream in &file.streams {
            let (part, all) = (
                played(&file, &stream.name),
                whole_of(&bytes, folder.path(), &stream.name),
            );
            assert!(timed(&all).starts_with(&timed(&part)), "{}", stream.name);
        }
        seen += 1;
    }
    assert!(seen > 50 && whole.streams.len() == 3);
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let said = McapFile::open(&path).unwrap().cut.unwrap().to_string();
    assert!(
        said.starts_with("it is cut after ") && said.ends_with(" on are lost"),
        "{said}"
    );
}

fn whole_of(bytes: &[u8], folder: &Path, name: &str) -> Vec<Signal> {
    let path = folder.join("whole.mcap");
    if !path.exists() {
        std::fs::write(&path, bytes).unwrap();
    }
    played(&McapFile::open(&path).unwrap(), name)
}

#[test]
fn damage_is_not_played() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recorded(&path);
    let third = chunk_starts(&bytes)[3];
    let mut damaged = bytes.clone();
    damaged[third as usize + 200] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let cut = McapFile::open(&path).unwrap().cut.unwrap();
    assert_eq!(
        (cut.chunks, cut.at <= third, cut.is_damaged),
        (3, true, true)
    );
    // Whatever a bit does, it ends in an answer.
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x80;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(file) = McapFile::open(&path) {
            for stream in &file.streams {
                played(&file, &stream.name);
            }
        }
    }
    let error = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        McapFile::open(&path).unwrap_err().to_string()
    };
    assert_eq!(error(b"PK"), "it is no MCAP file: it does not begin as one");
    assert!(error(MAGIC).contains("no whole chunk"));
}

#[test]
fn messages_that_are_not_what_they_say_are_refused() {
    use message::{Inertial, Picture, Sound as SoundMessage};
    let refused = |error: DataError| error.to_string();
    let json = r#"{"timestamp":{"sec":0,"nsec":0},"data":"AAA=","format":"FORMAT","sample_rate":1,
        "number_of_channels":1,"index":0,"t_us":0,"rate_mhz":RATE}"#;
    let sound = |format: &str, rate: &str| {
        let json = json.replace("FORMAT", format).replace("RATE", rate);
        refused(SoundMessage::read(json.as_bytes()).unwrap_err())
    };
    assert_eq!(
        sound("opus", "1"),
        "format is \"opus\", expected \"pcm-s16\" or \"pcm-f32\""
    );
    assert_eq!(
        sound("pcm-f32", "1"),
        "data has 2 bytes, expected a multiple of 4"
    );
    assert_eq!(sound("pcm-s16", "0"), "rate_mhz is 0");
    let json = r#"{"timestamp":{"sec":0,"nsec":0},"frame_id":"","width":4294967295,"height":2,
        "encoding":"16UC1","step":2,"data":"AAA=","index":0,"t_us":0,"rate_mhz":1}"#;
    let error = refused(Picture::read(json.as_bytes()).unwrap_err());
    assert_eq!(
        error,
        "data has 2 bytes, expected 4294967295 x 2 pixels of 16UC1"
    );
    assert!(refused(Inertial::read(b"{}").unwrap_err()).contains("missing field `index`"));
}

#[test]
fn recordings_are_merged_into_the_same_file() {
    let csv = "t_s,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,6\n0.02,1,2,3,4,5,6\n2.04,0.1,2,3,4,5,6\n";
    let read = || {
        let units = "m/s2,rad/s".parse().unwrap();
        Recording::read(csv.as_bytes(), "a.csv".as_ref(), Some(units)).unwrap()
    };
    let sources = || -> Vec<Box<dyn Source>> {
        let sound = Sound {
            rate_hz: 1000,
            channels: vec![vec![0.25; 5000]],
        };
        let frames = NumberArray {
            shape: vec![6, 1, 2],
            numbers: Numbers::U16((0..12).collect()),
        };
        vec![
            Box::new(Replay::new(read(), 50_000, None)),
            Box::new(Replay::of_sound(&sound, None)),
            Box::new(Replay::of_frames(frames, 1_000, None)),
        ]
    };
    let senses = [Modality::Imu, Modality::Audio, Modality::Depth];
    let infos = senses.map(|modality| StreamInfo {
        name: modality.to_string(),
        modality,
        frame_id: String::new(),
        unit: String::new(),
        has_arrivals: false,
    });
    let folder = tempfile::tempdir().unwrap();
    let record_to = |name: &str| {
        let path = folder.path().join(name);
        let mut recorder = Recorder::new(std::fs::File::create(&path).unwrap(), &infos).unwrap();
        record(sources(), &mut recorder, &AtomicBool::new(false)).unwrap();
        drop(recorder);
        path
    };
    let (one, other) = (record_to("a.mcap"), record_to("b.mcap"));
    let bytes = std::fs::read(&one).unwrap();
    assert_eq!(bytes, std::fs::read(other).unwrap());
    let chunks = records(&bytes);
    let chunks = chunks.iter().filter(|(_, opcode, _)| *opcode == op::CHUNK);
    let times: Vec<u64> = chunks
        .flat_map(|(_, _, content)| format::Records(format::Chunk::read(content).unwrap().records))
        .map(|(_, message)| format::MessageHeader::read(message).unwrap().0.log_time)
        .collect();
    // Blocks begin in order; those of sound and frames are one message.
    assert!(
        times.len() == 3 + 10 + 6 && times.last() == Some(&5_000_000_000),
        "{times:?}"
    );
    let file = McapFile::open(&one).unwrap();
    for (source, modality) in sources().into_iter().zip(senses) {
        assert_eq!(
            timed(&played(&file, modality.name())),
            timed(&said(source)),
            "{modality}"
        );
    }
    let error = |infos: &[StreamInfo]| {
        let sink = std::io::Cursor::new(Vec::new());
        Recorder::new(sink, infos).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[infos[0].clone(), infos[0].clone()]),
        "a stream is called \"imu\", expected a name of its own"
    );
    let picture = StreamInfo {
        modality: Modality::Image,
        ..infos[0].clone()
    };
    assert_eq!(
        error(&[picture]),
        "stream \"imu\": image cannot be recorded"
    );
}

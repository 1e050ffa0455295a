//! The node over a link that stalls, takes a few bytes at a time, and fails half way; with a sensor
//! that comes in bursts, fails, and overflows. Whatever happens, every sample is accounted for.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io::{ErrorKind, ErrorType, Write, WriteReady};
use proptest::prelude::*;
use sensorium_node::wire::{
    Arrival, Decoder, ImuBlock, ImuRawBlock, ImuSample, Packet, Payload, StreamTable, stream,
};
use sensorium_node::{Config, Identity, ImuScale, Node, Progress, Reading, SampleSource};

const RATE_MHZ: u32 = 100_000;
const PERIOD_US: u64 = 10_000;
const IDENTITY: Identity = Identity {
    firmware: [1, 2, 3],
    unique_id: *b"node for tes",
    boot_id: 42,
};

/// What the sensor does at one poll.
#[derive(Debug, Clone, Copy)]
enum Sensed {
    Samples(u8),
    Missed(u8),
    Error,
}

/// A sensor whose sample says its own number.
#[derive(Debug, Default)]
struct Sensor {
    script: VecDeque<Sensed>,
    taken: u64,
    burst: VecDeque<Result<Reading<ImuSample>, ()>>,
}

impl Sensor {
    fn next_event(&mut self) {
        match self.script.pop_front() {
            Some(Sensed::Samples(samples)) => {
                for _ in 0..samples {
                    self.burst.push_back(Ok(Reading::Sample {
                        t_us: self.taken * PERIOD_US,
                        sample: numbered(self.taken),
                    }));
                    self.taken += 1;
                }
            }
            Some(Sensed::Missed(samples)) => {
                self.burst.push_back(Ok(Reading::Missed(samples.into())));
                self.taken += u64::from(samples);
            }
            Some(Sensed::Error) => self.burst.push_back(Err(())),
            None => {}
        }
    }
}

fn numbered(number: u64) -> ImuSample {
    ImuSample {
        accel_mps2: [number as f32, 0.0, 9.81],
        gyro_radps: [0.0; 3],
    }
}

impl SampleSource for Sensor {
    type Block = ImuBlock;
    type Error = ();

    fn rate_mhz(&self) -> u32 {
        RATE_MHZ
    }

    fn scale(&self) {}

    fn read(&mut self, _now_us: u64) -> Result<Reading<ImuSample>, ()> {
        self.burst.pop_front().unwrap_or(Ok(Reading::Nothing))
    }
}

/// What the link does at one call.
#[derive(Debug, Clone, Copy)]
enum Linked {
    Takes(usize),
    Full,
    Error,
}

/// A link that follows a script over and over.
#[derive(Debug, Default)]
struct Link {
    script: Vec<Linked>,
    at: usize,
    bytes: Vec<u8>,
    errors: u64,
}

impl Link {
    fn step(&mut self) -> Linked {
        let step = self.script.get(self.at % self.script.len().max(1));
        self.at += 1;
        step.copied().unwrap_or(Linked::Takes(usize::MAX))
    }
}

impl ErrorType for Link {
    type Error = ErrorKind;
}

impl Write for Link {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        match self.step() {
            Linked::Takes(most) => {
                let took = buf.len().min(most.max(1));
                self.bytes.extend(&buf[..took]);
                Ok(took)
            }
            // A write that would have to wait, had it not been asked whether it is ready.
            Linked::Full | Linked::Error => {
                self.errors += 1;
                Err(ErrorKind::Other)
            }
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl WriteReady for Link {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!matches!(self.step(), Linked::Full))
    }
}

fn sensed() -> impl Strategy<Value = Sensed> {
    prop_oneof![
        8 => (0..6_u8).prop_map(Sensed::Samples),
        1 => (0..100_u8).prop_map(Sensed::Samples),
        1 => (0..5_u8).prop_map(Sensed::Missed),
        1 => Just(Sensed::Error),
    ]
}

fn linked() -> impl Strategy<Value = Linked> {
    prop_oneof![
        3 => (1..600_usize).prop_map(Linked::Takes),
        3 => (1..20_usize).prop_map(Linked::Takes),
        1 => Just(Linked::Full),
        1 => Just(Linked::Error),
    ]
}

fn decode(bytes: &[u8]) -> (Vec<Packet>, Decoder) {
    let mut decoder = Decoder::new();
    let packets = bytes.iter().filter_map(|&byte| decoder.push(byte)?.ok());
    (packets.collect(), decoder)
}

/// Runs a node to its end and gives back what it sent and its last status.
fn run<const QUEUE: usize>(
    sensed: Vec<Sensed>,
    linked: Vec<Linked>,
    step_us: u64,
) -> (Vec<u8>, sensorium_node::wire::Status, u64, u64) {
    let now_us = Cell::new(0);
    let sensor = Sensor {
        script: sensed.into(),
        ..Sensor::default()
    };
    let link = Link {
        script: linked,
        ..Link::default()
    };
    let mut node: Node<_, _, _, QUEUE> =
        Node::new(sensor, link, || now_us.get(), IDENTITY, Config::default());
    let polls = node.source().script.len() + 3;
    let mut progress = Progress::Idle;
    let mut stopped_us = u64::MAX;
    for poll in 0.. {
        if poll == polls {
            node.stop();
        }
        node.source().next_event();
        // Time has passed for as many samples as the sensor took.
        let taken_us = node.source().taken * PERIOD_US;
        now_us.set(now_us.get().max(taken_us));
        progress = node.poll();
        let status = node.status();
        assert_eq!(
            status.sampled,
            status.sent + status.dropped + node.waiting()
        );
        if progress == Progress::Finished {
            break;
        }
        if poll == polls {
            stopped_us = now_us.get();
        }
        let stopping_us = now_us.get() - stopped_us.min(now_us.get());
        let limit_us = 2 * u64::from(Config::default().stop_timeout_us) + 2 * step_us;
        assert!(stopping_us <= limit_us, "a stopped node goes on");
        now_us.set(now_us.get() + step_us);
    }
    assert_eq!(progress, Progress::Finished);
    assert_eq!(node.waiting(), 0);
    let status = node.status();
    let (sensor, link) = node.release();
    assert_eq!(u64::from(status.link_errors), link.errors);
    // What no poll was left to read was never sampled.
    let unread = sensor.burst.into_iter().flatten();
    let unread = unread.map(|reading| match reading {
        Reading::Sample { .. } => 1,
        Reading::Missed(samples) => u64::from(samples),
        Reading::Nothing => 0,
    });
    (
        link.bytes,
        status,
        sensor.taken - unread.sum::<u64>(),
        link.errors,
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 400,
        ..Default::default()
    })]

    #[test]
    fn every_sample_is_accounted_for(
        sensed in proptest::collection::vec(sensed(), 0..200),
        linked in proptest::collection::vec(linked(), 0..40),
        step_us in 1_000..60_000_u64,
    ) {
        let (bytes, status, sampled, errors) = run::<3>(sensed, linked, step_us);
        prop_assert_eq!(status.sampled, sampled);
        prop_assert_eq!(status.sampled, status.sent + status.dropped);
        prop_assert!(status.missed <= status.dropped);

        let (packets, decoder) = decode(&bytes);
        // A link that failed half way through a frame, and once a node that had no more time.
        let broken = errors + 1;
        prop_assert!(decoder.counts().refused() <= broken);
        let mut table = StreamTable::new();
        let (mut received, mut next_index, mut ended) = (0, 0, None);
        for packet in &packets {
            prop_assert!(!matches!(table.observe(packet), Arrival::Old | Arrival::Reboot));
            match &packet.payload {
                Payload::Imu(block) => {
                    prop_assert!(ended.is_none());
                    prop_assert!(block.index >= next_index);
                    prop_assert_eq!(packet.t_dev_us, block.index * PERIOD_US);
                    for (number, sample) in (block.index..).zip(&block.samples) {
                        prop_assert_eq!(*sample, numbered(number));
                        next_index = number + 1;
                    }
                    received += block.samples.len() as u64;
                }
                Payload::Status(now) => {
                    prop_assert!(now.sent + now.dropped <= now.sampled);
                    prop_assert!(now.sent >= received);
                }
                Payload::End(end) => ended = Some(*end),
                _ => {}
            }
        }
        // What the node calls sent is what arrived, since this link loses no byte it took.
        prop_assert_eq!(received, status.sent);
        if let Some(end) = ended {
            prop_assert_eq!((end.sampled, end.dropped), (status.sampled, status.dropped));
        }
        // Frames broken off are the only ones lost, and the host sees each.
        let lost: u64 = table.iter().map(|(_, counts)| counts.lost).sum();
        prop_assert!(lost <= broken);
    }
}

#[test]
fn a_good_link_loses_nothing() {
    let sensed = vec![Sensed::Samples(5); 1000];
    let (bytes, status, sampled, _) = run::<8>(sensed, vec![], 5 * PERIOD_US);
    assert_eq!(
        (status.sampled, status.sent, status.dropped),
        (sampled, 5000, 0)
    );
    let (packets, decoder) = decode(&bytes);
    assert_eq!(decoder.counts().refused(), 0);

    let count = |is: fn(&Payload) -> bool| packets.iter().filter(|p| is(&p.payload)).count();
    // 50 seconds: one hello at once and one a second, the status a second later; the last samples
    // came a little before the node was stopped.
    assert!(matches!(packets[0].payload, Payload::Hello(hello) if hello.boot_id == 42));
    assert_eq!(count(|p| matches!(p, Payload::Hello(_))), 51);
    assert_eq!(count(|p| matches!(p, Payload::Status(_))), 50);
    assert_eq!(count(|p| matches!(p, Payload::End(_))), 8);
    let blocks = packets.iter().filter_map(|packet| match &packet.payload {
        Payload::Imu(block) => Some(block),
        _ => None,
    });
    let mut next = 0;
    for block in blocks {
        assert_eq!((block.index, block.rate_mhz), (next, RATE_MHZ));
        next += block.samples.len() as u64;
    }
    assert_eq!(next, 5000);
}

#[test]
fn a_dead_link_costs_samples_and_no_time() {
    let sensed = vec![Sensed::Samples(1); 1000];
    for dead in [Linked::Full, Linked::Error] {
        let (bytes, status, _, _) = run::<4>(sensed.clone(), vec![dead], PERIOD_US);
        assert_eq!(bytes, []);
        assert_eq!(
            (status.sampled, status.sent, status.dropped),
            (1000, 0, 1000)
        );
    }
}

#[test]
fn a_full_queue_gives_up_its_oldest_block() {
    let now_us = Cell::new(0);
    let sensor = Sensor {
        script: vec![Sensed::Samples(16); 6].into(),
        ..Sensor::default()
    };
    let link = Link {
        script: vec![Linked::Full],
        ..Link::default()
    };
    let mut node: Node<_, _, _, 2> =
        Node::new(sensor, link, || now_us.get(), IDENTITY, Config::default());
    for _ in 0..6 {
        node.source().next_event();
        assert_eq!(node.poll(), Progress::LinkFull);
    }
    let status = node.status();
    // Two blocks wait, and the hello was ahead of them in the line.
    assert_eq!(
        (status.sampled, status.dropped, node.waiting()),
        (96, 64, 32)
    );
    node.link().script.clear();
    assert_eq!(node.poll(), Progress::Idle);
    let (packets, _) = decode(&node.link().bytes);
    let indices: Vec<_> = packets
        .iter()
        .filter_map(|packet| match &packet.payload {
            Payload::Imu(block) => Some(block.index),
            _ => None,
        })
        .collect();
    assert_eq!(indices, [64, 80]);
}

#[test]
fn an_old_block_is_sent_before_it_is_full() {
    let now_us = Cell::new(0);
    let mut node: Node<_, _, _> = Node::new(
        Sensor::default(),
        Link::default(),
        || now_us.get(),
        IDENTITY,
        Config::default(),
    );
    node.source().script = vec![Sensed::Samples(3)].into();
    node.source().next_event();
    assert_eq!(node.poll(), Progress::Idle);
    assert_eq!(node.waiting(), 3);
    now_us.set(199_999);
    node.poll();
    assert_eq!(node.waiting(), 3);
    now_us.set(200_000);
    node.poll();
    assert_eq!((node.waiting(), node.status().sent), (0, 3));
}

#[test]
fn a_step_in_time_starts_a_block() {
    struct Uneven(VecDeque<u64>);
    impl SampleSource for Uneven {
        type Block = ImuRawBlock;
        type Error = Infallible;
        fn rate_mhz(&self) -> u32 {
            RATE_MHZ
        }
        fn scale(&self) -> ImuScale {
            ImuScale {
                accel_mps2_per_lsb: 0.5,
                gyro_radps_per_lsb: 0.25,
            }
        }
        fn read(&mut self, _: u64) -> Result<Reading<[i16; 6]>, Infallible> {
            Ok(match self.0.pop_front() {
                Some(t_us) => Reading::Sample {
                    t_us,
                    sample: [2, 0, 0, 0, 0, -4],
                },
                None => Reading::Nothing,
            })
        }
    }
    // Jitter of a third of a period, a step of two periods, a step back.
    let times = [0, 13_000, 20_000, 40_000, 50_000, 49_000];
    let mut node: Node<_, _, _> = Node::new(
        Uneven(times.into()),
        Link::default(),
        || 1_000_000,
        IDENTITY,
        Config::default(),
    );
    assert!(node.log(b"a line"));
    assert!(!node.log(&[0; 600]));
    node.poll();
    node.stop();
    while node.poll() != Progress::Finished {}
    assert_eq!(node.status().logs_dropped, 1);
    let (packets, _) = decode(&node.link().bytes);
    let blocks: Vec<_> = packets
        .iter()
        .filter_map(|packet| match &packet.payload {
            Payload::ImuRaw(block) => Some((packet.t_dev_us, block.index, block.samples.len())),
            _ => None,
        })
        .collect();
    assert_eq!(blocks, [(0, 0, 3), (40_000, 3, 2), (49_000, 5, 1)]);
    let sample = packets.iter().find_map(|packet| match &packet.payload {
        Payload::ImuRaw(block) => block.sample(0),
        _ => None,
    });
    let sample = sample.unwrap();
    assert_eq!((sample.accel_mps2[0], sample.gyro_radps[2]), (1.0, -1.0));
    let log = packets.iter().find(|packet| packet.stream == stream::LOG);
    assert!(matches!(&log.unwrap().payload, Payload::Log(log) if log.bytes == b"a line"));
}

/// A driver that changes its range or rate between two samples: each block says what holds for all
/// of it.
#[test]
fn a_change_of_range_or_rate_starts_a_block() {
    struct Ranging(u64);
    impl SampleSource for Ranging {
        type Block = ImuRawBlock;
        type Error = Infallible;
        fn rate_mhz(&self) -> u32 {
            // Too small a change to be seen in the times.
            if self.0 > 6 { RATE_MHZ + 1 } else { RATE_MHZ }
        }
        fn scale(&self) -> ImuScale {
            ImuScale {
                accel_mps2_per_lsb: if self.0 > 3 { 2.0 } else { 1.0 },
                gyro_radps_per_lsb: 1.0,
            }
        }
        fn read(&mut self, _: u64) -> Result<Reading<[i16; 6]>, Infallible> {
            if self.0 == 9 {
                return Ok(Reading::Nothing);
            }
            self.0 += 1;
            let (t_us, sample) = ((self.0 - 1) * PERIOD_US, [1; 6]);
            Ok(Reading::Sample { t_us, sample })
        }
    }
    let mut node: Node<_, _, _> = Node::new(
        Ranging(0),
        Link::default(),
        || 90_000,
        IDENTITY,
        Config::default(),
    );
    node.poll();
    node.stop();
    while node.poll() != Progress::Finished {}
    let (packets, _) = decode(&node.link().bytes);
    let blocks = packets.iter().filter_map(|packet| match &packet.payload {
        Payload::ImuRaw(block) => Some(block),
        _ => None,
    });
    let blocks: Vec<_> = blocks
        .map(|block| (block.index, block.rate_mhz, block.accel_mps2_per_lsb))
        .collect();
    let expected = [
        (0, RATE_MHZ, 1.0),
        (3, RATE_MHZ, 2.0),
        (6, RATE_MHZ + 1, 2.0),
    ];
    assert_eq!(blocks, expected);
}

/// A sensor that does not know its rate: its samples cannot be sent, and that is counted.
#[test]
fn samples_without_a_rate_are_dropped() {
    struct Rateless(u64);
    impl SampleSource for Rateless {
        type Block = ImuBlock;
        type Error = Infallible;
        fn rate_mhz(&self) -> u32 {
            0
        }
        fn scale(&self) {}
        fn read(&mut self, t_us: u64) -> Result<Reading<ImuSample>, Infallible> {
            self.0 += 1;
            let sample = numbered(self.0);
            Ok(match self.0 {
                // Its clock and its counters are at their ends, too.
                ..=20 => Reading::Sample { t_us, sample },
                21 => Reading::Missed(u32::MAX),
                _ => Reading::Nothing,
            })
        }
    }
    let now_us = Cell::new(u64::MAX - 1);
    let mut node: Node<_, _, _> = Node::new(
        Rateless(0),
        Link::default(),
        || now_us.get(),
        IDENTITY,
        Config::default(),
    );
    node.poll();
    now_us.set(u64::MAX);
    node.stop();
    while node.poll() != Progress::Finished {}
    let (status, all) = (node.status(), 20 + u64::from(u32::MAX));
    assert_eq!((status.sampled, status.sent, status.dropped), (all, 0, all));
    assert_eq!((status.missed, node.waiting()), (u32::MAX.into(), 0));
}

/// What [`Node`]'s documentation promises to whoever has to find room for one.
#[test]
fn a_node_is_as_small_as_it_says() {
    type Small<const QUEUE: usize> = Node<Sensor, (), fn() -> u64, QUEUE>;
    let one = size_of::<Small<2>>() - size_of::<Small<1>>();
    assert!((400..=512).contains(&one), "{one}");
    let besides = size_of::<Small<1>>() - one - size_of::<Sensor>();
    assert!((1024..=2048).contains(&besides), "{besides}");
}

use sensorium_wire::{End, Hello, ImuBlock, MAX_FRAME, encode};

use super::*;

fn frame(seq: u16, t_dev_us: u64, payload: Payload) -> Vec<u8> {
    let stream = match payload {
        Payload::Imu(_) => stream::IMU,
        _ => stream::NODE,
    };
    let packet = Packet {
        stream,
        seq,
        t_dev_us,
        payload,
    };
    encode(&packet, &mut [0; MAX_FRAME]).unwrap().to_vec()
}

fn hello(seq: u16, t_dev_us: u64, boot_id: u32) -> Vec<u8> {
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        firmware: [0; 3],
        unique_id: [0; 12],
        boot_id,
    };
    frame(seq, t_dev_us, Payload::Hello(hello))
}

fn block(seq: u16, index: u64, x: f32) -> Vec<u8> {
    let sample = ImuSample {
        accel_mps2: [x, 0.0, 9.8],
        ..ImuSample::default()
    };
    let samples = std::iter::repeat_n(sample, 4).collect();
    let block = ImuBlock {
        index,
        rate_mhz: 50_000,
        samples,
    };
    frame(seq, index * 20_000, Payload::Imu(block))
}

fn signals(frames: &[Vec<u8>]) -> (Vec<Signal>, NodeReader) {
    let (mut reader, mut said) = (NodeReader::new(), Vec::new());
    for frame in frames {
        reader.read(frame, 7, |signal| {
            if !matches!(signal, Signal::Frames(_)) {
                said.push(signal);
            }
        });
    }
    (said, reader)
}

fn indices(signals: &[Signal]) -> Vec<u64> {
    let index = |signal: &Signal| match signal {
        Signal::Block(block) => Some(block.index),
        _ => None,
    };
    signals.iter().filter_map(index).collect()
}

#[test]
fn blocks_keep_their_numbers_and_times() {
    let (said, reader) = signals(&[hello(0, 0, 1), block(0, 0, 1.0), block(1, 4, 1.0)]);
    assert_eq!(said[0], Signal::Boot { boot_id: 1 });
    let Signal::Block(second) = &said[2] else {
        panic!("{said:?}")
    };
    assert_eq!(
        (second.index, second.t_us, second.rate_mhz),
        (4, 80_000, 50_000)
    );
    let times_us: Vec<u64> = (0..4).map(|at| second.time_us(at)).collect();
    assert_eq!(times_us, [80_000, 100_000, 120_000, 140_000]);
    let Samples::Imu(samples) = &second.samples else {
        panic!("{second:?}")
    };
    assert_eq!((samples[0].accel_mps2[0], second.t_host_ns), (1.0, Some(7)));
    assert!(!reader.has_ended());
}

#[test]
fn samples_that_are_no_numbers_are_not_believed() {
    let (said, _) = signals(&[block(0, 0, 1.0), block(1, 4, f32::NAN), block(2, 8, 1.0)]);
    assert_eq!(indices(&said), [0, 8]);
}

#[test]
fn a_sample_is_taken_once_and_a_reboot_starts_anew() {
    let end = frame(
        2,
        200_000,
        Payload::End(End {
            sampled: 8,
            dropped: 0,
        }),
    );
    let (said, reader) = signals(&[
        hello(0, 0, 1),
        block(0, 4, 1.0),
        block(1, 0, 1.0),
        hello(1, 100_000, 2),
        block(0, 0, 1.0),
        end,
    ]);
    assert_eq!(indices(&said), [4, 0]);
    assert!(said.contains(&Signal::Reboot { boot_id: 2 }));
    let counts = Signal::NodeCounts {
        t_dev_us: 200_000,
        sampled: 8,
        dropped: 0,
    };
    assert_eq!(said.last(), Some(&counts));
    assert!(reader.has_ended());
}

#[test]
fn damage_is_counted_and_does_not_spread() {
    let mut damaged = block(1, 4, 1.0);
    damaged[9] ^= 0x40;
    let mut reader = NodeReader::new();
    let mut said = Vec::new();
    let bytes = [block(0, 0, 1.0), damaged, block(2, 8, 1.0)].concat();
    reader.read(&bytes, 7, |signal| said.push(signal));
    assert_eq!(indices(&said), [0, 8]);
    let Some(Signal::Frames(counts)) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!((counts.frames_ok, counts.refused()), (2, 1));
}

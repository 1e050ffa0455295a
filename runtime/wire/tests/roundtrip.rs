//! Every packet survives the trip, and nothing that is not a packet passes for one.

mod arbitrary;

use arbitrary::packet;
use proptest::prelude::*;
use sensorium_wire::{
    DecodeError, Decoder, EncodeError, ImuBlock, MAX_FRAME, Packet, Payload, encode,
};

fn frame(packet: &Packet) -> Vec<u8> {
    let mut buf = [0; MAX_FRAME];
    encode(packet, &mut buf)
        .expect("every packet fits a frame")
        .to_vec()
}

fn decode(bytes: &[u8]) -> Vec<Result<Packet, DecodeError>> {
    let mut decoder = Decoder::new();
    bytes.iter().filter_map(|&b| decoder.push(b)).collect()
}

/// A frame as only a faulty or a future node would send it.
fn forged(version: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![version, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    body.extend(payload);
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&body);
    body.extend(checksum.to_le_bytes());
    let mut frame = vec![0; cobs::max_encoding_length(body.len()) + 1];
    let len = cobs::encode(&body, &mut frame);
    frame.truncate(len + 1);
    frame[len] = 0;
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_packet_survives(packet in packet()) {
        let sent = frame(&packet);
        prop_assert!(sent.len() <= MAX_FRAME);
        prop_assert_eq!(sent.iter().position(|&b| b == 0), Some(sent.len() - 1));
        let got = decode(&sent);
        prop_assert_eq!(got.len(), 1);
        // Compared as bytes, since a NaN equals nothing.
        prop_assert_eq!(frame(got[0].as_ref().unwrap()), sent);
    }

    #[test]
    fn a_buffer_is_big_enough_or_refused(packet in packet(), room in 0..MAX_FRAME) {
        let sent = frame(&packet);
        let mut buf = vec![0xaa; room];
        match encode(&packet, &mut buf) {
            Ok(written) => prop_assert_eq!(written, &sent),
            Err(error) => {
                prop_assert!(room < sent.len());
                prop_assert_eq!(error, EncodeError::BufferTooSmall { capacity: room });
            }
        }
        let mut exact = vec![0xaa; sent.len()];
        prop_assert_eq!(encode(&packet, &mut exact), Ok(&sent[..]));
    }

    #[test]
    fn noise_stops_nothing(noise: Vec<u8>, packet in packet()) {
        let sent = frame(&packet);
        let mut bytes = noise;
        bytes.push(0);
        bytes.extend(&sent);
        let got = decode(&bytes).pop().unwrap().unwrap();
        prop_assert_eq!(frame(&got), sent);
    }

    #[test]
    fn a_payload_that_is_no_message_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..492)) {
        // If by chance it is one, no byte was left over: varints may only be longer than needed.
        let sent = forged(1, &payload);
        for packet in decode(&sent).into_iter().flatten() {
            prop_assert!(frame(&packet).len() <= sent.len());
        }
    }
}

#[test]
fn what_a_decoder_refuses_and_counts() {
    let end = [5, 10, 0];
    let refused = [
        (
            forged(1, &[5, 10, 0, 0]),
            DecodeError::Malformed { len: 21 },
        ),
        (forged(1, &[5, 10]), DecodeError::Malformed { len: 19 }),
        (forged(1, &[]), DecodeError::Malformed { len: 17 }),
        (forged(1, &[1, 0, 0, 0]), DecodeError::Malformed { len: 21 }),
        (forged(1, &[0x86, 0]), DecodeError::Malformed { len: 19 }),
        (forged(1, &[6, 1, 2]), DecodeError::Unknown { number: 6 }),
        (forged(2, &end), DecodeError::Version { actual: 2 }),
        (forged(0, &end), DecodeError::Version { actual: 0 }),
        (vec![9, 1, 0], DecodeError::Malformed { len: 2 }),
        (vec![7; 511], DecodeError::Malformed { len: 510 }),
        (vec![7; 513], DecodeError::Overrun { len: 512 }),
        (vec![7; 9000], DecodeError::Overrun { len: 8999 }),
    ];
    let mut decoder = Decoder::new();
    let mut bytes_discarded = 0;
    for (mut bytes, error) in refused {
        *bytes.last_mut().unwrap() = 0;
        bytes_discarded += bytes.len() as u64;
        let got: Vec<_> = bytes.iter().filter_map(|&b| decoder.push(b)).collect();
        assert_eq!(got, [Err(error)]);
    }
    let counts = decoder.counts();
    assert_eq!(counts.malformed, 7);
    assert_eq!(counts.unknown_messages, 1);
    assert_eq!(counts.wrong_version, 2);
    assert_eq!(counts.overruns, 2);
    assert_eq!((counts.frames_ok, counts.checksum_errors), (0, 0));
    assert_eq!(
        (counts.refused(), counts.bytes_discarded),
        (12, bytes_discarded)
    );

    // In step at once, and empty frames mean nothing.
    let mut bytes = vec![0, 0, 0];
    bytes.extend(forged(1, &end));
    assert_eq!(bytes.iter().filter_map(|&b| decoder.push(b)).count(), 1);
    assert_eq!(decoder.counts().frames_ok, 1);
    assert_eq!(decoder.counts().refused(), 12);
}

#[test]
fn the_end_of_a_link_is_the_end_of_a_frame() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.finish(), None);
    let whole = forged(1, &[5, 10, 0]);
    for &byte in &whole[..whole.len() - 1] {
        assert_eq!(decoder.push(byte), None);
    }
    assert!(matches!(decoder.finish(), Some(Ok(_))));
    for &byte in &whole[..9] {
        assert_eq!(decoder.push(byte), None);
    }
    assert!(matches!(decoder.finish(), Some(Err(_))));
    assert_eq!(decoder.finish(), None);
    let counts = decoder.counts();
    assert_eq!(
        (counts.frames_ok, counts.refused(), counts.bytes_discarded),
        (1, 1, 9)
    );
}

#[test]
fn a_block_without_a_rate_is_not_written() {
    let packet = Packet {
        stream: 16,
        seq: 0,
        t_dev_us: 0,
        payload: Payload::Imu(ImuBlock {
            index: 0,
            rate_mhz: 0,
            samples: heapless::Vec::new(),
        }),
    };
    assert_eq!(
        encode(&packet, &mut [0; MAX_FRAME]),
        Err(EncodeError::ZeroRate)
    );
}

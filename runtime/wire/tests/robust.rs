//! Whatever comes behind a right checksum, the decoder neither panics nor takes it for more than it
//! is: what it accepts can be written again and read back as the same. A node with a fault in its
//! firmware sends such frames, and a later version of the protocol may.

mod arbitrary;

use arbitrary::packet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sensorium_wire::{
    DecodeError, Decoder, MAX_FRAME, MAX_STREAMS, Packet, Payload, StreamTable, VERSION, encode,
};

const HEADER_LEN: usize = 12;

fn seeded(seed: u8) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn below(runner: &mut TestRunner, end: usize) -> usize {
    (runner.rng().next_u64() % end as u64) as usize
}

fn frame(packet: &Packet) -> Vec<u8> {
    let mut buf = [0; MAX_FRAME];
    encode(packet, &mut buf)
        .expect("every packet fits a frame")
        .to_vec()
}

/// What a frame says, without its checksum.
fn body(frame: &[u8]) -> Vec<u8> {
    let mut body = frame[..frame.len() - 1].to_vec();
    let len = cobs::decode_in_place(&mut body).expect("a frame is stuffed");
    body.truncate(len - 4);
    body
}

/// The frame that says so, with a right checksum.
fn forged(body: &[u8]) -> Vec<u8> {
    let mut checked = body.to_vec();
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(body);
    checked.extend(checksum.to_le_bytes());
    let mut frame = vec![0; cobs::max_encoding_length(checked.len()) + 1];
    let len = cobs::encode(&checked, &mut frame);
    frame.truncate(len + 1);
    frame[len] = 0;
    frame
}

fn decode(bytes: &[u8]) -> Option<Result<Packet, DecodeError>> {
    let mut decoder = Decoder::new();
    bytes.iter().find_map(|&byte| decoder.push(byte))
}

/// One thing that a faulty encoder does.
fn spoil(body: &mut Vec<u8>, runner: &mut TestRunner) {
    let at = below(runner, body.len());
    match below(runner, 5) {
        0 => body[at] = runner.rng().next_u32() as u8,
        // A varint that does not end, a length that is too long, a message that is not known.
        1 => body[at] = 0xff,
        2 => body.truncate(at.max(1)),
        3 => body.insert(at, runner.rng().next_u32() as u8),
        _ => {
            body.remove(at);
        }
    }
    if body.is_empty() {
        body.push(VERSION);
    }
}

#[test]
fn a_right_checksum_proves_nothing_else() {
    let mut runner = seeded(5);
    let strategy = packet();
    let (mut accepted, mut refused) = (0, [0; 4]);
    let mut table = StreamTable::new();
    for _ in 0..100_000 {
        let clean = strategy.new_tree(&mut runner).unwrap().current();
        let mut body = body(&frame(&clean));
        for _ in 0..=below(&mut runner, 3) {
            spoil(&mut body, &mut runner);
        }
        match decode(&forged(&body)).unwrap() {
            Ok(got) => {
                accepted += 1;
                let again = frame(&got);
                let reread = decode(&again).unwrap().unwrap();
                assert_eq!(frame(&reread), again);
                // What a host asks of a packet has an answer for every value in it.
                table.observe(&got);
                match &got.payload {
                    Payload::Imu(block) => {
                        assert_ne!(block.rate_mhz, 0);
                        assert!(block.offset_us(block.samples.len()) >= block.offset_us(0));
                    }
                    Payload::ImuRaw(block) => {
                        assert_ne!(block.rate_mhz, 0);
                        assert_eq!(block.iter().count(), block.samples.len());
                        assert!(block.offset_us(block.samples.len()) >= block.offset_us(0));
                        assert_eq!(block.sample(block.samples.len()), None);
                    }
                    _ => {}
                }
            }
            Err(DecodeError::Malformed { .. }) => refused[0] += 1,
            Err(DecodeError::Version { .. }) => refused[1] += 1,
            Err(DecodeError::Unknown { .. }) => refused[2] += 1,
            Err(DecodeError::Overrun { .. }) => refused[3] += 1,
            Err(error) => panic!("{error}: the checksum is right"),
        }
    }
    println!("accepted {accepted}, refused {refused:?}");
    assert!(accepted > 10_000);
    assert!(refused[..3].iter().all(|&count| count > 100), "{refused:?}");
    assert!(table.iter().count() <= MAX_STREAMS);
}

/// Payloads of random bytes behind every message number, so that every field of every message is
/// met with nonsense.
#[test]
fn random_payloads_are_messages_or_malformed() {
    let mut runner = seeded(6);
    let mut accepted = [0_u32; 256];
    for round in 0..50_000 {
        let number = (round % 8) as u8;
        let mut body = vec![VERSION; HEADER_LEN];
        body.push(number);
        let mut payload = vec![0; below(&mut runner, 80)];
        runner.rng().fill_bytes(&mut payload);
        // Small numbers, so that lengths and varints are right now and then.
        let mask = [0xff, 0x7f, 0x0f, 0x03][below(&mut runner, 4)];
        body.extend(payload.iter().map(|byte| byte & mask));
        match decode(&forged(&body)).unwrap() {
            Ok(got) => {
                accepted[usize::from(number)] += 1;
                assert!(frame(&got).len() <= forged(&body).len());
            }
            Err(DecodeError::Unknown { number: unknown }) => assert_eq!(unknown, number),
            Err(error) => assert!(matches!(error, DecodeError::Malformed { .. }), "{error}"),
        }
    }
    println!("accepted: {:?}", &accepted[..8]);
    let known = usize::from(Payload::NEWEST) + 1;
    assert!(accepted[..known].iter().all(|&count| count > 0));
    assert!(accepted[known..].iter().all(|&count| count == 0));
}

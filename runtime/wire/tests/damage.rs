//! A damaged frame is refused and counted, or it is still the packet that was sent. Over 100 000
//! seeded random frames no other packet is ever accepted.

mod arbitrary;

use arbitrary::packet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sensorium_wire::{Arrival, Decoder, End, MAX_FRAME, Packet, Payload, StreamTable, encode};

const FRAMES: usize = 100_000;

fn seeded(seed: u8) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn frame(packet: &Packet) -> Vec<u8> {
    let mut buf = [0; MAX_FRAME];
    encode(packet, &mut buf)
        .expect("every packet fits a frame")
        .to_vec()
}

fn below(runner: &mut TestRunner, end: usize) -> usize {
    (runner.rng().next_u64() % end as u64) as usize
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    BitFlip,
    Burst,
    LostByte,
    DoubledByte,
    LostDelimiter,
    Dropped,
}

const KINDS: [Damage; 7] = [
    Damage::None,
    Damage::BitFlip,
    Damage::Burst,
    Damage::LostByte,
    Damage::DoubledByte,
    Damage::LostDelimiter,
    Damage::Dropped,
];

fn damage(kind: Damage, frame: &mut Vec<u8>, runner: &mut TestRunner) {
    let at = below(runner, frame.len());
    match kind {
        Damage::None => {}
        Damage::BitFlip => frame[at] ^= 1 << below(runner, 8),
        Damage::Burst => {
            let end = (at + 1 + below(runner, 32)).min(frame.len());
            for byte in &mut frame[at..end] {
                *byte = runner.rng().next_u32() as u8;
            }
        }
        Damage::LostByte => {
            frame.remove(at);
        }
        Damage::DoubledByte => frame.insert(at, frame[at]),
        Damage::LostDelimiter => {
            frame.pop();
        }
        Damage::Dropped => frame.clear(),
    }
}

/// One stream of frames as a bad cable delivers it, and one clean `End`.
#[test]
fn no_wrong_packet_in_100_000_frames() {
    let mut runner = seeded(1);
    let strategy = packet();
    let mut decoder = Decoder::new();
    let mut table = StreamTable::new();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let (mut accepted, mut next) = (0_u64, 0);
    let mut damaged = [0; KINDS.len()];

    for number in 0..=FRAMES {
        let last = number == FRAMES;
        let mut packet = strategy.new_tree(&mut runner).unwrap().current();
        packet.stream = 16;
        packet.seq = number as u16;
        packet.t_dev_us = 1000 * number as u64;
        if matches!(packet.payload, Payload::Hello(_)) || last {
            // A hello would reset the count of lost frames, which this test adds up.
            packet.payload = Payload::End(End {
                sampled: number as u64,
                dropped: 0,
            });
        }
        let clean = frame(&packet);
        let mut bytes = clean.clone();
        let kind = match (number, last) {
            (0, _) | (_, true) => 0,
            _ => below(&mut runner, KINDS.len()),
        };
        damage(KINDS[kind], &mut bytes, &mut runner);
        damaged[kind] += 1;
        sent.push(clean);

        if last {
            bytes.insert(0, 0); // the frame before may have lost its delimiter
        }
        for got in bytes.iter().filter_map(|&byte| decoder.push(byte)) {
            let Ok(got) = got else { continue };
            // It is one of those sent and newer than the one before, bit for bit.
            let got_frame = frame(&got);
            let at = sent[next..].iter().position(|sent| *sent == got_frame);
            next += 1 + at.expect("a packet was accepted that was never sent");
            accepted += 1;
            let arrival = table.observe(&got);
            assert!(!matches!(arrival, Arrival::Old | Arrival::Reboot));
        }
    }
    assert_eq!(next, sent.len(), "the last frame is clean");

    let (frames, counts) = (table.counts(16).unwrap(), decoder.counts());
    println!("damage: {KINDS:?} {damaged:?}\n{frames:?}\n{counts:?}");
    assert_eq!(counts.frames_ok, accepted);
    assert_eq!(frames.received, accepted);
    assert_eq!(frames.received + frames.lost, sent.len() as u64);
    assert!(accepted as usize > FRAMES / 10);
    assert!(damaged.iter().all(|&count| count > FRAMES / 10));
    assert!(counts.refused() as usize > FRAMES / 3);
}

/// Frame by frame: whatever was done to it, and however the link falls in step again, the decoder
/// either counts at least one refusal or yields the very packet that was sent.
#[test]
fn damage_is_counted_or_harmless() {
    let mut runner = seeded(2);
    let strategy = packet();
    let mut harmless = 0;
    for number in 0..FRAMES / 4 {
        let packet = strategy.new_tree(&mut runner).unwrap().current();
        let clean = frame(&packet);
        let kind = KINDS[1 + number % (KINDS.len() - 2)];
        let mut bytes = clean.clone();
        damage(kind, &mut bytes, &mut runner);
        if kind == Damage::LostDelimiter {
            bytes.extend(&clean);
        }
        bytes.push(0);

        let mut decoder = Decoder::new();
        let got: Vec<_> = bytes.iter().filter_map(|&b| decoder.push(b)).collect();
        for packet in got.iter().flatten() {
            assert_eq!(frame(packet), clean, "{kind:?} made another packet");
        }
        let counts = decoder.counts();
        let untouched = counts.frames_ok > 0 && counts.refused() == 0;
        assert!(counts.refused() > 0 || untouched, "{kind:?} vanished");
        harmless += usize::from(untouched);

        // The next frame gets through.
        let after: Vec<_> = clean.iter().filter_map(|&b| decoder.push(b)).collect();
        assert_eq!(frame(after[0].as_ref().unwrap()), clean);
    }
    // A delimiter doubled or lost just ahead of another, or a burst that changed nothing.
    println!("harmless: {harmless} of {}", FRAMES / 4);
    assert!(harmless < FRAMES / 100);
}

/// Every single bit of a few hundred frames, none of which may be overlooked.
#[test]
fn every_bit_counts() {
    let mut runner = seeded(3);
    let strategy = packet();
    let mut flips = 0;
    for _ in 0..300 {
        let clean = frame(&strategy.new_tree(&mut runner).unwrap().current());
        for bit in 0..clean.len() * 8 {
            let mut bytes = clean.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.push(0);
            let mut decoder = Decoder::new();
            for got in bytes.iter().filter_map(|&b| decoder.push(b)) {
                assert!(got.is_err(), "bit {bit} of {clean:02x?}");
            }
            assert!(decoder.counts().refused() > 0);
            flips += 1;
        }
    }
    println!("single bits flipped: {flips}");
}

/// A megabyte of noise, in which a zero comes now and then, and a clean frame after it.
#[test]
fn noise_never_panics_and_never_passes() {
    let mut runner = seeded(4);
    let clean = frame(&packet().new_tree(&mut runner).unwrap().current());
    let mut decoder = Decoder::new();
    let mut bytes = vec![0; 1 << 20];
    runner.rng().fill_bytes(&mut bytes);
    // Without zeros for long stretches, frames overrun.
    for byte in bytes[..1 << 19].iter_mut().filter(|byte| **byte == 0) {
        *byte = 1;
    }
    let accepted = bytes.iter().filter_map(|&b| decoder.push(b)).flatten();
    assert_eq!(accepted.count(), 0);
    let _ = decoder.push(0);
    let counts = decoder.counts();
    let delimiters = bytes.iter().filter(|&&b| b == 0).count() as u64;
    assert!(counts.overruns >= 1 && counts.malformed + counts.checksum_errors > 1000);
    assert!(counts.bytes_discarded > (1 << 20) - delimiters);
    let got = clean.iter().find_map(|&byte| decoder.push(byte));
    assert_eq!(frame(&got.unwrap().unwrap()), clean);
}

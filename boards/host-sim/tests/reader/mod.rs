//! A host's end of the pty.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use sensorium_wire::{Decoder, End, ImuSample, Packet, Payload};
use serialport::TTYPort;

/// Longer than anything takes that works.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Some samples, all of them different.
pub fn samples(count: usize) -> impl Iterator<Item = ImuSample> {
    (0..count).map(|i| ImuSample {
        accel_mps2: [i as f32, 0.0, 9.5],
        gyro_radps: [0.0, 0.25, 0.0],
    })
}

/// The port, as a host opens it.
pub fn open(path: &str) -> TTYPort {
    let port = serialport::new(path, 115_200).timeout(TIMEOUT);
    port.open_native().expect("the port opens")
}

/// Reads until the port hangs up: no command, no handshake.
pub fn read_to_end(mut port: TTYPort) -> (Vec<Packet>, u64) {
    let (mut decoder, mut packets, mut buf) = (Decoder::new(), Vec::new(), [0; 4096]);
    loop {
        match port.read(&mut buf) {
            Ok(0) => break,
            Ok(read) => packets.extend(buf[..read].iter().filter_map(|&b| decoder.push(b)?.ok())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                // A terminal that hung up says so in more than one way.
                assert_ne!(error.kind(), ErrorKind::TimedOut, "nothing more comes");
                break;
            }
        }
    }
    (packets, decoder.counts().refused())
}

/// Samples received, and the node's last word.
pub fn received(packets: &[Packet]) -> (u64, Option<End>) {
    let mut ledger = (0, None);
    for packet in packets {
        match &packet.payload {
            Payload::Imu(block) => ledger.0 += block.samples.len() as u64,
            Payload::End(end) => ledger.1 = Some(*end),
            _ => {}
        }
    }
    ledger
}

//! What a sensor node sends, from bytes to signals.

use sensorium_core::ImuSample;
use sensorium_wire::{Arrival, DecodeCounts, Decoder, Packet, Payload, StreamTable, stream};

use super::{Block, Samples, Signal};

/// Reads the bytes of one node's link.
#[derive(Debug, Default)]
pub struct NodeReader {
    decoder: Decoder,
    streams: StreamTable,
    /// One past the highest sample of this boot, so that no sample is taken twice.
    next_index: u64,
    told: DecodeCounts,
    ended: bool,
}

impl NodeReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that arrived at `t_host_ns` and calls `say` for what they mean.
    pub fn read(&mut self, bytes: &[u8], t_host_ns: i64, mut say: impl FnMut(Signal)) {
        for &byte in bytes {
            if let Some(Ok(packet)) = self.decoder.push(byte) {
                self.take(packet, t_host_ns, &mut say);
            }
        }
        let counts = self.decoder.counts();
        if counts != self.told {
            self.told = counts;
            say(Signal::Frames(counts));
        }
    }

    /// Whether the node has said that it will send nothing more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn take(&mut self, packet: Packet, t_host_ns: i64, say: &mut impl FnMut(Signal)) {
        let known_boot = self.streams.boot_id();
        let arrival = self.streams.observe(&packet);
        if arrival == Arrival::Reboot {
            self.next_index = 0;
            self.ended = false;
        }
        if !arrival.is_new() {
            return;
        }
        let t_dev_us = packet.t_dev_us;
        match packet.payload {
            Payload::Hello(hello) => {
                let boot_id = hello.boot_id;
                if arrival == Arrival::Reboot {
                    say(Signal::Reboot { boot_id });
                } else if known_boot.is_none() {
                    say(Signal::Boot { boot_id });
                }
            }
            Payload::Status(status) => say(Signal::NodeCounts {
                t_dev_us,
                sampled: status.sampled,
                dropped: status.dropped,
            }),
            Payload::End(end) => {
                self.ended = true;
                say(Signal::NodeCounts {
                    t_dev_us,
                    sampled: end.sampled,
                    dropped: end.dropped,
                });
            }
            Payload::Imu(imu) if packet.stream == stream::IMU => {
                let samples = imu.samples.to_vec();
                let place = (t_dev_us, imu.index, imu.rate_mhz);
                self.take_samples(samples, place, t_host_ns, say);
            }
            Payload::ImuRaw(raw) if packet.stream == stream::IMU => {
                let samples = raw.iter().collect();
                let place = (t_dev_us, raw.index, raw.rate_mhz);
                self.take_samples(samples, place, t_host_ns, say);
            }
            // Logs are for a terminal; other messages are of a newer protocol.
            _ => {}
        }
    }

    /// Passes on samples that continue what came before. Some from before a reboot whose hello has
    /// not come, or from a sensor that gives no numbers, are counted as lost rather than believed.
    fn take_samples(
        &mut self,
        samples: Vec<ImuSample>,
        (t_us, index, rate_mhz): (u64, u64, u32),
        t_host_ns: i64,
        say: &mut impl FnMut(Signal),
    ) {
        let finite = samples.iter().all(ImuSample::is_finite);
        if samples.is_empty() || index < self.next_index {
            return;
        }
        if !finite {
            say(Signal::NotFinite);
            return;
        }
        self.next_index = index.saturating_add(samples.len() as u64);
        say(Signal::Block(Block {
            index,
            t_us,
            rate_mhz,
            offsets_us: None,
            samples: Samples::Imu(samples),
            t_host_ns: Some(t_host_ns),
        }));
    }
}

#[cfg(test)]
mod tests;

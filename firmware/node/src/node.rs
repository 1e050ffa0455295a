use embedded_io::{Write, WriteReady};
use heapless::{Deque, Vec};
use sensorium_wire::{End, Hello, LOG_LEN, Log, Packet, Payload, Status, VERSION, stream};

use crate::sampler::{Sampler, len};
use crate::uplink::{Cargo, Sending, Uplink};
use crate::{Block, SampleSource};

/// Bytes of log that wait for the link at most.
const LOG_ROOM: usize = 2 * LOG_LEN;

/// Time since boot. Any closure that returns it is one.
pub trait Clock {
    /// Microseconds since boot. Never goes back.
    fn now_us(&mut self) -> u64;
}

impl<F: FnMut() -> u64> Clock for F {
    fn now_us(&mut self) -> u64 {
        self()
    }
}

/// Who this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity {
    /// Version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// What tells this node from every other, as the silicon gives it.
    pub unique_id: [u8; 12],
    /// A number that the last boot did not have: random, or counted in flash.
    pub boot_id: u32,
}

/// How a node behaves. All times are in microseconds; 0 is allowed everywhere and means at once, or
/// at every poll for what repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Stream of the samples.
    pub stream: u8,
    /// Time from one [`Hello`] to the next.
    pub hello_every_us: u32,
    /// Time from one [`Status`] to the next.
    pub status_every_us: u32,
    /// A block is sent when it is full, or its first sample this old.
    pub max_block_age_us: u32,
    /// How long a stopped node tries to send what waits, and as long again to send its [`End`].
    pub stop_timeout_us: u32,
    /// How often [`End`] is sent, since one frame may be lost.
    pub end_repeats: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stream: stream::IMU,
            hello_every_us: 1_000_000,
            status_every_us: 1_000_000,
            max_block_age_us: 200_000,
            stop_timeout_us: 2_000_000,
            end_repeats: 8,
        }
    }
}

/// What a poll left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// All that was due is sent: sleep until the next sample.
    Idle,
    /// The link took no more; what is left waits.
    LinkFull,
    /// The link failed; what is left waits.
    LinkFailed,
    /// Stopped, and nothing is left to do.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Sending what waits.
    Draining {
        until_us: u64,
    },
    /// Sending [`End`].
    Ending {
        until_us: u64,
        left: u8,
    },
    Finished,
}

/// A sensor node: one sensor, one link. `QUEUE` blocks wait for the link at most.
///
/// Takes about half a kilobyte a block of the queue and one and a half besides, and does not
/// allocate.
#[derive(Debug)]
pub struct Node<S: SampleSource, L, C, const QUEUE: usize = 8> {
    sampler: Sampler<S, QUEUE>,
    uplink: Uplink<L>,
    clock: C,
    identity: Identity,
    config: Config,
    state: State,
    sent: u64,
    hello_due_us: u64,
    status_due_us: u64,
    log: Deque<u8, LOG_ROOM>,
    logs_dropped: u32,
    node_seq: u16,
    log_seq: u16,
    sensor_seq: u16,
}

impl<S, L, C, const QUEUE: usize> Node<S, L, C, QUEUE>
where
    S: SampleSource,
    L: Write + WriteReady,
    C: Clock,
{
    /// A node that has not sampled yet. Its first [`Status`] comes after one interval, its first
    /// [`Hello`] before anything else.
    pub fn new(source: S, link: L, mut clock: C, identity: Identity, config: Config) -> Self {
        let now_us = clock.now_us();
        Self {
            sampler: Sampler::new(source, config.max_block_age_us),
            uplink: Uplink::new(link),
            clock,
            identity,
            config,
            state: State::Running,
            sent: 0,
            hello_due_us: now_us,
            status_due_us: now_us.saturating_add(u64::from(config.status_every_us)),
            log: Deque::new(),
            logs_dropped: 0,
            node_seq: 0,
            log_seq: 0,
            sensor_seq: 0,
        }
    }

    /// Reads the sensor and sends what is due, without waiting for either.
    pub fn poll(&mut self) -> Progress {
        let now_us = self.clock.now_us();
        if self.state == State::Running {
            self.sampler.sample(now_us);
        }
        loop {
            self.advance(now_us);
            if self.state == State::Finished {
                return Progress::Finished;
            }
            if !self.uplink.is_loaded() && !self.load(now_us) {
                return Progress::Idle;
            }
            let sending = self.uplink.send();
            self.account(sending);
            match sending {
                Sending::Sent(_) => {}
                Sending::Full => return Progress::LinkFull,
                Sending::SentAndFailed(_) | Sending::Failed | Sending::Broken(_) => {
                    return Progress::LinkFailed;
                }
            }
        }
    }

    /// Stops sampling. Poll on until [`Progress::Finished`]: what waits is sent, then [`End`].
    /// Whatever the link does, that takes no longer than twice
    /// [`stop_timeout_us`](Config::stop_timeout_us).
    pub fn stop(&mut self) {
        if self.state == State::Running {
            self.sampler.close_block();
            let until_us = self.stop_deadline_us();
            self.state = State::Draining { until_us };
        }
    }

    /// Queues bytes for the log stream, all or none; returns whether there was room. What finds none
    /// is counted.
    pub fn log(&mut self, bytes: &[u8]) -> bool {
        let room = self.log.capacity() - self.log.len();
        if bytes.len() > room {
            self.logs_dropped = self.logs_dropped.saturating_add(1);
            return false;
        }
        bytes.iter().all(|&byte| self.log.push_back(byte).is_ok())
    }

    /// What has become of the samples so far.
    pub fn status(&self) -> Status {
        let counts = self.sampler.counts;
        Status {
            sampled: counts.sampled,
            sent: self.sent,
            dropped: counts.dropped,
            missed: counts.missed,
            sensor_errors: counts.sensor_errors,
            link_errors: self.uplink.errors,
            logs_dropped: self.logs_dropped,
        }
    }

    /// Samples in memory: `sampled - sent - dropped`.
    pub fn waiting(&self) -> u64 {
        self.sampler.waiting() + self.uplink.waiting()
    }

    /// The sensor.
    pub fn source(&mut self) -> &mut S {
        &mut self.sampler.source
    }

    /// The link. Bytes written here come between frames or within one.
    pub fn link(&mut self) -> &mut L {
        &mut self.uplink.link
    }

    /// Takes the node apart. A link that buffers is best flushed now.
    pub fn release(self) -> (S, L) {
        (self.sampler.source, self.uplink.link)
    }

    /// Moves a stopped node on.
    fn advance(&mut self, now_us: u64) {
        if let State::Draining { until_us } = self.state {
            let waits =
                self.uplink.is_loaded() || self.sampler.has_blocks() || !self.log.is_empty();
            if !waits || now_us >= until_us {
                if let Some(sending) = self.uplink.give_up() {
                    self.account(sending);
                }
                while let Some(stamped) = self.sampler.pop() {
                    self.sampler.counts.dropped += len(&stamped.block);
                }
                self.state = State::Ending {
                    until_us: self.stop_deadline_us(),
                    left: self.config.end_repeats,
                };
            }
        }
        if let State::Ending { until_us, left } = self.state
            && (left == 0 || now_us >= until_us)
        {
            self.state = State::Finished;
        }
    }

    /// Puts the most urgent message on its way; returns whether there was one.
    fn load(&mut self, now_us: u64) -> bool {
        if now_us >= self.hello_due_us {
            self.hello_due_us = now_us.saturating_add(u64::from(self.config.hello_every_us.max(1)));
            let hello = Hello {
                protocol_min: VERSION,
                protocol_max: VERSION,
                firmware: self.identity.firmware,
                unique_id: self.identity.unique_id,
                boot_id: self.identity.boot_id,
            };
            return self.load_message(now_us, Payload::Hello(hello));
        }
        if let State::Ending { .. } = self.state {
            let status = self.status();
            let end = End {
                sampled: status.sampled,
                dropped: status.dropped,
            };
            return self.load_message(now_us, Payload::End(end));
        }
        if now_us >= self.status_due_us {
            self.status_due_us =
                now_us.saturating_add(u64::from(self.config.status_every_us.max(1)));
            return self.load_message(now_us, Payload::Status(self.status()));
        }
        while let Some(stamped) = self.sampler.pop() {
            let samples = len(&stamped.block);
            let payload = stamped.block.into_payload();
            if self.load_packet(stamped.t_us, payload, Cargo::Samples(samples)) {
                return true;
            }
        }
        if !self.log.is_empty() {
            let mut bytes = Vec::new();
            while !bytes.is_full()
                && let Some(byte) = self.log.pop_front()
            {
                let _there_is_room = bytes.push(byte);
            }
            return self.load_message(now_us, Payload::Log(Log { bytes }));
        }
        false
    }

    fn load_message(&mut self, now_us: u64, payload: Payload) -> bool {
        let cargo = Cargo::of(&payload);
        self.load_packet(now_us, payload, cargo)
    }

    /// Returns whether the packet could be written, which fails only for samples without a rate.
    fn load_packet(&mut self, t_dev_us: u64, payload: Payload, cargo: Cargo) -> bool {
        let (stream, seq) = match payload {
            Payload::Hello(_) => (stream::NODE, &mut self.node_seq),
            Payload::Log(_) => (stream::LOG, &mut self.log_seq),
            _ => (self.config.stream, &mut self.sensor_seq),
        };
        let packet = Packet {
            stream,
            seq: *seq,
            t_dev_us,
            payload,
        };
        match self.uplink.load(&packet, cargo) {
            Ok(()) => {
                *seq = seq.wrapping_add(1);
                true
            }
            Err(_counted) => {
                self.account(Sending::Broken(cargo));
                false
            }
        }
    }

    /// Enters in the ledger what has become of a frame.
    fn account(&mut self, sending: Sending) {
        match sending {
            Sending::Sent(cargo) | Sending::SentAndFailed(cargo) => match cargo {
                Cargo::Samples(samples) => self.sent += samples,
                Cargo::End => {
                    if let State::Ending { left, .. } = &mut self.state {
                        *left = left.saturating_sub(1);
                    }
                }
                Cargo::Other => {}
            },
            Sending::Broken(Cargo::Samples(samples)) => self.sampler.counts.dropped += samples,
            Sending::Broken(_) | Sending::Full | Sending::Failed => {}
        }
    }

    fn stop_deadline_us(&mut self) -> u64 {
        let timeout_us = u64::from(self.config.stop_timeout_us);
        self.clock.now_us().saturating_add(timeout_us)
    }
}

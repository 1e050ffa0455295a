//! A bad cable between the node and its link.

use embedded_io::{ErrorType, Write, WriteReady};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Longest burst of changed bytes: 32 bit times of noise at eight times the rate.
const MAX_BURST: usize = 32;

/// A link that damages a given fraction of the frames on their way into another link, in ways that
/// a serial line does.
///
/// Every frame is at risk alike, the first [`Hello`](sensorium_wire::Hello) and every
/// [`End`](sensorium_wire::End) included: the node repeats both, so that one of them arrives. The
/// choices depend on the seed and on nothing else.
#[derive(Debug)]
pub struct Destroyer<L> {
    link: L,
    fraction: f64,
    rng: ChaCha8Rng,
    /// The frame that the node is writing.
    frame: Vec<u8>,
    /// What the link has not taken yet.
    out: Vec<u8>,
    counts: DamageCounts,
}

/// What a [`Destroyer`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DamageCounts {
    /// Frames that came by, damaged or not.
    pub frames: u64,
    /// Frames with one bit flipped.
    pub bit_flips: u64,
    /// Frames with some bytes in a row replaced.
    pub bursts: u64,
    /// Frames that lost a byte.
    pub lost_bytes: u64,
    /// Frames in which a byte came twice.
    pub doubled_bytes: u64,
    /// Frames that ran into the next one.
    pub lost_delimiters: u64,
    /// Frames that vanished.
    pub lost_frames: u64,
}

impl DamageCounts {
    /// Frames damaged, in whatever way.
    pub fn damaged(&self) -> u64 {
        self.bit_flips
            + self.bursts
            + self.lost_bytes
            + self.doubled_bytes
            + self.lost_delimiters
            + self.lost_frames
    }
}

impl<L> Destroyer<L> {
    /// Damages the `fraction` (0 to 1) of the frames that go into `link`.
    pub fn new(link: L, fraction: f64, seed: u64) -> Self {
        Self {
            link,
            fraction: fraction.clamp(0.0, 1.0),
            rng: ChaCha8Rng::seed_from_u64(seed),
            frame: Vec::new(),
            out: Vec::new(),
            counts: DamageCounts::default(),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> DamageCounts {
        self.counts
    }

    fn take(&mut self, byte: u8) {
        self.frame.push(byte);
        if byte != 0 {
            return;
        }
        // An empty frame is only a delimiter more.
        if self.frame.len() > 1 {
            self.counts.frames += 1;
            if self.rng.random_bool(self.fraction) {
                self.damage();
            }
        }
        self.out.append(&mut self.frame);
    }

    fn damage(&mut self) {
        let (frame, rng, counts) = (&mut self.frame, &mut self.rng, &mut self.counts);
        let at = rng.random_range(0..frame.len());
        let counter = match rng.random_range(0..6_u8) {
            0 => {
                frame[at] ^= 1 << rng.random_range(0..8_u8);
                &mut counts.bit_flips
            }
            1 => {
                let end = (at + rng.random_range(1..=MAX_BURST)).min(frame.len());
                rng.fill_bytes(&mut frame[at..end]);
                &mut counts.bursts
            }
            2 => {
                frame.remove(at);
                &mut counts.lost_bytes
            }
            3 => {
                frame.insert(at, frame[at]);
                &mut counts.doubled_bytes
            }
            4 => {
                frame.pop();
                &mut counts.lost_delimiters
            }
            _ => {
                frame.clear();
                &mut counts.lost_frames
            }
        };
        *counter += 1;
    }
}

impl<L: ErrorType> ErrorType for Destroyer<L> {
    type Error = L::Error;
}

impl<L: Write + WriteReady> Destroyer<L> {
    /// Passes on what the link takes without waiting.
    fn pass_on(&mut self) -> Result<(), L::Error> {
        while !self.out.is_empty() && self.link.write_ready()? {
            if self.write_some()? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn write_some(&mut self) -> Result<usize, L::Error> {
        let took = self.link.write(&self.out)?.min(self.out.len());
        self.out.drain(..took);
        Ok(took)
    }
}

impl<L: Write + WriteReady> Write for Destroyer<L> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, L::Error> {
        buf.iter().for_each(|&byte| self.take(byte));
        // A link that fails now is asked again, and the failure told, before the next frame.
        let _told_later = self.pass_on();
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), L::Error> {
        while !self.out.is_empty() && self.write_some()? > 0 {}
        self.link.flush()
    }
}

impl<L: Write + WriteReady> WriteReady for Destroyer<L> {
    fn write_ready(&mut self) -> Result<bool, L::Error> {
        self.pass_on()?;
        Ok(self.out.is_empty())
    }
}

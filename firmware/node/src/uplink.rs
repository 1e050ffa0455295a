use embedded_io::{Write, WriteReady};
use sensorium_wire::{EncodeError, MAX_FRAME, Packet, Payload, encode};

/// The link and the one frame that is on its way into it.
#[derive(Debug)]
pub(crate) struct Uplink<L> {
    pub link: L,
    pub errors: u32,
    /// A `0x00`, then the frame.
    buf: [u8; 1 + MAX_FRAME],
    /// Where the frame begins, with the `0x00` or without.
    start: usize,
    /// Next byte to send.
    at: usize,
    /// One past the last byte.
    end: usize,
    /// What the frame carries.
    cargo: Cargo,
    /// A frame was broken off, or the line may hold noise.
    dirty: bool,
}

/// What has to be accounted for once a frame is sent or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// This many samples.
    Samples(u64),
    /// One of the final messages.
    End,
    /// Something that comes again by itself.
    Other,
}

/// How far a frame got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// The link took all of it.
    Sent(Cargo),
    /// The link takes no more bytes now.
    Full,
    /// The link took all of it and then failed.
    SentAndFailed(Cargo),
    /// The link failed before it took anything; the frame is kept.
    Failed,
    /// The link failed half way; the frame is lost.
    Broken(Cargo),
}

impl<L: Write + WriteReady> Uplink<L> {
    pub fn new(link: L) -> Self {
        Self {
            link,
            errors: 0,
            buf: [0; 1 + MAX_FRAME],
            start: 0,
            at: 0,
            end: 0,
            cargo: Cargo::Other,
            dirty: true,
        }
    }

    /// Whether a frame is on its way.
    pub fn is_loaded(&self) -> bool {
        self.at < self.end
    }

    /// Samples in the frame that is on its way.
    pub fn waiting(&self) -> u64 {
        match self.cargo {
            Cargo::Samples(samples) if self.is_loaded() => samples,
            _ => 0,
        }
    }

    /// Puts the next frame on its way. A `0x00` goes ahead of it if the reader may be out of step,
    /// and ahead of the final messages, which must not be swallowed with a frame that lost its own.
    pub fn load(&mut self, packet: &Packet, cargo: Cargo) -> Result<(), EncodeError> {
        self.start = usize::from(!self.dirty && cargo != Cargo::End);
        self.buf[0] = 0;
        self.end = 1 + encode(packet, &mut self.buf[1..])?.len();
        self.at = self.start;
        self.cargo = cargo;
        Ok(())
    }

    /// Sends as much of the frame as the link takes without waiting.
    pub fn send(&mut self) -> Sending {
        while self.at < self.end {
            let rest = self.buf.get(self.at..self.end).unwrap_or_default();
            let wrote = match self.link.write_ready() {
                Ok(true) => self.link.write(rest),
                Ok(false) => return Sending::Full,
                Err(error) => Err(error),
            };
            match wrote {
                Ok(0) => return Sending::Full,
                Ok(bytes) => self.at = self.at.saturating_add(bytes).min(self.end),
                Err(_counted) => {
                    self.errors = self.errors.saturating_add(1);
                    if self.at == self.start {
                        return Sending::Failed;
                    }
                    return self.break_off();
                }
            }
        }
        self.dirty = false;
        Sending::Sent(self.cargo)
    }

    /// Breaks off the frame that is on its way, if there is one.
    pub fn give_up(&mut self) -> Option<Sending> {
        self.is_loaded().then(|| self.break_off())
    }

    /// A frame of which only the `0x00` is missing has arrived all the same: the one that will go
    /// ahead of the next frame completes it.
    fn break_off(&mut self) -> Sending {
        let complete = self.at + 1 == self.end;
        self.dirty |= self.at > self.start;
        self.at = self.end;
        if complete {
            Sending::SentAndFailed(self.cargo)
        } else {
            Sending::Broken(self.cargo)
        }
    }
}

impl Cargo {
    /// The cargo of a message that is no block.
    pub fn of(payload: &Payload) -> Self {
        match payload {
            Payload::End(_) => Self::End,
            _ => Self::Other,
        }
    }
}

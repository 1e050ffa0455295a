use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Data, DeviceId, ErrorKind, HostId, SampleFormat, StreamConfig, SupportedBufferSize,
    SupportedStreamConfigRange,
};
use sensorium_media::Pcm;
use sensorium_wire::sample_time_us;

use super::{Microphone, MicrophoneError, RATE_HZ};
use crate::source::pipe::{Format, Progress};
use crate::source::retry::Retry;
use crate::source::serial::now_ns;
use crate::source::{Block, Feed, Signal, Source, SourceError};

/// Buffers that wait for this side; what comes when these are full is counted as lost.
const WAITING: usize = 64;

/// Longest wait for samples before looking whether to stop.
const TIMEOUT: Duration = Duration::from_millis(50);

/// What ALSA says of itself where nobody names a device.
const DEFAULT: &str = "default";

/// Kinds of samples that are read, the best first, as ALSA and as this program calls them. ALSA's are in
/// the order of this machine's bytes.
#[cfg(target_endian = "little")]
const KINDS: [(SampleFormat, &str); 4] = [
    (SampleFormat::I16, "s16le"),
    (SampleFormat::F32, "f32le"),
    (SampleFormat::I32, "s32le"),
    (SampleFormat::U8, "u8"),
];

/// What a microphone says.
enum Heard {
    /// Samples, the number of the first since it was opened, and when they came.
    Samples {
        bytes: Vec<u8>,
        first: u64,
        now_ns: i64,
        /// The same by a clock that nobody sets.
        at: Instant,
    },
    /// Some were lost, nobody knows how many.
    Overrun,
    /// It is gone.
    Gone(cpal::Error),
}

/// A microphone that is open.
struct Line {
    stream: cpal::Stream,
    heard: Receiver<Heard>,
    pcm: Pcm,
}

/// The sound of a microphone.
pub(super) struct Sound {
    microphone: Microphone,
    line: Line,
    retry: Retry,
}

pub(super) fn open(
    microphone: Microphone,
    retry: Retry,
) -> Result<(Box<dyn Source>, u32), SourceError> {
    let line = Line::open(&microphone)?;
    let rate_hz = line.pcm.rate_hz();
    let sound = Sound {
        microphone: Microphone {
            rate_hz: Some(rate_hz),
            ..microphone
        },
        line,
        retry,
    };
    Ok((Box::new(sound), rate_hz))
}

impl Line {
    fn open(microphone: &Microphone) -> Result<Self, MicrophoneError> {
        let failed = |source: cpal::Error| MicrophoneError::Open {
            device: microphone.device.clone(),
            source: source.into(),
        };
        let device = device(microphone)?;
        let ranges = device.supported_input_configs().map_err(failed)?;
        let (config, format, pcm) = choose(microphone, ranges.collect())?;
        let (sender, heard) = sync_channel(WAITING);
        let errors = sender.clone();
        let frame_bytes = pcm.frame_bytes();
        let mut first = 0;
        let stream = device
            .build_input_stream_raw(
                config,
                format,
                move |data: &Data, _info| first += hear(&sender, data.bytes(), first, frame_bytes),
                move |error| tell(&errors, error),
                None,
            )
            .map_err(failed)?;
        Ok(Self { stream, heard, pcm })
    }
}

/// Passes samples on; returns how many there were.
fn hear(sender: &SyncSender<Heard>, bytes: &[u8], first: u64, frame_bytes: usize) -> u64 {
    // A reader that is behind finds a gap in the numbers.
    let _sent = sender.try_send(Heard::Samples {
        bytes: bytes.to_vec(),
        first,
        now_ns: now_ns(),
        at: Instant::now(),
    });
    (bytes.len() / frame_bytes) as u64
}

fn tell(sender: &SyncSender<Heard>, error: cpal::Error) {
    let heard = match error.kind() {
        // They change nothing for the samples.
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => return,
        ErrorKind::Xrun => Heard::Overrun,
        _ => Heard::Gone(error),
    };
    // Where it finds no room, the next samples or the silence after them tell the same.
    let _sent = sender.try_send(heard);
}

fn device(microphone: &Microphone) -> Result<cpal::Device, MicrophoneError> {
    let name = &microphone.device;
    let failed = |source: cpal::Error| MicrophoneError::Open {
        device: name.clone(),
        source: source.into(),
    };
    let host = cpal::host_from_id(HostId::Alsa).map_err(failed)?;
    let device = match &**name {
        DEFAULT => host.default_input_device(),
        name => host.device_by_id(&DeviceId::new(HostId::Alsa, name)),
    };
    device.ok_or_else(|| {
        let devices = host.input_devices().into_iter().flatten();
        let named = devices.filter_map(|device| Some(device.id().ok()?.id().to_owned()));
        MicrophoneError::Unknown {
            device: name.clone(),
            known: std::iter::once(DEFAULT.to_owned()).chain(named).collect(),
        }
    })
}

/// The fewest channels of the best kind, at the rate that was asked for.
fn choose(
    microphone: &Microphone,
    ranges: Vec<SupportedStreamConfigRange>,
) -> Result<(StreamConfig, SampleFormat, Pcm), MicrophoneError> {
    let kind = |range: &SupportedStreamConfigRange| {
        let known = |(format, _): &(SampleFormat, &str)| *format == range.sample_format();
        KINDS.iter().position(known)
    };
    let rate_hz = microphone.rate_hz.unwrap_or(RATE_HZ);
    let mut usable: Vec<_> = ranges
        .into_iter()
        .filter_map(|range| Some((range.channels(), kind(&range)?, range)))
        .collect();
    usable.sort_by_key(|(channels, kind, _)| (*channels, *kind));
    let takes = |range: &SupportedStreamConfigRange| {
        (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate_hz)
    };
    let asked = usable.iter().find(|(.., range)| takes(range));
    // Nobody has asked for the usual rate: what is nearest will do.
    let nearest = || usable.first().filter(|_| microphone.rate_hz.is_none());
    let chosen = asked.or_else(nearest).and_then(|(channels, kind, range)| {
        let rate_hz = rate_hz.clamp(range.min_sample_rate(), range.max_sample_rate());
        let (format, name) = KINDS[*kind];
        let pcm = Pcm::new(name, *channels, rate_hz).ok()?;
        let config = StreamConfig {
            channels: *channels,
            sample_rate: rate_hz,
            buffer_size: buffer_size(range, rate_hz),
        };
        Some((config, format, pcm))
    });
    chosen.ok_or_else(|| MicrophoneError::Rate {
        device: microphone.device.clone(),
        rate_hz,
        known: known(&usable),
    })
}

/// A tenth of a second, as far as the device can: who is busy for so long loses nothing.
fn buffer_size(range: &SupportedStreamConfigRange, rate_hz: u32) -> BufferSize {
    match *range.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            BufferSize::Fixed((rate_hz / 10).clamp(min, max))
        }
        _ => BufferSize::Default,
    }
}

fn known(usable: &[(u16, usize, SupportedStreamConfigRange)]) -> String {
    let rates = usable
        .iter()
        .map(|(.., range)| (range.min_sample_rate(), range.max_sample_rate()));
    match rates.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
        Some((least, most)) => format!("{least} to {most}"),
        None => "samples of 8, 16 or 32 bits, which it does not have".to_owned(),
    }
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sound")
            .field("microphone", &self.microphone)
            .finish_non_exhaustive()
    }
}

impl Sound {
    /// Listens until the microphone is gone, or nobody hears it.
    fn listen(&mut self, progress: &mut Progress, feed: Feed<'_>) -> Result<(), cpal::Error> {
        self.line.stream.play()?;
        let format = Format::Sound(self.line.pcm);
        let rate_mhz = self.line.pcm.rate_hz().saturating_mul(1000);
        // Number of the first sample since it was opened.
        let mut base = progress.index;
        while !feed.is_stopped() {
            let (bytes, first, now_ns, at) = match self.line.heard.recv_timeout(TIMEOUT) {
                Ok(Heard::Samples {
                    bytes,
                    first,
                    now_ns,
                    at,
                }) => (bytes, first, now_ns, at),
                Ok(Heard::Overrun) => {
                    progress.is_gone = true;
                    continue;
                }
                Ok(Heard::Gone(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ErrorKind::DeviceNotAvailable.into());
                }
            };
            let samples = format.samples(&bytes);
            let count = samples.len() as u64;
            if std::mem::take(&mut progress.is_gone) {
                let index = progress.resumed(count, at, rate_mhz);
                base = index.saturating_sub(first);
            }
            let index = base.saturating_add(first).max(progress.index);
            progress.index = index.saturating_add(count);
            progress.newest = Some(at);
            let block = Block {
                index,
                t_us: sample_time_us(index, rate_mhz),
                rate_mhz,
                offsets_us: None,
                samples,
                t_host_ns: Some(now_ns),
            };
            if !feed.push(Signal::Block(block)) {
                break;
            }
        }
        Ok(())
    }
}

impl Source for Sound {
    fn run(mut self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let mut progress = Progress::default();
        'plugged: while let Err(error) = self.listen(&mut progress, feed) {
            progress.is_gone = true;
            let mut backoff = self.retry.begin();
            if !feed.push(Signal::Gone) {
                break;
            }
            while backoff.wait(feed) {
                if let Ok(line) = Line::open(&self.microphone) {
                    self.line = line;
                    continue 'plugged;
                }
            }
            if feed.is_stopped() {
                break;
            }
            let gone = MicrophoneError::Gone {
                device: self.microphone.device,
                source: error.into(),
            };
            return Err(gone.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Raw samples on stdin, a FIFO or in a file: sound as `arecord -t raw` writes it, frames of a
//! thermal or depth camera one after the other.
//!
//! Samples are numbered as they come. Nothing in a pipe says how many were lost while nobody wrote:
//! when a writer comes back, as many are counted as the time without it would have held.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use sensorium_media::{NumberArray, Numbers, Pcm};
use sensorium_wire::sample_time_us;
use serde::Deserialize;

use super::retry::Retry;
use super::serial::now_ns;
use super::{Block, Feed, Frame, Samples, Signal, Source, SourceError};

/// Longest wait for a byte before looking whether to stop, in nanoseconds.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Bytes that are read at once: 0.13 s of 16-bit sound at 16 kHz.
const CHUNK: usize = 4096;

/// What a WAV file begins with.
const WAV: &[u8] = b"RIFF";

/// What raw bytes mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    /// Sound, whose channels are averaged.
    Sound(Pcm),
    /// Frames of a camera.
    Frames {
        /// Rows.
        height: usize,
        /// Pixels in a row.
        width: usize,
        /// What a pixel is.
        pixel: Pixel,
    },
}

/// A pixel in a pipe, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pixel {
    /// A byte.
    U8,
    /// 16 bits, as V4L2's Y16 and Z16.
    #[default]
    U16,
    /// A float of 32 bits.
    F32,
}

impl Format {
    /// A frame of zeros in this form; none of sound.
    #[must_use]
    pub fn blank(&self) -> Option<NumberArray> {
        let Self::Frames {
            height,
            width,
            pixel,
        } = *self
        else {
            return None;
        };
        Some(NumberArray {
            shape: vec![1, height, width],
            numbers: pixel.numbers(&vec![0; self.bytes()]),
        })
    }

    /// Bytes of one sample: of all channels of a sound, or of a frame.
    fn bytes(&self) -> usize {
        match self {
            Self::Sound(pcm) => pcm.frame_bytes(),
            Self::Frames {
                height,
                width,
                pixel,
            } => {
                let bytes = match pixel {
                    Pixel::U8 => 1,
                    Pixel::U16 => 2,
                    Pixel::F32 => 4,
                };
                height * width * bytes
            }
        }
    }

    /// The samples of bytes that hold whole ones.
    pub(super) fn samples(&self, bytes: &[u8]) -> Samples {
        match self {
            // As many samples as fit a chunk are never too many.
            Self::Sound(pcm) => Samples::Sound(
                pcm.decode(bytes)
                    .map_or_else(|_too_many| Vec::new(), |sound| sound.mono()),
            ),
            Self::Frames {
                height,
                width,
                pixel,
            } => {
                let frame = |bytes: &[u8]| Frame {
                    height: *height,
                    width: *width,
                    pixels: pixel.numbers(bytes),
                };
                Samples::Frames(bytes.chunks_exact(self.bytes()).map(frame).collect())
            }
        }
    }
}

impl Pixel {
    fn numbers(self, bytes: &[u8]) -> Numbers {
        match self {
            Self::U8 => Numbers::U8(bytes.to_vec()),
            Self::U16 => {
                let (pixels, _) = bytes.as_chunks();
                Numbers::U16(pixels.iter().map(|&b| u16::from_le_bytes(b)).collect())
            }
            Self::F32 => {
                let (pixels, _) = bytes.as_chunks();
                Numbers::F32(pixels.iter().map(|&b| f32::from_le_bytes(b)).collect())
            }
        }
    }
}

/// What raw samples are read from.
#[derive(Debug)]
pub struct Pipe {
    path: PathBuf,
    file: File,
    kind: Kind,
    format: Format,
    rate_mhz: u32,
    retry: Retry,
}

/// How far a pipe, or a microphone, has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Number of the next sample.
    pub(super) index: u64,
    /// When the last byte came; none before the first. Not by the host's clock, which may be set
    /// meanwhile.
    pub(super) newest: Option<Instant>,
    /// Whether the writer left since.
    pub(super) is_gone: bool,
}

impl Progress {
    /// The number of the first of `count` samples that were taken by now, after a writer was gone.
    pub(super) fn resumed(self, count: u64, now: Instant, rate_mhz: u32) -> u64 {
        let Some(newest) = self.newest else {
            return self.index;
        };
        let gap_ns = now.saturating_duration_since(newest).as_nanos();
        let missed = gap_ns.saturating_mul(rate_mhz.into()) / 1_000_000_000_000;
        let missed = u64::try_from(missed).unwrap_or(u64::MAX);
        self.index.saturating_add(missed.saturating_sub(count))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stdin,
    Fifo,
    File,
}

impl Pipe {
    /// Opens a pipe; `-` is stdin. It ends when its first writer leaves.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be read.
    pub fn open(path: &Path, format: Format, rate_mhz: u32) -> Result<Self, SourceError> {
        let opened = open(path).map_err(|source| SourceError::OpenPipe {
            path: path.to_owned(),
            source,
        });
        let (file, kind) = opened?;
        Ok(Self {
            path: path.to_owned(),
            file,
            kind,
            format,
            rate_mhz,
            retry: Retry::For(Duration::ZERO),
        })
    }

    /// The same, but a FIFO waits for another writer when one leaves.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Whether another writer may come.
    fn is_waited_for(&self) -> bool {
        self.kind == Kind::Fifo && self.retry != Retry::For(Duration::ZERO)
    }

    /// Waits for the next writer, once the last one left. Returns whether there may be one.
    fn wait_for_writer(&mut self, feed: Feed<'_>) -> bool {
        let mut backoff = self.retry.begin();
        while backoff.wait(feed) {
            // Opened anew, it is not at its end before a writer came and left.
            if let Ok((file, kind)) = open(&self.path) {
                (self.file, self.kind) = (file, kind);
                return true;
            }
        }
        false
    }

    /// Waits for bytes and reads them; none if there are none yet, 0 at the end.
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<Option<usize>> {
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        let is_ready = match poll(&mut ready, Some(&WAIT)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        if !is_ready {
            return Ok(None);
        }
        match self.file.read(bytes) {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

fn open(path: &Path) -> std::io::Result<(File, Kind)> {
    if path.as_os_str() == "-" {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        return Ok((File::from(stdin), Kind::Stdin));
    }
    // Without it, opening a FIFO waits for a writer, and nobody could stop the program meanwhile.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let is_fifo = file.metadata()?.file_type().is_fifo();
    Ok((file, if is_fifo { Kind::Fifo } else { Kind::File }))
}

impl Source for Pipe {
    fn is_recording(&self) -> bool {
        self.kind == Kind::File
    }

    fn run(mut self: Box<Self>, feed: Feed<'_>) -> Result<(), SourceError> {
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |source| SourceError::Pipe { path, source }
        };
        let sample = self.format.bytes();
        let is_sound = matches!(self.format, Format::Sound(_));
        let mut bytes = vec![0; sample.max(CHUNK / sample * sample)];
        let (mut filled, mut progress) = (0, Progress::default());
        while !feed.is_stopped() {
            let read = self.read(&mut bytes[filled..]);
            match read.map_err(broken(&self.path))? {
                None => continue,
                Some(0) => {
                    // A part of a sample is none, and another writer begins with a whole one.
                    filled = 0;
                    let is_news = !std::mem::replace(&mut progress.is_gone, true);
                    if !self.is_waited_for() || is_news && !feed.push(Signal::Gone) {
                        break;
                    }
                    if !self.wait_for_writer(feed) {
                        break;
                    }
                    continue;
                }
                Some(read) => filled += read,
            }
            if is_sound && progress.index == 0 && bytes[..filled].starts_with(WAV) {
                return Err(SourceError::NotRaw { path: self.path });
            }
            let whole = filled / sample * sample;
            if whole == 0 {
                continue;
            }
            let samples = self.format.samples(&bytes[..whole]);
            let (count, now) = (samples.len() as u64, Instant::now());
            if std::mem::take(&mut progress.is_gone) {
                progress.index = progress.resumed(count, now, self.rate_mhz);
            }
            let block = Block {
                index: progress.index,
                t_us: sample_time_us(progress.index, self.rate_mhz),
                rate_mhz: self.rate_mhz,
                offsets_us: None,
                samples,
                t_host_ns: (!self.is_recording()).then(now_ns),
            };
            progress.index = progress.index.saturating_add(count);
            progress.newest = Some(now);
            bytes.copy_within(whole..filled, 0);
            filled -= whole;
            if !feed.push(Signal::Block(block)) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    use crate::queue::{Popped, Queue};

    /// What a pipe says of a file's bytes.
    fn blocks(bytes: &[u8], format: Format) -> (Vec<Block>, Result<(), SourceError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes).unwrap();
        let pipe = Pipe::open(file.path(), format, 1_000_000).unwrap();
        let (queue, stop) = (Queue::new(u64::MAX), AtomicBool::new(false));
        let result = Box::new(pipe).run(Feed::new(&queue, &stop, false));
        queue.close();
        let block = || match queue.pop(Duration::ZERO).0 {
            Popped::Item(Signal::Block(block)) => Some(block),
            Popped::End => None,
            other => panic!("{other:?}"),
        };
        (std::iter::from_fn(block).collect(), result)
    }

    #[test]
    fn sound_is_cut_into_numbered_blocks() {
        let bytes: Vec<u8> = (0..3000i16).flat_map(i16::to_le_bytes).collect();
        let pcm = Pcm::new("s16le", 1, 1000).unwrap();
        let (blocks, result) = blocks(&[&bytes[..], &[1]].concat(), Format::Sound(pcm));
        result.unwrap();
        let places: Vec<_> = blocks
            .iter()
            .map(|b| (b.index, b.t_us, b.samples.len()))
            .collect();
        assert_eq!(places, [(0, 0, 2048), (2048, 2_048_000, 952)]);
        let Samples::Sound(samples) = &blocks[1].samples else {
            panic!("{blocks:?}");
        };
        assert_eq!(samples[0], 2048.0 / 32768.0);
        assert_eq!(blocks[0].t_host_ns, None);
    }

    #[test]
    fn frames_are_whole() {
        let format = Format::Frames {
            height: 1,
            width: 2,
            pixel: Pixel::U16,
        };
        let (blocks, _) = blocks(&[1, 0, 2, 0, 0, 1, 9, 0, 5], format);
        let [
            Block {
                samples: Samples::Frames(frames),
                ..
            },
        ] = &blocks[..]
        else {
            panic!("{blocks:?}");
        };
        let pixels: Vec<_> = frames.iter().map(|frame| frame.pixels.clone()).collect();
        assert_eq!(
            pixels,
            [Numbers::U16(vec![1, 2]), Numbers::U16(vec![256, 9])]
        );
    }

    #[test]
    fn what_a_writer_missed_is_known_by_the_clock() {
        let now = Instant::now();
        let progress = Progress {
            index: 500,
            newest: Some(now),
            is_gone: true,
        };
        // Two seconds at 1 kHz, of which the last 100 samples have come.
        let later = now + Duration::from_secs(2);
        assert_eq!(progress.resumed(100, later, 1_000_000), 2400);
        assert_eq!(progress.resumed(100, now, 1_000_000), 500);
        assert_eq!(Progress::default().resumed(100, later, 1_000_000), 0);
    }

    #[test]
    fn a_wav_file_is_not_raw() {
        let pcm = Pcm::new("s16le", 1, 1000).unwrap();
        let (blocks, result) = blocks(b"RIFF\0\0\0\0WAVEfmt ", Format::Sound(pcm));
        assert!(blocks.is_empty());
        let message = result.unwrap_err().to_string();
        assert!(message.contains("begins as a WAV file does"), "{message}");
    }

    #[test]
    fn what_is_not_there_cannot_be_opened() {
        let pcm = Pcm::new("s16le", 1, 1000).unwrap();
        let error = Pipe::open("/nonexistent".as_ref(), Format::Sound(pcm), 1).unwrap_err();
        assert_eq!(error.to_string(), "cannot open \"/nonexistent\"");
    }
}

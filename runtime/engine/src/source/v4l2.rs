//! Thermal and depth cameras of Linux, by V4L2.
//!
//! | sense | pixels | a count is |
//! |---|---|---|
//! | thermal | `Y16` | radiometric: `count * scale + offset` degrees Celsius; by default 0.01 K, as of FLIR's Lepton and Boson with TLinear |
//! | depth | `Z16` | `scale` metres; by default a millimetre, as of RealSense; 0 is no measurement |

use std::io;
use std::path::{Path, PathBuf};

use rustix::event::Timespec;
use rustix::io::Errno;
use sensorium_media::Numbers;
use thiserror::Error;

use super::camera::{Camera, Opener, Shot, monotonic_ns};
use super::{Frame, SourceError};
use crate::sys::video::{
    Buffer, Buffers, CAPTURES, Capability, Device, Format, FormatDescription, FourCc, HAS_INTERVAL,
    HAS_OWN, IS_DAMAGED, IS_MONOTONIC, Interval, Kernel, PixelFormat, Request, STREAMS, TIME,
};

/// Longest wait for a frame before looking whether to stop.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Frames that may wait in the kernel.
const BUFFERS: u32 = 4;

/// Formats that a device is asked for at most.
const MOST_FORMATS: u32 = 64;

/// Pixels of a frame at most: 4096 x 4096.
const MOST_PIXELS: u64 = 1 << 24;

/// Frames a second that a camera may have.
const RATES_HZ: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// Why a camera cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum V4l2Error {
    /// The device cannot be opened.
    #[error("cannot open the camera {device:?}")]
    Open {
        /// Its path.
        device: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error("{device:?} is no video device")]
    NoVideo {
        /// Its path.
        device: PathBuf,
    },
    /// It is a video device that gives no frames, as the second node of many a camera is.
    #[error("{device:?} ({card}) does not capture video; a camera's other node may")]
    NoCapture {
        /// Its path.
        device: PathBuf,
        /// What it is called.
        card: String,
    },
    /// It has not the pixels that the sense is measured in.
    #[error(
        "{device:?} ({card}) has pixels of {}, expected {expected}",
        listed(found)
    )]
    Pixels {
        /// Its path.
        device: PathBuf,
        /// What it is called.
        card: String,
        /// What it has.
        found: Vec<FourCc>,
        /// What the sense needs.
        expected: FourCc,
    },
    /// It has not the size that was asked for.
    #[error(
        "{device:?} ({card}) gives frames of {}x{}, expected {}x{}", found.0, found.1, expected.0, expected.1
    )]
    Size {
        /// Its path.
        device: PathBuf,
        /// What it is called.
        card: String,
        /// What it gives.
        found: (u32, u32),
        /// What was asked for.
        expected: (u32, u32),
    },
    /// Its frames cannot be frames.
    #[error(
        "{device:?} ({card}) gives frames of {width}x{height} in {bytes} bytes, expected 2 bytes a pixel, \
         16777216 pixels at most"
    )]
    Frames {
        /// Its path.
        device: PathBuf,
        /// What it is called.
        card: String,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes that there is room for.
        bytes: u32,
    },
    /// It does not say how often it takes a frame.
    #[error("{device:?} ({card}) does not say how many frames a second it gives, expected rate_hz")]
    NoRate {
        /// Its path.
        device: PathBuf,
        /// What it is called.
        card: String,
    },
    /// The kernel refused.
    #[error("{request} of {device:?}")]
    Refused {
        /// The device.
        device: PathBuf,
        /// What was asked.
        request: &'static str,
        /// What it said.
        source: io::Error,
    },
}

fn listed(pixels: &[FourCc]) -> String {
    if pixels.is_empty() {
        return "no kind".to_owned();
    }
    let names: Vec<String> = pixels.iter().map(FourCc::to_string).collect();
    names.join(", ")
}

/// What a count of a camera means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Counts {
    /// Degrees Celsius: the count times the first, and the second.
    Celsius(f64, f64),
    /// So many metres each; 0 is no measurement.
    Metres(f64),
}

impl Counts {
    /// Of a thermal camera: degrees Celsius of a count, and of none; hundredths of a kelvin by default.
    #[must_use]
    pub fn celsius(scale: Option<f64>, offset: Option<f64>) -> Self {
        Self::Celsius(scale.unwrap_or(0.01), offset.unwrap_or(-273.15))
    }

    /// Of a depth camera: metres of a count, millimetres by default.
    #[must_use]
    pub fn metres(scale: Option<f64>) -> Self {
        Self::Metres(scale.unwrap_or(0.001))
    }

    fn pixel(self) -> FourCc {
        match self {
            Self::Celsius(..) => FourCc::new(*b"Y16 "),
            Self::Metres(_) => FourCc::new(*b"Z16 "),
        }
    }

    /// In what frames are measured.
    #[must_use]
    pub fn unit(self) -> String {
        match self {
            Self::Celsius(scale, offset) => {
                format!("degrees Celsius, {scale} a count from {offset}")
            }
            Self::Metres(scale) => format!("millimetres, {} a count", scale * 1e3),
        }
    }

    fn numbers(self, counts: impl Iterator<Item = u16>) -> Numbers {
        match self {
            Self::Celsius(scale, offset) => Numbers::F32(
                counts
                    .map(|count| (f64::from(count) * scale + offset) as f32)
                    .collect(),
            ),
            // Rounded, and far away rather than near again where 16 bits do not suffice.
            Self::Metres(scale) => Numbers::U16(
                counts
                    .map(|count| (f64::from(count) * scale * 1e3).round() as u16)
                    .collect(),
            ),
        }
    }
}

/// A camera, and how it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Path of its node.
    pub device: PathBuf,
    /// What its counts mean.
    pub counts: Counts,
    /// Pixels in a row, and rows; as it is set, where nobody says.
    pub size: Option<(u32, u32)>,
    /// Frames a second; as it is set, where nobody says.
    pub rate_hz: Option<f64>,
}

impl Opener for Video {
    fn open(&self) -> Result<Box<dyn Camera>, SourceError> {
        let opened = Device::open(&self.device).map_err(|source| V4l2Error::Open {
            device: self.device.clone(),
            source,
        });
        Ok(Box::new(VideoCamera::begin(self, Box::new(opened?))?))
    }
}

/// A camera that takes frames.
#[derive(Debug)]
pub struct VideoCamera {
    asked: Asked,
    counts: Counts,
    frames: PixelFormat,
    rate_mhz: u32,
}

/// Whom requests go to, and of what.
#[derive(Debug)]
struct Asked {
    kernel: Box<dyn Kernel>,
    device: PathBuf,
}

impl Asked {
    fn ask(&mut self, request: Request<'_>) -> Result<(), V4l2Error> {
        let name = request.name();
        let answer = self.kernel.ask(request);
        answer.map_err(|source| refused(&self.device, name, source))
    }
}

fn refused(device: &Path, request: &'static str, source: io::Error) -> V4l2Error {
    V4l2Error::Refused {
        device: device.to_owned(),
        request,
        source,
    }
}

fn is(error: &io::Error, errnos: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

impl VideoCamera {
    /// Sets a camera as it shall be used, and has it begin.
    pub(crate) fn begin(video: &Video, kernel: Box<dyn Kernel>) -> Result<Self, V4l2Error> {
        let device = video.device.clone();
        let mut asked = Asked {
            kernel,
            device: device.clone(),
        };
        let card = card(&mut asked)?;
        let found = formats(&mut asked)?;
        let expected = video.counts.pixel();
        if !found.contains(&expected) {
            return Err(V4l2Error::Pixels {
                device,
                card,
                found,
                expected,
            });
        }
        let frames = set(&mut asked, video, &card)?;
        let rate_mhz = rate_mhz(&mut asked, video.rate_hz)?.ok_or_else(|| V4l2Error::NoRate {
            device: device.clone(),
            card: card.clone(),
        })?;
        let mut buffers = Buffers::ask(BUFFERS);
        asked.ask(Request::Buffers(&mut buffers))?;
        // More than were asked for are no use.
        for index in 0..buffers.count.min(BUFFERS) {
            let mut buffer = Buffer::ask(index);
            asked.ask(Request::Buffer(&mut buffer))?;
            if u64::from(buffer.len) < frame_bytes(&frames) {
                return Err(V4l2Error::Frames {
                    device,
                    card,
                    width: frames.width,
                    height: frames.height,
                    bytes: buffer.len,
                });
            }
            let mapped = asked.kernel.map(&buffer);
            mapped.map_err(|source| refused(&device, "mmap", source))?;
            asked.ask(Request::Queue(&mut Buffer::ask(index)))?;
        }
        asked.ask(Request::Start)?;
        Ok(Self {
            asked,
            counts: video.counts,
            frames,
            rate_mhz,
        })
    }

    fn frame(&self, bytes: &[u8]) -> Frame {
        let (width, height) = (self.frames.width as usize, self.frames.height as usize);
        let rows = bytes.chunks(self.frames.row_bytes as usize).take(height);
        let counts = rows.flat_map(|row| {
            let (pixels, _) = row.as_chunks();
            pixels.iter().take(width).map(|p| u16::from_le_bytes(*p))
        });
        Frame {
            height,
            width,
            pixels: self.counts.numbers(counts),
        }
    }
}

impl Camera for VideoCamera {
    fn next(&mut self) -> Result<Option<Shot>, SourceError> {
        let waited = self.asked.kernel.wait(WAIT);
        if !waited.map_err(|source| refused(&self.asked.device, "poll", source))? {
            return Ok(None);
        }
        let mut buffer = Buffer::ask(0);
        match self.asked.kernel.ask(Request::Dequeue(&mut buffer)) {
            Err(error) if is(&error, &[Errno::AGAIN]) => return Ok(None),
            Err(error) => {
                let name = Request::Dequeue(&mut buffer).name();
                return Err(refused(&self.asked.device, name, error).into());
            }
            Ok(()) => {}
        }
        let len = frame_bytes(&self.frames);
        let is_whole = u64::from(buffer.used) >= len && buffer.flags & IS_DAMAGED == 0;
        let bytes = match is_whole {
            true => self.asked.kernel.copy(buffer.index, len as usize),
            false => Vec::new(),
        };
        let mut again = Buffer::ask(buffer.index);
        self.asked.ask(Request::Queue(&mut again))?;
        // The number of the next one tells that this one is missing.
        if bytes.len() as u64 != len {
            return Ok(None);
        }
        let taken_ns = match buffer.flags & TIME {
            IS_MONOTONIC => {
                let whole_ns = buffer.seconds.saturating_mul(1_000_000_000);
                whole_ns.saturating_add(buffer.micros.saturating_mul(1000))
            }
            _ => monotonic_ns(),
        };
        Ok(Some(Shot {
            frame: self.frame(&bytes),
            taken_ns,
            number: Some(buffer.number),
        }))
    }

    fn rate_mhz(&self) -> u32 {
        self.rate_mhz
    }

    fn blank(&self) -> Frame {
        self.frame(&vec![0; frame_bytes(&self.frames) as usize])
    }
}

/// Bytes that hold all pixels of a frame; its last row may be shorter than others.
fn frame_bytes(frames: &PixelFormat) -> u64 {
    let before = u64::from(frames.row_bytes) * u64::from(frames.height.saturating_sub(1));
    before + 2 * u64::from(frames.width)
}

/// The name of a device that captures video.
fn card(asked: &mut Asked) -> Result<String, V4l2Error> {
    let mut capability = Capability::default();
    let device = asked.device.clone();
    match asked.kernel.ask(Request::Capability(&mut capability)) {
        Err(error) if is(&error, &[Errno::NOTTY, Errno::INVAL]) => {
            return Err(V4l2Error::NoVideo { device });
        }
        Err(error) => return Err(refused(&device, "VIDIOC_QUERYCAP", error)),
        Ok(()) => {}
    }
    let name = capability.card.split(|byte| *byte == 0).next();
    let card = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    let can = match capability.all & HAS_OWN {
        0 => capability.all,
        _ => capability.own,
    };
    if can & CAPTURES == 0 || can & STREAMS == 0 {
        return Err(V4l2Error::NoCapture { device, card });
    }
    Ok(card)
}

/// The pixels that a device has.
fn formats(asked: &mut Asked) -> Result<Vec<FourCc>, V4l2Error> {
    let mut found = Vec::new();
    for index in 0..MOST_FORMATS {
        let mut format = FormatDescription::ask(index);
        match asked.kernel.ask(Request::FormatAt(&mut format)) {
            Err(error) if is(&error, &[Errno::INVAL]) => break,
            Err(error) => return Err(refused(&asked.device, "VIDIOC_ENUM_FMT", error)),
            Ok(()) => found.push(format.pixel),
        }
    }
    Ok(found)
}

/// Sets pixels and size, and says what is set then.
fn set(asked: &mut Asked, video: &Video, card: &str) -> Result<PixelFormat, V4l2Error> {
    let mut format = Format::ask(PixelFormat::default());
    asked.ask(Request::Format(&mut format))?;
    let size = (format.frames.width, format.frames.height);
    let expected = video.counts.pixel();
    let mut format = Format::ask(PixelFormat::ask(video.size.unwrap_or(size), expected));
    asked.ask(Request::SetFormat(&mut format))?;
    let mut frames = format.frames;
    let (device, card) = (asked.device.clone(), card.to_owned());
    if frames.pixel != expected {
        return Err(V4l2Error::Pixels {
            device,
            card,
            found: vec![frames.pixel],
            expected,
        });
    }
    let found = (frames.width, frames.height);
    if let Some(expected) = video.size.filter(|size| *size != found) {
        return Err(V4l2Error::Size {
            device,
            card,
            found,
            expected,
        });
    }
    if frames.row_bytes == 0 {
        frames.row_bytes = frames.width.saturating_mul(2);
    }
    let pixels = u64::from(frames.width) * u64::from(frames.height);
    let has_rows = u64::from(frames.row_bytes) >= 2 * u64::from(frames.width);
    if !(1..=MOST_PIXELS).contains(&pixels) || !has_rows {
        return Err(V4l2Error::Frames {
            device,
            card,
            width: frames.width,
            height: frames.height,
            bytes: frames.bytes,
        });
    }
    Ok(frames)
}

/// Sets frames a second, and says what is set then, in millihertz; none if nobody knows.
fn rate_mhz(asked: &mut Asked, rate_hz: Option<f64>) -> Result<Option<u32>, V4l2Error> {
    let mhz = |hz: f64| RATES_HZ.contains(&hz).then(|| (hz * 1e3).round() as u32);
    let wanted = rate_hz.and_then(mhz);
    // Cameras of one rate have no such request.
    let unknown = [Errno::NOTTY, Errno::INVAL];
    if let Some(mhz) = wanted {
        let mut interval = Interval::ask(1000, mhz);
        match asked.kernel.ask(Request::SetInterval(&mut interval)) {
            Err(error) if !is(&error, &unknown) => {
                return Err(refused(&asked.device, "VIDIOC_S_PARM", error));
            }
            _ => {}
        }
    }
    let mut interval = Interval::ask(0, 0);
    match asked.kernel.ask(Request::Interval(&mut interval)) {
        Err(error) if is(&error, &unknown) => return Ok(wanted),
        Err(error) => return Err(refused(&asked.device, "VIDIOC_G_PARM", error)),
        Ok(()) => {}
    }
    let told = f64::from(interval.denominator) / f64::from(interval.numerator);
    let is_told = interval.capability & HAS_INTERVAL != 0;
    Ok(mhz(told).filter(|_| is_told).or(wanted))
}

#[cfg(test)]
mod tests;

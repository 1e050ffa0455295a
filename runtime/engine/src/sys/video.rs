//! Video devices, as `linux/videodev2.h` has them: V4L2, the streaming of single-planar frames.
//!
//! Structures and numbers are those of the kernel's header; `tests` compares them with what a C compiler
//! says of it. What tells the kernel that a structure holds addresses, its kind and its memory, is not to
//! be set from outside.

use std::fmt::{self, Debug};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use super::mapping::Mapping;

/// The device captures video, single-planar.
pub const CAPTURES: u32 = 0x0000_0001;

/// Its buffers can be mapped.
pub const STREAMS: u32 = 0x0400_0000;

/// The capabilities of this very node are told apart from those of the whole device.
pub const HAS_OWN: u32 = 0x8000_0000;

/// The time from frame to frame can be set.
pub const HAS_INTERVAL: u32 = 0x1000;

/// The frame in a buffer is damaged.
pub const IS_DAMAGED: u32 = 0x0040;

/// What the time of a buffer is measured by, and that it is the monotonic clock.
pub const TIME: u32 = 0xe000;
pub const IS_MONOTONIC: u32 = 0x2000;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`, `V4L2_MEMORY_MMAP`, `V4L2_FIELD_NONE`.
const CAPTURE: u32 = 1;
const MAPPED: u32 = 1;
const PROGRESSIVE: u32 = 1;

/// A kind of pixel, by four letters.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct FourCc(pub u32);

impl FourCc {
    /// Of four letters.
    #[must_use]
    pub const fn new(letters: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(letters))
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The highest bit says that the bytes of a pixel are the other way round.
        let letters = (self.0 & 0x7fff_ffff).to_le_bytes();
        let letters = letters.map(|byte| if byte.is_ascii_graphic() { byte } else { b' ' });
        let letters = String::from_utf8_lossy(&letters);
        f.write_str(letters.trim_end())?;
        f.write_str(if self.0 >> 31 == 0 { "" } else { "-BE" })
    }
}

impl Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a device is: `v4l2_capability`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Capability {
    driver: [u8; 16],
    /// Its name, up to a zero.
    pub card: [u8; 32],
    bus: [u8; 32],
    version: u32,
    /// Of the whole device.
    pub all: u32,
    /// Of this node, where [`HAS_OWN`] says so.
    pub own: u32,
    reserved: [u32; 3],
}

/// One of the formats that a device has: `v4l2_fmtdesc`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct FormatDescription {
    /// Which of them.
    pub index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    /// Its pixels.
    pub pixel: FourCc,
    bus_code: u32,
    reserved: [u32; 3],
}

impl FormatDescription {
    /// Asks for one of them.
    #[must_use]
    pub fn ask(index: u32) -> Self {
        Self {
            index,
            kind: CAPTURE,
            flags: 0,
            description: [0; 32],
            pixel: FourCc::default(),
            bus_code: 0,
            reserved: [0; 3],
        }
    }
}

/// What frames are: `v4l2_pix_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PixelFormat {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What a pixel is.
    pub pixel: FourCc,
    field: u32,
    /// From the beginning of one row to that of the next.
    pub row_bytes: u32,
    /// Of a frame.
    pub bytes: u32,
    colorspace: u32,
    private: u32,
    flags: u32,
    encoding: u32,
    quantization: u32,
    transfer: u32,
}

impl PixelFormat {
    /// Frames of so many pixels in a row, rows, and such pixels.
    #[must_use]
    pub fn ask((width, height): (u32, u32), pixel: FourCc) -> Self {
        Self {
            width,
            height,
            pixel,
            field: PROGRESSIVE,
            ..Self::default()
        }
    }
}

/// `v4l2_format` of captured video. What it holds depends on its kind, some of it on addresses; here it
/// is always a [`PixelFormat`].
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Format {
    kind: u32,
    before: [u32; POINTER_WORDS - 1],
    /// What frames are.
    pub frames: PixelFormat,
    after: [u8; 152],
}

impl Format {
    /// Asks for frames, or for what they are.
    #[must_use]
    pub fn ask(frames: PixelFormat) -> Self {
        Self {
            kind: CAPTURE,
            before: [0; POINTER_WORDS - 1],
            frames,
            after: [0; 152],
        }
    }
}

/// `v4l2_streamparm` of captured video.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Interval {
    kind: u32,
    /// [`HAS_INTERVAL`], or not.
    pub capability: u32,
    mode: u32,
    /// Time from frame to frame in seconds: this,
    pub numerator: u32,
    /// divided by this.
    pub denominator: u32,
    extended: u32,
    buffers: u32,
    reserved: [u32; 4],
    after: [u8; 160],
}

impl Interval {
    /// Asks for a time in seconds, or for what it is.
    #[must_use]
    pub fn ask(numerator: u32, denominator: u32) -> Self {
        Self {
            kind: CAPTURE,
            capability: 0,
            mode: 0,
            numerator,
            denominator,
            extended: 0,
            buffers: 0,
            reserved: [0; 4],
            after: [0; 160],
        }
    }
}

/// `v4l2_requestbuffers`, to be mapped.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Buffers {
    /// How many.
    pub count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

impl Buffers {
    /// Asks for so many.
    #[must_use]
    pub fn ask(count: u32) -> Self {
        Self {
            count,
            kind: CAPTURE,
            memory: MAPPED,
            capabilities: 0,
            flags: 0,
            reserved: [0; 3],
        }
    }
}

/// Words of 32 bits in an address.
const POINTER_WORDS: usize = size_of::<usize>() / 4;

/// `v4l2_buffer`, mapped.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Buffer {
    /// Which of them.
    pub index: u32,
    kind: u32,
    /// Bytes of the frame in it.
    pub used: u32,
    /// Such as [`IS_DAMAGED`].
    pub flags: u32,
    field: u32,
    /// When the frame was taken,
    pub seconds: i64,
    /// and microseconds more.
    pub micros: i64,
    timecode: [u32; 4],
    /// Number of the frame, counting those that did not come.
    pub number: u32,
    memory: u32,
    /// Where it is mapped from.
    pub offset: u32,
    after_offset: [u32; POINTER_WORDS - 1],
    /// Bytes that there is room for.
    pub len: u32,
    reserved: u32,
    request: i32,
}

impl Buffer {
    /// Asks for one of them, or with it.
    #[must_use]
    pub fn ask(index: u32) -> Self {
        Self {
            index,
            kind: CAPTURE,
            used: 0,
            flags: 0,
            field: 0,
            seconds: 0,
            micros: 0,
            timecode: [0; 4],
            number: 0,
            memory: MAPPED,
            offset: 0,
            after_offset: [0; POINTER_WORDS - 1],
            len: 0,
            reserved: 0,
            request: 0,
        }
    }
}

/// What is asked of a device, and what it answers with.
#[derive(Debug)]
pub enum Request<'a> {
    /// What are you?
    Capability(&'a mut Capability),
    /// What formats have you?
    FormatAt(&'a mut FormatDescription),
    /// What format is set?
    Format(&'a mut Format),
    /// Set it; answered with what could be set.
    SetFormat(&'a mut Format),
    /// What time is it from frame to frame?
    Interval(&'a mut Interval),
    /// Set it.
    SetInterval(&'a mut Interval),
    /// Make buffers.
    Buffers(&'a mut Buffers),
    /// Where is a buffer?
    Buffer(&'a mut Buffer),
    /// Fill this buffer.
    Queue(&'a mut Buffer),
    /// Which one is filled?
    Dequeue(&'a mut Buffer),
    /// Begin.
    Start,
}

impl Request<'_> {
    /// As the header calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Capability(_) => "VIDIOC_QUERYCAP",
            Self::FormatAt(_) => "VIDIOC_ENUM_FMT",
            Self::Format(_) => "VIDIOC_G_FMT",
            Self::SetFormat(_) => "VIDIOC_S_FMT",
            Self::Interval(_) => "VIDIOC_G_PARM",
            Self::SetInterval(_) => "VIDIOC_S_PARM",
            Self::Buffers(_) => "VIDIOC_REQBUFS",
            Self::Buffer(_) => "VIDIOC_QUERYBUF",
            Self::Queue(_) => "VIDIOC_QBUF",
            Self::Dequeue(_) => "VIDIOC_DQBUF",
            Self::Start => "VIDIOC_STREAMON",
        }
    }
}

/// The numbers of requests; each holds the size of what comes with it.
mod number {
    use super::*;

    pub(super) const CAPABILITY: Opcode = opcode::read::<Capability>(b'V', 0);
    pub(super) const FORMAT_AT: Opcode = opcode::read_write::<FormatDescription>(b'V', 2);
    pub(super) const FORMAT: Opcode = opcode::read_write::<Format>(b'V', 4);
    pub(super) const SET_FORMAT: Opcode = opcode::read_write::<Format>(b'V', 5);
    pub(super) const BUFFERS: Opcode = opcode::read_write::<Buffers>(b'V', 8);
    pub(super) const BUFFER: Opcode = opcode::read_write::<Buffer>(b'V', 9);
    pub(super) const QUEUE: Opcode = opcode::read_write::<Buffer>(b'V', 15);
    pub(super) const DEQUEUE: Opcode = opcode::read_write::<Buffer>(b'V', 17);
    pub(super) const START: Opcode = opcode::write::<u32>(b'V', 18);
    pub(super) const INTERVAL: Opcode = opcode::read_write::<Interval>(b'V', 21);
    pub(super) const SET_INTERVAL: Opcode = opcode::read_write::<Interval>(b'V', 22);
}

/// Who answers requests: the kernel, or a test.
pub trait Kernel: Send + Debug {
    /// Asks.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn ask(&mut self, request: Request<'_>) -> io::Result<()>;

    /// Maps a buffer whose place is known, to be copied from by its index.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn map(&mut self, buffer: &Buffer) -> io::Result<()>;

    /// A copy of the first bytes of a buffer; fewer, if it has not so many.
    fn copy(&self, index: u32, len: usize) -> Vec<u8>;

    /// Waits for a filled buffer, or for an error that tells more; whether there is one.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn wait(&mut self, most: Timespec) -> io::Result<bool>;
}

/// A device node, such as `/dev/video0`.
#[derive(Debug)]
pub struct Device {
    file: File,
    mappings: Vec<Option<Mapping>>,
}

impl Device {
    /// Opens a node; whatever it is.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be used.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)?;
        Ok(Self {
            file,
            mappings: Vec::new(),
        })
    }

    /// One request, again if a signal came.
    fn update<const NUMBER: Opcode, T: Plain>(&self, value: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: `NUMBER` is one of `number`, each made from the size of the `T` that `ask` gives
            // with it, and the kernel copies as many bytes as the number says, from `value` and to it.
            // `T` is `Plain`: laid out as the kernel's structure, valid with any bytes, and without an
            // address that the kernel would follow: its kind and memory are set by this module alone,
            // and say that there is none. A device that is no video device refuses the number, or, where
            // it has another meaning for it, takes the same number of bytes.
            let asked = unsafe { ioctl(&self.file, Updater::<NUMBER, T>::new(value)) };
            match asked {
                Err(Errno::INTR) => {}
                asked => return Ok(asked?),
            }
        }
    }
}

/// Structures of numbers only, laid out as C does.
trait Plain {}

impl Plain for Capability {}
impl Plain for FormatDescription {}
impl Plain for Format {}
impl Plain for Interval {}
impl Plain for Buffers {}
impl Plain for Buffer {}
impl Plain for u32 {}

impl Kernel for Device {
    fn ask(&mut self, request: Request<'_>) -> io::Result<()> {
        match request {
            Request::Capability(value) => self.update::<{ number::CAPABILITY }, _>(value),
            Request::FormatAt(value) => self.update::<{ number::FORMAT_AT }, _>(value),
            Request::Format(value) => self.update::<{ number::FORMAT }, _>(value),
            Request::SetFormat(value) => self.update::<{ number::SET_FORMAT }, _>(value),
            Request::Interval(value) => self.update::<{ number::INTERVAL }, _>(value),
            Request::SetInterval(value) => self.update::<{ number::SET_INTERVAL }, _>(value),
            Request::Buffers(value) => self.update::<{ number::BUFFERS }, _>(value),
            Request::Buffer(value) => self.update::<{ number::BUFFER }, _>(value),
            Request::Queue(value) => self.update::<{ number::QUEUE }, _>(value),
            Request::Dequeue(value) => self.update::<{ number::DEQUEUE }, _>(value),
            Request::Start => {
                let mut kind = CAPTURE;
                self.update::<{ number::START }, u32>(&mut kind)
            }
        }
    }

    fn map(&mut self, buffer: &Buffer) -> io::Result<()> {
        let mapping = Mapping::new(&self.file, buffer.len as usize, buffer.offset)?;
        let at = buffer.index as usize;
        if self.mappings.len() <= at {
            self.mappings.resize_with(at + 1, || None);
        }
        self.mappings[at] = Some(mapping);
        Ok(())
    }

    fn copy(&self, index: u32, len: usize) -> Vec<u8> {
        match self.mappings.get(index as usize) {
            Some(Some(mapping)) => mapping.copy(len),
            _ => Vec::new(),
        }
    }

    fn wait(&mut self, most: Timespec) -> io::Result<bool> {
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut ready, Some(&most)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Sizes, offsets and numbers as gcc 12 gives them for Linux 6.1's `linux/videodev2.h` on x86-64;
    /// aarch64 has the same.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn structures_and_numbers_are_those_of_the_header() {
        let sizes = [
            (size_of::<Capability>(), 104),
            (size_of::<FormatDescription>(), 64),
            (size_of::<Format>(), 208),
            (size_of::<PixelFormat>(), 48),
            (size_of::<Interval>(), 204),
            (size_of::<Buffers>(), 20),
            (size_of::<Buffer>(), 88),
        ];
        for (at, (found, told)) in sizes.into_iter().enumerate() {
            assert_eq!(found, told, "size {at}");
        }
        let offsets = [
            (offset_of!(Capability, all), 84),
            (offset_of!(Capability, own), 88),
            (offset_of!(FormatDescription, pixel), 44),
            (offset_of!(Format, frames), 8),
            (offset_of!(PixelFormat, pixel), 8),
            (offset_of!(PixelFormat, row_bytes), 16),
            (offset_of!(PixelFormat, bytes), 20),
            (offset_of!(Interval, capability), 4),
            (offset_of!(Interval, numerator), 12),
            (offset_of!(Buffers, memory), 8),
            (offset_of!(Buffer, used), 8),
            (offset_of!(Buffer, flags), 12),
            (offset_of!(Buffer, seconds), 24),
            (offset_of!(Buffer, timecode), 40),
            (offset_of!(Buffer, number), 56),
            (offset_of!(Buffer, memory), 60),
            (offset_of!(Buffer, offset), 64),
            (offset_of!(Buffer, len), 72),
        ];
        for (at, (found, told)) in offsets.into_iter().enumerate() {
            assert_eq!(found, told, "offset {at}");
        }
        let numbers = [
            (number::CAPABILITY, 0x8068_5600),
            (number::FORMAT_AT, 0xc040_5602),
            (number::FORMAT, 0xc0d0_5604),
            (number::SET_FORMAT, 0xc0d0_5605),
            (number::BUFFERS, 0xc014_5608),
            (number::BUFFER, 0xc058_5609),
            (number::QUEUE, 0xc058_560f),
            (number::DEQUEUE, 0xc058_5611),
            (number::START, 0x4004_5612),
            (number::INTERVAL, 0xc0cc_5615),
            (number::SET_INTERVAL, 0xc0cc_5616),
        ];
        for (found, told) in numbers {
            assert_eq!(found, told, "{told:#x}");
        }
        assert_eq!(FourCc::new(*b"Y16 ").0, 0x2036_3159);
        assert_eq!(FourCc::new(*b"Z16 ").0, 0x2036_315a);
    }

    #[test]
    fn pixels_have_names() {
        assert_eq!(FourCc::new(*b"Y16 ").to_string(), "Y16");
        assert_eq!(FourCc(0xa036_3159).to_string(), "Y16-BE");
    }

    #[test]
    fn what_is_no_video_device_says_so() {
        let mut device = Device::open("/dev/null".as_ref()).unwrap();
        let error = device.ask(Request::Capability(&mut Capability::default()));
        assert_eq!(
            Errno::from_io_error(&error.unwrap_err()),
            Some(Errno::NOTTY)
        );
        assert!(device.ask(Request::Start).is_err());
        assert!(device.map(&Buffer::ask(0)).is_err());
        assert!(device.copy(0, 10).is_empty());
    }

    #[test]
    fn a_mapping_is_copied_from() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7u8; 5000]).unwrap();
        let mut device = Device::open(file.path()).unwrap();
        let mut buffer = Buffer::ask(1);
        (buffer.len, buffer.offset) = (904, 4096);
        device.map(&buffer).unwrap();
        assert_eq!(device.copy(1, 3), [7; 3]);
        assert_eq!(device.copy(1, 10_000), vec![7; 904]);
        assert!(device.copy(0, 3).is_empty());
    }
}

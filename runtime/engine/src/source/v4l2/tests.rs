use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

/// A kernel with one camera: 4 x 2 pixels in rows of 12 bytes.
#[derive(Debug, Clone)]
struct Fake(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    all: u32,
    own: u32,
    pixels: Vec<&'static [u8; 4]>,
    size: (u32, u32),
    row_bytes: u32,
    buffer_len: u32,
    /// Frames a second; none if it has no such request.
    interval: Option<(u32, u32)>,
    /// What comes of dequeueing, one after the other; then nothing.
    filled: VecDeque<Result<Filled, Errno>>,
    /// The requests that are refused, and how.
    refuses: Vec<(&'static str, Errno)>,
    /// All that was asked.
    asked: Vec<&'static str>,
    /// The buffers that the kernel has.
    queued: Vec<u32>,
    contents: Vec<u8>,
}

/// A buffer: time in microseconds, number, flags, bytes.
#[derive(Debug, Clone)]
struct Filled(i64, u32, u32, Vec<u8>);

impl Fake {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            all: CAPTURES | STREAMS | HAS_OWN,
            own: CAPTURES | STREAMS,
            pixels: vec![b"YUYV", b"Y16 ", b"Z16 "],
            size: (4, 2),
            row_bytes: 12,
            buffer_len: 24,
            interval: Some((117, 1000)),
            filled: VecDeque::new(),
            refuses: Vec::new(),
            asked: Vec::new(),
            queued: Vec::new(),
            contents: Vec::new(),
        })))
    }

    fn with(change: impl FnOnce(&mut State)) -> Self {
        let fake = Self::new();
        change(&mut fake.0.lock().unwrap());
        fake
    }
}

impl Kernel for Fake {
    fn ask(&mut self, request: Request<'_>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let name = request.name();
        state.asked.push(name);
        if let Some((_, errno)) = state.refuses.iter().find(|(refused, _)| *refused == name) {
            return Err((*errno).into());
        }
        match request {
            Request::Capability(capability) => {
                capability.card[..6].copy_from_slice(b"Lepton");
                (capability.all, capability.own) = (state.all, state.own);
            }
            Request::FormatAt(format) => match state.pixels.get(format.index as usize) {
                Some(pixel) => format.pixel = FourCc::new(**pixel),
                None => return Err(Errno::INVAL.into()),
            },
            Request::Format(format) => {
                format.frames.pixel = FourCc::new(*state.pixels[0]);
                (format.frames.width, format.frames.height) = state.size;
            }
            Request::SetFormat(format) => {
                (format.frames.width, format.frames.height) = state.size;
                format.frames.row_bytes = state.row_bytes;
            }
            Request::Interval(interval) => match state.interval {
                Some((numerator, denominator)) => {
                    interval.capability = HAS_INTERVAL;
                    (interval.numerator, interval.denominator) = (numerator, denominator);
                }
                None => return Err(Errno::NOTTY.into()),
            },
            Request::SetInterval(interval) => {
                let Some(set) = &mut state.interval else {
                    return Err(Errno::NOTTY.into());
                };
                *set = (interval.numerator, interval.denominator);
            }
            Request::Buffers(buffers) => buffers.count = buffers.count.min(3),
            Request::Buffer(buffer) => {
                buffer.len = state.buffer_len;
                buffer.offset = buffer.index * 4096;
            }
            Request::Queue(buffer) => {
                assert!(!state.queued.contains(&buffer.index), "queued twice");
                state.queued.push(buffer.index);
            }
            Request::Dequeue(buffer) => {
                let Filled(micros, number, flags, bytes) =
                    state.filled.pop_front().unwrap_or(Err(Errno::AGAIN))?;
                buffer.index = state.queued.remove(0);
                (buffer.seconds, buffer.micros) = (micros / 1_000_000, micros % 1_000_000);
                (buffer.number, buffer.flags) = (number, flags);
                buffer.used = bytes.len() as u32;
                state.contents = bytes;
            }
            Request::Start => {}
        }
        Ok(())
    }

    fn map(&mut self, buffer: &Buffer) -> io::Result<()> {
        assert_eq!(buffer.offset, buffer.index * 4096);
        Ok(())
    }

    fn copy(&self, index: u32, len: usize) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        assert!(!state.queued.contains(&index), "copied while it is filled");
        state.contents[..len.min(state.contents.len())].to_vec()
    }

    fn wait(&mut self, _most: Timespec) -> io::Result<bool> {
        Ok(!self.0.lock().unwrap().filled.is_empty())
    }
}

fn thermal() -> Video {
    Video {
        device: "/dev/video7".into(),
        counts: Counts::celsius(None, None),
        size: None,
        rate_hz: None,
    }
}

fn begin(video: &Video, fake: &Fake) -> Result<VideoCamera, V4l2Error> {
    VideoCamera::begin(video, Box::new(fake.clone()))
}

fn error(video: &Video, fake: &Fake) -> String {
    begin(video, fake).unwrap_err().to_string()
}

/// A frame whose pixels are `first` and those after it, and whose rows end in what is no pixel.
fn frame(first: u16) -> Vec<u8> {
    let row = |start: u16| {
        let pixels = (start..start + 4).flat_map(u16::to_le_bytes);
        pixels.chain([0xee; 4])
    };
    row(first).chain(row(first + 4)).collect()
}

#[test]
fn a_radiometric_camera_gives_degrees() {
    let fake = Fake::new();
    let mut camera = begin(&thermal(), &fake).unwrap();
    // The data of 1000 / 117 a second, as UVC cameras of 9 Hz tell it.
    assert_eq!(camera.rate_mhz(), 8_547);
    assert_eq!(camera.next().unwrap(), None);
    {
        let mut state = fake.0.lock().unwrap();
        assert_eq!(state.queued, [0, 1, 2]);
        assert_eq!(state.asked.last(), Some(&"VIDIOC_STREAMON"));
        let filled = [
            Filled(12_000_001, 5, IS_MONOTONIC, frame(29_315)),
            Filled(12_117_000, 6, IS_MONOTONIC | IS_DAMAGED, frame(0)),
            Filled(12_234_000, 7, IS_MONOTONIC, vec![0; 19]),
            Filled(12_351_000, 8, IS_MONOTONIC, frame(30_000)),
        ];
        state.filled = filled.into_iter().map(Ok).collect();
    }
    let shots: Vec<_> = (0..5).map(|_| camera.next().unwrap()).collect();
    let [Some(first), None, None, Some(second), None] = &shots[..] else {
        panic!("{shots:?}");
    };
    assert_eq!((first.taken_ns, first.number), (12_000_001_000, Some(5)));
    assert_eq!((second.taken_ns, second.number), (12_351_000_000, Some(8)));
    assert_eq!((first.frame.width, first.frame.height), (4, 2));
    let celsius = (0..8).map(|at| 20.0 + 0.01 * at as f32);
    let Numbers::F32(found) = &first.frame.pixels else {
        panic!("{first:?}");
    };
    for (found, expected) in found.iter().zip(celsius) {
        assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
    }
    assert_eq!(fake.0.lock().unwrap().queued.len(), 3);
    assert_eq!(camera.blank().pixels.len(), 8);
}

#[test]
fn a_depth_camera_gives_millimetres() {
    let depth = |scale| Video {
        counts: Counts::metres(scale),
        ..thermal()
    };
    for (scale, expected) in [
        (None, [0, 1, 2, 3, 4, 5, 6, 7]),
        (Some(0.000_25), [0, 0, 1, 1, 1, 1, 2, 2]),
        (
            Some(10.0),
            [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, u16::MAX],
        ),
    ] {
        let fake = Fake::new();
        let mut camera = begin(&depth(scale), &fake).unwrap();
        let filled = Ok(Filled(1, 0, 0, frame(0)));
        fake.0.lock().unwrap().filled.push_back(filled);
        let before_ns = monotonic_ns();
        let shot = camera.next().unwrap().unwrap();
        assert_eq!(shot.frame.pixels, Numbers::U16(expected.to_vec()));
        // Its driver has no clock.
        assert!(shot.taken_ns >= before_ns);
    }
    assert_eq!(depth(None).counts.unit(), "millimetres, 1 a count");
    assert_eq!(
        thermal().counts.unit(),
        "degrees Celsius, 0.01 a count from -273.15"
    );
}

#[test]
fn what_is_asked_for_is_set() {
    let fake = Fake::new();
    let video = Video {
        size: Some((4, 2)),
        rate_hz: Some(9.0),
        ..thermal()
    };
    assert_eq!(begin(&video, &fake).unwrap().rate_mhz(), 9_000);
    assert_eq!(fake.0.lock().unwrap().interval, Some((1000, 9_000)));
    let of_one_rate = Fake::with(|state| state.interval = None);
    assert_eq!(begin(&video, &of_one_rate).unwrap().rate_mhz(), 9_000);
}

#[test]
fn what_cannot_be_used_is_told() {
    let odd = |change: fn(&mut State)| error(&thermal(), &Fake::with(change));
    assert_eq!(
        odd(|state| state.refuses.push(("VIDIOC_QUERYCAP", Errno::NOTTY))),
        "\"/dev/video7\" is no video device"
    );
    assert_eq!(
        odd(|state| state.own = STREAMS),
        "\"/dev/video7\" (Lepton) does not capture video; a camera's other node may"
    );
    assert_eq!(
        odd(|state| state.pixels = vec![b"YUYV", b"MJPG"]),
        "\"/dev/video7\" (Lepton) has pixels of YUYV, MJPG, expected Y16"
    );
    assert_eq!(
        odd(|state| state.interval = None),
        "\"/dev/video7\" (Lepton) does not say how many frames a second it gives, expected rate_hz"
    );
    assert_eq!(
        odd(|state| state.row_bytes = 7),
        "\"/dev/video7\" (Lepton) gives frames of 4x2 in 0 bytes, expected 2 bytes a pixel, 16777216 \
         pixels at most"
    );
    assert_eq!(
        odd(|state| state.buffer_len = 19),
        "\"/dev/video7\" (Lepton) gives frames of 4x2 in 19 bytes, expected 2 bytes a pixel, 16777216 \
         pixels at most"
    );
    assert!(odd(|state| state.size = (1 << 16, 1 << 16)).contains("65536x65536"));
    assert_eq!(
        odd(|state| state.refuses.push(("VIDIOC_REQBUFS", Errno::BUSY))),
        "VIDIOC_REQBUFS of \"/dev/video7\""
    );
    let large = Video {
        size: Some((160, 120)),
        ..thermal()
    };
    assert_eq!(
        error(&large, &Fake::new()),
        "\"/dev/video7\" (Lepton) gives frames of 4x2, expected 160x120"
    );
}

#[test]
fn a_camera_that_is_unplugged_says_so() {
    let fake = Fake::new();
    let mut camera = begin(&thermal(), &fake).unwrap();
    fake.0.lock().unwrap().filled.push_back(Err(Errno::NODEV));
    let error = camera.next().unwrap_err();
    assert_eq!(error.to_string(), "VIDIOC_DQBUF of \"/dev/video7\"");
    assert!(!error.is_lasting());
}

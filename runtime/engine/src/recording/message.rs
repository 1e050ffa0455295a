//! Messages, as they lie in the file.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sensorium_core::ImuSample;
use sensorium_media::Numbers;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::source::{Frame, Signal};

/// What a step of 16-bit sound is of full scale.
const STEPS: f32 = 32_768.0;

/// Sound of 16 bits, which Foxglove plays.
const PCM_S16: &str = "pcm-s16";

/// Sound of floats, where 16 bits do not hold it.
const PCM_F32: &str = "pcm-f32";

/// Why a message's numbers are none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// It is not JSON of the right form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The bytes are not base64.
    #[error("data")]
    Base64(#[from] base64::DecodeError),
    /// Numbers of a kind that is not read.
    #[error("{key} is {found:?}, expected {expected}")]
    Kind {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// There are not as many bytes as there should be.
    #[error("data has {actual} bytes, expected {expected}")]
    Length {
        /// How many there are.
        actual: usize,
        /// How many there should be.
        expected: String,
    },
    /// Samples that never come.
    #[error("rate_mhz is 0")]
    Rate,
}

/// A vector as Foxglove plots it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Xyz {
    x: f32,
    y: f32,
    z: f32,
}

/// Seconds and nanoseconds, as Foxglove's schemas have them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Time {
    sec: u32,
    nsec: u32,
}

impl Time {
    fn new(t_ns: u64) -> Self {
        Self {
            sec: u32::try_from(t_ns / 1_000_000_000).unwrap_or(u32::MAX),
            nsec: (t_ns % 1_000_000_000) as u32,
        }
    }
}

/// Which sample it is, and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) t_us: u64,
    pub(super) rate_mhz: u32,
    /// Whether the source began a block with it.
    pub(super) begins: bool,
}

impl Place {
    fn checked(self) -> Result<Self, DataError> {
        match self.rate_mhz {
            0 => Err(DataError::Rate),
            _ => Ok(self),
        }
    }
}

/// An inertial sample.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inertial {
    index: u64,
    t_us: u64,
    rate_mhz: u32,
    #[serde(default)]
    begins_block: bool,
    accel_mps2: Xyz,
    gyro_radps: Xyz,
}

impl Inertial {
    pub(super) fn new(place: Place, sample: &ImuSample) -> Self {
        let xyz = |[x, y, z]: [f32; 3]| Xyz { x, y, z };
        Self {
            index: place.index,
            t_us: place.t_us,
            rate_mhz: place.rate_mhz,
            begins_block: place.begins,
            accel_mps2: xyz(sample.accel_mps2),
            gyro_radps: xyz(sample.gyro_radps),
        }
    }

    pub(super) fn read(data: &[u8]) -> Result<(Place, ImuSample), DataError> {
        let message: Self = serde_json::from_slice(data)?;
        let array = |Xyz { x, y, z }: Xyz| [x, y, z];
        let place = Place {
            index: message.index,
            t_us: message.t_us,
            rate_mhz: message.rate_mhz,
            begins: message.begins_block,
        };
        let sample = ImuSample {
            accel_mps2: array(message.accel_mps2),
            gyro_radps: array(message.gyro_radps),
        };
        Ok((place.checked()?, sample))
    }
}

/// A block of sound: `foxglove.RawAudio`, and its place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sound<'a> {
    timestamp: Time,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    format: Cow<'a, str>,
    sample_rate: u32,
    number_of_channels: u32,
    index: u64,
    t_us: u64,
    rate_mhz: u32,
    /// As of [`Block`](crate::source::Block).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offsets_us: Option<Cow<'a, [u64]>>,
}

impl<'a> Sound<'a> {
    pub(super) fn new(
        place: Place,
        taken_ns: u64,
        samples: &[f32],
        offsets_us: Option<&'a [u64]>,
    ) -> Self {
        let steps: Option<Vec<i16>> = samples.iter().map(|sample| in_steps(*sample)).collect();
        let (format, bytes): (_, Vec<u8>) = match steps {
            Some(steps) => (PCM_S16, to_bytes(&steps, i16::to_le_bytes)),
            None => (PCM_F32, to_bytes(samples, f32::to_le_bytes)),
        };
        Self {
            timestamp: Time::new(taken_ns),
            data: BASE64_STANDARD.encode(bytes).into(),
            format: format.into(),
            sample_rate: place.rate_mhz / 1000,
            number_of_channels: 1,
            index: place.index,
            t_us: place.t_us,
            rate_mhz: place.rate_mhz,
            offsets_us: offsets_us.map(Cow::Borrowed),
        }
    }

    pub(super) fn read(data: &'a [u8]) -> Result<Heard, DataError> {
        let message: Self = serde_json::from_slice(data)?;
        let bytes = BASE64_STANDARD.decode(message.data.as_bytes())?;
        let samples: Vec<f32> = match &*message.format {
            PCM_S16 => from_bytes(&bytes, |bytes| f32::from(i16::from_le_bytes(bytes)) / STEPS)?,
            PCM_F32 => from_bytes(&bytes, f32::from_le_bytes)?,
            other => {
                return Err(DataError::Kind {
                    key: "format",
                    found: other.to_owned(),
                    expected: "\"pcm-s16\" or \"pcm-f32\"",
                });
            }
        };
        let place = Place {
            index: message.index,
            t_us: message.t_us,
            rate_mhz: message.rate_mhz,
            begins: true,
        };
        Ok(Heard {
            place: place.checked()?,
            samples,
            offsets_us: message.offsets_us.map(Cow::into_owned),
        })
    }
}

/// A block of sound, as it was.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) place: Place,
    pub(super) samples: Vec<f32>,
    /// As of [`Block`](crate::source::Block).
    pub(super) offsets_us: Option<Vec<u64>>,
}

/// A sample in steps of 16 bits, if it is one, to the last bit.
fn in_steps(sample: f32) -> Option<i16> {
    let step = sample * STEPS;
    // What is out of range, or no number, does not come back as what it was.
    let step = step as i16;
    (f32::from(step) / STEPS)
        .to_bits()
        .eq(&sample.to_bits())
        .then_some(step)
}

/// A frame: `foxglove.RawImage`, and its place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Picture<'a> {
    timestamp: Time,
    #[serde(borrow)]
    frame_id: Cow<'a, str>,
    width: u32,
    height: u32,
    #[serde(borrow)]
    encoding: Cow<'a, str>,
    step: u32,
    #[serde(borrow)]
    data: Cow<'a, str>,
    index: u64,
    t_us: u64,
    rate_mhz: u32,
    #[serde(default)]
    begins_block: bool,
}

impl<'a> Picture<'a> {
    pub(super) fn new(place: Place, taken_ns: u64, frame_id: &'a str, frame: &Frame) -> Self {
        let (encoding, bytes) = pixels_to_bytes(&frame.pixels);
        let small = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        Self {
            timestamp: Time::new(taken_ns),
            frame_id: frame_id.into(),
            width: small(frame.width),
            height: small(frame.height),
            encoding: encoding.into(),
            step: small(bytes.len() / frame.height.max(1)),
            data: BASE64_STANDARD.encode(bytes).into(),
            index: place.index,
            t_us: place.t_us,
            rate_mhz: place.rate_mhz,
            begins_block: place.begins,
        }
    }

    pub(super) fn read(data: &'a [u8]) -> Result<(Place, Frame), DataError> {
        let message: Self = serde_json::from_slice(data)?;
        let bytes = BASE64_STANDARD.decode(message.data.as_bytes())?;
        let pixels = pixels_from_bytes(&message.encoding, &bytes)?;
        let (width, height) = (message.width as usize, message.height as usize);
        if width.checked_mul(height) != Some(pixels.len()) || pixels.is_empty() {
            return Err(DataError::Length {
                actual: bytes.len(),
                expected: format!("{width} x {height} pixels of {}", message.encoding),
            });
        }
        let place = Place {
            index: message.index,
            t_us: message.t_us,
            rate_mhz: message.rate_mhz,
            begins: message.begins_block,
        };
        let frame = Frame {
            height,
            width,
            pixels,
        };
        Ok((place.checked()?, frame))
    }
}

/// Pixels little-endian, and what ROS and Foxglove call them.
fn pixels_to_bytes(pixels: &Numbers) -> (&'static str, Vec<u8>) {
    match pixels {
        Numbers::U8(pixels) => ("8UC1", pixels.clone()),
        Numbers::U16(pixels) => ("16UC1", to_bytes(pixels, u16::to_le_bytes)),
        Numbers::I16(pixels) => ("16SC1", to_bytes(pixels, i16::to_le_bytes)),
        Numbers::I32(pixels) => ("32SC1", to_bytes(pixels, i32::to_le_bytes)),
        Numbers::I64(pixels) => ("64SC1", to_bytes(pixels, i64::to_le_bytes)),
        Numbers::F32(pixels) => ("32FC1", to_bytes(pixels, f32::to_le_bytes)),
        Numbers::F64(pixels) => ("64FC1", to_bytes(pixels, f64::to_le_bytes)),
        // Numbers of other kinds are none that cameras give.
        other => (
            "32FC1",
            to_bytes(&other.to_f32(0..other.len()), f32::to_le_bytes),
        ),
    }
}

fn pixels_from_bytes(encoding: &str, bytes: &[u8]) -> Result<Numbers, DataError> {
    Ok(match encoding {
        "8UC1" | "mono8" => Numbers::U8(bytes.to_vec()),
        "16UC1" | "mono16" => Numbers::U16(from_bytes(bytes, u16::from_le_bytes)?),
        "16SC1" => Numbers::I16(from_bytes(bytes, i16::from_le_bytes)?),
        "32SC1" => Numbers::I32(from_bytes(bytes, i32::from_le_bytes)?),
        "64SC1" => Numbers::I64(from_bytes(bytes, i64::from_le_bytes)?),
        "32FC1" => Numbers::F32(from_bytes(bytes, f32::from_le_bytes)?),
        "64FC1" => Numbers::F64(from_bytes(bytes, f64::from_le_bytes)?),
        other => {
            return Err(DataError::Kind {
                key: "encoding",
                found: other.to_owned(),
                expected: "one number a pixel, such as \"16UC1\"",
            });
        }
    })
}

fn to_bytes<T: Copy, const N: usize>(values: &[T], one: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| one(*value)).collect()
}

fn from_bytes<T, const N: usize>(
    bytes: &[u8],
    one: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, DataError> {
    let (values, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(DataError::Length {
            actual: bytes.len(),
            expected: format!("a multiple of {N}"),
        });
    }
    Ok(values.iter().map(|value| one(*value)).collect())
}

/// What a source says beside samples, as it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Node {
    Boot {
        boot_id: u32,
    },
    Reboot {
        boot_id: u32,
    },
    Counts {
        t_dev_us: u64,
        sampled: u64,
        dropped: u64,
    },
    Gone {},
    NotFinite {},
}

impl Node {
    /// What there is to write of a signal without samples.
    pub(super) fn of(signal: &Signal) -> Option<Self> {
        Some(match *signal {
            Signal::Boot { boot_id } => Self::Boot { boot_id },
            Signal::Reboot { boot_id } => Self::Reboot { boot_id },
            Signal::NodeCounts {
                t_dev_us,
                sampled,
                dropped,
            } => Self::Counts {
                t_dev_us,
                sampled,
                dropped,
            },
            Signal::Gone => Self::Gone {},
            Signal::NotFinite => Self::NotFinite {},
            // Samples are messages of their own; a replay has no link, and finds its own origin.
            Signal::Block(_) | Signal::Frames(_) | Signal::Origin { .. } => return None,
        })
    }

    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Boot { boot_id } => Signal::Boot { boot_id },
            Self::Reboot { boot_id } => Signal::Reboot { boot_id },
            Self::Counts {
                t_dev_us,
                sampled,
                dropped,
            } => Signal::NodeCounts {
                t_dev_us,
                sampled,
                dropped,
            },
            Self::Gone {} => Signal::Gone,
            Self::NotFinite {} => Signal::NotFinite,
        }
    }
}

/// Keys that every message with samples has.
fn with_place(mut properties: Value) -> Value {
    let whole = json!({"type": "integer", "minimum": 0});
    for key in ["index", "t_us", "rate_mhz"] {
        properties[key] = whole.clone();
    }
    properties
}

fn schema(title: &str, properties: &Value) -> Vec<u8> {
    let schema = json!({"title": title, "type": "object", "properties": properties});
    schema.to_string().into_bytes()
}

fn time_schema() -> Value {
    let whole = json!({"type": "integer", "minimum": 0});
    let nsec = json!({"type": "integer", "minimum": 0, "maximum": 999_999_999});
    json!({"type": "object", "title": "time", "properties": {"sec": whole, "nsec": nsec}})
}

fn data_schema() -> Value {
    json!({"type": "string", "contentEncoding": "base64"})
}

/// Name and JSON schema of inertial samples.
pub(super) fn inertial_schema() -> (&'static str, Vec<u8>) {
    const NAME: &str = "sensorium.Imu";
    let number = json!({"type": "number"});
    let vector = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "properties": {"x": number, "y": number, "z": number},
        })
    };
    let properties = with_place(json!({
        "begins_block": {"type": "boolean"},
        "accel_mps2": vector("specific force in m/s²"),
        "gyro_radps": vector("angular rate in rad/s"),
    }));
    (NAME, schema(NAME, &properties))
}

/// Name and JSON schema of sound.
pub(super) fn sound_schema() -> (&'static str, Vec<u8>) {
    const NAME: &str = "foxglove.RawAudio";
    let whole = json!({"type": "integer", "minimum": 0});
    let properties = with_place(json!({
        "timestamp": time_schema(),
        "data": data_schema(),
        "format": {"type": "string"},
        "sample_rate": whole,
        "number_of_channels": whole,
        "offsets_us": {"type": "array", "items": whole},
    }));
    (NAME, schema(NAME, &properties))
}

/// Name and JSON schema of frames.
pub(super) fn picture_schema() -> (&'static str, Vec<u8>) {
    const NAME: &str = "foxglove.RawImage";
    let whole = json!({"type": "integer", "minimum": 0});
    let properties = with_place(json!({
        "timestamp": time_schema(),
        "frame_id": {"type": "string"},
        "width": whole,
        "height": whole,
        "encoding": {"type": "string"},
        "step": whole,
        "data": data_schema(),
        "begins_block": {"type": "boolean"},
    }));
    (NAME, schema(NAME, &properties))
}

/// Name and JSON schema of what a node says.
pub(super) fn node_schema() -> (&'static str, Vec<u8>) {
    const NAME: &str = "sensorium.Node";
    let object = json!({"type": "object"});
    let keys = ["boot", "reboot", "counts", "gone", "not_finite"];
    let properties = keys.map(|key| (key.to_owned(), object.clone()));
    let properties = Value::Object(properties.into_iter().collect());
    (NAME, schema(NAME, &properties))
}

//! What files do not say of themselves: rates, units and scales; and with it, from bytes to [`Raw`].

use std::ops::{Range, RangeInclusive};

use sensorium_core::feature::{IMU_CHANNELS, ImuUnits, resample};
use sensorium_media::{NumberArray, Numbers, Sound, array, clip, picture};
use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

use crate::set::Fault;
use crate::setting::{self, SettingError};
use crate::{Raw, Sample};

/// Rates of sound files that are taken for such, in hertz.
pub(crate) const SOUND_RATES_HZ: RangeInclusive<u32> = 1_000..=768_000;

/// What a set's files do not say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forms {
    /// Of IMU samples; needed where there are such.
    pub imu: Option<ImuForm>,
    /// Of sound.
    pub audio: SoundForm,
    /// Of heat.
    pub thermal: FrameForm,
    /// Of distances.
    pub depth: FrameForm,
}

/// Of IMU samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImuForm {
    /// Samples a second.
    pub rate_hz: f32,
    /// Units of the channels once they are scaled, such as `g,rad/s`.
    #[serde(with = "units")]
    pub units: ImuUnits,
    /// Unit of acceleration that one step of the first three numbers stands for.
    #[serde(default = "one")]
    pub accel_scale: f32,
    /// Unit of angular rate that one step of the last three numbers stands for.
    #[serde(default = "one")]
    pub gyro_scale: f32,
    /// How much of a recording is kept, in seconds, around its largest acceleration: of a fall the
    /// fall, not the walk before it. All by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_s: Option<f32>,
}

/// Of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundForm {
    /// The rate that sound is converted to when it is loaded, in hertz; the file's own without it.
    /// For arrays, which do not tell their rate, the rate that they have.
    pub rate_hz: Option<u32>,
}

/// Of pictures of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrameForm {
    /// Degrees, or millimetres, that one step of the numbers stands for.
    pub scale: f32,
    /// Degrees, or millimetres, that 0 stands for. With depth it must be 0, which is no measurement.
    pub offset: f32,
    /// Frames a second.
    pub rate_hz: Option<f32>,
}

impl Default for FrameForm {
    fn default() -> Self {
        Self {
            scale: 1.0,
            offset: 0.0,
            rate_hz: None,
        }
    }
}

impl FrameForm {
    /// Whether numbers stay what the files hold.
    fn is_as_filed(&self) -> bool {
        self.scale == 1.0 && self.offset == 0.0
    }
}

/// So many samples, as far as there are, with the largest acceleration in their middle or, near an
/// end of the recording, as near to it as can be.
fn around_peak(samples: &[Sample], len: usize) -> Range<usize> {
    let squared = |[x, y, z, ..]: Sample| x * x + y * y + z * z;
    let peak = (0..samples.len())
        .max_by(|&a, &b| squared(samples[a]).total_cmp(&squared(samples[b])))
        .unwrap_or(0);
    let len = len.clamp(1, samples.len());
    let start = peak.saturating_sub(len / 2).min(samples.len() - len);
    start..start + len
}

fn one() -> f32 {
    1.0
}

/// Units as text.
mod units {
    use super::ImuUnits;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(units: &ImuUnits, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(units)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImuUnits, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| D::Error::custom(format!("units are {text:?}, {error}")))
    }
}

impl Forms {
    /// Whether the settings make sense.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), SettingError> {
        let imu = self.imu.iter().flat_map(|imu| {
            [
                ("imu.rate_hz", imu.rate_hz),
                ("imu.accel_scale", imu.accel_scale),
                ("imu.gyro_scale", imu.gyro_scale),
                ("imu.peak_s", imu.peak_s.unwrap_or(1.0)),
            ]
        });
        let frames = [
            ("thermal.scale", Some(self.thermal.scale)),
            ("thermal.rate_hz", self.thermal.rate_hz),
            ("depth.scale", Some(self.depth.scale)),
            ("depth.rate_hz", self.depth.rate_hz),
        ];
        let frames = frames
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        for (name, value) in imu.chain(frames) {
            setting::positive(name, value)?;
        }
        if let Some(rate_hz) = self.audio.rate_hz {
            setting::fits(
                "audio.rate_hz",
                rate_hz as f32,
                "1000 to 768000",
                SOUND_RATES_HZ.contains(&rate_hz),
            )?;
        }
        let offset = self.thermal.offset;
        setting::fits("thermal.offset", offset, "a number", offset.is_finite())?;
        let (offset, expected) = (self.depth.offset, "0, which stands for no measurement");
        setting::fits("depth.offset", offset, expected, offset == 0.0)
    }

    /// What the bytes of a file are.
    pub(crate) fn decode(&self, sense: Modality, bytes: Vec<u8>) -> Result<Raw, Fault> {
        match sense {
            Modality::Imu => {
                let array = array::from_bytes(bytes, None)?;
                let all = 0..array.numbers.len();
                let shape = array.shape.clone();
                self.array(sense, &array.numbers, all, &shape)
            }
            Modality::Audio => {
                let sound = Sound::from_bytes(bytes)?;
                let rate_hz = sound.rate_hz;
                if !SOUND_RATES_HZ.contains(&rate_hz) {
                    return Err(Fault::Rate { rate_hz });
                }
                let to_hz = self.audio.rate_hz.unwrap_or(rate_hz);
                Ok(Raw::Sound {
                    samples: resample(&sound.mono(), rate_hz, to_hz),
                    rate_hz: to_hz,
                })
            }
            Modality::Thermal | Modality::Depth => self.frames(sense, clip::from_bytes(bytes)?),
            Modality::Image => Ok(Raw::Image(picture::rgb_from_bytes(&bytes)?)),
            Modality::Text => {
                let text = str::from_utf8(&bytes).map_err(|error| Fault::Utf8 {
                    valid: error.valid_up_to(),
                })?;
                self.text(text)
            }
        }
    }

    pub(crate) fn text(&self, text: &str) -> Result<Raw, Fault> {
        match text.trim() {
            "" => Err(Fault::Empty),
            text => Ok(Raw::Text(text.to_owned())),
        }
    }

    /// What some numbers of an array are, whose shape is `shape`: those of one sample.
    pub(crate) fn array(
        &self,
        sense: Modality,
        numbers: &Numbers,
        range: std::ops::Range<usize>,
        shape: &[usize],
    ) -> Result<Raw, Fault> {
        let wrong = |expected| Fault::Shape {
            actual: shape.to_vec(),
            expected,
        };
        if range.is_empty() {
            return Err(Fault::Empty);
        }
        match (sense, shape) {
            (Modality::Imu, &[_, IMU_CHANNELS]) => self.imu(numbers.to_f32(range)),
            (Modality::Imu, _) => Err(wrong("[samples, 6]")),
            (Modality::Audio, &[_]) => {
                let samples = numbers.to_f32(range);
                finite(&samples, 1)?;
                let rate_hz = self.audio.rate_hz.ok_or(Fault::Lacks)?;
                Ok(Raw::Sound { samples, rate_hz })
            }
            (Modality::Audio, _) => Err(wrong("[samples]")),
            (Modality::Image, &[height, width] | &[height, width, 3]) => {
                let Numbers::U8(all) = numbers else {
                    let actual = numbers.kind();
                    return Err(Fault::Colours { actual });
                };
                let bytes = &all[range];
                let pixels = if shape.len() == 2 {
                    bytes.iter().map(|&grey| [grey; 3]).collect()
                } else {
                    bytes.as_chunks().0.to_vec()
                };
                let image = sensorium_core::feature::Image::new(width, height, pixels);
                image.map(Raw::Image).ok_or(Fault::Empty)
            }
            (Modality::Image, _) => Err(wrong("[height, width] or [height, width, 3]")),
            (Modality::Thermal | Modality::Depth, &[height, width]) => {
                self.scaled(sense, numbers, range, [1, height, width])
            }
            (Modality::Thermal | Modality::Depth, &[frames, height, width]) => {
                self.scaled(sense, numbers, range, [frames, height, width])
            }
            (Modality::Thermal | Modality::Depth, _) => {
                Err(wrong("[height, width] or [frames, height, width]"))
            }
            (Modality::Text, _) => Err(Fault::Lacks),
        }
    }

    fn imu(&self, values: Vec<f32>) -> Result<Raw, Fault> {
        let form = self.imu.ok_or(Fault::Lacks)?;
        finite(&values, IMU_CHANNELS)?;
        let (a, g) = (form.accel_scale, form.gyro_scale);
        let scaled = |&[ax, ay, az, gx, gy, gz]: &[f32; IMU_CHANNELS]| {
            [a * ax, a * ay, a * az, g * gx, g * gy, g * gz]
        };
        let mut samples: Vec<_> = values.as_chunks().0.iter().map(scaled).collect();
        if let Some(peak_s) = form.peak_s {
            let kept = around_peak(&samples, (peak_s * form.rate_hz).round() as usize);
            samples.truncate(kept.end);
            samples.drain(..kept.start);
        }
        Ok(Raw::Imu {
            samples,
            rate_hz: form.rate_hz,
            units: form.units,
        })
    }

    /// Frames as a decoder of files gives them.
    pub(crate) fn frames(&self, sense: Modality, frames: NumberArray) -> Result<Raw, Fault> {
        let all = 0..frames.numbers.len();
        self.array(sense, &frames.numbers, all, &frames.shape)
    }

    fn scaled(
        &self,
        sense: Modality,
        numbers: &Numbers,
        range: std::ops::Range<usize>,
        shape: [usize; 3],
    ) -> Result<Raw, Fault> {
        let depth = sense == Modality::Depth;
        let form = if depth { self.depth } else { self.thermal };
        let numbers = match numbers {
            // Nothing is rounded that is not scaled, and 65535 stays what it means.
            Numbers::U16(values) if depth && form.scale == 1.0 => {
                Numbers::U16(values[range].to_vec())
            }
            numbers if depth => {
                let beyond = match numbers {
                    Numbers::U16(_) => f32::from(u16::MAX),
                    _ => f32::INFINITY,
                };
                let millimetres = |value: f32| match form.scale * value {
                    _ if value >= beyond => u16::MAX,
                    // What is no number was not measured either.
                    mm if mm > 0.0 => mm.round().min(f32::from(u16::MAX)) as u16,
                    _ => 0,
                };
                let values = numbers.to_f32(range);
                Numbers::U16(values.into_iter().map(millimetres).collect())
            }
            // Whole numbers are counts, which the front end knows how to read.
            Numbers::U8(values) if form.is_as_filed() => Numbers::U8(values[range].to_vec()),
            Numbers::U16(values) if form.is_as_filed() => Numbers::U16(values[range].to_vec()),
            numbers => {
                let mut values = numbers.to_f32(range);
                for value in &mut values {
                    *value = form.scale * *value + form.offset;
                }
                Numbers::F32(values)
            }
        };
        Ok(Raw::Frames {
            frames: NumberArray {
                shape: shape.to_vec(),
                numbers,
            },
            rate_hz: form.rate_hz,
        })
    }
}

fn finite(values: &[f32], width: usize) -> Result<(), Fault> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(bad) => Err(Fault::NotFinite { row: bad / width }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

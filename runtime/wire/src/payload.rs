use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{ImuSample, MAX_PAYLOAD, sample_time_us};

/// Most samples in one [`ImuBlock`]: 320 ms at 50 Hz.
pub const IMU_BLOCK_LEN: usize = 16;

/// Most samples in one [`ImuRawBlock`]: 60 ms at 400 Hz.
pub const IMU_RAW_BLOCK_LEN: usize = 24;

/// Most bytes in one [`Log`].
pub const LOG_LEN: usize = 256;

/// The numbers of the streams of a node. Another sensor takes a free number from [`IMU`] up.
///
/// [`IMU`]: stream::IMU
pub mod stream {
    /// The node itself: [`Hello`](crate::Hello).
    pub const NODE: u8 = 0;
    /// What the firmware logs: [`Log`](crate::Log).
    pub const LOG: u8 = 1;
    /// The first inertial sensor: blocks of samples, [`Status`](crate::Status) and
    /// [`End`](crate::End).
    pub const IMU: u8 = 16;
}

/// What one frame carries.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packet {
    /// Which source on the node: one of [`stream`].
    pub stream: u8,
    /// Number of this frame in its stream since boot, modulo 65536.
    pub seq: u16,
    /// Device time in microseconds since boot: of the first sample for a block of samples, of
    /// sending for anything else.
    pub t_dev_us: u64,
    /// The message.
    pub payload: Payload,
}

/// Everything a node can say.
///
/// The position of a message is its number on the wire: messages are added at the end, and neither
/// moved nor changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Payload {
    /// Who the node is. Sent at boot and every second or so, for a host that joins late.
    Hello(Hello),
    /// Inertial samples in SI units.
    Imu(ImuBlock),
    /// Inertial samples in sensor counts.
    ImuRaw(ImuRawBlock),
    /// What has become of the samples of this stream. Sent every second or so.
    Status(Status),
    /// Bytes from the firmware's log.
    Log(Log),
    /// The last word on this stream: nothing was left behind. Sent several times.
    End(End),
}

impl Payload {
    /// Number of the newest message.
    pub const NEWEST: u8 = 5;

    /// Whether a block of samples names the rate it was sampled at. True of other messages.
    pub(crate) fn has_rate(&self) -> bool {
        match self {
            Self::Imu(block) => block.rate_mhz != 0,
            Self::ImuRaw(block) => block.rate_mhz != 0,
            Self::Hello(_) | Self::Status(_) | Self::Log(_) | Self::End(_) => true,
        }
    }
}

/// Who a node is, and which boot of it this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello {
    /// Oldest [`VERSION`](crate::VERSION) that the node can speak.
    pub protocol_min: u8,
    /// Newest [`VERSION`](crate::VERSION) that the node can speak.
    pub protocol_max: u8,
    /// Version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// What tells this node from every other, as the silicon gives it.
    pub unique_id: [u8; 12],
    /// Different after every boot: sequence numbers, indices and device time began anew.
    pub boot_id: u32,
}

/// Evenly spaced inertial samples, in SI units.
///
/// A value which is not finite travels unchanged, and so does every bit of a NaN;
/// [`is_finite`](Self::is_finite) tells. What to do about one is the host's decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImuBlock {
    /// Number of the first sample since boot. Samples that were never sent have numbers too.
    pub index: u64,
    /// How often the sensor samples, in millihertz. Never 0: such a block is refused.
    pub rate_mhz: u32,
    /// The samples, oldest first.
    pub samples: Vec<ImuSample, IMU_BLOCK_LEN>,
}

impl ImuBlock {
    /// Whether every value of every sample is finite.
    pub fn is_finite(&self) -> bool {
        self.samples.iter().all(ImuSample::is_finite)
    }

    /// Device time from the first sample of the block to sample `i` of it, in microseconds.
    pub fn offset_us(&self, i: usize) -> u64 {
        offset_us(self.index, self.rate_mhz, i)
    }
}

/// Evenly spaced inertial samples, in sensor counts with their scale.
///
/// Takes between a quarter and three quarters of the bytes of an [`ImuBlock`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImuRawBlock {
    /// Number of the first sample since boot. Samples that were never sent have numbers too.
    pub index: u64,
    /// How often the sensor samples, in millihertz. Never 0: such a block is refused.
    pub rate_mhz: u32,
    /// Acceleration of one count, in m/s².
    pub accel_mps2_per_lsb: f32,
    /// Angular rate of one count, in rad/s.
    pub gyro_radps_per_lsb: f32,
    /// The samples, oldest first: acceleration along x, y, z, angular rate about x, y, z.
    pub samples: Vec<[i16; 6], IMU_RAW_BLOCK_LEN>,
}

impl ImuRawBlock {
    /// Sample `i` in SI units, or `None` past the end.
    pub fn sample(&self, i: usize) -> Option<ImuSample> {
        let &[ax, ay, az, gx, gy, gz] = self.samples.get(i)?;
        let accel = |count| f32::from(count) * self.accel_mps2_per_lsb;
        let gyro = |count| f32::from(count) * self.gyro_radps_per_lsb;
        Some(ImuSample {
            accel_mps2: [accel(ax), accel(ay), accel(az)],
            gyro_radps: [gyro(gx), gyro(gy), gyro(gz)],
        })
    }

    /// The samples in SI units, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ImuSample> + '_ {
        (0..self.samples.len()).map(|i| self.sample(i).unwrap_or_default())
    }

    /// Whether every sample is finite in SI units.
    pub fn is_finite(&self) -> bool {
        self.iter().all(|sample| sample.is_finite())
    }

    /// Device time from the first sample of the block to sample `i` of it, in microseconds.
    pub fn offset_us(&self, i: usize) -> u64 {
        offset_us(self.index, self.rate_mhz, i)
    }
}

/// Taken as a difference of absolute times, so that blocks agree with [`sample_time_us`] to the
/// microsecond wherever a stream is cut into blocks.
fn offset_us(index: u64, rate_mhz: u32, i: usize) -> u64 {
    let i = u64::try_from(i).unwrap_or(u64::MAX);
    let time = |index| sample_time_us(index, rate_mhz);
    time(index.saturating_add(i)).saturating_sub(time(index))
}

/// What has become of the samples of one stream since boot, as the node counts them.
///
/// `sampled - sent - dropped` samples wait in the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// Samples the sensor took, those included which it overwrote before the node read them.
    pub sampled: u64,
    /// Samples in blocks that the link took whole.
    pub sent: u64,
    /// Samples the node gave up, for whatever reason.
    pub dropped: u64,
    /// Of the dropped samples, those which the sensor overwrote before the node read them.
    pub missed: u64,
    /// Reads of the sensor that failed.
    pub sensor_errors: u32,
    /// Writes to the link that failed.
    pub link_errors: u32,
    /// Log messages that found no room.
    pub logs_dropped: u32,
}

/// Bytes from the firmware's log, such as defmt's: a stream without boundaries, cut as it fits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Log {
    /// The bytes.
    pub bytes: Vec<u8, LOG_LEN>,
}

/// The final count of one stream: `sampled - dropped` samples were put on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct End {
    /// Samples the sensor took since boot.
    pub sampled: u64,
    /// Samples the node gave up since boot.
    pub dropped: u64,
}

/// postcard's longest forms, in bytes.
const VARINT_U16: usize = 3;
const VARINT_U32: usize = 5;
const VARINT_U64: usize = 10;
const F32: usize = 4;
const NUMBER: usize = 1;

/// A payload always fits a frame, whatever its values.
const _: () = {
    let head = NUMBER + VARINT_U64 + VARINT_U32 + 1;
    assert!(
        IMU_BLOCK_LEN < 128 && IMU_RAW_BLOCK_LEN < 128,
        "length of one byte"
    );
    assert!(head + IMU_BLOCK_LEN * 6 * F32 <= MAX_PAYLOAD);
    assert!(head + 2 * F32 + IMU_RAW_BLOCK_LEN * 6 * VARINT_U16 <= MAX_PAYLOAD);
    assert!(NUMBER + 2 + LOG_LEN <= MAX_PAYLOAD);
    assert!(NUMBER + 4 * VARINT_U64 + 3 * VARINT_U32 <= MAX_PAYLOAD);
};

//! Any packet whatever, as a property test wants it.

use proptest::collection::vec;
use proptest::prelude::*;
use sensorium_wire::{
    End, Hello, IMU_BLOCK_LEN, IMU_RAW_BLOCK_LEN, ImuBlock, ImuRawBlock, ImuSample, LOG_LEN, Log,
    Packet, Payload, Status,
};

/// Any bits, so NaN of every kind, infinities and subnormal numbers as well.
fn float() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

fn hello() -> impl Strategy<Value = Payload> {
    any::<(u8, u8, [u8; 3], [u8; 12], u32)>().prop_map(
        |(protocol_min, protocol_max, firmware, unique_id, boot_id)| {
            Payload::Hello(Hello {
                protocol_min,
                protocol_max,
                firmware,
                unique_id,
                boot_id,
            })
        },
    )
}

fn imu() -> impl Strategy<Value = Payload> {
    let sample = [float(), float(), float(), float(), float(), float()];
    (any::<u64>(), 1_u32.., vec(sample, 0..=IMU_BLOCK_LEN)).prop_map(
        |(index, rate_mhz, samples)| {
            let samples = samples
                .into_iter()
                .map(|[ax, ay, az, gx, gy, gz]| ImuSample {
                    accel_mps2: [ax, ay, az],
                    gyro_radps: [gx, gy, gz],
                });
            Payload::Imu(ImuBlock {
                index,
                rate_mhz,
                samples: samples.collect(),
            })
        },
    )
}

fn imu_raw() -> impl Strategy<Value = Payload> {
    let samples = vec(any::<[i16; 6]>(), 0..=IMU_RAW_BLOCK_LEN);
    (any::<u64>(), 1_u32.., float(), float(), samples).prop_map(
        |(index, rate_mhz, accel_mps2_per_lsb, gyro_radps_per_lsb, samples)| {
            Payload::ImuRaw(ImuRawBlock {
                index,
                rate_mhz,
                accel_mps2_per_lsb,
                gyro_radps_per_lsb,
                samples: samples.into_iter().collect(),
            })
        },
    )
}

fn status() -> impl Strategy<Value = Payload> {
    any::<([u64; 4], [u32; 3])>().prop_map(|(samples, errors)| {
        let [sampled, sent, dropped, missed] = samples;
        let [sensor_errors, link_errors, logs_dropped] = errors;
        Payload::Status(Status {
            sampled,
            sent,
            dropped,
            missed,
            sensor_errors,
            link_errors,
            logs_dropped,
        })
    })
}

fn log() -> impl Strategy<Value = Payload> {
    vec(any::<u8>(), 0..=LOG_LEN).prop_map(|bytes| {
        Payload::Log(Log {
            bytes: bytes.into_iter().collect(),
        })
    })
}

fn end() -> impl Strategy<Value = Payload> {
    any::<(u64, u64)>().prop_map(|(sampled, dropped)| Payload::End(End { sampled, dropped }))
}

/// Any packet.
pub fn packet() -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![hello(), imu(), imu_raw(), status(), log(), end()];
    (any::<(u8, u16, u64)>(), payload).prop_map(|((stream, seq, t_dev_us), payload)| Packet {
        stream,
        seq,
        t_dev_us,
        payload,
    })
}

//! The bytes of the protocol, written by `golden.py`, which shares no code with the crate. A
//! difference means that nodes in the field no longer understand the host.

use sensorium_wire::{
    Decoder, End, Hello, ImuBlock, ImuRawBlock, ImuSample, Log, MAX_FRAME, Packet, Payload, Status,
    encode, stream,
};

fn packet(stream: u8, seq: u16, t_dev_us: u64, payload: Payload) -> Packet {
    Packet {
        stream,
        seq,
        t_dev_us,
        payload,
    }
}

fn sample(bits: [u32; 6]) -> ImuSample {
    let [ax, ay, az, gx, gy, gz] = bits.map(f32::from_bits);
    ImuSample {
        accel_mps2: [ax, ay, az],
        gyro_radps: [gx, gy, gz],
    }
}

fn golden_packets() -> Vec<(&'static str, Packet)> {
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        firmware: [0, 1, 0],
        unique_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        boot_id: 0xdead_beef,
    };
    let imu = ImuBlock {
        index: 1,
        rate_mhz: 50_000,
        samples: [
            ImuSample {
                accel_mps2: [0.0, -0.5, 9.80665],
                gyro_radps: [0.25, -1e-3, 3.0],
            },
            // A quiet NaN with a mark, -0, infinity, the smallest number, another NaN.
            sample([0x7fc0_0001, 0x8000_0000, 0x7f80_0000, 1, 0xffc1_2345, 0]),
        ]
        .into_iter()
        .collect(),
    };
    let imu_full = ImuBlock {
        index: u64::MAX,
        rate_mhz: u32::MAX,
        samples: std::iter::repeat_n(sample([0x4142_4344; 6]), 16).collect(),
    };
    let imu_empty = ImuBlock {
        index: 0,
        rate_mhz: 1,
        samples: heapless::Vec::new(),
    };
    let imu_raw = ImuRawBlock {
        index: 300,
        rate_mhz: 416_000,
        accel_mps2_per_lsb: 0.001_197_100_8,
        gyro_radps_per_lsb: 0.001_065_264_5,
        samples: (0..3).map(|i| [i * 37 - 400, 0, -1, 63, -64, 64]).collect(),
    };
    let imu_raw_full = ImuRawBlock {
        index: u64::MAX,
        rate_mhz: u32::MAX,
        accel_mps2_per_lsb: 1.0,
        gyro_radps_per_lsb: 1.0,
        samples: [[i16::MIN; 6]; 12]
            .into_iter()
            .chain([[i16::MAX; 6]; 12])
            .collect(),
    };
    let status = Status {
        sampled: 50,
        sent: 40,
        dropped: 7,
        missed: 300,
        sensor_errors: 1,
        link_errors: 0,
        logs_dropped: 128,
    };
    let log = |bytes: &[u8]| {
        Payload::Log(Log {
            bytes: bytes.iter().copied().collect(),
        })
    };
    let end = End {
        sampled: 1 << 35,
        dropped: 16_384,
    };
    vec![
        ("hello", packet(stream::NODE, 0, 0, Payload::Hello(hello))),
        ("imu", packet(stream::IMU, 1, 20_000, Payload::Imu(imu))),
        (
            "imu-full",
            packet(stream::IMU, 0xffff, u64::MAX, Payload::Imu(imu_full)),
        ),
        (
            "imu-empty",
            packet(stream::IMU, 2, 5, Payload::Imu(imu_empty)),
        ),
        (
            "imu-raw",
            packet(17, 258, 1 << 40, Payload::ImuRaw(imu_raw)),
        ),
        (
            "imu-raw-full",
            packet(17, 0, u64::MAX, Payload::ImuRaw(imu_raw_full)),
        ),
        (
            "status",
            packet(stream::IMU, 3, 1_000_000, Payload::Status(status)),
        ),
        (
            "log",
            packet(stream::LOG, 4, 1_234_567, log(b"a\0b\xff\0\0z")),
        ),
        (
            "log-full",
            packet(stream::LOG, 4, 1_234_567, log(&[0x55; 256])),
        ),
        ("end", packet(stream::IMU, 5, 2_000_000, Payload::End(end))),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_are_those_of_the_description() {
    let golden = include_str!("golden.txt");
    let written: String = golden_packets()
        .iter()
        .map(|(name, packet)| {
            let mut buf = [0; MAX_FRAME];
            format!("{name} {}\n", hex(encode(packet, &mut buf).unwrap()))
        })
        .collect();
    assert_eq!(written, golden);
}

#[test]
fn the_bytes_are_understood_bit_by_bit() {
    let golden = include_str!("golden.txt");
    for ((name, packet), line) in golden_packets().iter().zip(golden.lines()) {
        let (named, digits) = line.split_once(' ').unwrap();
        assert_eq!(named, *name);
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let mut decoder = Decoder::new();
        let got = (0..digits.len())
            .step_by(2)
            .find_map(|at| decoder.push(byte(at)));
        // Debug tells a NaN from another only by sign, so bits are compared by encoding again.
        let got = got.unwrap().unwrap();
        assert_eq!(format!("{got:?}"), format!("{packet:?}"));
        let mut buf = [0; MAX_FRAME];
        assert_eq!(hex(encode(&got, &mut buf).unwrap()), digits);
    }
}

//! A pack of four senses, and a recording of each.

use sensorium_pack::Modality;
use sensorium_testkit::{Tiny, tiny_pack};

use super::{AUDIO, Folder, npy16, pgm, tones, wav};

const IMU: &str = r#"{"kind": "imu", "rate_hz": 50, "samples": 50, "units": "g,rad/s"}"#;

/// A clip of half a second, of which one frame is looked at.
pub const THERMAL: &str = r#"{"kind": "frames", "of": "thermal", "frames": 1, "height": 4, "width": 4,
    "clip_s": 0.5, "range": [0, 255], "scale": 255}"#;

const DEPTH: &str = r#"{"kind": "depth", "measure": "metric", "clip_m": [0.2, 10.0], "side": 4}"#;

/// Frames a second of both cameras.
pub const FRAME_HZ: usize = 8;

/// A pack of four senses, and ten seconds of each, in which something changes after four.
pub fn folder() -> Folder {
    let folder = Folder::new();
    let tiny = |modality, front_end, words| Tiny {
        modality,
        front_end,
        words,
    };
    let pack = tiny_pack(&[
        tiny(Modality::Imu, IMU, &["ax", "ay", "az", "gx", "gy", "gz"]),
        tiny(Modality::Audio, AUDIO, &["low", "high"]),
        tiny(Modality::Thermal, THERMAL, &["top", "bottom"]),
        tiny(Modality::Depth, DEPTH, &["above", "below"]),
    ]);
    folder.file("four.pack", pack);

    let mut csv = "acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads\n".to_owned();
    for n in 0..500 {
        let wobble = 0.01 * f64::from(n % 7);
        csv += &match n < 200 {
            true => format!("0,{wobble},1,{wobble},0,0\n"),
            false => format!("1,{wobble},0,{wobble},0,0\n"),
        };
    }
    folder.file("walk.csv", csv);
    let hz: Vec<f32> = (0..40)
        .map(|part| if part < 16 { 200.0 } else { 5000.0 })
        .collect();
    folder.file("sound.wav", wav(16_000, &tones(16_000, &hz)));
    std::fs::create_dir(folder.path("ceiling")).unwrap();
    let mut depth = Vec::new();
    for n in 0..10 * FRAME_HZ {
        let is_first = n < 4 * FRAME_HZ;
        let warm = 200 + (n % 5) as u8;
        let (upper, lower) = if is_first { (warm, 1) } else { (1, warm) };
        let pixels = [[upper; 18], [lower; 18]].concat();
        folder.file(&format!("ceiling/{n:03}.pgm"), pgm(6, &pixels));
        let far = 8000 + (n % 5) as u16;
        let (upper, lower) = if is_first { (far, 300) } else { (300, far) };
        depth.extend([[upper; 8], [lower; 8]].concat());
    }
    let shape = format!("{}, 4, 4", 10 * FRAME_HZ);
    folder.file("door.npy", npy16(&shape, &depth));
    folder
}

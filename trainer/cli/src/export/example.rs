//! Inputs that look like a sense's, to compare encoders on and to keep in packs.

use sensorium_core::ImuSample;
use sensorium_core::feature::{FrontEnd, Image, ImuUnits};
use sensorium_data::{Augmentations, Extractor, Modality, Raw};
use sensorium_media::{NumberArray, Numbers};

use crate::recipe::Recipe;

/// How long made-up recordings are at least, in seconds.
const SECONDS: f32 = 12.0;

/// Sizes of made-up pictures.
const WIDTH: usize = 80;
const HEIGHT: usize = 60;

/// What the encoder of a recipe is given for made-up recordings: a window of each.
pub fn examples(recipe: &Recipe) -> anyhow::Result<Vec<Vec<f32>>> {
    examples_of(&recipe.front_end, recipe.modality())
}

/// As [`examples`], of a front end of a sense.
pub fn examples_of(front_end: &FrontEnd, sense: Modality) -> anyhow::Result<Vec<Vec<f32>>> {
    let augmenters = Augmentations::default().check()?;
    let extractor = Extractor::new(front_end, sense, augmenters)?;
    let sense = match front_end {
        // Whatever is measured, pictures in colours are what it is given.
        FrontEnd::Image(_) => Modality::Image,
        _ => sense,
    };
    let raws = recordings(sense).into_iter();
    let first = raws.map(|raw| Ok(extractor.windows(&raw)?.swap_remove(0)));
    first.collect()
}

fn recordings(sense: Modality) -> Vec<Raw> {
    match sense {
        Modality::Imu => [rest, walk, turn].map(imu).to_vec(),
        Modality::Audio => [hum, knocks, hiss].map(sound).to_vec(),
        Modality::Image => [0.0, 1.0, 2.5].map(image).to_vec(),
        Modality::Thermal => [0.0, 1.0, 2.5].map(|phase| frames(phase, 40.0)).to_vec(),
        Modality::Depth => [0.0, 1.0, 2.5].map(|phase| frames(phase, 1500.0)).to_vec(),
        Modality::Text => Vec::new(),
    }
}

fn wave(hz: f32, t: f32, phase: f32) -> f32 {
    (std::f32::consts::TAU * hz * t + phase).sin()
}

/// At rest.
fn rest(_t: f32) -> ImuSample {
    ImuSample {
        accel_mps2: [9.78, -0.42, 0.61],
        gyro_radps: [0.01, -0.02, 0.005],
    }
}

/// Walking.
fn walk(t: f32) -> ImuSample {
    ImuSample {
        accel_mps2: [
            9.81 + 2.6 * wave(1.9, t, 0.3) + 1.1 * wave(3.8, t, 1.2),
            -0.5 + 1.3 * wave(0.95, t, 0.0),
            0.4 + 1.6 * wave(1.9, t, 2.1),
        ],
        gyro_radps: [
            0.8 * wave(0.95, t, 0.4),
            0.5 * wave(1.9, t, 1.0),
            0.4 * wave(0.95, t, 2.5),
        ],
    }
}

/// Being turned over.
fn turn(t: f32) -> ImuSample {
    let angle = (t - 1.28).clamp(-0.75, 0.75) + 0.75;
    ImuSample {
        accel_mps2: [9.81 * angle.cos(), 0.3, 9.81 * angle.sin()],
        gyro_radps: [0.05, -f32::from(u8::from((0.53..2.03).contains(&t))), 0.0],
    }
}

fn imu(of: fn(f32) -> ImuSample) -> Raw {
    const RATE_HZ: f32 = 50.0;
    let sample = |n: u32| {
        let ImuSample {
            accel_mps2: [a, b, c],
            gyro_radps: [d, e, f],
        } = of(n as f32 / RATE_HZ);
        [a, b, c, d, e, f]
    };
    Raw::Imu {
        samples: (0..(SECONDS * RATE_HZ) as u32).map(sample).collect(),
        rate_hz: RATE_HZ,
        units: ImuUnits::SI,
    }
}

/// A machine that labours: a sound that never changed would leave nothing to an encoder that takes
/// off what stays the same, and rounding would decide.
fn hum(t: f32) -> f32 {
    let load = 0.6 + 0.4 * wave(1.7, t, 0.5);
    load * (0.3 * wave(100.0, t, 0.0) + 0.1 * wave(1230.0, t, 1.0))
}

/// A door.
fn knocks(t: f32) -> f32 {
    let since = t % 0.5;
    0.6 * wave(340.0, since, 0.0) * (-since * 30.0).exp()
}

/// Rain: a formula that is as good as noise.
fn hiss(t: f32) -> f32 {
    let mixed = (t * 12_345.678).sin() * 43_758.547;
    0.2 * (mixed - mixed.floor() - 0.5)
}

fn sound(of: fn(f32) -> f32) -> Raw {
    const RATE_HZ: u32 = 32_000;
    let len = (SECONDS * RATE_HZ as f32) as u32;
    Raw::Sound {
        samples: (0..len).map(|n| of(n as f32 / RATE_HZ as f32)).collect(),
        rate_hz: RATE_HZ,
    }
}

fn image(phase: f32) -> Raw {
    let pixel = |n: usize| {
        let (x, y) = ((n % WIDTH) as f32, (n / WIDTH) as f32);
        [0.05, 0.11, 0.23].map(|f| (127.5 + 127.4 * (f * x + 0.7 * f * y + phase).sin()) as u8)
    };
    let pixels = (0..WIDTH * HEIGHT).map(pixel).collect();
    match Image::new(WIDTH, HEIGHT, pixels) {
        Some(image) => Raw::Image(image),
        None => unreachable!("as many pixels as the sides say"),
    }
}

/// Something round that moves over a background of `level`.
fn frames(phase: f32, level: f32) -> Raw {
    const COUNT: usize = 24;
    let value = |n: usize| {
        let (frame, at) = (n / (WIDTH * HEIGHT), n % (WIDTH * HEIGHT));
        let centre = WIDTH as f32 * (0.5 + 0.3 * (0.2 * frame as f32 + phase).sin());
        let (x, y) = ((at % WIDTH) as f32 - centre, (at / WIDTH) as f32 - 30.0);
        let near = (-(x * x + y * y) / 200.0).exp();
        (level * (1.0 + 0.8 * near)) as u16
    };
    Raw::Frames {
        frames: NumberArray {
            shape: vec![COUNT, HEIGHT, WIDTH],
            numbers: Numbers::U16((0..COUNT * HEIGHT * WIDTH).map(value).collect()),
        },
        rate_hz: Some(8.0),
    }
}

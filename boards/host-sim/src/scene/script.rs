//! What the person does in the recordings of the demo.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write as _};
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use sensorium_pack::npy::{NumberArray, Numbers};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::body::from_above;
use super::{Action, Ball, DepthCamera, Place, ThermalArray};

/// Frames, and what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `[frames, height, width]`, unsigned, of 8 or 16 bits.
    pub frames: NumberArray,
    /// Frames a second.
    pub rate_hz: f64,
    /// What happened, in the order of time.
    pub stretches: Vec<Stretch>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// From when to when, in seconds.
    pub seconds: Range<f64>,
    /// What.
    pub label: &'static str,
}

impl Recording {
    /// As a `.npy`, or packed as a `.npz` with the one array `frames`.
    ///
    /// # Errors
    ///
    /// None that frames of one size could give.
    pub fn to_bytes(&self, packed: bool) -> io::Result<Vec<u8>> {
        let bytes = self.frames.to_bytes()?;
        if !packed {
            return Ok(bytes);
        }
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("frames.npy", SimpleFileOptions::default())?;
        archive.write_all(&bytes)?;
        Ok(archive.finish()?.into_inner())
    }

    /// What happened, as a CSV file with the columns `start_s`, `end_s` and `label`.
    #[must_use]
    pub fn labels(&self) -> String {
        let mut text = "start_s,end_s,label\n".to_owned();
        for Stretch { seconds, label } in &self.stretches {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:.2},{:.2},{label}", seconds.start, seconds.end);
        }
        text
    }
}

/// A recording that is being made.
struct Take<F> {
    rate_hz: f64,
    frame: F,
    count: usize,
    numbers: Vec<u16>,
    stretches: Vec<Stretch>,
}

impl<F: FnMut(&[Ball]) -> Vec<u16>> Take<F> {
    fn new(rate_hz: f64, frame: F) -> Self {
        Self {
            rate_hz,
            frame,
            count: 0,
            numbers: Vec::new(),
            stretches: Vec::new(),
        }
    }

    /// Films for so many seconds; `at` says what is there when that share of them has passed.
    fn film(&mut self, seconds: f64, label: &'static str, at: impl Fn(f64) -> Vec<Ball>) {
        let count = (seconds * self.rate_hz).round() as usize;
        let start_s = self.count as f64 / self.rate_hz;
        for frame in 0..count {
            let balls = at(frame as f64 / (count.max(2) - 1) as f64);
            self.numbers.extend((self.frame)(&balls));
        }
        self.count += count;
        if !label.is_empty() {
            let seconds = start_s..self.count as f64 / self.rate_hz;
            self.stretches.push(Stretch { seconds, label });
        }
    }

    fn finish(
        self,
        [height, width]: [usize; 2],
        numbers: impl Fn(Vec<u16>) -> Numbers,
    ) -> Recording {
        Recording {
            frames: NumberArray {
                shape: vec![self.count, height, width],
                numbers: numbers(self.numbers),
            },
            rate_hz: self.rate_hz,
            stretches: self.stretches,
        }
    }
}

/// Somebody in front of a depth camera who gets up from a chair and sits down again, twice.
#[must_use]
pub fn wall(rng: &mut ChaCha8Rng) -> Recording {
    let camera = DepthCamera::default();
    let mut take = Take::new(9.5, |balls| camera.frame(balls, rng));
    let mut film = |seconds, label, action: Action| {
        take.film(seconds, label, |share| {
            action.pose(share).balls(&Place::default())
        });
    };
    for _ in 0..2 {
        film(5.0, "", Action::Sit);
        film(2.5, "standing up", Action::StandUp);
        film(5.0, "", Action::Stand);
        film(2.5, "sitting down", Action::SitDown);
    }
    film(5.0, "", Action::Sit);
    take.finish([camera.height, camera.width], Numbers::U16)
}

/// A room in which somebody walks to and fro, falls, and stays down.
#[must_use]
pub fn ceiling(rng: &mut ChaCha8Rng) -> Recording {
    const HEADING: f64 = 0.3;
    const REACH_M: f64 = 0.8;
    let array = ThermalArray::new(rng);
    let side = array.side;
    let mut take = Take::new(9.0, |balls| array.frame(balls, rng));
    let at = |along_m: f64, tilt: f64| {
        let (sin, cos) = HEADING.sin_cos();
        from_above(&Place {
            feet: [along_m * sin, along_m * cos],
            heading: HEADING,
            tilt,
        })
    };
    // 1.1 m/s, which is how people walk indoors.
    take.film(8.7, "walking", |share| {
        let legs = share * 6.0;
        let out = legs % 2.0;
        at(REACH_M * (2.0 * out.min(2.0 - out) - 1.0), 0.0)
    });
    take.film(1.2, "falling", |share| {
        at(-REACH_M, ((share - 0.2) / 0.8).max(0.0).powf(1.5))
    });
    take.film(12.0, "lying on the floor", |_| at(-REACH_M, 0.96));
    take.finish([side, side], |numbers| {
        Numbers::U8(numbers.into_iter().map(|count| count as u8).collect())
    })
}

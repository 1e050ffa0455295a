//! What the person does in the recordings of the demo.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write as _};
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use sensorium_pack::npy::{NumberArray, Numbers};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Action, Ball, DepthCamera, Place, Pose, ThermalArray};

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

/// An empty room through which somebody walks twice; the third time, the person falls and stays down.
#[must_use]
pub fn ceiling(rng: &mut ChaCha8Rng) -> Recording {
    let array = ThermalArray::new(rng);
    let side = array.side;
    let mut take = Take::new(9.0, |balls| array.frame(balls, rng));
    let walk = |heading: f64, from: f64, to: f64| {
        move |share: f64| {
            let at = from + (to - from) * share;
            let (sin, cos) = heading.sin_cos();
            let place = Place {
                feet: [at * sin, at * cos],
                heading,
                tilt: 0.0,
            };
            Action::Step.pose(share).balls(&place)
        }
    };
    let fallen = |heading: f64, at: f64, tilt: f64| {
        let (sin, cos) = heading.sin_cos();
        let place = Place {
            feet: [at * sin, at * cos],
            heading,
            tilt,
        };
        Pose::default().balls(&place)
    };
    let nobody = |_: f64| Vec::new();
    take.film(4.0, "", nobody);
    take.film(2.9, "walking", walk(1.3, -1.6, 1.6));
    take.film(5.0, "", nobody);
    take.film(2.9, "walking", walk(4.4, -1.6, 1.6));
    take.film(5.0, "", nobody);
    take.film(1.0, "walking", walk(3.1, -1.7, -0.7));
    take.film(1.1, "falling", |share| {
        fallen(3.1, -0.7, ((share - 0.2) / 0.8).max(0.0).powf(1.5))
    });
    take.film(15.0, "lying on the floor", |_| fallen(3.1, -0.7, 0.96));
    take.finish([side, side], |numbers| {
        Numbers::U8(numbers.into_iter().map(|count| count as u8).collect())
    })
}

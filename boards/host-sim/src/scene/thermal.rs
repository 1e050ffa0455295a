//! A thermal array at the ceiling that looks down, such as the Omron D6T-1616 or a Panasonic Grid-EYE.

use rand_chacha::ChaCha8Rng;

use super::body::Ball;
use super::depth::gaussian;

/// An array of few pixels, each of which sees a wide angle. A count is a sixth of a degree, 0 is 10 °C.
#[derive(Debug, Clone)]
pub struct ThermalArray {
    /// Pixels a side.
    pub side: usize,
    /// What it sees, in radians, from side to side.
    pub angle: f64,
    /// The ceiling, in metres.
    pub above_m: f64,
    /// The room, in degrees Celsius.
    pub room_c: f64,
    /// How much warmer clothed people look than the room, in degrees.
    pub person_c: f64,
    /// Noise of a pixel from frame to frame, in degrees.
    pub noise_c: f64,
    /// What each pixel reads too much, in degrees.
    offsets_c: Vec<f64>,
}

/// Blur of the lens, in pixels.
const BLUR: f64 = 0.55;

impl ThermalArray {
    /// 16 pixels a side, 2.4 m above the floor, with the faults of its own that `rng` gives.
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        let side = 16;
        Self {
            side,
            angle: 48_f64.to_radians(),
            above_m: 2.4,
            room_c: 23.3,
            person_c: 0.7,
            noise_c: 0.11,
            offsets_c: (0..side * side).map(|_| 0.05 * gaussian(rng)).collect(),
        }
    }

    /// A frame, row by row; the body's x is to the right, its z is down the picture.
    #[must_use]
    pub fn frame(&self, balls: &[Ball], rng: &mut ChaCha8Rng) -> Vec<u16> {
        let middle = self.side as f64 / 2.0;
        let focal = middle / (self.angle / 2.0).tan();
        let mut warmth = vec![0.0_f64; self.side * self.side];
        for ball in balls {
            let away = (self.above_m - ball.at[1]).max(0.3);
            let column = middle + focal * ball.at[0] / away;
            let row = middle + focal * ball.at[2] / away;
            let radius = focal * ball.radius / away;
            let spread = radius.hypot(BLUR);
            // What is smaller than a pixel fills it in part.
            let most = ball.warmth * (1.1 * radius / spread).min(1.0);
            for (at, pixel) in warmth.iter_mut().enumerate() {
                let dx = (at % self.side) as f64 + 0.5 - column;
                let dy = (at / self.side) as f64 + 0.5 - row;
                let share = (-(dx * dx + dy * dy) / (2.0 * spread * spread)).exp();
                *pixel = pixel.max(most * share);
            }
        }
        let pixels = warmth.into_iter().zip(&self.offsets_c);
        pixels
            .map(|(warmth, offset_c)| {
                let celsius =
                    self.room_c + self.person_c * warmth + offset_c + self.noise_c * gaussian(rng);
                ((celsius - 10.0) * 6.0).round().clamp(0.0, 255.0) as u16
            })
            .collect()
    }
}

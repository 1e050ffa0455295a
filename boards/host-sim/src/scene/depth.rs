//! A depth camera at a wall, as a Kinect sees a person: what is not the person has no depth.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::body::Ball;

/// A pinhole camera. Pixels hold millimetres, 0 where there is nobody.
#[derive(Debug, Clone, Copy)]
pub struct DepthCamera {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Focal length in pixels.
    pub focal: f64,
    /// Where it is above the floor, in metres.
    pub above_m: f64,
    /// How far it is from where people stand, in metres.
    pub distance_m: f64,
    /// Spread of what it measures of one distance, in metres.
    pub noise_m: f64,
}

impl Default for DepthCamera {
    /// A Kinect of the first kind at an eighth of its resolution, 2.8 m away.
    fn default() -> Self {
        Self {
            height: 60,
            width: 80,
            focal: 69.0,
            above_m: 1.05,
            distance_m: 2.8,
            noise_m: 0.008,
        }
    }
}

impl DepthCamera {
    /// A frame, row by row.
    #[must_use]
    pub fn frame(&self, balls: &[Ball], rng: &mut ChaCha8Rng) -> Vec<u16> {
        let mut nearest = vec![f64::INFINITY; self.height * self.width];
        for ball in balls {
            let away = self.distance_m - ball.at[2];
            if away <= ball.radius {
                continue; // behind the camera, or around it
            }
            let to_pixels = self.focal / away;
            let column = self.width as f64 / 2.0 + ball.at[0] * to_pixels;
            let row = self.height as f64 / 2.0 - (ball.at[1] - self.above_m) * to_pixels;
            let radius = ball.radius * to_pixels;
            // Casts saturate: what is outside of the picture gives an empty range.
            let range = |middle: f64, len: usize| {
                let from = (middle - radius).max(0.0) as usize;
                from..((middle + radius) as usize + 1).min(len)
            };
            for y in range(row, self.height) {
                for x in range(column, self.width) {
                    let (dx, dy) = (x as f64 + 0.5 - column, y as f64 + 0.5 - row);
                    let square = (dx * dx + dy * dy) / (radius * radius);
                    if square < 1.0 {
                        let pixel = &mut nearest[y * self.width + x];
                        *pixel = pixel.min(away - ball.radius * (1.0 - square).sqrt());
                    }
                }
            }
        }
        let millimetres = |metres: f64, rng: &mut ChaCha8Rng| match metres.is_finite() {
            // Steps of a centimetre: finer would be noise alone.
            true => ((metres + self.noise_m * gaussian(rng)) * 100.0).round() as u16 * 10,
            false => 0,
        };
        let pixels = nearest.into_iter();
        pixels.map(|metres| millimetres(metres, rng)).collect()
    }
}

/// A number of mean 0 and spread 1.
pub(super) fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    // The sum of twelve even ones, which has tails enough for noise.
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

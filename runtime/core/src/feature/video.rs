//! Videos as encoders were trained on them: a few frames of a few clips, three crops of each.
//!
//! Frames are scaled with their shorter side to the encoder's, bilinearly and without antialiasing,
//! in floating point: not as pictures are.

use alloc::vec;
use alloc::vec::Vec;

use super::image::Image;

/// Mean of the colours that OpenAI's CLIP was trained on (Radford et al. 2021), of 0 to 1.
pub const COLOUR_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Standard deviation of the same.
pub const COLOUR_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Crops of a clip: at the start, the middle and the end of the longer side.
pub const CROPS: usize = 3;

/// How a video becomes views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFrontEnd {
    /// Clips, evenly spaced.
    pub clips: usize,
    /// Length of a clip, in seconds.
    pub clip_s: u32,
    /// Frames of a clip that are looked at, first and last among them.
    pub frames: usize,
    /// Height and width of a view.
    pub side: usize,
}

impl VideoFrontEnd {
    /// The reference's: two frames of each of five clips of 2 s.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            clips: 5,
            clip_s: 2,
            frames: 2,
            side: 224,
        }
    }

    /// The first frame of each clip, and the one behind its last, of a video of `frames` frames at
    /// `fps_num / fps_den` a second.
    ///
    /// # Panics
    ///
    /// If the rate is 0 or not finite.
    #[must_use]
    pub fn ranges(&self, frames: usize, fps_num: u32, fps_den: u32) -> Vec<(usize, usize)> {
        assert!(fps_num > 0 && fps_den > 0, "ranges: frame rate");
        let (num, den) = (u128::from(fps_num), u128::from(fps_den));
        // Times are counted in units of 1 / (num * gaps) seconds, in which all of them are whole.
        let gaps = self.clips.max(2) as u128 - 1;
        let duration = frames as u128 * den * gaps;
        let clip = u128::from(self.clip_s) * num * gaps;
        let spare = duration.saturating_sub(clip) / gaps.max(1);
        let frame_at = |time: u128| usize::try_from(time.div_ceil(den * gaps)).unwrap_or(frames);
        (0..self.clips as u128)
            .map(|index| {
                let start = spare * index;
                let end = frame_at(start + clip).min(frames);
                (frame_at(start).min(end), end)
            })
            .collect()
    }

    /// The frames that are looked at of the clip from `first` to before `end`.
    #[must_use]
    pub fn frames_of(&self, (first, end): (usize, usize)) -> Vec<usize> {
        let last = (end - first).saturating_sub(1);
        let gaps = self.frames.max(2) - 1;
        (0..self.frames).map(|i| first + last * i / gaps).collect()
    }

    /// The views of a video, clip by clip and in each crop by crop.
    ///
    /// # Shapes
    ///
    /// `[clips * 3, 3, frames, side, side]`, colours normalised.
    ///
    /// # Panics
    ///
    /// If there is no frame, or frames differ in size.
    #[must_use]
    pub fn views(&self, video: &[Image<3>], fps_num: u32, fps_den: u32) -> Vec<f32> {
        let plane = self.side * self.side;
        let view = 3 * self.frames * plane;
        let mut views = vec![0.0; self.clips * CROPS * view];
        let clips = views.chunks_exact_mut(CROPS * view);
        let ranges = self.ranges(video.len(), fps_num, fps_den);
        for (range, clip) in ranges.into_iter().zip(clips) {
            for (at, frame) in self.frames_of(range).into_iter().enumerate() {
                let scaled = Scaled::new(&video[frame], self.side);
                for (crop, view) in clip.chunks_exact_mut(view).enumerate() {
                    for colour in 0..3 {
                        let plane = &mut view[(colour * self.frames + at) * plane..][..plane];
                        scaled.crop(colour, crop, self.side, plane);
                    }
                }
            }
        }
        views
    }
}

/// A frame with its shorter side scaled, `[3, height, width]`.
struct Scaled {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Scaled {
    fn new(frame: &Image<3>, side: usize) -> Self {
        let (from_width, from_height) = (frame.width(), frame.height());
        let (width, height) = if from_width < from_height {
            (side, side * from_height / from_width)
        } else {
            (side * from_width / from_height, side)
        };
        let across: Vec<Tap> = (0..width).map(|x| Tap::at(x, from_width, width)).collect();
        let mut values = Vec::with_capacity(3 * width * height);
        for colour in 0..3 {
            let at =
                |x: usize, y: usize| f32::from(frame.pixels()[y * from_width + x][colour]) / 255.0;
            for y in 0..height {
                let down = Tap::at(y, from_height, height);
                for tap in &across {
                    let row = |y| tap.between(at(tap.first, y), at(tap.second, y));
                    let value = down.between(row(down.first), row(down.second));
                    values.push((value - COLOUR_MEAN[colour]) / COLOUR_STD[colour]);
                }
            }
        }
        Self {
            width,
            height,
            values,
        }
    }

    fn crop(&self, colour: usize, crop: usize, side: usize, out: &mut [f32]) {
        let place = |len: usize, moves: bool| match (crop, moves) {
            (0, true) => 0,
            (2, true) => len - side,
            // The middle, rounded up.
            _ => (len - side).div_ceil(2),
        };
        let top = place(self.height, self.height > self.width);
        let left = place(self.width, self.height <= self.width);
        let plane = &self.values[colour * self.width * self.height..];
        let rows = plane.chunks_exact(self.width).skip(top);
        for (row, out) in rows.zip(out.chunks_exact_mut(side)) {
            out.copy_from_slice(&row[left..left + side]);
        }
    }
}

/// Two neighbours and how far a point lies from the first to the second.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    share: f32,
}

impl Tap {
    /// Pixels are areas: the first and last half pixel hold their value.
    fn at(at: usize, from: usize, to: usize) -> Self {
        // In 32 bits, as where encoders were trained: wide frames move by parts of 1e-5.
        let place = (from as f32 / to as f32) * (at as f32 + 0.5) - 0.5;
        let place = place.max(0.0);
        let first = (place as usize).min(from - 1);
        Self {
            first,
            second: (first + 1).min(from - 1),
            share: place - first as f32,
        }
    }

    fn between(self, first: f32, second: f32) -> f32 {
        first * (1.0 - self.share) + second * self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: usize, height: usize, phase: usize) -> Image<3> {
        let pixel = |i: usize| [0, 1, 2].map(|c| (i * 7 + c * 50 + phase) as u8);
        Image::new(width, height, (0..width * height).map(pixel).collect()).unwrap()
    }

    #[test]
    fn clips_reach_from_start_to_end_in_whole_frames() {
        let video = VideoFrontEnd::reference();
        let ranges = video.ranges(75, 30, 1);
        assert_eq!(ranges, [(0, 60), (4, 64), (8, 68), (12, 72), (15, 75)]);
        assert_eq!(video.frames_of((4, 64)), [4, 63]);
        // Shorter than a clip: all of it, every time.
        assert_eq!(video.ranges(20, 30, 1), [(0, 20); 5]);
        assert_eq!(video.frames_of((0, 1)), [0, 0]);
        // 29.97 frames a second are exact too.
        let last = video.ranges(300, 30_000, 1001)[4];
        assert_eq!(last, (241, 300));
    }

    #[test]
    fn views_are_clip_by_clip_and_crop_by_crop() {
        let front_end = VideoFrontEnd {
            clips: 2,
            clip_s: 1,
            frames: 2,
            side: 4,
        };
        let video: Vec<_> = (0..4).map(|i| frame(8, 4, 9 * i)).collect();
        let views = front_end.views(&video, 2, 1);
        assert_eq!(views.len(), 2 * 3 * 3 * 2 * 16);
        // Nothing is scaled here, so the views hold pixels: clip 1, crop 2, green, frame 1, (1, 3).
        let view = 3 * 2 * 16;
        let value = views[(3 + 2) * view + (2 + 1) * 16 + 7];
        let pixel = f32::from(video[3].pixels()[8 + 7][1]) / 255.0;
        assert!((value - (pixel - COLOUR_MEAN[1]) / COLOUR_STD[1]).abs() < 1e-6);
    }

    #[test]
    fn a_frame_is_scaled_between_pixel_centres() {
        let row = Image::new(2, 1, vec![[0; 3], [255; 3]]).unwrap();
        let scaled = Scaled::new(&row, 2);
        assert_eq!((scaled.width, scaled.height), (4, 2));
        let shares: Vec<f32> = scaled.values[..4]
            .iter()
            .map(|v| v * COLOUR_STD[0] + COLOUR_MEAN[0])
            .collect();
        for (actual, expected) in shares.iter().zip([0.0, 0.25, 0.75, 1.0]) {
            assert!((actual - expected).abs() < 1e-6, "{shares:?}");
        }
    }
}

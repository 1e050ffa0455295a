//! Planes with holes at another size: each new pixel is the mean of the area that it covers, or,
//! where it is smaller than a pixel, what lies there.

use alloc::vec::Vec;

/// Less of a pixel than this is rounding, not area.
const LEAST_OVERLAP: f64 = 1e-6;

/// A part of a plane, in pixels; what lies beyond the plane is a hole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::feature) struct Region {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Region {
    /// The largest part in the middle that has the proportions of `to_width` by `to_height`, from a
    /// whole pixel on.
    pub(in crate::feature) fn middle(
        width: usize,
        height: usize,
        to_width: usize,
        to_height: usize,
    ) -> Self {
        let [w, h, to_w, to_h] = [width, height, to_width, to_height].map(|n| n as f64);
        let scale = (w / to_w).min(h / to_h);
        let (part_w, part_h) = (to_w * scale, to_h * scale);
        Self {
            left: libm::floor((w - part_w) / 2.0 + LEAST_OVERLAP),
            top: libm::floor((h - part_h) / 2.0 + LEAST_OVERLAP),
            width: part_w,
            height: part_h,
        }
    }
}

/// A region of a plane of this width, at another size. A pixel that covers holes only is one.
pub(in crate::feature) fn resize(
    values: &[Option<f64>],
    width: usize,
    region: Region,
    to_width: usize,
    to_height: usize,
) -> Vec<Option<f64>> {
    let height = values.len() / width;
    let columns: Vec<_> = (0..to_width)
        .map(|at| cover(at, region.left, region.width / to_width as f64, width))
        .collect();
    let mut out = Vec::with_capacity(to_width * to_height);
    for at in 0..to_height {
        let rows = cover(at, region.top, region.height / to_height as f64, height);
        for columns in &columns {
            let (mut sum, mut area) = (0.0, 0.0);
            for &(y, high) in &rows {
                for &(x, wide) in columns {
                    if let Some(value) = values[y * width + x] {
                        sum += value * high * wide;
                        area += high * wide;
                    }
                }
            }
            out.push((area > 0.0).then(|| sum / area));
        }
    }
    out
}

/// Which of `len` pixels the new pixel `at` covers, and how much of each. New pixels are `step` old
/// ones wide and begin at `start`.
fn cover(at: usize, start: f64, step: f64, len: usize) -> Vec<(usize, f64)> {
    let (first, end) = (start + at as f64 * step, start + (at + 1) as f64 * step);
    // Conversions saturate: what lies before the first pixel becomes 0.
    let pixels = (first.max(0.0) as usize)..(libm::ceil(end).max(0.0) as usize).min(len);
    pixels
        .map(|pixel| {
            let overlap = end.min((pixel + 1) as f64) - first.max(pixel as f64);
            (pixel, overlap)
        })
        .filter(|(_, overlap)| *overlap > LEAST_OVERLAP)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn areas_are_shared_between_pixels() {
        assert_eq!(cover(1, 0.0, 1.5, 3), [(1, 0.5), (2, 1.0)]);
        assert_eq!(cover(1, 0.0, 0.5, 2), [(0, 0.5)]);
        assert_eq!(cover(0, -1.0, 1.5, 3), [(0, 0.5)]);
        assert!(cover(0, -9.0, 1.0, 3).is_empty() && cover(0, 9.0, 1.0, 3).is_empty());
    }

    #[test]
    fn the_middle_has_the_new_proportions() {
        let square = Region::middle(4, 3, 2, 2);
        assert_eq!((square.left, square.top), (0.0, 0.0));
        assert_eq!((square.width, square.height), (3.0, 3.0));
        let wide = Region::middle(8, 8, 4, 2);
        assert_eq!(
            (wide.left, wide.top, wide.width, wide.height),
            (0.0, 2.0, 8.0, 4.0)
        );
    }

    proptest! {
        #[test]
        fn new_pixels_cover_the_old_ones_once(from in 1usize..50, to in 1usize..50) {
            let step = from as f64 / to as f64;
            let mut shares = alloc::vec![0.0; from];
            for at in 0..to {
                for (pixel, share) in cover(at, 0.0, step, from) {
                    shares[pixel] += share;
                }
            }
            prop_assert!(shares.iter().all(|share| (share - 1.0).abs() < 1e-3), "{:?}", shares);
        }
    }
}

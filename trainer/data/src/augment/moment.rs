//! Which part of a longer recording is looked at.

use std::ops::Range;

use rand::Rng;

/// A part of a recording by how far in it lies, from 0, the beginning, to 1, the end: drawn once, it
/// is the same part of two senses that were recorded together, whatever their rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(f64);

impl Moment {
    /// In the middle: for measuring.
    pub const MIDDLE: Self = Self(0.5);

    /// Anywhere.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self(rng.random())
    }

    /// `part` of `whole` samples; all of them if they are no more.
    #[must_use]
    pub fn range(self, whole: usize, part: usize) -> Range<usize> {
        let part = part.min(whole);
        let places = whole - part + 1;
        let start = ((self.0 * places as f64) as usize).min(places - 1);
        start..start + part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::random_of;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_occurs_and_none_is_outside() {
        let mut random = random_of(1, 0, 0);
        let starts: BTreeSet<usize> = (0..500)
            .map(|_| {
                let range = Moment::draw(&mut random).range(10, 4);
                assert_eq!(range.len(), 4);
                range.start
            })
            .collect();
        assert!(starts.into_iter().eq(0..=6));
        assert_eq!(Moment::MIDDLE.range(10, 4), 3..7);
        assert_eq!(Moment::MIDDLE.range(3, 4), 0..3);
        assert_eq!(Moment::MIDDLE.range(0, 4), 0..0);
    }

    #[test]
    fn two_senses_are_looked_at_at_the_same_time() {
        let mut random = random_of(2, 0, 0);
        for _ in 0..100 {
            let moment = Moment::draw(&mut random);
            // 20 s at 50 Hz and at 10 Hz, of which 4 s.
            let (imu, depth) = (moment.range(1000, 200), moment.range(200, 40));
            assert!((imu.start as f64 / 50.0 - depth.start as f64 / 10.0).abs() <= 0.1);
        }
    }
}

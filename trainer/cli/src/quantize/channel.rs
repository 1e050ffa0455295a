//! Numbers as 8-bit integers times a scale, one scale a channel.

use rayon::prelude::*;

/// The largest integer. The range is symmetric, so that zero stays zero and −128, for which there is no
/// opposite, never occurs.
const LARGEST: f32 = 127.0;

/// A tensor as integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// The integers, in the order of the numbers.
    pub values: Vec<i8>,
    /// What a channel's integers are multiplied with.
    pub scales: Vec<f32>,
    /// Sum of the squared differences to the numbers.
    pub error: f64,
    /// Sum of the squared numbers.
    pub energy: f64,
}

/// Which channel each number belongs to: the place along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    count: usize,
    inner: usize,
}

impl Layout {
    /// Channels along an axis of a shape.
    ///
    /// # Panics
    ///
    /// If there is no such axis.
    pub fn new(shape: &[usize], axis: usize) -> Self {
        Self {
            count: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        }
    }

    /// Places of a channel's numbers among `len`.
    fn places(self, channel: usize, len: usize) -> impl Iterator<Item = usize> {
        let Self { count, inner } = self;
        let blocks = (channel * inner..len).step_by((count * inner).max(1));
        blocks.flat_map(move |first| first..first + inner)
    }
}

/// Quantises numbers that are finite, so that the largest of a channel just fits.
///
/// Each is rounded to the nearest integer, but for a few that are rounded the other way to keep the
/// channel's sum: what comes in has a mean, and errors that do not add up to nothing shift what goes out
/// by as much of it (Guo et al. 2022, *SQuant*). It leaves EfficientNet-Lite0 a third of the error in its
/// embeddings, and transformers, whose inputs are centred, as they are. Cutting off the largest
/// numbers to tell the others apart better was tried too, and gained nothing.
pub fn quantised(numbers: &[f32], layout: Layout) -> Channels {
    let len = numbers.len();
    let channel = |channel: usize| {
        let own: Vec<f32> = layout.places(channel, len).map(|at| numbers[at]).collect();
        rounded(&own)
    };
    let channels: Vec<_> = (0..layout.count).into_par_iter().map(channel).collect();
    let mut all = Channels {
        values: vec![0; len],
        scales: Vec::with_capacity(layout.count),
        error: 0.0,
        energy: 0.0,
    };
    for (channel, (integers, scale)) in channels.into_iter().enumerate() {
        for (at, integer) in layout.places(channel, len).zip(integers) {
            all.values[at] = integer;
            all.error += f64::from(f32::from(integer) * scale - numbers[at]).powi(2);
            all.energy += f64::from(numbers[at]).powi(2);
        }
        all.scales.push(scale);
    }
    all
}

/// One channel's integers and scale.
fn rounded(numbers: &[f32]) -> (Vec<i8>, f32) {
    let largest = numbers.iter().fold(0.0f32, |m, value| m.max(value.abs()));
    let scale = largest / LARGEST;
    if !scale.is_normal() {
        // All is zero, or so small that it may as well be.
        return (vec![0; numbers.len()], 1.0);
    }
    let exact = numbers.iter().map(|value| value / scale);
    let mut integers: Vec<f32> = exact
        .clone()
        .map(|value| value.round_ties_even().clamp(-LARGEST, LARGEST))
        .collect();
    let errors: Vec<f32> = integers
        .iter()
        .zip(exact)
        .map(|(i, value)| i - value)
        .collect();
    let sum: f64 = errors.iter().map(|&error| f64::from(error)).sum();
    // Those that were rounded up the furthest are rounded down instead, if the sum came out too large.
    let up = sum.signum() as f32;
    let mut order: Vec<usize> = (0..numbers.len())
        .filter(|&at| errors[at] * up > 0.0 && (integers[at] - up).abs() <= LARGEST)
        .collect();
    order.sort_by(|&a, &b| (errors[b] * up).total_cmp(&(errors[a] * up)));
    for at in order.into_iter().take(sum.abs().round() as usize) {
        integers[at] -= up;
    }
    (
        integers.into_iter().map(|value| value as i8).collect(),
        scale,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_again(channels: &Channels, layout: Layout) -> Vec<f32> {
        let len = channels.values.len();
        let mut numbers = vec![f32::NAN; len];
        for (channel, scale) in channels.scales.iter().enumerate() {
            for at in layout.places(channel, len) {
                numbers[at] = f32::from(channels.values[at]) * scale;
            }
        }
        numbers
    }

    #[test]
    fn each_channel_has_a_scale_of_its_own_along_any_axis() {
        let shape = [3, 4, 5];
        for (axis, &count) in shape.iter().enumerate() {
            let layout = Layout::new(&shape, axis);
            let inner: usize = shape[axis + 1..].iter().product();
            // Channels a thousand times as large as the ones before.
            let number = |at: usize| {
                let channel = at / inner % count;
                ((at as f32) * 0.77).sin() * 1000f32.powi(channel as i32)
            };
            let numbers: Vec<f32> = (0..60).map(number).collect();
            let channels = quantised(&numbers, layout);
            assert_eq!(channels.scales.len(), count);
            let again = numbers_again(&channels, layout);
            let mut error = 0.0;
            for (at, (a, b)) in numbers.iter().zip(&again).enumerate() {
                let largest = 1000f32.powi((at / inner % count) as i32);
                assert!(
                    (a - b).abs() <= 0.05 * largest,
                    "axis {axis}, {at}: {a} {b}"
                );
                error += f64::from(a - b).powi(2);
            }
            assert!((channels.error / error - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn integers_are_near_and_add_up_to_what_the_numbers_do() {
        // Mostly just over a half, so that rounding to the nearest is off by far in sum.
        let number = |i: usize| if i == 0 { 127.0 } else { (i % 90) as f32 + 0.6 };
        let numbers: Vec<f32> = (0..1000).map(number).collect();
        let channels = quantised(&numbers, Layout::new(&[1, 1000], 0));
        assert_eq!(channels.scales, [1.0]);
        let sum: f64 = numbers.iter().map(|&number| f64::from(number)).sum();
        let integers = channels.values.iter().map(|&value| f32::from(value));
        let integer_sum: f64 = integers.clone().map(f64::from).sum();
        assert!((integer_sum - sum).abs() <= 0.5, "{integer_sum} {sum}");
        assert!(
            numbers
                .iter()
                .zip(integers)
                .all(|(n, i)| (n - i).abs() < 1.0)
        );
        // The largest is never rounded past the range.
        let numbers = [-1.0f32, -0.999, -0.998, -0.997, 0.2];
        let channels = quantised(&numbers, Layout::new(&[1, 5], 0));
        assert!(channels.values.iter().all(|&value| value > i8::MIN));
        let scale = f64::from(channels.scales[0]);
        assert!((scale - 1.0 / 127.0).abs() < 1e-9 && channels.values[0] == -127);
        assert!(channels.error <= 5.0 * scale * scale);
    }

    #[test]
    fn what_is_zero_stays_zero() {
        let channels = quantised(&[0.0, 0.0, 1e-42, -1e-42], Layout::new(&[2, 2], 0));
        assert_eq!(channels.values, [0; 4]);
        assert_eq!(channels.scales, [1.0; 2]);
        let channels = quantised(&[], Layout::new(&[2, 0], 0));
        assert!(channels.values.is_empty() && channels.error == 0.0);
    }
}

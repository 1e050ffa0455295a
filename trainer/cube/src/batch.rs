//! Batch normalisation of channels (Ioffe and Szegedy 2015), and its gradients.
//!
//! ```text
//! y[n, c, i] = (x[n, c, i] - mean of c) / sqrt(variance of c + epsilon) weight[c] + bias[c]
//! ```
//! Mean and variance are those of a channel over the batch and all places. A channel is one thread's,
//! so the result does not depend on which thread was faster.

use rayon::prelude::*;

use crate::norm::Affine;

pub mod reference;

/// Sizes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Inputs.
    pub inputs: usize,
    /// Channels of an input.
    pub channels: usize,
    /// Places of a channel.
    pub places: usize,
}

/// What each channel was normalised by.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics<T> {
    /// `[channels]`.
    pub mean: T,
    /// `[channels]`, over all numbers, not over one less.
    pub variance: T,
}

impl Batch {
    /// Numbers of all inputs.
    fn len(&self) -> usize {
        self.inputs * self.channels * self.places
    }

    /// The parts of one channel, one an input.
    fn parts<'a>(&self, x: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> {
        let (places, channels) = (self.places, self.channels);
        let input = x.chunks_exact((channels * places).max(1));
        input.map(move |input| &input[channel * places..][..places])
    }

    /// Splits numbers into channels, each a list of its parts.
    fn parts_mut<'a>(&self, x: &'a mut [f32]) -> Vec<Vec<&'a mut [f32]>> {
        let mut parts: Vec<Vec<&mut [f32]>> = (0..self.channels).map(|_| Vec::new()).collect();
        for (at, part) in x.chunks_exact_mut(self.places.max(1)).enumerate() {
            parts[at % self.channels].push(part);
        }
        parts
    }

    fn check(&self, x: &[f32], weight: &[f32], y: &[f32]) {
        assert!(
            self.inputs * self.places > 0,
            "batch norm: channels of no numbers"
        );
        assert_eq!(x.len(), self.len(), "batch norm: inputs");
        assert_eq!(y.len(), self.len(), "batch norm: results");
        assert_eq!(weight.len(), self.channels, "batch norm: weight");
    }

    fn numbers(&self) -> f32 {
        (self.inputs * self.places) as f32
    }
}

/// Sums of lanes side by side, which the compiler makes vectors of.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (at, value) in values.enumerate() {
        lanes[at % 16] += value;
    }
    lanes.iter().sum()
}

/// The result, and what it was normalised by.
///
/// # Panics
///
/// If a slice has another length than the sizes say, or channels have no numbers.
pub fn forward_into(
    sizes: &Batch,
    x: &[f32],
    affine: Affine<&[f32]>,
    epsilon: f32,
    y: &mut [f32],
) -> Statistics<Vec<f32>> {
    sizes.check(x, affine.weight, y);
    assert_eq!(affine.bias.len(), sizes.channels, "batch norm: bias");
    let of_channel = |(channel, to): (usize, Vec<&mut [f32]>)| {
        let parts = || sizes.parts(x, channel);
        let mean = parts().map(|part| sum(part.iter().copied())).sum::<f32>() / sizes.numbers();
        let squares = |part: &[f32]| sum(part.iter().map(|x| (x - mean) * (x - mean)));
        let variance = parts().map(squares).sum::<f32>() / sizes.numbers();
        let gain = affine.weight[channel] / (variance + epsilon).sqrt();
        let shift = affine.bias[channel];
        for (to, part) in to.into_iter().zip(parts()) {
            let pairs = to.iter_mut().zip(part);
            pairs.for_each(|(y, x)| *y = (x - mean) * gain + shift);
        }
        (mean, variance)
    };
    let channels = sizes.parts_mut(y).into_par_iter().enumerate();
    let (mean, variance) = channels.map(of_channel).unzip();
    Statistics { mean, variance }
}

/// Gradients of weight and bias; that of the inputs goes to `of_x`.
///
/// # Panics
///
/// As [`forward_into`].
#[must_use]
pub fn backward_into(
    sizes: &Batch,
    x: &[f32],
    weight: &[f32],
    statistics: &Statistics<&[f32]>,
    epsilon: f32,
    gradient: &[f32],
    of_x: &mut [f32],
) -> Affine<Vec<f32>> {
    sizes.check(x, weight, gradient);
    assert_eq!(of_x.len(), x.len(), "batch norm: gradient of the inputs");
    let of_channel = |(channel, to): (usize, Vec<&mut [f32]>)| {
        let parts = || sizes.parts(x, channel).zip(sizes.parts(gradient, channel));
        let mean = statistics.mean[channel];
        let inverse = 1.0 / (statistics.variance[channel] + epsilon).sqrt();
        let bias: f32 = parts().map(|(_, g)| sum(g.iter().copied())).sum();
        let products = |(x, g): (&[f32], &[f32])| sum(x.iter().zip(g).map(|(x, g)| (x - mean) * g));
        let along = parts().map(products).sum::<f32>() * inverse;
        let gain = weight[channel] * inverse;
        let (level, slope) = (bias / sizes.numbers(), along * inverse / sizes.numbers());
        for (to, (x, g)) in to.into_iter().zip(parts()) {
            for ((to, x), g) in to.iter_mut().zip(x).zip(g) {
                *to = gain * (g - level - (x - mean) * slope);
            }
        }
        (along, bias)
    };
    let channels = sizes.parts_mut(of_x).into_par_iter().enumerate();
    let (weight, bias) = channels.map(of_channel).unzip();
    Affine { weight, bias }
}

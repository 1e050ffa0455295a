//! What encoders are given, and how it becomes patches.

use burn::prelude::*;
use burn::tensor::TensorData;

use super::config::Grid;

/// A batch for an encoder.
#[derive(Debug, Clone)]
pub enum Input<B: Backend> {
    /// `[batch, channels, time, height, width]`; pictures have a time of 1, and inertial windows a
    /// time and height of 1.
    Values(Tensor<B, 5>),
    /// `[batch, context]` numbers of byte pairs.
    Text(Tensor<B, 2, Int>),
}

impl<B: Backend> Input<B> {
    /// Windows `[batch, channels, samples]`.
    #[must_use]
    pub fn windows(windows: Tensor<B, 3>) -> Self {
        let [batch, channels, samples] = windows.dims();
        Self::Values(windows.reshape([batch, channels, 1, 1, samples]))
    }

    /// Planes `[batch, channels, height, width]`: spectrograms, pictures, depth and thermal images.
    #[must_use]
    pub fn planes(planes: Tensor<B, 4>) -> Self {
        let [batch, channels, height, width] = planes.dims();
        Self::Values(planes.reshape([batch, channels, 1, height, width]))
    }

    /// A batch of values that lie one after the other, each of this shape: `[channels, samples]`,
    /// `[channels, height, width]` or `[channels, frames, height, width]`.
    ///
    /// # Panics
    ///
    /// If the shape has another number of axes, or the values do not make whole inputs.
    #[must_use]
    pub fn of_shape(values: Vec<f32>, shape: &[usize], device: &B::Device) -> Self {
        let len = shape.iter().product::<usize>();
        assert!(
            len > 0 && values.len().is_multiple_of(len),
            "inputs of {shape:?}"
        );
        let batch = values.len() / len;
        let [channels, frames, height, width] = match *shape {
            [channels, samples] => [channels, 1, 1, samples],
            [channels, height, width] => [channels, 1, height, width],
            [channels, frames, height, width] => [channels, frames, height, width],
            _ => panic!("inputs of {shape:?}"),
        };
        let data = TensorData::new(values, [batch, channels, frames, height, width]);
        Self::Values(Tensor::from_data(data, device))
    }

    /// Number of inputs.
    #[must_use]
    pub fn batch(&self) -> usize {
        match self {
            Self::Values(values) => values.dims()[0],
            Self::Text(ids) => ids.dims()[0],
        }
    }
}

/// Cuts values into patches, in the order of time, height, width; a patch's own values are in the
/// order of channel, time, height, width. What is left at an end is not used.
///
/// # Shapes
///
/// `[batch, channels, time, height, width]` to `[batch, patches, values of a patch]`.
pub(super) fn patches<B: Backend>(mut values: Tensor<B, 5>, grid: &Grid) -> Tensor<B, 3> {
    let [batch, channels, frames, height, width] = values.dims();
    let counts = grid.patches([frames, height, width]);
    let lengths = grid.patch.into_iter().zip(grid.stride);
    for (axis, (count, (length, stride))) in counts.into_iter().zip(lengths).enumerate() {
        values = stack(values, axis + 2, count, length, stride);
    }
    let [nt, nh, nw] = counts;
    let [pt, ph, pw] = grid.patch;
    values
        .reshape([batch, channels, nt, pt, nh, ph, nw, pw])
        .permute([0, 2, 4, 6, 1, 3, 5, 7])
        .reshape([batch, nt * nh * nw, grid.patch_len()])
}

/// Lays the pieces of one axis end to end, which repeats what overlaps.
fn stack<B: Backend>(
    values: Tensor<B, 5>,
    axis: usize,
    count: usize,
    length: usize,
    stride: usize,
) -> Tensor<B, 5> {
    if stride == length || count == 1 {
        return values.narrow(axis, 0, count * length);
    }
    let places: Vec<i64> = (0..count)
        .flat_map(|piece| (0..length).map(move |offset| (piece * stride + offset) as i64))
        .collect();
    let len = places.len();
    let places = Tensor::from_data(TensorData::new(places, [len]), &values.device());
    values.select(axis, places)
}

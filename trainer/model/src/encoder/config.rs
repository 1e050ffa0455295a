//! The dimensions of an encoder.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::sense::Sense;

/// Channels of an IMU window: acceleration and rotation rate, three axes each.
pub const IMU_CHANNELS: usize = 6;

/// Channels of a picture.
const COLOURS: usize = 3;

/// Dimensions of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// What it is given, and how that is cut into tokens.
    pub input: InputConfig,
    /// Width of a token.
    pub dim: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Attention heads; must divide `dim`.
    pub heads: usize,
    /// Numbers in an embedding.
    pub output: usize,
    /// Whether attention sees one extra, learned key and value.
    #[serde(default)]
    pub bias_kv: bool,
    /// Drop path of the last block; it rises linearly from 0 at the first.
    #[serde(default)]
    pub drop_path: f64,
    /// Dropout before the last linear layer.
    #[serde(default)]
    pub dropout: f64,
    /// Length of an embedding after post-processing, one over the temperature of the loss; none
    /// leaves it at 1.
    #[serde(default)]
    pub scale: Option<f64>,
    /// Whether training moves the scale.
    #[serde(default)]
    pub learn_scale: bool,
}

/// What an encoder is given. Lengths are in pixels, spectrogram cells or samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sense", rename_all = "lowercase", deny_unknown_fields)]
pub enum InputConfig {
    /// `[3, frames, side, side]`, colours normalised.
    Vision {
        /// Frames of a clip. A picture is shown as often.
        frames: usize,
        /// Height and width.
        side: usize,
        /// Frames, height and width of a patch.
        patch: [usize; 3],
    },
    /// `[context]` numbers of byte pairs.
    Text {
        /// How many there are.
        vocabulary: usize,
        /// Numbers in a text, filled up with 0.
        context: usize,
    },
    /// `[1, mels, frames]`, log-mel, normalised.
    Audio {
        /// Filters of the bank.
        mels: usize,
        /// Frames of a clip.
        frames: usize,
        /// Height and width of a patch.
        patch: usize,
        /// From one patch to the next; less than `patch` overlaps.
        stride: usize,
    },
    /// `[1, side, side]`, disparity.
    Depth {
        /// Height and width.
        side: usize,
        /// Height and width of a patch.
        patch: usize,
    },
    /// `[1, side, side]`, temperature.
    Thermal {
        /// Height and width.
        side: usize,
        /// Height and width of a patch.
        patch: usize,
    },
    /// `[6, samples]`.
    Imu {
        /// Samples of a window; a last piece shorter than a patch is left out.
        samples: usize,
        /// Samples of a patch.
        #[serde(default = "imu_patch")]
        patch: usize,
    },
}

fn imu_patch() -> usize {
    8
}

/// Why dimensions make no encoder.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The heads do not divide the width.
    #[error("heads is {heads}, expected a divisor of dim, {dim}")]
    Heads {
        /// Attention heads.
        heads: usize,
        /// Width of a token.
        dim: usize,
    },
    /// A dimension is zero.
    #[error("{name} is 0, expected at least 1")]
    Zero {
        /// The dimension.
        name: &'static str,
    },
    /// The input does not hold one patch.
    #[error("the input is {size} long, expected at least a patch, {patch}")]
    NoPatch {
        /// Length of the input along one axis.
        size: usize,
        /// Length of a patch along it.
        patch: usize,
    },
    /// A probability is none.
    #[error("{name} is {value}, expected at least 0 and below 1")]
    Probability {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The scale is no positive number.
    #[error("scale is {value}, expected a positive number")]
    Scale {
        /// Its value.
        value: f64,
    },
}

/// How an input of continuous values is cut: `[channels, time, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub channels: usize,
    pub size: [usize; 3],
    pub patch: [usize; 3],
    pub stride: [usize; 3],
}

impl Grid {
    /// Patches along each axis.
    pub fn patches(&self, size: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| {
            let spare = size[axis].checked_sub(self.patch[axis]);
            spare.map_or(0, |spare| spare / self.stride[axis] + 1)
        })
    }

    /// Values of a patch.
    pub fn patch_len(&self) -> usize {
        self.channels * self.patch.iter().product::<usize>()
    }
}

impl InputConfig {
    /// The sense.
    #[must_use]
    pub fn sense(&self) -> Sense {
        match self {
            Self::Vision { .. } => Sense::Vision,
            Self::Text { .. } => Sense::Text,
            Self::Audio { .. } => Sense::Audio,
            Self::Depth { .. } => Sense::Depth,
            Self::Thermal { .. } => Sense::Thermal,
            Self::Imu { .. } => Sense::Imu,
        }
    }

    /// Lengths of the axes of one input.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match *self {
            Self::Vision { frames, side, .. } => vec![COLOURS, frames, side, side],
            Self::Text { context, .. } => vec![context],
            Self::Audio { mels, frames, .. } => vec![1, mels, frames],
            Self::Depth { side, .. } | Self::Thermal { side, .. } => vec![1, side, side],
            Self::Imu { samples, .. } => vec![IMU_CHANNELS, samples],
        }
    }

    /// How it is cut; none for text.
    pub(crate) fn grid(&self) -> Option<Grid> {
        let (channels, size, patch) = match *self {
            Self::Text { .. } => return None,
            Self::Vision {
                frames,
                side,
                patch,
            } => (COLOURS, [frames, side, side], patch),
            Self::Audio {
                mels,
                frames,
                patch,
                stride,
            } => {
                return Some(Grid {
                    channels: 1,
                    size: [1, mels, frames],
                    patch: [1, patch, patch],
                    stride: [1, stride, stride],
                });
            }
            Self::Depth { side, patch } | Self::Thermal { side, patch } => {
                (1, [1, side, side], [1, patch, patch])
            }
            Self::Imu { samples, patch } => (IMU_CHANNELS, [1, 1, samples], [1, 1, patch]),
        };
        Some(Grid {
            channels,
            size,
            patch,
            stride: patch,
        })
    }

    /// Kinds of token; 0 for all but text.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Text { vocabulary, .. } => *vocabulary,
            _ => 0,
        }
    }

    /// The stem's weight in a checkpoint.
    pub(crate) fn stem_shape(&self, dim: usize) -> Vec<usize> {
        match (self, self.grid()) {
            (Self::Imu { .. }, Some(grid)) => vec![dim, grid.patch_len()],
            (Self::Vision { .. }, Some(grid)) => {
                let [frames, height, width] = grid.patch;
                vec![dim, grid.channels, frames, height, width]
            }
            (_, Some(grid)) => vec![dim, grid.channels, grid.patch[1], grid.patch[2]],
            (_, None) => vec![self.vocabulary(), dim],
        }
    }

    /// Tokens of one input, with the class token where there is one.
    #[must_use]
    pub fn tokens(&self) -> usize {
        match (self, self.grid()) {
            (Self::Text { context, .. }, _) => *context,
            (_, grid) => grid.map_or(0, |grid| {
                grid.patches(grid.size).iter().product::<usize>() + 1
            }),
        }
    }
}

impl EncoderConfig {
    /// The sense.
    #[must_use]
    pub fn sense(&self) -> Sense {
        self.input.sense()
    }

    /// Whether an encoder of these dimensions can be made.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut dimensions = vec![
            ("dim", self.dim),
            ("blocks", self.blocks),
            ("output", self.output),
        ];
        if let Some(grid) = self.input.grid() {
            dimensions.extend(grid.patch.map(|length| ("patch", length)));
            dimensions.extend(grid.stride.map(|length| ("stride", length)));
        } else {
            dimensions.push(("vocabulary", self.input.vocabulary()));
            dimensions.push(("context", self.input.tokens()));
        }
        if let Some((name, _)) = dimensions.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero { name });
        }
        if let Some(grid) = self.input.grid() {
            for (size, patch) in grid.size.into_iter().zip(grid.patch) {
                if size < patch {
                    return Err(ConfigError::NoPatch { size, patch });
                }
            }
        }
        if self.heads == 0 || !self.dim.is_multiple_of(self.heads) {
            return Err(ConfigError::Heads {
                heads: self.heads,
                dim: self.dim,
            });
        }
        for (name, value) in [("drop_path", self.drop_path), ("dropout", self.dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(ConfigError::Probability { name, value });
            }
        }
        match self.scale {
            Some(value) if !(value > 0.0 && value.is_finite()) => Err(ConfigError::Scale { value }),
            _ => Ok(()),
        }
    }
}

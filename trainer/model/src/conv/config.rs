//! The layers of a convolutional encoder, as a recipe lists them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::sense::Sense;

/// A convolutional encoder: what it is given, and what is done to it one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// What it perceives.
    pub sense: Sense,
    /// Lengths of the axes of one input: `[channels, width]`, `[channels, height, width]` or, of
    /// clips, `[channels, frames, height, width]`.
    pub input: Vec<usize>,
    /// From input to output.
    pub layers: Vec<LayerConfig>,
    /// Numbers in an embedding.
    pub output: usize,
    /// Dropout before the last linear layer.
    #[serde(default)]
    pub dropout: f64,
    /// Whether the last `output` numbers of the input are added to what the linear layer gives. That
    /// layer then sees only the numbers before them, and starts at zeros: an encoder without other
    /// layers that starts as what it is given.
    #[serde(default)]
    pub skip: bool,
    /// Length of an embedding in a loss of pairs, one over its temperature; none leaves it to the
    /// recipe.
    #[serde(default)]
    pub scale: Option<f64>,
    /// Whether training moves the scale.
    #[serde(default)]
    pub learn_scale: bool,
    /// How finished embeddings lean towards the words of training; a recipe says so in its binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conse: Option<Conse>,
}

/// A convex combination of semantic embeddings (ConSE, Norouzi et al. 2014) that is added to what
/// an encoder gives: the mean of the words that it was trained to tell apart, weighed by how likely it
/// thinks them. A loss that only tells classes apart leaves an embedding free wherever those words do
/// not differ, and words that no training met look there too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conse {
    /// How many words there are.
    pub words: usize,
    /// Divides cosines before the softmax over words.
    pub temperature: f64,
    /// Times the mean; the encoder's own embedding has length 1.
    pub weight: f64,
}

/// One layer. Kernels are odd and inputs are filled up with zeros on both sides, so that with a
/// stride of 1 nothing changes its size; strides, kernels and sizes are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerConfig {
    /// Logarithms of energies, relative to the largest of the input and with a soft floor below it:
    /// `ln(exp(x - max) + floor) - ln(floor)`. How loud a recording is, is not seen, and silence is 0.
    Level {
        /// What is as good as silence, as a share of the largest energy.
        floor: f64,
    },
    /// Each row of each channel less its mean, so that what colours a recording throughout, such as a
    /// microphone, is not seen.
    Centre {
        /// Whether it is divided by its standard deviation as well.
        #[serde(default)]
        spread: bool,
    },
    /// All channels as they are, then once more as what differs from the mean of their row, small
    /// values stretched: `asinh((x - mean) / scale)`. A swing of the body of some thousandths of g is seen
    /// beside gravity and beside blows of several g.
    Detail {
        /// Below it values stay in proportion, above it only their logarithms do; in the units of the input.
        scale: f64,
    },
    /// Convolution, norm, activation.
    Conv {
        /// Channels that it gives.
        channels: usize,
        /// Size of the kernel.
        kernel: [usize; 2],
        /// From one place to the next.
        #[serde(default = "ones")]
        stride: [usize; 2],
        /// Groups of channels that do not see each other; as many as channels makes it depthwise.
        #[serde(default = "one")]
        groups: usize,
        /// What is done to its sums.
        #[serde(default)]
        norm: Norm,
        /// What is done then.
        #[serde(default)]
        activation: Activation,
        /// Whether its input is added to what it gives.
        #[serde(default)]
        residual: bool,
    },
    /// Some places become one.
    Pool {
        /// How.
        by: Pooling,
        /// Size of what becomes one; all by default.
        #[serde(default)]
        kernel: Option<[usize; 2]>,
    },
    /// Rows become channels, so that what follows moves along the width alone.
    JoinRows {},
    /// Frames, each of which the layers before saw by itself, become places side by side; all that
    /// is known of a frame becomes its channels.
    JoinFrames {},
    /// Sets numbers to zero in training.
    Dropout {
        /// How many of them.
        share: f64,
    },
}

/// What is done to the sums of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Nothing.
    None,
    /// Mean and spread of each channel over the batch, and running ones afterwards (Ioffe and
    /// Szegedy 2015). It costs nothing in a finished encoder: exporting folds it into the kernel.
    #[default]
    Batch,
    /// Mean and spread of each of so many groups of channels, of each input by itself (Wu and He
    /// 2018).
    Group(usize),
}

/// What makes a layer more than a linear one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Nothing.
    None,
    /// Negative numbers become 0.
    #[default]
    Relu,
    /// Each number times the share of a normal distribution below it (Hendrycks and Gimpel 2016).
    Gelu,
}

/// How places become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The largest.
    Max,
    /// Both, the means as the first channels.
    MeanMax,
}

fn one() -> usize {
    1
}

fn ones() -> [usize; 2] {
    [1, 1]
}

/// Why layers make no encoder.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConvConfigError {
    /// The input has another number of axes than inputs have, or an empty one.
    #[error(
        "input is {input:?}, expected [channels, width], [channels, height, width] or [channels, \
         frames, height, width] of at least 1"
    )]
    Input {
        /// The axes.
        input: Vec<usize>,
    },
    /// The sense is words, which are not convolved.
    #[error("sense is text, expected one of continuous values")]
    Text,
    /// A setting of a layer is out of range or does not fit what the layer is given.
    #[error("layers[{layer}]: {what} is {found}, expected {expected}")]
    Layer {
        /// The layer, from 0.
        layer: usize,
        /// The setting.
        what: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Clips whose frames are never joined.
    #[error("the input has frames, expected a layer join-frames")]
    Frames,
    /// A dimension is zero.
    #[error("output is 0, expected at least 1")]
    Output,
    /// A probability is none.
    #[error("dropout is {value}, expected at least 0 and below 1")]
    Dropout {
        /// Its value.
        value: f64,
    },
    /// There are other layers, or no more numbers than go past the linear one.
    #[error(
        "skip is for an encoder of no layers whose input is [more than {output}, 1], found {layers} \
         layers and {input:?}"
    )]
    Skip {
        /// Numbers in an embedding.
        output: usize,
        /// How many layers there are.
        layers: usize,
        /// The axes of the input.
        input: Vec<usize>,
    },
    /// A setting of ConSE is no positive number.
    #[error("conse.{what} is {value}, expected a number above 0")]
    Conse {
        /// The setting.
        what: &'static str,
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

/// What a layer is given: so many frames, each `[channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Frames that are seen one by one; 1 where there are none.
    pub frames: usize,
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub size: [usize; 2],
}

impl Extent {
    /// Numbers of one input.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames * self.channels * self.size[0] * self.size[1]
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ConvConfig {
    /// What each layer is given, and last what the linear layer is.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range or does not fit.
    pub fn extents(&self) -> Result<Vec<Extent>, ConvConfigError> {
        let wrong = || ConvConfigError::Input {
            input: self.input.clone(),
        };
        let (channels, frames, size) = match self.input[..] {
            [channels, width] => (channels, 1, [1, width]),
            [channels, height, width] => (channels, 1, [height, width]),
            [channels, frames, height, width] => (channels, frames, [height, width]),
            _ => return Err(wrong()),
        };
        let mut extent = Extent {
            frames,
            channels,
            size,
        };
        if extent.is_empty() {
            return Err(wrong());
        }
        let mut extents = vec![extent];
        for (layer, config) in self.layers.iter().enumerate() {
            extent = config
                .extent_after(extent)
                .map_err(|fault| fault.at(layer))?;
            extents.push(extent);
        }
        if extent.frames > 1 {
            return Err(ConvConfigError::Frames);
        }
        Ok(extents)
    }

    /// Whether an encoder of these layers can be made.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range or does not fit.
    pub fn check(&self) -> Result<(), ConvConfigError> {
        if self.sense == Sense::Text {
            return Err(ConvConfigError::Text);
        }
        self.extents()?;
        if self.output == 0 {
            return Err(ConvConfigError::Output);
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConvConfigError::Dropout {
                value: self.dropout,
            });
        }
        let fits = matches!(self.input[..], [given, 1] if given > self.output);
        if self.skip && !(fits && self.layers.is_empty()) {
            return Err(ConvConfigError::Skip {
                output: self.output,
                layers: self.layers.len(),
                input: self.input.clone(),
            });
        }
        if let Some(conse) = self.conse {
            let settings = [
                ("words", conse.words as f64),
                ("temperature", conse.temperature),
                ("weight", conse.weight),
            ];
            for (what, value) in settings {
                if !(value > 0.0 && value.is_finite()) {
                    return Err(ConvConfigError::Conse { what, value });
                }
            }
        }
        match self.scale {
            Some(value) if !(value > 0.0 && value.is_finite()) => {
                Err(ConvConfigError::Scale { value })
            }
            _ => Ok(()),
        }
    }
}

/// A setting that does not do.
struct Fault {
    what: &'static str,
    found: String,
    expected: String,
}

impl Fault {
    fn at(self, layer: usize) -> ConvConfigError {
        let Self {
            what,
            found,
            expected,
        } = self;
        ConvConfigError::Layer {
            layer,
            what,
            found,
            expected,
        }
    }
}

impl LayerConfig {
    /// What the next layer is given.
    fn extent_after(&self, before: Extent) -> Result<Extent, Fault> {
        let fault = |what, found: String, expected: String| {
            Err(Fault {
                what,
                found,
                expected,
            })
        };
        match *self {
            Self::Level { floor } if !(floor > 0.0 && floor < 1.0) => {
                fault("floor", floor.to_string(), "above 0 and below 1".into())
            }
            Self::Level { .. } | Self::Centre { .. } => Ok(before),
            Self::Detail { scale } if !(scale > 0.0 && scale.is_finite()) => {
                fault("scale", scale.to_string(), "a number above 0".into())
            }
            Self::Detail { .. } => Ok(Extent {
                channels: before.channels * 2,
                ..before
            }),
            Self::Conv {
                channels,
                kernel,
                stride,
                groups,
                norm,
                residual,
                ..
            } => {
                if kernel.iter().any(|side| side % 2 == 0) {
                    return fault("kernel", format!("{kernel:?}"), "odd sides".into());
                }
                if channels == 0 {
                    return fault("channels", "0".into(), "at least 1".into());
                }
                if stride.contains(&0) {
                    return fault("stride", format!("{stride:?}"), "at least 1".into());
                }
                let divides = |n: usize| n.is_multiple_of(groups.max(1));
                if groups == 0 || !divides(channels) || !divides(before.channels) {
                    let both = format!("a divisor of {} and {channels}", before.channels);
                    return fault("groups", groups.to_string(), both);
                }
                if let Norm::Group(groups) = norm
                    && (groups == 0 || !channels.is_multiple_of(groups))
                {
                    let expected = format!("a divisor of {channels}");
                    return fault("norm.group", groups.to_string(), expected);
                }
                let after = Extent {
                    channels,
                    size: std::array::from_fn(|axis| (before.size[axis] - 1) / stride[axis] + 1),
                    ..before
                };
                if residual && after != before {
                    let same = "a layer whose input and output have one size".into();
                    return fault("residual", "true".into(), same);
                }
                Ok(after)
            }
            Self::Pool { by, kernel } => {
                let kernel = kernel.unwrap_or(before.size);
                let fits = |axis: usize| (1..=before.size[axis]).contains(&kernel[axis]);
                if !(fits(0) && fits(1)) {
                    let most = format!("1 to {:?}", before.size);
                    return fault("kernel", format!("{kernel:?}"), most);
                }
                let times = if by == Pooling::MeanMax { 2 } else { 1 };
                Ok(Extent {
                    channels: before.channels * times,
                    size: std::array::from_fn(|axis| before.size[axis] / kernel[axis]),
                    ..before
                })
            }
            Self::JoinRows {} => Ok(Extent {
                channels: before.channels * before.size[0],
                size: [1, before.size[1]],
                ..before
            }),
            Self::JoinFrames {} => Ok(Extent {
                frames: 1,
                channels: before.channels * before.size[0] * before.size[1],
                size: [1, before.frames],
            }),
            Self::Dropout { share } if !(0.0..1.0).contains(&share) => {
                fault("share", share.to_string(), "at least 0 and below 1".into())
            }
            Self::Dropout { .. } => Ok(before),
        }
    }
}

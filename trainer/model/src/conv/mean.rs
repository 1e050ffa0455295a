//! Several nets as one, by the mean of what they give.
//!
//! ```text
//!         ┌▶ layers ─▶ linear ┐
//! values ─┼▶ layers ─▶ linear ┼─ mean ─▶ L2 ─▶ embedding
//!         └▶ layers ─▶ linear ┘
//! ```
//!
//! Nets of the same layers that began with other random weights are wrong about other things, and their mean
//! about fewer (Hansen and Salamon 1990). Side by side they are one net, of as many times the channels, whose
//! groups of channels do not see each other: nothing that reads, exports or runs an encoder need know of it.

use thiserror::Error;

use super::{
    ConvConfig, ConvConfigError, LayerConfig, Norm, Pooling, head_name, log_scale_name, words_name,
};
use crate::weights::{WeightSource, Weights, WeightsError};

/// Why nets have no mean that is a net.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeanError {
    /// One net is its own mean.
    #[error("found {found} nets, expected at least 2")]
    Few {
        /// How many there are.
        found: usize,
    },
    /// They are of different layers.
    #[error("net {index} has other layers than the first")]
    Layers {
        /// The net, from 0.
        index: usize,
    },
    /// A layer would mix the nets, or there is none that tells them apart.
    #[error("layers[{layer}]: {what} cannot lie beside another net's")]
    Mixes {
        /// The layer, from 0.
        layer: usize,
        /// What it is.
        what: &'static str,
    },
    /// There is no convolution, after which each net has channels of its own.
    #[error("the nets have no convolution")]
    NoConvolution,
    /// So many channels make no net.
    #[error(transparent)]
    Config(#[from] ConvConfigError),
    /// A net lacks weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The net whose linear layer gives the mean of what those of `nets` give. Words and scale are the first's.
///
/// # Errors
///
/// Fewer than two nets, different ones, or layers that cannot lie side by side.
pub fn mean(nets: &[(Weights, ConvConfig)]) -> Result<(Weights, ConvConfig), MeanError> {
    let [(first, config), others @ ..] = nets else {
        return Err(MeanError::Few { found: 0 });
    };
    if others.is_empty() {
        return Err(MeanError::Few { found: 1 });
    }
    if let Some(index) = others.iter().position(|(_, other)| other != config) {
        return Err(MeanError::Layers { index: index + 1 });
    }
    let wide = side_by_side(config, nets.len())?;
    let sense = config.sense;
    let [weight, bias] = ["weight", "bias"].map(|part| head_name(sense, part));
    let shared = [words_name(sense), log_scale_name(sense)];
    let mut weights = Weights::new();
    for (name, array) in first.iter() {
        let mut shape = array.shape.clone();
        let of_all = nets.iter().map(|(net, _)| net.values_of(name, &shape));
        let of_all = of_all.collect::<Result<Vec<_>, _>>()?;
        let share = 1.0 / nets.len() as f32;
        let values = if shared.iter().any(|shared| shared == name) {
            array.values.clone()
        } else if name == bias {
            let sum = |at: usize| of_all.iter().map(|values| values[at]).sum::<f32>();
            (0..array.values.len()).map(|at| share * sum(at)).collect()
        } else if name == weight {
            // A row an output: the nets' rows one after the other.
            let len = shape[1];
            shape[1] *= nets.len();
            let rows = (0..shape[0]).flat_map(|row| {
                let row_of = move |values: &Vec<f32>| values[row * len..][..len].to_vec();
                of_all.iter().flat_map(row_of).collect::<Vec<_>>()
            });
            rows.map(|value| share * value).collect()
        } else {
            // Channels come first.
            shape[0] *= nets.len();
            of_all.concat()
        };
        weights.insert(name, &shape, values);
    }
    Ok((weights, wide))
}

/// The layers of so many nets beside each other.
fn side_by_side(config: &ConvConfig, nets: usize) -> Result<ConvConfig, MeanError> {
    let mut wide = config.clone();
    let mut apart = false;
    for (at, layer) in wide.layers.iter_mut().enumerate() {
        let mixes = |what| Err(MeanError::Mixes { layer: at, what });
        match layer {
            LayerConfig::Conv {
                channels,
                groups,
                norm,
                residual,
                ..
            } => {
                *channels *= nets;
                if let Norm::Group(groups) = norm {
                    *groups *= nets;
                }
                if apart {
                    *groups *= nets;
                } else if *groups > 1 {
                    return mixes("a first convolution in groups");
                } else if *residual {
                    return mixes("a first convolution that is added to its input");
                }
                apart = true;
            }
            // These look at, or give, all channels together.
            LayerConfig::Level { .. } if apart => return mixes("level"),
            LayerConfig::Detail { .. } if apart => return mixes("detail"),
            LayerConfig::Pool {
                by: Pooling::MeanMax,
                ..
            } => return mixes("mean-max"),
            LayerConfig::Level { .. }
            | LayerConfig::Detail { .. }
            | LayerConfig::Centre { .. }
            | LayerConfig::Pool { .. }
            | LayerConfig::JoinRows {}
            | LayerConfig::JoinFrames {}
            | LayerConfig::Dropout { .. } => {}
        }
    }
    if !apart {
        return Err(MeanError::NoConvolution);
    }
    wide.check()?;
    Ok(wide)
}

#[cfg(all(test, feature = "flex"))]
mod tests;

//! The dimensions of a checkpoint's encoders, as its own arrays tell them.
//!
//! Three things no array tells: how many heads attention has, and, of sound, the size of a spectrogram and
//! the distance of patches. A `config.json` beside the checkpoint may (the reference's constructor arguments,
//! alone or under `ctor`); else they are the reference's, heads only at the reference's width.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use sensorium_core::text::CONTEXT;
use sensorium_model::encoder::Names;
use sensorium_model::weights::WeightSource;
use sensorium_model::{EncoderConfig, InputConfig, Sense};
use serde_json::Value;

use crate::import::hub::read_json;

/// Channels of an inertial window.
const CHANNELS: usize = sensorium_model::encoder::IMU_CHANNELS;

/// What arrays do not tell.
#[derive(Debug, Default)]
pub struct Settings(Value);

impl Settings {
    /// Those beside a checkpoint, if there are any.
    ///
    /// # Errors
    ///
    /// A `config.json` that is no JSON.
    pub fn beside(checkpoint: &Path) -> anyhow::Result<Self> {
        let path = checkpoint.with_file_name("config.json");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let mut read = read_json(&path)?;
        Ok(Self(match read.get_mut("ctor") {
            Some(ctor) => ctor.take(),
            None => read,
        }))
    }

    fn get(&self, sense: Sense, name: &str) -> anyhow::Result<Option<usize>> {
        let key = format!("{sense}_{name}");
        let Some(value) = self.0.get(&key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|value| usize::try_from(value).ok());
        let number = number.filter(|number| *number > 0);
        Ok(Some(number.with_context(|| {
            format!("config.json: {key:?} is {value}, expected a whole number above 0")
        })?))
    }
}

/// The dimensions of the encoder of a sense.
///
/// # Errors
///
/// An array that is missing, or whose shape is none of such an encoder.
pub fn read(
    weights: &impl WeightSource,
    sense: Sense,
    settings: &Settings,
) -> anyhow::Result<EncoderConfig> {
    let names = Names(sense);
    let reference = EncoderConfig::reference(sense);
    let [_, tokens, dim] = axes::<3>(weights, &names.positions())?;
    let [output, _] = axes::<2>(weights, &names.head())?;
    let input = input(weights, sense, settings, tokens)?;
    ensure!(
        input.tokens() == tokens,
        "weight {:?} is of {tokens} places, expected {}, those of inputs {:?}",
        names.positions(),
        input.tokens(),
        input.shape()
    );
    let heads = match settings.get(sense, "num_heads")? {
        Some(heads) => heads,
        None if dim == reference.dim => reference.heads,
        None => bail!(
            "nothing says how many heads the encoder of {sense} has, whose width is {dim}; expected \
             \"{sense}_num_heads\" in a config.json beside the checkpoint"
        ),
    };
    let config = EncoderConfig {
        input,
        dim,
        blocks: blocks(weights, names),
        heads,
        output,
        drop_path: 0.0,
        dropout: 0.0,
        ..reference
    };
    config.check()?;
    Ok(config)
}

fn input(
    weights: &impl WeightSource,
    sense: Sense,
    settings: &Settings,
    tokens: usize,
) -> anyhow::Result<InputConfig> {
    let stem = Names(sense).stem();
    let side = |patch: usize| tokens.saturating_sub(1).isqrt() * patch;
    Ok(match sense {
        Sense::Vision => {
            let [_, _, frames, height, width] = axes::<5>(weights, &stem)?;
            InputConfig::Vision {
                frames,
                side: side(height),
                patch: [frames, height, width],
            }
        }
        Sense::Audio => {
            let [_, _, patch, _] = axes::<4>(weights, &stem)?;
            let (mels, frames, stride) = (
                settings.get(sense, "num_mel_bins")?,
                settings.get(sense, "target_len")?,
                settings.get(sense, "stride")?,
            );
            InputConfig::Audio {
                mels: mels.unwrap_or(128),
                frames: frames.unwrap_or(204),
                patch,
                stride: stride.unwrap_or(10),
            }
        }
        Sense::Depth | Sense::Thermal => {
            let [_, _, patch, _] = axes::<4>(weights, &stem)?;
            let side = side(patch);
            match sense {
                Sense::Depth => InputConfig::Depth { side, patch },
                _ => InputConfig::Thermal { side, patch },
            }
        }
        Sense::Imu => {
            let [_, len] = axes::<2>(weights, &stem)?;
            ensure!(
                len > 0 && len.is_multiple_of(CHANNELS),
                "weight {stem:?} takes {len} numbers, expected {CHANNELS} channels of a patch"
            );
            let patch = len / CHANNELS;
            InputConfig::Imu {
                samples: tokens.saturating_sub(1) * patch,
                patch,
            }
        }
        Sense::Text => {
            let [vocabulary, _] = axes::<2>(weights, &stem)?;
            ensure!(
                tokens == CONTEXT,
                "weight {:?} is of texts of {tokens} numbers, expected {CONTEXT}, CLIP's",
                Names(sense).positions()
            );
            InputConfig::Text {
                vocabulary,
                context: tokens,
            }
        }
    })
}

/// One more than the largest number of a block; one that is missing is told of when it is read.
fn blocks(weights: &impl WeightSource, names: Names) -> usize {
    let first = names.block(0);
    let prefix = first.trim_end_matches('0');
    let number = |name: &str| {
        let (number, _) = name.strip_prefix(prefix)?.split_once('.')?;
        number.parse::<usize>().ok()
    };
    let numbers = weights.names().into_iter().filter_map(number);
    numbers
        .max()
        .map_or(0, |last| last.saturating_add(1).min(MAX_BLOCKS))
}

/// More than any encoder has.
const MAX_BLOCKS: usize = 1024;

/// The lengths of an array's axes.
fn axes<const N: usize>(weights: &impl WeightSource, name: &str) -> anyhow::Result<[usize; N]> {
    let shape = weights.shape(name);
    let shape = shape.with_context(|| format!("weight {name:?} is missing"))?;
    <[usize; N]>::try_from(shape)
        .ok()
        .with_context(|| format!("weight {name:?} has shape {shape:?}, expected {N} axes"))
}

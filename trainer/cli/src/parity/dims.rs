//! Dimensions as the reference's constructor takes them.

use serde::Deserialize;

use sensorium_model::{EncoderConfig, InputConfig, Sense};

use super::folder::{Folder, Vectors};
use sensorium_model::encoder::Names;

/// `config.json`. What is not given is as the constructor has it.
#[derive(Debug, Deserialize)]
pub struct Config {
    ctor: Constructor,
}

macro_rules! constructor {
    ($($name:ident: $kind:ty = $default:expr),* $(,)?) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Constructor { $($name: $kind),* }

        impl Default for Constructor {
            fn default() -> Self {
                Self { $($name: $default),* }
            }
        }
    };
}

constructor! {
    video_frames: usize = 2,
    kernel_size: [usize; 3] = [2, 14, 14],
    audio_kernel_size: usize = 16,
    audio_stride: usize = 10,
    out_embed_dim: usize = 768,
    vision_embed_dim: usize = 1024,
    vision_num_blocks: usize = 24,
    vision_num_heads: usize = 16,
    audio_embed_dim: usize = 768,
    audio_num_blocks: usize = 12,
    audio_num_heads: usize = 12,
    audio_num_mel_bins: usize = 128,
    audio_target_len: usize = 204,
    audio_drop_path: f64 = 0.1,
    text_embed_dim: usize = 768,
    text_num_blocks: usize = 12,
    text_num_heads: usize = 12,
    depth_embed_dim: usize = 384,
    depth_kernel_size: usize = 16,
    depth_num_blocks: usize = 12,
    depth_num_heads: usize = 8,
    depth_drop_path: f64 = 0.0,
    thermal_embed_dim: usize = 768,
    thermal_kernel_size: usize = 16,
    thermal_num_blocks: usize = 12,
    thermal_num_heads: usize = 12,
    thermal_drop_path: f64 = 0.0,
    imu_embed_dim: usize = 512,
    imu_kernel_size: usize = 8,
    imu_num_blocks: usize = 6,
    imu_num_heads: usize = 8,
    imu_drop_path: f64 = 0.7,
}

/// Height and width that the reference's tables of positions are for.
const SIDE: usize = 224;

/// Samples of its inertial windows.
const SAMPLES: usize = 2000;

impl Config {
    /// `config.json` of a folder.
    pub fn read(folder: &Folder) -> anyhow::Result<Self> {
        folder.json("config.json")
    }

    /// The dimensions of one encoder, without what only training uses.
    pub fn encoder(&self, sense: Sense) -> EncoderConfig {
        let c = &self.ctor;
        let side = SIDE;
        let (input, dim, blocks, heads) = match sense {
            Sense::Vision => (
                InputConfig::Vision {
                    frames: c.video_frames,
                    side,
                    patch: c.kernel_size,
                },
                c.vision_embed_dim,
                c.vision_num_blocks,
                c.vision_num_heads,
            ),
            Sense::Text => (
                EncoderConfig::reference(sense).input,
                c.text_embed_dim,
                c.text_num_blocks,
                c.text_num_heads,
            ),
            Sense::Audio => (
                InputConfig::Audio {
                    mels: c.audio_num_mel_bins,
                    frames: c.audio_target_len,
                    patch: c.audio_kernel_size,
                    stride: c.audio_stride,
                },
                c.audio_embed_dim,
                c.audio_num_blocks,
                c.audio_num_heads,
            ),
            Sense::Depth => (
                InputConfig::Depth {
                    side,
                    patch: c.depth_kernel_size,
                },
                c.depth_embed_dim,
                c.depth_num_blocks,
                c.depth_num_heads,
            ),
            Sense::Thermal => (
                InputConfig::Thermal {
                    side,
                    patch: c.thermal_kernel_size,
                },
                c.thermal_embed_dim,
                c.thermal_num_blocks,
                c.thermal_num_heads,
            ),
            Sense::Imu => (
                InputConfig::Imu {
                    samples: SAMPLES,
                    patch: c.imu_kernel_size,
                },
                c.imu_embed_dim,
                c.imu_num_blocks,
                c.imu_num_heads,
            ),
        };
        EncoderConfig {
            input,
            dim,
            blocks,
            heads,
            output: c.out_embed_dim,
            drop_path: 0.0,
            dropout: 0.0,
            ..EncoderConfig::reference(sense)
        }
    }
}

/// The senses that have weights among these.
pub fn senses_of(weights: &Vectors) -> Vec<Sense> {
    let has = |sense: &Sense| weights.iter().any(|(name, _)| Names(*sense).has(name));
    Sense::ALL.into_iter().filter(has).collect()
}

//! Dimensions that have names.

use super::config::{EncoderConfig, InputConfig};
use crate::sense::Sense;

impl EncoderConfig {
    /// The reference's largest encoders, `imagebind_huge` (Girdhar et al. 2023): its published
    /// checkpoint has these dimensions.
    #[must_use]
    pub fn reference(sense: Sense) -> Self {
        let (side, patch) = (224, 16);
        let (input, dim, blocks, heads) = match sense {
            Sense::Vision => {
                let input = InputConfig::Vision {
                    frames: 2,
                    side,
                    patch: [2, 14, 14],
                };
                (input, 1280, 32, 16)
            }
            Sense::Text => {
                let input = InputConfig::Text {
                    vocabulary: 49_408,
                    context: 77,
                };
                (input, 1024, 24, 16)
            }
            Sense::Audio => {
                let input = InputConfig::Audio {
                    mels: 128,
                    frames: 204,
                    patch,
                    stride: 10,
                };
                (input, 768, 12, 12)
            }
            // Its heads are 48 wide, unlike those of any other ViT-S.
            Sense::Depth => (InputConfig::Depth { side, patch }, 384, 12, 8),
            Sense::Thermal => (InputConfig::Thermal { side, patch }, 768, 12, 12),
            Sense::Imu => {
                let input = InputConfig::Imu {
                    samples: 2000,
                    patch: 8,
                };
                (input, 512, 6, 8)
            }
        };
        let (drop_path, scale) = match sense {
            Sense::Vision => (0.0, None),
            Sense::Text => (0.0, Some(1.0 / 0.07)),
            Sense::Audio => (0.1, Some(20.0)),
            Sense::Depth => (0.0, Some(5.0)),
            Sense::Thermal => (0.0, Some(10.0)),
            Sense::Imu => (0.7, Some(5.0)),
        };
        Self {
            input,
            dim,
            blocks,
            heads,
            output: 1024,
            bias_kv: !matches!(sense, Sense::Vision | Sense::Text),
            drop_path,
            dropout: if sense == Sense::Imu { 0.5 } else { 0.0 },
            scale,
            learn_scale: sense == Sense::Text,
        }
    }

    /// Encoders for small computers: the form of ViT-Ti (Touvron et al. 2021) at half its depth, and
    /// for inertial data 2.56 s at 50 Hz in 0.8 million parameters. Embeddings have 384 numbers,
    /// those of the sentence encoder all-MiniLM-L6-v2.
    #[must_use]
    pub fn edge(sense: Sense) -> Self {
        let (side, patch) = (112, 16);
        let reference = Self::reference(sense);
        let small = |input| Self {
            input,
            dim: 192,
            blocks: 6,
            heads: 3,
            output: 384,
            drop_path: 0.1,
            dropout: 0.1,
            ..reference
        };
        match sense {
            Sense::Vision => small(InputConfig::Vision {
                frames: 1,
                side,
                patch: [1, patch, patch],
            }),
            Sense::Depth => small(InputConfig::Depth { side, patch }),
            Sense::Thermal => small(InputConfig::Thermal { side, patch }),
            Sense::Audio | Sense::Text => small(reference.input),
            Sense::Imu => Self {
                dim: 128,
                blocks: 4,
                heads: 4,
                ..small(InputConfig::Imu {
                    samples: 128,
                    patch: 8,
                })
            },
        }
    }
}

//! The six senses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an encoder perceives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sense {
    /// Pictures and short videos in colour.
    Vision,
    /// Words, as numbers of byte pairs.
    Text,
    /// Log-mel spectrograms of sound.
    Audio,
    /// Disparity images.
    Depth,
    /// Thermal images.
    Thermal,
    /// Acceleration and rotation rate.
    Imu,
}

impl Sense {
    /// All of them, in the reference's order.
    pub const ALL: [Self; 6] = [
        Self::Vision,
        Self::Text,
        Self::Audio,
        Self::Depth,
        Self::Thermal,
        Self::Imu,
    ];

    /// Its name in weights, recipes and packs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Depth => "depth",
            Self::Thermal => "thermal",
            Self::Imu => "imu",
        }
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

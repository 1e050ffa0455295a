//! What the members of a tar file are.

use std::fmt;

use sensorium_pack::Modality;
use serde::{Deserialize, Serialize};

/// What a member is of its sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Member {
    /// Array `[samples, 6]`.
    Imu,
    /// Sound.
    Audio,
    /// Picture or array of heat.
    Thermal,
    /// Picture or array of distances.
    Depth,
    /// Picture.
    Image,
    /// Words.
    Text,
    /// The class.
    Label,
    /// What must not be on both sides of a division.
    Group,
    /// The side that the set puts it on.
    Split,
    /// A JSON object; its `label`, `group` and `split` are these.
    Json,
    /// Nothing that is read.
    Ignored,
}

impl Member {
    /// What a member is by its extension, which is all after the first dot: `depth.png` is of the
    /// sense that it begins with, and `jpg` of the sense that is usually kept so.
    #[must_use]
    pub fn of(extension: &str) -> Self {
        let extension = extension.to_ascii_lowercase();
        let first = extension.split('.').next().unwrap_or_default();
        match (first, extension.as_str()) {
            ("imu", _) | (_, "npy") => Self::Imu,
            ("audio", _) | (_, "wav" | "flac" | "ogg") => Self::Audio,
            ("thermal", _) => Self::Thermal,
            ("depth", _) => Self::Depth,
            ("image", _) | (_, "jpg" | "jpeg" | "png") => Self::Image,
            ("text", _) | (_, "txt") => Self::Text,
            ("label", _) | (_, "cls") => Self::Label,
            ("group", _) => Self::Group,
            ("split", _) => Self::Split,
            (_, "json") => Self::Json,
            _ => Self::Ignored,
        }
    }

    /// The sense, if it is one.
    #[must_use]
    pub fn sense(self) -> Option<Modality> {
        match self {
            Self::Imu => Some(Modality::Imu),
            Self::Audio => Some(Modality::Audio),
            Self::Thermal => Some(Modality::Thermal),
            Self::Depth => Some(Modality::Depth),
            Self::Image => Some(Modality::Image),
            Self::Text => Some(Modality::Text),
            _ => None,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "label",
            Self::Group => "group",
            Self::Split => "split",
            Self::Json => "json",
            Self::Ignored => "nothing",
            sense => sense.sense().map_or("", Modality::name),
        })
    }
}

//! What a person does, as poses over time.

use std::f64::consts::TAU;

use super::body::{HANDS, Pose};

/// A movement from beginning to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stands at ease.
    Stand,
    /// Sits on a chair.
    Sit,
    /// Rises from the chair.
    StandUp,
    /// Sits down on it.
    SitDown,
}

/// From 0 to 1 while `share` goes from `from` to `to`, smoothly.
fn ease(share: f64, from: f64, to: f64) -> f64 {
    let x = ((share - from) / (to - from)).clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

impl Action {
    /// The pose when `share` of its time, 0 to 1, has passed.
    #[must_use]
    pub fn pose(self, share: f64) -> Pose {
        match self {
            Self::Stand => Pose::default(),
            Self::Sit => sitting(1.0),
            Self::StandUp => sitting(1.0 - ease(share, 0.15, 0.7)),
            Self::SitDown => sitting(ease(share, 0.3, 0.85)),
        }
    }
}

/// How far somebody sits, 0 to 1; on the way the trunk leans forward.
fn sitting(share: f64) -> Pose {
    let hand = |side: usize| {
        let [x, y, _] = HANDS[side];
        [x * 0.85, y - 0.2 * share, 0.05 + 0.3 * share]
    };
    Pose {
        drop: 0.42 * share,
        forward: -0.25 * share,
        lean: 0.6 * (share * TAU / 2.0).sin(),
        hands: [hand(0), hand(1)],
        ..Pose::default()
    }
}

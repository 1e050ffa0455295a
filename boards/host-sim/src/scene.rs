//! What cameras see of a person who does not exist: recordings that may be given to anybody.
//!
//! ```text
//!  action ─▶ pose ─▶ body: spheres in space ─▶ depth camera at the wall     [t, 60, 80] millimetres
//!                                           └▶ thermal array at the ceiling [t, 16, 16] counts
//! ```
//!
//! The body is that of an adult of 1.75 m: trunk, head and limbs as rows of spheres, arms and legs bent by
//! two-bone inverse kinematics. Movements are smooth curves between postures, by eye, not motion capture. It
//! is enough that encoders trained on real people name what it does; it is no data to train on.

mod action;
mod body;
mod depth;
mod script;
mod thermal;

pub use action::Action;
pub use body::{Ball, Place, Pose};
pub use depth::DepthCamera;
pub use script::{Recording, Stretch, ceiling, wall};
pub use thermal::ThermalArray;

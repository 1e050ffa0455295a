//! From a window of samples to the numbers an encoder takes.
//!
//! Training, runtime and firmware all call these functions, so what an encoder was trained on is
//! what it is given. An encoder's front end is *data* in its pack; this is the code that reads it.

pub mod clip;
#[cfg(feature = "alloc")]
mod image;
mod imu;
mod mel;
#[cfg(feature = "alloc")]
mod plane;
#[cfg(feature = "alloc")]
mod rate;
mod resample;
#[cfg(feature = "alloc")]
mod sound;
#[cfg(feature = "alloc")]
mod video;

#[cfg(feature = "alloc")]
pub use image::{Crop, Image, resized_and_cropped};
pub use imu::{AccelUnit, FeatureError, GyroUnit, IMU_CHANNELS, ImuFrontEnd, ImuUnits, UnitsError};
pub use mel::{LogMel, MEL_BINS, MEL_FRAME, MEL_HOP};
#[cfg(feature = "alloc")]
pub use plane::{DepthFrontEnd, PlaneError, ThermalFrontEnd};
#[cfg(feature = "alloc")]
pub use rate::resample;
pub use resample::Resampler;
#[cfg(feature = "alloc")]
pub use sound::{SOUND_RATE_HZ, SoundError, SoundFrontEnd};
#[cfg(feature = "alloc")]
pub use video::{COLOUR_MEAN, COLOUR_STD, CROPS, VideoFrontEnd};

//! From a window of samples to the numbers an encoder takes.
//!
//! Training, runtime and firmware all call these functions, so what an encoder was trained on is
//! what it is given. An encoder's front end is *data* in its pack ([`FrontEnd`]); this is the code
//! that reads it.
//!
//! | kind | of | becomes |
//! |---|---|---|
//! | `imu` | [`ImuFrontEnd`], [`ImuOrder`] | `[6, samples]` |
//! | `log-mel` | [`LogMelSpec`], [`SoundFrontEnd`] | a spectrogram |
//! | `wave` | [`WaveSpec`], [`SoundFrontEnd`] | samples |
//! | `image` | [`ImageSpec`], [`ImageFrontEnd`] | `[3, height, width]` |
//! | `thermal` | [`ThermalSpec`], [`ThermalFrontEnd`] | `[channels, side, side]` |
//! | `depth` | [`DepthSpec`], [`DepthFrontEnd`] | `[channels, side, side]` |
//! | `frames` | [`FramesSpec`], [`FramesFrontEnd`] | frames and how they change |
//!
//! What encoders of texts take is in [`WordsSpec`]; the tokenizer is a file of the pack, or CLIP's.

pub mod clip;
#[cfg(feature = "front-end")]
mod frames;
#[cfg(feature = "front-end")]
mod front_end;
#[cfg(feature = "alloc")]
mod image;
mod imu;
#[cfg(feature = "front-end")]
mod mel;
#[cfg(feature = "front-end")]
mod order;
#[cfg(feature = "front-end")]
mod photo;
#[cfg(feature = "front-end")]
mod plane;
#[cfg(feature = "alloc")]
mod rate;
mod resample;
#[cfg(feature = "front-end")]
mod sound;
#[cfg(feature = "alloc")]
mod video;
#[cfg(feature = "front-end")]
mod words;

#[cfg(feature = "front-end")]
pub use frames::{
    Clip, FramesAxes, FramesError, FramesFrontEnd, FramesOf, FramesSpec, Placement, Subtract,
};
#[cfg(feature = "front-end")]
pub use front_end::{FrontEnd, FrontEndError, Processor};
#[cfg(feature = "alloc")]
pub use image::{Crop, Image, Interpolation, Passes, resize_floats, resized_and_cropped};
pub use imu::{AccelUnit, FeatureError, GyroUnit, IMU_CHANNELS, ImuFrontEnd, ImuUnits, UnitsError};
#[cfg(feature = "front-end")]
pub use mel::{MelBank, MelNorm, MelScale};
#[cfg(feature = "front-end")]
pub use order::{ImuOrder, ImuOrderError};
#[cfg(feature = "front-end")]
pub use photo::{CropRounding, ImageFrontEnd, ImageSpec, Resize};
#[cfg(feature = "front-end")]
pub use plane::{
    DepthFrontEnd, DepthSpec, Holes, Measure, PlaneError, Scaling, ThermalFrontEnd, ThermalSpec,
    depth_m,
};
#[cfg(feature = "alloc")]
pub use rate::resample;
pub use resample::Resampler;
#[cfg(feature = "front-end")]
pub use sound::{
    Extent, Log, LogMel, LogMelSpec, Longer, Padding, SoundAxes, SoundError, SoundFrontEnd,
    Spectrum, Standardise, WaveAxes, WaveSpec, WindowKind,
};
#[cfg(feature = "alloc")]
pub use video::{COLOUR_MEAN, COLOUR_STD, CROPS, VideoFrontEnd};
#[cfg(feature = "front-end")]
pub use words::{Pooling, Splitter, WordsSpec};
